package tusupload

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"golang.org/x/exp/slog"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// TokenHeader is the header with the token that stands for the file in a form or in
// JSON. It is on the answer to the request that brings the last byte, and to a HEAD
// afterwards.
const TokenHeader = "Filefield-Token"

// Config adjusts New. The zero value is what an app of one process wants.
type Config struct {
	// Quota, if set, is asked before an upload is begun, with what the client says of
	// its file: an error refuses, core.ErrQuota with 429.
	Quota func(r *http.Request, asked nethttp.DirectRequest) error
	// Origins are the origins, besides the app's own, whose pages may upload:
	// "https://app.example.org". Their preflights are answered here, and credentials
	// are allowed.
	Origins []string
	// Locker has one request at a time work on an upload; it is asked for locks by
	// bucket and key. Default: tusd's memorylocker, for one process; docs/tus.md has
	// what several need.
	Locker handler.Locker
	// Idle is the longest time a client may take for its next bytes, which what storage
	// takes does not count to. Default 30 s. What it has sent until then is kept.
	Idle time.Duration
}

const (
	defaultIdle = 30 * time.Second
	// grace is how long a request whose client is gone may take to keep what arrived.
	grace = 10 * time.Second
	never = 1000 * time.Hour
)

// New returns a handler that takes files of a field by the tus protocol. authorize
// says who may, for every request: it sees the name, type and size that the client
// announces, and the key too once there is one; nethttp.Anyone lets all send.
// Without an authorizer every request is refused with core.ErrConfig.
//
// Mount it for all methods at a path and at everything below, with nethttp.Handle
// or the adapters' Wrap. The file's name and type are the metadata "filename" and
// "filetype", or "name" and "type"; further metadata are texts for UploadTo. The
// token that TokenHeader brings fills the field as a file of a form does. What the
// field does not take is refused when it is begun, or removed at its end. Failures
// that tusd finds in the protocol are answered by tusd, in plain text.
func New(field *core.Field, authorize nethttp.Authorizer, config Config) nethttp.HandlerFunc {
	if config.Idle == 0 {
		config.Idle = defaultIdle
	}
	t := &endpoint{field: field, authorize: authorize, idle: config.Idle, quota: config.Quota, origins: config.Origins, cross: http.NewCrossOriginProtection()}
	refuse := func(err error, advice string) {
		t.fault = &core.Error{Kind: core.ErrConfig, Op: "tus upload", Field: field.Name(), Err: err, Advice: advice}
	}
	for _, origin := range config.Origins {
		if err := t.cross.AddTrustedOrigin(origin); err != nil {
			refuse(err, `write origins as "https://app.example.org"`)
		}
	}
	if authorize == nil {
		refuse(nil, "give New an authorizer; nethttp.Anyone lets all upload")
	}
	if config.Locker == nil {
		config.Locker = memorylocker.New()
	}
	composer := handler.NewStoreComposer()
	composer.UseCore(t)
	composer.UseTerminater(t)
	composer.UseLocker(locks{config.Locker})
	tusd, err := handler.NewUnroutedHandler(handler.Config{
		StoreComposer: composer, MaxSize: field.Config().MaxSize, DisableDownload: true,
		Cors: &handler.CorsConfig{Disable: true}, Logger: slog.New(quiet{}),
		NetworkTimeout: never, GracefulRequestCompletionTimeout: 1, // body and serve have their own
	})
	if err != nil {
		refuse(err, "")
		return t.serve
	}
	t.tusd = tusd.Middleware(route(tusd))
	return t.serve
}

// quiet drops tusd's log: what went wrong is returned.
type quiet struct{}

func (quiet) Enabled(context.Context, slog.Level) bool  { return false }
func (quiet) Handle(context.Context, slog.Record) error { return nil }
func (q quiet) WithAttrs([]slog.Attr) slog.Handler      { return q }
func (q quiet) WithGroup(string) slog.Handler           { return q }

