package nethttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// shelf serves one stored file, and records what that asks of storage.
type shelf struct {
	*httptest.Server
	app      *app
	recorder *s3test.Recorder
	object   core.Object
}

// newShelf stores a file and serves it. around, if set, is put around the handler.
func newShelf(t testing.TB, name string, content []byte, c appConfig, around func(http.Handler) http.Handler) *shelf {
	t.Helper()
	s := &shelf{}
	s.app, s.recorder = recordedApp(t, c)
	var err error
	if s.object, err = s.app.field.Save(t.Context(), core.Upload{Body: bytes.NewReader(content), Name: name}); err != nil {
		t.Fatal(err)
	}
	s.recorder.Reset()
	handler := nethttp.Middleware(nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return nethttp.ServeFile(w, r, s.app.field, s.object)
	}))
	if around != nil {
		handler = around(handler)
	}
	s.Server = httptest.NewServer(handler)
	s.Server.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

// get asks for the file with headers given as name and value in turn.
func (s *shelf) get(t testing.TB, method string, headers ...string) *answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}

func TestAFileIsServedWhole(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "cat.png", png, appConfig{}, nil)
	res := s.get(t, http.MethodGet)
	res.want(t, http.StatusOK, 0)
	if res.body != string(png) {
		t.Errorf("the content is %q, want %q", res.body, png)
	}
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Content-Length": strconv.Itoa(len(png)), "Content-Disposition": `inline; filename="cat.png"`,
		"X-Content-Type-Options": "nosniff", "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache",
		"Cross-Origin-Resource-Policy": "same-origin", "ETag": `"` + s.object.ETag + `"`, "Set-Cookie": "", "Content-Range": "",
	} {
		if got := res.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if csp := res.header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy is %q, want a sandbox that loads nothing", csp)
	}
	if _, err := http.ParseTime(res.header.Get("Last-Modified")); err != nil {
		t.Error(err)
	}
	head := s.get(t, http.MethodHead)
	for name := range res.header {
		if name != "Date" && head.header.Get(name) != res.header.Get(name) {
			t.Errorf("to a HEAD, %s is %q; want %q", name, head.header.Get(name), res.header.Get(name))
		}
	}
	if head.status != http.StatusOK || head.body != "" {
		t.Errorf("a HEAD gives status %d and %q, want 200 and nothing", head.status, head.body)
	}
	if n := s.recorder.Count(""); n != 2 {
		t.Errorf("storage saw %d requests for two, want one each: %+v", n, s.recorder.Requests())
	}
}

func TestARangeOfAFileIsServed(t *testing.T) {
	t.Parallel()
	const content = "0123456789"
	s := newShelf(t, "digits.txt", []byte(content), appConfig{}, nil)
	for _, c := range []struct {
		name, spec string
		status     int
		body       string
		contentIn  string
	}{
		{"the first byte", "bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"some in the middle", "bytes=3-5", 206, "345", "bytes 3-5/10"},
		{"the last byte", "bytes=9-9", 206, "9", "bytes 9-9/10"},
		{"more than there is", "bytes=5-99", 206, "56789", "bytes 5-9/10"},
		{"from a place to the end", "bytes=7-", 206, "789", "bytes 7-9/10"},
		{"from the start to the end", "bytes=0-", 206, content, "bytes 0-9/10"},
		{"the whole by its bounds", "bytes=0-9", 206, content, "bytes 0-9/10"},
		{"the last three", "bytes=-3", 206, "789", "bytes 7-9/10"},
		{"more at the end than there is", "bytes=-99", 206, content, "bytes 0-9/10"},
		{"behind the end", "bytes=10-", 416, "", ""},
		{"far behind the end", "bytes=4611686018427387902-4611686018427387903", 416, "", ""},
		{"the last none", "bytes=-0", 416, "", ""},
		{"backwards", "bytes=5-3", 416, "", ""},
		{"several", "bytes=0-0,2-2", 416, "", ""},
		{"10,000 of them", "bytes=" + strings.Repeat("0-,", 10_000) + "0-", 416, "", ""},
		{"another unit", "pages=1-2", 200, content, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.recorder.Reset()
			res := s.get(t, http.MethodGet, "Range", c.spec)
			kind := core.Kind(0)
			if c.status == 416 {
				kind, c.body, c.contentIn = core.ErrRange, res.body, "bytes */10"
			}
			res.want(t, c.status, kind)
			if res.body != c.body || res.header.Get("Content-Range") != c.contentIn {
				t.Errorf("got %q of %q, want %q of %q", res.body, res.header.Get("Content-Range"), c.body, c.contentIn)
			}
			if n := s.recorder.Count(""); n > 1 {
				t.Errorf("storage saw %d requests, want one at most", n)
			}
			// A HEAD knows no ranges.
			if head := s.get(t, http.MethodHead, "Range", c.spec); head.status != 200 || head.header.Get("Content-Length") != "10" {
				t.Errorf("to a HEAD: status %d, length %s; want 200 and 10", head.status, head.header.Get("Content-Length"))
			}
		})
	}
}

