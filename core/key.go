package core

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Key is the name of an object in a bucket, checked to be safe to address. Keys
// are made by [ParseKey] and by a field's [UploadTo], never from what a client
// sent. The zero value names nothing. Keys can be compared with == and are safe
// for concurrent use.
type Key struct{ s string }

// ParseKey checks s and returns it, byte for byte, as a Key. Any key that may
// exist in a bucket and can be addressed safely is accepted, with its spaces,
// backslashes and characters of any script.
//
// Refused with kind [ErrName]: an empty key; more than 1024 bytes, or 255 in a
// segment; bytes that are not UTF-8; control characters; a leading "/" or "\" or
// drive letter ("C:\", "C:/"); empty segments ("a//b", "a/"); and the segments
// "." and "..", also between backslashes, as clients and proxies resolve those
// and would address another object.
func ParseKey(s string) (Key, error) {
	if why := unsafeKey(s); why != "" {
		return Key{}, nameError("%s %s", why, quoteName(s))
	}
	return Key{s}, nil
}

// String returns the key's text, "" for the zero Key.
func (k Key) String() string { return k.s }

// IsZero tells whether k names nothing.
func (k Key) IsZero() bool { return k.s == "" }

// Base returns the last segment: "a.txt" of "docs/a.txt".
func (k Key) Base() string { return k.s[strings.LastIndexByte(k.s, '/')+1:] }

// Dir returns what is before the last segment, without the slash between them:
// "docs" of "docs/a.txt", "" of "a.txt".
func (k Key) Dir() string { return k.s[:max(strings.LastIndexByte(k.s, '/'), 0)] }

// MarshalText returns the key's text. It never fails.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.s), nil }

// UnmarshalText sets k to the text's key, checked as [ParseKey] does; an empty
// text gives the zero Key. On error k is unchanged.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = Key{}
		return nil
	}
	parsed, err := ParseKey(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

// NormalizeName turns a name the app gives an object into a key's text, as
// Django's Storage.save does: "\" is read as "/", and "a//b", "./a" and "a/./b"
// become "a/b", "a" and "a/b". The rest stays as it is, spaces included.
//
// Refused with kind [ErrName]: names that leave their folder or start at a root
// ("..", a leading slash or backslash, a drive letter) as a path traversal
// attempt; names without a last segment ("", "a/", ".", "a/..") and names with
// control characters, bytes that are not UTF-8, or more bytes than a key or a
// segment may have.
func NormalizeName(name string) (string, error) {
	slashed := strings.ReplaceAll(name, `\`, "/")
	switch slashed[strings.LastIndexByte(slashed, '/')+1:] {
	case "", ".", "..":
		return "", underivable(name)
	}
	if rooted(slashed) || hasDotSegment(slashed, "..") {
		return "", nameError("%s %s", traversal, quoteName(name))
	}
	segments := strings.Split(slashed, "/")
	kept := segments[:0]
	for _, segment := range segments {
		if segment != "" && segment != "." {
			kept = append(kept, segment)
		}
	}
	key := strings.Join(kept, "/")
	if why := unsafeKey(key); why != "" {
		return "", nameError("%s %s", why, quoteName(name))
	}
	return key, nil
}

// traversal begins every error about a name that points out of its folder.
const traversal = "detected a path traversal attempt in"

// noName begins every error about a name without a usable last segment.
const noName = "could not derive a file name from"

// unsafeKey says why s cannot be a key, or "". The reason is written to stand
// before the quoted key.
func unsafeKey(s string) string {
	if why := unsafePath(s); why != "" {
		return why
	}
	if len(s) > maxKeyLength {
		return fmt.Sprintf("a key has at most %d bytes, not the %d of", maxKeyLength, len(s))
	}
	for segment := range strings.SplitSeq(s, "/") {
		if len(segment) > maxNameBytes {
			return fmt.Sprintf("a segment of a key has at most %d bytes, not the %d in", maxNameBytes, len(segment))
		}
	}
	return ""
}

// unsafePath is unsafeKey without the limits of length.
func unsafePath(s string) string {
	base := s[strings.LastIndexAny(s, `/\`)+1:]
	switch {
	case s == "" || strings.HasSuffix(s, "/") || base == "." || base == "..":
		return noName
	case rooted(s) || hasDotSegment(s, ".."):
		return traversal
	case strings.Contains(s, "//") || hasDotSegment(s, "."):
		return `a key has no empty or "." segments, unlike`
	case !utf8.ValidString(s):
		return "a key is UTF-8 text, unlike"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "a key has no control characters, unlike"
	}
	return ""
}

// rooted tells whether s starts at a root: with a separator or a drive letter.
func rooted(s string) bool {
	if s != "" && isSeparator(s[0]) {
		return true
	}
	return len(s) >= 3 && s[1] == ':' && isSeparator(s[2]) &&
		('a' <= s[0]|0x20 && s[0]|0x20 <= 'z')
}

// hasDotSegment tells whether s has the segment dots between separators of
// either kind.
func hasDotSegment(s, dots string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], dots)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(dots)
		if (start == 0 || isSeparator(s[start-1])) && (end == len(s) || isSeparator(s[end])) {
			return true
		}
		from = start + 1
	}
}

func isSeparator(c byte) bool { return c == '/' || c == '\\' }
