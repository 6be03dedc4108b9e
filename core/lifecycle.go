package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/lifecycle"
)

// Lifecycle says which objects of a bucket expire. The zero value declares
// nothing. Rules that others have set stay as they are. In a versioned bucket an
// expired object leaves a delete marker, and its versions stay.
type Lifecycle struct {
	// PendingDays is after how many days an object goes that was uploaded and
	// never claimed: one with the tag filefield=pending. 0: not declared.
	PendingDays int `json:"pending_days,omitempty"`
	// ExpireDays is after how many days the objects below a prefix go.
	ExpireDays map[string]int `json:"expire_days,omitempty"`
	// AbortUploadsDays is after how many days the parts of a multipart upload go
	// that nobody completed. 0: not declared. MinIO removes them after 24 hours by
	// itself and does not take such a rule.
	AbortUploadsDays int `json:"abort_uploads_days,omitempty"`
}

func (l Lifecycle) isZero() bool {
	return l.PendingDays == 0 && len(l.ExpireDays) == 0 && l.AbortUploadsDays == 0
}

func (l Lifecycle) faults(fault func(bool, string, ...any)) {
	fault(l.PendingDays < 0, "Lifecycle.PendingDays is %d", l.PendingDays)
	fault(l.AbortUploadsDays < 0, "Lifecycle.AbortUploadsDays is %d", l.AbortUploadsDays)
	for _, prefix := range slices.Sorted(maps.Keys(l.ExpireDays)) {
		fault(prefix == "", "Lifecycle.ExpireDays has an empty prefix, which is every object of the bucket")
		fault(l.ExpireDays[prefix] < 1, "Lifecycle.ExpireDays[%q] is %d: it must be 1 or more", prefix, l.ExpireDays[prefix])
	}
}

// lifecycleRule is one rule: its text, which is written back as it is, and what
// it says.
type lifecycleRule struct {
	Text string `xml:",innerxml"`
	says lifecycle.Rule
}

// lifecycleXML is a bucket's lifecycle.
type lifecycleXML struct {
	XMLName xml.Name        `xml:"LifecycleConfiguration"`
	XMLNS   string          `xml:"xmlns,attr,omitempty"`
	Rules   []lifecycleRule `xml:"Rule"`
}

// ownRule begins the name of every rule this library writes.
const ownRule = "filefield-"

// lifecycle compares the rules by what they say. Unfinished uploads are a step
// of their own, since a server may refuse that rule alone.
func (in *inspection) lifecycle(ctx context.Context) ([]step, error) {
	body, err := in.read(ctx, "lifecycle", "NoSuchLifecycleConfiguration")
	if err != nil {
		return nil, err
	}
	var config lifecycleXML
	if err := in.parse("lifecycle", body, &config); err != nil {
		return nil, err
	}
	for i := range config.Rules {
		r := &config.Rules[i]
		if err := in.parse("lifecycle", []byte("<Rule>"+r.Text+"</Rule>"), &r.says); err != nil {
			return nil, err
		}
	}
	declared := in.bucket.declared.Lifecycle
	want := declared.expiring()
	if declared.AbortUploadsDays > 0 {
		want = append(want, keptAbortRule(config.Rules)...)
	}
	rules, changed := merged(config.Rules, want)
	var steps []step
	if changed {
		body, err := lifecycleBody(rules)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{
			differences: []Difference{in.difference(AspectLifecycle, describe(config.Rules), describe(want), "the lifecycle rules are not as declared")},
			do:          in.afresh(AspectLifecycle, (*inspection).lifecycle, in.write("lifecycle", body)),
		})
	}
	abort, err := in.abortUploads(rules, declared.AbortUploadsDays)
	return append(steps, abort...), err
}

// abortUploads compares the rule for unfinished uploads, given all other rules
// as they will be.
func (in *inspection) abortUploads(rules []lifecycleRule, days int) ([]step, error) {
	satisfied := slices.ContainsFunc(rules, func(r lifecycleRule) bool {
		return r.says.Status == "Enabled" && r.everything() && int(r.says.AbortIncompleteMultipartUpload.DaysAfterInitiation) == days
	})
	if days == 0 || satisfied {
		return nil, nil
	}
	if in.bucket.store.lacks.has(in.bucket, AspectAbortUploads) || strings.HasPrefix(in.server, "MinIO") {
		return []step{in.unsupported(AspectAbortUploads)}, nil
	}
	rules = slices.DeleteFunc(slices.Clone(rules), func(r lifecycleRule) bool { return r.says.ID == abortRule })
	body, err := lifecycleBody(append(rules, newAbortRule(days)))
	if err != nil {
		return nil, err
	}
	write := in.write("lifecycle", body)
	return []step{{
		differences: []Difference{in.difference(AspectAbortUploads, nil, days, "unfinished uploads are to be removed after %d days", days)},
		do: in.afresh(AspectAbortUploads, (*inspection).lifecycle, func(ctx context.Context) error {
			err := write(ctx)
			if code := codeOf(err); code == "InvalidArgument" || code == "MalformedXML" || code == "InvalidRequest" {
				return fmt.Errorf("%w: %s", errNotImplemented, code)
			}
			return err
		}),
	}}, nil
}