func TestARangeAtTheEndOfALargeFileIsServedAlone(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	s := newShelf(t, "a.txt", content, appConfig{}, nil)
	res := s.get(t, http.MethodGet, "Range", "bytes=-16")
	res.want(t, http.StatusPartialContent, 0)
	if want := fmt.Sprintf("bytes %d-%d/%d", len(content)-16, len(content)-1, len(content)); res.header.Get("Content-Range") != want || res.body != "0123456789abcdef" {
		t.Errorf("got %q of %s, want the last 16 bytes of %s", res.body, res.header.Get("Content-Range"), want)
	}
	if got := s.recorder.Requests(); len(got) != 1 || got[0].Header.Get("Range") != "bytes=-16" {
		t.Errorf("storage saw %+v, want one request for that range", got)
	}
}

func TestACurrentCopyIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "cat.png", png, appConfig{}, nil)
	etag := `"` + s.object.ETag + `"`
	modified := s.get(t, http.MethodGet).header.Get("Last-Modified")
	before := time.Now().Add(-24 * time.Hour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"the same tag", []string{"If-None-Match", etag}, 304},
		{"the same tag, weak", []string{"If-None-Match", "W/" + etag}, 304},
		{"another tag", []string{"If-None-Match", `"0123456789abcdef"`}, 200},
		{"tags that cannot be handed on", []string{"If-None-Match", "\"a\tb\""}, 200},
		{"a tag of two words", []string{"If-None-Match", `"a  b"`}, 200},
		{"a tag beyond ASCII", []string{"If-None-Match", "\"\u00e9\""}, 200},
		{"a tag of 100,000 characters", []string{"If-None-Match", `"` + strings.Repeat("x", 100_000) + `"`}, 200},
		{"a list of tags with the same", []string{"If-None-Match", `"b", ` + etag}, 304},
		{"any tag", []string{"If-None-Match", "*"}, 304},
		{"any tag that is wanted", []string{"If-Match", "*"}, 200},
		{"a list of tags that are wanted", []string{"If-Match", `"b", "c"`}, 412},
		{"a list of tags that are wanted with the same", []string{"If-Match", `"b", ` + etag}, 200},
		{"a time since which it is to be the same", []string{"If-Unmodified-Since", modified}, 200},
		{"a time since which it has changed", []string{"If-Unmodified-Since", before}, 412},
		{"the time of the file", []string{"If-Modified-Since", modified}, 304},
		{"an earlier time", []string{"If-Modified-Since", before}, 200},
		{"a time that is none", []string{"If-Modified-Since", "yesterday"}, 200},
		{"another tag, whatever the time", []string{"If-None-Match", `"0123456789abcdef"`, "If-Modified-Since", modified}, 200},
		{"a list of tags, whatever the time", []string{"If-None-Match", `"a", "b"`, "If-Modified-Since", modified}, 200},
		{"the same tag that is wanted", []string{"If-Match", etag}, 200},
		{"another tag that is wanted", []string{"If-Match", `"0123456789abcdef"`}, 412},
		{"a range of a copy that is current", []string{"If-Range", etag, "Range", "bytes=0-3"}, 206},
		{"a range of another copy", []string{"If-Range", `"0123456789abcdef"`, "Range", "bytes=0-3"}, 200},
		{"a range of a copy by its time", []string{"If-Range", modified, "Range", "bytes=0-3"}, 206},
		{"a range of a copy of another time", []string{"If-Range", before, "Range", "bytes=0-3"}, 200},
		{"a range beyond the end of another copy", []string{"If-Range", `"0123456789abcdef"`, "Range", "bytes=99999-"}, 200},
		{"a range of a copy by a weak tag", []string{"If-Range", "W/" + etag, "Range", "bytes=0-3"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.recorder.Reset()
			res := s.get(t, http.MethodGet, c.headers...)
			res.want(t, c.status, 0)
			if c.status == 200 && res.body != string(png) {
				t.Errorf("%d bytes came, want the whole file of %d", len(res.body), len(png))
			}
			if c.status == 304 && (res.body != "" || res.header.Get("Cache-Control") != "private, no-cache") {
				t.Errorf("an answer of 304 has the body %q and the headers %v", res.body, res.header)
			}
			if c.status == 206 && res.body != string(png[:4]) {
				t.Errorf("the range is %q", res.body)
			}
			want := 1
			if c.status == 200 && slices.Contains(c.headers, "If-Range") {
				want = 2 // the stored version shows itself in the first answer
			}
			if n := s.recorder.Count(""); n != want {
				t.Errorf("storage saw %d requests, want %d", n, want)
			}
			s.recorder.Reset()
			head := s.get(t, http.MethodHead, c.headers...)
			status := c.status
			if status == 206 {
				status = 200 // a HEAD knows no ranges
			}
			if head.status != status || s.recorder.Count("HEAD") != 1 || s.recorder.Count("") != 1 {
				t.Errorf("a HEAD answers %d with %+v, want %d with one HEAD", head.status, s.recorder.Requests(), status)
			}
		})
	}
}

