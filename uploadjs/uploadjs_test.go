package uploadjs_test

import (
	"compress/gzip"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/filefield/filefield/uploadjs"
)

// maxPacked is what the module may weigh on its way to the browser.
const maxPacked = 10_000

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	uploadjs.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestFilesAreServedWithTheirHashForEver(t *testing.T) {
	t.Parallel()
	for path, typ := range map[string]string{
		uploadjs.Script("/assets"): "text/javascript; charset=utf-8",
		uploadjs.Style("/assets/"): "text/css; charset=utf-8",
	} {
		r := get(t, http.MethodGet, path)
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK || len(body) == 0 {
			t.Fatalf("GET %s = %d with %d bytes, %v", path, r.StatusCode, len(body), err)
		}
		for name, want := range map[string]string{
			"Content-Type": typ, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding",
			"Cache-Control": "public, max-age=31536000, immutable", "Content-Encoding": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("GET %s: %s is %q, want %q", path, name, got, want)
			}
		}
		again := get(t, http.MethodGet, path, "If-None-Match", `"other", W/`+r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("GET %s with its ETag = %d, want 304", path, again.StatusCode)
		}
	}
}

func TestTheModuleWeighsLittle(t *testing.T) {
	t.Parallel()
	r := get(t, http.MethodGet, uploadjs.Script("/"), "Accept-Encoding", "br, gzip;q=0.5")
	if r.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("Content-Encoding is %q", r.Header.Get("Content-Encoding"))
	}
	packed, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > maxPacked {
		t.Errorf("the module has %d bytes, at most %d are wanted", len(packed), maxPacked)
	}
	z, err := gzip.NewReader(strings.NewReader(string(packed)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || !strings.Contains(string(plain), "customElements") {
		t.Errorf("what is unpacked is no module: %d bytes, %v", len(plain), err)
	}
}

func TestOtherRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, path, accept string
		status                     int
		encoding, cache            string
	}{
		{"a plain name is asked for again", http.MethodGet, "/x/filefield.js", "", http.StatusOK, "", "no-cache"},
		{"types", http.MethodGet, "/x/filefield.d.ts", "", http.StatusOK, "", "no-cache"},
		{"an older version's hash", http.MethodGet, "/x/filefield.000000000000.js", "", http.StatusNotFound, "", ""},
		{"the folder", http.MethodGet, "/x/", "", http.StatusNotFound, "", ""},
		{"HEAD", http.MethodHead, "/x/filefield.js", "gzip", http.StatusOK, "gzip", "no-cache"},
		{"gzip refused", http.MethodGet, "/x/filefield.js", "gzip;q=0, br", http.StatusOK, "", "no-cache"},
		{"POST", http.MethodPost, "/x/filefield.js", "", http.StatusMethodNotAllowed, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := get(t, c.method, c.path, "Accept-Encoding", c.accept)
			if r.StatusCode != c.status || r.Header.Get("Content-Encoding") != c.encoding || r.Header.Get("Cache-Control") != c.cache {
				t.Errorf("%s %s = %d, %v", c.method, c.path, r.StatusCode, r.Header)
			}
			if r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("there is no nosniff")
			}
		})
	}
}

func TestTemplatesHaveTheURLs(t *testing.T) {
	t.Parallel()
	page := template.Must(template.New("").Funcs(uploadjs.FuncMap("/f")).Parse(`{{filefieldScript}} {{filefieldStyle}}`))
	var b strings.Builder
	if err := page.Execute(&b, nil); err != nil {
		t.Fatal(err)
	}
	if want := uploadjs.Script("/f") + " " + uploadjs.Style("/f"); b.String() != want {
		t.Errorf("the template gives %q, want %q", b.String(), want)
	}
}
