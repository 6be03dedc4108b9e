package nethttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/formdata"
)

// Incoming is a file of a form of which nothing has been read yet.
type Incoming struct {
	// Field is the field it is for, and Input the name it came under: the field's,
	// or one that ends in it ("items.0.photo").
	Field *core.Field
	Input string
	// Name is the file's name as its sender gave it, without folders and control
	// characters.
	Name string
	// Form holds the text fields sent before the file. It must not be changed.
	Form url.Values
}

// intake is the form of one request as far as it has been read.
type intake struct {
	*Receiver
	r      *http.Request
	body   *patientBody
	values url.Values
	inputs map[string]*input // of file fields, by their names
	tokens brought
	count  int // text values
	files  int
	text   int64
}

// brought are the files that a request has brought by their tokens.
type brought map[[2]string]bool

// add notes one. A file comes once: storage need not be asked about the second.
func (b brought) add(t core.Token, limits Limits) error {
	file := [2]string{t.Object.Bucket, t.Object.Key.String()}
	if b[file] {
		return core.ErrToken
	}
	if len(b) == limits.Tokens {
		return tooMany("the request has more tokens of files than", limits.Tokens)
	}
	b[file] = true
	return nil
}

// input is what a form brought under the name of a file field.
type input struct {
	field *core.Field
	name  string
	sent  []sent // in the form's order
	files int    // how many of them are new
	clear bool
}

// sent is a new file, or one that came by its token, as binders are to see it.
type sent struct {
	value string
	token *core.Token // of a file that came by it
}

func (rc *Receiver) newIntake(r *http.Request) *intake {
	return &intake{Receiver: rc, r: r, values: url.Values{}, inputs: map[string]*input{}, tokens: brought{}}
}

// end claims the files that came as tokens and makes the request look as if its
// files had been text all along. ParseMultipartForm, and with it every
// framework's binder, then finds the work done. With an error the request still
// shows what came before it.
func (in *intake) end(err error) error {
	if err == nil {
		err = in.settleAll()
	}
	for _, i := range in.inputs {
		for _, one := range i.sent {
			in.values.Add(i.name, one.value)
		}
	}
	if isMultipart(in.r) {
		in.r.MultipartForm = &multipart.Form{Value: in.values, File: map[string][]*multipart.FileHeader{}}
	}
	in.r.PostForm = in.values
	in.r.Form = in.withQuery(in.values)
	var refused refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused.error
	}
	return errBody(in.r, err)
}

// settleAll claims what came by tokens, and reports every input at fault.
func (in *intake) settleAll() error {
	var faults core.Invalid
	names := make([]string, 0, len(in.inputs))
	for name := range in.inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		err := in.settle(in.inputs[name])
		switch found := core.Invalid(nil); {
		case errors.As(err, &found):
			faults = append(faults, found...)
		case err != nil:
			return err
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
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
		return in.file(part.Name, part.FileName, part)
	}
	// One byte more than allowed tells a value that is too long.
	value, err := io.ReadAll(io.LimitReader(part, in.limits.Text-in.text+1))
	if err != nil {
		return err
	}
	return in.value(part.Name, string(value))
}

