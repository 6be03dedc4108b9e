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
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/examples/documents"
	"github.com/filefield/filefield/nethttp"
)

// finishTimeout is how long running requests may go on after a signal.
const finishTimeout = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("the app ended with an error", "error", err)
		os.Exit(1)
	}
}

// run starts the app and returns when ctx has ended and the last request is
// answered. What is opened first is closed last.
func run(ctx context.Context) (err error) {
	dir := cmp.Or(os.Getenv("DATA_DIR"), "data")
	rows, err := documents.OpenRows(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()

	config, engine, stopEngine, err := documents.StorageConfig(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopEngine()) }()

	config.Logger = slog.Default()
	store, err := core.Open(config) // checks the configuration, uses no network
	if err != nil {
		return err
	}
	defer store.CloseIdleConnections() // before the engine stops, which waits for them
	fields := documents.DeclareFields(store)
	// Creates the buckets that are missing and opens the public one to readers.
	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil {
		return err
	}

	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return err
	}
	slog.Info("serving", "address", "http://"+listener.Addr().String(), "engine", engine,
		"private_bucket", documents.BucketDocuments, "public_bucket", documents.BucketCovers)
	return serve(ctx, listener, (&app{store: store, rows: rows}).routes(fields))
}

// serve answers requests until ctx ends, and then finishes the running ones.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	if err := server.Shutdown(finish); err != nil {
		return errors.Join(errors.New("requests were cut off"), server.Close())
	}
	return nil
}

// app is what the handlers need.
type app struct {
	store *core.Store
	rows  *documents.Rows
}

// routes ties paths to handlers. Middleware gives each request a file
// transaction: files that a request stored are removed again unless it is
// answered with a status below 400. uploads takes the files out of a form and
// leaves tokens in their place, for Bind.
func (a *app) routes(fields []*core.Field) http.Handler {
	c := nethttp.Config{
		ErrorFunc: a.fail,
		Limits:    nethttp.Limits{Request: 16 * core.MiB},
		Logger:    slog.Default(),
	}
	uploads := c.Uploads(fields...)

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", c.Handle(a.list))
	mux.Handle("GET /documents", c.Handle(a.list))
	mux.Handle("POST /documents", uploads(c.Handle(a.create)))
	mux.Handle("GET /documents/{id}", c.Handle(a.show))
	mux.Handle("PATCH /documents/{id}", uploads(c.Handle(a.change)))
	mux.Handle("DELETE /documents/{id}", c.Handle(a.remove))
	mux.Handle("GET /documents/{id}/file", c.Handle(a.file))
	mux.Handle("GET /healthz", nethttp.Live())
	mux.Handle("GET /readyz", nethttp.Ready(a.store))
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
	if err := a.rows.Insert(r.Context(), &d); err != nil {
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
		return documents.Page{Context: r.Context(), Documents: []documents.Document{d}}.Write(w, http.StatusOK)
	}
	return writeJSON(w, http.StatusOK, d)
}

func (a *app) list(w http.ResponseWriter, r *http.Request) error {
	after, limit, err := documents.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	list, next, err := a.rows.List(r.Context(), after, limit)
	if err != nil {
		return err
	}
	if documents.WantsPage(r) || r.URL.Path == "/" {
		return documents.Page{Context: r.Context(), Documents: list, Next: next}.Write(w, http.StatusOK)
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
	before, patch := d.Form, documents.Patch{Form: d.Form}
	if err := nethttp.Bind(r, &patch); err != nil {
		return err
	}
	d.Form = patch.Result()
	if err := d.Validate(); err != nil {
		return err
	}
	if err := before.DeleteFiles(r.Context(), d.Form); err != nil {
		return err
	}
	if err := a.rows.Update(r.Context(), &d); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, d)
}

func (a *app) remove(w http.ResponseWriter, r *http.Request) error {
	if err := a.rows.Delete(r.Context(), documents.ID(r.PathValue("id"))); err != nil {
		return err
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
	return a.rows.Get(r.Context(), documents.ID(r.PathValue("id")))
}

// fail answers a failed request: with the form again for a browser, else with
// problem+json.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	if documents.WantsPage(r) {
		problem := core.ProblemOf(err)
		list, next, _ := a.rows.List(r.Context(), 0, 20)
		page := documents.Page{Context: r.Context(), Problem: problem, Title: r.PostForm.Get("title"), Documents: list, Next: next}
		if page.Write(w, problem.Status) == nil {
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
