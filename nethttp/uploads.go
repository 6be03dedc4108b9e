package nethttp

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/formdata"
)

// Uploads returns middleware for a route whose forms bring files of these
// fields. It streams each file into its bucket as the body arrives and leaves
// the request's form with tokens, so that any binder fills file fields from it.
// Where no Middleware is mounted it opens the request's transaction itself.
//
// It answers by itself, with the Config's ErrorFunc, when the form breaks a
// limit or a rule: 400 malformed, 408 stalled, 413 too large or too many, 415
// wrong type of file or body, 422 empty file or invalid token, 503 storage
// unavailable, or not ready yet (core.Background). Nothing of such a request is
// kept.
func Uploads(fields ...*core.Field) func(http.Handler) http.Handler {
	return Config{}.Uploads(fields...)
}

// Uploads is the function Uploads with this Config.
func (c Config) Uploads(fields ...*core.Field) func(http.Handler) http.Handler {
	receiver := c.Receiver(fields...)
	return func(next http.Handler) http.Handler {
		receive := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := receiver.Receive(w, r); err != nil {
				c.fail(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
		alone := c.Middleware(receive)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if core.TxnFrom(r.Context()) == nil {
				alone.ServeHTTP(w, r)
				return
			}
			receive.ServeHTTP(w, r)
		})
	}
}

// Receiver takes in the bodies of one route's requests: what Uploads does, for
// adapters that have an error handling of their own. It is only read once made,
// and safe for concurrent use.
type Receiver struct {
	fields map[string]*core.Field
	limits Limits
	parser *formdata.Parser
	config Config
	stores []*core.Store // the fields'
	fault  error

	adopted sync.Once // the warning about forms read before
}

// Receiver returns the Receiver of a route whose forms bring files of these
// fields. Faults in the declarations are the error of every Receive.
func (c Config) Receiver(fields ...*core.Field) *Receiver {
	var faults []error
	if slices.Contains(fields, nil) {
		faults = append(faults, errors.New("a field is nil: declare it before the route"))
		fields = slices.DeleteFunc(slices.Clone(fields), func(f *core.Field) bool { return f == nil })
	}
	rc := &Receiver{fields: map[string]*core.Field{}, limits: c.Limits.forFields(fields), config: c}
	for _, f := range fields {
		for name := range rc.fields {
			if strings.EqualFold(name, f.Name()) { // binders may ignore the letters' case
				faults = append(faults, fmt.Errorf("two fields of this route are named %q", f.Name()))
			}
		}
		rc.fields[f.Name()] = f
		if base, ok := strings.CutSuffix(f.Name(), "-clear"); ok && slices.ContainsFunc(fields, func(f *core.Field) bool { return f.Name() == base }) {
			faults = append(faults, fmt.Errorf("the field %q has the name of the clear box of %q", f.Name(), base))
		}
		if !slices.Contains(rc.stores, f.Store()) {
			rc.stores = append(rc.stores, f.Store())
		}
		faults = append(faults, f.Fault())
	}
	if err := errors.Join(faults...); err != nil {
		rc.fault = &core.Error{Kind: core.ErrConfig, Op: "uploads", Err: err}
	}
	rc.parser = formdata.NewParser(formdata.Limits{Parts: rc.limits.parts(), HeaderBytes: rc.limits.Header})
	return rc
}

// Receive streams the files of the request's form into their buckets, under the
// transaction of the request's context, and leaves the form with tokens. Tokens
// in JSON are claimed; other requests pass, with a bound on their body. After an
// error the rest of the body is not read, so an HTTP/1 connection is set to close,
// and the transaction will roll back, whatever the answer; what the form brought
// before the fault is in the request all the same, for a page that shows it again.
func (rc *Receiver) Receive(w http.ResponseWriter, r *http.Request) error {
	err := rc.receive(w, r)
	if err != nil {
		if txn := core.TxnFrom(r.Context()); txn != nil {
			txn.SetRollbackOnly()
		}
		if r.ProtoMajor < 2 { // HTTP/2 resets the stream alone
			w.Header().Set("Connection", "close")
		}
	}
	return err
}

