package core

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
	"time"
)

// Token is a verified token: the promise of this app that a file of a field was
// stored. It is what a file is in a request. Only Verify makes one; the text
// form is made by Sign.
//
// The text is compact and URL-safe, and useless for anything but filling its
// field: it names field, bucket, key, size, type, name, subject and expiry, and
// is authenticated by HMAC-SHA-256 under a key derived (HKDF) from the
// configured signing keys.
type Token struct {
	// Object is the file.
	Object Object
	// Subject is who may use it, as the app named them; empty for anyone.
	Subject string
	// Pending says that no row has the file yet: Claim has to take it before it is
	// used, and lets that happen once.
	Pending bool
	// Expires is when it stops being accepted.
	Expires time.Time

	direct *directToken // of a direct upload
}

const (
	tokenVersion    = 1
	purposeField    = 'f' // fills a field; other purposes never verify as this one
	purposeClaim    = 'c' // fills a field, once it has been claimed
	purposeDirect   = 'u' // an upload straight to the bucket; fills a field once claimed
	purposeLink     = 'l' // leads to a file
	purposeDownload = 'd' // leads to a file that is to be saved
	tokenMACBytes   = 16  // half of SHA-256's output, the least RFC 2104 recommends
	maxTokenBytes   = 4096
	maxSubject      = 1024
)

// keyring holds the derived keys; the first signs. It is not changed after it
// was made. It holds them by pointers so that printing a Store shows addresses.
type keyring []*tokenKey

// tokenKey is a derived key.
type tokenKey struct {
	secret []byte
	hashes sync.Pool // of hash.Hash: HMAC-SHA256 with it
}

func newTokenKey(secret []byte) *tokenKey {
	return &tokenKey{secret: secret, hashes: sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// mac returns what authenticates a payload.
func (k *tokenKey) mac(payload []byte) []byte {
	h := k.hashes.Get().(hash.Hash) //nolint:forcetypeassert // it holds nothing else
	defer k.hashes.Put(h)
	h.Reset()
	h.Write(payload)
	return h.Sum(make([]byte, 0, sha256.Size))[:tokenMACBytes]
}

func newKeyring(secrets []Secret) (keyring, error) {
	var ring keyring
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "filefield token v1", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("deriving a token key: %w", err)
		}
		ring = append(ring, newTokenKey(key))
	}
	return ring, nil
}

// pseudonym returns what stands for a subject in URLs: the same on all instances,
// and nothing to guess the subject from.
func (r keyring) pseudonym(subject string) string {
	// No token's payload starts with a zero byte.
	return base64.RawURLEncoding.EncodeToString(r[0].mac(append([]byte("\x00url subject\x00"), subject...))[:12])
}

// randomSecret makes a signing key for this process alone.
func randomSecret() Secret { return Secret(rand.Text() + rand.Text()) }

func (r keyring) sign(payload []byte) []byte { return r[0].mac(payload) }

func (r keyring) verify(payload, sum []byte) bool {
	ok := false
	for _, key := range r { // every key is tried, so that time tells nothing
		ok = hmac.Equal(key.mac(payload), sum) || ok
	}
	return ok
}

// Sign makes the token that fills this field with a stored object. An empty
// subject lets anyone use it. What no valid token can stand for gives "": an
// object without a key or of another bucket, a subject of more than 1024 bytes,
// a field with a faulty declaration. It uses no network. Safe for concurrent use.
//
// A token is accepted wherever the same signing keys, model, field and bucket
// name meet, so Stores of different storages need keys of their own.
func (f *Field) Sign(o Object, subject string) string {
	return f.signFor(purposeField, o, subject, f.tokenExpiry())
}

func (f *Field) tokenExpiry() time.Time {
	return f.store.config.Now().Add(f.store.config.TokenExpiry)
}

func (f *Field) signFor(purpose byte, o Object, subject string, expires time.Time) string {
	if f.fault != nil || o.Key.IsZero() || o.Bucket != f.bucket.name || len(subject) > maxSubject {
		return ""
	}
	return f.sign(purpose, o, subject, expires)
}

func (f *Field) sign(purpose byte, o Object, subject string, expires time.Time) string {
	return f.seal(f.payload(purpose, o, subject, expires))
}

// seal makes a token's text of what it says.
func (f *Field) seal(payload []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(payload, f.store.keys.sign(payload)...))
}

func (f *Field) payload(purpose byte, o Object, subject string, expires time.Time) []byte {
	b := make([]byte, 0, 160+len(f.id)+len(o.Key.String())+len(o.Name))
	b = append(b, tokenVersion, purpose)
	b = binary.AppendUvarint(b, uint64(max(expires.Unix(), 0)))
	for _, s := range []string{f.id, o.Bucket, o.Key.String(), o.Name, o.Type, o.CRC32C, subject} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, n := range []int64{o.Size, int64(o.Width), int64(o.Height), int64(o.Orientation), int64(len(o.Blurhash))} {
		b = binary.AppendUvarint(b, uint64(max(n, 0)))
	}
	return append(b, o.Blurhash...)
}

