package nethttp

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/schema"

	"github.com/filefield/filefield/core"
)

// formDecoder is made on first use and never changed: it caches what it has
// learned about struct types.
var formDecoder = sync.OnceValue(func() *schema.Decoder {
	d := schema.NewDecoder()
	d.SetAliasTag("form")
	d.IgnoreUnknownKeys(true)
	d.ZeroEmpty(true)        // a text that was emptied is empty; of file fields, "" is an input without a file
	d.MaxSize(defaultFields) // "list.15999.name" would make 16,000 elements
	return d
})

const maxBindJSON = defaultText

// Bind fills the struct dst points to from the request: from JSON by its json
// tags, from a form by its form tags (nested fields as "a.b", lists of structs as
// "a.0.b", lists of values and files by one name given several times), from the
// query as from a form where there is no body. Of several values for a single one
// the first counts, and the body's before the query's. Fields the request does not
// mention stay as they are. File fields take tokens only, and a
// token bound to a subject only under that subject's context (core.WithSubject).
// For a form, what dst holds must not point back at itself.
//
// Errors: ErrMalformed, ErrType (neither a form nor JSON), ErrTooLarge (JSON of
// more than 2.5 MiB, or than Limits.Text allows behind Uploads), what a file field
// in JSON says (ErrToken, ErrTooMany), Invalid with the values that could not be
// read, and ErrConfig where dst is no pointer to a struct or nobody has read a
// multipart form.
func Bind(r *http.Request, dst any) error {
	mediaType := mediaTypeOf(r)
	var err error
	tag := "form"
	switch {
	case mediaType == "multipart/form-data", mediaType == "application/x-www-form-urlencoded", mediaType == "" && isEmpty(r):
		err = bindForm(r, mediaType, dst)
	case isJSON(mediaType):
		err, tag = bindJSON(r, dst), "json"
	default:
		err = &core.Error{Kind: core.ErrType, Op: "bind", Detail: "the body is neither a form nor JSON"}
	}
	if err != nil {
		return err
	}
	return claimAll(r.Context(), dst, tag)
}

// isEmpty says that a request has no body, and no word about one.
func isEmpty(r *http.Request) bool {
	return r.Header.Get("Content-Type") == "" && withoutBody(r)
}

// Claim confirms every file in a decoded value with the request's context: those
// whose tokens are bound to a subject or pending (core.Field.Claim). Bind does it,
// and Uploads does it before any binder; call it where another decoder filled dst
// and Uploads is not mounted. Errors: Invalid for files the request may not have;
// the storage's kinds.
func Claim(ctx context.Context, dst any) error { return claimAll(ctx, dst, "json") }

func claimAll(ctx context.Context, dst any, tag string) error {
	c := claims{ctx: ctx, tag: tag, seen: map[uintptr]bool{}}
	return c.of(reflect.ValueOf(dst), "")
}

func bindJSON(r *http.Request, dst any) error {
	body := io.Reader(r.Body)
	if r.Context().Value(boundedKey{}) == nil {
		body = http.MaxBytesReader(nil, r.Body, maxBindJSON)
	}
	d := json.NewDecoder(body)
	err := d.Decode(dst)
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errTwoValues
		} else if err == io.EOF {
			return nil
		}
	}
	if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
		return core.Invalid{unfit(memberName(reflect.TypeOf(dst), wrong.Field))}
	}
	if large := new(http.MaxBytesError); errors.As(err, &large) || isTimeout(err) {
		return errBody(r, err)
	}
	if err = BindError(nil, err); core.KindOf(err) != 0 {
		return err
	}
	return notJSON(err)
}

