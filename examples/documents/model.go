package documents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// The buckets of the app. Anyone may read the objects of BucketCovers.
const (
	BucketDocuments = "documents"
	BucketCovers    = "covers"
)

const (
	acceptedTypes = core.Images + " application/pdf text/plain"
	maxTitle      = 200 // characters
)

// The file fields. DeclareFields sets them once, while the program starts.
var file, cover, extra *core.Field

// DeclareFields declares the model's file fields on store and returns them, for
// the routes whose forms bring such files. Call it once, before anything else of
// this package is used.
func DeclareFields(store *core.Store) []*core.Field {
	file = store.Field(core.FieldConfig{
		Name: "file", Model: "document", Bucket: BucketDocuments,
		UploadTo: core.Strftime("%Y/%m", core.RandomName),
		MaxSize:  10 * core.MiB, Accept: acceptedTypes, Required: true,
	})
	cover = store.Field(core.FieldConfig{
		Name: "cover", Model: "document", Bucket: BucketCovers,
		MaxSize: 2 * core.MiB, Accept: "image/png image/jpeg", MaxWidth: 4096, MaxHeight: 4096,
		// Names are random, and never given twice.
		Options: core.ObjectOptions{CacheControl: "public, max-age=86400, immutable"},
	})
	extra = store.Field(core.FieldConfig{
		Name: "extra", Model: "document", Bucket: BucketDocuments,
		UploadTo: core.Prefix("extra", core.RandomName),
		MaxSize:  1 * core.MiB, MaxFiles: 3, Accept: acceptedTypes,
	})
	return []*core.Field{file, cover, extra}
}

// FileField is the field "file" as a type, for the model.
type FileField struct{}

// CoverField is the field "cover".
type CoverField struct{}

// ExtraField is the field "extra".
type ExtraField struct{}

// FileField returns the declared field.
func (FileField) FileField() *core.Field { return file }

// FileField returns the declared field.
func (CoverField) FileField() *core.Field { return cover }

// FileField returns the declared field.
func (ExtraField) FileField() *core.Field { return extra }

// Form is the part of a document that a request may set, by a form or by JSON.
type Form struct {
	Title string                      `form:"title" json:"title"`
	File  fieldtype.File[FileField]   `form:"file"  json:"file"`
	Cover fieldtype.File[CoverField]  `form:"cover" json:"cover"`
	Extra fieldtype.Files[ExtraField] `form:"extra" json:"extra"`
}

// Document is a row of the table and, in JSON, an answer of the app. ID and
// version are not in Form, so that no request can choose them.
type Document struct {
	ID int64 `json:"id"`
	Form
	version int64
}

// Path is where the document is found in the app.
func (d Document) Path() string { return "/documents/" + strconv.FormatInt(d.ID, 10) }

// ID reads the id in a path. It returns 0, which no document has, for what is
// no id.
func ID(s string) int64 {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// ParsePage reads which page of the list a query asks for: limit documents, at
// least 1 and at most 100, behind the id after.
func ParsePage(query url.Values) (after int64, limit int, err error) {
	after, err1 := strconv.ParseInt(cmp.Or(query.Get("after"), "0"), 10, 64)
	limit, err2 := strconv.Atoi(cmp.Or(query.Get("limit"), "20"))
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, &core.Error{Kind: core.ErrInvalid, Op: "list documents", Detail: "after and limit are whole numbers", Err: err}
	}
	return after, min(max(limit, 1), 100), nil
}

// Patch is what a change may bring. It starts as the document's Form, so that
// what a request does not mention stays. In a form, the library reads the box
// "cover-clear"; for JSON, where null clears too, ClearCover does.
type Patch struct {
	Form
	ClearCover bool `form:"-"`
}

// UnmarshalJSON reads the form's members, and "cover-clear": true, or "on" as a
// form says it.
func (p *Patch) UnmarshalJSON(data []byte) error {
	var box struct {
		Clear any `json:"cover-clear"`
	}
	if err := json.Unmarshal(data, &box); err != nil {
		return err
	}
	p.ClearCover = box.Clear == true || box.Clear == "on"
	return json.Unmarshal(data, &p.Form)
}

// Result returns the values after the change of a document that held before.
func (p Patch) Result(before Form) (Form, error) {
	if !p.ClearCover {
		return p.Form, nil
	}
	if !p.Cover.IsZero() && p.Cover.Key() != before.Cover.Key() {
		return Form{}, core.Invalid{{
			Field: "cover", Code: "contradiction",
			Message: "Please either submit a file or check the clear checkbox, not both.",
		}}
	}
	p.Cover = fieldtype.File[CoverField]{}
	return p.Form, nil
}

// Validate tidies the values and reports every one that breaks a rule, as
// core.Invalid, in the words of Django's forms.
func (f *Form) Validate() error {
	f.Title = strings.TrimSpace(f.Title)
	f.Extra = slices.DeleteFunc(f.Extra, fieldtype.File[ExtraField].IsZero) // inputs without a file
	var faults core.Invalid
	switch {
	case f.Title == "":
		faults = append(faults, required("title"))
	case !utf8.ValidString(f.Title) || strings.ContainsRune(f.Title, 0):
		faults = append(faults, core.FieldError{Field: "title", Code: "invalid", Message: "Null characters are not allowed."})
	case utf8.RuneCountInString(f.Title) > maxTitle:
		faults = append(faults, core.FieldError{Field: "title", Code: "max_length", Message: "Ensure this value has at most 200 characters."})
	}
	if f.File.IsZero() {
		faults = append(faults, required("file"))
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

func required(field string) core.FieldError {
	return core.FieldError{Field: field, Code: "required", Message: "This field is required."}
}

// DeleteFiles removes the form's objects that kept does not use. Under a file
// transaction they go when it commits, so that a failed request loses nothing.
func (f Form) DeleteFiles(ctx context.Context, kept Form) error {
	var errs []error
	if f.File.Key() != kept.File.Key() {
		errs = append(errs, f.File.Delete(ctx))
	}
	if f.Cover.Key() != kept.Cover.Key() {
		errs = append(errs, f.Cover.Delete(ctx))
	}
	for _, old := range f.Extra {
		same := func(one fieldtype.File[ExtraField]) bool { return one.Key() == old.Key() }
		if !slices.ContainsFunc(kept.Extra, same) {
			errs = append(errs, old.Delete(ctx))
		}
	}
	return errors.Join(errs...)
}
