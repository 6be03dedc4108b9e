package nethttp

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"

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
// unavailable. Nothing of such a request is kept.
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
	fault  error
}

// Receiver returns the Receiver of a route whose forms bring files of these
// fields. Faults in the declarations are the error of every Receive.
func (c Config) Receiver(fields ...*core.Field) *Receiver {
	rc := &Receiver{fields: map[string]*core.Field{}, limits: c.Limits.forFields(fields), config: c}
	var faults []error
	for _, f := range fields {
		if rc.fields[f.Name()] != nil {
			faults = append(faults, fmt.Errorf("two fields of this route are named %q", f.Name()))
		}
		rc.fields[f.Name()] = f
		faults = append(faults, f.Fault())
	}
	if err := errors.Join(faults...); err != nil {
		rc.fault = &core.Error{Kind: core.ErrConfig, Op: "uploads", Err: err}
	}
	rc.parser = formdata.NewParser(formdata.Limits{Parts: rc.limits.parts(), HeaderBytes: rc.limits.Header})
	return rc
}

// Receive streams the files of the request's form into their buckets, under the
// transaction of the request's context, and leaves the form with tokens. Requests
// without a form pass, with a bound on their body. After an error the rest of the
// body has not been read, and the connection is set to close.
func (rc *Receiver) Receive(w http.ResponseWriter, r *http.Request) error {
	err := rc.receive(w, r)
	if err != nil {
		w.Header().Set("Connection", "close")
	}
	return err
}

func (rc *Receiver) receive(w http.ResponseWriter, r *http.Request) error {
	if rc.fault != nil {
		return rc.fault
	}
	if len(r.Header["Content-Type"]) > 1 { // whoever else reads the request may go by the other
		return &core.Error{Kind: core.ErrMalformed, Op: "read request", Detail: "the request has two Content-Type headers"}
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Type"))), "multipart/"):
		return rc.multipart(w, r)
	case mediaType == "application/x-www-form-urlencoded" && r.Body != nil:
		return rc.urlencoded(w, r)
	case r.Body != nil:
		r.Body = http.MaxBytesReader(unwrapWriter(w), r.Body, rc.limits.Text)
	}
	return nil
}

// multipart streams a multipart form.
func (rc *Receiver) multipart(w http.ResponseWriter, r *http.Request) error {
	if r.MultipartForm != nil {
		return &core.Error{
			Kind: core.ErrConfig, Op: "read request", Err: errors.New("the form has been read already, its files are lost"),
			Advice: "mount Uploads once, and outside of middleware that reads the form (CSRF, method override)",
		}
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
	if r.ContentLength > rc.limits.Request {
		return tooLarge("the request is larger than", rc.limits.Request)
	}
	body := rc.body(w, r, rc.limits.Request)
	defer body.done()
	form := rc.parser.Read(body, boundary)
	defer form.Close()

	// A transaction of its own within the request's: nothing stays of a refused
	// form, whatever status the refusal is given.
	saving, exchange := rc.config.Begin(r)
	defer exchange.Finish()
	in := &intake{Receiver: rc, r: saving, values: url.Values{}, counts: map[string]int{}}
	if err := in.takeAll(form); err != nil {
		exchange.end(false)
		return errBody(r, err)
	}
	exchange.end(true)
	setForm(r, in.values)
	return nil
}

// urlencoded reads a form that can bring tokens but no files.
func (rc *Receiver) urlencoded(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > rc.limits.Text {
		return tooLarge("the form's text is larger than", rc.limits.Text)
	}
	body := rc.body(w, r, rc.limits.Text)
	defer body.done()
	raw, err := io.ReadAll(body)
	if err != nil {
		return errBody(r, err)
	}
	text := strings.TrimRight(string(raw), "\r\n")
	if n := strings.Count(text, "&") + 1; n > rc.limits.Fields && text != "" {
		return tooMany("the form has more values than", rc.limits.Fields)
	}
	sent, err := url.ParseQuery(text)
	if err != nil {
		return &core.Error{Kind: core.ErrMalformed, Op: "read request", Detail: "the form's encoding is broken", Err: err}
	}
	in := &intake{Receiver: rc, r: r, values: url.Values{}, counts: map[string]int{}}
	for name, values := range sent {
		for _, value := range values {
			if err := in.value(name, value); err != nil {
				return err
			}
		}
	}
	r.PostForm = in.values
	r.Form = withQuery(r, in.values)
	return nil
}

// intake is the form of one request as far as it has been read.
type intake struct {
	*Receiver
	r      *http.Request
	values url.Values
	counts map[string]int // files and tokens by field
	texts  int
	files  int
	text   int64
}

func (in *intake) takeAll(form *formdata.Reader) error {
	for {
		part, err := form.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = in.take(part)
		}
		if err != nil {
			return err
		}
	}
}

