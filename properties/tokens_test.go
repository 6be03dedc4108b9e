package properties_test

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/filefield/filefield/core"
)

// offlineStore opens a store that no test lets make a request.
func offlineStore(t *rapid.T, keys ...core.Secret) *core.Store {
	store, err := core.Open(core.Config{
		Endpoint: "127.0.0.1:1", AccessKey: "access", SecretKey: "secret", SigningKeys: keys, PublicBuckets: []string{"photos"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// aKey is any key that is one.
func aKey() *rapid.Generator[core.Key] {
	segment := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9_.~-]{1,12}`),
		rapid.StringOfN(rapid.RuneFrom([]rune(` !"#$%&'()*+,:;<=>?@[]^{|}~äé中😀`)), 1, 8, -1),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) core.Key {
		text := strings.Join(rapid.SliceOfN(segment, 1, 4).Draw(t, "segments"), "/")
		key, err := core.ParseKey(text)
		if err != nil {
			t.Skip("no key")
		}
		return key
	})
}

func anObject() *rapid.Generator[core.Object] {
	text := rapid.StringN(-1, 40, 200)
	return rapid.Custom(func(t *rapid.T) core.Object {
		return core.Object{
			Bucket: "photos", Key: aKey().Draw(t, "key"), Name: text.Draw(t, "name"), Type: text.Draw(t, "type"), CRC32C: text.Draw(t, "checksum"),
			Size: rapid.Int64Range(0, 5*core.TiB).Draw(t, "size"), Width: rapid.IntRange(0, 1<<30).Draw(t, "width"),
			Height: rapid.IntRange(0, 1<<30).Draw(t, "height"), Orientation: rapid.IntRange(0, 8).Draw(t, "orientation"),
			Blurhash: rapid.StringMatching(`[A-Za-z0-9#$%*+,.-]{0,30}`).Draw(t, "blurhash"),
		}
	})
}

const theKey = core.Secret("the signing key of these tests")

func TestTokensComeBackAndFillTheirOwnFieldAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{1,3}(\.[a-z]{1,3})?`)
		model := rapid.StringMatching(`([a-z]{1,3}(\.[a-z]{1,3})?)?`)
		config := core.FieldConfig{Name: name.Draw(t, "field"), Model: model.Draw(t, "model"), Bucket: "photos"}
		field := offlineStore(t, theKey).Field(config)
		if err := field.Fault(); err != nil {
			t.Skip("no such field")
		}
		object, subject := anObject().Draw(t, "object"), rapid.StringN(-1, 50, 1000).Draw(t, "subject")
		token := field.Sign(object, subject)
		if token == "" || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("the token %q is not URL-safe", token)
		}
		got, err := field.Verify(token)
		if err != nil || !reflect.DeepEqual(got.Object, object) || got.Subject != subject || got.Pending {
			t.Fatalf("it comes back as %+v, %v; want %+v for %q", got, err, object, subject)
		}

		other := core.FieldConfig{Name: name.Draw(t, "other field"), Model: model.Draw(t, "other model"), Bucket: "photos"}
		elsewhere := offlineStore(t, theKey).Field(other)
		if _, err := elsewhere.Verify(token); elsewhere.Fault() == nil && (err == nil) != (other.Name == config.Name && other.Model == config.Model) {
			t.Fatalf("made for %q of %q, the field %q of %q says %v", config.Name, config.Model, other.Name, other.Model, err)
		}
		if _, err := offlineStore(t, "another signing key, of another app", theKey+"2").Field(config).Verify(token); !errors.Is(err, core.ErrToken) {
			t.Fatalf("by other keys it says %v", err)
		}
		if _, err := offlineStore(t, "a new signing key that signs now", theKey).Field(config).Verify(token); err != nil {
			t.Fatalf("once the key has been rotated it says %v", err)
		}
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		for _, wrong := range []string{token[:at], token[:at] + token[at+1:], token[:at] + string('A'+(token[at]+1)%26) + token[at+1:]} {
			if _, err := field.Verify(wrong); wrong != token && !errors.Is(err, core.ErrToken) {
				t.Fatalf("%q, which was %q, says %v", wrong, token, err)
			}
		}
	})
}

func TestDifferentFilesHaveDifferentTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		field := offlineStore(t, theKey).Field(core.FieldConfig{Name: "file", Bucket: "photos"})
		one, two := anObject().Draw(t, "one"), anObject().Draw(t, "two")
		if rapid.Bool().Draw(t, "alike") { // what moves from one text to the next
			all := one.Key.String() + one.Name + one.Type
			cut := rapid.IntRange(0, len(one.Name)).Draw(t, "cut")
			two = one
			two.Name, two.Type = one.Name[:cut], one.Name[cut:]+one.Type
			if two.Key.String()+two.Name+two.Type != all {
				t.Fatal("they are not alike")
			}
		}
		subjects := []string{rapid.StringN(-1, 20, 100).Draw(t, "subject"), rapid.StringN(-1, 20, 100).Draw(t, "other subject")}
		// Two tokens of one second, since the time is a part of them.
		for range 3 {
			a, begun := field.Sign(one, subjects[0]), time.Now().Unix()
			b := field.Sign(two, subjects[1])
			if time.Now().Unix() != begun {
				continue
			}
			if same := reflect.DeepEqual(one, two) && subjects[0] == subjects[1]; a == b != same {
				t.Fatalf("%+v for %q and %+v for %q have the tokens %q and %q", one, subjects[0], two, subjects[1], a, b)
			}
			return
		}
	})
}

func TestDifferentKeysHaveDifferentURLsThatLeadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bucket := offlineStore(t, theKey).Bucket("photos")
		one, two := aKey().Draw(t, "one"), aKey().Draw(t, "two")
		links := map[core.Key]string{}
		for _, key := range []core.Key{one, two} {
			link, err := bucket.URL(context.Background(), key, core.URLOptions{})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(link)
			if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != "127.0.0.1:1" || u.Path != "/photos/"+key.String() {
				t.Fatalf("the key %q has the URL %q, whose path is %q, %v", key, link, u.Path, err)
			}
			again, err := core.ParseKey(strings.TrimPrefix(u.Path, "/photos/"))
			if err != nil || again != key {
				t.Fatalf("the URL of %q leads back to %q, %v", key, again, err)
			}
			links[key] = link
		}
		if one != two && links[one] == links[two] {
			t.Fatalf("%q and %q have one URL", one, two)
		}
	})
}

func TestNamesMadeOfAnythingAreKeysOrRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[./\\ a-z:%-]{0,20}`)).Draw(t, "name")
		known := core.ClientName(name)
		if again := core.ClientName(known); again != known {
			t.Fatalf("%q is the name %q, and that the name %q", name, known, again)
		}
		if len(known) > 255 || strings.ContainsAny(known, "/\\\x00\r\n") {
			t.Fatalf("%q is the name %q", name, known)
		}
		if key, err := core.ParseKey("photos/" + known); err == nil && key.Base() != known {
			t.Fatalf("the name %q has the key %q", known, key)
		}
	})
}
