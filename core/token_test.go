package core

import (
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var tokenTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// tokenStore returns a Store whose clock the test sets and which no test lets
// make a request.
func tokenStore(t testing.TB, now *time.Time, keys ...Secret) *Store {
	t.Helper()
	s, err := Open(Config{
		Endpoint: "storage.invalid:1", AccessKey: "a", SecretKey: "b", SigningKeys: keys, TokenExpiry: time.Hour,
		Now: func() time.Time { return *now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tokenField returns a field for tokens at a fixed time.
func tokenField(t testing.TB) *Field {
	t.Helper()
	now := tokenTime
	return tokenStore(t, &now, "the signing key of the tests").Field(FieldConfig{Name: "avatar", Model: "profile", Bucket: "avatars"})
}

func tokenObject() Object {
	return Object{
		Bucket: "avatars", Key: Key{"2026/ü &.png"}, Name: "my \"cat\" 😀.png", Size: 5*TiB - 1, Type: "image/png",
		CRC32C: "ipE2qg==", Width: 640, Height: 480, Orientation: 6, Blurhash: "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
	}
}

func TestATokenBringsBackWhatItWasMadeFor(t *testing.T) {
	t.Parallel()
	f := tokenField(t)
	for name, c := range map[string]struct {
		object  Object
		subject string
	}{
		"everything":      {tokenObject(), "user 42"},
		"only a key":      {Object{Bucket: "avatars", Key: Key{"a"}}, ""},
		"the longest key": {Object{Bucket: "avatars", Key: Key{strings.Repeat("k/", 511) + "kk"}, Name: strings.Repeat("n", 255), Type: strings.Repeat("t", 127), Size: 5 * TiB, CRC32C: "ipE2qg=="}, strings.Repeat("s", 1024)},
	} {
		text := f.Sign(c.object, c.subject)
		if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%s: the token %q is not URL-safe", name, text)
		}
		got, err := f.Verify(text)
		if err != nil {
			t.Errorf("%s: a token of %d bytes is refused: %v", name, len(text), err)
			continue
		}
		want := Token{Object: c.object, Subject: c.subject, Expires: tokenTime.Add(time.Hour)}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: verified as %+v, want %+v", name, got, want)
		}
	}
}

// wantBadToken checks that a text is refused, and that the error does not repeat it.
func wantBadToken(t *testing.T, what string, f *Field, text string) {
	t.Helper()
	got, err := f.Verify(text)
	if !errors.Is(err, ErrToken) {
		t.Errorf("%s: the token stands for %+v, %v; want ErrToken", what, got, err)
		return
	}
	if !reflect.DeepEqual(got, Token{}) {
		t.Errorf("%s: refused, and yet it stands for %+v", what, got)
	}
	if len(text) > 20 && strings.Contains(err.Error(), text) {
		t.Errorf("%s: the error repeats the token: %v", what, err)
	}
}

func TestAnyChangeMakesATokenInvalid(t *testing.T) {
	t.Parallel()
	f := tokenField(t)
	text := f.Sign(tokenObject(), "user")
	for i := range text {
		for _, c := range []byte("Az_=\n ") {
			if text[i] != c {
				wantBadToken(t, "changed", f, text[:i]+string(c)+text[i+1:])
			}
		}
		wantBadToken(t, "cut", f, text[:i])
		wantBadToken(t, "with a line break", f, text[:i]+"\n"+text[i:])
	}
	for what, other := range map[string]string{
		"empty": "", "twice": text + text, "with padding": text + "=", "with a space": " " + text, "longer": text + "A", "a word": "hunter2",
		"far too long": strings.Repeat("A", 5000), "not base64": strings.Repeat("!", 100), "only a MAC": strings.Repeat("A", 22),
		"in upper case": strings.ToUpper(text), "with a carriage return": text + "\r\n",
	} {
		wantBadToken(t, what, f, other)
	}
}

func TestATokenFillsItsOwnFieldAlone(t *testing.T) {
	t.Parallel()
	now := tokenTime
	s := tokenStore(t, &now, "the signing key of the tests")
	f := s.Field(FieldConfig{Name: "avatar", Model: "profile", Bucket: "avatars"})
	text := f.Sign(tokenObject(), "")
	for what, config := range map[string]FieldConfig{
		"another name":             {Name: "banner", Model: "profile", Bucket: "avatars"},
		"another model":            {Name: "avatar", Model: "team", Bucket: "avatars"},
		"no model":                 {Name: "avatar", Bucket: "avatars"},
		"a model in the name":      {Name: "profile.avatar", Bucket: "avatars"},
		"parts cut another way":    {Name: "ile.avatar", Model: "prof", Bucket: "avatars"},
		"another bucket":           {Name: "avatar", Model: "profile", Bucket: "others"},
		"name and model exchanged": {Name: "profile", Model: "avatar", Bucket: "avatars"},
	} {
		other := tokenStore(t, &now, "the signing key of the tests").Field(config)
		wantBadToken(t, what, other, text)
	}
	if _, err := tokenStore(t, &now, "the signing key of the tests").Field(f.config).Verify(text); err != nil {
		t.Errorf("the same field of another instance refuses it: %v", err)
	}
	a := s.Field(FieldConfig{Name: "c", Model: "a.b", Bucket: "avatars"})
	b := s.Field(FieldConfig{Name: "b.c", Model: "a", Bucket: "avatars"})
	wantBadToken(t, "a.b + c for a + b.c", b, a.Sign(tokenObject(), ""))
}

func TestWhatNoTokenCanStandForGivesNone(t *testing.T) {
	t.Parallel()
	f := tokenField(t)
	noKey, elsewhere := tokenObject(), tokenObject()
	noKey.Key, elsewhere.Bucket = Key{}, "others"
	for what, text := range map[string]string{
		"no key": f.Sign(noKey, ""), "another bucket": f.Sign(elsewhere, ""), "a subject beyond measure": f.Sign(tokenObject(), strings.Repeat("s", 1025)),
		"a faulty field": f.store.Field(FieldConfig{Bucket: "avatars"}).Sign(tokenObject(), ""),
	} {
		if text != "" {
			t.Errorf("%s gives the token %q", what, text)
		}
	}
	if _, err := f.store.Field(FieldConfig{Name: "faulty"}).Verify(f.Sign(tokenObject(), "")); !errors.Is(err, ErrConfig) {
		t.Errorf("a faulty field verifies with %v, want its fault", err)
	}
}

func TestSigningKeysAreRotated(t *testing.T) {
	t.Parallel()
	now := tokenTime
	config := FieldConfig{Name: "avatar", Bucket: "avatars"}
	const older, old, current = Secret("the oldest signing key"), Secret("the previous signing key"), Secret("the current signing key")
	field := func(keys ...Secret) *Field { return tokenStore(t, &now, keys...).Field(config) }
	byOlder, byOld, byCurrent := field(older).Sign(tokenObject(), ""), field(old, older).Sign(tokenObject(), ""), field(current, old).Sign(tokenObject(), "")

	f := field(current, old)
	for what, text := range map[string]string{"current": byCurrent, "previous": byOld} {
		if _, err := f.Verify(text); err != nil {
			t.Errorf("a token by the %s key is refused: %v", what, err)
		}
	}
	wantBadToken(t, "by a key that was dropped", f, byOlder)
	if _, err := field(old, current).Verify(byCurrent); err != nil {
		t.Errorf("an instance that still signs with the old key refuses the new one: %v", err)
	}
	wantBadToken(t, "by a key for one process", field(), byCurrent)
	wantBadToken(t, "by another process's own key", field(), field().Sign(tokenObject(), ""))
}

func TestATokenEnds(t *testing.T) {
	t.Parallel()
	now := tokenTime
	f := tokenStore(t, &now, "the signing key of the tests").Field(FieldConfig{Name: "avatar", Bucket: "avatars"})
	text := f.Sign(tokenObject(), "")
	now = tokenTime.Add(time.Hour - time.Nanosecond)
	if _, err := f.Verify(text); err != nil {
		t.Errorf("just before its end it is refused: %v", err)
	}
	for _, after := range []time.Duration{time.Hour, time.Hour + 1, 1000 * time.Hour} {
		now = tokenTime.Add(after)
		wantBadToken(t, after.String(), f, text)
	}
}

func TestAuthenticTokensOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	f := tokenField(t)
	text := f.Sign(tokenObject(), "")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	payload := raw[:len(raw)-tokenMACBytes]
	signed := func(b []byte) string {
		return base64.RawURLEncoding.EncodeToString(append(b, f.store.keys.sign(b)...))
	}
	if _, err := f.Verify(signed(append([]byte(nil), payload...))); err != nil {
		t.Fatalf("the payload signed anew is refused: %v", err)
	}
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), payload...)
		b[at] = to
		return b
	}
	for what, b := range map[string][]byte{
		"another version": change(0, 2), "another purpose": change(1, 'd'), "nothing": {}, "more at its end": append(append([]byte(nil), payload...), 0),
		"a length beyond its end": change(7, 255),
	} {
		wantBadToken(t, what, f, signed(b))
	}
	for end := range payload {
		wantBadToken(t, "cut", f, signed(append([]byte(nil), payload[:end]...)))
	}
	for _, key := range []string{"", "../up", "/root", "a//b", "a\x00b"} {
		o := tokenObject()
		o.Key = Key{key}
		wantBadToken(t, "the key "+key, f, f.sign(purposeField, o, "", tokenTime.Add(time.Hour)))
	}
}

