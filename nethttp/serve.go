package nethttp

import (
	"errors"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// Authorizer says who may have a file: nil lets the request have it, an error
// refuses. A refusal of kind core.ErrForbidden is answered as if the file did not
// exist (404), so that nobody learns which do; any other is answered as it is. It
// is asked before storage is, once per request.
type Authorizer func(r *http.Request, object core.Object) error

// Anyone is the Authorizer of files that anyone may have, on purpose.
func Anyone(*http.Request, core.Object) error { return nil }

// Mode is how a file reaches the browser.
type Mode uint8

const (
	// Proxy sends the bytes through the app. The default.
	Proxy Mode = iota
	// Redirect sends the browser to storage, with a URL that lives for a short time.
	Redirect
)

// Delivery says how files are served. The zero value sends them through the app,
// shown where their type is safe to show and saved otherwise, and has caches ask
// each time whether their copy is current.
type Delivery struct {
	// Mode is Proxy or Redirect.
	Mode Mode
	// Disposition is Attachment to have every file saved. Default: by its type.
	Disposition core.Disposition
	// MaxAge is how long caches may use a copy without asking again. What is
	// withdrawn meanwhile stays in them. Default 0: they ask each time, which costs
	// a request that is mostly answered by 304.
	MaxAge time.Duration
	// Expiry is how long the URL of a Redirect lives. Default 5 minutes.
	Expiry time.Duration
}

const defaultRedirectExpiry = 5 * time.Minute

// Files returns a handler for files of a field. find says which file a request is
// for, as the app's rows know it; authorize, whether it may have it (Anyone, on
// purpose, for all). Without one of the two every request is refused with
// core.ErrConfig. Mount it with Handle, or the adapters' Wrap.
func Files(field *core.Field, find func(*http.Request) (core.Object, error), authorize Authorizer) HandlerFunc {
	return Delivery{}.Files(field, find, authorize)
}

// Files is the function of that name, with this Delivery.
func (d Delivery) Files(field *core.Field, find func(*http.Request) (core.Object, error), authorize Authorizer) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if find == nil || authorize == nil {
			return &core.Error{Kind: core.ErrConfig, Op: "serve", Field: field.Name(), Advice: "give Files a function that finds the file and one that authorizes; Anyone lets all have it"}
		}
		object, err := find(r)
		if err != nil {
			return err
		}
		return d.authorized(w, r, field, object, authorize)
	}
}

// Links returns a handler for the links that core.Field.Link makes: the last but
// one segment of the path is the link's token. authorize is asked besides the
// link itself (Anyone: who has it may follow it). Otherwise as Files.
func Links(field *core.Field, authorize Authorizer) HandlerFunc {
	return Delivery{}.Links(field, authorize)
}

// Links is the function of that name, with this Delivery.
func (d Delivery) Links(field *core.Field, authorize Authorizer) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if authorize == nil {
			return &core.Error{Kind: core.ErrConfig, Op: "serve", Field: field.Name(), Advice: "give Links an authorizer; Anyone lets all follow their links"}
		}
		// The link is a secret. It says so for every link, as only one that is none
		// would differ otherwise.
		w.Header().Set("Referrer-Policy", "no-referrer")
		object, disposition, err := field.VerifyLink(r.Context(), path.Base(path.Dir(r.URL.Path)))
		if err != nil {
			return err
		}
		d := d // one delivery's links may differ
		if disposition != "" {
			d.Disposition = disposition
		}
		return d.authorized(w, r, field, object, authorize)
	}
}

func (d Delivery) authorized(w http.ResponseWriter, r *http.Request, field *core.Field, object core.Object, authorize Authorizer) error {
	err := authorize(r, object)
	switch {
	case core.KindOf(err) == core.ErrForbidden:
		return errNoFile(err)
	case err != nil:
		return err
	}
	return d.ServeFile(w, r, field, object)
}

// errNoFile names no field: the answer would differ from that of a row that is
// not there.
func errNoFile(why error) error { return &core.Error{Kind: core.ErrNotFound, Op: "serve", Err: why} }

// ServeFile answers a GET or HEAD request with a file of a field, read from
// storage in one request: whole, one range of it (206, 416), or not at all when
// the client's copy is current (304). object is what the app's row knows;
// deciding who may have it is the caller's work, before this call.
//
// The answer cannot become a page of the app: its type is the stored one, with
// nosniff and a sandboxing Content-Security-Policy, and it is an attachment
// unless the type is on the inline allow-list. A failure of storage in the
// middle cuts the connection, so that half a file is never taken for a whole.
//
// Errors before the answer has begun are returned, for Handle to render.
func ServeFile(w http.ResponseWriter, r *http.Request, field *core.Field, object core.Object) error {
	return Delivery{}.ServeFile(w, r, field, object)
}

