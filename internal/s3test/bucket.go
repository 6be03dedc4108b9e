package s3test

import (
	"context"
	"errors"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// cleanupTimeout bounds the removal of a test's bucket: the server may be gone.
const cleanupTimeout = 15 * time.Second

// Bucket makes a bucket for this test. The test's end removes it with all that
// is in it, as far as the server then lets it.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := bucketName(t.Name())
	c := s.client(t, 1)
	if err := c.MakeBucket(t.Context(), name, minio.MakeBucketOptions{Region: s.Region}); err != nil {
		t.Fatalf("s3test: make bucket %s on %s: %v", name, s.Endpoint, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		_ = removeBucket(ctx, c, name)
	})
	return name
}

// bucketName makes a test's name recognisable in a bucket's, within S3's rules.
func bucketName(test string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimPrefix(test, "Test")) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 40 {
			break
		}
	}
	return strings.TrimSuffix("t-"+b.String(), "-") + "-" + randomName()
}

func removeBucket(ctx context.Context, c *minio.Client, bucket string) error {
	var errs error
	for o := range c.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			return errors.Join(errs, o.Err)
		}
		errs = errors.Join(errs, c.RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID, GovernanceBypass: true}))
	}
	for u := range c.ListIncompleteUploads(ctx, bucket, "", true) {
		if u.Err != nil {
			break
		}
		core := minio.Core{Client: c}
		errs = errors.Join(errs, core.AbortMultipartUpload(ctx, bucket, u.Key, u.UploadID))
	}
	return errors.Join(errs, c.RemoveBucket(ctx, bucket))
}

// Leftovers lists what is in a bucket: the keys of all its objects, and the
// multipart uploads that were neither completed nor aborted, as "key uploadID".
// Both are sorted, and empty where nothing is left.
func Leftovers(t testing.TB, s *Server, bucket string) (objects, uploads []string) {
	t.Helper()
	c := s.client(t, 1)
	for o := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatalf("s3test: list objects of %s: %v", bucket, o.Err)
		}
		objects = append(objects, o.Key)
	}
	for u := range c.ListIncompleteUploads(t.Context(), bucket, "", true) {
		if u.Err != nil {
			t.Fatalf("s3test: list multipart uploads of %s: %v", bucket, u.Err)
		}
		uploads = append(uploads, u.Key+" "+u.UploadID)
	}
	sort.Strings(objects)
	sort.Strings(uploads)
	return objects, uploads
}
