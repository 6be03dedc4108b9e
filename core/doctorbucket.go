package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// examination is the diagnosis of one bucket.
type examination struct {
	*doctor
	bucket   *Bucket
	fields   []*Field
	findings []Finding
}

// found hides the doctor's: the findings of buckets that are looked at at the
// same time must not mix.
func (e *examination) found(f Finding) {
	f.Bucket = e.bucket.name
	e.findings = append(e.findings, f)
}

// all makes every check of the bucket.
func (e *examination) all(ctx context.Context) {
	if !e.exists(ctx) {
		return
	}
	policy := e.settings(ctx)
	if !e.options.ReadOnly && e.options.Scope >= IAMSetup {
		e.settingsWrites(ctx, policy)
	}
	e.listing(ctx)
	if e.options.ReadOnly {
		e.found(Finding{Check: "permission", Status: FindingSkipped, Detail: "what only a write can show was not looked at"})
	}
	for _, prefix := range prefixesOf(e.fields) {
		(&probe{examination: e, prefix: prefix}).all(ctx)
	}
	e.preflight(ctx)
	e.pendingFiles()
}

// exists asks for the bucket as Check does.
func (e *examination) exists(ctx context.Context) bool {
	h := e.bucket.check(ctx)
	f := Finding{Check: "bucket", Status: FindingOK, Detail: "it is there", Took: h.Latency}
	list := Finding{Check: "permission", Action: "s3:ListBucket", Status: FindingOK, Detail: "allowed"}
	switch {
	case h.OK:
		e.found(f)
		e.found(list)
		return true
	case h.Reason == ReasonPermission:
		f.Status, f.Detail = FindingSkipped, "the credentials may not ask"
		e.found(f)
		e.found(denied(list, h.Action))
		return true // the rest may be allowed
	}
	f = failure(f, h.Err())
	f.Detail = h.Detail
	if h.Reason == ReasonMissing {
		f.Advice = "let the app make it at its start (Require or Background), or Plan and Apply"
	}
	e.found(f)
	return false
}

func denied(f Finding, action string) Finding {
	f.Action, f.Status, f.Detail = action, FindingFailed, action+" is not allowed"
	f.Advice = "allow " + action + " to the app's access key, as the policy of IAMPolicy does"
	return f
}

// settings compares what the bucket is with what is declared, as far as the
// credentials may look. policyState says what is known of its policy.
func (e *examination) settings(ctx context.Context) policyState {
	b := e.bucket
	began := time.Now()
	steps, err := b.plan(ctx)
	took := Milliseconds(time.Since(began))
	missing := refusals(err)
	for _, refused := range missing {
		f := Finding{Check: "permission", Status: FindingSkipped, Action: refused.Action, Detail: "a running app does not need it, and it is not allowed"}
		if e.options.Scope >= IAMCheck {
			f = denied(f, refused.Action)
		}
		e.found(f)
	}
	f := Finding{Check: "settings", Took: took}
	switch {
	case len(missing) > 0:
		f.Status, f.Detail = FindingSkipped, "what the bucket is may not be read in full"
		e.found(f)
	case err != nil:
		e.found(failure(f, err))
	}
	state := policyUnknown
	if err == nil || !slices.ContainsFunc(missing, func(p *PermissionError) bool { return p.Action == "s3:GetBucketPolicy" }) {
		state = e.policy(ctx)
	}
	drift := false
	for _, s := range steps {
		for _, difference := range s.differences {
			drift = true
			e.found(e.differs(f, difference))
		}
	}
	if !drift && err == nil {
		f.Status, f.Detail = FindingOK, "it is as declared"
		e.found(f)
	}
	return state
}

