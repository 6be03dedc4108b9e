package echomw_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/filefield/filefield/echomw"
)

// A route without Uploads may have Echo read its form, and middleware inside of
// ours may make requests of its own.
func TestTemporaryFilesOfOtherRoutesGoWithTheirRequests(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	e := echo.New()
	e.Use(echomw.New(offline(t)))
	e.POST("/", func(c echo.Context) error {
		if err := c.Request().ParseMultipartForm(1); err != nil {
			return err
		}
		if made, _ := os.ReadDir(temporary); len(made) != 1 {
			t.Errorf("the form made %d temporary files, want 1", len(made))
		}
		return c.NoContent(http.StatusCreated)
	}, middleware.ContextTimeout(time.Minute))
	server := httptest.NewServer(e)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	file, err := w.CreateFormFile("file", "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(bytes.Repeat([]byte("x"), 100_000))
	_ = w.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	server.Close() // waits for the request to end
	if left, err := os.ReadDir(temporary); res.StatusCode != http.StatusCreated || err != nil || len(left) > 0 {
		t.Errorf("status is %d and the folder for temporary files holds %v (%v), want 201 and nothing", res.StatusCode, left, err)
	}
}
