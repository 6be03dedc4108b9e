package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Credentials sign. They are not checked: anonymous ones make a signature that
// nobody accepts.
type Credentials struct {
	AccessKey, SecretKey string
	// SessionToken goes with temporary credentials.
	SessionToken string
}

// Param is a name with its value.
type Param struct{ Name, Value string }

// Request is what a URL allows.
type Request struct {
	Method, Scheme string
	// Host is the host a client will send, with its port where it is not the
	// scheme's own.
	Host string
	// Path is the URL's path, escaped: every byte but RFC 3986's unreserved
	// characters and "/" as %XX in upper case.
	Path string
	// Query are further parameters, unescaped, sorted by name, with names that
	// sort after "X-Amz-" (all in lower case do).
	Query []Param
	// Header are the headers besides Host that a client has to send as they stand
	// here, sorted by name, names in lower case.
	Header []Param
	// Time is when the URL's life begins, and Expires its length, in whole seconds.
	Time    time.Time
	Expires time.Duration
}

// Signer signs for one region. Safe for concurrent use.
type Signer struct {
	region  string
	keys    atomic.Pointer[recent]
	room    sync.Pool // of *[]byte
	scratch sync.Pool // of *scratch
}

// recent are the two signing keys used last: around midnight, URLs of two days
// are made.
type recent struct{ last, before *key }

// New returns a Signer for a region.
func New(region string) *Signer {
	return &Signer{
		region:  region,
		room:    sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }},
		scratch: sync.Pool{New: func() any { return new(scratch) }},
	}
}

// key is what the signatures of one day and one set of credentials share.
type key struct {
	credentials Credentials
	day         int64 // since 1970
	// scope is the day's "20260101/us-east-1/s3/aws4_request", escaped the same
	// with the access key before it.
	scope, escaped string
	token          string    // escaped
	macs           sync.Pool // of hash.Hash: HMAC-SHA256 with the derived key
}

const (
	algorithm   = "AWS4-HMAC-SHA256"
	dayFormat   = "20060102"
	stampFormat = "20060102T150405Z"
)

// AppendPresigned appends the URL to dst.
func (s *Signer) AppendPresigned(dst []byte, c Credentials, r *Request) []byte {
	k, at := s.key(c, r.Time), r.Time.UTC()
	dst = append(append(append(dst, r.Scheme...), "://"...), r.Host...)
	dst = append(append(dst, r.Path...), '?')
	query := len(dst)
	dst = k.appendQuery(dst, r, at)

	scratch := s.room.Get().(*[]byte) //nolint:forcetypeassert // it holds nothing else
	canonical := appendCanonical((*scratch)[:0], r, dst[query:])
	digest := sha256.Sum256(canonical)
	text := append(append(canonical[:0], algorithm...), '\n')
	text = append(at.AppendFormat(text, stampFormat), '\n')
	text = append(append(text, k.scope...), '\n')
	text = hex.AppendEncode(text, digest[:])
	mac := k.macs.Get().(hash.Hash) //nolint:forcetypeassert // it holds nothing else
	mac.Reset()
	mac.Write(text)
	sum := mac.Sum(text[:0])
	dst = hex.AppendEncode(append(dst, "&X-Amz-Signature="...), sum)
	k.macs.Put(mac)
	*scratch = sum[:0]
	s.room.Put(scratch)
	return dst
}

// Algorithm is the name of the signature, for forms.
const Algorithm = algorithm

// Stamp writes a time as signatures do.
func Stamp(at time.Time) string { return at.UTC().Format(stampFormat) }

// Credential returns what a form that is signed at a time names as its credential.
func (s *Signer) Credential(c Credentials, at time.Time) string {
	return c.AccessKey + "/" + s.key(c, at).scope
}

// SignPolicy returns the signature of a form's policy: its base64 text is what is
// signed, as it stands in the form.
func (s *Signer) SignPolicy(c Credentials, at time.Time, policy string) string {
	k := s.key(c, at)
	mac := k.macs.Get().(hash.Hash) //nolint:forcetypeassert // it holds nothing else
	defer k.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(policy))
	return hex.EncodeToString(mac.Sum(nil))
}