// Verify checks a token that came from a client and returns what it stands for.
// Anything but an authentic, unexpired token of this very field is ErrToken.
// Subject and Pending are not acted upon here: that is Claim's work. It uses no network. Safe for concurrent use.
//
// The token of a direct upload is also accepted as the key under which its object
// waits, which is what other people's upload scripts know of it.
func (f *Field) Verify(token string) (Token, error) {
	if f.fault != nil {
		return Token{}, f.fault
	}
	text, staged := f.unstaged(token)
	t, purpose, err := f.parse(text, purposeField, purposeClaim, purposeDirect)
	if err == nil && staged && (t.direct == nil || t.direct.staging.s != token) {
		err = errBadToken
	}
	if err != nil {
		return Token{}, f.badToken("verify token", err)
	}
	t.Pending = purpose != purposeField
	return t, nil
}

var errExpired = errors.New("the token expired")

// IsExpired says whether err is ErrToken for a token that was right but for its
// time, so that a client can be told that it came too late.
func IsExpired(err error) bool { return errors.Is(err, errExpired) }

// errBadToken says no more than that: a forger learns nothing from it.
var errBadToken = errors.New("the token is not authentic")

// parse reads a token that was made for one of the purposes.
func (f *Field) parse(token string, purposes ...byte) (Token, byte, error) {
	payload, err := f.store.keys.authentic(token)
	if err != nil {
		return Token{}, 0, err
	}
	d := tokenDecoder{left: payload}
	version, purpose := d.byte(), d.byte()
	if version != tokenVersion || !slices.Contains(purposes, purpose) {
		return Token{}, 0, errors.New("the token was made for something else")
	}
	t, err := f.decode(&d)
	if purpose == purposeDirect && err == nil {
		t.direct = f.decodeDirect(&d, token)
	}
	if err == nil && (d.failed || len(d.left) > 0) {
		err = errDamaged
	}
	return t, purpose, err
}

var errDamaged = errors.New("the token is damaged")

// authentic returns what a token holds, if it is one of ours.
func (r keyring) authentic(token string) ([]byte, error) {
	// encoding/base64 passes over line breaks; a token has one spelling only.
	if len(token) == 0 || len(token) > maxTokenBytes || strings.ContainsAny(token, "\r\n") {
		return nil, errBadToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < tokenMACBytes {
		return nil, errBadToken
	}
	payload, sum := b[:len(b)-tokenMACBytes], b[len(b)-tokenMACBytes:]
	if !r.verify(payload, sum) {
		return nil, errBadToken
	}
	return payload, nil
}

// decode reads what follows a token's version and purpose.
func (f *Field) decode(d *tokenDecoder) (t Token, err error) {
	t.Expires = time.Unix(int64(d.uvarint()), 0).UTC()
	field := d.string()
	t.Object.Bucket = d.string()
	key := d.string()
	t.Object.Name = d.string()
	t.Object.Type = d.string()
	t.Object.CRC32C = d.string()
	t.Subject = d.string()
	t.Object.Size = int64(d.uvarint())
	t.Object.Width, t.Object.Height = int(d.uvarint()), int(d.uvarint())
	t.Object.Orientation, t.Object.Blurhash = int(d.uvarint()), d.string()
	if d.failed {
		return Token{}, errDamaged
	}
	if field != f.id || t.Object.Bucket != f.bucket.name {
		return Token{}, errors.New("the token belongs to another field")
	}
	if !f.store.config.Now().Before(t.Expires) {
		return Token{}, fmt.Errorf("%w at %s", errExpired, t.Expires.Format(time.RFC3339))
	}
	t.Object.Key, err = ParseKey(key)
	return t, err
}

// tokenDecoder reads the payload's items; after the first fault it yields zeros.
type tokenDecoder struct {
	left   []byte
	failed bool
}

func (d *tokenDecoder) byte() byte {
	if len(d.left) == 0 {
		d.failed = true
		return 0
	}
	b := d.left[0]
	d.left = d.left[1:]
	return b
}

func (d *tokenDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.left)
	if n <= 0 || v > 1<<62 {
		d.failed, d.left = true, nil
		return 0
	}
	d.left = d.left[n:]
	return v
}

func (d *tokenDecoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.left)) {
		d.failed, d.left = true, nil
		return ""
	}
	s := string(d.left[:n])
	d.left = d.left[n:]
	return s
}
