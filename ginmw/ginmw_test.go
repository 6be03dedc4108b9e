package ginmw_test

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ginmw"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }

var note *core.Field

type noteFile struct{}

func (noteFile) FileField() *core.Field { return note }

func TestGinBindsUploadedFiles(t *testing.T) { //nolint:paralleltest // one field for the package
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	note = store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
	cases := []struct {
		name    string
		file    string
		fails   error
		status  int
		objects int
	}{
		{"a file is bound and kept", "hello", nil, http.StatusCreated, 1},
		{"a handler's error removes it", "hello", errors.New("no"), http.StatusInternalServerError, 1},
		{"an error with a status removes it", "hello", core.ErrTaken, http.StatusConflict, 1},
		{"an empty file is refused", "", nil, http.StatusUnprocessableEntity, 1},
	}
	for _, c := range cases { //nolint:paralleltest // the cases count one bucket's objects
		t.Run(c.name, func(t *testing.T) {
			e := gin.New()
			e.Use(ginmw.New(store))
			e.POST("/", ginmw.Uploads(note), func(ctx *gin.Context) {
				var form struct {
					File fieldtype.File[noteFile] `form:"file"`
				}
				if err := ctx.ShouldBind(&form); err != nil {
					ginmw.Abort(ctx, err)
					return
				}
				if form.File.Name() != "a.txt" || form.File.Size() != int64(len(c.file)) {
					t.Errorf("bound %q of %d bytes", form.File.Name(), form.File.Size())
				}
				if c.fails != nil {
					ginmw.Abort(ctx, c.fails)
					return
				}
				ctx.Status(http.StatusCreated)
			})
			if got := post(t, e, c.file); got != c.status {
				t.Errorf("status is %d, want %d", got, c.status)
			}
			if objects, uploads := s3test.Leftovers(t, s, bucket); len(objects) != c.objects || len(uploads) != 0 {
				t.Errorf("the bucket holds %q and open uploads %q, want %d objects", objects, uploads, c.objects)
			}
		})
	}
}

func post(t *testing.T, h http.Handler, content string) int {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("file", "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte(content))
	_ = w.Close()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code
}
