package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"slices"
	"time"
)

// Unsigned stands in the place of a payload's hash where the signature does not
// cover the payload: X-Amz-Content-Sha256 says so too.
const Unsigned = "UNSIGNED-PAYLOAD"

// Sent is a request that is signed by a header.
type Sent struct {
	Method string
	// Host is what the client will send, with its port where it is not the scheme's
	// own.
	Host string
	// Path is escaped, as a Request's.
	Path string
	// Query is sorted by name and escaped: every byte but RFC 3986's unreserved
	// characters as %XX in upper case, and "=" after every name.
	Query string
	// Header is what is sent besides Host. The signature covers all of it but
	// Accept-Encoding, Authorization and User-Agent, which proxies change. It must
	// hold X-Amz-Date, which Stamp makes of Time, X-Amz-Content-Sha256 of Unsigned,
	// and, with temporary credentials, X-Amz-Security-Token. No header may have two
	// values.
	Header http.Header
	// Time is when it is signed.
	Time time.Time
}

// scratch is the room of one signature.
type scratch struct {
	names   []byte // in lower case, one after the other
	headers []signedHeader
	text    []byte
}

// signedHeader is a header with its name's place in scratch.names.
type signedHeader struct {
	from, to int
	value    string
}

func (s *scratch) name(h signedHeader) []byte { return s.names[h.from:h.to] }

// Authorization returns what a request's header Authorization says, which is what
// minio-go's signer.SignV4 makes of it.
func (s *Signer) Authorization(c Credentials, r *Sent) string {
	k, at := s.key(c, r.Time), r.Time.UTC()
	room := s.scratch.Get().(*scratch) //nolint:forcetypeassert // it holds nothing else
	room.take(r)
	text := room.appendCanonical(room.text[:0], r)
	digest := sha256.Sum256(text)
	text = append(append(text[:0], algorithm...), '\n')
	text = append(at.AppendFormat(text, stampFormat), '\n')
	text = append(append(text, k.scope...), '\n')
	text = hex.AppendEncode(text, digest[:])
	mac := k.macs.Get().(hash.Hash) //nolint:forcetypeassert // it holds nothing else
	mac.Reset()
	mac.Write(text)
	sum := mac.Sum(digest[:0])
	k.macs.Put(mac)
	text = append(append(text[:0], algorithm+" Credential="...), c.AccessKey...)
	text = append(append(append(text, '/'), k.scope...), ", SignedHeaders="...)
	text = append(room.appendNames(text), ", Signature="...)
	text = hex.AppendEncode(text, sum)
	out := string(text)
	room.text = text
	clear(room.headers) // the values are somebody's
	s.scratch.Put(room)
	return out
}

// take collects the headers that are signed, sorted by their lower-case names.
func (s *scratch) take(r *Sent) {
	s.names, s.headers = s.names[:0], s.headers[:0]
	s.add("host", r.Host)
	for name, values := range r.Header {
		switch name {
		case "Accept-Encoding", "Authorization", "User-Agent":
		default:
			if len(values) > 0 {
				s.add(name, values[0])
			}
		}
	}
	slices.SortFunc(s.headers, func(a, b signedHeader) int {
		return bytes.Compare(s.name(a), s.name(b))
	})
}

func (s *scratch) add(name, value string) {
	from := len(s.names)
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		s.names = append(s.names, c)
	}
	s.headers = append(s.headers, signedHeader{from, len(s.names), value})
}

// appendCanonical appends the request as both sides write it for the signature.
func (s *scratch) appendCanonical(b []byte, r *Sent) []byte {
	b = append(append(b, r.Method...), '\n')
	b = append(append(b, r.Path...), '\n')
	b = append(append(b, r.Query...), '\n')
	for _, h := range s.headers {
		b = appendTrimmed(append(append(b, s.name(h)...), ':'), h.value)
		b = append(b, '\n')
	}
	b = s.appendNames(append(b, '\n'))
	return append(b, "\n"+Unsigned...)
}

func (s *scratch) appendNames(b []byte) []byte {
	for i, h := range s.headers {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, s.name(h)...)
	}
	return b
}
