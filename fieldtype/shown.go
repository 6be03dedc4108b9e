package fieldtype

import (
	"context"
	"strconv"

	"github.com/filefield/filefield/core"
)

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

// appendVariants adds the URLs of the variants that the field declares, by name, to
// an object that appendShown has written.
func (f File[S]) appendVariants(b []byte, field *core.Field) ([]byte, error) {
	declared := field.Config().Variants
	if len(declared) == 0 {
		return b, nil
	}
	const none = `,"variants":{`
	start := len(b) - 1
	out := append(b[:start], none...)
	for _, v := range declared {
		u, err := f.variantURL(context.Background(), v.Name)
		if err != nil {
			return nil, err
		}
		if u == "" {
			continue
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(appendShowable(out, v.Name), ':')
		out = appendShowable(out, u)
	}
	if len(out) == start+len(none) { // there are none
		return append(out[:start], '}'), nil
	}
	return append(out, '}', '}'), nil
}

// appendShowable writes a JSON string that may stand in a web page: with HTML's
// escapes.
func appendShowable(b []byte, s string) []byte { return appendEscaped(b, s, &escapedInHTML) }
