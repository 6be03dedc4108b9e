package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

func offlineStore(t testing.TB) *core.Store {
	t.Helper()
	store, err := core.Open(core.Config{
		Endpoint: "127.0.0.1:1", AccessKey: "access", SecretKey: "secret", SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestSignMakesNoTokenOfWhatIsNoFileOfTheField(t *testing.T) {
	t.Parallel()
	store := offlineStore(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: "photos"})
	object := core.Object{Bucket: "photos", Key: mustKey(t, "cat.png")}
	for name, token := range map[string]string{
		"an object without a key":         field.Sign(core.Object{Bucket: "photos"}, ""),
		"an object of another bucket":     field.Sign(core.Object{Bucket: "posters", Key: object.Key}, ""),
		"a subject that is far too long":  field.Sign(object, strings.Repeat("x", 2000)),
		"a field with a faulty bucket":    store.Field(core.FieldConfig{Name: "x", Bucket: "Not A Bucket"}).Sign(object, ""),
		"a field that was declared twice": store.Field(core.FieldConfig{Name: "file", Bucket: "photos"}).Sign(object, ""),
	} {
		if token != "" {
			t.Errorf("%s: got the token %q, want none", name, token)
		}
	}
}

func TestATokenHasOneSpellingOnly(t *testing.T) {
	t.Parallel()
	field := offlineStore(t).Field(core.FieldConfig{Name: "file", Bucket: "photos"})
	token := field.Sign(core.Object{Bucket: "photos", Key: mustKey(t, "cat.png")}, "")
	if _, err := field.Verify(token); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{token[:5] + "\r\n" + token[5:], token + "\n", token + "=", " " + token} {
		if _, err := field.Verify(other); !errors.Is(err, core.ErrToken) {
			t.Errorf("%q: got error %v, want ErrToken", other, err)
		}
	}
}

func TestFieldsWhoseNamesJoinAlikeStayApart(t *testing.T) {
	t.Parallel()
	store := offlineStore(t)
	one := store.Field(core.FieldConfig{Model: "a", Name: "b.c", Bucket: "photos"})
	two := store.Field(core.FieldConfig{Model: "a.b", Name: "c", Bucket: "photos"})
	if err := store.Faults(); err != nil {
		t.Fatal(err)
	}
	token := one.Sign(core.Object{Bucket: "photos", Key: mustKey(t, "cat.png")}, "")
	if _, err := two.Verify(token); !errors.Is(err, core.ErrToken) {
		t.Errorf("got error %v, want ErrToken", err)
	}
}
