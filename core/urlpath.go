package core

import "strings"

// EscapePath percent-encodes a key for the path of a URL. Letters, digits,
// "-_.~", "!*'()" and "/" stay; every other byte becomes %XX in upper case, so
// that the key cannot start a query or a fragment or be read as markup, and
// [net/url.PathUnescape] gives it back. A key with nothing to escape is returned
// without allocating.
//
// A key's dot segments are not escaped, as clients resolve them even then; a
// [Key] has none.
func EscapePath(key string) string { return escapeKey(key, keepPath) }

// EscapeKeyV4 is EscapePath by the stricter rule of AWS Signature Version 4:
// only RFC 3986's unreserved characters and "/" stay. The path of a signed URL
// must be written this way, or the signature does not match.
func EscapeKeyV4(key string) string { return escapeKey(key, keepV4) }

// JoinURL returns the URL of name below base, as the url method of Django's
// storages does: name's backslashes are read as slashes and its leading slashes
// dropped, so that the result never leaves base's host ("//evil.com"), and the
// rest is escaped as by [EscapePath]. base is taken as it is, with a "/" added
// where it does not end in one. An empty name gives base.
//
// An empty base gives an error of kind [ErrConfig]; a name with a ".." segment,
// which a browser would resolve to a URL outside base, one of kind [ErrName].
func JoinURL(base, name string) (string, error) {
	if base == "" {
		return "", &Error{
			Kind:   ErrConfig,
			Op:     "make URL",
			Detail: "This file is not accessible via a URL.",
			Advice: "set the base URL its files are served from",
		}
	}
	for name != "" && isSeparator(name[0]) {
		name = name[1:]
	}
	if hasDotSegment(name, "..") {
		return "", nameError("%s %s", traversal, quoteName(name))
	}
	size := len(base) + len(name) + 2*countEscapes(name, keepPath) + 1
	b := make([]byte, 0, size)
	b = append(b, base...)
	if base[len(base)-1] != '/' {
		b = append(b, '/')
	}
	for i := range len(name) {
		if c := name[i]; c == '\\' {
			b = append(b, '/')
		} else {
			b = appendEscaped(b, c, keepPath)
		}
	}
	return string(b), nil
}

// escapeKey percent-encodes the bytes of s that keep does not name.
func escapeKey(s string, keep func(byte) bool) string {
	n := countEscapes(s, keep)
	if n == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2*n)
	var one [3]byte
	for i := range len(s) {
		b.Write(appendEscaped(one[:0], s[i], keep))
	}
	return b.String()
}

func appendEscaped(b []byte, c byte, keep func(byte) bool) []byte {
	if keep(c) {
		return append(b, c)
	}
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

func countEscapes(s string, keep func(byte) bool) (n int) {
	for i := range len(s) {
		if !keep(s[i]) {
			n++
		}
	}
	return n
}

// unreserved tells whether c is one of RFC 3986's unreserved characters.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

func keepV4(c byte) bool { return unreserved(c) || c == '/' }

func keepPath(c byte) bool {
	switch c {
	case '!', '*', '\'', '(', ')':
		return true
	}
	return keepV4(c)
}
