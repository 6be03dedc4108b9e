package ginmw_test

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/ginmw"
)

// A route without Uploads may have Gin read its form, and middleware inside of
// ours may make requests of its own.
func TestTemporaryFilesOfOtherRoutesGoWithTheirRequests(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(ginmw.New(nil))
	e.POST("/", func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), time.Minute)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}, func(c *gin.Context) {
		if err := c.Request.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		if made, _ := os.ReadDir(temporary); len(made) != 1 {
			t.Errorf("the form made %d temporary files, want 1", len(made))
		}
		c.Status(http.StatusCreated)
	})
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