// BindError turns what a framework's binder reports of a request, encoding/json's
// and encoding/xml's errors and those of strconv and time, into this library's:
// Invalid for a value that does not fit its field, ErrMalformed for what is no
// JSON, XML or form. Errors that have a kind stay, and so does what no binder
// reports of this request: an error that wraps another, a number the request did
// not send, an error about JSON where the body is none. Those are the app's own.
// Bind does this by itself. Without a request, nil, every such error counts as a
// binder's.
func BindError(r *http.Request, err error) error {
	if err == nil || core.KindOf(err) != 0 { // a file field says what is wrong
		return err
	}
	switch e := err.(type) { //nolint:errorlint // an error that wraps these is not a binder's
	case *strconv.NumError:
		return misfit(r, e.Num, err)
	case *time.ParseError:
		return misfit(r, e.Value, err)
	case *http.MaxBytesError:
		return errBody(r, err)
	case *json.InvalidUnmarshalError:
		return &core.Error{Kind: core.ErrConfig, Op: "bind", Err: err}
	}
	if r != nil && !isData(mediaTypeOf(r)) {
		return err
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case *json.UnmarshalTypeError:
		return core.Invalid{unfit(e.Field)}
	case *json.SyntaxError:
		return notJSON(err)
	case *xml.SyntaxError, xml.UnmarshalError:
		return &core.Error{Kind: core.ErrMalformed, Op: "bind", Detail: "the body is not valid XML", Err: err}
	}
	if slices.Contains([]error{io.ErrUnexpectedEOF, io.EOF, errTwoValues}, err) {
		return notJSON(err)
	}
	return err
}

// misfit is the fault of a value that is no number, time or truth, with the name it
// came under, where that is known; err itself if the request did not send it.
func misfit(r *http.Request, value string, err error) error {
	if r == nil {
		return core.Invalid{unreadable("", err)}
	}
	var names []string
	for name, values := range r.Form {
		if slices.Contains(values, value) {
			names = append(names, name)
		}
	}
	if len(names) == 0 && r.Form == nil {
		for name, values := range r.URL.Query() {
			if slices.Contains(values, value) {
				names = append(names, name)
			}
		}
	}
	switch {
	case len(names) == 1:
		return core.Invalid{unreadable(names[0], err)}
	case len(names) > 1, isData(mediaTypeOf(r)), inHead(r, value):
		return core.Invalid{unreadable("", err)} // whose it was is not known
	}
	return err
}

// inHead says whether a value is a part of the path, or a header's, which some
// binders read too.
func inHead(r *http.Request, value string) bool {
	if slices.Contains(strings.Split(r.URL.Path, "/"), value) {
		return true
	}
	for _, values := range r.Header {
		if slices.Contains(values, value) {
			return true
		}
	}
	return false
}

func mediaTypeOf(r *http.Request) string {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType
}

func notJSON(err error) error {
	return &core.Error{Kind: core.ErrMalformed, Op: "bind", Detail: "the body is not valid JSON", Err: err}
}

var errTwoValues = errors.New("more than one value")

func unfit(field string) core.FieldError {
	return core.FieldError{Field: field, Code: core.ErrInvalid.Code(), Message: "This value is of the wrong kind."}
}

// memberName turns the path of an encoding/json fault into the name the client
// knows: encoding/json names embedded structs too, which JSON does not show.
func memberName(t reflect.Type, path string) string {
	var shown []string
	for _, name := range strings.Split(path, ".") {
		for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			t = t.Elem()
		}
		if t == nil || t.Kind() != reflect.Struct {
			shown, t = append(shown, name), nil
			continue
		}
		f, found := t.FieldByName(name)
		if !found || !f.Anonymous || f.Tag.Get("json") != "" {
			shown = append(shown, name)
			f, _ = t.FieldByNameFunc(func(field string) bool {
				f, _ := t.FieldByName(field)
				return nameIn("json", f) == name
			})
		}
		t = f.Type
	}
	return strings.Join(shown, ".")
}