// appendQuery appends the parameters in the order of their names, which is both
// the URL's and the signature's.
func (k *key) appendQuery(b []byte, r *Request, at time.Time) []byte {
	b = append(append(b, "X-Amz-Algorithm="+algorithm+"&X-Amz-Credential="...), k.escaped...)
	b = at.AppendFormat(append(b, "&X-Amz-Date="...), stampFormat)
	b = strconv.AppendInt(append(b, "&X-Amz-Expires="...), int64(r.Expires/time.Second), 10)
	if k.token != "" {
		b = append(append(b, "&X-Amz-Security-Token="...), k.token...)
	}
	b = append(b, "&X-Amz-SignedHeaders="...)
	b = appendSigned(b, r.Header, "%3B")
	for _, p := range r.Query {
		b = append(appendEscaped(append(b, '&'), p.Name), '=')
		b = appendEscaped(b, p.Value)
	}
	return b
}

// appendCanonical appends the request as both sides write it for the signature.
func appendCanonical(b []byte, r *Request, query []byte) []byte {
	b = append(append(b, r.Method...), '\n')
	b = append(append(b, r.Path...), '\n')
	b = append(append(b, query...), '\n')
	host := false
	for _, h := range r.Header {
		if !host && h.Name > "host" {
			b, host = appendHeader(b, "host", r.Host), true
		}
		b = appendHeader(b, h.Name, h.Value)
	}
	if !host {
		b = appendHeader(b, "host", r.Host)
	}
	b = appendSigned(append(b, '\n'), r.Header, ";")
	return append(b, "\n"+Unsigned...)
}

// appendHeader appends a header with its inner spaces made single.
func appendHeader(b []byte, name, value string) []byte {
	b = append(append(b, name...), ':')
	return append(appendTrimmed(b, value), '\n')
}

// appendTrimmed appends a value without outer spaces, and its inner ones single.
func appendTrimmed(b []byte, value string) []byte {
	first := true
	for word := range strings.FieldsSeq(value) {
		if !first {
			b = append(b, ' ')
		}
		b, first = append(b, word...), false
	}
	return b
}

// appendSigned appends the names of the signed headers.
func appendSigned(b []byte, header []Param, separator string) []byte {
	host := false
	for _, h := range header {
		if !host && h.Name > "host" {
			b, host = append(append(b, "host"...), separator...), true
		}
		b = append(append(b, h.Name...), separator...)
	}
	if !host {
		return append(b, "host"...)
	}
	return b[:len(b)-len(separator)]
}

// key returns the signing key of a day.
func (s *Signer) key(c Credentials, at time.Time) *key {
	day := at.Unix() / (24 * 60 * 60)
	kept := s.keys.Load()
	if kept != nil {
		for _, k := range [...]*key{kept.last, kept.before} {
			if k != nil && k.day == day && k.credentials == c {
				return k
			}
		}
	}
	k := s.derive(c, at.UTC(), day)
	next := &recent{last: k}
	if kept != nil {
		next.before = kept.last
	}
	s.keys.Store(next) // of two at once, the one that is lost is made again
	return k
}

func (s *Signer) derive(c Credentials, at time.Time, day int64) *key {
	date := at.Format(dayFormat)
	sum := []byte("AWS4" + c.SecretKey)
	for _, part := range []string{date, s.region, "s3", "aws4_request"} {
		mac := hmac.New(sha256.New, sum)
		mac.Write([]byte(part))
		sum = mac.Sum(nil)
	}
	scope := date + "/" + s.region + "/s3/aws4_request"
	return &key{
		credentials: c, day: day, scope: scope,
		escaped: string(appendEscaped(nil, c.AccessKey+"/"+scope)),
		token:   string(appendEscaped(nil, c.SessionToken)),
		macs:    sync.Pool{New: func() any { return hmac.New(sha256.New, sum) }},
	}
}

// AppendPath appends a path of text as a Request's: escaped.
func AppendPath(dst []byte, text string) []byte {
	for i, segment := 0, 0; ; i++ {
		if i == len(text) || text[i] == '/' {
			dst = appendEscaped(dst, text[segment:i])
			if i == len(text) {
				return dst
			}
			dst, segment = append(dst, '/'), i+1
		}
	}
}

// AppendQuery appends a value of a query: escaped.
func AppendQuery(dst []byte, value string) []byte { return appendEscaped(dst, value) }

// appendEscaped percent-encodes all but RFC 3986's unreserved characters.
func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