func (in *intake) take(part *formdata.Part) error {
	if part.IsFile {
		return in.file(part)
	}
	// One byte more than allowed tells a value that is too long.
	value, err := io.ReadAll(io.LimitReader(part, in.limits.Text-in.text+1))
	if err != nil {
		return err
	}
	// Django counts a field's name, its value and the two signs that join them.
	in.text += int64(len(part.Name) + len(value) + 2)
	if in.text > in.limits.Text {
		return tooLarge("the form's text is larger than", in.limits.Text)
	}
	if in.texts++; in.texts > in.limits.Fields {
		return tooMany("the form has more values than", in.limits.Fields)
	}
	return in.value(part.Name, string(value))
}

// value keeps a text value. Under a file field's name only a valid token is one.
func (in *intake) value(name, value string) error {
	field := in.fields[name]
	if field == nil {
		in.values.Add(name, value)
		return nil
	}
	if value == "" {
		return nil
	}
	token, err := field.Verify(value)
	if err != nil || (token.Subject != "" && token.Subject != core.SubjectFrom(in.r.Context())) {
		return core.Invalid{{
			Field: name, Code: core.ErrToken.Code(),
			Message: "No file was submitted. Check the encoding type on the form.",
		}}
	}
	if err := in.count(field); err != nil {
		return err
	}
	// The subject has been checked here, where it is known; binders don't know it.
	in.values.Add(name, field.Sign(token.Object, ""))
	return nil
}

// file streams one file. An input without a chosen file is none.
func (in *intake) file(part *formdata.Part) error {
	name := core.ClientName(part.FileName)
	if name == "" {
		return nil
	}
	field := in.fields[part.Name]
	if field == nil {
		return core.Invalid{{Field: part.Name, Code: core.ErrInvalid.Code(), Message: "No file is expected here."}}
	}
	if in.files++; in.files > in.limits.Files {
		return tooMany("the form has more files than", in.limits.Files)
	}
	if err := in.count(field); err != nil {
		return err
	}
	object, err := field.Save(in.r.Context(), core.Upload{
		Body: part, Name: name, Limit: max(in.r.ContentLength, 0), Form: in.values,
	})
	if err != nil {
		return err
	}
	in.values.Add(part.Name, field.Sign(object, ""))
	return nil
}

func (in *intake) count(field *core.Field) error {
	if in.counts[field.Name()]++; in.counts[field.Name()] <= field.Config().MaxFiles {
		return nil
	}
	err := tooMany("the most files of this field is", field.Config().MaxFiles)
	err.Field = field.Name()
	return err
}

// setForm makes the request look as if its files had been text all along.
// ParseMultipartForm, and with it every framework's binder, then finds the work
// done.
func setForm(r *http.Request, values url.Values) {
	r.MultipartForm = &multipart.Form{Value: values, File: map[string][]*multipart.FileHeader{}}
	r.PostForm = values
	r.Form = withQuery(r, values)
}

// withQuery returns the body's values followed by the query's, the order of net/http.
func withQuery(r *http.Request, values url.Values) url.Values {
	all := make(url.Values, len(values))
	for name, v := range values {
		all[name] = append([]string(nil), v...)
	}
	for name, v := range r.URL.Query() {
		all[name] = append(all[name], v...)
	}
	return all
}

func tooLarge(what string, limit int64) *core.Error {
	return &core.Error{Kind: core.ErrTooLarge, Op: "read request", Detail: what + " " + formatSize(limit)}
}

func tooMany(what string, limit int) *core.Error {
	return &core.Error{Kind: core.ErrTooMany, Op: "read request", Detail: fmt.Sprintf("%s %d", what, limit)}
}

// patientBody gives the client a limited time for each read, not for the whole
// body: a slow upload goes on as long as it moves.
type patientBody struct {
	body io.Reader
	conn *http.ResponseController
	idle time.Duration
}

// body bounds the request's body in bytes and in time.
func (rc *Receiver) body(w http.ResponseWriter, r *http.Request, limit int64) *patientBody {
	return &patientBody{
		body: http.MaxBytesReader(unwrapWriter(w), r.Body, limit),
		conn: http.NewResponseController(w), idle: rc.limits.Idle,
	}
}

func (b *patientBody) Read(p []byte) (int, error) {
	if b.idle > 0 {
		// Not every writer has deadlines (recorders, HTTP/2 streams of some
		// servers); the caller's own time limits hold there.
		_ = b.conn.SetReadDeadline(time.Now().Add(b.idle))
	}
	return b.body.Read(p)
}

// done lifts the deadline. Left in place, it would end the request's context
// while the handler works.
func (b *patientBody) done() {
	if b.idle > 0 {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
}
