package nethttp

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/filefield/filefield/core"
)

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
	if object.Key.IsZero() {
		return &core.Error{Kind: core.ErrNotFound, Op: "serve", Field: field.Name(), Err: errors.New("there is no file")}
	}
	options, ranged, err := conditions(r)
	if err != nil {
		return err
	}
	f, err := field.Open(r.Context(), object.Key, options)
	if core.KindOf(err) == core.ErrNotModified {
		// The row may know no tag and time, or older ones.
		notModified(w, field, core.Object{ETag: options.IfNoneMatch})
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()

	if object.Name == "" {
		object.Name = f.Name
	}
	object.Type, object.ETag, object.Modified = f.Type, f.ETag, f.Modified
	if since := options.IfModifiedSince; !since.IsZero() && !f.Modified.After(since) {
		notModified(w, field, object) // some storage compares fractions of a second, which no header has
		return nil
	}
	h := w.Header()
	serveHeaders(h, field, object)
	h.Set("Content-Length", strconv.FormatInt(f.Length, 10))
	status := http.StatusOK
	if ranged && f.Length > 0 {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(f.Offset, 10)+"-"+
			strconv.FormatInt(f.Offset+f.Length-1, 10)+"/"+strconv.FormatInt(f.Size, 10))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if n, err := io.Copy(w, f); err != nil || n != f.Length {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func notModified(w http.ResponseWriter, field *core.Field, object core.Object) {
	cacheHeaders(w.Header(), field, object)
	w.WriteHeader(http.StatusNotModified)
}

func serveHeaders(h http.Header, field *core.Field, object core.Object) {
	h.Set("Content-Type", core.SafeServeType(object.Type))
	h.Set("Content-Disposition", core.ContentDisposition(core.DispositionOf(object.Type), object.Name))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Accept-Ranges", "bytes")
	cacheHeaders(h, field, object)
}

// cacheHeaders sets what an answer of 304 has as well. It has nothing else:
// caches take a 304's headers over into what they keep, and the row need not
// know the stored type (RFC 9110, 15.4.5; RFC 9111, 4.3.4).
func cacheHeaders(h http.Header, field *core.Field, object core.Object) {
	h.Set("Cache-Control", "private, no-cache")
	// A cookie that a shared cache kept would be handed to others.
	if field.Bucket().Public() && len(h["Set-Cookie"]) == 0 {
		h.Set("Cache-Control", "public, no-cache")
	}
	if object.ETag != "" {
		h.Set("ETag", `"`+object.ETag+`"`)
	}
	if !object.Modified.IsZero() {
		h.Set("Last-Modified", object.Modified.UTC().Format(http.TimeFormat))
	}
}

// conditions reads the request's range and preconditions (RFC 9110, 13 and 14).
// ranged says that a range is asked for, which may be the whole file.
func conditions(r *http.Request) (o core.OpenOptions, ranged bool, err error) {
	// If-Modified-Since counts only without If-None-Match, whatever that holds.
	if tags := r.Header.Get("If-None-Match"); tags != "" {
		o.IfNoneMatch = singleETag(tags)
	} else if since, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil {
		o.IfModifiedSince = since
	}
	o.IfMatch = singleETag(r.Header.Get("If-Match"))
	spec := r.Header.Get("Range")
	// If-Range asks for the range of one version only; the whole file is always
	// a right answer, and the one given where the version is not checked.
	if spec == "" || r.Header.Get("If-Range") != "" || r.Method != http.MethodGet {
		return o, false, nil
	}
	o.Offset, o.Length, ranged, err = parseRange(spec)
	if err != nil {
		return o, false, &core.Error{Kind: core.ErrRange, Op: "serve", Detail: "one range in bytes is served at a time", Err: err}
	}
	return o, ranged, nil
}

// maxETag is longer than any storage's tag.
const maxETag = 256

// singleETag returns the one strong or weak tag of the header, without its
// quotes, or "". A tag with spaces or beyond ASCII, which no storage makes, is
// none: it would break the signature of the request it is handed on with.
func singleETag(header string) string {
	tag := strings.TrimPrefix(strings.TrimSpace(header), "W/")
	if len(tag) < 2 || len(tag) > maxETag || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return ""
	}
	tag = tag[1 : len(tag)-1]
	if strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r == '"' || r >= 0x7f }) {
		return ""
	}
	return tag
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
