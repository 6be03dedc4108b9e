package echomw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkPassThrough shows what a request without files pays.
func BenchmarkPassThrough(b *testing.B) {
	store := core.MustOpen(core.Config{
		Endpoint: "storage.example:9000", AccessKey: "a", SecretKey: "s", SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	field := store.Field(core.FieldConfig{Name: "file", Bucket: "files"})
	for _, c := range []struct {
		name  string
		mount func(*echo.Echo, echo.HandlerFunc)
	}{
		{"no middleware", func(e *echo.Echo, h echo.HandlerFunc) { e.GET("/", h) }},
		{"New", func(e *echo.Echo, h echo.HandlerFunc) { e.Use(echomw.New(store)); e.GET("/", h) }},
		{"New and Uploads", func(e *echo.Echo, h echo.HandlerFunc) { e.Use(echomw.New(store)); e.GET("/", h, echomw.Uploads(field)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := echo.New()
			c.mount(e, func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				e.ServeHTTP(w, r)
			}
		})
	}
}
