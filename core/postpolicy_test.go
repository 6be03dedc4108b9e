package core

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile are texts that would end a string, a list or an element.
var hostile = []string{
	`a"],["starts-with","$key","`, `\`, `"}],"expiration":"2099-01-01T00:00:00Z","x":[{"`, "line\r\nbreak", "</Value></Tag>", "\x00", "\u2028", "ünï", "\xff",
}

// FuzzPostPolicy checks that no field adds a condition, changes another or the
// expiration: what is read is what was to be written.
func FuzzPostPolicy(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, text, text)
	}
	f.Fuzz(func(t *testing.T, bucket, name, value string) {
		expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		policy, err := newPostPolicy(bucket, map[string]string{name: value}, 1, 10, expires)
		if err != nil {
			t.Fatal(err)
		}
		text, err := base64.StdEncoding.DecodeString(policy)
		if err != nil || !utf8.Valid(text) {
			t.Fatalf("the policy is %q, %v", policy, err)
		}
		var got struct {
			Expiration string
			Conditions []json.RawMessage
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil || d.More() {
			t.Fatalf("%q is not one object: %v", text, err)
		}
		if got.Expiration != "2026-01-02T03:04:05.000Z" || len(got.Conditions) != 3 || strings.Count(string(text), `"expiration"`) != 1 {
			t.Fatalf("the policy says %q", text)
		}
		for i, want := range [][3]string{{"eq", "$bucket", bucket}, {}, {"eq", "$" + name, value}} {
			var condition [3]string
			if i == 1 {
				continue
			}
			if err := json.Unmarshal(got.Conditions[i], &condition); err != nil {
				t.Fatal(err)
			}
			for j := range want {
				if valid := strings.ToValidUTF8(want[j], "\uFFFD"); strings.ToValidUTF8(condition[j], "\uFFFD") != valid && utf8.ValidString(want[j]) {
					t.Errorf("condition %d says %q, want %q", i, condition[j], want[j])
				}
			}
		}
	})
}

// FuzzTaggingXML checks that a tag's text stays the tag's.
func FuzzTaggingXML(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		text, err := taggingXML(map[string]string{key: value})
		if err != nil {
			t.Fatal(err)
		}
		var got tagging
		if err := xml.Unmarshal([]byte(text), &got); err != nil || len(got.Tags) != 1 {
			t.Fatalf("%q is read as %+v, %v", text, got, err)
		}
	})
}

// FuzzDirectToken checks that a direct upload's token says what it was made of,
// also by the key under which a posted file waits, and that no other text is one.
func FuzzDirectToken(f *testing.F) {
	field, err := offlineField()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.txt", "ann", "id", "etag", int64(7), int64(5<<20), uint8(0))
	f.Add(strings.Repeat("ü", 100), strings.Repeat("x", 500), "", "", int64(0), int64(0), uint8(15))
	folder := field.config.KeyPrefix + stagingFolder
	f.Fuzz(func(t *testing.T, name, subject, uploadID, etag string, size, partSize int64, flags uint8) {
		want := Token{
			Object:  Object{Bucket: "photos", Key: Key{s: "a/b.txt"}, Name: name, Size: max(size, 0) >> 2, Type: "text/plain"},
			Subject: subject, Pending: true, Expires: time.Now().Add(time.Hour).Truncate(time.Second).UTC(),
			direct: &directToken{
				method: DirectPost, unsized: flags&1 != 0, verified: flags&2 != 0, mend: flags&4 != 0, uploadID: uploadID, etag: etag,
				partSize: max(partSize, 0) >> 2, staging: Key{s: "staging"},
			},
		}
		text := field.signDirect(want)
		if len(text) > maxTokenBytes {
			return
		}
		if !want.direct.verified {
			want.direct.staging = field.stagingKey(text)
		}
		key := field.stagingKey(text)
		if why := unsafeKey(key.s); why != "" {
			t.Fatalf("the key %q is none: %s", key.s, why)
		}
		for _, spelling := range []string{text, key.s} {
			got, err := field.Verify(spelling)
			if spelling != text && (want.direct.verified || strings.Contains(spelling, "=")) {
				if err == nil { // of no posted file, or too long for a key
					t.Fatalf("%q is read as %+v, want a refusal", spelling, got)
				}
				continue
			}
			if err != nil || *got.direct != *want.direct || got.Subject != subject || got.Object.Name != name || got.Object.Size != want.Object.Size || !got.Expires.Equal(want.Expires) {
				t.Fatalf("%q is read as %+v %+v, %v; want %+v", spelling, got, got.direct, err, want.direct)
			}
		}
		for _, other := range []string{text[:len(text)-1], key.s + "/", folder + text[:1] + "/" + text[1:], folder + field.Sign(want.Object, "")} {
			if _, err := field.Verify(other); err == nil {
				t.Errorf("%q is a token", other)
			}
		}
	})
}

func offlineField() (*Field, error) {
	store, err := Open(Config{
		Endpoint: "127.0.0.1:1", AccessKey: "access", SecretKey: "secret", SigningKeys: []Secret{"a key for tests, long enough"},
	})
	if err != nil {
		return nil, err
	}
	field := store.Field(FieldConfig{Name: "file", Bucket: "photos", KeyPrefix: "a/"})
	return field, field.Fault()
}