// texts takes in a form that has been read already.
func (in *intake) texts(sent map[string][]string) error {
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		for _, value := range sent[name] {
			if err := in.value(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// value keeps a text value. Under a file field's name only a valid token is one.
func (in *intake) value(name, value string) error {
	// Django counts a field's name, its value and the two signs that join them.
	in.text += int64(len(name) + len(value) + 2)
	if in.text > in.limits.Text {
		return tooLarge("the form's text is larger than", in.limits.Text)
	}
	if in.count++; in.count > in.limits.Fields {
		return tooMany("the form has more values than", in.limits.Fields)
	}
	if base, ok := strings.CutSuffix(name, "-clear"); ok {
		if i := in.input(base); i != nil {
			in.values.Add(name, value)
			return i.setClear(value)
		}
	}
	i := in.input(name)
	switch {
	case i == nil:
		in.values.Add(name, value)
		return nil
	case value == "":
		return nil
	}
	return in.token(i, value)
}

func (in *intake) token(i *input, value string) error {
	token, err := i.field.Verify(value)
	if err != nil && !strings.EqualFold(i.name, i.field.Name()) {
		in.values.Add(i.name, value) // a path that only ends in the name may be any text's
		return nil
	}
	if err == nil && token.Subject != "" && token.Subject != core.SubjectFrom(in.r.Context()) {
		err = core.ErrToken
	}
	if err != nil && (len(value) < shortestToken || strings.ContainsFunc(value, notOfToken)) {
		return i.fault(core.ErrToken.Code(), "No file was submitted. Check the encoding type on the form.")
	}
	if err != nil {
		return i.fault(core.ErrToken.Code(), badToken)
	}
	if err := in.tokens.add(token, in.limits); core.KindOf(err) == core.ErrToken {
		return i.fault(core.ErrToken.Code(), badToken)
	} else if err != nil {
		return err
	}
	if len(i.sent)-i.files == i.field.Config().MaxFiles {
		return i.tooMany()
	}
	i.sent = append(i.sent, sent{value, &token})
	return nil
}

// file streams one file. An input without a chosen file is none.
func (in *intake) file(inputName, rawName string, body io.Reader) error {
	name := core.ClientName(rawName)
	if name == "" {
		return nil
	}
	i := in.input(inputName)
	if i == nil {
		return core.Invalid{{Field: inputName, Code: core.ErrInvalid.Code(), Message: "No file is expected here."}}
	}
	if i.clear {
		return i.contradiction()
	}
	if i.files == i.field.Config().MaxFiles {
		return i.tooMany()
	}
	if in.files++; in.files > in.limits.Files {
		return tooMany("the form has more files than", in.limits.Files)
	}
	if in.config.BeforeFile != nil {
		in.r.Form = in.withQuery(in.values) // of what has come so far
		if err := in.config.BeforeFile(in.r, Incoming{Field: i.field, Input: i.name, Name: name, Form: in.values}); err != nil {
			return refusal{err}
		}
	}
	object, err := i.field.Save(in.r.Context(), core.Upload{
		Body: body, Interrupt: in.body.interrupt, Name: name, Limit: max(in.r.ContentLength, 0), Form: in.values,
	})
	if err != nil {
		return i.named(err)
	}
	i.files++
	i.sent = append(i.sent, sent{value: i.field.Sign(object, "")})
	return nil
}

// refusal is an error of the app's own, which is not to be explained.
type refusal struct{ error }

// settle claims the files of an input that came by their tokens, now that the
// form has been read to its end, and leaves what binders can take.
func (in *intake) settle(i *input) error {
	limit := i.field.Config().MaxFiles
	if i.clear || (limit == 1 && i.files == 1) {
		return in.supersede(i)
	}
	if len(i.sent) > limit {
		i.sent = i.sent[:limit] // what binders take, so that a page shown again keeps these
		return i.tooMany()
	}
	alive, dead := i.sent[:0], ""
	for _, one := range i.sent {
		if one.token == nil {
			alive = append(alive, one)
			continue
		}
		object, err := claim(in.r.Context(), i.field, *one.token)
		if err == nil {
			alive = append(alive, sent{value: i.field.Sign(object, "")})
		} else if core.KindOf(err) != core.ErrToken {
			return i.named(err)
		} else if dead == "" {
			dead = tokenMessage(err)
		}
	}
	if i.sent = alive; dead != "" { // a page that is shown again shall not offer them
		return i.fault(core.ErrToken.Code(), dead)
	}
	return nil
}

// claim takes a token's file for the request, if it is still there.
func claim(ctx context.Context, field *core.Field, token core.Token) (core.Object, error) {
	object, err := field.ClaimObject(ctx, token)
	if err != nil || token.Pending {
		return object, err
	}
	return object, field.Confirm(ctx, token)
}

// supersede drops kept files where the form has another instead, or none. Those
// that no row has are removed when the request succeeds.
func (in *intake) supersede(i *input) error {
	left := i.sent[:0]
	for _, one := range i.sent {
		if one.token == nil {
			left = append(left, one)
			continue
		}
		if !one.token.Pending {
			continue
		}
		object, err := i.field.ClaimObject(in.r.Context(), *one.token)
		if err == nil {
			err = i.field.Delete(in.r.Context(), object.Key)
		}
		if core.ProblemOf(err).Status >= http.StatusInternalServerError && err != nil {
			return i.named(err) // what is wrong with a file that nobody wants does not matter
		}
	}
	if i.sent = left; i.clear {
		i.sent = []sent{{}} // what sets a file field to no file
	}
	return nil
}

// input returns what the form brings for a file field, by the name it comes
// under: the field's, or, where Nested allows it, a path that ends in it; whatever
// its letters' case, since binders may ignore it. nil for names of text fields.
func (in *intake) input(name string) *input {
	field, exact := in.field(name)
	if field == nil {
		return nil
	}
	i := in.inputs[exact]
	if i == nil {
		i = &input{field: field, name: exact}
		in.inputs[exact] = i
	}
	return i
}

// field returns the field that name stands for, and the name as binders expect it.
func (rc *Receiver) field(name string) (field *core.Field, exact string) {
	if f := rc.fields[name]; f != nil {
		return f, name
	}
	start := 0
	if rc.config.Nested {
		start = strings.LastIndexAny(name, ".[") + 1
	}
	last := name[start:]
	if start > 0 {
		last = strings.TrimSuffix(last, "]")
	}
	if f := rc.fields[last]; f != nil {
		return f, name
	}
	for own, f := range rc.fields {
		if strings.EqualFold(own, last) {
			return f, name[:start] + own + name[start+len(last):]
		}
	}
	return nil, ""
}

// setClear reads a clear box: checked unless its value says otherwise, as
// Django's CheckboxInput. A required field has none.
func (i *input) setClear(value string) error {
	switch strings.ToLower(value) {
	case "", "0", "false", "off", "no":
		return nil
	}
	if i.field.Config().Required {
		return nil
	}
	i.clear = true
	if i.files > 0 {
		return i.contradiction()
	}
	return nil
}

func (i *input) contradiction() error {
	return i.fault("contradiction", "Please either submit a file or check the clear checkbox, not both.")
}

func (i *input) fault(code, message string) error {
	return core.Invalid{{Field: i.name, Code: code, Message: message}}
}

func (i *input) tooMany() error {
	err := tooMany("the most files of this field is", i.field.Config().MaxFiles)
	err.Field = i.name
	return err
}

// named makes an error about the field one about the input, whose name the
// client knows.
func (i *input) named(err error) error {
	if i.name == i.field.Name() {
		return err
	}
	var (
		known   *core.Error
		invalid core.Invalid
	)
	switch {
	case errors.As(err, &known) && known.Field == i.field.Name():
		renamed := *known
		renamed.Field = i.name
		return &renamed
	case errors.As(err, &invalid):
		renamed := slices.Clone(invalid)
		for n := range renamed {
			if renamed[n].Field == i.field.Name() {
				renamed[n].Field = i.name
			}
		}
		return renamed
	}
	return err
}

// withQuery returns the body's values followed by the query's, the order of
// net/http. Under a file field's name the query has no say.
func (in *intake) withQuery(values url.Values) url.Values {
	all := make(url.Values, len(values))
	for name, v := range values {
		all[name] = slices.Clone(v)
	}
	if in.r.URL.RawQuery == "" {
		return all
	}
	for name, v := range in.r.URL.Query() {
		if field, _ := in.field(name); field == nil {
			all[name] = append(all[name], v...)
		}
	}
	return all
}

func isMultipart(r *http.Request) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Type"))), "multipart/")
}

func tooLarge(what string, limit int64) *core.Error {
	return &core.Error{Kind: core.ErrTooLarge, Op: "read request", Detail: what + " " + formatSize(limit)}
}

func tooMany(what string, limit int) *core.Error {
	return &core.Error{Kind: core.ErrTooMany, Op: "read request", Detail: fmt.Sprintf("%s %d", what, limit)}
}
