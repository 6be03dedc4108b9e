package core

import (
	"crypto/rand"
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxNameBytes is the longest file name, and the longest segment of a key, in
// bytes: what file systems take, so that any key can be synced to a disk.
const maxNameBytes = 255

// maxExtBytes is the longest ending, its dot included, that is taken for a
// file extension. A longer one is part of the name's text.
const maxExtBytes = 20

// maxMarks is how many combining marks ValidName keeps on one character. No
// script needs as many; more is a prank that overflows its line.
const maxMarks = 10

// ClientName returns the bare, printable file name in raw, the name a browser
// put in the Content-Disposition of an uploaded part. "" means that no file was
// chosen: raw is empty, ends in a separator, or names "." or "..".
//
// It does what Django's multipart parser does: HTML character references are
// decoded, what follows the last "/" or "\" is kept, and characters that cannot
// be printed are removed (control characters, NUL, bidirectional overrides,
// zero-width characters, byte order marks, soft hyphens, spaces other than
// U+0020). Bytes that are not UTF-8 become U+FFFD, and the result is in
// normalization form C, which is what macOS does not send.
//
// The result is at most 255 bytes long, cut between characters, with its
// extension kept. It is data, to be shown and to be sent back in a
// Content-Disposition header; it still holds quotes, colons or "<" where raw
// did, and is not meant to be a key: see [ValidName].
func ClientName(raw string) string {
	s := raw
	if !isBareASCII(raw) {
		s = bareName(raw)
	}
	switch s {
	case "", ".", "..":
		return ""
	}
	if len(s) <= maxNameBytes {
		return s
	}
	stem, ext := splitLastExt(s)
	return fitName(stem, ext, maxNameBytes)
}

// isBareASCII says that bareName has nothing to do: s is printable ASCII without
// folders and character references, as most names are.
func isBareASCII(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '/' || c == '\\' || c == '&' {
			return false
		}
	}
	return true
}

// bareName is ClientName but for what comes of names without a meaning, and of long
// ones.
func bareName(raw string) string {
	s := html.UnescapeString(strings.ToValidUTF8(raw, "\uFFFD"))
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	return norm.NFC.String(dropUnprintable(s))
}

// ValidName turns name into one that is safe as the last segment of a key, a
// URL and a file on any system, and stays readable: letters, digits and marks
// of every script, "-", "_" and ".", with spaces as "_", at most 255 bytes.
//
// It follows Django's get_valid_filename, and differs where that loses names or
// leaves traps behind:
//
//   - the name is brought into normalization form C first and keeps its
//     combining marks, so "café" and "नाव" survive whichever way they were typed;
//   - a stem of which nothing remains becomes "file": "😀.png" is "file.png",
//     not a hidden file without extension;
//   - leading and trailing dots and spaces go, so do leading dashes, which
//     command lines take for options: ".htaccess" is "htaccess", "-rf" is "rf".
//     Dashes before an underscore stay, as they cannot start an option, and
//     Django's own "-_123.txt" stays what it is;
//   - names that mean something to Windows (CON, NUL.tar.gz, COM¹, …) or to web
//     servers and browsers (web.config, robots.txt, sw.js, …) get a leading "_".
//
// Nothing is ever decoded: "%2e%2e%2f" loses its percent signs. The extension is
// kept whatever it is; refusing types is the work of [Accept]. A name of which
// nothing remains gives an error of kind [ErrName]. ValidName of its own result
// is that result.
func ValidName(name string) (string, error) {
	s := strings.TrimFunc(norm.NFC.String(name), func(r rune) bool {
		return r == '.' || unicode.IsSpace(r)
	})
	s = strings.TrimRight(norm.NFC.String(keepWordRunes(s)), ".")
	if rest := strings.TrimLeft(s, "-"); !strings.HasPrefix(rest, "_") {
		s = rest
	}
	if rest := strings.TrimLeft(s, "."); rest != s && rest != "" {
		s = "file." + rest
	}
	if s == "" {
		return "", underivable(name)
	}
	if ReservedName(s) {
		s = "_" + s
	}
	if len(s) > maxNameBytes {
		stem, ext := SplitExt(s)
		s = strings.TrimRight(fitName(stem, ext, maxNameBytes), ".")
	}
	return s, nil
}

