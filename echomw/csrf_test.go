package echomw_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/internal/s3test"
)

// A CSRF check that looks for its token among the form's fields reads the form
// before Uploads where it is mounted before it.
func TestACheckThatReadsTheFormMayStandBeforeOrBehindUploads(t *testing.T) {
	t.Parallel()
	check := middleware.CSRFWithConfig(middleware.CSRFConfig{TokenLookup: "form:csrf"})
	for _, before := range []bool{true, false} {
		s := s3test.Start(t)
		bucket := s.Bucket(t)
		store, err := core.Open(core.Config{
			Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
			SigningKeys: []core.Secret{"a key for tests, long enough"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.CloseIdleConnections)
		order := []echo.MiddlewareFunc{echomw.Uploads(store.Field(core.FieldConfig{Name: "file", Bucket: bucket})), check}
		if before {
			order[0], order[1] = order[1], order[0]
		}
		e := echo.New()
		e.HTTPErrorHandler = echomw.ErrorHandler
		e.Use(echomw.New(store))
		e.POST("/", func(c echo.Context) error { return c.NoContent(http.StatusCreated) }, order...)
		for _, c := range []struct {
			token           string
			status, objects int
		}{{"wrong", http.StatusForbidden, 0}, {"right", http.StatusCreated, 1}} {
			var body bytes.Buffer
			w := multipart.NewWriter(&body)
			_ = w.WriteField("csrf", c.token)
			part, err := w.CreateFormFile("file", "a.txt")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = part.Write([]byte("content"))
			_ = w.Close()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", &body)
			r.Header.Set("Content-Type", w.FormDataContentType())
			r.AddCookie(&http.Cookie{Name: "_csrf", Value: "right"})
			rec := httptest.NewRecorder()
			e.ServeHTTP(rec, r)
			objects, _ := s3test.Leftovers(t, s, bucket)
			if rec.Code != c.status || len(objects) != c.objects {
				t.Errorf("before Uploads: %t, with the %s token: %d %s and %d objects, want %d and %d",
					before, c.token, rec.Code, rec.Body, len(objects), c.status, c.objects)
			}
		}
	}
}
