package formdata

import (
	"errors"
	"mime"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest field name in bytes, the limit of what any form needs.
const maxName = 1000

var (
	errExtended    = errors.New("an encoded parameter cannot be decoded")
	errCharset     = errors.New("a parameter's charset is not supported")
	errFileNames   = errors.New("filename and filename* name different files")
	errNames       = errors.New("name and name* differ")
	errName        = errors.New("the field's name is too long or has control characters")
	errDisposition = errors.New("the disposition is not form-data")
)

// disposition is what a part's Content-Disposition header says of it.
type disposition struct {
	name     string
	fileName string
	isFile   bool
}

// readDisposition reads the header of a form's part.
func readDisposition(s string) (disposition, error) {
	var d disposition
	kind, ps, err := parseDisposition(s)
	if err != nil {
		return d, err
	}
	if kind != "form-data" {
		return d, errDisposition
	}
	if d.name, _, err = ps.text("name", sameText, errNames); err != nil {
		return d, err
	}
	if len(d.name) > maxName || strings.IndexFunc(d.name, unicode.IsControl) >= 0 {
		return d, errName
	}
	d.fileName, d.isFile, err = ps.text("filename", isFallback, errFileNames)
	return d, err
}

// parseDisposition splits a Content-Disposition header (RFC 2183, RFC 7578)
// into the disposition, in lower case, and its parameters as they were sent.
func parseDisposition(s string) (string, params, error) {
	kind, ps, err := parseHeaderValue(s)
	if err == nil && !isToken(kind) {
		err = errDisposition
	}
	return kind, ps, err
}

// text returns the value of a parameter that may be given plain, extended (with
// an asterisk) or both; agree decides whether the two can stand together.
func (ps params) text(name string, agree func(plain, extended string) bool, disagree error) (value string, given bool, err error) {
	plain, hasPlain := ps.find(name)
	if hasPlain && plain.quoted {
		plain.value = strings.ReplaceAll(plain.value, "%22", `"`)
	}
	encoded, hasExtended := ps.find(name + "*")
	if !hasExtended {
		return plain.value, hasPlain, nil
	}
	extended, err := decodeExtended(encoded.value)
	switch {
	case errors.Is(err, errExtended) && hasPlain:
		return plain.value, true, nil
	case err != nil:
		return "", true, err
	case hasPlain && !agree(plain.value, extended):
		return "", true, disagree
	}
	return extended, true, nil
}

func sameText(plain, extended string) bool { return plain == extended }

// isFallback reports whether plain is what a client sends for recipients that
// do not know filename*: the same name, or its rendering in ASCII. Such a
// rendering may lose letters but not the extension, which decides how a file
// is treated.
func isFallback(plain, extended string) bool {
	if plain == extended {
		return true
	}
	// Spring writes the fallback as an encoded word.
	if word, err := new(mime.WordDecoder).DecodeHeader(plain); err == nil && word == extended {
		return true
	}
	return isASCII(plain) && strings.EqualFold(extension(plain), extension(extended))
}

// extension returns what follows the last dot of the last path element, for
// either kind of slash.
func extension(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return name[dot:]
	}
	return ""
}

// decodeExtended decodes an ext-value of RFC 8187: charset'language'text. The
// error is errCharset where the charset is not known, else errExtended.
func decodeExtended(s string) (string, error) {
	charset, rest, _ := strings.Cut(s, "'")
	_, text, ok := strings.Cut(rest, "'")
	if !ok || charset == "" {
		return "", errExtended
	}
	text, err := url.PathUnescape(text)
	switch strings.ToLower(charset) {
	case "utf-8":
		ok = utf8.ValidString(text)
	case "us-ascii":
		ok = isASCII(text)
	case "iso-8859-1":
		text = fromLatin1(text)
	default:
		return "", errCharset
	}
	if err != nil || !ok {
		return "", errExtended
	}
	return text, nil
}

// fromLatin1 decodes ISO-8859-1, whose bytes are Unicode's first 256 characters.
func fromLatin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
