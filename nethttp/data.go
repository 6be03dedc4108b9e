package nethttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/filefield/filefield/core"
)

// isData says whether a media type is of those that frameworks' binders read,
// beside forms.
func isData(mediaType string) bool {
	switch mediaType {
	case "application/msgpack", "application/x-msgpack", "application/x-protobuf", "application/bson":
		return true
	}
	return isJSON(mediaType) || isText(mediaType)
}

// isJSON says whether a media type is JSON's, or of a family in its syntax.
func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}

// isText says whether a token in data of a media type stands there as it is, and
// another may take its place.
func isText(mediaType string) bool {
	switch mediaType {
	case "application/xml", "text/xml", "application/yaml", "application/x-yaml", "application/toml":
		return true
	}
	return false
}

// data reads a body that is neither a form nor files, and claims the files whose
// tokens it brings, so that binders, which know no context, can fill file fields
// from it: in JSON every string that is a token of one of the route's fields,
// wherever it stands, in XML, YAML and TOML every word. In binary formats tokens
// stay as they are, and a file field refuses those that need claiming.
func (rc *Receiver) data(w http.ResponseWriter, r *http.Request, mediaType string) error {
	body := rc.body(w, r, rc.limits.Text)
	if r.ContentLength > rc.limits.Text {
		body.done()
		return tooLarge("the request is larger than", rc.limits.Text)
	}
	if len(rc.fields) == 0 {
		r.Body = body
		return nil
	}
	defer body.done()
	doc, err := io.ReadAll(body)
	if err != nil {
		return errBody(r, err)
	}
	if isJSON(mediaType) {
		err = asJSON(r, doc)
	}
	if err == nil {
		doc, err = rc.claimTokens(r, mediaType, doc)
	}
	if err != nil {
		return err
	}
	*r = *r.WithContext(context.WithValue(r.Context(), boundedKey{}, true))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(doc)), int64(len(doc))
	if r.Header.Get("Content-Length") != "" {
		r.Header.Set("Content-Length", strconv.Itoa(len(doc)))
	}
	return nil
}

// boundedKey marks, in its context, a request whose body has been read within the
// route's limits.
type boundedKey struct{}

// asJSON sees to it that all binders take the document alike: what they make of
// several values, or of none, differs, and some know one name of JSON only.
func asJSON(r *http.Request, doc []byte) error {
	// What is encoded is for the binder to decode, or has been decoded by middleware
	// that left the header.
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil
	}
	if len(doc) == 0 && r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		return nil // clients name a type for every request
	}
	if !json.Valid(doc) {
		return &core.Error{Kind: core.ErrMalformed, Op: "read request", Detail: "the body is not valid JSON"}
	}
	r.Header["Content-Type"][0] = "application/json"
	return nil
}

// shortestToken is less than the shortest token has: version, purpose, nine
// lengths or numbers and the sum of 16 bytes, in base64.
const shortestToken = 36

// claimTokens returns the document with a token that needs no claiming in the
// place of every one that did.
func (rc *Receiver) claimTokens(r *http.Request, mediaType string, doc []byte) ([]byte, error) {
	next := nextString
	switch {
	case isText(mediaType):
		next = nextWord
	case !isJSON(mediaType):
		return doc, nil
	}
	var out []byte // doc up to done, with what was replaced; nil as long as nothing was
	done, tokens := 0, brought{}
	for at := 0; ; {
		start, end := next(doc, at)
		if end < 0 {
			break
		}
		at = end + 1
		if end-start < shortestToken {
			continue
		}
		replacement, err := rc.claimText(r, textOf(mediaType, doc, start, end), tokens)
		if faults := core.Invalid(nil); isJSON(mediaType) && errors.As(err, &faults) {
			if path := pathTo(doc, start); path != "" && len(path) < longestPath {
				faults[0].Field = path
			}
		}
		if err != nil {
			return nil, err
		}
		if replacement != "" {
			out = append(append(out, doc[done:start]...), replacement...)
			done = end
		}
	}
	if out == nil {
		return doc, nil
	}
	return append(out, doc[done:]...), nil
}

