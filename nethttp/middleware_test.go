package nethttp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// serve replaces what the app serves by the handler under Middleware.
func (a *app) serve(handler nethttp.HandlerFunc) *app {
	a.Config.Handler = nethttp.Middleware(nethttp.Handle(handler))
	return a
}

// keep stores a file outside of any request.
func (a *app) keep(t testing.TB) core.Object {
	t.Helper()
	o, err := a.field.Save(context.WithoutCancel(t.Context()), core.Upload{Body: strings.NewReader("kept"), Name: "kept.txt"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// exists asks storage as a client would that has just read the answer.
func (a *app) exists(t testing.TB, key core.Key) bool {
	t.Helper()
	ok, err := a.field.Bucket().Exists(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func (a *app) get(t testing.TB) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return a.Client().Do(req)
}

func TestADeletionFollowsTheAnswersStatus(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, c := range []struct {
		name   string
		answer nethttp.HandlerFunc
		status int
		gone   bool
	}{
		{"no content", func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(204); return nil }, 204, true},
		{"nothing written at all", func(http.ResponseWriter, *http.Request) error { return nil }, 200, true},
		{"a body without a status", func(w http.ResponseWriter, _ *http.Request) error { _, err := io.WriteString(w, "x"); return err }, 200, true},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) error { w.WriteHeader(303); return nil }, 303, true},
		{"a status of 399", func(w http.ResponseWriter, r *http.Request) error { w.WriteHeader(399); return nil }, 399, true},
		{"a status of 400", func(w http.ResponseWriter, r *http.Request) error { w.WriteHeader(400); return nil }, 400, false},
		{"a conflict", func(w http.ResponseWriter, r *http.Request) error {
			http.Error(w, "taken", http.StatusConflict)
			return nil
		}, 409, false},
		{"an error", func(http.ResponseWriter, *http.Request) error { return boom }, 500, false},
		{"an error of the form", func(http.ResponseWriter, *http.Request) error { return core.Invalid{} }, 422, false},
		{"an early hint, then success", func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(103); w.WriteHeader(204); return nil }, 204, true},
		{"an early hint, then an error", func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(103); return boom }, 500, false},
		{"a second status, which does not count", func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(409); w.WriteHeader(204); return nil }, 409, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{})
			quietly(a)
			o := a.keep(t)
			a.serve(func(w http.ResponseWriter, r *http.Request) error {
				if err := a.field.Delete(r.Context(), o.Key); err != nil {
					return err
				}
				return c.answer(w, r)
			})
			res, err := a.get(t)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if gone := !a.exists(t, o.Key); res.StatusCode != c.status || gone != c.gone {
				t.Errorf("status %d, the object gone %v; want %d and %v", res.StatusCode, gone, c.status, c.gone)
			}
		})
	}
}

func TestTheDeletionIsDoneWhenTheAnswerIsSeen(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w http.ResponseWriter){
		"the status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK); _ = http.NewResponseController(w).Flush() },
		"the first bytes": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
		},
		"a flush by itself": func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"a controlled flush by itself": func(w http.ResponseWriter) {
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{})
			o := a.keep(t)
			looked := make(chan struct{})
			a.serve(func(w http.ResponseWriter, r *http.Request) error {
				if err := a.field.Delete(r.Context(), o.Key); err != nil {
					return err
				}
				begin(w)
				<-looked // the handler goes on long after its answer began
				return nil
			})
			res, err := a.get(t)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if a.exists(t, o.Key) {
				t.Error("the client has the answer and the object is still there")
			}
			close(looked)
		})
	}
}

func TestAPanicUndoesOnlyWhatNobodyWasToldOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		tell func(http.ResponseWriter)
		kept bool
	}{
		{"before any status", func(http.ResponseWriter) {}, false},
		{"after an early hint", func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, false},
		{"after a bad status", func(w http.ResponseWriter) { w.WriteHeader(http.StatusConflict) }, false},
		{"after a good status", func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }, true},
		{"after a header alone", func(w http.ResponseWriter) { w.Header().Set("X", "y") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{handler: func(w http.ResponseWriter, _ *http.Request) error {
				c.tell(w)
				panic(http.ErrAbortHandler)
			}})
			b := newBody().file("file", "a.txt", []byte("a"))
			_ = b.w.Close()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL, &b.Buffer)
			req.Header.Set("Content-Type", b.w.FormDataContentType())
			if res, err := a.Client().Do(req); err == nil {
				res.Body.Close()
			}
			o := a.stored(t)
			waitFor(t, "the request to end", func() bool { return a.inFlight.Load() == 0 })
			if kept := a.exists(t, o.Key); kept != c.kept {
				t.Errorf("the object is there: %v, want %v", kept, c.kept)
			}
		})
	}
}