func route(tusd *handler.UnroutedHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			tusd.PostFile(w, r)
		case http.MethodHead:
			tusd.HeadFile(w, r)
		case http.MethodPatch:
			tusd.PatchFile(w, r)
		case http.MethodDelete:
			tusd.DelFile(w, r)
		default:
			w.Header().Set("Allow", "DELETE, HEAD, OPTIONS, PATCH, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

// endpoint is the handler, and tusd's data store.
type endpoint struct {
	field     *core.Field
	authorize nethttp.Authorizer
	quota     func(*http.Request, nethttp.DirectRequest) error
	cross     *http.CrossOriginProtection
	idle      time.Duration
	origins   []string
	fault     error
	tusd      http.Handler
}

// call is what is known of one request, beside what tusd knows.
type call struct {
	r     *http.Request
	id    string
	token core.Token // of the upload
	done  string     // the token of the file, once it is whole
	body  *body
	err   error // what the data store refused with
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func (t *endpoint) serve(w http.ResponseWriter, r *http.Request) error {
	if t.fault != nil {
		return t.fault
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // an upload's URL is a secret
	h.Set("Tus-Resumable", "1.0.0")
	t.shareWith(h, r)
	if err := t.cross.Check(r); err != nil {
		return &core.Error{Kind: core.ErrForbidden, Op: "tus upload", Field: t.field.Name(), Detail: "uploads are for the app's own pages", Err: err}
	}
	c := &call{r: r, body: &body{ReadCloser: r.Body, connection: http.NewResponseController(w), idle: t.idle}}
	defer c.body.leave()
	ctx, end := outlive(r.Context())
	defer end()
	inner := r.WithContext(context.WithValue(ctx, callKey{}, c))
	inner.Body = c.body
	if method := r.Header.Get("X-HTTP-Method-Override"); r.Method == http.MethodPost && method != "" {
		inner.Method = method // before anything is decided by it
		inner.Header = r.Header.Clone()
		inner.Header.Del("X-HTTP-Method-Override")
	}
	switch inner.Method {
	case http.MethodOptions: // what the handler can do is no secret
	case http.MethodPost:
		if err := t.mayBegin(r); err != nil {
			return err
		}
	default:
		if err := t.carryOn(c, inner); err != nil {
			return err
		}
	}
	if err := c.checksum(inner); err != nil {
		return err
	}
	t.tusd.ServeHTTP(&answer{ResponseWriter: w, call: c, method: inner.Method}, inner)
	return c.err
}

// outlive returns a context that ends some time after ctx, or at once by end.
func outlive(ctx context.Context) (_ context.Context, end func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// announced is what a client says of its file.
func (t *endpoint) announced(r *http.Request) (asked nethttp.DirectRequest, form url.Values) {
	meta := handler.ParseMetadataHeader(r.Header.Get("Upload-Metadata"))
	asked = nethttp.DirectRequest{Subject: core.SubjectFrom(r.Context()), Field: t.field.Name(), Size: core.UnknownSize}
	for _, name := range []string{"name", "filename"} {
		if meta[name] != "" {
			asked.Name = core.ClientName(meta[name])
		}
	}
	for _, name := range []string{"type", "filetype"} {
		if meta[name] != "" {
			asked.Type = meta[name]
		}
	}
	if n, err := strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64); err == nil && n >= 0 {
		asked.Size = n
	}
	form = url.Values{}
	for name, value := range meta {
		form.Set(name, value)
	}
	return asked, form
}

func (t *endpoint) mayBegin(r *http.Request) error {
	asked, _ := t.announced(r)
	return t.authorize(r, core.Object{Bucket: t.field.Bucket().Name(), Name: asked.Name, Type: asked.Type, Size: max(asked.Size, 0)})
}

// carryOn finds the upload that a request is about: what the token in its path
// says.
func (t *endpoint) carryOn(c *call, inner *http.Request) error {
	c.id = path.Base(inner.URL.Path)
	token, err := t.field.DirectToken(inner.Context(), c.id)
	if refused := t.authorize(c.r, token.Object); refused != nil {
		return refused
	}
	switch {
	case core.IsExpired(err):
		return gone{err}
	case core.KindOf(err) == core.ErrToken:
		return &core.Error{Kind: core.ErrNotFound, Op: "tus upload", Field: t.field.Name(), Err: err}
	case err != nil:
		return err
	}
	c.token = token
	address := *inner.URL
	address.Path, address.RawPath = "/"+c.id, ""
	inner.URL = &address
	return nil
}

// gone is answered with 410, as the expiration extension has it.
type gone struct{ error }

func (g gone) Unwrap() error { return g.error }

// Problem is what the client sees.
func (g gone) Problem() core.Problem {
	return core.Problem{Type: "urn:filefield:problem:expired", Title: "Upload expired", Status: http.StatusGone, Detail: "The upload has expired; send the file again."}
}

const (
	allowedMethods = "DELETE, HEAD, OPTIONS, PATCH, POST"
	allowedHeaders = "Authorization, Content-Type, Tus-Resumable, Upload-Checksum, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Request-ID, X-Requested-With"
	exposedHeaders = TokenHeader + ", Location, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"
)

// shareWith lets pages of the declared origins use the handler.
func (t *endpoint) shareWith(h http.Header, r *http.Request) {
	if len(t.origins) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !slices.Contains(t.origins, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", allowedMethods)
		h.Set("Access-Control-Allow-Headers", allowedHeaders)
		h.Set("Access-Control-Max-Age", "86400")
	}
}

// answer adds to what tusd answers, and holds it back where the data store's own
// error is to be answered.
type answer struct {
	http.ResponseWriter
	call   *call
	method string
}

// Unwrap lets tusd set the connection's deadlines.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader adds the headers.
func (a *answer) WriteHeader(status int) {
	h := a.Header()
	if a.call.err != nil {
		h.Del("Content-Length")
		return
	}
	switch {
	case a.method == http.MethodOptions:
		h.Set("Tus-Extension", h.Get("Tus-Extension")+",expiration,checksum")
		h.Set("Tus-Checksum-Algorithm", strings.Join(algorithms(), ","))
	case status < 300 && a.method != http.MethodDelete && !a.call.token.Expires.IsZero():
		h.Set("Upload-Expires", a.call.token.Expires.UTC().Format(http.TimeFormat))
	}
	if a.method == http.MethodPost && h.Get("Location") != "" {
		h.Set("Location", a.location())
	}
	if a.call.done != "" {
		h.Set(TokenHeader, a.call.done)
	}
	a.ResponseWriter.WriteHeader(status)
}

// location is relative to the endpoint (RFC 9110, 10.2.2), so that it is right
// behind any proxy and below any prefix.
func (a *answer) location() string {
	base := path.Base(a.call.r.URL.EscapedPath())
	if strings.HasSuffix(a.call.r.URL.Path, "/") || base == "." || base == "/" {
		return a.call.id
	}
	return "./" + base + "/" + a.call.id
}

func (a *answer) Write(b []byte) (int, error) {
	if a.call.err != nil {
		return len(b), nil //nolint:nilerr // that error is answered in place of this text
	}
	return a.ResponseWriter.Write(b)
}
