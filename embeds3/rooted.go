package embeds3

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// rooted is the gateway's file system backend, made independent of the
// process's working directory.
//
// That backend changes the working directory to its own folder and takes a
// bucket's name as a path relative to it. Inside somebody's app this will not
// do: the app's relative paths (templates, a database file) would suddenly mean
// the bucket folder. rooted therefore never lets it change the directory and
// hands it absolute paths for names. Names in answers are put back.
//
// Every method of the interface is written out on purpose: an embedded backend
// would quietly serve a method a later version adds with a relative path.
type rooted struct {
	be       *posix.Posix
	objects  string // absolute folder of the buckets
	versions string // absolute folder of the earlier versions
}

var _ backend.Backend = rooted{}

// path returns the absolute folder of a bucket. The gateway checks names before
// they come here; should one slip through that could leave the folder, it
// becomes a bucket that does not exist.
func (r rooted) path(bucket string) string {
	if !isBucketName(bucket) {
		bucket = ".no-such-bucket"
	}
	return filepath.Join(r.objects, bucket)
}

func (r rooted) pathPtr(bucket *string) *string {
	if bucket == nil {
		return nil
	}
	p := r.path(*bucket)
	return &p
}

// named puts the bucket's name back into an error that carries its path, and
// gives a body that broke off its own error: the gateway would call it an
// internal one, and print it.
func named(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return s3err.GetAPIError(s3err.ErrIncompleteBody)
	}
	var be s3err.BucketError
	if errors.As(err, &be) {
		be.BucketName = filepath.Base(be.BucketName)
		return be
	}
	return err
}

func (r rooted) String() string { return "embeds3" }

func (r rooted) Shutdown() { r.be.Shutdown() }

func (r rooted) NormalizeObjectKey(bucket, object string) string {
	return r.be.NormalizeObjectKey(bucket, object) // computes, touches no file
}

// ListBuckets lists all buckets: there is only the one account.
func (r rooted) ListBuckets(_ context.Context, in s3response.ListBucketsInput) (s3response.ListAllMyBucketsResult, error) {
	out := s3response.ListAllMyBucketsResult{Owner: s3response.CanonicalUser{ID: in.Owner}, Prefix: in.Prefix}
	entries, err := os.ReadDir(r.objects) // sorted by name
	if err != nil {
		return out, fmt.Errorf("list buckets: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || !isBucketName(e.Name()) || !strings.HasPrefix(e.Name(), in.Prefix) || e.Name() <= in.ContinuationToken {
			continue
		}
		found := out.Buckets.Bucket
		if len(found) > 0 && len(found) == int(in.MaxBuckets) {
			out.ContinuationToken = found[len(found)-1].Name
			break
		}
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		out.Buckets.Bucket = append(found, s3response.ListAllMyBucketsEntry{Name: e.Name(), CreationDate: info.ModTime()})
	}
	return out, nil
}

// ListBucketsAndOwners serves the gateway's own administration interface, which
// has nothing to offer with one account.
func (r rooted) ListBucketsAndOwners(context.Context) ([]s3response.Bucket, error) {
	return nil, s3err.GetAPIError(s3err.ErrNotImplemented)
}

// ChangeBucketOwner is part of the same interface.
func (r rooted) ChangeBucketOwner(context.Context, string, string) error {
	return s3err.GetAPIError(s3err.ErrNotImplemented)
}

func (r rooted) HeadBucket(ctx context.Context, in *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.HeadBucket(ctx, &c)
	return out, named(err)
}

func (r rooted) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	return named(r.be.CreateBucket(ctx, &c, acl))
}

func (r rooted) DeleteBucket(ctx context.Context, bucket string) error {
	return named(r.be.DeleteBucket(ctx, r.path(bucket)))
}

func (r rooted) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.GetBucketAcl(ctx, &c)
	return out, named(err)
}

func (r rooted) PutBucketAcl(ctx context.Context, bucket string, data []byte) error {
	return named(r.be.PutBucketAcl(ctx, r.path(bucket), data))
}

func (r rooted) GetBucketVersioning(ctx context.Context, bucket string) (s3response.GetBucketVersioningOutput, error) {
	out, err := r.be.GetBucketVersioning(ctx, r.path(bucket))
	return out, named(err)
}

