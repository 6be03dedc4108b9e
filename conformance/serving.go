package conformance

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// served is an app whose routes serve files.
type served struct {
	*app
	recorder *s3test.Recorder // in front of storage
	rows     map[string]core.Object
	// decide, if set, is asked by the authorizer first.
	decide func(*http.Request) error
}

var errWrongUser = &core.Error{Kind: core.ErrForbidden, Op: "read", Detail: "not yours"}

// serves starts an app that serves what rows name: through itself below /files,
// by redirects below /away, as an archive at /zip, and by link below /links.
// Nobody may have the file "secret" but anna.
func (s *suite) serves(t testing.TB, o options) *served {
	t.Helper()
	a := &served{rows: map[string]core.Object{}, recorder: s.engine.Recorder(t)}
	o.file.LinkBase = "/links/"
	change := o.store
	o.store = func(c *core.Config) {
		plain := false
		c.Endpoint, c.ExternalEndpoint, c.ExternalUseHTTPS = a.recorder.Endpoint(), s.engine.Endpoint, &plain
		c.Transport = &http.Transport{DisableKeepAlives: true} // the recorder ends before the app
		if change != nil {
			change(c)
		}
	}
	o.routes = func(app *app) []Route {
		a.app = app
		find := func(r *http.Request) (core.Object, error) {
			object, ok := a.rows[r.PathValue("id")]
			if !ok {
				return object, &core.Error{Kind: core.ErrNotFound, Op: "find row"}
			}
			return object, nil
		}
		authorize := func(r *http.Request, object core.Object) error {
			if a.decide != nil {
				if err := a.decide(r); err != nil {
					return err
				}
			}
			switch {
			case object.Key != a.rows["secret"].Key || core.SubjectFrom(r.Context()) == "anna":
				return nil
			case core.SubjectFrom(r.Context()) == "panic":
				panic("the app's fault")
			default:
				return errWrongUser
			}
		}
		redirect := nethttp.Delivery{Mode: nethttp.Redirect}
		var routes []Route
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			routes = append(routes,
				Route{Method: method, Path: "/files/{id}", Serve: nethttp.Files(app.file, find, authorize)},
				Route{Method: method, Path: "/away/{id}", Serve: redirect.Files(app.file, find, authorize)},
				Route{Method: method, Path: "/links/{link}/{name}", Serve: nethttp.Links(app.file, authorize)},
				Route{Method: method, Path: "/closed/{link}/{name}", Serve: nethttp.Links(app.file, nil)},
				Route{Method: method, Path: "/zip", Serve: a.zip},
			)
		}
		return routes
	}
	s.app(t, o)
	return a
}

// zip serves all rows in the order of their names.
func (a *served) zip(w http.ResponseWriter, r *http.Request) error {
	names := make([]string, 0, len(a.rows))
	for name := range a.rows {
		names = append(names, name)
	}
	slices.Sort(names)
	return nethttp.ServeZip(w, r, "all files.zip", iter.Seq2[nethttp.ZipEntry, error](func(yield func(nethttp.ZipEntry, error) bool) {
		for _, name := range names {
			if !yield(nethttp.ZipEntry{Field: a.file, Object: a.rows[name]}, nil) {
				return
			}
		}
	}))
}

// put stores a file and its row.
func (a *served) put(t testing.TB, id, name, content string) core.Object {
	t.Helper()
	a.rows[id] = a.keep(t, a.file, name, content)
	return a.rows[id]
}

func (a *served) get(t testing.TB, path string, headers ...string) *answer {
	t.Helper()
	return a.ask(t, http.MethodGet, path, headers...)
}

