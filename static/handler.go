package static

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"strings"

	"github.com/filefield/filefield/core"
)

// Handler serves the files from their sources, without storage: for development
// and tests, where Config.BaseURL is its path.
//
//	mux.Handle("/static/", http.StripPrefix("/static/", files.Handler()))
//
// A file is found by its hashed name, which browsers keep, by the names of its
// variants, and by its plain name, which browsers ask for again each time. Answers
// have an ETag and nosniff, and ranges of plain files are served. There is no
// listing of folders.
func (f *Files) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		s, err := f.current()
		if err != nil { // the reader is who wrote the files
			http.Error(w, err.Error(), core.KindOf(err).Status())
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/")
		v, found := s.stored[name]
		cache := f.config.CacheControl
		switch {
		case !found && s.byName[name] != nil:
			v, cache = variant{file: s.byName[name]}, "no-cache"
		case !found:
			http.NotFound(w, r)
			return
		case !v.file.hashed():
			cache = "no-cache"
		}
		w.Header().Set("Cache-Control", cache)
		v.serve(w, r)
	})
}

func (v variant) serve(w http.ResponseWriter, r *http.Request) {
	in, err := v.open()
	if err != nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "the file cannot be opened", http.StatusInternalServerError)
		return
	}
	defer in.Close()
	content, err := io.ReadAll(in)
	if err != nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", v.file.typ)
	h.Set("ETag", `"`+hex.EncodeToString(v.file.sum[:16])+v.encoding.extension()+`"`)
	if v.encoding != "" {
		h.Set("Content-Encoding", string(v.encoding))
	}
	http.ServeContent(w, r, "", v.modTime(), bytes.NewReader(content))
}
