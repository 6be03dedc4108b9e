package fieldtype

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/filefield/filefield/core"
)

// Spec is a file field as a type: an empty struct whose method returns the
// declared field. FileField is called whenever the field is needed, so the
// variable it returns may be set after package initialisation. Where it returns
// nil, or a field with faults, every use of a file that can fail is ErrConfig.
type Spec interface {
	FileField() *core.Field
}

// File is a file of the field S: what is known about a stored object, or no
// file, which is its zero value. Its unset state is NULL in a column, null in
// JSON and "" in text. Not safe for concurrent use while it is being set.
//
// A file whose token was bound to a subject, or is pending (core.Field.Keep), is
// of no use before Claim has confirmed it: it is ErrToken to store, show, open or
// delete it. The Uploads middleware does that before any binder sees the token.
type File[S Spec] struct {
	// The tags keep form decoders that look into structs from addressing what is
	// in here by the names a client sends ("avatar.object.modified").
	object core.Object `form:"-" schema:"-"`
	// token is what the file came from, until Claim has taken it: one that is bound
	// to a subject or pending.
	token *core.Token `form:"-" schema:"-"`
}

// errNoFile is what reading a file field without a file gives.
var errNoFile = errors.New("the field has no file")

// Of returns the File that stands for an object of the field S, as Save returned
// it. An object of another bucket makes a File that every use refuses with
// ErrConfig.
func Of[S Spec](object core.Object) File[S] { return File[S]{object: object} }

// declared returns the field that S declares, or what is wrong with it.
func declared[S Spec](op string) (*core.Field, error) {
	var s S
	var field *core.Field
	if any(s) != nil { // an interface as S has no method to call
		field = s.FileField()
	}
	if field == nil {
		return nil, &core.Error{
			Kind: core.ErrConfig, Op: op, Err: fmt.Errorf("FileField of %s returned nil", reflect.TypeFor[S]()),
			Advice: "declare the field with Store.Field before files of it are used",
		}
	}
	return field, field.Fault()
}

// stored returns the field of a file that may be used: there is one, its subject
// was confirmed, and it lies where the field's files do.
func (f File[S]) stored(op string) (*core.Field, error) {
	field, err := declared[S](op)
	if err != nil {
		return nil, err
	}
	elsewhere := f.object.Bucket != "" && f.object.Bucket != field.Bucket().Name()
	if f.IsZero() || f.unclaimed() || elsewhere {
		return nil, f.unusable(op, field)
	}
	return field, nil
}

// unusable says why stored refuses the file.
func (f File[S]) unusable(op string, field *core.Field) error {
	e := &core.Error{Op: op, Field: field.Name()}
	switch {
	case f.IsZero():
		e.Kind, e.Err = core.ErrNotFound, errNoFile
	case f.unclaimed():
		e.Kind, e.Advice = core.ErrToken, "the token has to be claimed first: mount Uploads on the route, or call Claim with the request's context"
	default:
		e.Kind, e.Err = core.ErrConfig, fmt.Errorf("the file lies in bucket %q, the field's files in %q", f.object.Bucket, field.Bucket().Name())
	}
	return e
}

// IsZero says that there is no file.
func (f File[S]) IsZero() bool { return f.object.Key.IsZero() }

// Object returns all that is known about the file; nothing of one that has to be
// claimed first (see Claim). A file read from a column has
// what the column keeps: no ETag, version, time or metadata until Stat.
func (f File[S]) Object() core.Object {
	if f.unclaimed() {
		return core.Object{}
	}
	return f.object
}

func (f File[S]) unclaimed() bool { return f.token != nil }

// Key returns the object's key; none of a file that has to be claimed first.
func (f File[S]) Key() core.Key { return f.Object().Key }

// Name returns the file name its sender gave it.
func (f File[S]) Name() string { return f.object.Name }

// Size returns the length in bytes. Where only the key is stored (ColumnKey), it
// is 0 until Stat is called.
func (f File[S]) Size() int64 { return f.object.Size }

// Type returns the media type, by content.
func (f File[S]) Type() string { return f.object.Type }

// Width returns an image's width in pixels as it is looked at, which for one that
// its orientation turns is the stored height (core.Object.Displayed), or 0.
func (f File[S]) Width() int {
	w, _ := f.object.Displayed()
	return w
}