func (a *served) ask(t testing.TB, method, path string, headers ...string) *answer {
	t.Helper()
	h := http.Header{"Accept-Encoding": {"identity"}}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	client := *a.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(t.Context(), method, a.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = a.headers(h)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}

// link makes a link's path.
func (a *served) link(t testing.TB, id string, o core.LinkOptions) string {
	t.Helper()
	link, err := a.file.Link(a.rows[id], o)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func serving(t *testing.T, s *suite) { //nolint:funlen // a list of cases, each short
	t.Run("S1 a type is the same through the app, by redirect and by link", func(t *testing.T) { servedTypes(t, s) })
	t.Run("S2 a client decides neither type nor disposition", func(t *testing.T) {
		a := s.serves(t, options{})
		a.put(t, "page", "page.html", "<!DOCTYPE html><script>alert(1)</script>")
		query := "?disposition=inline&response-content-type=text%2Fhtml&download=0&type=text/html"
		for _, path := range []string{"/files/page" + query, a.link(t, "page", core.LinkOptions{}) + query} {
			res := a.get(t, path)
			res.want(t, http.StatusOK, 0)
			if res.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(res.header.Get("Content-Disposition"), "attachment") {
				t.Errorf("%s is served as %v", path, res.header)
			}
		}
		res := a.get(t, "/away/page"+query)
		res.want(t, http.StatusFound, 0)
		changed := strings.Replace(res.header.Get("Location"), "application%2Foctet-stream", "text%2Fhtml", 1)
		if res := fetch(t, changed); res.status != http.StatusForbidden {
			t.Errorf("with another type the signed URL answers %d", res.status)
		}
	})
	t.Run("S3 headers keep a file from becoming a page, and from shared caches", func(t *testing.T) {
		a := s.serves(t, options{})
		a.put(t, "cat", "cat.png", string(png))
		res := a.get(t, "/files/cat")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "private, no-cache",
		} {
			if got := res.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if csp := res.header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("the policy is %q", csp)
		}
		away := a.get(t, "/away/cat")
		if got := away.header.Get("Cache-Control"); !strings.HasPrefix(got, "private") || away.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("a redirect has the headers %v", away.header)
		}
	})
	if !s.adapter.Buffered {
		t.Run("S3 an answer with a cookie is nobody else's", func(t *testing.T) { servedCookies(t, s) })
		t.Run("a slow client holds back storage, one that goes ends its request", func(t *testing.T) { servedSlowly(t, s) })
	}
	t.Run("S4 one range is served, more are not", func(t *testing.T) {
		a := s.serves(t, options{})
		a.put(t, "digits", "digits.txt", "0123456789")
		for spec, want := range map[string]struct {
			status int
			body   string
		}{
			"bytes=2-4": {206, "234"}, "bytes=-3": {206, "789"}, "bytes=0-": {206, "0123456789"}, "bytes=8-99": {206, "89"},
			"bytes=10-": {416, ""}, "bytes=0-0,2-2": {416, ""}, "bytes=0-5,3-7": {416, ""}, "bytes=4-2": {416, ""},
			"bytes=" + strings.Repeat("0-,", 10_000) + "0-": {416, ""}, "lines=1-2": {200, "0123456789"},
		} {
			for _, path := range []string{"/files/digits", a.link(t, "digits", core.LinkOptions{})} {
				res := a.get(t, path, "Range", spec)
				if res.status != want.status || (want.body != "" && res.body != want.body) {
					t.Errorf("%.40s of %s: status %d and %.80q, want %d and %q", spec, path, res.status, res.body, want.status, want.body)
				}
			}
		}
	})
	t.Run("S5 a current copy is not sent again, and a HEAD sends nothing", func(t *testing.T) {
		a := s.serves(t, options{})
		a.put(t, "cat", "cat.png", string(png))
		first := a.get(t, "/files/cat")
		for name, header := range map[string][]string{
			"by its tag": {"If-None-Match", first.header.Get("ETag")}, "by its time": {"If-Modified-Since", first.header.Get("Last-Modified")},
			"by one of its tags": {"If-None-Match", `"a", W/` + first.header.Get("ETag")},
		} {
			if res := a.get(t, "/files/cat", header...); res.status != http.StatusNotModified || res.body != "" {
				t.Errorf("%s: status %d and %d bytes", name, res.status, len(res.body))
			}
		}
		a.recorder.Reset()
		head := a.ask(t, http.MethodHead, "/files/cat")
		if got := a.recorder.Requests(); len(got) != 1 || got[0].Method != http.MethodHead {
			t.Errorf("a HEAD asks storage %+v, want one HEAD", got)
		}
		if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != fmt.Sprint(len(png)) || head.header.Get("ETag") != first.header.Get("ETag") {
			t.Errorf("a HEAD answers %d, %v", head.status, head.header)
		}
	})
	t.Run("S6 a file that is gone is not found, and not cached", func(t *testing.T) {
		a := s.serves(t, options{})
		o := a.put(t, "gone", "gone.txt", "x")
		link := a.link(t, "gone", core.LinkOptions{})
		if err := a.file.Delete(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/files/gone", link} {
			res := a.get(t, path)
			res.want(t, http.StatusNotFound, core.ErrNotFound)
			if res.header.Get("Cache-Control") != "no-store" || res.header.Get("ETag") != "" {
				t.Errorf("%s: the answer has the headers %v", path, res.header)
			}
		}
	})
	t.Run("S6 storage that fails is no missing file, and half a file no whole one", func(t *testing.T) { servedFailures(t, s) })
	t.Run("S7 storage is not asked before the authorizer has answered", func(t *testing.T) { servedAfterwards(t, s) })
	t.Run("S7 S11 who may not have a file cannot tell that it exists", func(t *testing.T) { servedRefusals(t, s) })
	t.Run("S8 S9 a redirect leads to the configured storage alone", func(t *testing.T) {
		a := s.serves(t, options{})
		a.put(t, "odd", "//evil.example.txt", "x")
		for _, headers := range [][]string{nil, {"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "javascript", "Forwarded", "host=evil.example"}} {
			res := a.get(t, "/away/odd", headers...)
			res.want(t, http.StatusFound, 0)
			u, err := url.Parse(res.header.Get("Location"))
			if err != nil || u.Host != s.engine.Endpoint || u.Scheme != "http" {
				t.Errorf("it leads to %s, %v", res.header.Get("Location"), err)
			}
		}
		if link := a.link(t, "odd", core.LinkOptions{}); strings.HasPrefix(link, "//") || strings.Contains(link, "evil.example.txt/") {
			t.Errorf("the link is %s", link)
		}
	})
	t.Run("N3 N4 T9 names come back whole, and break no header", func(t *testing.T) { servedNames(t, s) })
	t.Run("C10 an archive holds the files under safe names", func(t *testing.T) { servedArchive(t, s) })
}

// fetch gets a URL of storage, as a browser would after a redirect.
func fetch(t testing.TB, link string) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}

