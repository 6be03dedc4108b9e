package nethttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }

// app is a small web app on a bucket of its own.
type app struct {
	*httptest.Server
	engine *s3test.Server
	store  *core.Store
	field  *core.Field
	bucket string
	form   chan url.Values // what the handler saw, one per call

	inFlight  atomic.Int32
	begun     atomic.Int32    // requests
	transport *http.Transport // to storage
}

type appConfig struct {
	store   func(*core.Config)
	field   func(*core.FieldConfig)
	http    nethttp.Config
	handler nethttp.HandlerFunc // after the form was seen
}

func newApp(t testing.TB, c appConfig) *app {
	t.Helper()
	a := &app{engine: s3test.Start(t), form: make(chan url.Values, 64)}
	a.bucket = a.engine.Bucket(t)
	config := core.Config{
		Endpoint: a.engine.Endpoint, AccessKey: a.engine.AccessKey, SecretKey: core.Secret(a.engine.SecretKey),
		Region: a.engine.Region, SigningKeys: []core.Secret{"a key for tests, long enough"},
	}
	if c.store != nil {
		c.store(&config)
	}
	a.transport = &http.Transport{MaxIdleConnsPerHost: 16}
	if config.Transport == nil {
		config.Transport = a.transport
	}
	var err error
	if a.store, err = core.Open(config); err != nil {
		t.Fatal(err)
	}
	field := core.FieldConfig{Name: "file", Bucket: a.bucket}
	if c.field != nil {
		c.field(&field)
	}
	a.field = a.store.Field(field)
	handle := c.http.Handle(func(w http.ResponseWriter, r *http.Request) error {
		a.form <- r.PostForm
		if c.handler != nil {
			return c.handler(w, r)
		}
		w.WriteHeader(http.StatusCreated)
		return nil
	})
	served := c.http.Middleware(c.http.Uploads(a.field)(handle))
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.begun.Add(1)
		a.inFlight.Add(1)
		defer a.inFlight.Add(-1)
		served.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { a.Close(); a.transport.CloseIdleConnections() })
	return a
}

// stored verifies the one token the handler saw and returns its object.
func (a *app) stored(t testing.TB) core.Object {
	t.Helper()
	select {
	case form := <-a.form:
		if len(form["file"]) != 1 {
			t.Fatalf("the handler saw the form %v, want one token", form)
		}
		token, err := a.field.Verify(form.Get("file"))
		if err != nil {
			t.Fatal(err)
		}
		return token.Object
	case <-time.After(10 * time.Second):
		t.Fatal("the handler was not called")
		return core.Object{}
	}
}

// body is a multipart body under construction.
type body struct {
	bytes.Buffer
	w *multipart.Writer
}

func newBody() *body {
	b := &body{}
	b.w = multipart.NewWriter(&b.Buffer)
	return b
}

func (b *body) text(name, value string) *body {
	_ = b.w.WriteField(name, value)
	return b
}

// file writes a file part with the file name exactly as given, as a browser would.
func (b *body) file(name, fileName string, content []byte) *body {
	return b.raw(`form-data; name="`+name+`"; filename="`+fileName+`"`, content)
}

func (b *body) raw(disposition string, content []byte) *body {
	part, _ := b.w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {disposition}, "Content-Type": {"application/octet-stream"},
	})
	_, _ = part.Write(content)
	return b
}

func (b *body) post(t testing.TB, a *app) *answer {
	t.Helper()
	_ = b.w.Close()
	return a.post(t, b.w.FormDataContentType(), bytes.NewReader(b.Bytes()))
}

type answer struct {
	status  int
	header  http.Header
	body    string
	problem core.Problem
}

func (a *app) post(t testing.TB, contentType string, body io.Reader) *answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := a.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}

func readAnswer(t testing.TB, res *http.Response) *answer {
	t.Helper()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := &answer{status: res.StatusCode, header: res.Header, body: string(text)}
	if len(text) > 0 && strings.HasPrefix(res.Header.Get("Content-Type"), core.ProblemMediaType) {
		if err := json.Unmarshal(text, &out.problem); err != nil {
			t.Fatalf("problem %q: %v", text, err)
		}
	}
	return out
}

// want fails the test unless the answer has the status and, for a failure, is a
// problem of the kind.
func (r *answer) want(t testing.TB, status int, kind core.Kind) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status is %d (%s), want %d", r.status, strings.TrimSpace(r.body), status)
	}
	if kind != 0 && !strings.HasSuffix(r.problem.Type, ":"+kind.Code()) {
		t.Errorf("problem is %+v, want kind %s", r.problem, kind.Code())
	}
}