func (r rooted) PutBucketVersioning(ctx context.Context, bucket string, status types.BucketVersioningStatus) error {
	return named(r.be.PutBucketVersioning(ctx, r.path(bucket), status))
}

func (r rooted) GetBucketPolicy(ctx context.Context, bucket string) ([]byte, error) {
	out, err := r.be.GetBucketPolicy(ctx, r.path(bucket))
	return out, named(err)
}

func (r rooted) PutBucketPolicy(ctx context.Context, bucket string, policy []byte) error {
	return named(r.be.PutBucketPolicy(ctx, r.path(bucket), policy))
}

func (r rooted) DeleteBucketPolicy(ctx context.Context, bucket string) error {
	return named(r.be.DeleteBucketPolicy(ctx, r.path(bucket)))
}

func (r rooted) GetBucketOwnershipControls(ctx context.Context, bucket string) (types.ObjectOwnership, error) {
	out, err := r.be.GetBucketOwnershipControls(ctx, r.path(bucket))
	return out, named(err)
}

func (r rooted) PutBucketOwnershipControls(ctx context.Context, bucket string, o types.ObjectOwnership) error {
	return named(r.be.PutBucketOwnershipControls(ctx, r.path(bucket), o))
}

func (r rooted) DeleteBucketOwnershipControls(ctx context.Context, bucket string) error {
	return named(r.be.DeleteBucketOwnershipControls(ctx, r.path(bucket)))
}

func (r rooted) GetBucketCors(ctx context.Context, bucket string) ([]byte, error) {
	out, err := r.be.GetBucketCors(ctx, r.path(bucket))
	return out, named(err)
}

func (r rooted) PutBucketCors(ctx context.Context, bucket string, cors []byte) error {
	return named(r.be.PutBucketCors(ctx, r.path(bucket), cors))
}

func (r rooted) DeleteBucketCors(ctx context.Context, bucket string) error {
	return named(r.be.DeleteBucketCors(ctx, r.path(bucket)))
}

func (r rooted) GetBucketWebsite(ctx context.Context, bucket string) ([]byte, error) {
	out, err := r.be.GetBucketWebsite(ctx, r.path(bucket))
	return out, named(err)
}

func (r rooted) PutBucketWebsite(ctx context.Context, bucket string, website []byte) error {
	return named(r.be.PutBucketWebsite(ctx, r.path(bucket), website))
}

func (r rooted) DeleteBucketWebsite(ctx context.Context, bucket string) error {
	return named(r.be.DeleteBucketWebsite(ctx, r.path(bucket)))
}

func (r rooted) GetBucketTagging(ctx context.Context, bucket string) (map[string]string, error) {
	out, err := r.be.GetBucketTagging(ctx, r.path(bucket))
	return out, named(err)
}

func (r rooted) PutBucketTagging(ctx context.Context, bucket string, tags map[string]string) error {
	return named(r.be.PutBucketTagging(ctx, r.path(bucket), tags))
}

func (r rooted) DeleteBucketTagging(ctx context.Context, bucket string) error {
	return named(r.be.DeleteBucketTagging(ctx, r.path(bucket)))
}

func (r rooted) GetObjectLockConfiguration(ctx context.Context, bucket string) ([]byte, error) {
	out, err := r.be.GetObjectLockConfiguration(ctx, r.path(bucket))
	return out, named(err)
}

func (r rooted) PutObjectLockConfiguration(ctx context.Context, bucket string, config []byte) error {
	return named(r.be.PutObjectLockConfiguration(ctx, r.path(bucket), config))
}

// SelectObjectContent is not implemented by the backend either.
func (r rooted) SelectObjectContent(ctx context.Context, in *s3.SelectObjectContentInput) func(w *bufio.Writer) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	return r.be.SelectObjectContent(ctx, &c)
}

// owns reports whether account owns a bucket.
func (r rooted) owns(ctx context.Context, bucket, account string) (bool, error) {
	data, err := r.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &bucket})
	if err != nil {
		return false, err
	}
	acl, err := auth.ParseACL(data)
	return acl.Owner == account, err
}