// longestPath bounds what of a document comes back as a field's name.
const longestPath = 256

// textOf returns what stands in the document from start to end.
func textOf(mediaType string, doc []byte, start, end int) string {
	text := string(doc[start:end])
	if isJSON(mediaType) && strings.Contains(text, `\`) {
		_ = json.Unmarshal(doc[start-1:end+1], &text) // fails where the whole is no JSON, for the binder to say
	}
	return text
}

// claimText claims the file of a text that is a token, and returns what to put in
// its place: "" where it may stay, or is none.
func (rc *Receiver) claimText(r *http.Request, text string, tokens brought) (replacement string, err error) {
	if strings.ContainsFunc(text, notOfToken) {
		return "", nil
	}
	for _, field := range rc.fields {
		token, err := field.Verify(text)
		if err != nil {
			continue
		}
		plain := !token.Pending && token.Subject == ""
		object := token.Object
		err = tokens.add(token, rc.limits)
		switch {
		case err == nil:
			object, err = claim(r.Context(), field, token)
		case plain && core.KindOf(err) == core.ErrToken:
			return "", nil // looked at before; whether it may come twice is for the binder
		}
		switch {
		case core.KindOf(err) == core.ErrToken:
			return "", core.Invalid{{Field: field.Name(), Code: core.ErrToken.Code(), Message: tokenMessage(err)}}
		case err != nil:
			return "", err
		case plain:
			return "", nil
		}
		return field.Sign(object, ""), nil
	}
	return "", nil
}

func notOfToken(r rune) bool {
	return !(r == '-' || r == '_' || r == '.' || r == '/' || // the key by which a direct upload's may come
		'0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z')
}

// nextString returns where the content of the next string in a JSON text starts
// and ends; a negative end where there is none.
func nextString(doc []byte, from int) (start, end int) {
	quote := bytes.IndexByte(doc[from:], '"')
	if quote < 0 {
		return 0, -1
	}
	start = from + quote + 1
	for i := start; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return start, i
		}
	}
	return start, -1
}

// nextWord returns where the next text in the signs of tokens starts and ends; a
// negative end where there is none.
func nextWord(doc []byte, from int) (start, end int) {
	start = from
	for start < len(doc) && notOfToken(rune(doc[start])) {
		start++
	}
	if start >= len(doc) {
		return start, -1
	}
	for end = start; end < len(doc) && !notOfToken(rune(doc[end])); {
		end++
	}
	return start, end
}

// level is an object or a list on the way to a place in a JSON document.
type level struct {
	list  bool
	index int
	name  string
	named bool // the value of name comes next
}

// pathTo returns where the string at an offset stands in a JSON document:
// "pages.1.photo". Several files in a list come under the list's name. "" where
// the document is none.
func pathTo(doc []byte, offset int) string {
	var levels []level
	for d := json.NewDecoder(bytes.NewReader(doc)); ; {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			levels = levels[:len(levels)-1]
			continue
		}
		if n := len(levels); n > 0 {
			levels[n-1].enter(token)
		}
		if d.InputOffset() > int64(offset) {
			return written(levels)
		}
		if delim != 0 {
			levels = append(levels, level{list: delim == '[', index: -1})
		}
	}
}

// enter goes on to what a token starts: a member's name, its value or an element.
func (l *level) enter(token json.Token) {
	switch {
	case l.list:
		l.index++
	case l.named:
		l.named = false
	default:
		l.name, _ = token.(string)
		l.named = true
	}
}

func written(levels []level) (path string) {
	for len(levels) > 0 && levels[len(levels)-1].list {
		levels = levels[:len(levels)-1]
	}
	for _, l := range levels {
		name := l.name
		if l.list {
			name = strconv.Itoa(l.index)
		}
		path = join(path, name)
	}
	return path
}