func bindForm(r *http.Request, mediaType string, dst any) error {
	if r.MultipartForm == nil && mediaType == "multipart/form-data" {
		// Reading the form here would put files on disk.
		return &core.Error{
			Kind: core.ErrConfig, Op: "bind", Err: errors.New("nobody has read the multipart form"),
			Advice: "mount Uploads on this route; without fields, where its forms bring no files",
		}
	}
	if r.PostForm == nil || r.Form == nil {
		if err := r.ParseForm(); err != nil {
			if large := new(http.MaxBytesError); errors.As(err, &large) {
				return errBody(r, err)
			}
			return &core.Error{Kind: core.ErrMalformed, Op: "bind", Detail: "the form's encoding is broken", Err: err}
		}
	}
	sent := r.Form // with the query, as net/http has it for this type
	if mediaType == "multipart/form-data" {
		sent = r.PostForm
	}
	var invalid core.Invalid
	err := formDecoder().Decode(dst, firstOnly(reflect.TypeOf(dst), sent))
	if several := schema.MultiError(nil); errors.As(err, &several) {
		for name, one := range several {
			invalid = append(invalid, unreadable(name, one))
		}
	} else if err != nil {
		return &core.Error{Kind: core.ErrConfig, Op: "bind", Err: err}
	}
	invalid = append(invalid, bindLists(reflect.ValueOf(dst), "", sent)...)
	if len(invalid) == 0 {
		return nil
	}
	slices.SortFunc(invalid, func(a, b core.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return invalid
}

// unreadable says why a value of the form could not be read.
func unreadable(name string, err error) core.FieldError {
	var conversion schema.ConversionError // does not unwrap
	if errors.As(err, &conversion) {
		err = conversion.Err
	}
	if core.KindOf(err) == core.ErrToken {
		return core.FieldError{Field: name, Code: core.ErrToken.Code(), Message: badToken}
	}
	return core.FieldError{Field: name, Code: core.ErrInvalid.Code(), Message: "This value cannot be read."}
}

const badToken = "This is not a valid file of this field; choose the file again."

// tokenMessage says what is wrong with a token, where that is known.
func tokenMessage(err error) string {
	var known *core.Error
	if errors.As(err, &known) && known.Detail != "" {
		return known.Detail
	}
	return badToken
}

// Claimer is a value that has to be confirmed with the request's context before
// it may be used: a file field whose token is bound to a subject.
type Claimer interface {
	// Claim confirms the value, or says why the request may not have it.
	Claim(ctx context.Context) error
}

// claims calls Claim on every Claimer in a value. Names of fields are those of
// the tag.
type claims struct {
	ctx  context.Context
	tag  string
	seen map[uintptr]bool // pointers: models point back at each other
}

func (c *claims) of(v reflect.Value, name string) error {
	if !v.IsValid() {
		return nil
	}
	if v.CanAddr() && v.Addr().CanInterface() {
		if claimer, ok := v.Addr().Interface().(Claimer); ok {
			err := claimer.Claim(c.ctx)
			if core.KindOf(err) == core.ErrToken {
				return core.Invalid{{Field: name, Code: core.ErrToken.Code(), Message: tokenMessage(err)}}
			}
			return err
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if c.seen[v.Pointer()] {
			return nil
		}
		c.seen[v.Pointer()] = true
		return c.of(v.Elem(), name)
	case reflect.Interface:
		return c.of(v.Elem(), name)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			path := name // several files come under one name
			if !readsText(v.Type().Elem()) {
				path = join(name, strconv.Itoa(i))
			}
			if err := c.of(v.Index(i), path); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			// Decoders fill what an embedded struct exports, exported itself or not.
			f := v.Type().Field(i)
			if !f.IsExported() && !f.Anonymous {
				continue
			}
			path := name
			if !f.Anonymous || f.Tag.Get(c.tag) != "" {
				path = join(name, nameIn(c.tag, f))
			}
			if err := c.of(v.Field(i), path); err != nil {
				return err
			}
		}
	}
	return nil
}

// join makes the path of a name within another.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func nameIn(tag string, f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get(tag), ","); name != "" {
		return name
	}
	return f.Name
}
