package core

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

func TestAnObjectHasTheHeadersThatMinioGoMakes(t *testing.T) {
	t.Parallel()
	customer, err := encrypt.NewSSEC(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	managed, err := encrypt.NewSSEKMS("key", map[string]string{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options minio.PutObjectOptions
		must    condition
	}{
		{"nothing", minio.PutObjectOptions{}, condition{}},
		{"what a small file has", minio.PutObjectOptions{
			ContentType: "image/png", ContentDisposition: `inline; filename="a.png"`,
			UserMetadata: map[string]string{metaUpload: "id", metaName: "a.png", metaType: "image/png", metaSize: "1x2", metaTurn: "6", metaBlur: "x", metaSource: "e", "x-amz-checksum-crc32c": "AAAAAA=="},
		}, condition{free: true}},
		{"all that an app may set", minio.PutObjectOptions{
			ContentType: "text/css; charset=utf-8", ContentEncoding: "br", CacheControl: "no-store", StorageClass: "STANDARD_IA",
			UserMetadata: map[string]string{"x-amz-meta-Some-NAME_of.an-App": "a  b", "x-amz-meta-empty": "", "x-amz-meta-content-type": "no header"},
			UserTags:     map[string]string{"a b": "c&d", "ü": "é="},
			Mode:         minio.Compliance, RetainUntilDate: time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("east", 3600)), LegalHold: minio.LegalHoldEnabled,
		}, condition{etag: "abc"}},
		{"a customer's key", minio.PutObjectOptions{ServerSideEncryption: customer}, condition{}},
		{"a managed key", minio.PutObjectOptions{ServerSideEncryption: managed}, condition{}},
		{"the storage's own key", minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()}, condition{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := putHeader(c.options, c.must)
			c.must.set(&c.options)
			if want := c.options.Header(); !maps.EqualFunc(got, want, slices.Equal[[]string]) {
				t.Errorf("ours\n%v\nminio-go's\n%v", got, want)
			}
		})
	}
}
