package core

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Disposition says what a browser is to do with a file (RFC 6266).
type Disposition string

const (
	// Inline shows the file in the page's place.
	Inline Disposition = "inline"
	// Attachment saves it.
	Attachment Disposition = "attachment"
)

// DispositionOf returns Inline for the media types of [InlineType] and
// Attachment for all others.
func DispositionOf(mediaType string) Disposition {
	if InlineType(mediaType) {
		return Inline
	}
	return Attachment
}

// ContentDisposition returns the value of a Content-Disposition header (RFC
// 6266) under which a browser shows (attachment false) or saves a file by name.
// Without a name it is "attachment", or "" where the file is to be shown, which
// is what a browser does without the header.
//
// An ASCII name is sent as a quoted string. Any other is sent twice: as an ASCII
// approximation in filename, for old clients, and exactly, by RFC 8187, in
// filename*, which every current client prefers. So is a name with "%", which
// some clients decode in a plain filename. [mime.ParseMediaType] gives the name
// back.
//
// The name may come from anywhere: invalid UTF-8 becomes U+FFFD, characters that
// cannot be printed (line ends, NUL, bidirectional overrides, …) are removed,
// other spaces become plain ones, and the name is cut to 255 bytes with its
// extension kept. The result is printable ASCII of at most about 1 KiB, so it
// can neither break nor flood the response's header.
func ContentDisposition(d Disposition, name string) string {
	name = headerName(name)
	disposition := string(d)
	switch {
	case name == "" && d == Inline:
		return "" // what a browser does anyway
	case name == "":
		return disposition
	case plainASCII(name):
		escaped := name
		if strings.ContainsAny(name, `\"`) {
			escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)
		}
		return disposition + `; filename="` + escaped + `"`
	}
	// RFC 8187 allows a few more characters unescaped than the unreserved ones;
	// clients agree on these.
	return disposition + `; filename="` + asciiName(name) + `"; filename*=UTF-8''` + escapeKey(name, unreserved)
}

// headerName returns name bounded and without what must not reach a header.
func headerName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.Is(unicode.Zs, r):
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(name, "\uFFFD"))
	name = strings.TrimSpace(name)
	switch {
	case name == "." || name == "..":
		return ""
	case len(name) <= maxNameBytes:
		return name
	}
	stem, ext := splitLastExt(name)
	return fitName(stem, ext, maxNameBytes)
}

// plainASCII tells whether filename alone can carry name.
func plainASCII(name string) bool {
	for i := range len(name) {
		if name[i] >= 0x80 || name[i] == '%' {
			return false
		}
	}
	return true
}

// asciiName approximates name: accents are dropped ("é" is "e"), and what has no
// ASCII base, or needs care in a quoted string, becomes "_".
func asciiName(name string) string {
	ascii := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case r >= 0x80 || strings.ContainsRune(`%"\/`, r):
			return '_'
		}
		return r
	}, norm.NFD.String(name))
	if ascii == "" {
		return "_"
	}
	return ascii
}
