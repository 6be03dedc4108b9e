package nethttp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

var png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89")

func TestAFileBecomesAnObjectAndAToken(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	newBody().text("title", "one").file("file", "cat.png", png).text("after", "two").post(t, a).want(t, http.StatusCreated, 0)
	form := <-a.form
	if form.Get("title") != "one" || form.Get("after") != "two" {
		t.Errorf("text values are %v", form)
	}
	token, err := a.field.Verify(form.Get("file"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := a.field.Open(t.Context(), token.Object.Key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, _ := io.ReadAll(f)
	if !bytes.Equal(got, png) || f.Name != "cat.png" || f.Type != "image/png" {
		t.Errorf("stored %q of type %s with %d bytes, want cat.png of type image/png with %d", f.Name, f.Type, len(got), len(png))
	}
}

func TestASmallFileCostsOneRequest(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	recorder := a.engine.Recorder(t)
	b := newApp(t, appConfig{
		store: func(c *core.Config) { c.Endpoint = recorder.Endpoint() },
		field: func(c *core.FieldConfig) { c.Bucket = a.bucket },
	})
	newBody().file("file", "cat.png", png).post(t, b).want(t, http.StatusCreated, 0)
	requests := recorder.Requests()
	if len(requests) != 1 || requests[0].Method != http.MethodPut {
		t.Errorf("the storage saw %+v, want one PUT", requests)
	}
}

func TestWhatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("x"), 7<<20) // two parts
	boom := errors.New("the database is down")
	cases := []struct {
		name   string
		config appConfig
		body   *body
		status int
		kind   core.Kind
	}{
		{
			"a file over the field's limit",
			appConfig{field: func(c *core.FieldConfig) { c.MaxSize = 100 }},
			newBody().file("file", "a.txt", big[:101]), http.StatusRequestEntityTooLarge, core.ErrTooLarge,
		},
		{
			"a long file over the field's limit",
			appConfig{field: func(c *core.FieldConfig) { c.MaxSize = 6 << 20 }},
			newBody().file("file", "a.txt", big), http.StatusRequestEntityTooLarge, core.ErrTooLarge,
		},
		{
			"a body over the request's limit",
			appConfig{http: nethttp.Config{Limits: nethttp.Limits{Request: 6 << 20}}},
			newBody().file("file", "a.txt", big), http.StatusRequestEntityTooLarge, core.ErrTooLarge,
		},
		{
			"a type that is not accepted",
			appConfig{field: func(c *core.FieldConfig) { c.Accept = core.Images }},
			newBody().file("file", "a.png", []byte("<html><script>")), http.StatusUnsupportedMediaType, core.ErrType,
		},
		{"an empty file", appConfig{}, newBody().file("file", "a.txt", nil), http.StatusUnprocessableEntity, core.ErrEmpty},
		{
			"a second file in a field for one",
			appConfig{},
			newBody().file("file", "a.txt", []byte("a")).file("file", "b.txt", []byte("b")), http.StatusRequestEntityTooLarge, core.ErrTooMany,
		},
		{
			"a second file of a type that is not accepted",
			appConfig{field: func(c *core.FieldConfig) { c.MaxFiles, c.Accept = 2, core.Images }},
			newBody().file("file", "a.png", png).file("file", "b.png", []byte("text")), http.StatusUnsupportedMediaType, core.ErrType,
		},
		{
			"a text in the place of a file",
			appConfig{},
			newBody().file("file", "a.txt", []byte("a")).text("file", "2026-11-22/someone-elses.png"), http.StatusUnprocessableEntity, core.ErrInvalid,
		},
		{
			"a file nobody expects",
			appConfig{},
			newBody().file("file", "a.txt", []byte("a")).file("other", "b.txt", []byte("b")), http.StatusUnprocessableEntity, core.ErrInvalid,
		},
		{
			"too much text",
			appConfig{http: nethttp.Config{Limits: nethttp.Limits{Text: 100}}},
			newBody().file("file", "a.txt", []byte("a")).text("title", strings.Repeat("x", 100)), http.StatusRequestEntityTooLarge, core.ErrTooLarge,
		},
		{
			"a handler that fails",
			appConfig{handler: func(http.ResponseWriter, *http.Request) error { return boom }},
			newBody().file("file", "a.txt", []byte("a")), http.StatusInternalServerError, 0,
		},
		{
			"a handler that fails after a long upload",
			appConfig{handler: func(http.ResponseWriter, *http.Request) error { return boom }},
			newBody().file("file", "a.txt", big), http.StatusInternalServerError, 0,
		},
		{
			"a handler that finds the form invalid",
			appConfig{handler: func(http.ResponseWriter, *http.Request) error {
				return core.Invalid{{Field: "title", Code: "required", Message: "This field is required."}}
			}},
			newBody().file("file", "a.txt", []byte("a")), http.StatusUnprocessableEntity, core.ErrInvalid,
		},
		{
			"a handler that answers with a conflict by itself",
			appConfig{handler: func(w http.ResponseWriter, _ *http.Request) error {
				http.Error(w, "taken", http.StatusConflict)
				return nil
			}},
			newBody().file("file", "a.txt", []byte("a")), http.StatusConflict, 0,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, c.config)
			c.body.post(t, a).want(t, c.status, c.kind)
			a.leftovers(t)
		})
	}
}

func TestAHandlerThatPanicsLeavesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{handler: func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }})
	b := newBody().file("file", "a.txt", []byte("a"))
	_ = b.w.Close()
	res, err := http.Post(a.URL, b.w.FormDataContentType(), &b.Buffer)
	if err == nil {
		res.Body.Close()
		t.Fatalf("the request was answered with %s, want a cut connection", res.Status)
	}
	a.leftovers(t)
}

func TestAnInputWithoutAFileIsNoFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "/", "..", "/tmp/", `C:\Windows\`, "ends-with-slash/"} {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{})
			newBody().text("title", "x").file("file", name, nil).post(t, a).want(t, http.StatusCreated, 0)
			if form := <-a.form; len(form["file"]) != 0 || form.Get("title") != "x" {
				t.Errorf("the handler saw %v, want the title alone", form)
			}
			a.leftovers(t)
		})
	}
}

func TestATokenTakesThePlaceOfItsFile(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	object, err := a.field.Save(t.Context(), core.Upload{Body: bytes.NewReader(png), Name: "cat.png"})
	if err != nil {
		t.Fatal(err)
	}
	token := a.field.Sign(object, "")
	t.Run("in a multipart form", func(t *testing.T) {
		newBody().text("file", token).post(t, a).want(t, http.StatusCreated, 0)
		if got := a.stored(t); got.Key != object.Key {
			t.Errorf("the key is %s, want %s", got.Key, object.Key)
		}
	})
	t.Run("in an urlencoded form", func(t *testing.T) {
		a.post(t, "application/x-www-form-urlencoded", strings.NewReader("file="+token)).want(t, http.StatusCreated, 0)
		if got := a.stored(t); got.Key != object.Key {
			t.Errorf("the key is %s, want %s", got.Key, object.Key)
		}
	})
	t.Run("but not a key, in either", func(t *testing.T) {
		newBody().text("file", object.Key.String()).post(t, a).want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
		a.post(t, "application/x-www-form-urlencoded", strings.NewReader("file="+object.Key.String())).
			want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
	})
	t.Run("and only for its subject", func(t *testing.T) {
		newBody().text("file", a.field.Sign(object, "user-1")).post(t, a).want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
	})
}

func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	limits := func(l nethttp.Limits) appConfig { return appConfig{http: nethttp.Config{Limits: l}} }
	text := func() *body { return newBody().text("name", "value") }
	cases := []struct {
		name   string
		config appConfig
		body   *body
		status int
	}{
		{"text of 11 counted bytes under a limit of 10", limits(nethttp.Limits{Text: 10}), text(), 413},
		{"text of 11 counted bytes under a limit of 11", limits(nethttp.Limits{Text: 11}), text(), 201},
		{"text without a limit of its own", limits(nethttp.Limits{}), text(), 201},
		{"a file under a text limit of 1", limits(nethttp.Limits{Text: 1}), newBody().file("file", "a.txt", []byte("content")), 201},
		{"two fields where one is allowed", limits(nethttp.Limits{Fields: 1}), newBody().text("a", "1").text("b", "2"), 413},
		{"two fields where two are allowed", limits(nethttp.Limits{Fields: 2}), newBody().text("a", "1").text("b", "2"), 201},
		{
			"two files where one is allowed",
			appConfig{
				http: nethttp.Config{Limits: nethttp.Limits{Files: 1}}, field: func(c *core.FieldConfig) { c.MaxFiles = 2 },
			},
			newBody().file("file", "a", []byte("1")).file("file", "b", []byte("2")), 413,
		},
		{
			"two files where two are allowed",
			appConfig{
				http: nethttp.Config{Limits: nethttp.Limits{Files: 2}}, field: func(c *core.FieldConfig) { c.MaxFiles = 2 },
			},
			newBody().file("file", "a", []byte("1")).file("file", "b", []byte("2")), 201,
		},
		{
			"a file one byte under the limit",
			appConfig{field: func(c *core.FieldConfig) { c.MaxSize = 10 }},
			newBody().file("file", "a", []byte("123456789")), 201,
		},
		{
			"a file at the limit",
			appConfig{field: func(c *core.FieldConfig) { c.MaxSize = 10 }},
			newBody().file("file", "a", []byte("1234567890")), 201,
		},
		{
			"a file one byte over the limit",
			appConfig{field: func(c *core.FieldConfig) { c.MaxSize = 10 }},
			newBody().file("file", "a", []byte("12345678901")), 413,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, c.config)
			c.body.post(t, a).want(t, c.status, 0)
		})
	}
	for _, c := range []struct {
		name   string
		limits nethttp.Limits
		status int
	}{
		{"an urlencoded body of 13 bytes under a limit of 12", nethttp.Limits{Text: 12}, 413},
		{"an urlencoded body of 13 bytes under a limit of 13", nethttp.Limits{Text: 13}, 201},
		{"three urlencoded values where two are allowed", nethttp.Limits{Fields: 2}, 413},
		{"three urlencoded values where three are allowed", nethttp.Limits{Fields: 3}, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, limits(c.limits))
			a.post(t, "application/x-www-form-urlencoded", strings.NewReader("a=1&a=2&a=3\r\n")).want(t, c.status, 0)
		})
	}
}
