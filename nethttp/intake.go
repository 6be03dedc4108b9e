package nethttp

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/formdata"
)

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
	in.values.Add(field.Name(), field.Sign(token.Object, ""))
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
	if err := in.count(field); err != nil {
		return err
	}
	if in.files++; in.files > in.limits.Files {
		return tooMany("the form has more files than", in.limits.Files)
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

// withoutFiles returns the form's values that are no tokens.
func (in *intake) withoutFiles() url.Values {
	texts := make(url.Values, len(in.values))
	for name, values := range in.values {
		if in.fields[name] == nil {
			texts[name] = values
		}
	}
	return texts
}

// setForm makes the request look as if its files had been text all along.
// ParseMultipartForm, and with it every framework's binder, then finds the work
// done.
func (in *intake) setForm(r *http.Request, values url.Values) {
	r.MultipartForm = &multipart.Form{Value: values, File: map[string][]*multipart.FileHeader{}}
	r.PostForm = values
	r.Form = in.withQuery(values)
}

// withQuery returns the body's values followed by the query's, the order of
// net/http. Under a file field's name the query has no say.
func (in *intake) withQuery(values url.Values) url.Values {
	all := make(url.Values, len(values))
	for name, v := range values {
		all[name] = append([]string(nil), v...)
	}
	for name, v := range in.r.URL.Query() {
		if in.field(name) == nil {
			all[name] = append(all[name], v...)
		}
	}
	return all
}

// field returns the field of that name, whatever its case: binders may ignore it.
func (in *intake) field(name string) *core.Field {
	if f := in.fields[name]; f != nil {
		return f
	}
	for _, f := range in.fields {
		if strings.EqualFold(f.Name(), name) {
			return f
		}
	}
	return nil
}

func tooLarge(what string, limit int64) *core.Error {
	return &core.Error{Kind: core.ErrTooLarge, Op: "read request", Detail: what + " " + formatSize(limit)}
}

func tooMany(what string, limit int) *core.Error {
	return &core.Error{Kind: core.ErrTooMany, Op: "read request", Detail: fmt.Sprintf("%s %d", what, limit)}
}