// ServeFile is the function of that name, with this Delivery.
func (d Delivery) ServeFile(w http.ResponseWriter, r *http.Request, field *core.Field, object core.Object) error {
	switch {
	case object.Key.IsZero():
		return errNoFile(errors.New("there is no file"))
	case d.Mode == Redirect:
		return d.redirect(w, r, field, object)
	case r.Method == http.MethodHead:
		return d.head(w, r, field, object)
	default:
		return d.proxy(w, r, field, object)
	}
}

// redirect sends the browser to storage. The type and name that the row knows go
// with it, so that they are the same as through the app.
func (d Delivery) redirect(w http.ResponseWriter, r *http.Request, field *core.Field, object core.Object) error {
	method := http.MethodGet
	if r.Method == http.MethodHead {
		method = http.MethodHead
	}
	o := core.URLOptions{Method: method, Expiry: d.Expiry}
	if o.Expiry == 0 {
		o.Expiry = defaultRedirectExpiry
	}
	if object.Name == "" {
		object.Name = object.Key.Base()
	}
	if object.Type == "" { // only the key is stored
		object.Type = core.InlineTypeByName(object.Name)
	}
	public := field.Bucket().Public() && d.Disposition == ""
	if public {
		o = core.URLOptions{Method: method} // its URL is no secret, and does not end
	} else {
		o.Disposition, o.Name = d.disposition(object), object.Name
		if object.Type != "" { // else the stored one
			o.Type = core.SafeServeType(object.Type)
		}
	}
	link, err := field.URL(r.Context(), object.Key, o)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Referrer-Policy", "no-referrer")
	switch {
	case public && len(h["Set-Cookie"]) == 0:
		h.Set("Cache-Control", "public, max-age="+seconds(max(d.MaxAge, time.Minute)))
	case public:
		h.Set("Cache-Control", "private, no-cache")
	default:
		// The URL lives for o.Expiry at least, whenever in its window it was made.
		h.Set("Cache-Control", "private, max-age="+seconds(min(d.MaxAge, o.Expiry/2)))
	}
	h.Set("Location", link)
	w.WriteHeader(http.StatusFound)
	return nil
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// disposition returns how the file is to be taken: as told, or by its type.
func (d Delivery) disposition(object core.Object) core.Disposition {
	if d.Disposition == core.Attachment {
		return core.Attachment
	}
	return core.DispositionOf(object.Type)
}

// head answers without the content, and without having storage send it.
func (d Delivery) head(w http.ResponseWriter, r *http.Request, field *core.Field, object core.Object) error {
	stored, err := field.Stat(r.Context(), object.Key)
	if err != nil {
		return err
	}
	asked := conditionsOf(r)
	switch object = known(object, stored); asked.met(stored) {
	case http.StatusNotModified:
		d.notModified(w, field, object)
	case http.StatusPreconditionFailed:
		return errChanged(field)
	default:
		d.headers(w.Header(), field, object)
		w.Header().Set("Content-Length", strconv.FormatInt(stored.Size, 10))
		w.WriteHeader(http.StatusOK)
	}
	return nil
}

func errChanged(field *core.Field) error {
	return &core.Error{Kind: core.ErrPrecondition, Op: "serve", Field: field.Name()}
}

// known puts what storage knows over what the row does; the name is the row's.
func known(object, stored core.Object) core.Object {
	if object.Name == "" {
		object.Name = stored.Name
	}
	object.Type, object.ETag, object.Modified = stored.Type, stored.ETag, stored.Modified
	return object
}

func (d Delivery) proxy(w http.ResponseWriter, r *http.Request, field *core.Field, object core.Object) error {
	asked := conditionsOf(r)
	f, ranged, err := openAsked(r, field, object, asked)
	switch kind := core.KindOf(err); {
	case kind == core.ErrNotModified:
		// The row may know no tag and time, or older ones.
		d.notModified(w, field, core.Object{ETag: asked.noneMatch.single()})
		return nil
	case kind == core.ErrRange && object.Size > 0:
		w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(object.Size, 10))
		return err
	case err != nil:
		return err
	}
	defer f.Close()

	object = known(object, f.Object)
	switch asked.met(f.Object) { // what storage was not asked, or compares otherwise
	case http.StatusNotModified:
		d.notModified(w, field, object)
		return nil
	case http.StatusPreconditionFailed:
		return errChanged(field)
	}
	h := w.Header()
	d.headers(h, field, object)
	h.Set("Content-Length", strconv.FormatInt(f.Length, 10))
	status := http.StatusOK
	if ranged && f.Length > 0 {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(f.Offset, 10)+"-"+
			strconv.FormatInt(f.Offset+f.Length-1, 10)+"/"+strconv.FormatInt(f.Size, 10))
	}
	w.WriteHeader(status)
	if n, err := io.Copy(w, f); err != nil || n != f.Length {
		cut(w)
	}
	return nil
}