func TestUploadsOpenATransactionWhereNobodyDid(t *testing.T) {
	t.Parallel()
	for status, kept := range map[int]bool{201: true, 409: false} {
		a := newApp(t, appConfig{})
		a.Config.Handler = nethttp.Uploads(a.field)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if core.TxnFrom(r.Context()) == nil {
				t.Error("the handler has no transaction")
			}
			a.form <- r.PostForm
			w.WriteHeader(status)
		}))
		newBody().file("file", "a.txt", []byte("a")).post(t, a).want(t, status, 0)
		if o := a.stored(t); a.exists(t, o.Key) != kept {
			t.Errorf("after %d the object is there: %v, want %v", status, !kept, kept)
		}
	}
}

func TestTheServersWriterCanBeReached(t *testing.T) {
	t.Parallel()
	t.Run("to take the connection over", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, appConfig{})
		o := a.keep(t)
		a.serve(func(w http.ResponseWriter, r *http.Request) error {
			if err := a.field.Delete(r.Context(), o.Key); err != nil {
				return err
			}
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return err
			}
			defer conn.Close()
			_, _ = rw.WriteString("HTTP/1.1 299 Mine\r\nContent-Length: 0\r\n\r\n")
			return rw.Flush()
		})
		res, err := a.get(t)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 299 {
			t.Errorf("status is %s, want 299", res.Status)
		}
		waitFor(t, "the deletion", func() bool { return !a.exists(t, o.Key) })
	})
	t.Run("to set deadlines and full duplex", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, appConfig{}).serve(func(w http.ResponseWriter, _ *http.Request) error {
			c := http.NewResponseController(w)
			return errors.Join(c.SetReadDeadline(time.Now().Add(time.Minute)), c.SetWriteDeadline(time.Now().Add(time.Minute)), c.EnableFullDuplex())
		})
		res, err := a.get(t)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("status is %s, want 200", res.Status)
		}
	})
	t.Run("to send what is informational", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, appConfig{}).serve(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
			return nil
		})
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, " ", header.Get("Link")))
				return nil
			},
		})
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, http.NoBody)
		res, err := a.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if want := "103 </style.css>; rel=preload"; len(hints) != 1 || hints[0] != want || res.StatusCode != http.StatusNoContent {
			t.Errorf("got the hints %q and %s, want %q and 204", hints, res.Status, want)
		}
	})
}

func TestAnErrorInTheMiddleCutsTheConnection(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{}).serve(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		return errors.New("boom")
	})
	res, err := a.get(t)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%q came without an error, want a cut connection", got)
	}
}

// secrets are what no client may learn.
func secrets(a *app, endpoint string) []string {
	return []string{endpoint, a.bucket, a.engine.AccessKey, a.engine.SecretKey, "127.0.0.1", "s3", "minio", "bucket"}
}

func TestStorageThatFailsIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	free := func(t *testing.T) string { // nobody listens there
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	for _, c := range []struct {
		name   string
		change func(*testing.T, *core.Config)
		kind   core.Kind
		within time.Duration
	}{
		{"it is down", func(t *testing.T, c *core.Config) { fast(c); c.Endpoint = free(t) }, core.ErrUnavailable, 3 * time.Second},
		{"its name is unknown", func(_ *testing.T, c *core.Config) { fast(c); c.Endpoint = "storage.invalid:9000" }, core.ErrUnavailable, 5 * time.Second},
		{"it swallows everything", func(t *testing.T, c *core.Config) { fast(c); c.Endpoint = s3test.BlackHole(t) }, core.ErrUnavailable, 3 * time.Second},
		{"it swallows everything, with the default limit", func(t *testing.T, c *core.Config) { c.Endpoint = s3test.BlackHole(t) }, core.ErrUnavailable, 8 * time.Second},
		{"it does not know the access key", func(_ *testing.T, c *core.Config) { fast(c); c.AccessKey = "nobody" }, core.ErrCredentials, 3 * time.Second},
		{"it does not accept the secret", func(_ *testing.T, c *core.Config) { fast(c); c.SecretKey = "wrong-secret" }, core.ErrCredentials, 3 * time.Second},
		{"its clock is another", func(_ *testing.T, c *core.Config) { fast(c) }, core.ErrClockSkew, 3 * time.Second},
		{"the bucket is missing", func(_ *testing.T, c *core.Config) { fast(c) }, core.ErrBucketMissing, 3 * time.Second},
	} {
		for size, content := range map[string][]byte{"a small file": png, "a long file": append(bytes.Clone(png), make([]byte, 6<<20)...)} {
			t.Run(c.name+", "+size, func(t *testing.T) {
				t.Parallel()
				var endpoint string
				config := appConfig{store: func(config *core.Config) {
					c.change(t, config)
					if c.kind == core.ErrClockSkew {
						config.Endpoint = skewed(t)
					}
					endpoint = config.Endpoint
				}}
				if c.kind == core.ErrBucketMissing {
					config.field = func(f *core.FieldConfig) { f.Bucket = "no-such-bucket-here" }
				}
				var log bytes.Buffer
				config.http.Logger = slog.New(slog.NewTextHandler(&log, nil))
				a := newApp(t, config)
				b := newBody().file("file", "secret-name.png", content)
				_ = b.w.Close()
				start := time.Now()
				res := sendRaw(t, a, "POST", b.w.FormDataContentType(), nil, b.String())
				took := time.Since(start)
				res.want(t, http.StatusServiceUnavailable, c.kind)
				if res.header.Get("Retry-After") == "" || res.header.Get("Content-Type") != core.ProblemMediaType {
					t.Errorf("the headers are %v, want Retry-After and a problem", res.header)
				}
				if took > c.within {
					t.Errorf("it took %s, want %s at most", took, c.within)
				}
				for _, secret := range append(secrets(a, endpoint), "no-such", "secret-name") {
					if strings.Contains(strings.ReplaceAll(res.body, "urn:filefield:problem:bucket_missing", ""), secret) {
						t.Errorf("the answer %s tells of %q", res.body, secret)
					}
				}
				if strings.Contains(log.String(), a.engine.SecretKey) || strings.Contains(log.String(), "wrong-secret") || !strings.Contains(log.String(), c.kind.Code()) {
					t.Errorf("the log is %s, want the kind %s and no secret", log.String(), c.kind.Code())
				}
			})
		}
	}
}

