package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/static"
	"github.com/filefield/filefield/uploadjs"
)

//go:embed page.html assets
var files embed.FS

// pages are the app's pages and what they need beside.
type pages struct {
	template *template.Template
	assets   http.Handler
	policy   string
}

// page is what a page shows.
type page struct {
	Title   string
	Albums  []Album
	Album   *Album
	Before  uint // where the next page of photos starts, or 0
	Problem core.Problem
	Context context.Context //nolint:containedctx // URLs are made while the page is written
}

// Path is where the album's page is.
func (a Album) Path() string { return "/albums/" + strconv.FormatUint(uint64(a.ID), 10) }

func newPages(store *core.Store) (*pages, error) {
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, err
	}
	own, err := static.New(store, static.Config{Sources: []fs.FS{assets}, Bucket: publicPhotos.Bucket().Name(), BaseURL: "/assets/own/"})
	if err != nil {
		return nil, err
	}
	served := http.NewServeMux()
	served.Handle("/assets/own/", http.StripPrefix("/assets/own/", own.Handler()))
	served.Handle("/assets/filefield/", uploadjs.Handler())
	functions := own.FuncMap()
	maps.Copy(functions, uploadjs.FuncMap("/assets/filefield/"))
	pages := &pages{assets: served}
	if pages.template, err = template.New("").Funcs(functions).ParseFS(files, "page.html"); err != nil {
		return nil, err
	}
	pages.policy, err = policy(context.Background())
	return pages, err
}

// policy allows what the pages consist of: the app's own scripts and styles, and
// images from storage, where scripts also send files to.
func policy(ctx context.Context) (string, error) {
	shared, err := publicPhotos.Origins(ctx)
	own, fault := privatePhotos.Origins(ctx)
	storage := strings.Join(append(shared, own...), " ")
	return "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' " + storage + "; img-src 'self' blob: " + storage +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", errors.Join(err, fault)
}

// write answers with a page.
func (p *pages) write(c echo.Context, status int, name string, data page) error {
	data.Context = c.Request().Context()
	var b bytes.Buffer
	if err := p.template.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store") // it holds signed URLs
	return c.HTMLBlob(status, b.Bytes())
}
