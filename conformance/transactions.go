package conformance

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// endings are the ways a handler ends, and whether its work is kept.
var endings = []struct {
	name   string
	end    func(Call) error
	status int
	kept   bool
}{
	{"created", func(c Call) error { return c.Answer(http.StatusCreated, map[string]int{"id": 1}) }, 201, true},
	{"no content", func(c Call) error { return c.Answer(http.StatusNoContent, nil) }, 204, true},
	{"nothing answered at all", func(Call) error { return nil }, 200, true},
	{"a redirect", func(c Call) error { return c.Answer(http.StatusSeeOther, nil) }, 303, true},
	{"a status of 399", func(c Call) error { return c.Answer(399, nil) }, 399, true},
	{"a status of 400", func(c Call) error { return c.Answer(http.StatusBadRequest, nil) }, 400, false},
	{"a conflict with a body", func(c Call) error { return c.Answer(http.StatusConflict, map[string]string{"why": "taken"}) }, 409, false},
	{"a server's fault", func(c Call) error { return c.Answer(http.StatusBadGateway, nil) }, 502, false},
	{"an error of the app", func(Call) error { return errors.New("boom") }, 500, false},
	{"an error of the form", func(Call) error { return core.Invalid{} }, 422, false},
	{"a kind of error", func(Call) error { return core.ErrTaken }, 409, false},
	{"a success that must not last", func(c Call) error {
		core.TxnFrom(c.Context()).SetRollbackOnly()
		return c.Answer(http.StatusCreated, nil)
	}, 201, false},
	{"an error after the handler's own commit", func(c Call) error {
		if err := core.Commit(c.Context()); err != nil {
			return err
		}
		return errors.New("boom")
	}, 500, true},
	{"a success after the handler's own rollback", func(c Call) error {
		if err := core.TxnFrom(c.Context()).Rollback(c.Context()); err != nil {
			return err
		}
		return c.Answer(http.StatusCreated, nil)
	}, 201, false},
}

func transactions(t *testing.T, s *suite) {
	for _, c := range endings {
		t.Run(c.name, func(t *testing.T) {
			var old core.Object
			a := s.app(t, options{handler: func(a *app, call Call, f *form) error {
				if core.StoreFrom(call.Context()) != a.store {
					t.Error("the context does not know the app's store")
				}
				if err := a.file.Delete(call.Context(), old.Key); err != nil {
					return err
				}
				if !a.exists(t, old.Key) || !a.exists(t, f.File.Key()) {
					t.Error("a file was removed before the request's outcome was known")
				}
				return c.end(call)
			}})
			old = a.keep(t, a.file, "old.txt", "old")
			newBody().upload("file", "a.txt", "new").post(t, a).want(t, c.status, 0)
			created := a.stored(t)
			if kept := a.exists(t, created.Key); kept != c.kept {
				t.Errorf("the new file is there: %v, want %v", kept, c.kept)
			}
			if there := a.exists(t, old.Key); there == c.kept {
				t.Errorf("the deleted file is there: %v, want %v", there, !c.kept)
			}
		})
	}
	t.Run("U21 O2 a handler that panics leaves nothing", func(t *testing.T) { panics(t, s) })
	t.Run("a long file goes too", func(t *testing.T) {
		a := s.app(t, options{handler: func(*app, Call, *form) error { return core.ErrTaken }})
		newBody().upload("file", "a.bin", strings.Repeat("x", 7<<20)).post(t, a).want(t, http.StatusConflict, core.ErrTaken)
		a.holds(t, 0)
	})
	t.Run("a replacement happens with the answer", func(t *testing.T) { replacements(t, s) })
	t.Run("routes without Uploads have a transaction too", func(t *testing.T) { bareRoutes(t, s) })
}

func panics(t *testing.T, s *suite) {
	a := s.app(t, options{handler: func(*app, Call, *form) error { panic("of these tests") }})
	contentType, text := newBody().upload("file", "a.txt", "a").done()
	res, err := a.do(t, http.MethodPost, "/", http.Header{"Content-Type": {contentType}}, strings.NewReader(text))
	// Whether somebody recovers is the framework's choice.
	if err == nil && res.status != http.StatusInternalServerError {
		t.Errorf("status is %d, want 500 or a cut connection", res.status)
	}
	a.stored(t)
	a.settles(t, 0)
}

