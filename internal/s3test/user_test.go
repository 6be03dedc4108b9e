package s3test

import (
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func TestAUserMayDoWhatItsPolicyAllows(t *testing.T) {
	t.Parallel()
	s := Start(t)
	if s.Engine != MinIO {
		return // one account
	}
	bucket := s.Bucket(t)
	access, secret := s.User(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::`+bucket+`"]}]}`)
	client, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: s.Region, MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := client.BucketExists(t.Context(), bucket); !ok || err != nil {
		t.Errorf("the bucket exists for its user: %t, %v", ok, err)
	}
	if _, err := client.GetBucketPolicy(t.Context(), bucket); minio.ToErrorResponse(err).Code != "AccessDenied" {
		t.Errorf("a read of the policy: %v, want AccessDenied", err)
	}
}
