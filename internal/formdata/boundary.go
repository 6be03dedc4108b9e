package formdata

import (
	"errors"
	"strings"

	"github.com/filefield/filefield/core"
)

// maxBoundary is the longest boundary RFC 2046, section 5.1.1, allows.
const maxBoundary = 70

// ErrNotForm says that a request's Content-Type is not multipart/form-data. The
// answer to such a request is 415.
var ErrNotForm = errors.New("the request's content type is not multipart/form-data")

// Boundary returns the boundary of a request whose Content-Type header is
// contentType. The error is [ErrNotForm] where the type is another one than
// multipart/form-data, other multipart types included, and of kind
// [core.ErrMalformed] where the boundary is missing, empty, given twice, or not
// one that RFC 2046, section 5.1.1, allows: 1 to 70 characters of a small set,
// the last of them not a space. Safe for concurrent use.
func Boundary(contentType string) (string, error) {
	mediaType, ps, err := parseHeaderValue(contentType)
	if mediaType != "multipart/form-data" {
		return "", ErrNotForm
	}
	if err != nil {
		return "", malformed("the Content-Type header is malformed: "+err.Error(), nil)
	}
	boundary, ok := ps.find("boundary")
	_, extended := ps.find("boundary*")
	switch {
	case extended:
		return "", malformed("the boundary in the Content-Type header is encoded", nil)
	case !ok || boundary.value == "":
		return "", malformed("the Content-Type header has no boundary", nil)
	case !isBoundary(boundary.value):
		return "", malformed("the boundary in the Content-Type header is too long or has a character that is not allowed", nil)
	}
	return boundary.value, nil
}

// isBoundary follows the grammar of RFC 2046: 0*69<bchars> bcharsnospace.
func isBoundary(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(`'()+_,-./:=? `, c) >= 0:
		default:
			return false
		}
	}
	return len(s) <= maxBoundary && !strings.HasSuffix(s, " ")
}

// malformed builds the error for a body or header that breaks the rules.
func malformed(detail string, cause error) error {
	return &core.Error{Kind: core.ErrMalformed, Op: "read form", Detail: detail, Err: cause}
}