// Height returns an image's height in pixels as it is looked at, or 0: see Width.
func (f File[S]) Height() int {
	_, h := f.object.Displayed()
	return h
}

// Equal tells whether both stand for the same object, or neither for any. What
// else is known of it does not count.
func (f File[S]) Equal(other File[S]) bool { return f.object.Key == other.object.Key }

// String returns the original file name, for templates and logs.
func (f File[S]) String() string { return f.object.Name }

// LogValue logs what identifies the file; never a token or URL. It is for a File
// as an attribute's value: a JSON handler writes a struct that holds a File as
// encoding/json does, with the file's URL.
func (f File[S]) LogValue() slog.Value {
	if f.IsZero() {
		return slog.StringValue("")
	}
	return slog.GroupValue(
		slog.String("bucket", f.object.Bucket), slog.String("key", f.object.Key.String()),
		slog.Int64("size", f.object.Size), slog.String("type", f.object.Type))
}

// Href is URL for templates, which have no context to give: <img
// src="{{.Avatar.Href}}">. Signing does not block.
func (f File[S]) Href() (string, error) { return f.URL(context.Background()) }

// MarshalText writes the URL, as responses in XML, CSV or YAML show a file; empty
// for no file. As with JSON, it is not what UnmarshalText takes, which is a token.
func (f File[S]) MarshalText() ([]byte, error) {
	u, err := f.Href()
	return []byte(u), err
}

// URL returns where a browser gets the file. For no file it is the field's
// DefaultURL, or "". It asks storage nothing.
func (f File[S]) URL(ctx context.Context) (string, error) {
	return f.url(ctx, core.URLOptions{})
}

// DownloadURL is URL for a link that saves the file under its original name; ""
// for no file.
func (f File[S]) DownloadURL(ctx context.Context) (string, error) {
	if f.IsZero() {
		return "", nil
	}
	return f.url(ctx, core.URLOptions{Disposition: core.Attachment, Name: f.object.Name})
}

func (f File[S]) url(ctx context.Context, options core.URLOptions) (string, error) {
	if f.IsZero() {
		return defaultURL[S](), nil
	}
	field, err := f.stored("url")
	if err != nil {
		return "", err
	}
	if field.Config().Links {
		o := f.object
		o.Bucket = field.Bucket().Name() // Of may not have been told
		return field.Link(o, core.LinkOptions{Subject: core.SubjectFrom(ctx), Download: options.Disposition == core.Attachment})
	}
	return field.URL(ctx, f.object.Key, options)
}

// Open reads the file. It must be closed. ErrNotFound for no file.
func (f File[S]) Open(ctx context.Context) (*core.File, error) {
	field, err := f.stored("open")
	if err != nil {
		return nil, err
	}
	return field.Open(ctx, f.object.Key, core.OpenOptions{})
}

// Stat asks storage about the file and keeps the answer; a name that storage
// does not know stays, and so do an image's dimensions if its size is the same.
// ErrNotFound for no file.
func (f *File[S]) Stat(ctx context.Context) error {
	field, err := f.stored("stat")
	if err != nil {
		return err
	}
	o, err := field.Stat(ctx, f.object.Key)
	if err != nil {
		return err
	}
	if f.object.Name != "" && o.Name == o.Key.Base() {
		o.Name = f.object.Name
	}
	if o.Width == 0 && o.Size == f.object.Size { // another program's, which a migration measured
		o.Width, o.Height, o.Orientation, o.Blurhash = f.object.Width, f.object.Height, f.object.Orientation, f.object.Blurhash
	}
	f.object = o
	return nil
}

// Delete removes the object and makes f no file. Under a core.Txn the object
// goes when the transaction commits. Deleting no file does nothing.
func (f *File[S]) Delete(ctx context.Context) error {
	if f.IsZero() {
		return nil
	}
	field, err := f.stored("delete")
	if err != nil {
		return err
	}
	if err := field.Delete(ctx, f.object.Key); err != nil {
		return err
	}
	*f = File[S]{}
	return nil
}

