package embeds3

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// A copy's source comes in a header, as "bucket/key", which the backend parses
// itself: everything before the first slash is the bucket, so no absolute path
// can be put there. It can be written as a path that climbs from wherever the
// working directory is to the root, where ".." leads nowhere further, and comes
// down to the file from there. The bucket then is "..", which attributes
// understands as well.
const (
	climbBucket = ".."
	climbLevels = 128 // deeper than any working directory
)

// climb writes an absolute path as a key in climbBucket.
func climb(path string) string {
	return strings.Repeat("../", climbLevels) + strings.TrimPrefix(filepath.ToSlash(path), "/")
}

// unclimb undoes climb and what cleaning made of it.
func unclimb(key string) string {
	key = filepath.ToSlash(key)
	for {
		rest, found := strings.CutPrefix(key, "../")
		if !found {
			return "/" + key
		}
		key = rest
	}
}

// source is a copy's source, found.
type source struct {
	bucket, key, version string
	path                 string // of the file
}

// header is the source as the backend is to parse it.
func (s source) header() *string {
	h := climbBucket + "/" + url.QueryEscape(climb(s.path))
	return &h
}

// source finds the file that header names and makes the checks which the
// backend, looking at "..", cannot make.
func (r rooted) source(ctx context.Context, header, expectedOwner *string) (source, error) {
	bucket, key, version, err := backend.ParseCopySource(deref(header))
	if err != nil {
		return source{}, err
	}
	s := source{bucket: bucket, key: key, version: version}
	if _, err := r.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket}); err != nil {
		return source{}, err
	}
	if want := deref(expectedOwner); want != "" {
		if ok, err := r.owns(ctx, bucket, want); err != nil || !ok {
			return source{}, orElse(err, s3err.GetAPIError(s3err.ErrAccessDenied))
		}
	}
	dir := r.path(bucket)
	s.path = filepath.Join(dir, key)
	if !strings.HasPrefix(s.path, dir+string(filepath.Separator)) {
		return source{}, s3err.GetAPIError(s3err.ErrNoSuchKey)
	}
	if strings.HasSuffix(key, "/") {
		s.path += "/" // a key that stands for a folder; joining dropped it
	}
	if version != "" {
		s.path, err = r.versionPath(ctx, s)
	}
	return s, err
}

// versionPath finds the file of a version: the object's own, or one among the
// earlier versions.
func (r rooted) versionPath(ctx context.Context, s source) (string, error) {
	if _, err := r.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &s.key, VersionId: &s.version}); err != nil {
		return "", err
	}
	now, err := r.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &s.key})
	if err == nil && deref(now.VersionId) == s.version {
		return s.path, nil
	}
	// An error here only says that the newest version is a deletion.
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(s.key)))
	return filepath.Join(r.versions, r.path(s.bucket), sum[:2], sum[2:4], sum[4:6], sum, s.version), nil
}

func (r rooted) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	src, err := r.source(ctx, in.CopySource, in.ExpectedSourceBucketOwner)
	if err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	onto := deref(in.Bucket) == src.bucket && deref(in.Key) == src.key && src.version == ""
	in.CopySource, in.ExpectedSourceBucketOwner = src.header(), nil
	in.Bucket = r.pathPtr(in.Bucket)
	if onto {
		// Onto itself, to change metadata. The backend compares the two paths, so
		// they have to be written alike.
		if in.MetadataDirective != types.MetadataDirectiveReplace && in.TaggingDirective != types.TaggingDirectiveReplace {
			return s3response.CopyObjectOutput{}, s3err.GetAPIError(s3err.ErrInvalidCopyDest)
		}
		bucket, key := climbBucket, climb(src.path)
		in.Bucket, in.Key = &bucket, &key
	}
	out, err := r.be.CopyObject(ctx, in)
	out.CopySourceVersionId = &src.version
	return out, named(err)
}

func (r rooted) UploadPartCopy(ctx context.Context, in *s3.UploadPartCopyInput) (s3response.CopyPartResult, error) {
	src, err := r.source(ctx, in.CopySource, in.ExpectedSourceBucketOwner)
	if err != nil {
		return s3response.CopyPartResult{}, err
	}
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	c.CopySource, c.ExpectedSourceBucketOwner = src.header(), nil
	out, err := r.be.UploadPartCopy(ctx, &c)
	out.CopySourceVersionId = src.version
	return out, named(err)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
