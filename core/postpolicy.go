package core

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/filefield/filefield/internal/sigv4"
)

// postPolicy is the document that a form's signature stands for: what the form
// may hold.
type postPolicy struct {
	Expiration string `json:"expiration"`
	Conditions []any  `json:"conditions"`
}

// newPostPolicy writes a policy that lets a form hold these fields, exactly as they
// are, and a file of so many bytes, for this bucket. Names and values may be any
// text: encoding/json escapes them, so that none can add a condition.
func newPostPolicy(bucket string, fields map[string]string, least, most int64, expires time.Time) (string, error) {
	p := postPolicy{Expiration: expires.UTC().Format("2006-01-02T15:04:05.000Z")}
	p.Conditions = append(p.Conditions, [3]string{"eq", "$bucket", bucket}, []any{"content-length-range", least, most})
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		p.Conditions = append(p.Conditions, [3]string{"eq", "$" + name, fields[name]})
	}
	text, err := json.Marshal(p)
	return base64.StdEncoding.EncodeToString(text), err
}

// tagging is the tags of an object as a form has them.
type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	Tags    []tag    `xml:"TagSet>Tag"`
}

type tag struct{ Key, Value string }

func taggingXML(set map[string]string) (string, error) {
	var t tagging
	for _, key := range slices.Sorted(maps.Keys(set)) {
		t.Tags = append(t.Tags, tag{key, set[key]})
	}
	text, err := xml.Marshal(t)
	return string(text), err
}

// beginPost signs a form: exactly this key, bucket, size, type and mark, until it
// expires.
func (f *Field) beginPost(ctx context.Context, t Token) (Ticket, error) {
	const op = "begin upload"
	s, err := f.directSigning(ctx, op)
	if err != nil {
		return Ticket{}, err
	}
	token := f.signDirect(t)
	fields, err := f.postFields(t, f.stagingKey(token))
	if err != nil {
		return Ticket{}, &Error{Kind: ErrConfig, Op: op, Field: f.config.Name, Err: err}
	}
	signer := f.store.presigner.signer
	fields["x-amz-algorithm"] = sigv4.Algorithm
	fields["x-amz-credential"] = signer.Credential(s.Credentials, s.from)
	fields["x-amz-date"] = sigv4.Stamp(s.from)
	if s.SessionToken != "" {
		fields["x-amz-security-token"] = s.SessionToken
	}
	least, most := f.postRange(t)
	policy, err := newPostPolicy(f.bucket.name, fields, least, most, s.until())
	if err != nil {
		return Ticket{}, &Error{Kind: ErrConfig, Op: op, Field: f.config.Name, Err: err}
	}
	fields["policy"] = policy
	fields["x-amz-signature"] = signer.SignPolicy(s.Credentials, s.from, policy)
	return Ticket{
		Method: DirectPost, Token: token, Fields: fields, Expires: s.until(),
		URL: s.at.scheme + "://" + s.at.host + strings.TrimSuffix(s.at.path, "/"),
	}, nil
}

func (f *Field) postRange(t Token) (least, most int64) {
	if !t.direct.unsized {
		return t.Object.Size, t.Object.Size
	}
	if !f.config.AllowEmpty {
		least = 1
	}
	return least, min(f.config.MaxSize, maxSinglePut)
}

// postFields are the form's fields besides the signature's own.
func (f *Field) postFields(t Token, key Key) (map[string]string, error) {
	h := f.directHeaders(t.Object).Header()
	setChecksums(h, t)
	fields := map[string]string{"key": key.s, "success_action_status": "201"}
	for name := range h {
		lower := strings.ToLower(name)
		if lower == "content-type" || lower == "content-disposition" || lower == "cache-control" {
			lower = http.CanonicalHeaderKey(name) // as S3 documents a form's fields
		}
		fields[lower] = h.Get(name)
	}
	marked, err := taggingXML(f.pendingTags())
	fields["tagging"] = marked
	return fields, err
}