// Token returns the token that stands for this file in a form: for a hidden
// input that keeps a file when the form is shown again. It is bound to the
// subject ctx names (core.WithSubject), if any. "" for no file, and for one that
// must not be used (see Claim).
func (f File[S]) Token(ctx context.Context) string {
	field, err := f.stored("sign")
	if err != nil {
		return ""
	}
	o := f.object
	o.Bucket = field.Bucket().Name() // Of may not have been told
	return field.Sign(o, core.SubjectFrom(ctx))
}

// Keep lets this request's file outlive it without a row, and returns the token
// for the hidden input of a form that is shown again: see core.Field.Keep. ""
// for no file; ErrToken for a file of another subject than ctx names.
func (f File[S]) Keep(ctx context.Context) (string, error) {
	if f.IsZero() {
		return "", nil
	}
	field, err := declared[S]("keep")
	if err != nil {
		return "", err
	}
	subject := core.SubjectFrom(ctx)
	switch {
	case f.token == nil:
	case f.token.Subject != "" && f.token.Subject != subject:
		return "", badToken(field, "keep")
	case f.token.Pending: // not claimed, so still there for the next time
		return field.SignAgain(*f.token, subject), nil
	}
	o := f.object
	o.Bucket = field.Bucket().Name() // Of may not have been told
	return field.Keep(ctx, o)
}

// Claim confirms a file whose token is bound to a subject or pending: see
// core.Field.Claim. With ErrToken it is no file any more. nethttp.Bind calls it,
// and the Uploads middleware claims what a request brings before binders see it;
// elsewhere, call it before the file is used. A file that needs no confirmation
// is left alone.
func (f *File[S]) Claim(ctx context.Context) error {
	if f == nil || !f.unclaimed() { // nil: a struct embeds a pointer that is not set
		return nil
	}
	field, err := declared[S]("claim")
	if err != nil {
		return err
	}
	object, err := field.ClaimObject(ctx, *f.token)
	switch {
	case err == nil:
		*f = File[S]{object: object}
	case core.KindOf(err) == core.ErrToken:
		*f = File[S]{}
	}
	return err
}

func badToken(field *core.Field, op string) error {
	return &core.Error{Kind: core.ErrToken, Op: op, Field: field.Name(), Detail: "This is not a valid file of this field; choose the file again."}
}

// UnmarshalParam takes a token, or "" for no file. It is what Echo's and Gin's
// binders call. Anything else is ErrToken and leaves f unchanged.
func (f *File[S]) UnmarshalParam(token string) error {
	if token == "" {
		*f = File[S]{}
		return nil
	}
	field, err := declared[S]("unmarshal")
	if err != nil {
		return err
	}
	t, err := field.Verify(token)
	if err != nil {
		return err
	}
	*f = File[S]{object: t.Object}
	if t.Subject != "" || t.Pending {
		f.token = &t
	}
	return nil
}

// UnmarshalText is UnmarshalParam for binders that know encoding.TextUnmarshaler.
func (f *File[S]) UnmarshalText(token []byte) error { return f.UnmarshalParam(string(token)) }

// UnmarshalJSON takes a token as a string, or null or "" for no file. The object
// MarshalJSON writes is refused: it is no proof of anything. Errors as
// UnmarshalParam.
func (f *File[S]) UnmarshalJSON(data []byte) error {
	var token *string
	if json.Unmarshal(data, &token) != nil {
		field, err := declared[S]("unmarshal")
		if err != nil {
			return err
		}
		return &core.Error{Kind: core.ErrToken, Op: "unmarshal", Field: field.Name(), Detail: "a file is given by its token, a string"}
	}
	if token == nil {
		token = new(string)
	}
	return f.UnmarshalParam(*token)
}

// defaultURL is what stands in for no file; a field with faults has none.
func defaultURL[S Spec]() string {
	field, err := declared[S]("url")
	if err != nil {
		return ""
	}
	return field.Config().DefaultURL
}

