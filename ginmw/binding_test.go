package ginmw_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ginmw"
	"github.com/filefield/filefield/internal/s3test"
)

var picture *core.Field

type pictureFile struct{}

func (pictureFile) FileField() *core.Field { return picture }

type album struct {
	Title   string                      `form:"title" json:"title" binding:"required"`
	Year    int                         `form:"year" json:"year"`
	Picture fieldtype.File[pictureFile] `form:"picture" json:"picture" binding:"required,file_max=1KiB"`
	Pages   []page                      `form:"pages" json:"pages" binding:"dive"`
}

type page struct {
	Picture fieldtype.File[pictureFile] `form:"picture" json:"picture" binding:"required"`
}

func TestGinsValidatorKnowsFileFields(t *testing.T) { //nolint:paralleltest // one field for the package, one validator for the program
	gin.SetMode(gin.ReleaseMode)
	if err := ginmw.PrepareValidator(); err != nil {
		t.Fatal(err)
	}
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	picture = store.Field(core.FieldConfig{Name: "picture", Bucket: s.Bucket(t)})
	good, other, large := stored(t, picture, 10), stored(t, picture, 10), stored(t, picture, 2000)

	e := gin.New()
	e.Use(ginmw.New(store))
	answer := func(bind func(*gin.Context, any) error) gin.HandlerFunc {
		return func(c *gin.Context) {
			var a album
			if err := bind(c, &a); err != nil {
				ginmw.Abort(c, err)
				return
			}
			if n := len(a.Pages); n > 0 && a.Pages[n-1].Picture.Name() != "a.png" {
				t.Errorf("the last page's picture is %q, want a.png", a.Pages[n-1].Picture.Name())
			}
			c.Status(http.StatusCreated)
		}
	}
	e.POST("/own", ginmw.Uploads(picture), answer(func(c *gin.Context, a any) error { return c.ShouldBind(a) }))
	e.POST("/binding", ginmw.Uploads(picture), answer(func(c *gin.Context, a any) error { return c.ShouldBindWith(a, ginmw.Binding{}) }))
	e.GET("/plain", func(c *gin.Context) { ginmw.Abort(c, errors.New("a secret")) })
	e.POST("/number", func(c *gin.Context) { _, err := strconv.Atoi("many"); ginmw.Abort(c, err) })
	e.POST("/end", func(c *gin.Context) { ginmw.Abort(c, io.ErrUnexpectedEOF) })
	e.POST("/time", func(c *gin.Context) { _, err := time.Parse(time.RFC3339, "late"); ginmw.Abort(c, err) })
	const form, document = "application/x-www-form-urlencoded", "application/json"
	both := []string{"/own", "/binding"}
	for _, c := range []struct {
		name   string
		paths  []string
		kind   string
		body   string
		status int
		faults string
	}{
		{"a good album", both, form, "title=x&picture=" + good, 201, ""},
		{"a good album in JSON", both, document, `{"title":"x","picture":"` + good + `","pages":[{"picture":"` + other + `"}]}`, 201, ""},
		{"a list of structs in a form", both[1:], form, "title=x&picture=" + good + "&pages.0.picture=" + other, 201, ""},
		{"what the validator finds", both, form, "picture=" + large, 422, "title required, picture file_max"},
		{"no file", both, form, "title=x", 422, "picture required"},
		{"no file in a list", both, document, `{"title":"x","picture":"` + good + `","pages":[{}]}`, 422, "pages.0.picture required"},
		{"a number that is none", both, form, "title=x&year=old&picture=" + good, 422, "year invalid"},
		{"a number that is none, in JSON", both, document, `{"title":"x","year":"old"}`, 422, "year invalid"},
		{"broken JSON", both, document, `{"title":`, 400, ""},
	} {
		for _, path := range c.paths {
			t.Run(c.name+" at "+path, func(t *testing.T) {
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(c.body))
				r.Header.Set("Content-Type", c.kind)
				wantAnswer(t, e, r, c.status, c.faults)
			})
		}
	}
	for _, path := range []string{"/number", "/end", "/time"} {
		t.Run("an error of the app's that looks like a binder's, at "+path, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("title=x"))
			r.Header.Set("Content-Type", form)
			wantAnswer(t, e, r, http.StatusInternalServerError, "")
		})
	}
	t.Run("an error of the app's", func(t *testing.T) {
		wantAnswer(t, e, httptest.NewRequest(http.MethodGet, "/plain", nil), http.StatusInternalServerError, "")
	})
}

