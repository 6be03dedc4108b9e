package conformance

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// row is a model in a database of one row.
type row struct {
	column any
}

// album is an app that creates, edits and deletes its row.
func album(s *suite, t *testing.T, r *row) *app {
	t.Helper()
	edit := func(a *app, c Call) error {
		var f form
		if err := f.File.Scan(r.column); err != nil {
			return err
		}
		old := f.File
		if err := c.Bind(&f); err != nil {
			return err
		}
		if f.Title == "taken" {
			return core.ErrTaken
		}
		column, err := f.File.Value()
		if err != nil {
			return err
		}
		r.column = column
		if old.Key() != f.File.Key() {
			if err := old.Delete(c.Context()); err != nil {
				return err
			}
		}
		return c.Answer(http.StatusOK, f.File)
	}
	return s.app(t, options{
		raw: edit,
		routes: func(a *app) []Route {
			return []Route{
				{Method: http.MethodPatch, Path: "/albums/{id}", Uploads: []*core.Field{a.file}, Handler: func(c Call) error {
					if c.Param("id") != "7" {
						return core.ErrNotFound
					}
					return edit(a, c)
				}},
				{Method: http.MethodDelete, Path: "/albums/{id}", Handler: func(c Call) error {
					r.column = nil
					return c.Answer(http.StatusNoContent, nil)
				}},
				{Method: http.MethodGet, Path: "/albums/{id}", Handler: func(c Call) error {
					var f fieldtype.File[single]
					if err := f.Scan(r.column); err != nil {
						return err
					}
					return c.Answer(http.StatusOK, f)
				}},
			}
		},
	})
}

func (a *app) patch(t *testing.T, b *body) *answer {
	t.Helper()
	contentType, text := b.done()
	return a.send(t, http.MethodPatch, "/albums/7", http.Header{"Content-Type": {contentType}}, strings.NewReader(text))
}

// has fails the test unless the row's file is the app's only one and holds that.
func (r *row) has(t *testing.T, a *app, content string) {
	t.Helper()
	var f fieldtype.File[single]
	if err := f.Scan(r.column); err != nil {
		t.Fatal(err)
	}
	if got := a.read(t, f.Key()); got != content {
		t.Errorf("the row's file holds %q, want %q", got, content)
	}
	a.holds(t, 1)
}

func lifecycle(t *testing.T, s *suite) {
	t.Run("created, edited, replaced, cleared and deleted", func(t *testing.T) { wholeLife(t, s) })
	t.Run("a row without a file", func(t *testing.T) {
		var r row
		a := album(s, t, &r)
		res := a.send(t, http.MethodGet, "/albums/7", nil, http.NoBody)
		if res.want(t, http.StatusOK, 0); strings.TrimSpace(res.body) != "null" {
			t.Errorf("it is shown as %s, want null", res.body)
		}
		newBody().text("title", "x").post(t, a).want(t, http.StatusOK, 0)
		if r.column != nil {
			t.Errorf("the column is %v, want NULL", r.column)
		}
		newBody().text("title", "x").text("file-clear", "on").post(t, a).want(t, http.StatusOK, 0)
		a.holds(t, 0)
	})
	t.Run("no file has nothing to open or delete", func(t *testing.T) {
		a := s.app(t, options{handler: func(_ *app, c Call, f *form) error {
			if err := f.File.Delete(c.Context()); err != nil {
				t.Errorf("deleting no file: %v", err)
			}
			if token, err := f.File.Keep(c.Context()); token != "" || err != nil {
				t.Errorf("keeping no file gives %q and %v, want nothing", token, err)
			}
			_, err := f.File.Open(c.Context())
			return err
		}})
		newBody().text("title", "x").post(t, a).want(t, http.StatusNotFound, core.ErrNotFound)
	})
	t.Run("a bound file is read in pieces", func(t *testing.T) {
		a := s.app(t, options{handler: func(_ *app, c Call, f *form) error {
			for range 2 { // opened again, it starts again
				opened, err := f.File.Open(c.Context())
				if err != nil {
					return err
				}
				start := make([]byte, 3)
				_, err = io.ReadFull(opened, start)
				rest, restErr := io.ReadAll(opened)
				if err != nil || restErr != nil || string(start) != "con" || string(rest) != "tent" {
					t.Errorf("read %q and %q (%v, %v), want con and tent", start, rest, err, restErr)
				}
				if err := opened.Close(); err != nil {
					return err
				}
			}
			return c.Answer(http.StatusCreated, nil)
		}})
		newBody().upload("file", "a.txt", "content").post(t, a).want(t, http.StatusCreated, 0)
	})
	t.Run("what one request deletes and another adds", func(t *testing.T) {
		a := s.app(t, options{file: core.FieldConfig{UploadTo: core.KeepName}})
		for range 2 { // a freed name is used again
			newBody().upload("file", "a.txt", "x").post(t, a).want(t, http.StatusCreated, 0)
			got := a.stored(t)
			if got.Key.String() != a.prefix+"a.txt" {
				t.Errorf("the key is %s, want %sa.txt", got.Key, a.prefix)
			}
			if err := a.file.Delete(t.Context(), got.Key); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func wholeLife(t *testing.T, s *suite) {
	var r row
	a := album(s, t, &r)
	newBody().upload("file", "a.txt", "first").post(t, a).want(t, http.StatusOK, 0)
	r.has(t, a, "first")
	a.patch(t, newBody().text("title", "other")).want(t, http.StatusOK, 0)
	r.has(t, a, "first")
	a.patch(t, newBody().upload("file", "a.txt", "second")).want(t, http.StatusOK, 0)
	r.has(t, a, "second")
	a.patch(t, newBody().text("title", "taken").upload("file", "a.txt", "third")).want(t, http.StatusConflict, core.ErrTaken)
	r.has(t, a, "second")
	a.patch(t, newBody().upload("file", "a.txt", "")).want(t, http.StatusUnprocessableEntity, core.ErrEmpty)
	r.has(t, a, "second")
	a.patch(t, newBody().text("title", "taken").text("file-clear", "on")).want(t, http.StatusConflict, core.ErrTaken)
	r.has(t, a, "second")

	deleted := r.column
	a.send(t, http.MethodDelete, "/albums/7", nil, http.NoBody).want(t, http.StatusNoContent, 0)
	a.holds(t, 1) // as in Django, a row's end is not its file's

	r.column = deleted
	a.patch(t, newBody().text("file-clear", "on").upload("file", "", "")).want(t, http.StatusOK, 0)
	if r.column != nil {
		t.Errorf("the column is %v, want NULL", r.column)
	}
	a.holds(t, 0)
}
