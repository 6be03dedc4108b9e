package nethttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"sync"

	"github.com/gorilla/schema"

	"github.com/filefield/filefield/core"
)

// formDecoder is made on first use and never changed: it caches what it has
// learned about struct types.
var formDecoder = sync.OnceValue(func() *schema.Decoder {
	d := schema.NewDecoder()
	d.SetAliasTag("form")
	d.IgnoreUnknownKeys(true)
	return d
})

const maxBindJSON = defaultText

// Bind fills the struct dst points to from the request: from JSON by its json
// tags, from a form by its form tags (nested fields as "a.b", lists as "a.0").
// Fields the request does not mention stay as they are. File fields take tokens
// only, and a token bound to a subject only under that subject's context
// (core.WithSubject).
//
// Errors: ErrMalformed, ErrType (neither a form nor JSON), ErrTooLarge, and
// Invalid with every value that could not be read.
func Bind(r *http.Request, dst any) error {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	switch mediaType {
	case "application/json":
		err = bindJSON(r, dst)
	case "multipart/form-data", "application/x-www-form-urlencoded":
		err = bindForm(r, dst)
	default:
		err = &core.Error{Kind: core.ErrType, Op: "bind", Detail: "the body is neither a form nor JSON"}
	}
	if err != nil {
		return err
	}
	return claim(r.Context(), reflect.ValueOf(dst), "")
}

func bindJSON(r *http.Request, dst any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBindJSON))
	err := d.Decode(dst)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	var large *http.MaxBytesError
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case core.KindOf(err) == core.ErrToken:
		return err
	case errors.As(err, &large):
		return errBody(r, err)
	case errors.As(err, &wrong):
		return core.Invalid{{Field: wrong.Field, Code: core.ErrInvalid.Code(), Message: "This value is of the wrong kind."}}
	}
	return &core.Error{Kind: core.ErrMalformed, Op: "bind", Detail: "the body is not valid JSON", Err: err}
}

func bindForm(r *http.Request, dst any) error {
	if r.MultipartForm == nil && r.PostForm == nil {
		// Uploads has not run. Reading the form here would put files on disk.
		if err := r.ParseForm(); err != nil {
			return &core.Error{Kind: core.ErrMalformed, Op: "bind", Detail: "the form's encoding is broken", Err: err}
		}
	}
	err := formDecoder().Decode(dst, r.PostForm)
	var several schema.MultiError
	if !errors.As(err, &several) {
		if err != nil {
			return &core.Error{Kind: core.ErrConfig, Op: "bind", Err: err}
		}
		return nil
	}
	var invalid core.Invalid
	for name, one := range several {
		e := core.FieldError{Field: name, Code: core.ErrInvalid.Code(), Message: "This value cannot be read."}
		if core.KindOf(one) == core.ErrToken {
			e.Code, e.Message = core.ErrToken.Code(), "This is not a valid file of this field; choose the file again."
		}
		invalid = append(invalid, e)
	}
	return invalid
}

// Claimer is a value that has to be confirmed with the request's context before
// it may be used: a file field whose token is bound to a subject.
type Claimer interface {
	// Claim confirms the value, or says why the request may not have it.
	Claim(ctx context.Context) error
}

// claim calls Claim on every Claimer in v.
func claim(ctx context.Context, v reflect.Value, name string) error {
	if !v.IsValid() {
		return nil
	}
	if v.CanAddr() && v.Addr().CanInterface() {
		if c, ok := v.Addr().Interface().(Claimer); ok {
			if err := c.Claim(ctx); err != nil {
				return core.Invalid{{Field: name, Code: core.ErrToken.Code(), Message: "This is not a valid file of this field; choose the file again."}}
			}
			return nil
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return claim(ctx, v.Elem(), name)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := claim(ctx, v.Index(i), name); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				if err := claim(ctx, v.Field(i), formName(f)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func formName(f reflect.StructField) string {
	for _, tag := range []string{"form", "json"} {
		if name := f.Tag.Get(tag); name != "" {
			return name
		}
	}
	return f.Name
}
