package ginmw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/ginmw"
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
	handle := func(c *gin.Context) { c.Status(http.StatusNoContent) }
	for _, c := range []struct {
		name  string
		mount func(*gin.Engine)
	}{
		{"no middleware", func(e *gin.Engine) { e.GET("/", handle) }},
		{"New", func(e *gin.Engine) { e.Use(ginmw.New(store)); e.GET("/", handle) }},
		{"New and Uploads", func(e *gin.Engine) { e.Use(ginmw.New(store)); e.GET("/", ginmw.Uploads(field), handle) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := gin.New()
			c.mount(e)
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				e.ServeHTTP(w, r)
			}
		})
	}
}
