package fieldtype_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// listed is the field of the benchmark's rows.
type listed struct{}

var listedFields = make(chan *core.Field, 1)

func (listed) FileField() *core.Field {
	f := <-listedFields
	listedFields <- f
	return f
}

// noNetwork fails the benchmark if storage is asked anything.
type noNetwork struct{ b *testing.B }

func (n noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.b.Errorf("a list asked storage: %s %s", r.Method, r.URL)
	return nil, http.ErrServerClosed
}

// BenchmarkListPage makes the JSON of a page of 500 private files: with URLs made
// in an earlier page view, with new ones each time, and as apps do with minio-go.
func BenchmarkListPage(b *testing.B) {
	const files = 500
	now := time.Now()
	store, err := core.Open(core.Config{
		Endpoint: "storage.example:9000", AccessKey: "access", SecretKey: "secret", SigningKeys: []core.Secret{"a key for benchmarks"},
		Transport: noNetwork{b}, Now: func() time.Time { return now },
	})
	if err != nil {
		b.Fatal(err)
	}
	listedFields <- store.Field(core.FieldConfig{Name: "photo", Bucket: "photos", URLExpiry: time.Hour})
	type row struct {
		ID    int                    `json:"id"`
		Photo fieldtype.File[listed] `json:"photo"`
	}
	page := make([]row, files)
	for i := range page {
		column := fmt.Sprintf(`{"v":1,"key":"2026-11-22/h5zl3x7qk2m4n6p8r%03d.png","name":"photo %d.png","size":123456,"type":"image/png"}`, i, i)
		if page[i].ID = i; page[i].Photo.Scan(column) != nil {
			b.Fatal(page[i].Photo.Scan(column))
		}
	}
	list := func(b *testing.B, step time.Duration) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(step)
			if _, err := json.Marshal(page); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("URLs from memory", func(b *testing.B) { list(b, 0) })
	b.Run("new URLs", func(b *testing.B) { list(b, time.Hour) })
	b.Run("minio-go", func(b *testing.B) {
		client, err := minio.New("storage.example:9000", &minio.Options{Creds: credentials.NewStaticV4("access", "secret", ""), Region: "us-east-1", Transport: noNetwork{b}})
		if err != nil {
			b.Fatal(err)
		}
		type file struct {
			Name string `json:"name"`
			Type string `json:"type"`
			Size int64  `json:"size"`
			URL  string `json:"url"`
		}
		type row struct {
			ID    int  `json:"id"`
			Photo file `json:"photo"`
		}
		b.ReportAllocs()
		for b.Loop() {
			out := make([]row, files)
			for i := range page {
				o := page[i].Photo.Object()
				u, err := client.PresignedGetObject(b.Context(), "photos", o.Key.String(), time.Hour, nil)
				if err != nil {
					b.Fatal(err)
				}
				out[i] = row{i, file{o.Name, o.Type, o.Size, u.String()}}
			}
			if _, err := json.Marshal(out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
