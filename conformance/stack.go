package conformance

import (
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/filefield/filefield/core"
)

func stack(t *testing.T, s *suite) { //nolint:funlen // a list of cases, each short
	t.Run("its body limit refuses a length that is over it", func(t *testing.T) {
		a := s.app(t, options{change: func(app *App) { app.BodyLimit = core.MiB }})
		contentType, text := newBody().upload("file", "a.txt", strings.Repeat("x", int(core.MiB))).done()
		a.sendRaw(t, contentType, nil, text).want(t, http.StatusRequestEntityTooLarge, 0)
		a.unseen(t)
		a.settles(t, 0)
		newBody().upload("file", "a.txt", "x").post(t, a).want(t, http.StatusCreated, 0)
	})
	t.Run("its body limit ends a body without a length", func(t *testing.T) {
		for name, size := range map[string]int{"in a small file": 1 << 20, "in a long file": 7 << 20} {
			t.Run(name, func(t *testing.T) {
				a := s.app(t, options{change: func(app *App) { app.BodyLimit = int64(size) - core.MiB/2 }})
				contentType, text := newBody().upload("file", "a.txt", strings.Repeat("x", size)).done()
				res, err := a.do(t, http.MethodPost, "/", http.Header{"Content-Type": {contentType}}, iotest.DataErrReader(strings.NewReader(text)))
				if err == nil { // else the connection was closed under the client, which goes on sending
					res.want(t, http.StatusRequestEntityTooLarge, core.ErrTooLarge)
				}
				a.unseen(t)
				a.settles(t, 0)
			})
		}
	})
	t.Run("its body limit ends JSON without a length", func(t *testing.T) {
		a := s.app(t, options{change: func(app *App) { app.BodyLimit = 1000 }})
		res, err := a.do(t, http.MethodPost, "/", http.Header{"Content-Type": {jsonType}},
			iotest.DataErrReader(strings.NewReader(`{"title":"`+strings.Repeat("x", 1000)+`"}`)))
		if err == nil {
			res.want(t, http.StatusRequestEntityTooLarge, 0)
		}
		a.unseen(t)
	})
	t.Run("its time limit undoes what the handler did not end", func(t *testing.T) {
		a := s.app(t, options{
			change: func(app *App) { app.Timeout = 100 * time.Millisecond },
			handler: func(_ *app, c Call, _ *form) error {
				<-c.Context().Done()
				return c.Context().Err()
			},
		})
		res, err := a.do(t, http.MethodPost, "/", http.Header{"Content-Type": {formType}}, strings.NewReader(oneFile()))
		if err == nil && res.status < http.StatusInternalServerError {
			t.Errorf("status is %d, want a server's fault", res.status)
		}
		a.settles(t, 0)
	})
	t.Run("a request that was answered in time is kept", func(t *testing.T) {
		a := s.app(t, options{change: func(app *App) { app.Timeout = time.Minute }})
		newBody().upload("file", "a.txt", "x").post(t, a).want(t, http.StatusCreated, 0)
		a.stored(t)
		a.holds(t, 1)
	})
	t.Run("a form that somebody has read before is taken all the same", func(t *testing.T) {
		a := s.app(t, options{around: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.PostFormValue("csrf_token") // as middleware against forged requests does that wants no header
				next.ServeHTTP(w, r)
			})
		}})
		newBody().text("title", "x").text("csrf_token", "x").upload("file", "a.txt", "the content").post(t, a).want(t, http.StatusCreated, 0)
		if got := a.stored(t); a.read(t, got.Key) != "the content" {
			t.Errorf("bound %+v, want the file sent", got)
		}
		newBody().text("csrf_token", "x").upload("file", "a.txt", "").post(t, a).want(t, http.StatusUnprocessableEntity, core.ErrEmpty)
		a.unseen(t)
		a.holds(t, 1)
	})
	t.Run("U20 a check against forged requests ends them before anything is stored", func(t *testing.T) {
		a := s.app(t, options{around: http.NewCrossOriginProtection().Handler})
		contentType, text := newBody().upload("file", "a.txt", "x").done()
		for site, status := range map[string]int{"cross-site": http.StatusForbidden, "same-site": http.StatusForbidden, "same-origin": http.StatusCreated} {
			header := http.Header{"Content-Type": {contentType}, "Sec-Fetch-Site": {site}}
			a.send(t, http.MethodPost, "/", header, strings.NewReader(text)).want(t, status, 0)
		}
		a.stored(t)
		a.unseen(t)
		a.holds(t, 1)
	})
	t.Run("a route that is not there has no transaction to fail", func(t *testing.T) {
		a := s.app(t, options{})
		a.send(t, http.MethodGet, "/nowhere", nil, http.NoBody).want(t, http.StatusNotFound, 0)
		a.send(t, http.MethodPut, "/nowhere", http.Header{"Content-Type": {formType}}, strings.NewReader(oneFile())).want(t, http.StatusNotFound, 0)
		a.holds(t, 0)
	})
}
