package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

const (
	bucket     = "conformance"
	signingKey = "the signing key of these tests"
	// patience is the longest any wait of the suite takes.
	patience = 20 * time.Second
)

// A field type finds its field by its type alone, so the fields that forms bind
// are the package's, while each app declares fields of its own with these names,
// this bucket and this key: one's tokens are the other's. Apps keep to a prefix
// of the bucket.
type (
	single  struct{}
	several struct{}
)

func (single) FileField() *core.Field  { return shared.single }
func (several) FileField() *core.Field { return shared.several }

// environment is what all runs share, made by the first.
type environment struct {
	once            sync.Once
	apps            atomic.Int64
	single, several *core.Field
}

var shared environment //nolint:gochecknoglobals // see above

// form is what most handlers bind: model and form in one.
type form struct {
	Title string                      `form:"title" json:"title"`
	File  fieldtype.File[single]      `form:"file" json:"file"`
	Files fieldtype.Files[several]    `form:"files" json:"files"`
	Ref   *fieldtype.File[single]     `form:"ref" json:"ref,omitempty"`
	List  []fieldtype.File[several]   `form:"list" json:"list,omitempty"`
	Pages []struct{ Photo pagePhoto } `form:"-" json:"pages,omitempty"`
	Jacket
}

type pagePhoto = fieldtype.File[single]

// Jacket is what a form embeds, the one nesting that every framework's binder
// knows in forms; Echo's, only where the type is exported.
type Jacket struct {
	// Cover is a file of the field "file".
	Cover fieldtype.File[single] `form:"cover" json:"cover"`
}

// suite is one run over an adapter.
type suite struct {
	adapter   Adapter
	engine    *s3test.Server
	client    *minio.Client
	transport *http.Transport // of all stores
	closing   sync.WaitGroup  // apps: a server waits half a second for those it cut off
}

func newSuite(t *testing.T, adapter Adapter) *suite {
	t.Helper()
	s := &suite{adapter: adapter, engine: s3test.Start(t), transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	s.client = s.engine.Client(t)
	shared.once.Do(func() { shared.prepare(t, s.engine) })
	if shared.single == nil {
		t.Fatal("the first run could not prepare the suite")
	}
	t.Cleanup(func() { s.closing.Wait(); s.transport.CloseIdleConnections() })
	return s
}

func (e *environment) prepare(t *testing.T, engine *s3test.Server) {
	t.Helper()
	client := engine.Client(t)
	if err := client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: engine.Region}); err != nil {
		t.Fatal(err)
	}
	// The engine runs. From here on nobody gets a temporary file.
	if err := os.Setenv("TMPDIR", os.TempDir()+"/no-folder-for-temporary-files"); err != nil {
		t.Fatal(err)
	}
	if f, err := os.CreateTemp("", ""); err == nil {
		t.Fatalf("%s could be made, want no place for temporary files", f.Name())
	}
	config := storeConfig(engine)
	config.Transport = &http.Transport{DisableKeepAlives: true} // nobody is there to close them at the end
	store := core.MustOpen(config)
	e.several = store.Field(core.FieldConfig{Name: "files", Bucket: bucket, MaxFiles: 10})
	e.single = store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
}

func storeConfig(engine *s3test.Server) core.Config {
	return core.Config{
		Endpoint: engine.Endpoint, AccessKey: engine.AccessKey, SecretKey: core.Secret(engine.SecretKey),
		Region: engine.Region, SigningKeys: []core.Secret{signingKey},
	}
}

// options say how an app differs from the usual one.
type options struct {
	store   func(*core.Config)
	file    core.FieldConfig // of the field "file"
	files   core.FieldConfig // of the field "files"
	http    nethttp.Config
	guard   func(Call) error
	before  func(*form)                     // the model before it is bound
	handler func(*app, Call, *form) error   // with what was bound
	raw     func(*app, Call) error          // in the place of the usual handler
	routes  func(*app) []Route              // beside the usual one
	refusal func(*app, Call, error) error   // App.OnRefusal
	around  func(http.Handler) http.Handler // outside of the framework
	change  func(*App)                      // the rest
}

// app is a running app, on a prefix of the bucket of its own.
type app struct {
	*httptest.Server
	suite       *suite
	store       *core.Store
	file, files *core.Field
	prefix      string
	seen        chan seen // what the usual handler saw, one per call
	inFlight    atomic.Int32
}

// seen is a request as the usual handler found it.
type seen struct {
	form  url.Values // as the middleware left it
	bound form       // as the framework's binder read it
}

// app starts an app that ends with the test.
func (s *suite) app(t testing.TB, o options) *app {
	t.Helper()
	a := &app{suite: s, seen: make(chan seen, 256), prefix: fmt.Sprintf("app-%d/", shared.apps.Add(1))}
	config := storeConfig(s.engine)
	config.Transport = s.transport
	if o.store != nil {
		o.store(&config)
	}
	var err error
	if a.store, err = core.Open(config); err != nil {
		t.Fatal(err)
	}
	a.file = a.declare(o.file, "file", 1)
	a.files = a.declare(o.files, "files", 10)
	o.http.Store = a.store
	neutral := &App{Store: a.store, HTTP: o.http, Routes: []Route{{
		Method: http.MethodPost, Path: "/", Guard: o.guard, Uploads: []*core.Field{a.file, a.files},
		Handler: func(c Call) error { return a.create(c, o) },
	}}}
	if o.routes != nil {
		neutral.Routes = append(neutral.Routes, o.routes(a)...)
	}
	if o.refusal != nil {
		neutral.OnRefusal = func(c Call, err error) error { return o.refusal(a, c, err) }
	}
	if o.change != nil {
		o.change(neutral)
	}
	a.Server = httptest.NewUnstartedServer(a.handler(t, neutral, o))
	a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // panics are part of the cases
	a.Start()
	t.Cleanup(func() { s.closing.Go(func() { a.Close(); a.clear() }) })
	return a
}

