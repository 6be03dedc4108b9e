package embeds3

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/s3response"
)

// The operations on objects and uploads. Each takes a copy of its input, since
// the gateway goes on using the original.

func (r rooted) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	in.Bucket, in.ContentEncoding = r.pathPtr(in.Bucket), contentEncoding(in.ContentEncoding)
	out, err := r.be.PutObject(ctx, in)
	return out, named(err)
}

func (r rooted) HeadObject(ctx context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.HeadObject(ctx, &c)
	return out, named(err)
}

func (r rooted) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.GetObject(ctx, &c)
	return out, named(err)
}

func (r rooted) GetObjectAttributes(ctx context.Context, in *s3.GetObjectAttributesInput) (s3response.GetObjectAttributesResponse, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.GetObjectAttributes(ctx, &c)
	return out, named(err)
}

func (r rooted) GetObjectAcl(ctx context.Context, in *s3.GetObjectAclInput) (*s3.GetObjectAclOutput, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.GetObjectAcl(ctx, &c)
	return out, named(err)
}

func (r rooted) PutObjectAcl(ctx context.Context, in *s3.PutObjectAclInput) error {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	return named(r.be.PutObjectAcl(ctx, &c))
}

func (r rooted) RestoreObject(ctx context.Context, in *s3.RestoreObjectInput) error {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	return named(r.be.RestoreObject(ctx, &c))
}

func (r rooted) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.DeleteObject(ctx, &c)
	return out, named(err)
}

func (r rooted) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.DeleteObjects(ctx, &c)
	return out, named(err)
}

func (r rooted) ListObjects(ctx context.Context, in *s3.ListObjectsInput) (s3response.ListObjectsResult, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.ListObjects(ctx, &c)
	out.Name = in.Bucket
	return out, named(err)
}

func (r rooted) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input) (s3response.ListObjectsV2Result, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.ListObjectsV2(ctx, &c)
	out.Name = in.Bucket
	return out, named(err)
}

func (r rooted) ListObjectVersions(ctx context.Context, in *s3.ListObjectVersionsInput) (s3response.ListVersionsResult, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.ListObjectVersions(ctx, &c)
	out.Name = in.Bucket
	return out, named(err)
}

func (r rooted) CreateMultipartUpload(ctx context.Context, in s3response.CreateMultipartUploadInput) (s3response.InitiateMultipartUploadResult, error) {
	bucket := in.Bucket
	in.Bucket, in.ContentEncoding = r.pathPtr(bucket), contentEncoding(in.ContentEncoding)
	out, err := r.be.CreateMultipartUpload(ctx, in)
	if bucket != nil {
		out.Bucket = *bucket
	}
	return out, named(err)
}

func (r rooted) UploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.UploadPart(ctx, &c)
	return out, named(err)
}

func (r rooted) ListParts(ctx context.Context, in *s3.ListPartsInput) (s3response.ListPartsResult, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.ListParts(ctx, &c)
	if in.Bucket != nil {
		out.Bucket = *in.Bucket
	}
	return out, named(err)
}

func (r rooted) ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput) (s3response.ListMultipartUploadsResult, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, err := r.be.ListMultipartUploads(ctx, &c)
	if in.Bucket != nil {
		out.Bucket = *in.Bucket
	}
	return out, named(err)
}

func (r rooted) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput) error {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	return named(r.be.AbortMultipartUpload(ctx, &c))
}

func (r rooted) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	c := *in
	c.Bucket = r.pathPtr(in.Bucket)
	out, version, err := r.be.CompleteMultipartUpload(ctx, &c)
	out.Bucket = in.Bucket
	return out, version, named(err)
}

func (r rooted) GetObjectTagging(ctx context.Context, bucket, object, version string) (map[string]string, error) {
	out, err := r.be.GetObjectTagging(ctx, r.path(bucket), object, version)
	return out, named(err)
}

func (r rooted) PutObjectTagging(ctx context.Context, bucket, object, version string, tags map[string]string) error {
	return named(r.be.PutObjectTagging(ctx, r.path(bucket), object, version, tags))
}

func (r rooted) DeleteObjectTagging(ctx context.Context, bucket, object, version string) error {
	return named(r.be.DeleteObjectTagging(ctx, r.path(bucket), object, version))
}

func (r rooted) GetObjectRetention(ctx context.Context, bucket, object, version string) ([]byte, error) {
	out, err := r.be.GetObjectRetention(ctx, r.path(bucket), object, version)
	return out, named(err)
}

func (r rooted) PutObjectRetention(ctx context.Context, bucket, object, version string, retention []byte) error {
	return named(r.be.PutObjectRetention(ctx, r.path(bucket), object, version, retention))
}

func (r rooted) GetObjectLegalHold(ctx context.Context, bucket, object, version string) (*bool, error) {
	out, err := r.be.GetObjectLegalHold(ctx, r.path(bucket), object, version)
	return out, named(err)
}

func (r rooted) PutObjectLegalHold(ctx context.Context, bucket, object, version string, hold bool) error {
	return named(r.be.PutObjectLegalHold(ctx, r.path(bucket), object, version, hold))
}

// contentEncoding takes "aws-chunked" off, as S3 does: it names how the request
// was signed, and a browser that gets it back does not know what to do with it.
func contentEncoding(header *string) *string {
	if header == nil {
		return nil
	}
	var kept []string
	for coding := range strings.SplitSeq(*header, ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			kept = append(kept, coding)
		}
	}
	joined := strings.Join(kept, ", ")
	return &joined
}
