package sink_test

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/bench/sink"
)

func TestClientsTakeItForS3(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(sink.Handler())
	defer server.Close()
	client, err := minio.New(strings.TrimPrefix(server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4("key", "secret", ""), Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"one PUT": 10, "a multipart upload": 11 << 20} {
		content := bytes.NewReader(make([]byte, size))
		info, err := client.PutObject(t.Context(), "bucket", "key", content, size, minio.PutObjectOptions{PartSize: 5 << 20})
		if err != nil || info.Size != size {
			t.Errorf("%s: PutObject = %d bytes, %v; want %d", name, info.Size, err, size)
		}
	}
	if err := client.RemoveObject(t.Context(), "bucket", "key", minio.RemoveObjectOptions{}); err != nil {
		t.Errorf("RemoveObject: %v, want no error", err)
	}
	if ok, err := client.BucketExists(t.Context(), "bucket"); err != nil || !ok {
		t.Errorf("BucketExists = %v, %v; want true", ok, err)
	}
}