// stored stores a file and returns its token.
func stored(t testing.TB, field *core.Field, size int) string {
	t.Helper()
	o, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader(strings.Repeat("x", size)), Name: "a.png"})
	if err != nil {
		t.Fatal(err)
	}
	return field.Sign(o, "")
}

// wantAnswer checks an answer's status and the faults in its problem.
func wantAnswer(t *testing.T, h http.Handler, r *http.Request, status int, faults string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != status {
		t.Fatalf("status is %d (%s), want %d", w.Code, w.Body, status)
	}
	if status < 400 {
		return
	}
	var p core.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != core.ProblemMediaType || p.Status != status {
		t.Errorf("the answer is %q %s (%v), want a problem of status %d", w.Header().Get("Content-Type"), w.Body, err, status)
	}
	var got []string
	for _, f := range p.Errors {
		got = append(got, f.Field+" "+f.Code)
	}
	if all := strings.Join(got, ", "); all != faults {
		t.Errorf("the faults are %q, want %q", all, faults)
	}
	if strings.Contains(w.Body.String(), "secret") {
		t.Errorf("the answer tells what is none of the client's business: %s", w.Body)
	}
}

func TestRoutesThatNeedStorageWaitForIt(t *testing.T) { //nolint:paralleltest // Gin's mode is one for the program
	gin.SetMode(gin.ReleaseMode)
	store, err := core.Open(core.Config{
		Endpoint: "127.0.0.1:1", AccessKey: "a", SecretKey: "s", SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	field := store.Field(core.FieldConfig{Name: "file", Bucket: "files"})
	hook := store.Startup(core.StartupConfig{Mode: core.Background})
	if err := hook.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Stop(context.WithoutCancel(t.Context())) })
	e := gin.New()
	e.Use(ginmw.New(store))
	served := func(c *gin.Context) { c.Status(http.StatusNoContent) }
	e.GET("/", served)
	e.GET("/uploads", ginmw.Uploads(field), served)
	e.GET("/guarded", ginmw.WhenReady(store), served)
	server := ginmw.Server(e, hook)
	for path, want := range map[string]int{"/": 204, "/uploads": 503, "/guarded": 503} {
		w := httptest.NewRecorder()
		server.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want || (want == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s is answered %d, Retry-After %q, want %d", path, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
}

func TestAnErrorHandlerThatDoesNotAbortEndsTheRequestAllTheSame(t *testing.T) { //nolint:paralleltest // Gin's mode is one for the program
	gin.SetMode(gin.ReleaseMode)
	store, err := core.Open(core.Config{
		Endpoint: "storage.example:9000", AccessKey: "a", SecretKey: "s", SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	field := store.Field(core.FieldConfig{Name: "file", Bucket: "files"})
	config := ginmw.Config{Store: store, ErrorHandler: func(c *gin.Context, _ error) { c.Status(http.StatusTeapot) }}
	e := gin.New()
	e.Use(ginmw.NewWithConfig(config))
	e.POST("/", config.Uploads(field), func(*gin.Context) { t.Error("the handler was called, want it not to be") })
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("file=a.png"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != http.StatusTeapot {
		t.Errorf("status is %d, want the handler's own", w.Code)
	}
}

func TestAFailedRequestThatNobodyAnsweredRollsBack(t *testing.T) { //nolint:paralleltest // Gin's mode is one for the program
	gin.SetMode(gin.ReleaseMode)
	var txn *core.Txn
	rolledBack := false
	e := gin.New()
	e.Use(func(c *gin.Context) { // errors are answered out here
		c.Next()
		if len(c.Errors) > 0 && !c.Writer.Written() {
			c.JSON(http.StatusConflict, "no")
		}
	}, ginmw.New(nil))
	e.POST("/", func(c *gin.Context) {
		txn = ginmw.Txn(c)
		if err := txn.OnRollback(func(context.Context) error { rolledBack = true; return nil }); err != nil {
			t.Error(err)
		}
		_ = c.Error(errors.New("no row"))
		c.Abort()
	})
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusConflict || !rolledBack {
		t.Errorf("status is %d, rolled back: %t, want 409 and true", w.Code, rolledBack)
	}
}
