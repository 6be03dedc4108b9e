package core

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// quotaJSON is a quota as MinIO's administration has it. Older servers know it
// by its first name, newer ones by its second.
type quotaJSON struct {
	Quota int64  `json:"quota"`
	Size  int64  `json:"size"`
	Kind  string `json:"quotatype,omitempty"`
}

// quota compares how much the bucket may hold. S3 has no quotas; MinIO has them
// in its administration.
func (in *inspection) quota(ctx context.Context) ([]step, error) {
	if !strings.HasPrefix(in.server, "MinIO") {
		if in.bucket.declared.Quota == NoQuota {
			return nil, nil
		}
		return nil, errNotImplemented
	}
	var have quotaJSON
	if !in.missing {
		body, err := in.admin(ctx, "read quota", "get-bucket-quota", bucketRequest{method: http.MethodGet})
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &have); err != nil {
			return nil, &Error{Kind: ErrUnavailable, Op: "read quota", Bucket: in.bucket.name, Err: err}
		}
	}
	size, want := max(have.Quota, have.Size), max(in.bucket.declared.Quota, 0)
	if size == want {
		return nil, nil
	}
	body, err := json.Marshal(quotaJSON{Quota: want, Size: want, Kind: "hard"})
	if err != nil {
		return nil, err
	}
	return []step{{
		differences: []Difference{in.difference(AspectQuota, size, want, "the quota is %s, to be %s", quotaText(size), quotaText(want))},
		do: func(ctx context.Context) error {
			_, err := in.admin(ctx, "set quota", "set-bucket-quota", bucketRequest{method: http.MethodPut, body: body})
			return err
		},
	}}, nil
}

func quotaText(n int64) string {
	if n == 0 {
		return "none"
	}
	return formatSize(n)
}

// admin makes a request to MinIO's administration.
func (in *inspection) admin(ctx context.Context, op, command string, r bucketRequest) ([]byte, error) {
	b := in.bucket
	r.query = url.Values{"bucket": {b.name}}
	target := b.store.internal.EndpointURL()
	target.Path, target.RawQuery = "/minio/admin/v3/"+command, r.query.Encode()
	var answer answerOf
	err := b.store.retry(ctx, b.at(op, Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		answer, err = b.store.send(ctx, target, b.name, r)
		return err
	})
	return answer.body, withAction(err, r)
}