// SplitExt splits the last segment of name before its extension, so that
// stem+ext == name. The extension includes its dot and is at most 20 bytes; the
// endings .tar.gz, .tar.bz2, .tar.xz and .tar.zst count as one. There is none
// ("") when the only dot leads the name (".profile"), ends it, or has a space
// after it ("report v1.2 final").
func SplitExt(name string) (stem, ext string) {
	stem, ext = splitLastExt(name)
	if len(ext) < 2 || len(ext) > maxExtBytes || strings.ContainsAny(ext, " \\") {
		return name, ""
	}
	return stem, ext
}

// Alternative returns key with "_"+random before the extension of its last
// segment: what Django's get_available_name offers when a key is taken. max is
// the longest result in bytes; 0 or less means the 1024 bytes S3 allows. The
// stem is shortened, between characters, until the result fits; where nothing
// of it would remain, the error has kind [ErrName]. Use [RandomSuffix] for
// random.
func Alternative(key string, max int, random string) (string, error) {
	return shorten(key, "_"+random, max)
}

// Truncate returns key cut to max bytes by shortening the stem of its last
// segment, between characters, with the extension kept: what Django does with a
// name that may be overwritten. A key that fits is returned as it is; 0 or less
// means the 1024 bytes S3 allows. Where nothing of the stem would remain, or key
// is not safe (see [ParseKey]), the error has kind [ErrName].
func Truncate(key string, max int) (string, error) {
	return shorten(key, "", max)
}

// RandomSuffix returns 7 characters of A-Z, a-z and 0-9 from crypto/rand, each
// equally likely: enough to step aside for a taken name, not enough (41 bits) to
// keep a key from being guessed.
func RandomSuffix() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	var suffix [7]byte
	var pool [16]byte
	for n := 0; n < len(suffix); {
		_, _ = rand.Read(pool[:]) // never fails; see crypto/rand
		for _, b := range pool {
			// 6 bits that point past the 62 letters are drawn again: taking
			// them modulo 62 would favour the first letters.
			if i := int(b & 63); i < len(letters) && n < len(suffix) {
				suffix[n] = letters[i]
				n++
			}
		}
	}
	return string(suffix[:])
}

// shorten inserts insert before the extension of key's last segment and cuts
// the stem so that the result has at most max bytes.
func shorten(key, insert string, max int) (string, error) {
	if why := unsafePath(key); why != "" {
		return "", nameError("%s %s", why, quoteName(key))
	}
	if max <= 0 || max > maxKeyLength {
		max = maxKeyLength
	}
	slash := strings.LastIndexByte(key, '/') + 1
	if insert == "" && len(key) <= max && len(key)-slash <= maxNameBytes {
		return key, nil
	}
	stem, ext := SplitExt(key[slash:])
	room := min(max-slash, maxNameBytes) - len(insert) - len(ext)
	short := key[:slash] + cutBytes(stem, room) + insert + ext
	if cutBytes(stem, room) == "" || unsafePath(short) != "" {
		return "", nameError("storage can not find an available file name for %s in %d bytes; allow a longer one", quoteName(key), max)
	}
	return short, nil
}

// splitLastExt splits the last segment of name before its last dot, as Python's
// os.path.splitext does, and before a known double extension. The ending may
// have any length; leading dots start none.
func splitLastExt(name string) (stem, ext string) {
	base := strings.LastIndexByte(name, '/') + 1
	for base < len(name) && name[base] == '.' {
		base++
	}
	dot := strings.LastIndexByte(name[base:], '.')
	if dot < 0 {
		return name, ""
	}
	dot += base
	const tar = ".tar"
	if inner := dot - len(tar); inner > base && tarExt(name[dot:]) && strings.EqualFold(name[inner:dot], tar) {
		dot = inner
	}
	return name[:dot], name[dot:]
}