func replacements(t *testing.T, s *suite) {
	for status, want := range map[int]string{http.StatusOK: "new", http.StatusConflict: "old"} {
		a := s.app(t, options{
			file: core.FieldConfig{UploadTo: func(core.Naming) (string, error) { return "config.txt", nil }},
			raw: func(a *app, c Call) error {
				_, err := a.file.Save(c.Context(), core.Upload{Body: strings.NewReader("new"), Name: "x", Replace: true})
				if err != nil {
					return err
				}
				return c.Answer(status, nil)
			},
		})
		old := a.keep(t, a.file, "x", "old")
		a.postValues(t, map[string][]string{"title": {"x"}}).want(t, status, 0)
		if got := a.read(t, old.Key); got != want {
			t.Errorf("after %d the file holds %q, want %q", status, got, want)
		}
		a.holds(t, 1)
	}
}

func bareRoutes(t *testing.T, s *suite) {
	a := s.app(t, options{routes: func(a *app) []Route {
		return []Route{{Method: http.MethodDelete, Path: "/files/{name}", Handler: func(c Call) error {
			key, err := core.ParseKey(a.prefix + c.Param("name"))
			if err != nil {
				return err
			}
			if err := a.file.Delete(c.Context(), key); err != nil {
				return err
			}
			if c.Request().URL.RawQuery != "" {
				return core.ErrForbidden
			}
			return c.Answer(http.StatusNoContent, nil)
		}}}
	}})
	old := a.keep(t, a.file, "old.txt", "old")
	path := "/files/" + strings.TrimPrefix(old.Key.String(), a.prefix)
	a.send(t, http.MethodDelete, path+"?refused", nil, http.NoBody).want(t, http.StatusForbidden, core.ErrForbidden)
	a.holds(t, 1)
	a.send(t, http.MethodDelete, path, nil, http.NoBody).want(t, http.StatusNoContent, 0)
	a.holds(t, 0)
}

// answers compares what a failed request is told with what net/http tells it.
func answers(t *testing.T, s *suite) {
	var handlers []error
	for kind := core.ErrNotFound; kind.Status() != http.StatusInternalServerError || kind.Code() != "internal"; kind++ {
		if kind != core.ErrNotModified { // has no body
			handlers = append(handlers, kind, &core.Error{
				Kind: kind, Op: "test", Field: "file", Bucket: "the-bucket", Key: "the-key", Detail: "what happened", Advice: "for the operator", Err: errors.New("the cause"),
			})
		}
	}
	handlers = append(handlers,
		errors.New("the secret cause"), fmt.Errorf("creating a row: %w", core.ErrTaken),
		errors.Join(errors.New("first"), core.ErrToken), ownProblem(http.StatusTeapot), ownProblem(http.StatusPaymentRequired),
		core.Invalid{{Field: "title", Code: "required", Message: required}, {Field: "file", Code: "max_length", Message: nameAt5}},
		fmt.Errorf("wrapped: %w", core.Invalid{{Field: "a<b>", Code: "c", Message: "é “quoted” <b>"}}),
	)
	var now error
	a := s.app(t, options{handler: func(*app, Call, *form) error { return now }})
	contentType, text := newBody().upload("file", "a.txt", "a").done()
	for _, err := range handlers {
		t.Run(fmt.Sprintf("%T %.60v", err, err), func(t *testing.T) {
			now = err
			want := httptest.NewRecorder()
			nethttp.WriteError(want, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody), err)
			got := a.post(t, contentType, strings.NewReader(text))
			a.stored(t)
			if got.status != want.Code || got.body != want.Body.String() {
				t.Errorf("the answer is %d %s, want %d %s", got.status, got.body, want.Code, want.Body)
			}
			for _, name := range []string{"Content-Type", "X-Content-Type-Options", "Cache-Control", "Retry-After"} {
				if got.header.Get(name) != want.Header().Get(name) {
					t.Errorf("%s is %q, want %q", name, got.header.Get(name), want.Header().Get(name))
				}
			}
			for _, secret := range []string{"the-bucket", "the-key", "operator", "cause"} {
				if strings.Contains(got.body, secret) {
					t.Errorf("the answer %s tells of %q", got.body, secret)
				}
			}
		})
	}
	t.Run("nothing stays of any", func(t *testing.T) { a.holds(t, 0) })
}