// handler is the framework's, behind what tells it who asks.
func (a *app) handler(t testing.TB, neutral *App, o options) http.Handler {
	served := a.suite.adapter.Handler(t, neutral)
	if o.around != nil {
		served = o.around(served)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.inFlight.Add(1)
		defer a.inFlight.Add(-1)
		if subject := r.Header.Get("X-Test-User"); subject != "" {
			r = r.WithContext(core.WithSubject(r.Context(), subject))
		}
		served.ServeHTTP(w, r)
	})
}

func (a *app) declare(c core.FieldConfig, name string, maxFiles int) *core.Field {
	if c.Bucket == "" {
		c.Bucket = bucket
	}
	if c.MaxFiles == 0 {
		c.MaxFiles = maxFiles
	}
	if c.UploadTo == nil {
		c.UploadTo = core.RandomName
	}
	c.Name, c.UploadTo = name, core.Prefix(a.prefix, c.UploadTo)
	return a.store.Field(c)
}

// create is the usual handler: it binds, notes what it got, and answers 201.
func (a *app) create(c Call, o options) error {
	if o.raw != nil {
		return o.raw(a, c)
	}
	f := &form{Title: "as before"}
	if o.before != nil {
		o.before(f)
	}
	if err := c.Bind(f); err != nil {
		return err
	}
	a.seen <- seen{c.Request().PostForm, *f}
	if o.handler != nil {
		return o.handler(a, c, f)
	}
	return c.Answer(http.StatusCreated, nil)
}

// saw returns what the usual handler saw of one request.
func (a *app) saw(t testing.TB) seen {
	t.Helper()
	select {
	case s := <-a.seen:
		return s
	case <-time.After(patience):
		t.Fatal("the handler was not called")
		return seen{}
	}
}

// unseen fails the test if the usual handler was called.
func (a *app) unseen(t testing.TB) {
	t.Helper()
	if n := len(a.seen); n > 0 {
		t.Errorf("the handler was called %d times, want never: it saw %.300v", n, (<-a.seen).form)
	}
}

// stored returns the one file of the field "file" that the handler saw, which the
// form's token and the binder have to agree on.
func (a *app) stored(t testing.TB) core.Object {
	t.Helper()
	s := a.saw(t)
	if len(s.form["file"]) != 1 {
		t.Fatalf("the handler saw the form %.300v, want one token", s.form)
	}
	token, err := a.file.Verify(s.form.Get("file"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.bound.File.Object(), token.Object) {
		t.Errorf("bound %+v, want what the token says: %+v", s.bound.File.Object(), token.Object)
	}
	return token.Object
}

// keep stores a file outside of any request.
func (a *app) keep(t testing.TB, field *core.Field, name, content string) core.Object {
	t.Helper()
	o, err := field.Save(context.WithoutCancel(t.Context()), core.Upload{Body: strings.NewReader(content), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// exists asks storage as a client would that has just read the answer.
func (a *app) exists(t testing.TB, key core.Key) bool {
	t.Helper()
	_, err := a.file.Stat(t.Context(), key)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func (a *app) read(t testing.TB, key core.Key) string {
	t.Helper()
	f, err := a.file.Open(context.WithoutCancel(t.Context()), key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// left lists the app's objects and its open multipart uploads.
func (a *app) left(t testing.TB) (objects, uploads []string) {
	t.Helper()
	client := a.suite.client
	for _, key := range listed(t, client, a.prefix) {
		objects = append(objects, strings.TrimPrefix(key, a.prefix))
	}
	waitFor(t, "a list of the open uploads", func() bool {
		uploads = nil
		for u := range client.ListIncompleteUploads(t.Context(), bucket, "", true) { // MinIO takes no prefix
			if u.Err != nil {
				return false // the embedded engine stumbles over other apps' uploads that end meanwhile
			}
			if rest, ok := strings.CutPrefix(u.Key, a.prefix); ok {
				uploads = append(uploads, rest)
			}
		}
		return true
	})
	return objects, uploads
}

// holds fails the test unless there are count objects and no open uploads.
func (a *app) holds(t testing.TB, count int) {
	t.Helper()
	if objects, uploads := a.left(t); len(objects) != count || len(uploads) > 0 {
		t.Errorf("storage holds the objects %q and the open uploads %q, want %d objects and no upload", objects, uploads, count)
	}
}

// settles waits until no request runs, and then for what holds wants.
func (a *app) settles(t testing.TB, count int) {
	t.Helper()
	waitFor(t, "the requests to end", func() bool { return a.inFlight.Load() == 0 })
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if objects, uploads := a.left(t); len(objects) == count && len(uploads) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond) // a server closes its side when it has seen the client go
	}
	a.holds(t, count)
}

// clear removes what the app's requests were right to leave.
func (a *app) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := a.suite.client
	for o := range client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: a.prefix, Recursive: true}) {
		_ = client.RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{}) // the engine goes with the tests
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
