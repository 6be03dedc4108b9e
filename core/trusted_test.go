package core_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestContentOfTheAppsOwnIsStoredUnderItsTypeAndInline(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	for how, size := range sizes {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			saved, err := store.Bucket(bucket).Save(t.Context(), strings.ReplaceAll(how, " ", "-")+"/app.js.br", core.Upload{
				Body: bytes.NewReader(random(1, size)), Replace: true,
				Trusted: &core.Trusted{Type: "text/javascript; charset=utf-8", Encoding: "br"},
			})
			if err != nil {
				t.Fatal(err)
			}
			info, err := s.Client(t).StatObject(t.Context(), bucket, saved.Key.String(), minio.StatObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for header, want := range map[string]string{
				"Content-Type": "text/javascript; charset=utf-8", "Content-Encoding": "br", "Content-Disposition": "",
			} {
				if got := info.Metadata.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if stat, err := store.Bucket(bucket).Stat(t.Context(), saved.Key); err != nil || stat.Type != saved.Type || stat.Type == "" {
				t.Errorf("stat says %q, %v; save said %q", stat.Type, err, saved.Type)
			}
		})
	}
}

func TestContentThatIsNotTrustedStaysHarmless(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	saved, err := store.Bucket(bucket).Save(t.Context(), "app.svg", core.Upload{Body: strings.NewReader("<svg/>"), Type: "image/svg+xml"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Client(t).StatObject(t.Context(), bucket, saved.Key.String(), minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Metadata.Get("Content-Disposition"); info.ContentType != "application/octet-stream" || !strings.HasPrefix(got, "attachment") {
		t.Errorf("it is served as %q, %q", info.ContentType, got)
	}
}

func TestTrustedContentIsRefusedWhereItMakesNoSense(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
	good := &core.Trusted{Type: "text/css"}
	for name, save := range map[string]func() error{
		"in a field, whose files come from clients": func() error {
			_, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("a"), Name: "a.css", Trusted: good})
			return err
		},
		"without a type": func() error { return saveTrusted(t, store.Bucket(bucket), core.Trusted{}) },
		"with a type that would end its header": func() error {
			return saveTrusted(t, store.Bucket(bucket), core.Trusted{Type: "text/css\r\nX-Evil: 1"})
		},
		"with an encoding that would end its header": func() error {
			return saveTrusted(t, store.Bucket(bucket), core.Trusted{Type: "text/css", Encoding: "gzip\nX-Evil: 1"})
		},
	} {
		if err := save(); core.KindOf(err) != core.ErrConfig {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if n := recorder.Count(http.MethodPut); n != 0 {
		t.Errorf("%d writes were sent", n)
	}
}

func saveTrusted(t *testing.T, b *core.Bucket, trusted core.Trusted) error {
	t.Helper()
	_, err := b.Save(t.Context(), "a.css", core.Upload{Body: strings.NewReader("a"), Trusted: &trusted})
	return err
}

func TestTheStaticBucketIsPublic(t *testing.T) {
	t.Parallel()
	base := core.Config{Endpoint: "localhost:9000", AccessKey: "a", SecretKey: "b", StaticBucket: "static-files"}
	store, err := core.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	if b := store.Bucket(store.StaticBucket()); !b.Public() || len(store.Buckets()) != 1 || b.Declaration().Name != "" {
		t.Errorf("the buckets are %v; public: %v", store.Buckets(), b.Public())
	}
	for name, change := range map[string]func(*core.Config){
		"private by the configuration":        func(c *core.Config) { c.PrivateBuckets = []string{"static-files"} },
		"the bucket of fields that name none": func(c *core.Config) { c.DefaultBucket = "static-files" },
		"no name of a bucket":                 func(c *core.Config) { c.StaticBucket = "Static_Files" },
	} {
		config := base
		change(&config)
		if _, err := core.Open(config); core.KindOf(err) != core.ErrConfig || !strings.Contains(err.Error(), config.StaticBucket) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	public := base
	public.PublicBuckets, public.DefaultBucket = []string{"static-files"}, "static-files"
	if _, err := core.Open(public); err != nil {
		t.Errorf("declared public on purpose, it may be both: %v", err)
	}
}
