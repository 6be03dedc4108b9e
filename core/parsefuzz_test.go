package core

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// FuzzMetadata checks that any value survives a header, and that what anybody has
// written into an object's metadata becomes nothing that an object can't have.
func FuzzMetadata(f *testing.F) {
	for _, value := range append(hostile, "640x480", "-1x-1", "99999999999999999999x1", "9", "%", "%zz", "caf%C3%A9", " edge ", "LEHV6nWB2yk8pyo0adR*.7kCMdnj") {
		f.Add(value)
	}
	bucket := (&Store{}).Bucket("photos")
	f.Fuzz(func(t *testing.T, value string) {
		encoded := encodeMetadata(value)
		if got := decodeMetadata(encoded); got != value {
			t.Fatalf("%q comes back as %q", value, got)
		}
		if strings.TrimSpace(encoded) != encoded || strings.ContainsFunc(encoded, func(r rune) bool { return r < 0x20 || r >= 0x7f }) {
			t.Fatalf("%q is the header %q", value, encoded)
		}
		all := map[string]string{"Other": value}
		for _, name := range []string{metaName, metaType, metaUpload, metaSize, metaTurn, metaBlur, metaSource} {
			all[name] = value
		}
		o := bucket.object(Key{"a/b.txt"}, minio.ObjectInfo{UserMetadata: all})
		if o.Name == "" || ClientName(o.Name) != o.Name {
			t.Fatalf("%q names the file %q", value, o.Name)
		}
		if o.Width < 0 || o.Height < 0 || o.Orientation < 0 || o.Orientation > 8 || o.Blurhash != "" && !validBlurhash(o.Blurhash) {
			t.Fatalf("%q makes it an image of %d×%d, turned by %d, with the blurhash %q", value, o.Width, o.Height, o.Orientation, o.Blurhash)
		}
	})
}

// FuzzLink checks that a link is its base, a token and a name, whatever the row
// holds, and leads back to the file; and that no other text does.
func FuzzLink(f *testing.F) {
	for _, name := range hostile {
		f.Add(name, "a/b.txt", "ann", name)
	}
	f.Add("//evil.example/x", "..%2f", "", "AQ")
	store, err := Open(Config{Endpoint: "127.0.0.1:1", AccessKey: "access", SecretKey: "secret", SigningKeys: []Secret{"a key for tests, long enough"}})
	if err != nil {
		f.Fatal(err)
	}
	field := store.Field(FieldConfig{Name: "file", Bucket: "photos", LinkBase: "/files/"})
	f.Fuzz(func(t *testing.T, name, key, subject, forged string) {
		if _, _, err := field.VerifyLink(t.Context(), forged); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%q is a link: %v", forged, err)
		}
		k, err := ParseKey(key)
		if err != nil {
			return
		}
		link, err := field.Link(Object{Key: k, Name: name}, LinkOptions{Subject: subject})
		if err != nil {
			if len(subject) <= maxSubject {
				t.Fatalf("%q of %q has no link: %v", name, key, err)
			}
			return
		}
		u, err := url.Parse(link)
		if err != nil || u.Host != "" || u.Scheme != "" || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q has the link %q, %v", name, link, err)
		}
		token, escaped, ok := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/files/"), "/")
		shown, err := url.PathUnescape(escaped)
		if !ok || err != nil || strings.Contains(escaped, "/") || shown == "" || shown == "." || shown == ".." {
			t.Fatalf("%q has the link %q, whose name is %q, %v", name, link, escaped, err)
		}
		o, _, err := field.VerifyLink(WithSubject(t.Context(), subject), token)
		if err != nil || o.Key != k {
			t.Fatalf("the link %q leads to %q, %v; want %q", link, o.Key, err, k)
		}
	})
}

// FuzzEnvironment checks that a setting of any value is taken or a fault, and
// never shows a secret that stands beside it.
func FuzzEnvironment(f *testing.F) {
	names := settingNames()
	for i := range names {
		for _, value := range []string{"true", "5s", "64MiB", "a,b", `[["bucket", {"Statement": []}]]`, "https://user:pass@host/?x", "-1", "${MINIO_SECRET_KEY}"} {
			f.Add(uint8(i), value, "MINIO_USE_SSL")
		}
	}
	f.Fuzz(func(t *testing.T, setting uint8, value, unknown string) {
		const secret = "q7Vx2hunter2"
		name := names[int(setting)%len(names)]
		if strings.HasSuffix(name, "_FILE") || name == fileVariable {
			return // they name files of the machine
		}
		v := variables{"MINIO_ENDPOINT": "minio:9000", "MINIO_ACCESS_KEY": "app", "MINIO_SECRET_KEY": secret, "SECRET_KEY": secret + secret}
		if !strings.HasSuffix(unknown, "_FILE") && !slices.Contains(names, unknown) {
			v[unknown] = value
		}
		v[name] = value
		configs := fromVariables(v)
		stores, err := configs.Open()
		if (err == nil) != (stores != nil) || err != nil && !errors.Is(err, ErrConfig) {
			t.Fatalf("%s=%q: stores %v, error %v", name, value, stores, err)
		}
		for _, alias := range configs.Aliases() {
			if text := fmt.Sprintf("%v %+v %v", err, configs.Alias(alias), configs.Alias(alias).Warnings()); strings.Contains(text, secret) && !strings.Contains(value+unknown, "hunter2") {
				t.Fatalf("%s=%q: the secret shows: %s", name, value, text)
			}
		}
	})
}
