package fieldtype

import "strconv"

// appendShown writes a file as a response shows it: what encoding/json makes of
// the members name, type, size, url, width, height and blurhash, the last three
// left out where they are empty. It is written by hand for pages of hundreds of
// files.
func appendShown[S Spec](b []byte, url string, f File[S]) []byte {
	b = appendShowable(append(b, `{"name":`...), f.object.Name)
	b = appendShowable(append(b, `,"type":`...), f.object.Type)
	b = strconv.AppendInt(append(b, `,"size":`...), f.object.Size, 10)
	b = appendShowable(append(b, `,"url":`...), url)
	b = appendNumber(b, `,"width":`, f.Width())
	b = appendNumber(b, `,"height":`, f.Height())
	if f.object.Blurhash != "" {
		b = appendShowable(append(b, `,"blurhash":`...), f.object.Blurhash)
	}
	return append(b, '}')
}

// appendShowable writes a JSON string that may stand in a web page: with HTML's
// escapes.
func appendShowable(b []byte, s string) []byte { return appendEscaped(b, s, &escapedInHTML) }