func TestAnAnswerOf304ChangesNothingOfTheCopy(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "cat.png", png, appConfig{}, nil)
	etag := `"` + s.object.ETag + `"`
	s.object = core.Object{Key: s.object.Key} // all that a column with bare keys knows
	res := s.get(t, http.MethodGet, "If-None-Match", etag)
	res.want(t, http.StatusNotModified, 0)
	if res.header.Get("ETag") != etag {
		t.Errorf("ETag is %q, want %q", res.header.Get("ETag"), etag)
	}
	for _, name := range []string{"Content-Type", "Content-Disposition", "Content-Length", "Last-Modified"} {
		if got := res.header.Get(name); got != "" {
			t.Errorf("%s is %q, which a cache would take over; want none", name, got)
		}
	}
	whole := s.get(t, http.MethodGet)
	if whole.header.Get("Content-Type") != "image/png" || whole.header.Get("Content-Disposition") != `inline; filename="cat.png"` {
		t.Errorf("the file comes as %s, %s; want what storage knows", whole.header.Get("Content-Type"), whole.header.Get("Content-Disposition"))
	}
}

func TestAServedFileCannotBecomeAPage(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a.html": "<!DOCTYPE html><script>alert(1)</script>", "a.svg": "<svg onload=alert(1)>", "a.xml": `<?xml version="1.0"?><a/>`, "a.txt": "text",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, name, []byte(content), appConfig{}, nil)
			s.object.Type = "text/html" // a row that was tampered with
			// What the client asks for changes nothing.
			s.URL += "/?disposition=inline&response-content-type=text/html&response-content-disposition=inline"
			res := s.get(t, http.MethodGet)
			res.want(t, http.StatusOK, 0)
			want := "application/octet-stream"
			if name == "a.txt" {
				want = "text/plain"
			}
			if got := res.header.Get("Content-Type"); got != want {
				t.Errorf("the type is %s, want %s", got, want)
			}
			if got := res.header.Get("Content-Disposition"); got != `attachment; filename="`+name+`"` {
				t.Errorf("the disposition is %s, want an attachment", got)
			}
		})
	}
}

func TestAServedFileHasTheNameOfItsRow(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "stored.txt", []byte("x"), appConfig{}, nil)
	for name, want := range map[string]string{
		"":                            `attachment; filename="stored.txt"`,
		"plain.txt":                   `attachment; filename="plain.txt"`,
		"espécimen.txt":               `attachment; filename="especimen.txt"; filename*=UTF-8''esp%C3%A9cimen.txt`,
		"祝您平安.odt":                    `attachment; filename="____.odt"; filename*=UTF-8''%E7%A5%9D%E6%82%A8%E5%B9%B3%E5%AE%89.odt`,
		`a"b\c.txt`:                   `attachment; filename="a\"b\\c.txt"`,
		"a\r\nX-Evil: 1\r\n\r\n<b>":   `attachment; filename="aX-Evil: 1<b>"`,
		strings.Repeat("字", 10_000):   "",
		"a\u202etxt.exe":              `attachment; filename="atxt.exe"`,
		"\x00":                        "attachment",
		"//evil.example/a.txt":        `attachment; filename="//evil.example/a.txt"`,
		"100%.txt":                    `attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt`,
		"javascript:alert(1)":         `attachment; filename="javascript:alert(1)"`,
		"semi;colon,comma='equal.txt": `attachment; filename="semi;colon,comma='equal.txt"`,
	} {
		t.Run(fmt.Sprintf("%.30q", name), func(t *testing.T) {
			s.object.Name = name
			res := s.get(t, http.MethodGet)
			res.want(t, http.StatusOK, 0)
			got := res.header.Get("Content-Disposition")
			if want != "" && got != want {
				t.Errorf("the disposition is %s, want %s", got, want)
			}
			if _, _, err := mime.ParseMediaType(got); err != nil || len(got) > 1100 || res.header.Get("X-Evil") != "" {
				t.Errorf("the disposition %.100s of %d bytes cannot be read: %v", got, len(got), err)
			}
		})
	}
}

