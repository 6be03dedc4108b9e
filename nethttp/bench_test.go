package nethttp_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkPassThrough shows what a request without files pays.
func BenchmarkPassThrough(b *testing.B) {
	ok := []byte("ok")
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(ok) })
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{
		{"no middleware", inner},
		{"Middleware", nethttp.Middleware(inner)},
		{"Middleware and Uploads", nethttp.Middleware(nethttp.Uploads(avatars)(inner))},
		{"Middleware, Uploads and Handle", nethttp.Middleware(nethttp.Uploads(avatars)(nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
			inner(w, r)
			return nil
		})))},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				c.handler.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkUpload is a form with one small file, over HTTP and into storage.
func BenchmarkUpload(b *testing.B) {
	for name, size := range map[string]int{"10 KiB": 10 << 10, "1 MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			a := newApp(b, appConfig{})
			a.Config.Handler = nethttp.Middleware(nethttp.Uploads(a.field)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusCreated)
			})))
			form := newBody().text("title", "x").file("file", "cat.png", append(bytes.Clone(png), make([]byte, size)...))
			_ = form.w.Close()
			b.SetBytes(int64(form.Len()))
			b.ReportAllocs()
			for b.Loop() {
				res, err := a.Client().Post(a.URL, form.w.FormDataContentType(), bytes.NewReader(form.Bytes()))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusCreated {
					b.Fatal(res.Status)
				}
			}
		})
	}
}

// BenchmarkBind binds what Uploads left.
func BenchmarkBind(b *testing.B) {
	form := url.Values{"name": {"Zoë"}, "age": {"42"}, "avatar": {token(avatars, "a.png")}}
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.PostForm = form
	b.Run("a form", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var p profile
			if err := nethttp.Bind(r, &p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("JSON", func(b *testing.B) {
		document := `{"name":"Zoë","age":42,"avatar":"` + form.Get("avatar") + `"}`
		r := r.Clone(b.Context())
		r.Header.Set("Content-Type", "application/json")
		b.ReportAllocs()
		for b.Loop() {
			r.Body = io.NopCloser(strings.NewReader(document))
			var p profile
			if err := nethttp.Bind(r, &p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkServeFile sends a file from storage to a client.
func BenchmarkServeFile(b *testing.B) {
	s := newShelf(b, "a.txt", bytes.Repeat([]byte("x"), 1<<20), appConfig{}, nil)
	s.Config.Handler = nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return nethttp.ServeFile(w, r, s.app.field, core.Object{Key: s.object.Key})
	})
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		res, err := s.Client().Get(s.URL)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != 1<<20 {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
}
