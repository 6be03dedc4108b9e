package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
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
	Covers  []cover
	Album   *Album
	Photos  []Photo
	Mine    bool
	Before  uint // where the next page of photos starts, or 0
	Problem core.Problem
	Context context.Context //nolint:containedctx // URLs are made while the page is written
}

// cover is an album in the list.
type cover struct {
	Album
	Photos []Photo
}

// Path is where the album's page is.
func (a Album) Path() string { return "/albums/" + strconv.FormatUint(uint64(a.ID), 10) }

func newPages(store *core.Store) (*pages, error) {
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, err
	}
	p := &pages{assets: serveAssets(assets)}
	functions := uploadjs.FuncMap("/assets/filefield/")
	functions["asset"] = func(name string) (string, error) {
		content, err := fs.ReadFile(assets, name)
		return "/assets/" + hash(content) + "/" + name, err
	}
	if p.template, err = template.New("").Funcs(functions).ParseFS(files, "page.html"); err != nil {
		return nil, err
	}
	p.policy, err = policy(store)
	return p, err
}

// policy allows what the pages consist of: the app's own scripts and styles, and
// images from storage, where scripts also send files to.
func policy(store *core.Store) (string, error) {
	hosts := map[string]bool{}
	for _, field := range []*core.Field{publicPhotos, privatePhotos} {
		key, err := core.ParseKey("any")
		if err != nil {
			return "", err
		}
		link, err := field.URL(context.Background(), key, core.URLOptions{})
		if err != nil {
			return "", err
		}
		u, err := url.Parse(link)
		if err != nil {
			return "", err
		}
		hosts[u.Scheme+"://"+u.Host] = true
	}
	bucket := ""
	for host := range hosts {
		bucket += " " + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" + bucket + "; img-src 'self' blob:" + bucket +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", nil
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

// serveAssets serves /assets/<hash>/<name> and what the library has for browsers.
// Names have their content's hash in them, so browsers keep them.
func serveAssets(assets fs.FS) http.Handler {
	library := uploadjs.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/filefield/") {
			library.ServeHTTP(w, r)
			return
		}
		name := path.Base(r.URL.Path)
		content, err := fs.ReadFile(assets, name)
		if err != nil || r.URL.Path != "/assets/"+hash(content)+"/"+name {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeFileFS(w, r, assets, name)
	})
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

// shown is a photo as a page shows it.
type shown struct {
	Photo
	Link string
	Mine bool
}

// In returns the photo as page shows it.
func (p Photo) In(page page) (shown, error) {
	link, err := p.URL(page.Context)
	return shown{p, link, page.Mine}, err
}