// servedCookies has middleware around the framework set a cookie where the
// request asks for one. Some of the framework's own does so each time.
func servedCookies(t *testing.T, s *suite) {
	around := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Cookie") != "" {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
			}
			next.ServeHTTP(w, r)
		})
	}
	public := s.engine.Bucket(t) // read with credentials here, so that no policy has to be set
	a := s.serves(t, options{
		around: around, file: core.FieldConfig{Bucket: public},
		store: func(c *core.Config) { c.PublicBuckets = append(c.PublicBuckets, public) },
	})
	a.put(t, "cat", "cat.png", string(png))
	for _, path := range []string{"/files/cat", "/away/cat", a.link(t, "cat", core.LinkOptions{})} {
		if got := a.get(t, path, "X-Cookie", "1"); !strings.HasPrefix(got.header.Get("Cache-Control"), "private") || got.header.Get("Set-Cookie") == "" {
			t.Errorf("%s: an answer with a cookie has the headers %v", path, got.header)
		}
		got := a.get(t, path)
		if cookies := got.header["Set-Cookie"]; (len(cookies) == 0) != strings.HasPrefix(got.header.Get("Cache-Control"), "public") {
			t.Errorf("%s: with the cookies %q, Cache-Control is %q", path, cookies, got.header.Get("Cache-Control"))
		}
	}
	if got := a.get(t, "/files/cat").header.Get("Cross-Origin-Resource-Policy"); got != "cross-origin" {
		t.Errorf("other sites may show a public file: the policy is %q", got)
	}
	if location := a.get(t, "/away/cat").header.Get("Location"); strings.Contains(location, "?") {
		t.Errorf("a redirect to a public file leads to %s, want its plain URL", location)
	}
}

