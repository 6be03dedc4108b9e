package core

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// existenceAndAccess compares both by one request: to a question for its policy
// a bucket answers with the policy, that there is none, or that it does not
// exist itself.
func (in *inspection) existenceAndAccess(ctx context.Context) ([]step, error) {
	b := in.bucket
	answer, err := b.ask(ctx, "read policy", bucketRequest{method: http.MethodGet, query: setting("policy")})
	in.server = answer.header.Get("Server")
	in.missing = KindOf(err) == ErrBucketMissing
	document, compare := string(answer.body), in.access
	switch {
	case in.missing, codeOf(err) == "NoSuchBucketPolicy":
		document = ""
	case notImplemented(err):
		if in.missing, err = b.absent(ctx); err != nil {
			return nil, err
		}
		compare = in.noPolicies
	case err != nil:
		return nil, err
	}
	var steps []step
	if in.missing {
		steps = append(steps, step{
			differences: []Difference{in.difference(AspectExistence, "missing", "present", "the bucket does not exist: it is to be created")},
			do:          b.create, creates: true,
		})
	}
	access, err := compare(document)
	return append(steps, access...), err
}

// absent asks whether the bucket is missing, of a server without policies.
func (b *Bucket) absent(ctx context.Context) (bool, error) {
	_, err := b.ask(ctx, "check bucket", bucketRequest{method: http.MethodHead})
	if KindOf(err) == ErrBucketMissing {
		return true, nil
	}
	return false, err
}

// noPolicies is access on a server that has no bucket policies: all buckets are
// private there, as far as S3 goes.
func (in *inspection) noPolicies(string) ([]step, error) {
	var steps []step
	if in.bucket.public {
		steps = append(steps, in.unsupported(AspectAccess))
	}
	if len(in.bucket.declared.Policy) > 0 {
		steps = append(steps, in.unsupported(AspectPolicy))
	}
	return steps, nil
}

// access compares the bucket's policy.
func (in *inspection) access(document string) ([]step, error) {
	b := in.bucket
	hooks, err := b.declared.statements(b.name)
	if err != nil {
		return nil, &Error{Kind: ErrConfig, Op: "ask policy hook", Bucket: b.name, Err: err}
	}
	change, err := reconcilePolicy(document, policyWant{b.arn(""), b.public, hooks, b.declared.Foreign})
	if err != nil {
		return nil, &Error{Kind: ErrConfig, Op: "read policy", Bucket: b.name, Err: err, Advice: "mend or remove the bucket's policy"}
	}
	var found []Difference
	if d, ok := in.accessDifference(change); ok {
		found = append(found, d)
	}
	if len(change.missing) > 0 {
		found = append(found, in.difference(AspectPolicy, nil, change.missing, "%d declared statements are missing from the policy", len(change.missing)))
	}
	if len(change.removed) > 0 {
		found = append(found, in.difference(AspectPolicy, change.removed, nil, "%d statements of the policy are not declared: they are to be removed", len(change.removed)))
	}
	var steps []step
	if change.changed {
		steps = append(steps, step{differences: found, do: in.writePolicy(change)})
	}
	if len(change.refused) > 0 {
		d := in.difference(AspectPolicy, change.refused, nil, "%d statements of the policy are not declared, and declared to be refused", len(change.refused))
		d.Refused = true
		steps = append(steps, step{differences: []Difference{d}})
	}
	return steps, nil
}

// writePolicy returns what makes a change to the bucket's policy. It reads the
// policy again, since there is no writing it on condition that nobody else has,
// and the Plan may be old; a bucket just made has none.
func (in *inspection) writePolicy(change policyChange) func(context.Context) error {
	if in.missing {
		return in.write("policy", []byte(change.document))
	}
	return func(ctx context.Context) error {
		now, err := in.read(ctx, "policy", "NoSuchBucketPolicy")
		if err != nil {
			return err
		}
		document, needed, err := change.on(string(now))
		if err != nil {
			return &Error{Kind: ErrConfig, Op: "read policy", Bucket: in.bucket.name, Err: err, Advice: "mend or remove the bucket's policy"}
		}
		if !needed {
			return nil
		}
		return in.write("policy", []byte(document))(ctx)
	}
}

// accessOpen is a Difference's Have where anyone may do more than is declared.
type accessOpen struct {
	Access     string            `json:"access"` // "open"
	Statements []json.RawMessage `json:"statements"`
}

func (in *inspection) accessDifference(change policyChange) (Difference, bool) {
	want := "private"
	if in.bucket.public {
		want = "public"
	}
	open := accessOpen{"open", change.closed}
	switch n := len(change.closed); {
	case n > 0 && in.bucket.public:
		return in.difference(AspectAccess, open, want, "anyone may do more than read objects, by %d statements of the policy: they are to be removed", n), true
	case n > 0:
		return in.difference(AspectAccess, open, want, "the bucket is to be private, but %d statements of its policy let anyone in: they are to be removed", n), true
	case change.opened:
		return in.difference(AspectAccess, "private", want, "the bucket is to be public, but not everyone may read its objects"), true
	}
	return Difference{}, false
}

// createBucket is the body of a request that makes a bucket elsewhere than in
// S3's first region.
type createBucket struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CreateBucketConfiguration"`
	Location string   `xml:"LocationConstraint"`
}

// errMadeMeanwhile says that another process has created the bucket.
var errMadeMeanwhile = errors.New("another process created the bucket")

// create makes the bucket. Another process that does so at the same time is no
// error, and one that is still at it is waited for.
func (b *Bucket) create(ctx context.Context) error {
	r := bucketRequest{method: http.MethodPut}
	if b.declared.ObjectLock {
		r.header = http.Header{"X-Amz-Bucket-Object-Lock-Enabled": {"true"}}
	}
	if region := b.store.config.Region; region != defaultRegion {
		body, err := xml.Marshal(createBucket{Location: region})
		if err != nil {
			return err
		}
		r.body = body
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		_, err := b.ask(ctx, "create bucket", r)
		if code := codeOf(err); code == "OperationAborted" || code == "ConditionalRequestConflict" {
			return struct{}{}, err
		} else if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 200 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 5 * time.Second,
	}), backoff.WithMaxTries(8))
	switch codeOf(err) {
	case "BucketAlreadyOwnedByYou":
		return errMadeMeanwhile
	case "BucketAlreadyExists":
		// Some servers say so of one's own bucket too.
		if _, mine := b.ask(ctx, "read policy", bucketRequest{method: http.MethodGet, query: setting("policy")}); mine == nil || codeOf(mine) == "NoSuchBucketPolicy" {
			return errMadeMeanwhile
		}
		return &Error{Kind: ErrDenied, Op: "create bucket", Bucket: b.name, Err: err, Detail: "the name belongs to someone else", Advice: "choose another name: bucket names are shared by all accounts of a storage"}
	}
	if err != nil && KindOf(err) == 0 { // ctx ended between two tries
		return b.store.mapError(ctx, b.at("create bucket", Key{}), err)
	}
	return err
}
