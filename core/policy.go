package core

import (
	"context"
	"encoding/json"
	"slices"
)

type policy struct {
	Version   string      `json:"Version"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Sid       string          `json:"Sid,omitempty"`
	Effect    string          `json:"Effect"`
	Principal json.RawMessage `json:"Principal"`
	Action    []string        `json:"Action"`
	Resource  []string        `json:"Resource"`
}

// publicPolicy lets anyone read objects. It does not let anyone list them,
// which the reference system's policy does.
func publicPolicy(bucket string) policy {
	return policy{Version: "2012-10-17", Statement: []statement{{
		Sid: "PublicRead", Effect: "Allow", Principal: json.RawMessage(`{"AWS":["*"]}`),
		Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"},
	}}}
}

// publish sets the public policy unless the bucket has exactly that.
func (b *Bucket) publish(ctx context.Context) error {
	var current string
	err := b.store.retry(ctx, b.at("read policy", Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		current, err = b.store.internal.Client.GetBucketPolicy(ctx, b.name)
		return err
	})
	if err != nil {
		return err
	}
	if allowsPublicRead(current, b.name) {
		return nil
	}
	document, err := json.Marshal(publicPolicy(b.name))
	if err != nil {
		return err
	}
	return b.store.retry(ctx, b.at("set policy", Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		return b.store.internal.SetBucketPolicy(ctx, b.name, string(document))
	})
}

func allowsPublicRead(document, bucket string) bool {
	var p policy
	if json.Unmarshal([]byte(document), &p) != nil || len(p.Statement) != 1 {
		return false
	}
	s, want := p.Statement[0], publicPolicy(bucket).Statement[0]
	return s.Effect == want.Effect && slices.Equal(s.Action, want.Action) && slices.Equal(s.Resource, want.Resource) &&
		isAnyone(s.Principal)
}

func isAnyone(principal json.RawMessage) bool {
	var name string
	if json.Unmarshal(principal, &name) == nil {
		return name == "*"
	}
	var byKind map[string]json.RawMessage
	if json.Unmarshal(principal, &byKind) != nil {
		return false
	}
	var list []string
	if json.Unmarshal(byKind["AWS"], &list) == nil {
		return slices.Contains(list, "*")
	}
	return json.Unmarshal(byKind["AWS"], &name) == nil && name == "*"
}
