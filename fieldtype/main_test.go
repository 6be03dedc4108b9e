package fieldtype_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }

const (
	storageSecret = "the-secret-of-the-storage"
	signingKey    = "the signing key of these tests"
	newSigningKey = "the signing key that replaced it"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// offline returns a Store that no test sends a request with.
func offline(now time.Time, keys ...core.Secret) *core.Store {
	return core.MustOpen(core.Config{
		Endpoint: "storage.example:9000", AccessKey: "access", SecretKey: storageSecret,
		PublicBuckets: []string{"posters"}, SigningKeys: keys, TokenExpiry: 24 * time.Hour,
		Now: func() time.Time { return now },
	})
}

// declarePhoto declares the same field on another Store.
func declarePhoto(s *core.Store) *core.Field {
	return s.Field(core.FieldConfig{Model: "album", Name: "photo", Bucket: "photos", MaxFiles: 3})
}

// The fields of the tests. They are only read.
var (
	store        = offline(noon, signingKey)
	photos       = declarePhoto(store)
	scans        = store.Field(core.FieldConfig{Model: "album", Name: "scan", Bucket: "photos", Column: core.ColumnKey, MaxFiles: 3})
	portraits    = store.Field(core.FieldConfig{Model: "album", Name: "portrait", Bucket: "photos", Column: core.ColumnJSONB, JSON: core.JSONLink, DefaultURL: "/static/nobody.png"})
	stamps       = store.Field(core.FieldConfig{Model: "album", Name: "stamp", Bucket: "posters", JSON: core.JSONURL})
	bookPhotos   = store.Field(core.FieldConfig{Model: "book", Name: "photo", Bucket: "photos"})
	posters      = store.Field(core.FieldConfig{Name: "poster", Bucket: "posters", MaxFiles: 3})
	faultyFields = offline(noon, signingKey).Field(core.FieldConfig{Model: "album", Name: "photo", Bucket: "photos", MaxSize: -1})

	photosElsewhere = offline(noon, signingKey).Field(core.FieldConfig{Model: "album", Name: "photo", Bucket: "photos-elsewhere"})
	photosForeign   = declarePhoto(offline(noon, newSigningKey))
	photosRotated   = declarePhoto(offline(noon, newSigningKey, signingKey))
	photosLater     = declarePhoto(offline(noon.Add(24*time.Hour-time.Second), signingKey))
	photosTooLate   = declarePhoto(offline(noon.Add(24*time.Hour), signingKey))
)

type (
	photo        struct{}
	scan         struct{}
	poster       struct{}
	portrait     struct{}
	stamp        struct{}
	faulty       struct{}
	undeclared   struct{}
	photoRotated struct{}
	photoLater   struct{}
	photoTooLate struct{}
)

func (photo) FileField() *core.Field        { return photos }
func (scan) FileField() *core.Field         { return scans }
func (poster) FileField() *core.Field       { return posters }
func (portrait) FileField() *core.Field     { return portraits }
func (stamp) FileField() *core.Field        { return stamps }
func (faulty) FileField() *core.Field       { return faultyFields }
func (undeclared) FileField() *core.Field   { return nil }
func (photoRotated) FileField() *core.Field { return photosRotated }
func (photoLater) FileField() *core.Field   { return photosLater }
func (photoTooLate) FileField() *core.Field { return photosTooLate }

func mustKey(t testing.TB, s string) core.Key {
	t.Helper()
	key, err := core.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// cat is an object with every attribute that a token and a document keep.
func cat(t testing.TB, bucket string) core.Object {
	t.Helper()
	return core.Object{
		Bucket: bucket, Key: mustKey(t, "2026/h5zl3x7q.png"), Name: `Zoë's "cat" & <dog>.png`,
		Size: 123456, Type: "image/png", CRC32C: "yZRlqg==", Width: 640, Height: 480,
	}
}

func mustToken[S fieldtype.Spec](t testing.TB, f *fieldtype.File[S], token string) {
	t.Helper()
	if err := f.UnmarshalParam(token); err != nil {
		t.Fatalf("the token is refused: %v", err)
	}
}

func mustEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func mustKind(t testing.TB, what string, err error, want core.Kind) {
	t.Helper()
	if got := core.KindOf(err); got != want {
		t.Errorf("%s: got error %v, want one of kind %q", what, err, want)
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// mustNotShow fails if text holds what only the app may know.
func mustNotShow(t testing.TB, what, text string, secrets ...string) {
	t.Helper()
	for _, secret := range append(secrets, storageSecret, signingKey) {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows %q: %s", what, secret, text)
		}
	}
}
