package s3test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	s := Start(t)
	c := s.Client(t)

	var names []string
	t.Run("is a new one for every call", func(t *testing.T) {
		names = []string{s.Bucket(t), s.Bucket(t)}
		if names[0] == names[1] {
			t.Errorf("two buckets are both named %q, want different names", names[0])
		}
		for _, name := range names {
			if ok, err := c.BucketExists(t.Context(), name); err != nil || !ok {
				t.Errorf("BucketExists(%q) = %v, %v; want true, no error", name, ok, err)
			}
		}
		// A versioned bucket with everything in it that keeps a bucket from being removed.
		if err := c.EnableVersioning(t.Context(), names[0]); err != nil {
			t.Fatalf("enable versioning: %v", err)
		}
		put(t, c, names[0], "a/b", "one")
		put(t, c, names[0], "a/b", "two")
		put(t, c, names[0], "gone", "three")
		if err := c.RemoveObject(t.Context(), names[0], "gone", minio.RemoveObjectOptions{}); err != nil {
			t.Fatalf("remove: %v", err)
		}
		newUpload(t, c, names[0], "big")
	})
	for _, name := range names {
		gone(t, c, name)
	}
}

// gone waits until a bucket is not there: MinIO, busy with others, may for a moment
// still know one that it has removed.
func gone(t *testing.T, c *minio.Client, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := poll(ctx, func() error {
		switch there, err := c.BucketExists(ctx, name); {
		case err != nil:
			return err
		case there:
			return errors.New("it is still there")
		default:
			return nil
		}
	})
	if err != nil {
		t.Errorf("bucket %s after its test: %v", name, err)
	}
}

func TestBucketNamesFollowTheRules(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
	for _, test := range []string{
		"TestSave", "TestSave/takes_the_next_name", "TestÜber/" + strings.Repeat("long ", 40), "", "Test", "Test/#00", "TestA///b",
	} {
		if got := bucketName(test); !valid.MatchString(got) || strings.Contains(got, "--") {
			t.Errorf("bucketName(%q) = %q, want a valid bucket name", test, got)
		}
	}
}

func TestLeftoversListsObjectsAndOpenUploads(t *testing.T) {
	t.Parallel()
	s := Start(t)
	c, bucket := s.Client(t), s.Bucket(t)

	if objects, uploads := Leftovers(t, s, bucket); len(objects)+len(uploads) != 0 {
		t.Errorf("a new bucket has objects %q and uploads %q, want none", objects, uploads)
	}
	put(t, c, bucket, "z", "1")
	put(t, c, bucket, "a/ü b", "2")
	id := newUpload(t, c, bucket, "deep/er/big.bin")
	objects, uploads := Leftovers(t, s, bucket)
	if want := []string{"a/ü b", "z"}; !slices.Equal(objects, want) {
		t.Errorf("objects are %q, want %q", objects, want)
	}
	if want := []string{"deep/er/big.bin " + id}; !slices.Equal(uploads, want) {
		t.Errorf("uploads are %q, want %q", uploads, want)
	}

	if err := (minio.Core{Client: c}).AbortMultipartUpload(t.Context(), bucket, "deep/er/big.bin", id); err != nil {
		t.Fatalf("abort: %v", err)
	}
	if _, uploads := Leftovers(t, s, bucket); len(uploads) != 0 {
		t.Errorf("after the abort, uploads are %q, want none", uploads)
	}
}

func put(t *testing.T, c *minio.Client, bucket, key, content string) {
	t.Helper()
	_, err := c.PutObject(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatalf("put %s/%s: %v", bucket, key, err)
	}
}

func newUpload(t *testing.T, c *minio.Client, bucket, key string) string {
	t.Helper()
	core := minio.Core{Client: c}
	id, err := core.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
	if err != nil {
		t.Fatalf("new upload of %s/%s: %v", bucket, key, err)
	}
	part := strings.Repeat("x", 1024)
	if _, err := core.PutObjectPart(t.Context(), bucket, key, id, 1, strings.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{}); err != nil {
		t.Fatalf("put part of %s/%s: %v", bucket, key, err)
	}
	return id
}
