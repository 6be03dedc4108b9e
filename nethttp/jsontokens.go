package nethttp

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/filefield/filefield/core"
)

// json claims the files whose tokens a JSON body brings, so that binders, which
// know no context, can fill file fields from it: every string that is a token of
// one of the route's fields, wherever it stands.
func (rc *Receiver) json(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > rc.limits.Text {
		return tooLarge("the request is larger than", rc.limits.Text)
	}
	body := rc.body(w, r, rc.limits.Text)
	if len(rc.fields) == 0 {
		r.Body = body
		return nil
	}
	defer body.done()
	raw, err := io.ReadAll(body)
	if err != nil {
		return errBody(r, err)
	}
	// Binders differ in what they make of more than one value. What is encoded is
	// for them to decode, or has been decoded by middleware that left the header.
	encoding := r.Header.Get("Content-Encoding")
	plain := encoding == "" || strings.EqualFold(encoding, "identity")
	if plain && len(raw) > 0 && !json.Valid(raw) {
		return &core.Error{Kind: core.ErrMalformed, Op: "read request", Detail: "the body is not valid JSON"}
	}
	doc, err := rc.claimStrings(r, raw)
	if err != nil {
		return err
	}
	if plain {
		r.Header["Content-Type"][0] = "application/json" // of "application/merge-patch+json" binders know nothing
	}
	r.Body, r.ContentLength = readBody{bytes.NewReader(doc)}, int64(len(doc))
	if r.Header.Get("Content-Length") != "" {
		r.Header.Set("Content-Length", strconv.Itoa(len(doc)))
	}
	return nil
}

// readBody is a body that has been read, within the route's limits.
type readBody struct{ *bytes.Reader }

// Close has nothing to close.
func (readBody) Close() error { return nil }

// shortestToken is less than the shortest token has: version, purpose, nine
// lengths or numbers and the sum of 16 bytes, in base64.
const shortestToken = 36

// claimStrings returns the JSON with a token that needs no claiming in the place
// of every one that did. What is no valid JSON passes as it is, for the binder to
// refuse.
func (rc *Receiver) claimStrings(r *http.Request, doc []byte) ([]byte, error) {
	var out []byte // doc up to done, with what was replaced; nil as long as nothing was
	done, tokens := 0, claimed{}
	for at := 0; ; {
		start, end := nextString(doc, at)
		if end < 0 {
			break
		}
		at = end + 1
		if end-start < shortestToken {
			continue
		}
		replacement, err := rc.claimString(r, doc[start-1:end+1], tokens)
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

// claimString claims the file of a quoted string that is a token in need of it,
// and returns what to put in its place.
func (rc *Receiver) claimString(r *http.Request, quoted []byte, tokens claimed) (replacement string, err error) {
	text := string(quoted[1 : len(quoted)-1])
	if strings.Contains(text, `\`) {
		_ = json.Unmarshal(quoted, &text) // fails where the whole is no JSON, for the binder to say
	}
	if strings.ContainsFunc(text, notOfToken) {
		return "", nil
	}
	for _, field := range rc.fields {
		token, err := field.Verify(text)
		if err != nil || (!token.Pending && token.Subject == "") {
			continue
		}
		object := token.Object
		if err = core.ErrToken; tokens.first(token) {
			object, err = field.ClaimObject(r.Context(), token)
		}
		if core.KindOf(err) == core.ErrToken {
			return "", core.Invalid{{Field: field.Name(), Code: core.ErrToken.Code(), Message: tokenMessage(err)}}
		}
		return field.Sign(object, ""), err
	}
	return "", nil
}

// notOfToken says which characters are in no token, nor in the key by which a
// direct upload's may come.
func notOfToken(r rune) bool {
	return !(r == '-' || r == '_' || r == '.' || r == '/' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z')
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

// isJSON says whether a media type is JSON's, or of a family in its syntax.
func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}