func TestTheSubjectComesFromTheContext(t *testing.T) {
	t.Parallel()
	if got := SubjectFrom(t.Context()); got != "" {
		t.Errorf("without one it is %q", got)
	}
	outer := WithSubject(t.Context(), "first")
	if got := SubjectFrom(WithSubject(outer, "second")) + SubjectFrom(outer) + SubjectFrom(context.WithoutCancel(outer)); got != "secondfirstfirst" {
		t.Errorf("the subjects are %q", got)
	}
}

func FuzzVerify(f *testing.F) {
	field := tokenField(f)
	f.Add(field.Sign(tokenObject(), "user"))
	f.Add(field.Sign(Object{Bucket: "avatars", Key: Key{"a"}}, ""))
	f.Add("")
	f.Add(strings.Repeat("A", 64))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := field.Verify(text)
		if err != nil {
			if !errors.Is(err, ErrToken) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		purpose := byte(purposeField)
		if token.Pending {
			purpose = purposeClaim
		}
		if again := field.sign(purpose, token.Object, token.Subject, token.Expires); again != text {
			t.Errorf("%q is accepted, but would be written %q", text, again)
		}
	})
}

func FuzzTokenPayload(f *testing.F) {
	field := tokenField(f)
	raw, err := base64.RawURLEncoding.DecodeString(field.Sign(tokenObject(), "user"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[:len(raw)-tokenMACBytes])
	f.Fuzz(func(t *testing.T, payload []byte) {
		signed := append(payload[:len(payload):len(payload)], field.store.keys.sign(payload)...)
		token, err := field.Verify(base64.RawURLEncoding.EncodeToString(signed))
		if err == nil && (token.Object.Key.IsZero() || token.Object.Size < 0 || token.Object.Bucket != "avatars") {
			t.Errorf("accepted as %+v", token)
		}
	})
}
