package core

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"strings"
	"testing"
	"time"
)

// tokenText puts a payload and a sum of the test's own together.
func tokenText(payload, sum []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(payload[:len(payload):len(payload)], sum...))
}

// payloadOf returns what a token says, without its sum.
func payloadOf(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw[:len(raw)-tokenMACBytes]
}

func TestATokenNamesNoAlgorithm(t *testing.T) {
	t.Parallel()
	f := tokenField(t)
	payload := payloadOf(t, f.Sign(tokenObject(), "user"))
	key := f.store.keys[0].secret
	sum := func(h func() hash.Hash, key []byte) []byte {
		m := hmac.New(h, key)
		m.Write(payload)
		return m.Sum(nil)
	}
	right := sum(sha256.New, key)
	if _, err := f.Verify(tokenText(payload, right[:16])); err != nil {
		t.Fatalf("the sum that is right is refused: %v", err)
	}
	plain := sha256.Sum256(payload)
	prefixed := sha256.Sum256(append(append([]byte(nil), key...), payload...))
	for what, sum := range map[string][]byte{
		"no sum": nil, "zeros": make([]byte, 16), "the whole sum": right, "the sum's other half": right[16:], "half of the half": right[:8],
		"one byte less": right[:15], "one byte more": right[:17],
		"SHA-256 without a key": plain[:16], "SHA-256 behind the key": prefixed[:16],
		"HMAC-MD5": sum(md5.New, key), "HMAC-SHA-1": sum(sha1.New, key)[:16], "HMAC-SHA-512": sum(sha512.New, key)[:16],
		"HMAC-SHA-256 with an empty key": sum(sha256.New, nil)[:16],
	} {
		wantBadToken(t, what, f, tokenText(payload, sum))
	}
}

func TestTheKeysOfTokensAreDerived(t *testing.T) {
	t.Parallel()
	const secret = "the signing key of the tests"
	f := tokenField(t)
	payload := payloadOf(t, f.Sign(tokenObject(), "user"))
	wantBadToken(t, "a sum by the configured key itself", f, tokenText(payload, newTokenKey([]byte(secret)).mac(payload)))
	// Whatever makes a configured key longer or shorter makes it another one, also
	// where HMAC itself would pad it.
	ring, err := newKeyring([]Secret{secret, secret + "\x00", secret + " ", "he signing key of the tests", Secret(strings.Repeat("k", 64)), Secret(strings.Repeat("k", 65)), secret})
	if err != nil {
		t.Fatal(err)
	}
	if !hmac.Equal(ring[0].secret, ring[len(ring)-1].secret) {
		t.Error("one key gives two")
	}
	seen := map[string]bool{}
	for i, key := range ring[:len(ring)-1] {
		if len(key.secret) != sha256.Size || seen[string(key.secret)] {
			t.Errorf("key %d has %d bytes, or is another's", i, len(key.secret))
		}
		seen[string(key.secret)] = true
	}
}

func TestATokenServesItsPurposeAlone(t *testing.T) {
	t.Parallel()
	f := tokenField(t)
	end := tokenTime.Add(time.Hour)
	claimed := Token{Object: tokenObject(), Expires: end, direct: &directToken{method: DirectPut, verified: true, staging: Key{"staging"}}}
	tokens := map[byte]string{purposeDirect: f.signDirect(claimed)}
	for _, purpose := range []byte{purposeField, purposeClaim, purposeLink, purposeDownload, purposeVariant} {
		tokens[purpose] = f.signFor(purpose, tokenObject(), "", end)
	}
	uses := map[string]struct {
		takes string
		use   func(token string) error
	}{
		"a field":             {"fcu", func(token string) error { _, err := f.Verify(token); return err }},
		"a link":              {"ld", func(token string) error { _, _, err := f.VerifyLink(t.Context(), token); return err }},
		"a variant's link":    {"", func(token string) error { _, _, err := f.VerifyVariantLink(t.Context(), token); return err }},
		"an upload under way": {"u", func(token string) error { _, err := f.DirectToken(t.Context(), token); return err }},
	}
	for purpose, token := range tokens {
		for what, c := range uses {
			if strings.IndexByte(c.takes, purpose) >= 0 {
				if err := c.use(token); err != nil {
					t.Errorf("%s does not take the purpose %c: %v", what, purpose, err)
				}
				continue
			}
			if err := c.use(token); !errors.Is(err, ErrToken) && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s, given the purpose %c, says %v; want a refusal", what, purpose, err)
			}
		}
	}
	for purpose := range 256 {
		if strings.IndexByte("fculd", byte(purpose)) >= 0 {
			continue
		}
		payload := payloadOf(t, tokens[purposeField])
		payload[1] = byte(purpose)
		wantBadToken(t, "a purpose that nothing has", f, f.seal(payload))
	}
	// A variant's link is one for what lies at the key of a variant, and so is no
	// other.
	if _, _, err := f.VerifyVariantLink(t.Context(), tokens[purposeVariant]); !errors.Is(err, ErrNotFound) {
		t.Errorf("a link to no variant leads to %v", err)
	}
}

func TestNothingOfATokenIsReadBeforeItIsAuthentic(t *testing.T) {
	t.Parallel()
	f := tokenField(t)
	forged := func(payload []byte) string { return tokenText(payload, make([]byte, tokenMACBytes)) }
	payload := payloadOf(t, f.Sign(tokenObject(), "user"))
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), payload...)
		b[at] = to
		return b
	}
	other := f.store.Field(FieldConfig{Name: "other", Bucket: "avatars"})
	_, want := f.Verify("anything")
	for what, b := range map[string][]byte{
		"right but for its sum": payload, "of another version": change(0, 9), "of another purpose": change(1, purposeLink),
		"that has ended": f.payload(purposeField, tokenObject(), "", tokenTime.Add(-time.Hour)), "of another field": payloadOf(t, other.Sign(tokenObject(), "")),
		"with a length that lies": change(7, 255), "of nothing": {}, "of random bytes": []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
	} {
		if _, err := f.Verify(forged(b)); err == nil || err.Error() != want.Error() {
			t.Errorf("a forged token %s says %v; want what every other says, %v", what, err, want)
		}
	}
}
