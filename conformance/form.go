package conformance

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

const (
	noFile    = "No file was submitted. Check the encoding type on the form."
	badFile   = "This is not a valid file of this field; choose the file again."
	notBoth   = "Please either submit a file or check the clear checkbox, not both."
	nameAt5   = "Ensure this filename has at most 5 characters (it has 18)."
	required  = "This field is required."
	badToken  = "bad_token"
	keptName  = "files/test1.pdf"
	cleared   = "no file"
	unchanged = "the stored file"
	fresh     = "the new file"
)

// requireFile is a handler's own rule.
func requireFile(_ *app, c Call, f *form) error {
	if f.File.IsZero() {
		return core.Invalid{{Field: "file", Code: "required", Message: required}}
	}
	return c.Answer(http.StatusCreated, nil)
}

// formCases are what a form means for a field that has a stored file.
var formCases = []struct {
	name  string
	field core.FieldConfig
	send  func(token string) *body
	want  string // which file the model has then; "": the form is refused
	code  string // of the refusal
	fault string
}{
	{"a form without the field", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x") }, unchanged, "", ""},
	{"U17 an input without a chosen file", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").upload("file", "", "") }, unchanged, "", ""},
	{"U17 an input without a name but with bytes", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").upload("file", "", "bytes") }, unchanged, "", ""},
	{"an empty text in the place of a file", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").text("file", "") }, unchanged, "", ""},
	{"a required field in a form without it", core.FieldConfig{Required: true}, func(string) *body { return newBody().text("title", "x") }, unchanged, "", ""},
	{"a new file", core.FieldConfig{}, func(string) *body { return newBody().upload("file", "new.txt", "new") }, fresh, "", ""},
	{"a new file of the same name", core.FieldConfig{}, func(string) *body { return newBody().upload("file", "test1.pdf", "new") }, fresh, "", ""},
	{"a field's name in other letters", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").text("FILE", "some/key.txt") }, "", badToken, noFile},
	{"the token of the stored file", core.FieldConfig{}, func(token string) *body { return newBody().text("file", token) }, unchanged, "", ""},
	{"the token of the stored file and an empty input", core.FieldConfig{}, func(token string) *body { return newBody().text("file", token).upload("file", "", "") }, unchanged, "", ""},
	{"an empty input and the token of the stored file", core.FieldConfig{}, func(token string) *body { return newBody().upload("file", "", "").text("file", token) }, unchanged, "", ""},

	{"a text in the place of a file", core.FieldConfig{}, func(string) *body { return newBody().text("file", "something that is not a file") }, "", badToken, noFile},
	{"a key in the place of a file", core.FieldConfig{}, func(string) *body { return newBody().text("file", keptName) }, "", badToken, noFile},
	{"a text beside a file", core.FieldConfig{MaxFiles: 2}, func(string) *body { return newBody().upload("file", "a.txt", "a").text("file", keptName) }, "", badToken, noFile},
	{"C13 a file of no bytes", core.FieldConfig{}, func(string) *body { return newBody().upload("file", "a.txt", "") }, "", "empty", ""},
	{"C13 a file of no bytes where that is allowed", core.FieldConfig{AllowEmpty: true}, func(string) *body { return newBody().upload("file", "a.txt", "") }, fresh, "", ""},
	{"a name that is too long", core.FieldConfig{MaxNameLength: 5}, func(string) *body { return newBody().upload("file", "test_maxlength.txt", "x") }, "", "max_length", nameAt5},
	{"a name of just the length allowed, in wide characters", core.FieldConfig{MaxNameLength: 5}, func(string) *body { return newBody().upload("file", "字.txt", "x") }, fresh, "", ""},
	{"a name behind a path, which does not count", core.FieldConfig{MaxNameLength: 5}, func(string) *body { return newBody().upload("file", `C:\Windows\a.txt`, "x") }, fresh, "", ""},

	{"a clear box", core.FieldConfig{}, func(string) *body { return newBody().text("file-clear", "on") }, cleared, "", ""},
	{"a clear box and an empty input", core.FieldConfig{}, func(string) *body { return newBody().text("file-clear", "on").upload("file", "", "") }, cleared, "", ""},
	{"an empty input and a clear box", core.FieldConfig{}, func(string) *body { return newBody().upload("file", "", "").text("file-clear", "on") }, cleared, "", ""},
	{"a clear box of a file that came by its token", core.FieldConfig{}, func(token string) *body {
		return newBody().text("file", token).text("file-clear", "on").upload("file", "", "")
	}, cleared, "", ""},
	{"a clear box that says true", core.FieldConfig{}, func(string) *body { return newBody().text("file-clear", "true") }, cleared, "", ""},
	{"a clear box that says 1", core.FieldConfig{}, func(string) *body { return newBody().text("file-clear", "1") }, cleared, "", ""},
	{"a clear box that says nothing", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").text("file-clear", "") }, unchanged, "", ""},
	{"a clear box that says false", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").text("file-clear", "false") }, unchanged, "", ""},
	{"a clear box that says 0", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").text("file-clear", "0") }, unchanged, "", ""},
	{"a clear box of another field", core.FieldConfig{}, func(string) *body { return newBody().text("title", "x").text("other-clear", "on") }, unchanged, "", ""},
	{"a clear box of a required field", core.FieldConfig{Required: true}, func(string) *body { return newBody().text("title", "x").text("file-clear", "on") }, unchanged, "", ""},
	{"a clear box of a required field and a new file", core.FieldConfig{Required: true}, func(string) *body { return newBody().text("file-clear", "on").upload("file", "a.txt", "x") }, fresh, "", ""},
	{"a clear box before a new file", core.FieldConfig{}, func(string) *body { return newBody().text("file-clear", "on").upload("file", "a.txt", "x") }, "", "contradiction", notBoth},
	{"a clear box behind a new file", core.FieldConfig{}, func(string) *body { return newBody().upload("file", "a.txt", "x").text("file-clear", "on") }, "", "contradiction", notBoth},
}

func forms(t *testing.T, s *suite) {
	for _, c := range formCases {
		t.Run(c.name, func(t *testing.T) {
			var stored core.Object
			a := s.app(t, options{file: c.field, before: func(f *form) { f.File = fieldtype.Of[single](stored) }})
			stored = a.keep(t, a.keeper(t), "test1.pdf", "stored")
			res := c.send(a.file.Sign(stored, "")).post(t, a)
			switch {
			case c.want != "":
				res.want(t, http.StatusCreated, 0)
				if got := which(a.saw(t).bound, stored); got != c.want {
					t.Errorf("the model has %s then, want %s", got, c.want)
				}
			case c.fault == "": // the sentence is the library's own
				res.want(t, http.StatusUnprocessableEntity, 0)
				if f := res.problem.Errors; len(f) != 1 || f[0].Field != "file" || f[0].Code != c.code || f[0].Message == "" {
					t.Errorf("the faults are %+v, want one of code %s", f, c.code)
				}
			default:
				res.want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
				if f := res.problem.Errors; len(f) != 1 || !strings.EqualFold(f[0].Field, "file") || f[0].Code != c.code || f[0].Message != c.fault {
					t.Errorf("the faults are %+v, want %s: %s", f, c.code, c.fault)
				}
			}
			if !a.exists(t, stored.Key) {
				t.Error("the stored file is gone; a row may still have it")
			}
			if want := 1 + strings.Count(c.want, fresh); !t.Failed() {
				a.holds(t, want)
			}
		})
	}
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"a required field with nothing is the handler's refusal", requiredFields},
		{"an edit without a new file costs no more than a look at it", editsCostALook},
		{"U16 several files are all taken or none", allOrNothing},
		{"a clear box of a list empties it", clearedLists},
		{"clear boxes and tokens work in an urlencoded form", encodedForms},
		{"a file nobody expects is refused", unexpectedFiles},
		{"a name with tags is data, which a page escapes", namesWithTags},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

// keeper is the field "file" without the rules of the one under test.
func (a *app) keeper(t testing.TB) *core.Field {
	t.Helper()
	store, err := core.Open(func() core.Config {
		c := storeConfig(a.suite.engine)
		c.Transport = a.suite.transport
		return c
	}())
	if err != nil {
		t.Fatal(err)
	}
	return store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: core.Prefix(a.prefix, core.RandomName)})
}

// which tells a model's file.
func which(f form, stored core.Object) string {
	switch {
	case f.File.IsZero():
		return cleared
	case f.File.Key() == stored.Key:
		return unchanged
	}
	return fresh
}

func requiredFields(t *testing.T, s *suite) {
	a := s.app(t, options{file: core.FieldConfig{Required: true}, handler: requireFile})
	for name, b := range map[string]*body{
		"nothing": newBody().text("title", "x"), "an empty input": newBody().text("title", "x").upload("file", "", ""),
		"a clear box": newBody().text("title", "x").text("file-clear", "on"),
	} {
		t.Run(name, func(t *testing.T) { b.post(t, a).wantFault(t, "file", "required", required) })
	}
	newBody().upload("file", "a.txt", "x").post(t, a).want(t, http.StatusCreated, 0)
	a.holds(t, 1)
}

func editsCostALook(t *testing.T, s *suite) {
	recorder := s.engine.Recorder(t)
	var stored core.Object
	a := s.app(t, options{
		store:  func(c *core.Config) { c.Endpoint = recorder.Endpoint() },
		before: func(f *form) { f.File = fieldtype.Of[single](stored) },
	})
	stored = a.keep(t, a.file, "kept.txt", "kept")
	recorder.Reset()
	newBody().text("title", "new").upload("file", "", "").post(t, a).want(t, http.StatusCreated, 0)
	newBody().text("title", "new").text("file-clear", "on").post(t, a).want(t, http.StatusCreated, 0)
	if n := recorder.Count(""); n != 0 {
		t.Errorf("storage saw %d requests, want none: %+v", n, recorder.Requests())
	}
	newBody().text("title", "new").text("file", a.file.Sign(stored, "")).post(t, a).want(t, http.StatusCreated, 0)
	if n, looks := recorder.Count(""), recorder.Count(http.MethodHead); n != 1 || looks != 1 {
		t.Errorf("the file's token costs storage %d requests, %d of them a HEAD, want one: %+v", n, looks, recorder.Requests())
	}
}

func allOrNothing(t *testing.T, s *suite) {
	files := func(n int) *body {
		b := newBody()
		for i := range n {
			b.upload("files", fmt.Sprintf("%d.png", i), string(png))
		}
		return b
	}
	for _, c := range []struct {
		name   string
		field  core.FieldConfig
		body   *body
		status int
		kind   core.Kind
		stay   int
	}{
		{"ten where ten are allowed", core.FieldConfig{}, files(10), 201, 0, 10},
		{"eleven where ten are allowed", core.FieldConfig{}, files(11), 413, core.ErrTooMany, 0},
		{"a second one of a type that is not accepted", core.FieldConfig{Accept: core.Images}, files(1).upload("files", "b.png", "text"), 415, core.ErrType, 0},
		{"a second one that is too large", core.FieldConfig{MaxSize: 100}, files(1).upload("files", "b.png", strings.Repeat("x", 101)), 413, core.ErrTooLarge, 0},
		{"a second one that is empty", core.FieldConfig{}, files(2).upload("files", "b.png", ""), 422, core.ErrEmpty, 0},
		{"a second one with another extension", core.FieldConfig{Extensions: []string{"png"}}, files(1).upload("files", "b.txt", "text"), 422, core.ErrInvalid, 0},
		{"one among empty inputs", core.FieldConfig{}, newBody().upload("files", "", "").upload("files", "a.txt", "a").upload("files", "", ""), 201, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.app(t, options{files: c.field})
			c.body.post(t, a).want(t, c.status, c.kind)
			if c.stay > 0 {
				if got := a.saw(t).bound.Files; len(got) != c.stay {
					t.Errorf("bound %d files, want %d", len(got), c.stay)
				}
			}
			a.holds(t, c.stay)
		})
	}
	t.Run("two in a field for one", func(t *testing.T) {
		a := s.app(t, options{})
		newBody().upload("file", "a.txt", "a").upload("file", "b.txt", "b").post(t, a).want(t, http.StatusRequestEntityTooLarge, core.ErrTooMany)
		a.holds(t, 0)
	})
	t.Run("a good file of one field and a bad one of another", func(t *testing.T) {
		a := s.app(t, options{files: core.FieldConfig{Accept: core.Images}})
		newBody().upload("file", "a.txt", "a").upload("files", "b.png", "text").post(t, a).want(t, http.StatusUnsupportedMediaType, core.ErrType)
		a.holds(t, 0)
	})
}

func clearedLists(t *testing.T, s *suite) {
	var stored core.Object
	a := s.app(t, options{before: func(f *form) {
		f.Files = fieldtype.Files[several]{fieldtype.Of[several](stored), fieldtype.Of[several](stored)}
	}})
	stored = a.keep(t, a.files, "kept.txt", "kept")
	for name, want := range map[string]int{"files-clear": 0, "other-clear": 2} {
		newBody().text("title", "x").text(name, "on").post(t, a).want(t, http.StatusCreated, 0)
		// A binder may leave an element that is no file, which counts for nothing.
		got := slices.DeleteFunc(a.saw(t).bound.Files, fieldtype.File[several].IsZero)
		if len(got) != want {
			t.Errorf("with %s the model has %d files (%v), want %d", name, len(got), got, want)
		}
	}
}

func encodedForms(t *testing.T, s *suite) {
	var stored core.Object
	a := s.app(t, options{before: func(f *form) { f.File = fieldtype.Of[single](stored) }})
	other := a.keep(t, a.file, "other.txt", "other")
	stored = a.keep(t, a.file, "kept.txt", "kept")
	for _, c := range []struct {
		name   string
		values url.Values
		want   core.Key
	}{
		{"nothing", url.Values{"title": {"x"}}, stored.Key},
		{"an empty value", url.Values{"title": {"x"}, "file": {""}}, stored.Key},
		{"a token", url.Values{"file": {a.file.Sign(other, "")}}, other.Key},
		{"a clear box", url.Values{"file-clear": {"on"}}, core.Key{}},
		{"a clear box of a file that came by its token", url.Values{"file": {a.file.Sign(other, "")}, "file-clear": {"on"}}, core.Key{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.postValues(t, c.values).want(t, http.StatusCreated, 0)
			if got := a.saw(t).bound.File.Key(); got != c.want {
				t.Errorf("the model's file is %q, want %q", got, c.want)
			}
		})
	}
	a.postValues(t, url.Values{"file": {keptName}}).wantFault(t, "file", badToken, noFile)
}

func unexpectedFiles(t *testing.T, s *suite) {
	a := s.app(t, options{})
	newBody().upload("file", "a.txt", "a").upload("other", "b.txt", "b").post(t, a).want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
	a.unseen(t)
	a.holds(t, 0)
}

func namesWithTags(t *testing.T, s *suite) {
	const name = `something<div onclick='alert(1)'>.jpg`
	page := template.Must(template.New("").Parse(`<p>{{.File}}</p>`))
	a := s.app(t, options{})
	newBody().upload("file", name, "x").post(t, a).want(t, http.StatusCreated, 0)
	bound := a.saw(t).bound
	var b strings.Builder
	if err := page.Execute(&b, bound); err != nil {
		t.Fatal(err)
	}
	if bound.File.Name() != name || strings.Contains(b.String(), "<div") {
		t.Errorf("the name is %q and its page %q, want it as sent, and escaped", bound.File.Name(), b.String())
	}
}
