package tusupload_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ginmw"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/tusupload"
)

// clipField is of the one test below: a field type takes no parameters.
var clipField atomic.Pointer[core.Field]

type clipSpec struct{}

func (clipSpec) FileField() *core.Field { return clipField.Load() }

type clip struct {
	Title string                   `form:"title"`
	File  fieldtype.File[clipSpec] `form:"file"`
}

// create is an app's own handler: it knows nothing of tus.
func create(w http.ResponseWriter, r *http.Request) error {
	var c clip
	if err := nethttp.Bind(r, &c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	_, err := io.WriteString(w, c.Title+" "+c.File.Key().String())
	return err
}

// asUser stands for an app's login.
func asUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user := r.Header.Get("X-User"); user != "" {
			r = r.WithContext(core.WithSubject(r.Context(), user))
		}
		next.ServeHTTP(w, r)
	})
}

func frameworks(field *core.Field, upload nethttp.HandlerFunc) map[string]http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/tus", nethttp.Handle(upload))
	mux.Handle("/tus/", nethttp.Handle(upload))
	mux.Handle("POST /clips", nethttp.Uploads(field)(nethttp.Handle(create)))

	e := echo.New()
	e.HTTPErrorHandler = echomw.ErrorHandler
	e.Use(echomw.New(field.Store()))
	e.Any("/tus", echomw.Wrap(upload))
	e.Any("/tus/*", echomw.Wrap(upload))
	e.POST("/clips", echomw.Wrap(create), echomw.Uploads(field))

	gin.SetMode(gin.TestMode)
	g := gin.New()
	g.Use(ginmw.New(field.Store()))
	g.Any("/tus", ginmw.Wrap(upload))
	g.Any("/tus/*upload", ginmw.Wrap(upload))
	g.POST("/clips", ginmw.Uploads(field), ginmw.Wrap(create))

	return map[string]http.Handler{"net/http": nethttp.Middleware(mux), "Echo": e, "Gin": g}
}

func TestEveryFrameworkTakesAnUploadAndItsToken(t *testing.T) {
	t.Parallel()
	field := newField(t)
	clipField.Store(field)
	content := noise(6 << 20)
	loggedIn := func(r *http.Request, _ core.Object) error {
		if core.SubjectFrom(r.Context()) == "" {
			return core.ErrUnauthenticated
		}
		return nil
	}
	for name, app := range frameworks(field, tusupload.New(field, loggedIn, tusupload.Config{Origins: []string{"https://app.example.org"}})) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(asUser(app))
			t.Cleanup(server.Close)
			preflight := do(t, http.MethodOptions, server.URL+"/tus", nil, "Origin", "https://app.example.org")
			wantStatus(t, "a preflight", preflight, 200)
			if preflight.Header.Get("Tus-Version") != "1.0.0" || preflight.Header.Get("Access-Control-Allow-Origin") == "" {
				t.Errorf("the preflight is answered with %v", preflight.Header)
			}
			wantStatus(t, "a creation by nobody", do(t, http.MethodPost, server.URL+"/tus", nil, "Upload-Length", "10"), 401)
			created := do(t, http.MethodPost, server.URL+"/tus", nil, "Upload-Length", "6291456", "X-User", "ann")
			at, err := created.Location()
			if created.StatusCode != 201 || err != nil {
				t.Fatalf("the creation is answered %d, %v", created.StatusCode, err)
			}
			to := at.String()
			wantStatus(t, "a piece by nobody", patch(t, to, 0, content), 401)
			wantStatus(t, "a piece by another", patch(t, to, 0, content, "X-User", "bob"), 404)
			wantStatus(t, "a piece", patch(t, to, 0, content[:100], "X-User", "ann"), 204)
			wantStatus(t, "a wrong offset", patch(t, to, 7, content[7:], "X-User", "ann"), 409)
			conn := halfway(t, to, 100, len(content)-100, content[100:200], "X-User", "ann") // hangs
			head := do(t, http.MethodHead, to, nil, "X-User", "ann")
			wantStatus(t, "a HEAD", head, 200)
			answer := make([]byte, 12)
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 409" {
				t.Errorf("the piece that hung is answered %q, %v; want 409", answer, err)
			}
			stands := offsetOf(t, to, "X-User", "ann")
			last := patch(t, to, stands, content[stands:], "X-User", "ann")
			wantStatus(t, "the last piece", last, 204)
			claimByForm(t, field, server.URL, last.Header.Get(tusupload.TokenHeader), content)
			wantStatus(t, "ending a file that was used", do(t, http.MethodDelete, to, nil, "X-User", "ann"), 409)
		})
	}
}

func claimByForm(t *testing.T, field *core.Field, base, token string, content []byte) {
	t.Helper()
	form := url.Values{"title": {"sea"}, "file": {token}}.Encode()
	post := func(user string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/clips", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "X-User": {user}}
		response, err := (&http.Client{}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	if got, text := post("bob"); got != 422 {
		t.Errorf("another's form is answered %d, %s; want 422", got, text)
	}
	got, text := post("ann")
	title, key, _ := strings.Cut(text, " ")
	if got != 201 || title != "sea" {
		t.Fatalf("the form is answered %d, %s", got, text)
	}
	k, err := core.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, field, k), content) {
		t.Error("the row's file is not what was sent")
	}
	if got, text := post("ann"); got != 422 {
		t.Errorf("the same token again is answered %d, %s; want 422", got, text)
	}
}
