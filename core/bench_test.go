package core_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
)

// sink is a storage that takes everything at once and keeps nothing, so that
// what is measured is this library and its client.
type sink struct{}

func (sink) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	answer := &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Etag": {`"0123456789abcdef0123456789abcdef"`}},
	}
	body := ""
	if r.Method == http.MethodPost {
		body = "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>"
		if r.URL.Query().Has("uploadId") {
			body = "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>e</ETag></CompleteMultipartUploadResult>"
		}
	}
	answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return answer, nil
}

// benchField returns a field of a Store whose requests go into the sink.
func benchField(b *testing.B) *core.Field {
	b.Helper()
	store, err := core.Open(core.Config{
		Endpoint: "storage.example:9000", AccessKey: "access", SecretKey: "secret", SigningKeys: []core.Secret{"a key for benchmarks"},
		PublicBuckets: []string{"public"}, Transport: sink{},
	})
	if err != nil {
		b.Fatal(err)
	}
	return store.Field(core.FieldConfig{Name: "file", Bucket: "bench", MaxSize: core.GiB})
}

// zeros is a body of n zero bytes that costs next to nothing to read.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	return n, nil
}

func BenchmarkSave(b *testing.B) {
	for _, size := range []int64{10 * core.KiB, core.MiB, 64 * core.MiB} {
		b.Run(fmt.Sprintf("%d KiB", size/core.KiB), func(b *testing.B) {
			field := benchField(b)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := field.Save(b.Context(), core.Upload{Body: &zeros{size}, Name: "data.bin"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkURL compares the URLs of one object: minio-go's presigned one, ours
// made anew and from memory, and the plain one of a public bucket.
func BenchmarkURL(b *testing.B) {
	key, err := core.ParseKey("2026-11-22/h5zl3x7qk2m4n6p8r0.png")
	if err != nil {
		b.Fatal(err)
	}
	private := benchField(b).Bucket()
	for name, c := range map[string]struct {
		bucket  *core.Bucket
		options core.URLOptions
	}{
		"presigned":             {private, core.URLOptions{Window: core.NoWindow}},
		"presigned from memory": {private, core.URLOptions{}},
		"public":                {benchField(b).Store().Bucket("public"), core.URLOptions{}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.bucket.URL(b.Context(), key, c.options); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("presigned by minio-go", func(b *testing.B) {
		client, err := minio.New("s3.example.org", &minio.Options{Creds: credentials.NewStaticV4("access", "secret", ""), Secure: true, Region: "us-east-1"})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.PresignedGetObject(b.Context(), "media", key.String(), time.Hour, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	field := benchField(b)
	key, err := core.ParseKey("2026-11-22/h5zl3x7qk2m4n6p8r0.png")
	if err != nil {
		b.Fatal(err)
	}
	object := core.Object{Bucket: "bench", Key: key, Name: "holiday photo.png", Size: 1 << 20, Type: "image/png", CRC32C: "ipE2qg==", Width: 640, Height: 480}
	token := field.Sign(object, "42")
	b.Run("sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if field.Sign(object, "42") == "" {
				b.Fatal("no token")
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := field.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkUploadTo(b *testing.B) {
	for name, uploadTo := range map[string]core.UploadTo{"random name": core.RandomName, "kept name below its date": core.ISODatePrefix} {
		b.Run(name, func(b *testing.B) {
			naming := core.Naming{Field: "file", Name: "holiday photo.png", Type: "image/png"}
			b.ReportAllocs()
			for b.Loop() {
				made, err := uploadTo(naming)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := core.ParseKey(made); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
