package fieldtype

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/filefield/filefield/core"
)

// Spec is a file field as a type: an empty struct whose method returns the
// declared field. FileField is called whenever the field is needed, so the
// variable it returns may be set after package initialisation.
type Spec interface {
	FileField() *core.Field
}

// File is a file of the field S: what is known about a stored object, or no
// file, which is its zero value. Its unset state is NULL in a column, null in
// JSON and "" in text. Not safe for concurrent use while it is being set.
type File[S Spec] struct {
	object core.Object
	// subject is who alone may use the token this file came from, until Claim
	// has seen that it is they.
	subject string
}

// errNoFile is what reading a file field without a file gives.
var errNoFile = errors.New("the field has no file")

// Of returns the File that stands for an object of the field S, as Save returned
// it.
func Of[S Spec](object core.Object) File[S] { return File[S]{object: object} }

// field returns the declared field.
func (f File[S]) field() *core.Field {
	var s S
	return s.FileField()
}

// IsZero says that there is no file.
func (f File[S]) IsZero() bool { return f.object.Key.IsZero() }

// Object returns all that is known about the file.
func (f File[S]) Object() core.Object { return f.object }

// Key returns the object's key.
func (f File[S]) Key() core.Key { return f.object.Key }

// Name returns the file name its sender gave it.
func (f File[S]) Name() string { return f.object.Name }

// Size returns the length in bytes. Where only the key is stored (ColumnKey), it
// is 0 until Stat is called.
func (f File[S]) Size() int64 { return f.object.Size }

// Type returns the media type, by content.
func (f File[S]) Type() string { return f.object.Type }

// Width and Height return an image's size in pixels, or 0.
func (f File[S]) Width() int { return f.object.Width }

// Height returns an image's height in pixels, or 0.
func (f File[S]) Height() int { return f.object.Height }

// String returns the original file name, for templates and logs.
func (f File[S]) String() string { return f.object.Name }

// LogValue logs what identifies the file; never a token or URL.
func (f File[S]) LogValue() slog.Value {
	if f.IsZero() {
		return slog.StringValue("")
	}
	return slog.GroupValue(
		slog.String("bucket", f.object.Bucket), slog.String("key", f.object.Key.String()),
		slog.Int64("size", f.object.Size), slog.String("type", f.object.Type))
}

// URL returns where a browser gets the file; "" for no file. It asks storage
// nothing.
func (f File[S]) URL(ctx context.Context) (string, error) {
	if f.IsZero() {
		return "", nil
	}
	return f.field().URL(ctx, f.object.Key, core.URLOptions{})
}

// DownloadURL is URL for a link that saves the file under its original name.
func (f File[S]) DownloadURL(ctx context.Context) (string, error) {
	if f.IsZero() {
		return "", nil
	}
	return f.field().URL(ctx, f.object.Key, core.URLOptions{Download: true, Name: f.object.Name})
}

// Open reads the file. It must be closed. ErrNotFound for no file.
func (f File[S]) Open(ctx context.Context) (*core.File, error) {
	if f.IsZero() {
		return nil, f.missing("open")
	}
	return f.field().Open(ctx, f.object.Key, core.OpenOptions{})
}

// Stat asks storage about the file and keeps the answer.
func (f *File[S]) Stat(ctx context.Context) error {
	if f.IsZero() {
		return f.missing("stat")
	}
	o, err := f.field().Bucket().Stat(ctx, f.object.Key)
	if err == nil {
		f.object = o
	}
	return err
}

// Delete removes the object and makes f no file. Under a core.Txn the object
// goes when the transaction commits. Deleting no file does nothing.
func (f *File[S]) Delete(ctx context.Context) error {
	if f.IsZero() {
		return nil
	}
	if err := f.field().Delete(ctx, f.object.Key); err != nil {
		return err
	}
	*f = File[S]{}
	return nil
}

func (f File[S]) missing(op string) error {
	return &core.Error{Kind: core.ErrNotFound, Op: op, Field: f.field().Name(), Err: errNoFile}
}

// Token returns the token that stands for this file in a form: for a hidden
// input that keeps a file when the form is shown again. It is bound to the
// subject ctx names (core.WithSubject), if any. "" for no file.
func (f File[S]) Token(ctx context.Context) string {
	if f.IsZero() {
		return ""
	}
	return f.field().Sign(f.object, core.SubjectFrom(ctx))
}

