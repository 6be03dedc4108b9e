package app

import (
	"net/http"
	"strings"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// field is set once, before the first request.
var field *core.Field

// Declare declares the one field, of files that lie in the bucket. It is called
// once, before the first request.
func Declare(store *core.Store, bucket string) *core.Field {
	field = store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: core.Unlimited, AllowEmpty: true})
	return field
}

// Uploaded is the field as a type.
type Uploaded struct{}

// FileField returns the declared field.
func (Uploaded) FileField() *core.Field { return field }

// Form is what a request brings.
type Form struct {
	File fieldtype.File[Uploaded] `form:"file"`
}

// Stored is the answer to an upload.
type Stored struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Type string `json:"type"`
}

// Answer returns what is said of the uploaded file.
func (f Form) Answer() (Stored, error) {
	if f.File.IsZero() {
		return Stored{}, core.Invalid{{Field: "file", Code: "required", Message: "This field is required."}}
	}
	return Stored{Key: f.File.Key().String(), Size: f.File.Size(), Type: f.File.Type()}, nil
}

// Find returns the file that a request's path names.
func Find(r *http.Request) (core.Object, error) {
	key, err := core.ParseKey(strings.TrimPrefix(r.URL.Path, "/files/"))
	if err != nil {
		return core.Object{}, &core.Error{Kind: core.ErrNotFound, Op: "find file", Err: err}
	}
	return core.Object{Key: key}, nil
}