func servedFailures(t *testing.T, s *suite) {
	content := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	a := s.serves(t, options{store: func(c *core.Config) { c.Timeout = time.Second }})
	a.put(t, "long", "long.txt", content)
	paths := []string{"/files/long", a.link(t, "long", core.LinkOptions{})}
	a.recorder.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			res := a.ask(t, method, path)
			if res.status != http.StatusServiceUnavailable || res.header.Get("Cache-Control") != "no-store" || res.header.Get("ETag") != "" {
				t.Errorf("%s %s: storage's 503 gives %d, %v", method, path, res.status, res.header)
			}
		}
	}
	for how, half := range map[string]func(http.ResponseWriter, *http.Request){
		"is cut":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"has stalled": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		a.recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			h := w.Header()
			h.Set("ETag", `"x"`)
			h.Set("Content-Type", "text/plain")
			h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			h.Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = io.WriteString(w, content[:len(content)/2])
			_ = http.NewResponseController(w).Flush()
			half(w, r)
			return true
		})
		for _, path := range append(paths, "/zip") {
			for _, encoding := range []string{"identity", "gzip"} {
				if n, err := a.drain(t, path, encoding); err == nil {
					t.Errorf("%s as %s: an answer whose source %s ends as if it were whole, after %d bytes", path, encoding, how, n)
				}
			}
		}
	}
}

// drain reads an answer of 200 to its end, uncompressed. A machine that was too busy
// for storage to begin within its time limit is asked again.
func (a *served) drain(t testing.TB, path, encoding string) (n int64, err error) {
	t.Helper()
	for range 10 {
		var status int
		if n, status, err = a.drainOnce(t, path, encoding); status != http.StatusServiceUnavailable {
			return n, err
		}
	}
	t.Fatalf("%s answers 503 again and again", path)
	return 0, nil
}

func (a *served) drainOnce(t testing.TB, path, encoding string) (n int64, status int, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = a.headers(http.Header{})
	r.Header.Set("Accept-Encoding", encoding)
	res, err := a.Client().Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable {
		return 0, res.StatusCode, nil
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", path, res.Status)
	}
	var body io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			return 0, res.StatusCode, err
		}
	}
	n, err = io.Copy(io.Discard, io.LimitReader(body, 64<<20))
	return n, res.StatusCode, err
}

