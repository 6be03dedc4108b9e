package documents

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

//go:embed page.html
var pageSource string

//go:embed style.css
var style string

var pageTemplate = template.Must(template.New("").Parse(pageSource))

// Page is the app's page: the list of documents, or one of them, each with its
// form. It needs no JavaScript.
type Page struct {
	// Document is the one that is shown and changed; nil for the list.
	Document *Document
	// Documents are the list; Next is where its next page starts.
	Documents []Document
	Next      *int64
	// Problem is why a form came back, or its zero value.
	Problem core.Problem
	// Context signs the URLs of files. Write sets it.
	Context context.Context

	sent sentForm
}

// sentForm is what a form that came back had brought.
type sentForm struct {
	title   *string
	kept    map[string][]keptFile
	cleared map[string]bool
}

// keptFile is a file that waits in its bucket for the form to come again.
type keptFile struct{ Name, Token string }

// FailedPage shows the form of a request that failed again: with what is wrong
// with it, and with what it brought, its files too. sent is the form as far as
// it was read, by whatever binder; id is the document in the request's path, or
// empty.
func (a *App) FailedPage(r *http.Request, id string, sent Form, problem core.Problem) Page {
	p := Page{Problem: problem}
	if d, err := a.Rows.Get(r.Context(), ID(id)); err == nil {
		p.Document = &d
	} else {
		p.Documents, p.Next, _ = a.Rows.List(r.Context(), 0, 20) // the form is what matters
	}
	p.sent = sentForm{kept: map[string][]keptFile{}, cleared: map[string]bool{}}
	if r.PostForm.Has("title") {
		title := r.PostForm.Get("title")
		p.sent.title = &title
	}
	for _, name := range []string{"cover", "extra"} {
		p.sent.cleared[name] = r.PostForm.Has(name + "-clear")
	}
	keepFile(r.Context(), &p, "file", sent.File)
	keepFile(r.Context(), &p, "cover", sent.Cover)
	for _, f := range sent.Extra {
		keepFile(r.Context(), &p, "extra", f)
	}
	return p
}

// keepFile has a file outlive the request that failed. One that is gone, or
// cannot be kept, has to be chosen again.
func keepFile[S fieldtype.Spec](ctx context.Context, p *Page, input string, f fieldtype.File[S]) {
	if f.Claim(ctx) != nil {
		return
	}
	if token, err := f.Keep(ctx); err == nil && token != "" {
		p.sent.kept[input] = append(p.sent.kept[input], keptFile{Name: f.Name(), Token: token})
	}
}

// Write answers a request with the page. An error means that nothing was written.
func (p Page) Write(w http.ResponseWriter, r *http.Request, status int) error {
	p.Context = r.Context()
	policy, err := securityPolicy(r.Context())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, "documents", p); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store") // it holds signed URLs and tokens
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the client is gone if this fails
	return nil
}

// securityPolicy allows what the page consists of: its style, forms that post to
// the app, and covers from the storage.
func securityPolicy(ctx context.Context) (string, error) {
	sum := sha256.Sum256([]byte(style))
	images, err := cover.Origins(ctx)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src " + strings.Join(images, " ") +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", err
}

// View is a document with the links to its files, as a page shows it.
type View struct {
	Document
	CoverURL string
	Links    []link // of the extra files
}

type link struct{ Name, URL string }

// View returns the document with its links.
func (d Document) View(ctx context.Context) (v View, err error) {
	v.Document = d
	v.CoverURL, err = d.Cover.URL(ctx)
	for _, f := range d.Extra {
		u, urlErr := f.URL(ctx)
		err = errors.Join(err, urlErr)
		v.Links = append(v.Links, link{Name: f.Name(), URL: u})
	}
	return v, err
}

// WantsPage tells a browser from a program.
func WantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// Style is the page's style sheet.
func (p Page) Style() template.CSS { return template.CSS(style) } //nolint:gosec // our own file

// Failed says that the form came back.
func (p Page) Failed() bool { return p.Problem.Status != 0 }

// Title is what stands in the form.
func (p Page) Title() string {
	switch {
	case p.sent.title != nil:
		return *p.sent.title
	case p.Document != nil:
		return p.Document.Title
	}
	return ""
}

// Fault returns what is wrong with a field of the form, or "".
func (p Page) Fault(field string) string {
	for _, e := range p.Problem.Errors {
		if e.Field == field {
			return e.Message
		}
	}
	return ""
}

// Input is a file input of the form.
type Input struct {
	Name, Label, Accept           string
	Multiple, Required, Clearable bool
	Cleared                       bool
	// Kept came with the last try; Stored are the names of the document's files.
	Kept   []keptFile
	Stored []string
	Fault  string
}

// Inputs are the form's file inputs.
func (p Page) Inputs() []Input {
	inputs := []Input{
		{Name: "file", Label: "File", Accept: "image/*,.pdf,.txt", Required: true},
		{Name: "cover", Label: "Cover", Accept: "image/png,image/jpeg", Clearable: true},
		{Name: "extra", Label: "Up to three more files", Accept: "image/*,.pdf,.txt", Multiple: true, Clearable: true},
	}
	for i := range inputs {
		in := &inputs[i]
		in.Kept, in.Cleared, in.Fault = p.sent.kept[in.Name], p.sent.cleared[in.Name], p.Fault(in.Name)
		in.Stored = p.stored(in.Name)
		in.Required = in.Required && in.Names() == ""
		in.Clearable = in.Clearable && in.Names() != ""
	}
	return inputs
}

// stored names the files the document has under an input's name.
func (p Page) stored(input string) (names []string) {
	if p.Document == nil {
		return nil
	}
	switch d := p.Document; {
	case input == "file":
		names = append(names, d.File.Name())
	case input == "cover" && !d.Cover.IsZero():
		names = append(names, d.Cover.Name())
	case input == "extra":
		for _, f := range d.Extra {
			names = append(names, f.Name())
		}
	}
	return names
}

// Names are those of the files that are there already: what was kept takes the
// place of what is stored.
func (in Input) Names() string {
	names := in.Stored
	if len(in.Kept) > 0 {
		names = nil
		for _, f := range in.Kept {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Note says what becomes of them.
func (in Input) Note() string {
	switch {
	case in.Names() == "":
		return ""
	case len(in.Kept) > 1:
		return in.Names() + " are kept; choose others to add them."
	case len(in.Kept) > 0 && in.Multiple:
		return in.Names() + " is kept; choose others to add them."
	case len(in.Kept) > 0:
		return in.Names() + " is kept; choose another to replace it."
	case len(in.Stored) > 1:
		return in.Names() + " are stored; choose others to replace them."
	}
	return in.Names() + " is stored; choose another to replace it."
}

// DescribedBy names what a screen reader reads with the input.
func (in Input) DescribedBy() string {
	var ids []string
	if in.Fault != "" {
		ids = append(ids, in.Name+"-fault")
	}
	if in.Note() != "" {
		ids = append(ids, in.Name+"-note")
	}
	return strings.Join(ids, " ")
}