const abortRule = ownRule + "abort-uploads"

// keptAbortRule returns the own rule for unfinished uploads, which its own step
// is about.
func keptAbortRule(rules []lifecycleRule) []lifecycleRule {
	for _, r := range rules {
		if r.says.ID == abortRule {
			return []lifecycleRule{r}
		}
	}
	return nil
}

// everything says whether a rule is about all objects.
func (r lifecycleRule) everything() bool { return r.says.RuleFilter.IsNull() && r.says.Prefix == "" }

// merged returns the rules as they are to be: others' as they are, own ones only
// as far as they are declared, and what is missing. A rule of another's that says
// what is declared will do.
func merged(have, want []lifecycleRule) (rules []lifecycleRule, changed bool) {
	for _, r := range have {
		if strings.HasPrefix(r.says.ID, ownRule) && !slices.ContainsFunc(want, r.equal) {
			changed = true
			continue
		}
		rules = append(rules, r)
	}
	for _, w := range want {
		if !slices.ContainsFunc(rules, w.equal) {
			rules, changed = append(rules, w), true
		}
	}
	return rules, changed
}

// equal says whether both let the same objects expire after the same time.
func (r lifecycleRule) equal(other lifecycleRule) bool {
	return r.says.Status == other.says.Status && r.says.Expiration.Days == other.says.Expiration.Days &&
		r.says.Expiration.Date.Equal(other.says.Expiration.Date.Time) && r.filter() == other.filter()
}

// filter writes which objects a rule is about in one way, of the several there are.
func (r lifecycleRule) filter() string {
	f := r.says.RuleFilter
	prefix := f.Prefix + f.And.Prefix
	setDefault(&prefix, r.says.Prefix)
	list := slices.Clone(f.And.Tags)
	if !f.Tag.IsEmpty() {
		list = append(list, f.Tag)
	}
	var all words
	for _, t := range list {
		all = append(all, fmt.Sprintf("%q=%q", t.Key, t.Value))
	}
	return fmt.Sprintf("%q %s %d %d", prefix, strings.Join(sorted(all), ","),
		max(f.ObjectSizeLessThan, f.And.ObjectSizeLessThan), max(f.ObjectSizeGreaterThan, f.And.ObjectSizeGreaterThan))
}

// expiring are the declared rules that let objects expire.
func (l Lifecycle) expiring() []lifecycleRule {
	var rules []lifecycleRule
	if l.PendingDays > 0 {
		rules = append(rules, newExpiry("pending", lifecycle.Filter{Tag: lifecycle.Tag{Key: pendingTag, Value: pendingValue}}, l.PendingDays))
	}
	for _, prefix := range slices.Sorted(maps.Keys(l.ExpireDays)) {
		sum := sha256.Sum256([]byte(prefix))
		rules = append(rules, newExpiry("expire-"+hex.EncodeToString(sum[:6]), lifecycle.Filter{Prefix: prefix}, l.ExpireDays[prefix]))
	}
	return rules
}

func newExpiry(name string, filter lifecycle.Filter, days int) lifecycleRule {
	says := lifecycle.Rule{ID: ownRule + name, Status: "Enabled", RuleFilter: filter, Expiration: lifecycle.Expiration{Days: lifecycle.ExpirationDays(days)}}
	which := "<Prefix>" + escaped(filter.Prefix) + "</Prefix>"
	if !filter.Tag.IsEmpty() {
		which = "<Tag><Key>" + escaped(filter.Tag.Key) + "</Key><Value>" + escaped(filter.Tag.Value) + "</Value></Tag>"
	}
	return lifecycleRule{says: says, Text: fmt.Sprintf("<ID>%s</ID><Status>Enabled</Status><Filter>%s</Filter><Expiration><Days>%d</Days></Expiration>", says.ID, which, days)}
}

func newAbortRule(days int) lifecycleRule {
	says := lifecycle.Rule{ID: abortRule, Status: "Enabled"}
	says.AbortIncompleteMultipartUpload.DaysAfterInitiation = lifecycle.ExpirationDays(days)
	return lifecycleRule{says: says, Text: fmt.Sprintf("<ID>%s</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>%d</DaysAfterInitiation></AbortIncompleteMultipartUpload>", abortRule, days)}
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

// lifecycleBody writes the rules; nothing where there are none.
func lifecycleBody(rules []lifecycleRule) ([]byte, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	return xml.Marshal(lifecycleXML{XMLNS: xmlNamespace, Rules: rules})
}

// describe lists rules for a Difference.
func describe(rules []lifecycleRule) []string {
	out := []string{}
	for _, r := range rules {
		out = append(out, fmt.Sprintf("%s: %s after %d days", r.says.ID, r.filter(), r.says.Expiration.Days))
	}
	return out
}