// skewed is storage whose clock is hours away.
func skewed(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>")
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestADownloadFromStorageThatFailsIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{store: func(c *core.Config) { fast(c); c.Endpoint = s3test.BlackHole(t) }})
	a.serve(func(w http.ResponseWriter, r *http.Request) error {
		return nethttp.ServeFile(w, r, a.field, core.Object{Key: mustKey(t, "a.txt")})
	})
	start := time.Now()
	res, err := a.get(t)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if took := time.Since(start); res.StatusCode != http.StatusServiceUnavailable || took > 3*time.Second {
		t.Errorf("status %s after %s, want 503 within 3 s", res.Status, took)
	}
}

func TestReadinessTellsTheKindOfFailureAlone(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	for _, c := range []struct {
		name   string
		change func(*core.Config)
		status int
		kind   core.Kind
	}{
		{"ready", func(*core.Config) {}, 200, 0},
		{"gone silent", func(c *core.Config) { c.Endpoint = s3test.BlackHole(t) }, 503, core.ErrUnavailable},
		{"another secret", func(c *core.Config) { c.SecretKey = "wrong-secret" }, 503, core.ErrCredentials},
		{"a bucket too many", func(c *core.Config) { c.PrivateBuckets = []string{"no-such-bucket-here"} }, 503, core.ErrBucketMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newApp(t, appConfig{store: func(config *core.Config) { fast(config); c.change(config) }})
			b.Config.Handler = nethttp.Ready(b.store)
			start := time.Now()
			res := sendRaw(t, b, "GET", "text/plain", nil, "")
			res.want(t, c.status, c.kind)
			if time.Since(start) > 5*time.Second {
				t.Errorf("it took %s, want less than 5 s", time.Since(start))
			}
			for _, secret := range []string{b.bucket, "no-such", "127.0.0.1", a.engine.AccessKey, "wrong-secret"} {
				if strings.Contains(res.body, secret) {
					t.Errorf("the answer %s tells of %q", res.body, secret)
				}
			}
		})
	}
	a.Config.Handler = nethttp.Live()
	res, err := a.get(t)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if line, _ := bufio.NewReader(res.Body).ReadString('\n'); res.StatusCode != 200 || line != "ok\n" {
		t.Errorf("liveness is %s and %q, want 200 and ok", res.Status, line)
	}
}

func TestManyWhoWantOneNameAllGetTheirBytes(t *testing.T) {
	t.Parallel()
	const rounds, clients = 50, 16
	a := newApp(t, appConfig{field: func(c *core.FieldConfig) { c.UploadTo = core.KeepName }})
	for round := range rounds {
		name := fmt.Sprintf("round-%d.txt", round)
		var wg sync.WaitGroup
		for client := range clients {
			wg.Go(func() {
				content := fmt.Sprintf("%s of client %d", name, client)
				res := newBody().text("content", content).file("file", name, []byte(content)).post(t, a)
				if res.status != http.StatusCreated {
					t.Errorf("%s: status %d (%s), want 201", content, res.status, res.body)
				}
			})
		}
		wg.Wait()
		keys := map[core.Key]bool{}
		for range clients {
			form := <-a.form
			token, err := a.field.Verify(form.Get("file"))
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, a, token.Object.Key); got != form.Get("content") {
				t.Errorf("%s holds %q, want %q", token.Object.Key, got, form.Get("content"))
			}
			keys[token.Object.Key] = true
		}
		if len(keys) != clients || !keys[mustKey(t, name)] {
			t.Errorf("%s: %d keys for %d files, the wanted one among them: %v", name, len(keys), clients, keys[mustKey(t, name)])
		}
	}
}

// quietly keeps what net/http says of a handler's mistakes out of the test's output.
func quietly(a *app) { a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) }
