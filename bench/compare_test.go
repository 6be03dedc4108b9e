package bench

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

const (
	bucket    = "bench"
	accessKey = "bench-access"
	secretKey = "bench-secret-0123456789"
)

// newField returns a field that takes anything, on the storage at endpoint.
func newField(t testing.TB, endpoint string) *core.Field {
	t.Helper()
	store, err := core.Open(core.Config{
		Endpoint: endpoint, AccessKey: accessKey, SecretKey: secretKey,
		SigningKeys: []core.Secret{"a signing key of 32 or more bytes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: core.Unlimited})
}

func newClient(t testing.TB, endpoint string) *minio.Client {
	t.Helper()
	client, err := minio.New(endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

var object = core.Object{Bucket: bucket, Name: "holiday photo.png", Size: 123456, Type: "image/png", CRC32C: "AAAAAA==", Width: 800, Height: 600}

const key = "2026-11-22/h5zl3x7qkd4w2mfa6ynr3t5uve.png"

func mustKey(t testing.TB) core.Key {
	t.Helper()
	k, err := core.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func BenchmarkPresign(b *testing.B) {
	const unused = "127.0.0.1:9"
	b.Run("filefield", func(b *testing.B) {
		field, k := newField(b, unused), mustKey(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := field.URL(b.Context(), k, core.URLOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("minio-go", func(b *testing.B) {
		client := newClient(b, unused)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.PresignedGetObject(b.Context(), bucket, key, time.Hour, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkToken(b *testing.B) {
	field := newField(b, "127.0.0.1:9")
	o := object
	o.Key = mustKey(b)
	token := field.Sign(o, "")
	b.Run("sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			field.Sign(o, "")
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
	b.Run("refuse a forged one", func(b *testing.B) {
		forged := "B" + token[1:] // it begins with the version, "A"
		b.ReportAllocs()
		for b.Loop() {
			if _, err := field.Verify(forged); err == nil {
				b.Fatal("a forged token was accepted")
			}
		}
	})
}

func BenchmarkKey(b *testing.B) {
	naming := core.Naming{Field: "file", Name: "holiday photo.png", Type: "image/png", Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	for name, makeKey := range map[string]core.UploadTo{
		"RandomName": core.RandomName, "ISODatePrefix": core.ISODatePrefix, "Strftime": core.Strftime("%Y/%m/%d", nil),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				made, err := makeKey(naming)
				if err == nil {
					_, err = core.ParseKey(made)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRequest is a request that brings no file, without and with what the
// library puts before its handler.
func BenchmarkRequest(b *testing.B) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	field := newField(b, "127.0.0.1:9")
	for _, bb := range []struct {
		name    string
		handler http.Handler
	}{
		{"without middleware", answer},
		{"with Middleware", nethttp.Middleware(answer)},
		{"with Middleware and Uploads", nethttp.Middleware(nethttp.Uploads(field)(answer))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			w := discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				bb.handler.ServeHTTP(w, r)
			}
		})
	}
}

// discard is the cheapest ResponseWriter.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// BenchmarkUpload stores content of unknown length, as it comes out of a form,
// in a sink.
func BenchmarkUpload(b *testing.B) {
	endpoint := startSink(b)
	for _, size := range []int{10 << 10, 64 << 20} {
		content := make([]byte, size)
		rand.NewChaCha8([32]byte{1}).Read(content)
		name := strconv.Itoa(size>>10) + "KiB/"
		b.Run(name+"filefield", func(b *testing.B) {
			field := newField(b, endpoint)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				o, err := field.Save(b.Context(), core.Upload{Body: unsized(content), Name: "a.bin"})
				if err != nil || o.Size != int64(size) {
					b.Fatalf("Save = %d bytes, %v; want %d", o.Size, err, size)
				}
			}
		})
		b.Run(name+"minio-go", func(b *testing.B) {
			client := newClient(b, endpoint)
			options := minio.PutObjectOptions{PartSize: 5 << 20}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				info, err := client.PutObject(b.Context(), bucket, key, unsized(content), -1, options)
				if err != nil || info.Size != int64(size) {
					b.Fatalf("PutObject = %d bytes, %v; want %d", info.Size, err, size)
				}
			}
		})
	}
}

// unsized hides the reader's length, and that it could seek.
func unsized(content []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(content)} }
