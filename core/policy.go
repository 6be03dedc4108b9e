package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
)

// policy is a bucket policy of which only the statements matter here. They are
// kept as they stand, since others may have written them.
type policy struct {
	Version   string
	ID        string `json:"Id,omitempty"`
	Statement statements
}

// statements is a list that policies may write as a single value.
type statements []json.RawMessage

func (s *statements) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		*s = statements{slices.Clone(b)}
		return nil
	}
	return json.Unmarshal(b, (*[]json.RawMessage)(s))
}

// words is a list of strings that policies may write as a single one.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

type statement struct {
	Sid       string          `json:"Sid,omitempty"`
	Effect    string          `json:"Effect"`
	Principal json.RawMessage `json:"Principal"`
	Action    words           `json:"Action"`
	Resource  words           `json:"Resource"`
	Condition json.RawMessage `json:"Condition,omitempty"`
}

// publicRead lets anyone read objects. It does not let anyone list them, which
// the reference system's policy does.
func publicRead(bucket string) statement {
	return statement{
		Sid: "PublicRead", Effect: "Allow", Principal: json.RawMessage(`{"AWS":["*"]}`),
		Action: words{"s3:GetObject"}, Resource: words{"arn:aws:s3:::" + bucket + "/*"},
	}
}

// publish adds the statement for public reading to the bucket's policy, unless
// it is there. Other statements stay as they are.
func (b *Bucket) publish(ctx context.Context) error {
	var current string
	err := b.store.retry(ctx, b.at("read policy", Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		current, err = b.store.internal.Client.GetBucketPolicy(ctx, b.name)
		return err
	})
	if err != nil {
		return err
	}
	document, changed, err := withPublicRead(current, b.name)
	if err != nil {
		return &Error{Kind: ErrConfig, Op: "publish bucket", Bucket: b.name, Err: err, Advice: "mend or remove the bucket's policy"}
	}
	if !changed {
		return nil
	}
	return b.store.retry(ctx, b.at("set policy", Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		return b.store.internal.SetBucketPolicy(ctx, b.name, document)
	})
}

// withPublicRead returns the policy with the statement for public reading, and
// whether that changed it.
func withPublicRead(document, bucket string) (out string, changed bool, err error) {
	p := policy{Version: "2012-10-17"}
	if document != "" {
		if err := json.Unmarshal([]byte(document), &p); err != nil {
			return "", false, errors.Join(errors.New("the bucket's policy is not JSON as policies are"), err)
		}
	}
	for _, raw := range p.Statement {
		var s statement
		if json.Unmarshal(raw, &s) == nil && s.allows(publicRead(bucket)) {
			return document, false, nil
		}
	}
	added, err := json.Marshal(publicRead(bucket))
	if err != nil {
		return "", false, err
	}
	p.Statement = append(p.Statement, added)
	b, err := json.Marshal(p)
	return string(b), true, err
}

// allows says whether s, without condition, grants what want does.
func (s statement) allows(want statement) bool {
	return s.Effect == want.Effect && len(s.Condition) == 0 && isAnyone(s.Principal) &&
		slices.Contains(s.Action, want.Action[0]) && slices.Contains(s.Resource, want.Resource[0])
}

func isAnyone(principal json.RawMessage) bool {
	var list words
	if json.Unmarshal(principal, &list) == nil {
		return slices.Contains(list, "*")
	}
	var byKind map[string]words
	return json.Unmarshal(principal, &byKind) == nil && slices.Contains(byKind["AWS"], "*")
}