// tarExt tells whether ext is one that compressed tar archives have after .tar.
func tarExt(ext string) bool {
	switch strings.ToLower(ext) {
	case ".gz", ".bz2", ".xz", ".zst":
		return true
	}
	return false
}

// fitName joins stem and ext in at most max bytes, cutting the stem first.
func fitName(stem, ext string, max int) string {
	ext = cutBytes(ext, max)
	return cutBytes(stem, max-len(ext)) + ext
}

// cutBytes returns the longest start of s that has at most n bytes and does not
// end inside a character.
func cutBytes(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// dropUnprintable removes what unicode.IsPrint does not take for printable,
// which is what Python's str.isprintable refuses too.
func dropUnprintable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// keepWordRunes keeps letters, numbers, marks, "-", "_" and ".", and writes a
// space as "_". A mark stays only on a character that stays.
func keepWordRunes(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	marks := -1 // marks on the character before; -1: nothing that can bear one
	for _, r := range s {
		switch {
		case r == ' ':
			b.WriteByte('_')
			marks = -1
		case r == '-' || r == '_' || r == '.':
			b.WriteRune(r)
			marks = -1
		case invisible(r):
			// Shows nothing, so it neither stays nor parts a letter from its mark.
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			b.WriteRune(r)
			marks = 0
		case unicode.In(r, unicode.Mn, unicode.Mc):
			if 0 <= marks && marks < maxMarks {
				b.WriteRune(r)
				marks++
			}
		default:
			marks = -1
		}
	}
	return b.String()
}

// invisible tells whether r has no shape of its own, though it may count as a
// letter or a mark: variation selectors, joiners, Hangul fillers.
func invisible(r rune) bool {
	return r > unicode.MaxASCII &&
		unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// ReservedName tells whether Windows, a web server or a browser gives the name
// a meaning of its own. Windows looks at what is before the first dot only.
func ReservedName(name string) bool {
	name = strings.ToLower(name)
	device, _, _ := strings.Cut(name, ".")
	switch device {
	case "con", "prn", "aux", "nul", "conin", "conout": // CONIN$ has lost its $
		return true
	}
	if port, ok := strings.CutPrefix(device, "com"); ok && portNumber(port) {
		return true
	}
	if port, ok := strings.CutPrefix(device, "lpt"); ok && portNumber(port) {
		return true
	}
	switch name {
	case "web.config", "php.ini", "user.ini", "robots.txt", "crossdomain.xml",
		"clientaccesspolicy.xml", "sw.js", "service-worker.js", "serviceworker.js":
		return true
	}
	return false
}

// portNumber tells whether s is a digit that Windows takes for a port's.
func portNumber(s string) bool {
	switch s {
	case "¹", "²", "³":
		return true
	}
	return len(s) == 1 && '1' <= s[0] && s[0] <= '9'
}

// nameError is the error for a name or key that cannot be used.
func nameError(format string, args ...any) *Error {
	return &Error{Kind: ErrName, Detail: fmt.Sprintf(format, args...)}
}

// underivable is the error for a name of which nothing usable remains.
func underivable(name string) *Error {
	return nameError("could not derive a file name from %s", quoteName(name))
}

// quoteName quotes a name for an error that people read: bounded, without
// characters that act on a terminal or that mark up HTML.
func quoteName(name string) string {
	const most = 120
	short := cutBytes(name, most)
	if short != name {
		short += "…"
	}
	return strings.NewReplacer("<", `\x3c`, ">", `\x3e`, "&", `\x26`).Replace(strconv.Quote(short))
}
