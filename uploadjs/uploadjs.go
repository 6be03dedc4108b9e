package uploadjs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the files are in the binary
	"encoding/hex"
	"html/template"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed filefield.js
var script []byte

//go:embed filefield.css
var style []byte

//go:embed filefield.d.ts
var types []byte

// hashLength is how many hex digits of the SHA-256 stand in a name.
const hashLength = 12

// hashed returns a file's name with its content's hash: "filefield.3f1c9a2b4d5e.js".
func hashed(extension string, content []byte) string {
	sum := sha256.Sum256(content)
	return "filefield." + hex.EncodeToString(sum[:])[:hashLength] + extension
}

// Script returns the ES module's URL below prefix, the path that Handler is
// mounted at, or a CDN's address in front of it.
func Script(prefix string) string {
	return strings.TrimSuffix(prefix, "/") + "/" + hashed(".js", script)
}

// Style returns the style sheet's URL below prefix.
func Style(prefix string) string {
	return strings.TrimSuffix(prefix, "/") + "/" + hashed(".css", style)
}

// FuncMap gives templates filefieldScript and filefieldStyle, the URLs below prefix.
func FuncMap(prefix string) template.FuncMap {
	s, css := Script(prefix), Style(prefix)
	return template.FuncMap{
		"filefieldScript": func() string { return s },
		"filefieldStyle":  func() string { return css },
	}
}

// asset is a file as it is served.
type asset struct {
	typ, etag, cache string
	plain, packed    []byte
}

// Handler serves the files, by the last element of a request's path: it may be
// mounted at any prefix, for GET. Names with their content's hash may be cached for
// ever; "filefield.js", "filefield.css" and "filefield.d.ts" are asked for again
// each time. Any other name, as an older version's, is 404. Browsers that take gzip
// get it.
func Handler() http.Handler {
	assets := map[string]*asset{}
	for _, f := range []struct {
		extension, typ string
		content        []byte
	}{
		{".js", "text/javascript; charset=utf-8", script},
		{".css", "text/css; charset=utf-8", style},
		{".d.ts", "text/plain; charset=utf-8", types},
	} {
		name, packed := hashed(f.extension, f.content), pack(f.content)
		tag := strings.Split(name, ".")[1]
		assets[name] = &asset{f.typ, tag, "public, max-age=31536000, immutable", f.content, packed}
		assets["filefield"+f.extension] = &asset{f.typ, tag, "no-cache", f.content, packed}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := assets[path.Base(r.URL.Path)]
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case a == nil:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		default:
			a.serve(w, r)
		}
	})
}

func pack(content []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // fails for unknown levels alone
	_, _ = z.Write(content)                               // and a buffer takes all
	_ = z.Close()
	return b.Bytes()
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h, content, tag := w.Header(), a.plain, `"`+a.etag+`"`
	h.Set("Content-Type", a.typ)
	h.Set("Cache-Control", a.cache)
	h.Add("Vary", "Accept-Encoding")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // a CDN may be in front
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		content, tag = a.packed, `"`+a.etag+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", tag)
	if slices.Contains(tags(r.Header.Get("If-None-Match")), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(content) // the client is gone if this fails
	}
}

// tags are the entity tags of a header, compared weakly (RFC 9110, 13.1.2).
func tags(header string) []string {
	list := strings.Split(header, ",")
	for i, tag := range list {
		list[i] = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
	}
	return list
}

// takesGzip tells whether Accept-Encoding names gzip, with no weight of 0.
func takesGzip(values []string) bool {
	for _, coding := range strings.Split(strings.Join(values, ","), ",") {
		name, params, err := mime.ParseMediaType("x/" + strings.TrimSpace(coding))
		if err != nil || name != "x/gzip" {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		return params["q"] == "" || err == nil && q > 0
	}
	return false
}