// servedSlowly has storage send without end, and sees how much it gets rid of.
func servedSlowly(t *testing.T, s *suite) {
	const size = 1 << 30
	a := s.serves(t, options{})
	a.put(t, "long", "long.bin", "\x00\x01")
	var sent atomic.Int64
	ended := make(chan struct{}, 1)
	a.recorder.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		h := w.Header()
		h.Set("ETag", `"x"`)
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		h.Set("Content-Length", fmt.Sprint(size))
		for chunk := make([]byte, 64<<10); ; {
			n, err := w.Write(chunk)
			if sent.Add(int64(n)); err != nil {
				ended <- struct{}{}
				return true
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+"/files/long", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = a.headers(http.Header{})
	r.Header.Set("Accept-Encoding", "identity")
	res, err := a.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	// Nobody reads on. What the connections hold fills up, and then storage waits.
	last, since := int64(-1), time.Now()
	waitFor(t, "storage to be held back", func() bool {
		if now := sent.Load(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
	if got := sent.Load(); got > 64<<20 {
		t.Errorf("storage got rid of %d MiB of which nobody read more than 1", got>>20)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("storage still sends, for nobody")
	}
}

// servedAfterwards has an authorizer that takes its time.
func servedAfterwards(t *testing.T, s *suite) {
	asked, verdicts := make(chan struct{}), make(chan error)
	a := s.serves(t, options{})
	a.put(t, "slow", "slow.txt", "x")
	link := a.link(t, "slow", core.LinkOptions{})
	a.decide = func(r *http.Request) error {
		asked <- struct{}{}
		select {
		case err := <-verdicts:
			return err
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
	for _, path := range []string{"/files/slow", "/away/slow", link} {
		for _, verdict := range []error{nil, errWrongUser} {
			a.recorder.Reset()
			done := make(chan *answer, 1)
			go func() { done <- a.get(t, path) }()
			<-asked
			if n := a.recorder.Count(""); n != 0 {
				t.Errorf("%s: storage was asked %d times before the authorizer had answered", path, n)
			}
			verdicts <- verdict
			res := <-done
			if verdict != nil && (res.status != http.StatusNotFound || a.recorder.Count("") != 0) {
				t.Errorf("%s: a refusal answers %d, after %d requests to storage", path, res.status, a.recorder.Count(""))
			}
			if verdict == nil && res.status >= 400 {
				t.Errorf("%s: a permission answers %d %s", path, res.status, res.body)
			}
		}
	}
	// A client that goes meanwhile costs storage nothing.
	a.recorder.Reset()
	conn := a.dial(t)
	if _, err := fmt.Fprintf(conn, "GET /files/slow HTTP/1.1\r\nHost: app\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the request to end", func() bool { return a.inFlight.Load() == 0 })
	if n := a.recorder.Count(""); n != 0 {
		t.Errorf("for a client that has gone, storage was asked %d times", n)
	}
}

func servedTypes(t *testing.T, s *suite) {
	a := s.serves(t, options{})
	for id, c := range map[string]struct{ name, content, served, disposition string }{
		"html":  {"a.html", "<!DOCTYPE html><script>alert(1)</script>", "application/octet-stream", "attachment"},
		"svg":   {"a.svg", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "application/octet-stream", "attachment"},
		"xml":   {"a.xml", `<?xml version="1.0"?><a/>`, "application/octet-stream", "attachment"},
		"ps":    {"a.ps", "%!PS-Adobe-3.0\n", "application/octet-stream", "attachment"},
		"false": {"a.png", "<html><script>alert(1)</script></html>", "application/octet-stream", "attachment"},
		"text":  {"a.txt", "plain", "text/plain", "attachment"},
		"png":   {"a.png", string(png), "image/png", "inline"},
		"gif":   {"a.gif", "GIF89a/*<svg onload=alert(1)>", "image/gif", "inline"},
		"pdf":   {"a.pdf", "%PDF-1.7\n", "application/pdf", "inline"},
		"zip":   {"a.zip", "PK\x03\x04\x14\x00\x00\x00\x00\x00", "application/zip", "attachment"},
		"bin":   {"a.bin", "\x00\x01\xfe\xff", "application/octet-stream", "attachment"},
	} {
		a.put(t, id, c.name, c.content)
		away := a.get(t, "/away/"+id)
		away.want(t, http.StatusFound, 0)
		plain, err := a.file.URL(t.Context(), a.rows[id].Key, core.URLOptions{})
		if err != nil {
			t.Fatal(err)
		}
		download := a.get(t, a.link(t, id, core.LinkOptions{Download: true}))
		if !strings.HasPrefix(download.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: a link for a download gives %v", id, download.header)
		}
		for way, res := range map[string]*answer{
			"through the app": a.get(t, "/files/"+id), "by link": a.get(t, a.link(t, id, core.LinkOptions{})),
			"by redirect": fetch(t, away.header.Get("Location")), "from storage": fetch(t, plain),
		} {
			mediaType, _, _ := mime.ParseMediaType(res.header.Get("Content-Type"))
			disposition, params, err := mime.ParseMediaType(res.header.Get("Content-Disposition"))
			if res.status != http.StatusOK || res.body != c.content || mediaType != c.served || disposition != c.disposition || params["filename"] != c.name || err != nil {
				t.Errorf("%s %s: status %d, %q, %q; want %s, %s", id, way, res.status, res.header.Get("Content-Type"), res.header.Get("Content-Disposition"), c.served, c.disposition)
			}
		}
	}
}

func servedRefusals(t *testing.T, s *suite) {
	a := s.serves(t, options{})
	a.put(t, "secret", "secret.txt", "the secret")
	link := a.link(t, "secret", core.LinkOptions{})
	bound := a.link(t, "secret", core.LinkOptions{Subject: "anna"})
	missing := a.get(t, "/files/nothing")
	missing.want(t, http.StatusNotFound, core.ErrNotFound)
	for _, path := range []string{"/files/secret", "/away/secret", link, bound, "/links/nonsense/a.txt", strings.Replace(link, "/links/", "/links/x", 1)} {
		for _, user := range []string{"", "ben"} {
			res := a.get(t, path, "X-Test-User", user)
			if res.status != missing.status || res.body != missing.body || res.header.Get("Content-Type") != missing.header.Get("Content-Type") {
				t.Errorf("%s as %q answers %d %s, a file that is not there %d %s", path, user, res.status, res.body, missing.status, missing.body)
			}
		}
	}
	for _, path := range []string{"/files/secret", link, bound} {
		if res := a.get(t, path, "X-Test-User", "anna"); res.status != http.StatusOK || res.body != "the secret" {
			t.Errorf("anna gets %d %s of %s", res.status, res.body, path)
		}
	}
	closed := strings.Replace(link, "/links/", "/closed/", 1)
	a.get(t, closed, "X-Test-User", "anna").want(t, http.StatusInternalServerError, core.ErrConfig)
	if res, err := a.do(t, http.MethodGet, "/files/secret", http.Header{"X-Test-User": {"panic"}}, http.NoBody); err == nil && (res.status != http.StatusInternalServerError || strings.Contains(res.body, "secret")) {
		t.Errorf("an authorizer that panics gives %d %s", res.status, res.body)
	}
}

func servedNames(t *testing.T, s *suite) {
	a := s.serves(t, options{})
	a.put(t, "f", "f.bin", "\x00\x01")
	for name, want := range map[string]string{
		"example": "example", `"example" file\name`: `name`, "espécimen": "espécimen", `"espécimen" filename`: `"espécimen" filename`,
		"祝您平安.odt": "祝您平安.odt", "a;b%c.txt": "a;b%c.txt", "evil\r\nX-Evil: 1.txt": "evilX-Evil: 1.txt", "nul\x00.txt": "nul.txt",
		"a\u202egpj.exe": "agpj.exe", strings.Repeat("字", 5000) + ".txt": strings.Repeat("字", 83) + ".txt",
	} {
		object := a.rows["f"]
		object.Name = core.ClientName(name)
		a.rows["named"] = object
		for _, path := range []string{"/files/named", a.link(t, "named", core.LinkOptions{})} {
			res := a.get(t, path)
			values := res.header["Content-Disposition"]
			if len(values) != 1 || res.header.Get("X-Evil") != "" {
				t.Fatalf("%q gives the headers %v", name, res.header)
			}
			disposition, params, err := mime.ParseMediaType(values[0])
			if err != nil || disposition != "attachment" || params["filename"] != want {
				t.Errorf("%.60q is served as %q, %v; want the name %.60q", name, values[0], err, want)
			}
			if plain, _, found := strings.Cut(values[0], "; filename*="); found && strings.ContainsFunc(plain, func(r rune) bool { return r >= 0x7f || r < ' ' }) {
				t.Errorf("%.60q has no plain name beside the exact one: %q", name, values[0])
			}
		}
	}
}

func servedArchive(t *testing.T, s *suite) {
	a := s.serves(t, options{})
	want := map[string]string{}
	for id, c := range map[string]struct{ name, stored string }{
		"1": {"a.txt", "a.txt"}, "2": {"A.txt", "A (2).txt"}, "3": {"../../etc/passwd", "passwd"}, "4": {`C:\Windows\system.ini`, "system.ini"},
		"5": {"con.txt", "_con.txt"}, "6": {"ü <b>.txt", "ü _b_.txt"}, "7": {"trailing. ", "trailing"},
	} {
		a.put(t, id, c.name, "content of "+id)
		want[c.stored] = "content of " + id
	}
	res := a.get(t, "/zip")
	res.want(t, http.StatusOK, 0)
	if res.header.Get("Content-Type") != "application/zip" || res.header.Get("Content-Disposition") != `attachment; filename="all files.zip"` {
		t.Errorf("the headers are %v", res.header)
	}
	archive, err := zip.NewReader(bytes.NewReader([]byte(res.body)), int64(len(res.body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || want[f.Name] != string(content) || f.Modified.Before(time.Now().Add(-time.Hour)) {
			t.Errorf("%q of %s holds %q, %v; want %q", f.Name, f.Modified, content, err, want[f.Name])
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing are %v", want)
	}
	if err := a.file.Delete(t.Context(), a.rows["7"].Key); err != nil {
		t.Fatal(err)
	}
	if res, err := a.do(t, http.MethodGet, "/zip", http.Header{"Accept-Encoding": {"identity"}}, http.NoBody); err == nil {
		t.Errorf("an archive that lacks its last file ends as if it were whole: status %d, %d bytes", res.status, len(res.body))
	}
	if err := a.file.Delete(t.Context(), a.rows["1"].Key); err != nil {
		t.Fatal(err)
	}
	a.get(t, "/zip").want(t, http.StatusNotFound, core.ErrNotFound)
	a.rows = map[string]core.Object{}
	if res := a.get(t, "/zip"); res.status != http.StatusOK {
		t.Errorf("an archive of nothing answers %d", res.status)
	}
}
