package echomw_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-playground/validator/v10"
	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
)

// offline is a store whose storage nobody asks.
func offline(t testing.TB) *core.Store {
	t.Helper()
	store, err := core.Open(core.Config{
		Endpoint: "storage.example:9000", AccessKey: "a", SecretKey: "s", SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

var picture *core.Field

type pictureFile struct{}

func (pictureFile) FileField() *core.Field { return picture }

type album struct {
	Title   string                      `json:"title" validate:"required"`
	Year    int                         `json:"year"`
	Picture fieldtype.File[pictureFile] `json:"picture" validate:"required,file_max=1KiB"`
}

func TestEveryErrorIsAnsweredAsAProblem(t *testing.T) { //nolint:paralleltest // one field for the package
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	picture = store.Field(core.FieldConfig{Name: "picture", Bucket: s.Bucket(t)})
	good, large := stored(t, picture, 10), stored(t, picture, 2000)

	e := echo.New()
	e.HTTPErrorHandler = echomw.ErrorHandler
	e.Validator = echomw.Validator(validator.New())
	e.Use(echomw.New(store))
	e.POST("/albums", func(c echo.Context) error {
		var a album
		if err := c.Bind(&a); err != nil {
			return err
		}
		if err := c.Validate(&a); err != nil {
			return err
		}
		return c.NoContent(http.StatusCreated)
	}, echomw.Uploads(picture))
	e.GET("/own", func(echo.Context) error { return echo.NewHTTPError(http.StatusTeapot, "short and stout") })
	e.GET("/png", func(echo.Context) error { return echo.NewHTTPError(http.StatusUnsupportedMediaType, "only PNG here") })
	e.GET("/no", func(echo.Context) error {
		return echo.NewHTTPError(http.StatusBadRequest, "not like this").SetInternal(core.ErrNotFound)
	})
	e.GET("/outage", func(echo.Context) error {
		err := &core.Error{Kind: core.ErrUnavailable, Op: "open"}
		return echo.NewHTTPError(http.StatusBadRequest, err.Error()).SetInternal(err)
	})
	e.GET("/cache", func(echo.Context) error {
		return echo.NewHTTPError(http.StatusBadRequest, "the cache is broken").SetInternal(&json.UnmarshalTypeError{Field: "cached"})
	})
	e.GET("/type", func(echo.Context) error { return echo.NewHTTPError(http.StatusUnsupportedMediaType) })
	e.GET("/plain", func(echo.Context) error { return errors.New("a secret") })
	e.GET("/taken", func(echo.Context) error {
		return &core.Error{Kind: core.ErrTaken, Field: "title", Detail: "There is one already."}
	})
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		faults                   string
	}{
		{"a good album", "POST", "/albums", `{"title":"x","picture":"` + good + `"}`, 201, ""},
		{"what the validator finds", "POST", "/albums", `{"picture":"` + large + `"}`, 422, "title required, picture file_max"},
		{"no file", "POST", "/albums", `{"title":"x"}`, 422, "picture required"},
		{"a number that is none", "POST", "/albums", `{"title":"x","year":"old"}`, 422, "year invalid"},
		{"a file that is none", "POST", "/albums", `{"title":"x","picture":"a.png"}`, 422, "picture bad_token"},
		{"broken JSON", "POST", "/albums", `{"title":`, 400, ""},
		{"an error of a kind", "GET", "/taken", "", 409, "title taken"},
		{"an error of Echo's", "GET", "/own", "", 418, ""},
		{"a 415 of the app's", "GET", "/png", "", 415, ""},
		{"a 400 of the app's about something missing", "GET", "/no", "", 400, ""},
		{"a 400 of the app's about an outage", "GET", "/outage", "", 400, ""},
		{"a 400 of the app's about JSON of its own", "GET", "/cache", "", 400, ""},
		{"a 415 of the app's without a word", "GET", "/type", "", 415, ""},
		{"an error of the app's", "GET", "/plain", "", 500, ""},
		{"no such route", "GET", "/missing", "", 404, ""},
		{"another method", "PUT", "/albums", "", 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Fatalf("status is %d (%s), want %d", w.Code, w.Body, c.status)
			}
			if c.status < 400 {
				return
			}
			var p core.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != core.ProblemMediaType || p.Status != c.status {
				t.Errorf("the answer is %q %s (%v), want a problem of status %d", w.Header().Get("Content-Type"), w.Body, err, c.status)
			}
			var faults []string
			for _, f := range p.Errors {
				faults = append(faults, f.Field+" "+f.Code)
			}
			if got := strings.Join(faults, ", "); got != c.faults {
				t.Errorf("the faults are %q, want %q", got, c.faults)
			}
			if own := strings.Contains(c.name, "of the app's ") || c.name == "a 415 of the app's"; own && p.Type != "about:blank" {
				t.Errorf("the app's own error is answered as %s, want it left alone", p.Type)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("the answer tells what is none of the client's business: %s", w.Body)
			}
		})
	}
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

func TestAFaultyConfigIsReportedAtTheStart(t *testing.T) {
	t.Parallel()
	faulty := offline(t)
	faulty.Field(core.FieldConfig{})
	for name, c := range map[string]echomw.Config{"no store": {}, "a store with a faulty field": {Store: faulty}} {
		if _, err := c.ToMiddleware(); core.KindOf(err) != core.ErrConfig {
			t.Errorf("%s: the error is %v, want ErrConfig", name, err)
		}
		e := echo.New()
		e.Use(echomw.NewWithConfig(c))
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s: a request is answered %d, want 500", name, w.Code)
		}
	}
}

func TestASkippedRequestIsLeftAlone(t *testing.T) {
	t.Parallel()
	store := offline(t)
	e := echo.New()
	config := echomw.Config{Store: store, Skipper: func(c echo.Context) bool { return c.Path() == "/skipped" }}
	e.Use(echomw.NewWithConfig(config))
	for path, want := range map[string]bool{"/skipped": false, "/served": true} {
		e.GET(path, func(c echo.Context) error {
			if got := echomw.Txn(c) != nil && echomw.Store(c) == store; got != want {
				t.Errorf("%s has a transaction and the store: %t, want %t", path, got, want)
			}
			return nil
		})
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
}

func TestRoutesThatNeedStorageWaitForIt(t *testing.T) {
	t.Parallel()
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
	e := echo.New()
	echomw.OnServe(e, hook)
	e.HTTPErrorHandler = echomw.ErrorHandler
	e.Use(echomw.New(store))
	served := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e.GET("/", served)
	e.GET("/uploads", served, echomw.Uploads(field))
	e.GET("/guarded", served, echomw.WhenReady(store))
	for path, want := range map[string]int{"/": 204, "/uploads": 503, "/guarded": 503} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want || (want == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s is answered %d, Retry-After %q, want %d", path, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
}

func TestAFailedRequestThatNobodyAnsweredRollsBack(t *testing.T) {
	t.Parallel()
	rolledBack := false
	e := echo.New()
	e.HTTPErrorHandler = func(error, echo.Context) {} // forgets to answer
	e.Use(echomw.New(offline(t)))
	e.POST("/", func(c echo.Context) error {
		if err := echomw.Txn(c).OnRollback(func(context.Context) error { rolledBack = true; return nil }); err != nil {
			t.Error(err)
		}
		return errors.New("no row")
	})
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
	if !rolledBack {
		t.Error("the transaction was committed, want it rolled back")
	}
}