// differs is the finding of one difference between what is there and what is
// declared.
func (e *examination) differs(f Finding, d Difference) Finding {
	f.Status, f.Detail = FindingWarning, d.Aspect.phrase()+": "+d.Message
	f.Advice = "let the app correct it at its start (Require or Background), or Plan and Apply"
	if open, ok := d.Have.(accessOpen); ok && len(open.Statements) > 0 {
		f.Status = FindingFailed // strangers may do what they should not
	}
	if d.Unsupported {
		f.Advice = "take it out of the declaration, or use a server that implements it"
	}
	var verdict *Error
	if errors.As(e.bucket.verdict(d), &verdict) {
		f.Status, f.Advice = FindingFailed, verdict.Advice
	}
	return f
}

// policyState is what is known of a bucket's policy.
type policyState uint8

const (
	policyUnknown policyState = iota
	policyThere
	policyNone
)

func (e *examination) policy(ctx context.Context) policyState {
	_, err := e.bucket.ask(ctx, "read policy", bucketRequest{method: http.MethodGet, query: setting("policy")})
	switch {
	case err == nil:
		return policyThere
	case codeOf(err) == "NoSuchBucketPolicy":
		return policyNone
	}
	return policyUnknown
}

// noDocument is neither XML nor JSON.
const noDocument = `<filefield asks="whether it may write this`

// settingsWrites tries the permissions to write settings. What it sends is no
// document that a server takes, but it is asked for permission first. The bucket
// is there, so that creating it does nothing.
func (e *examination) settingsWrites(ctx context.Context, policy policyState) {
	n := needed{}
	e.bucket.needsOfSettings(n, IAMSetup)
	names := map[string]string{}
	for name, actions := range settingActions {
		names[actions[1]] = name
	}
	for _, resource := range slices.Sorted(maps.Keys(n)) {
		for _, action := range slices.Sorted(maps.Keys(n[resource])) {
			r := bucketRequest{method: http.MethodPut, body: []byte(noDocument)}
			f := Finding{Check: "permission", Action: action}
			switch name := names[action]; {
			case action == "s3:CreateBucket" && e.doctor.server == "AmazonS3":
				f.Status, f.Detail = FindingSkipped, "trying it could reset the bucket's access control list"
				e.found(f)
				continue
			case action == "s3:CreateBucket":
				r.body = nil
			case action == "s3:DeleteBucketPolicy" && policy != policyNone:
				f.Status, f.Detail = FindingSkipped, "trying it would take away the policy that the bucket has"
				e.found(f)
				continue
			case action == "s3:DeleteBucketPolicy":
				r = bucketRequest{method: http.MethodDelete, query: setting("policy")}
			case name == "bucket":
				in := &inspection{bucket: &Bucket{store: e.store, name: "filefield-doctor-no-such-bucket"}}
				began := time.Now()
				_, err := in.admin(ctx, "set quota", "set-bucket-quota", r)
				f.Took = Milliseconds(time.Since(began))
				e.found(permitted(f, err))
				continue
			case name == "":
				continue // it reads, which was tried
			default:
				r.query = setting(name)
			}
			began := time.Now()
			_, err := e.bucket.ask(ctx, "try permission", r)
			f.Took = Milliseconds(time.Since(began))
			e.found(permitted(f, err))
		}
	}
}

// permitted says what the answer to a try of a permission means: every answer
// but one that refuses it, or none, says that it is there.
func permitted(f Finding, err error) Finding {
	switch kind := KindOf(err); {
	case kind == ErrDenied:
		return denied(f, f.Action)
	case notImplemented(err):
		f.Status, f.Detail = FindingSkipped, "the server does not implement it"
	case kind == ErrUnavailable, kind == ErrCanceled, kind == ErrCredentials, kind == ErrClockSkew:
		return failure(f, err)
	default:
		f.Status, f.Detail = FindingOK, "allowed"
	}
	return f
}