// shownLink is a file in a response, as JSONLink shows it.
type shownLink struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// MarshalJSON writes the shape the field declares (core.JSONShape): by default
// {"name","type","size","url"} and, for an image, "width" and "height" as it is
// looked at and "blurhash" if it has one. No file is null, unless the field has a
// DefaultURL: then it is that URL, with no name. The key is not shown. It asks
// storage nothing.
func (f File[S]) MarshalJSON() ([]byte, error) {
	u, err := f.Href()
	if err != nil {
		return nil, err
	}
	if u == "" {
		return []byte("null"), nil
	}
	shape := core.JSONObject
	if field, err := declared[S]("show"); err == nil {
		shape = field.Config().JSON
	}
	o := f.object
	switch shape {
	case core.JSONURL:
		return json.Marshal(u)
	case core.JSONLink:
		return json.Marshal(shownLink{Name: o.Name, URL: u})
	}
	return appendShown(make([]byte, 0, 128+len(o.Name)+len(o.Type)+len(u)+5*strings.Count(u, "&")+len(o.Blurhash)), u, f), nil
}

// Info is what validation rules see of a File: what is known of it without asking
// storage. Where only the key is stored (ColumnKey), that is the name alone until
// Stat.
type Info struct {
	// Name is the file name its sender gave it, or the key's last part; never "".
	Name string
	// Size is the length in bytes.
	Size int64
	// Type is the media type, by content.
	Type string
	// Width and Height are an image's pixels as it is looked at, or 0.
	Width, Height int
}

// ValidatorValue makes go-playground/validator see an Info, and for no file a nil
// *Info: so required, omitempty and required_without mean what they say, and rules
// that are called for nil can let it pass.
func (f File[S]) ValidatorValue() any {
	if f.IsZero() {
		return (*Info)(nil)
	}
	o := f.object
	if o.Name == "" {
		o.Name = o.Key.Base() // an Info of zeros would be no file to required
	}
	return Info{Name: o.Name, Size: o.Size, Type: o.Type, Width: f.Width(), Height: f.Height()}
}

// GormDataType gives GORM a text column, or one of jsonb where the field declares
// core.ColumnJSONB. Without it GORM would look into the struct. A tag of the model
// (gorm:"type:varchar(100)") goes before it.
func (File[S]) GormDataType() string { return columnType[S]() }

// Value is the column's value: NULL for no file, else the field's form of it (a
// document also where the key itself looks like JSON), as a string. ErrToken for a
// file whose subject was not confirmed (see Claim). One allocation.
func (f File[S]) Value() (driver.Value, error) {
	if f.IsZero() {
		return nil, nil
	}
	field, err := f.stored("store file")
	if err != nil {
		return nil, err
	}
	value, err := encodeColumn(f.object, field.Config().Column)
	if err != nil {
		return nil, badValue(field, err)
	}
	return value, nil
}

// Scan reads a column in either form. It refuses with ErrInvalid what the field
// cannot have written: another bucket, an unknown version, a value of more than
// 64 KiB, a key that is not safe to address. On error f is unchanged. One
// allocation, and none of src is kept.
func (f *File[S]) Scan(src any) error {
	field, err := declared[S]("scan column")
	if err != nil {
		return err
	}
	var o core.Object
	switch v := src.(type) {
	case nil:
	case string:
		if v != "" {
			o, err = decodeColumn(v, field.Bucket().Name())
		}
	case []byte:
		if len(v) > 0 {
			o, err = decodeColumn(v, field.Bucket().Name())
		}
	default:
		err = errNoText(src)
	}
	if err != nil {
		return badColumn(field, err)
	}
	*f = File[S]{object: o}
	return nil
}

func errNoText(src any) error {
	return fmt.Errorf("the column holds a %T, neither text nor bytes", src)
}

// columnType is the type of column a field wants.
func columnType[S Spec]() string {
	if field, err := declared[S]("column type"); err == nil && field.Config().Column == core.ColumnJSONB {
		return "jsonb"
	}
	return "text"
}

// MarshalBinary writes the file as a column's document, for caches that are the
// app's own (gob, Redis, …); empty for no file. ErrToken for a file whose subject
// was not confirmed (see Claim).
func (f File[S]) MarshalBinary() ([]byte, error) {
	if f.IsZero() {
		return []byte{}, nil
	}
	field, err := f.stored("store file")
	if err != nil {
		return nil, err
	}
	b := appendDocument(nil, f.object)
	if len(b) > maxColumnBytes {
		return nil, badValue(field, errTooLong(len(b), maxColumnBytes))
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote. It checks it as Scan does, and
// believes it as Scan does: never give it what a client sent.
func (f *File[S]) UnmarshalBinary(data []byte) error { return f.Scan(data) }