// Claim confirms a file whose token was bound to a subject: ErrToken if ctx
// names another. nethttp.Bind calls it; with another binder, call it before the
// file is stored or shown. A file that needs no confirmation is left alone.
func (f *File[S]) Claim(ctx context.Context) error {
	if f.subject == "" {
		return nil
	}
	if f.subject != core.SubjectFrom(ctx) {
		*f = File[S]{}
		return &core.Error{Kind: core.ErrToken, Op: "claim", Field: f.field().Name(), Detail: "this is not a valid file of this field; choose the file again"}
	}
	f.subject = ""
	return nil
}

// UnmarshalParam takes a token, or "" for no file. It is what Echo's and Gin's
// binders call.
func (f *File[S]) UnmarshalParam(token string) error {
	if token == "" {
		*f = File[S]{}
		return nil
	}
	t, err := f.field().Verify(token)
	if err != nil {
		return err
	}
	*f = File[S]{object: t.Object, subject: t.Subject}
	return nil
}

// UnmarshalText is UnmarshalParam for binders that know encoding.TextUnmarshaler.
func (f *File[S]) UnmarshalText(token []byte) error { return f.UnmarshalParam(string(token)) }

// UnmarshalJSON takes a token as a string, or null or "" for no file. The object
// MarshalJSON writes is refused: it is no proof of anything.
func (f *File[S]) UnmarshalJSON(data []byte) error {
	var token *string
	if err := json.Unmarshal(data, &token); err != nil {
		return &core.Error{Kind: core.ErrToken, Op: "unmarshal", Field: f.field().Name(), Detail: "a file is given by its token, a string"}
	}
	if token == nil {
		token = new(string)
	}
	return f.UnmarshalParam(*token)
}

// shown is a file in a response.
type shown struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	URL    string `json:"url"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}

// MarshalJSON writes {"name","type","size","url"} and, for an image, "width" and
// "height"; null for no file. The key is not shown. It asks storage nothing.
func (f File[S]) MarshalJSON() ([]byte, error) {
	if f.IsZero() {
		return []byte("null"), nil
	}
	u, err := f.URL(context.Background()) // signing does not block
	if err != nil {
		return nil, err
	}
	o := f.object
	return json.Marshal(shown{Name: o.Name, Type: o.Type, Size: o.Size, URL: u, Width: o.Width, Height: o.Height})
}

// Info is what validation rules see of a File.
type Info struct {
	Name          string
	Size          int64
	Type          string
	Width, Height int
}

// ValidatorValue makes go-playground/validator see nil for no file, so that
// required and omitempty mean what they say, and an Info otherwise.
func (f File[S]) ValidatorValue() any {
	if f.IsZero() {
		return nil
	}
	o := f.object
	return Info{Name: o.Name, Size: o.Size, Type: o.Type, Width: o.Width, Height: o.Height}
}

// GormDataType gives GORM a text column. Without it GORM would look into the
// struct.
func (File[S]) GormDataType() string { return "text" }

// Value is the column's value: NULL for no file, else the field's form of it. A
// file whose subject was not confirmed (see Claim) is refused.
func (f File[S]) Value() (driver.Value, error) {
	if f.IsZero() {
		return nil, nil
	}
	if f.subject != "" {
		return nil, &core.Error{
			Kind: core.ErrToken, Op: "store file", Field: f.field().Name(),
			Advice: "the token is bound to a subject: call Claim with the request's context first, as nethttp.Bind does",
		}
	}
	if f.field().Config().Column == core.ColumnKey {
		return f.object.Key.String(), nil
	}
	return encodeDocument(f.object)
}

// Scan reads a column in either form. It refuses what the field cannot have
// written: another bucket, an unknown version, a value of more than 64 KiB, a
// key that is not safe to address.
func (f *File[S]) Scan(src any) error {
	var text string
	switch v := src.(type) {
	case nil:
	case string:
		text = v
	case []byte:
		text = string(v)
	default:
		return f.badColumn(errors.New("the column holds neither text nor bytes"))
	}
	if text == "" {
		*f = File[S]{}
		return nil
	}
	o, err := decodeColumn(text, f.field().Bucket().Name())
	if err != nil {
		return f.badColumn(err)
	}
	*f = File[S]{object: o}
	return nil
}

func (f *File[S]) badColumn(err error) error {
	return &core.Error{
		Kind: core.ErrInvalid, Op: "scan column", Field: f.field().Name(), Err: err,
		Advice: "the column was not written by this field",
	}
}