// listing sees that strangers may not list the bucket.
func (e *examination) listing(ctx context.Context) {
	f := Finding{Check: "public_access"}
	target, err := e.bucket.address(ctx)
	if err != nil {
		e.found(failure(f, err))
		return
	}
	target.RawQuery = "list-type=2&max-keys=1"
	began := time.Now()
	answer, err := e.store.stranger(ctx, http.MethodGet, target.String(), nil)
	f.Took = Milliseconds(time.Since(began))
	switch {
	case err != nil:
		f = failure(f, err)
	case answer.status < 300:
		f.Status, f.Detail = FindingFailed, "anyone may list the bucket"
		f.Advice = "let the app correct the bucket's policy at its start, and see the server's own settings for anonymous access"
	default:
		f.Status, f.Detail = FindingOK, "strangers may not list the bucket"
	}
	e.found(f)
}

// preflight asks for each declared CORS rule what a browser asks before a page's
// request.
func (e *examination) preflight(ctx context.Context) {
	for i, rule := range e.bucket.declared.CORS {
		if len(rule.Origins) == 0 || len(rule.Methods) == 0 || e.away {
			continue
		}
		f := Finding{Check: "cors"}
		origin := strings.Replace(rule.Origins[0], "*", "filefield-doctor", 1)
		if rule.Origins[0] == "*" {
			origin = "https://filefield-doctor.example"
		}
		header := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {rule.Methods[0]}}
		if len(rule.Headers) > 0 {
			header.Set("Access-Control-Request-Headers", strings.ToLower(strings.Replace(strings.Join(rule.Headers, ","), "*", "x-filefield", 1)))
		}
		began := time.Now()
		answer, err := e.asksBefore(ctx, header)
		f.Took = Milliseconds(time.Since(began))
		what := fmt.Sprintf("rule %d: a page of %s may use %s", i, origin, rule.Methods[0])
		switch {
		case err != nil:
			f = failure(f, err)
		case !slices.Contains([]string{origin, "*"}, answer.header.Get("Access-Control-Allow-Origin")):
			f.Status, f.Detail = FindingFailed, strings.Replace(what, " may ", " may not ", 1)
			f.Advice = "let the app set the bucket's CORS at its start; where the server has none per bucket, set the server's own; see whether a proxy keeps OPTIONS requests or their answers"
		default:
			f.Status, f.Detail = FindingOK, what
		}
		e.found(f)
	}
}

// asksBefore sends a preflight to where browsers reach the bucket.
func (e *examination) asksBefore(ctx context.Context, header http.Header) (reply, error) {
	address, err := e.bucket.publicURL(ctx, Key{s: doctorPrefix + "cors"}, URLOptions{})
	if err != nil {
		return reply{}, err
	}
	return e.store.stranger(ctx, http.MethodOptions, address, header)
}

// pendingFiles sees whether anything removes files that nobody came back for.
func (e *examination) pendingFiles() {
	if len(e.fields) == 0 {
		return
	}
	f := Finding{Check: "pending_files", Status: FindingOK, Detail: fmt.Sprintf("the bucket's lifecycle removes them after %d days", e.bucket.declared.Lifecycle.PendingDays)}
	switch unsupported := e.store.lacks.has(e.bucket, AspectLifecycle); {
	case e.bucket.declared.Lifecycle.PendingDays == 0:
		f.Status, f.Detail = FindingWarning, "no lifecycle rule for files that nobody comes back for is declared"
		f.Advice = "declare Lifecycle.PendingDays, or have something call ExpirePending now and then"
	case unsupported:
		f.Status, f.Detail = FindingWarning, "the server has no lifecycle rules, so that files that nobody comes back for stay"
		f.Advice = "have something call ExpirePending now and then"
	}
	e.found(f)
}

// anonymously reads an address without credentials, and returns the status.
func (e *examination) anonymously(ctx context.Context, f *Finding, target string) (status int, err error) {
	began := time.Now()
	answer, err := e.store.stranger(ctx, http.MethodGet, target, nil)
	f.Took = Milliseconds(time.Since(began))
	if err != nil {
		*f = failure(*f, err)
		return 0, err
	}
	return answer.status, nil
}

// hostOf names the host of an address.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
