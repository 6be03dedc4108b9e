package browser

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// app is an app with one field, whose files it serves in every way. Storage is
// reached by browsers through the recorder alone, and by the app through another.
type app struct {
	*httptest.Server
	store         *core.Store
	field         *core.Field
	inside        *s3test.Recorder
	outside       *s3test.Recorder
	rows          map[string]core.Object
	scripts       atomic.Int64 // how many scripts of files reported to the app
	scriptsOrigin atomic.Value
}

// newApp starts an app for as long as the test.
func newApp(t *testing.T, config core.FieldConfig) *app {
	t.Helper()
	s := s3test.Start(t)
	plain := false
	a := &app{inside: s.Recorder(t), outside: s.Recorder(t), rows: map[string]core.Object{}}
	var err error
	a.store, err = core.Open(core.Config{
		Endpoint: a.inside.Endpoint(), ExternalEndpoint: a.outside.Endpoint(), ExternalUseHTTPS: &plain,
		AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region, SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.store.CloseIdleConnections)
	config.Name, config.Bucket, config.MaxSize, config.LinkBase = "file", s.Bucket(t), 64*core.MiB, "/links/"
	a.field = a.store.Field(config)
	a.Server = httptest.NewServer(a.routes())
	t.Cleanup(a.Close)
	return a
}

func (a *app) routes() http.Handler {
	find := func(r *http.Request) (core.Object, error) {
		o, ok := a.rows[r.PathValue("id")]
		if !ok {
			return o, &core.Error{Kind: core.ErrNotFound, Op: "find row"}
		}
		return o, nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /files/{id}", nethttp.Handle(nethttp.Files(a.field, find, nethttp.Anyone)))
	mux.Handle("GET /away/{id}", nethttp.Handle(nethttp.Delivery{Mode: nethttp.Redirect}.Files(a.field, find, nethttp.Anyone)))
	mux.Handle("GET /links/{link}/{name}", nethttp.Handle(nethttp.Links(a.field, nethttp.Anyone)))
	mux.Handle("GET /links-away/{link}/{name}", nethttp.Handle(nethttp.Delivery{Mode: nethttp.Redirect}.Links(a.field, nethttp.Anyone)))
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html><title>page</title>") })
	mux.HandleFunc("GET /images", a.images)
	mux.HandleFunc("GET /embed", a.embed)
	mux.HandleFunc("GET /control", a.control)
	mux.HandleFunc("GET /favicon.ico", http.NotFound)
	mux.HandleFunc("GET /ran", func(w http.ResponseWriter, r *http.Request) {
		a.scriptsOrigin.Store(r.URL.RawQuery)
		a.scripts.Add(1)
		w.Header().Set("Access-Control-Allow-Origin", "*")
	})
	mux.HandleFunc("GET /video", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!DOCTYPE html><video id="v" muted preload="metadata" src="%s"></video>`, template.HTMLEscapeString(r.FormValue("src")))
	})
	return mux
}

// images is a page that shows every file by a URL made for this view of it.
func (a *app) images(w http.ResponseWriter, r *http.Request) {
	var page strings.Builder
	page.WriteString("<!DOCTYPE html><title>images</title>")
	for id := range a.rows {
		link, err := a.field.URL(r.Context(), a.rows[id].Key, core.URLOptions{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(&page, `<img id="%s" src="%s">`, id, template.HTMLEscapeString(link))
	}
	fmt.Fprint(w, page.String())
}

// put stores a file and its row.
func (a *app) put(t *testing.T, id, name string, content []byte) {
	t.Helper()
	o, err := a.field.Save(t.Context(), core.Upload{Body: bytes.NewReader(content), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	a.rows[id] = o
}

// link makes a link's path.
func (a *app) link(t *testing.T, id string) string {
	t.Helper()
	link, err := a.field.Link(a.rows[id], core.LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return link
}