func TestAPublicFileMayBeCachedByAll(t *testing.T) {
	t.Parallel()
	bucket := s3test.Start(t).Bucket(t)
	public := appConfig{
		store: func(c *core.Config) { c.PublicBuckets = []string{bucket} },
		field: func(c *core.FieldConfig) { c.Bucket = bucket },
	}
	cookie := false
	s := newShelf(t, "cat.png", png, public, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if cookie {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
			}
			next.ServeHTTP(w, r)
		})
	})
	if got := s.get(t, http.MethodGet).header.Get("Cache-Control"); got != "public, no-cache" {
		t.Errorf("Cache-Control is %q, want public, no-cache", got)
	}
	cookie = true
	if got := s.get(t, http.MethodGet).header.Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("with a cookie, Cache-Control is %q, want private, no-cache", got)
	}
}

func TestAFileThatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "a.txt", []byte("x"), appConfig{}, nil)
	gone := s.object
	gone.Key = mustKey(t, "gone.txt")
	for name, object := range map[string]core.Object{"an object that is gone": gone, "no file at all": {}} {
		s.object = object
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			res := s.get(t, method)
			if res.status != http.StatusNotFound || res.header.Get("Cache-Control") != "no-store" || res.header.Get("ETag") != "" {
				t.Errorf("%s, %s: status %d, headers %v; want 404 and nothing to cache", name, method, res.status, res.header)
			}
			if strings.Contains(res.body, "gone.txt") || strings.Contains(res.body, s.app.bucket) {
				t.Errorf("%s: the answer %s says where it was looked for", name, res.body)
			}
		}
	}
}

func TestAFileThatBreaksOffCutsTheConnection(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("x"), 1<<20)
	s := newShelf(t, "a.txt", content, appConfig{store: fast}, nil)
	for name, length := range map[string]int{"before its end": len(content), "by a length that lies": len(content) / 2} {
		t.Run(name, func(t *testing.T) {
			s.recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("ETag", `"x"`)
				w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				_, _ = w.Write(content[:length/2])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
			res, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			if err == nil || res.StatusCode != http.StatusOK {
				t.Errorf("status %s and %d bytes came without an error, want a cut connection", res.Status, len(got))
			}
		})
	}
	t.Run("and one that stalls does, too", func(t *testing.T) {
		s.recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("ETag", `"x"`)
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content[:len(content)/2])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		})
		start := time.Now()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.ReadAll(res.Body); err == nil || time.Since(start) > 8*time.Second {
			t.Errorf("the answer ended after %s with %v, want a cut connection soon", time.Since(start), err)
		}
	})
}

func TestAnOutageIsNotAMissingFile(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){
		"a server error":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"an overload":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"a refusal":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) },
		"a cut connection": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, "a.txt", []byte("x"), appConfig{store: fast}, nil)
			s.recorder.Intercept(func(w http.ResponseWriter, _ *http.Request) bool { answer(w); return true })
			res := s.get(t, http.MethodGet)
			if res.status != http.StatusServiceUnavailable || res.header.Get("Retry-After") == "" {
				t.Errorf("status %d, Retry-After %q; want 503 and when to come again", res.status, res.header.Get("Retry-After"))
			}
		})
	}
}

func TestAClientThatGoesEndsTheRequestToStorage(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := newShelf(t, "a.txt", []byte("x"), appConfig{}, nil)
	s.recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.Itoa(1<<30))
		chunk := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		close(ended)
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, http.NoBody)
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		t.Error("storage still sends, for nobody")
	}
}

func TestWhoMayHaveAFileIsDecidedBefore(t *testing.T) {
	t.Parallel()
	refusal := errors.New("not yours")
	s := newShelf(t, "a.txt", []byte("x"), appConfig{}, func(next http.Handler) http.Handler {
		return nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
			return &core.Error{Kind: core.ErrNotFound, Op: "authorize", Err: refusal}
		})
	})
	res := s.get(t, http.MethodGet)
	res.want(t, http.StatusNotFound, core.ErrNotFound)
	if n := s.recorder.Count(""); n != 0 || strings.Contains(res.body, refusal.Error()) {
		t.Errorf("storage saw %d requests and the client %s; want neither a request nor the reason", n, res.body)
	}
}

// fast makes storage count as unavailable soon.
func fast(c *core.Config) { c.Timeout = 500 * time.Millisecond }