func (rc *Receiver) receive(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if rc.fault != nil {
		return rc.unread(w, r, rc.fault)
	}
	for _, store := range rc.stores {
		if err := store.Ready(); err != nil {
			return rc.unread(w, r, err)
		}
	}
	kinds := r.Header["Content-Type"]
	if len(kinds) > 1 { // whoever else reads the request may go by the other
		return rc.unread(w, r, &core.Error{Kind: core.ErrMalformed, Op: "read request", Detail: "the request has two Content-Type headers"})
	}
	var mediaType string
	if len(kinds) == 1 {
		// Frameworks' binders know them in lower case only.
		head, rest, _ := strings.Cut(kinds[0], ";")
		if lower := strings.ToLower(strings.TrimSpace(head)); lower != head {
			kinds[0] = strings.TrimSuffix(lower+";"+rest, ";")
		}
		if isMultipart(r) {
			return rc.multipart(w, r)
		}
		mediaType, _, _ = mime.ParseMediaType(kinds[0])
		if mediaType == "application/x-www-form-urlencoded" {
			return rc.urlencoded(w, r)
		}
	}
	if withoutBody(r) && !isJSON(mediaType) {
		return nil
	}
	if !isData(mediaType) { // Gin's binder would take it for an empty form
		return rc.unread(w, r, &core.Error{Kind: core.ErrType, Op: "read request", Detail: "the body is neither a form nor JSON"})
	}
	return rc.data(w, r, mediaType)
}

// unread refuses a request whose body nobody has looked at, and bounds the time for
// which it may come.
func (rc *Receiver) unread(w http.ResponseWriter, r *http.Request, err error) error {
	rc.body(w, r, 0).done()
	return err
}

// withoutBody says that a request has none, whatever middleware has put around it.
func withoutBody(r *http.Request) bool { return r.Body == http.NoBody || r.ContentLength == 0 }

// multipart streams a multipart form.
func (rc *Receiver) multipart(w http.ResponseWriter, r *http.Request) error {
	large := r.ContentLength > rc.limits.Request
	if r.MultipartForm != nil && !large {
		return rc.adopt(r)
	}
	body := rc.body(w, r, rc.limits.Request)
	defer body.done()
	if large {
		return tooLarge("the request is larger than", rc.limits.Request)
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &core.Error{Kind: core.ErrType, Op: "read request", Detail: "a form must not be compressed as a whole"}
	}
	boundary, err := formdata.Boundary(r.Header.Get("Content-Type"))
	if errors.Is(err, formdata.ErrNotForm) {
		return &core.Error{Kind: core.ErrType, Op: "read request", Detail: "the body is not multipart/form-data", Err: err}
	} else if err != nil {
		return err
	}
	form := rc.parser.Read(body, boundary)
	defer form.Close()
	in := rc.newIntake(r)
	in.body = body
	// Who asks for a value meanwhile (BeforeFile: r.FormValue) must not read the body.
	r.MultipartForm, r.PostForm, r.Form = readerMark(), in.values, in.values
	if err = in.takeAll(form); err == nil {
		body.drain()
	}
	return in.end(err)
}

// urlencoded reads a form that can bring tokens but no files.
func (rc *Receiver) urlencoded(w http.ResponseWriter, r *http.Request) error {
	body := rc.body(w, r, rc.limits.Text)
	defer body.done()
	if r.ContentLength > rc.limits.Text {
		return tooLarge("the form's text is larger than", rc.limits.Text)
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return errBody(r, err)
	}
	r.Body = http.NoBody // it has been read; who reads it again shall find its end
	text := strings.TrimRight(string(raw), "\r\n")
	if n := strings.Count(text, "&") + 1; n > rc.limits.Fields && text != "" {
		return tooMany("the form has more values than", rc.limits.Fields)
	}
	sent, err := url.ParseQuery(text)
	if err != nil {
		return &core.Error{Kind: core.ErrMalformed, Op: "read request", Detail: "the form's encoding is broken", Err: err}
	}
	if len(raw) == 0 && len(r.PostForm) > 0 { // somebody has read the form before, or Uploads is mounted twice
		sent = r.PostForm
	}
	in := rc.newIntake(r)
	return in.end(in.texts(sent))
}
