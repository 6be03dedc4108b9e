//go:build uploads

package browser

import (
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/uploadjs"
)

// uploadApp is an app with a form whose files browsers send straight to the bucket.
type uploadApp struct {
	*httptest.Server
	field   *core.Field
	inside  *s3test.Recorder
	outside *s3test.Recorder // what browsers ask of storage

	mu    sync.Mutex
	saved []core.Object
	bytes int64 // that requests brought to the app
}

func newUploadApp(t *testing.T, config core.FieldConfig) *uploadApp {
	t.Helper()
	s := s3test.StartOwn(t, s3test.Options{})
	plain := false
	a := &uploadApp{inside: s.Recorder(t), outside: s.Recorder(t)}
	a.Server = httptest.NewUnstartedServer(nil)
	origin := "http://" + a.Listener.Addr().String()
	store, err := core.Open(core.Config{
		Endpoint: a.inside.Endpoint(), ExternalEndpoint: a.outside.Endpoint(), ExternalUseHTTPS: &plain,
		AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region, SigningKeys: []core.Secret{"a key for tests, long enough"},
		PrivateBuckets: []string{"uploads"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	config.Name, config.Bucket = "file", "uploads"
	config.Direct.MultipartOver, config.Direct.PartSize, config.Direct.Origins = 5*core.MiB, 5*core.MiB, []string{origin}
	a.field = store.Field(config)
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.Config.Handler = a.routes()
	a.Start()
	t.Cleanup(a.Close)
	return a
}

func (a *uploadApp) routes() http.Handler {
	upload := nethttp.Handle(nethttp.Direct(a.field, nethttp.Anyone, nethttp.DirectConfig{}))
	mux := http.NewServeMux()
	mux.Handle("GET /filefield/", uploadjs.Handler())
	mux.Handle("POST /uploads/file", upload)
	mux.Handle("/uploads/file/", upload)
	mux.HandleFunc("GET /{$}", a.page)
	mux.Handle("POST /save", nethttp.Uploads(a.field)(nethttp.Handle(a.save)))
	mux.HandleFunc("GET /favicon.ico", http.NotFound)
	whole := nethttp.Middleware(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.bytes += max(r.ContentLength, 0)
		a.mu.Unlock()
		whole.ServeHTTP(w, r)
	})
}

var uploadPage = template.Must(template.New("").Funcs(uploadjs.FuncMap("/filefield/")).Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>upload</title>
<link rel="stylesheet" href="{{filefieldStyle}}"><script type="module" src="{{filefieldScript}}"></script>
<form method="post" action="/save" enctype="multipart/form-data">
<label for="f">Files</label>
<filefield-upload endpoint="/uploads/file" {{with .Max}}max-size="{{.}}"{{end}}><input type="file" id="f" name="file" multiple required {{with .Accept}}accept="{{.}}"{{end}}></filefield-upload>
<button id="save">Save</button></form>`))

// page has a policy as strict as the module bears.
func (a *uploadApp) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self' http://"+a.outside.Endpoint())
	_ = uploadPage.Execute(w, map[string]string{"Max": r.FormValue("max"), "Accept": r.FormValue("accept")})
}

func (a *uploadApp) save(w http.ResponseWriter, r *http.Request) error {
	for _, text := range r.PostForm["file"] { // Uploads has claimed them
		token, err := a.field.Verify(text)
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.saved = append(a.saved, token.Object)
		a.mu.Unlock()
	}
	_, err := fmt.Fprintf(w, "<!DOCTYPE html><p id=saved>%d</p>", len(r.PostForm["file"]))
	return err
}

// stored returns the lengths and names of what the app has saved.
func (a *uploadApp) stored() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := map[string]int64{}
	for _, o := range a.saved {
		found[o.Name] = o.Size
	}
	return found
}

// arrivedParts counts how often each part was taken by storage.
func (a *uploadApp) arrivedParts() map[int]int {
	counts := map[int]int{}
	for _, r := range a.outside.Requests() {
		query, err := url.ParseQuery(r.RawQuery)
		n, _ := strconv.Atoi(query.Get("partNumber"))
		if err == nil && n > 0 && r.Method == http.MethodPut && r.Status == http.StatusOK {
			counts[n]++
		}
	}
	return counts
}

// choose gives the input files, as its dialogue does.
func (b *tab) choose(files ...string) {
	b.Helper()
	run(b, "choose files", chromedp.SetUploadFiles("#f", files))
}

// writeFile makes a file of a size, with content that is no other one's.
func writeFile(t testing.TB, dir, name string, size int64) string {
	t.Helper()
	path := filepath.Join(dir, name)
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz \n"
	content := make([]byte, size)
	for i := range content {
		content[i] = letters[(i*7+i/4096)%len(letters)]
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
