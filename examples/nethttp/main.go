// Command nethttp is the documents app on net/http alone: files in forms, with
// their rows in a database and their bytes in S3 buckets.
//
//	go run ./examples/nethttp
//	curl -F title=Cat -F file=@cat.png http://127.0.0.1:8080/documents
//
// It needs nothing but Go: rows are kept in SQLite and files in an S3 engine
// inside the program, both below DATA_DIR (./data). MINIO_ENDPOINT,
// MINIO_ACCESS_KEY and MINIO_SECRET_KEY make it use a real server instead.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/examples/documents"
	"github.com/filefield/filefield/nethttp"
)

func main() {
	if err := documents.Run(routes); err != nil {
		slog.Error("the app ended with an error", "error", err)
		os.Exit(1)
	}
}

type app struct{ *documents.App }

// routes ties paths to handlers. Middleware gives each request a file
// transaction: files that a request stored are removed again unless it is
// answered with a status below 400. uploads takes the files out of a form and
// leaves tokens in their place, for Bind.
func routes(docs *documents.App) http.Handler {
	a := &app{docs}
	c := nethttp.Config{
		Store:     docs.Store,
		ErrorFunc: a.fail,
		Limits:    nethttp.Limits{Request: documents.MaxRequest},
		Logger:    slog.Default(),
	}
	uploads := c.Uploads(docs.Fields...)

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", c.Handle(a.list))
	mux.Handle("GET /documents", c.Handle(a.list))
	mux.Handle("POST /documents", uploads(c.Handle(a.create)))
	mux.Handle("GET /documents/{id}", c.Handle(a.show))
	mux.Handle("PATCH /documents/{id}", uploads(c.Handle(a.change)))
	mux.Handle("POST /documents/{id}", uploads(c.Handle(a.change))) // from the page's form
	mux.Handle("DELETE /documents/{id}", c.Handle(a.remove))
	mux.Handle("POST /documents/{id}/delete", c.Handle(a.remove)) // from the page's form
	mux.Handle("GET /documents/{id}/file", c.Handle(a.file))
	for _, f := range docs.Fields { // files that browsers send straight to the bucket
		direct := c.Handle(nethttp.Direct(f, documents.HasSession, nethttp.DirectConfig{}))
		mux.Handle("POST /uploads/"+f.Name(), direct)
		mux.Handle("/uploads/"+f.Name()+"/", direct)
	}
	mux.Handle("GET /healthz", nethttp.Live())
	mux.Handle("GET /readyz", nethttp.Ready(docs.Store))
	return c.Middleware(mux)
}

func (a *app) create(w http.ResponseWriter, r *http.Request) error {
	var d documents.Document
	if err := nethttp.Bind(r, &d.Form); err != nil {
		return err
	}
	if err := d.Validate(); err != nil {
		return err
	}
	if err := a.Rows.Insert(r.Context(), &d); err != nil {
		return err
	}
	if documents.WantsPage(r) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	w.Header().Set("Location", d.Path())
	return writeJSON(w, http.StatusCreated, d)
}

func (a *app) show(w http.ResponseWriter, r *http.Request) error {
	d, err := a.load(r)
	if err != nil {
		return err
	}
	if documents.WantsPage(r) {
		return documents.Page{Document: &d}.Write(w, r, http.StatusOK)
	}
	return writeJSON(w, http.StatusOK, d)
}

func (a *app) list(w http.ResponseWriter, r *http.Request) error {
	after, limit, err := documents.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	list, next, err := a.Rows.List(r.Context(), after, limit)
	if err != nil {
		return err
	}
	if documents.WantsPage(r) || r.URL.Path == "/" {
		return documents.Page{Documents: list, Next: next}.Write(w, r, http.StatusOK)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"documents": list, "next": next})
}

// change sets what the request brings and leaves the rest. Files that are
// replaced or cleared are removed when the row is stored, not before.
func (a *app) change(w http.ResponseWriter, r *http.Request) error {
	d, err := a.load(r)
	if err != nil {
		return err
	}
	patch := documents.Patch{Form: d.Form}
	if err := nethttp.Bind(r, &patch); err != nil {
		return err
	}
	if err := a.Change(r.Context(), &d, patch); err != nil {
		return err
	}
	if documents.WantsPage(r) {
		http.Redirect(w, r, d.Path(), http.StatusSeeOther) //nolint:gosec // a path of this app
		return nil
	}
	return writeJSON(w, http.StatusOK, d)
}

func (a *app) remove(w http.ResponseWriter, r *http.Request) error {
	if err := a.Rows.Delete(r.Context(), documents.ID(r.PathValue("id"))); err != nil {
		return err
	}
	if documents.WantsPage(r) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// file passes the document's file through the app, for clients that cannot
// reach the bucket.
func (a *app) file(w http.ResponseWriter, r *http.Request) error {
	d, err := a.load(r)
	if err != nil {
		return err
	}
	return nethttp.ServeFile(w, r, documents.FileField{}.FileField(), d.File.Object())
}

// load returns the document that the request's path names.
func (a *app) load(r *http.Request) (documents.Document, error) {
	return a.Rows.Get(r.Context(), documents.ID(r.PathValue("id")))
}

// fail answers a failed request: with the form again for a browser, else with
// problem+json.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	if documents.WantsPage(r) {
		var sent documents.Form
		_ = nethttp.Bind(r, &sent) // as far as it goes
		problem := core.ProblemOf(err)
		if a.FailedPage(r, r.PathValue("id"), sent, problem).Write(w, r, problem.Status) == nil {
			return
		}
	}
	nethttp.WriteError(w, r, err)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v) // before the status, which ends the file transaction
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails
	return nil
}
