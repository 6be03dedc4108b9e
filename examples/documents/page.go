package documents

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/filefield/filefield/core"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page.html").Parse(pageSource))

// Page is the app's page: the form, what was wrong with it, and documents.
type Page struct {
	// Context signs the URLs of files.
	Context context.Context
	// Problem is why the form came back, or its zero value.
	Problem core.Problem
	// Title is what was typed into the form.
	Title string
	// Documents are shown below the form; Next is where the next page starts.
	Documents []Document
	Next      *int64
}

// Write answers a request with the page. An error means that nothing was written.
func (p Page) Write(w http.ResponseWriter, status int) error {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the client is gone if this fails
	return nil
}

// WantsPage tells a browser from a program.
func WantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// Fault returns what is wrong with a field of the form, or "".
func (p Page) Fault(field string) string {
	for _, e := range p.Problem.Errors {
		if e.Field == field {
			return e.Message
		}
	}
	return ""
}