// openAsked opens what the request asks for. Where a range is asked for of one
// version only (If-Range) and another is stored, it takes a second request, for
// the whole.
func openAsked(r *http.Request, field *core.Field, object core.Object, asked conditions) (f *core.File, ranged bool, err error) {
	options := asked.options()
	if spec := r.Header.Get("Range"); spec != "" {
		options.Offset, options.Length, ranged, err = parseRange(spec)
		if err != nil {
			return nil, false, &core.Error{Kind: core.ErrRange, Op: "serve", Detail: "one range in bytes is served at a time", Err: err}
		}
	}
	f, err = field.Open(r.Context(), object.Key, options)
	if err == nil && options.Offset > 0 && f.Offset == 0 {
		ranged = false // storage that knows no ranges sends the whole
	}
	version := r.Header.Get("If-Range")
	if !ranged || version == "" || (err != nil && core.KindOf(err) != core.ErrRange) {
		return f, ranged, err
	}
	if err == nil {
		if isVersion(f.Object, version) {
			return f, true, nil
		}
		_ = f.Close()
	}
	options.Offset, options.Length = 0, 0
	f, err = field.Open(r.Context(), object.Key, options)
	return f, false, err
}

// isVersion tells whether If-Range names the stored version: by its tag, or by
// exactly its time (RFC 9110, 13.1.5).
func isVersion(o core.Object, version string) bool {
	if at, err := http.ParseTime(version); err == nil {
		return at.Equal(o.Modified.Truncate(time.Second))
	}
	return version == `"`+o.ETag+`"`
}

func (d Delivery) notModified(w http.ResponseWriter, field *core.Field, object core.Object) {
	d.cacheHeaders(w.Header(), field, object)
	w.WriteHeader(http.StatusNotModified)
}

func (d Delivery) headers(h http.Header, field *core.Field, object core.Object) {
	h.Set("Content-Type", core.SafeServeType(object.Type))
	h.Set("Content-Disposition", core.ContentDisposition(d.disposition(object), object.Name))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", contentPolicy(object.Type))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if field.Bucket().Public() {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	h.Set("Accept-Ranges", "bytes")
	d.cacheHeaders(h, field, object)
}

// contentPolicy lets a file that is opened by itself load nothing and run
// nothing. Browsers' own viewers of PDF do not start in a sandbox, and run
// outside of the app's origin anyway.
func contentPolicy(mediaType string) string {
	const nothing = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"
	if mediaType == "application/pdf" {
		return nothing + "; object-src 'self'; frame-ancestors 'self'"
	}
	return nothing + "; sandbox"
}

// cacheHeaders sets what an answer of 304 has as well. It has nothing else:
// caches take a 304's headers over into what they keep, and the row need not
// know the stored type (RFC 9110, 15.4.5; RFC 9111, 4.3.4).
func (d Delivery) cacheHeaders(h http.Header, field *core.Field, object core.Object) {
	fresh := "no-cache"
	if d.MaxAge >= time.Second {
		fresh = "max-age=" + seconds(d.MaxAge)
	}
	h.Set("Cache-Control", "private, "+fresh)
	// A cookie that a shared cache kept would be handed to others.
	if field.Bucket().Public() && len(h["Set-Cookie"]) == 0 {
		h.Set("Cache-Control", "public, "+fresh)
	}
	if object.ETag != "" {
		h.Set("ETag", `"`+object.ETag+`"`)
	}
	if !object.Modified.IsZero() {
		h.Set("Last-Modified", object.Modified.UTC().Format(http.TimeFormat))
	}
}

var errRange = errors.New("not a single range of bytes")

// parseRange reads "bytes=0-99", "bytes=100-" and "bytes=-50". A unit other
// than bytes is to be ignored (ok is false). The length 0 means to the end, a
// negative offset counts from there.
func parseRange(spec string) (offset, length int64, ok bool, err error) {
	spec, isBytes := strings.CutPrefix(spec, "bytes=")
	if !isBytes {
		return 0, 0, false, nil
	}
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !dash || strings.Contains(spec, ",") {
		return 0, 0, false, errRange
	}
	if first == "" {
		n, err := strconv.ParseUint(last, 10, 62)
		if err != nil || n == 0 {
			return 0, 0, false, errRange
		}
		return -int64(n), 0, true, nil
	}
	from, err := strconv.ParseUint(first, 10, 62)
	if err != nil {
		return 0, 0, false, errRange
	}
	if last == "" {
		return int64(from), 0, true, nil
	}
	to, err := strconv.ParseUint(last, 10, 62)
	if err != nil || to < from {
		return 0, 0, false, errRange
	}
	return int64(from), int64(to-from) + 1, true, nil
}
