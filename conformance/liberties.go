package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// liberties are what apps and clients do beside the usual: it must not lose
// anything, and be the same everywhere.
func liberties(t *testing.T, s *suite) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"a hook that asks for the form's values does not eat the body", hooksThatRead},
		{"a file of a row cannot be kept", keptRows},
		{"a urlencoded form that was read before is there", encodedReadBefore},
		{"a list with one file too many keeps what may stay", tooManyAgain},
		{"an escaped token is a token", escapedTokens},
		{"a token comes once", tokensOnce},
		{"media types in any letters' case", mediaTypes},
		{"JSON of one value", jsonValues},
		{"long JSON within the route's limit", longJSON},
		{"an app's own error is not the client's", ownErrors},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, s) })
	}
}

func hooksThatRead(t *testing.T, s *suite) {
	title := make(chan string, 1)
	a := s.app(t, options{http: nethttp.Config{BeforeFile: func(r *http.Request, _ nethttp.Incoming) error {
		title <- r.FormValue("title") + r.PostFormValue("late")
		return nil
	}}})
	content := strings.Repeat("x", 3<<20)
	newBody().text("title", "before").upload("file", "a.txt", content).text("late", "after").post(t, a).want(t, http.StatusCreated, 0)
	if got := <-title; got != "before" {
		t.Errorf("the hook read %q, want what was sent before the file", got)
	}
	if got := a.read(t, a.stored(t).Key); got != content {
		t.Errorf("the object has %d bytes, want the %d sent", len(got), len(content))
	}
}

func keptRows(t *testing.T, s *suite) {
	kept := make(chan error, 1)
	a := s.app(t, options{handler: func(_ *app, c Call, f *form) error {
		if err := core.Commit(c.Context()); err != nil { // the row is stored
			return err
		}
		_, err := f.File.Keep(c.Context())
		kept <- err
		return c.Answer(http.StatusInternalServerError, nil) // and rendering it fails
	}})
	newBody().upload("file", "a.txt", "x").post(t, a).want(t, http.StatusInternalServerError, 0)
	if err := <-kept; core.KindOf(err) != core.ErrTxnDone {
		t.Errorf("keeping a row's file gives %v, want ErrTxnDone", err)
	}
	set, err := a.suite.client.GetObjectTagging(t.Context(), bucket, a.stored(t).Key.String(), minio.GetObjectTaggingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.ToMap(); len(got) > 0 {
		t.Errorf("the row's file has the tags %v, want none: it would expire", got)
	}
}

func encodedReadBefore(t *testing.T, s *suite) {
	a := s.app(t, options{around: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.FormValue("_method") // as a method override does
			next.ServeHTTP(w, r)
		})
	}})
	a.postValues(t, url.Values{"title": {"x"}}).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound.Title; got != "x" {
		t.Errorf("the title is %q, want x", got)
	}
}

func tooManyAgain(t *testing.T, s *suite) {
	a := s.app(t, options{files: core.FieldConfig{MaxFiles: 2}, refusal: shownAfterRefusal, handler: needsTitle})
	p := newBody().upload("files", "a.txt", "a").upload("files", "b.txt", "b").post(t, a).page(t, http.StatusUnprocessableEntity)
	more := newBody().text("title", "x")
	for _, token := range p.Files {
		more.text("files", token)
	}
	p = more.upload("files", "c.txt", "c").post(t, a).page(t, http.StatusUnprocessableEntity)
	if len(p.Files) != 2 {
		t.Fatalf("the page keeps %d files, want the 2 that may stay", len(p.Files))
	}
	again := newBody().text("title", "x")
	for _, token := range p.Files {
		again.text("files", token)
	}
	again.post(t, a).want(t, http.StatusCreated, 0)
	a.holds(t, 2)
}

func escapedTokens(t *testing.T, s *suite) {
	a := s.app(t, options{})
	sign := a.signer(t, a.file, "zoe")
	for _, encoding := range []string{"", "identity"} {
		token := sign("a.txt")
		escaped := fmt.Sprintf(`{"file":"\u%04x%s"}`, token[0], token[1:])
		for user, status := range map[string]int{"zoe": http.StatusCreated, "eve": http.StatusUnprocessableEntity} {
			header := http.Header{"Content-Type": {jsonType}, "X-Test-User": {user}}
			if encoding != "" {
				header.Set("Content-Encoding", encoding)
			}
			if res := a.send(t, http.MethodPost, "/", header, strings.NewReader(escaped)); res.status != status {
				t.Errorf("encoding %q: for %s the answer is %d (%s), want %d", encoding, user, res.status, res.body, status)
			}
		}
		if got := a.saw(t).bound.File; got.Key().IsZero() {
			t.Errorf("encoding %q: zoe's file was not bound", encoding)
		}
	}
	a.unseen(t)
}

func tokensOnce(t *testing.T, s *suite) {
	a := s.app(t, options{})
	token := a.pending(t, a.files, "")("a.txt")
	a.postValues(t, url.Values{"files": {token, token}}).wantFault(t, "files", badToken, "This is not a valid file of this field; choose the file again.")
	a.postJSON(t, "", map[string]any{"files": []string{token, token}}).want(t, http.StatusUnprocessableEntity, 0)
	a.unseen(t)
	a.postJSON(t, "", map[string]any{"files": []string{token}}).want(t, http.StatusCreated, 0) // it is still good
}

func mediaTypes(t *testing.T, s *suite) {
	a := s.app(t, options{})
	for _, kind := range []string{"Application/JSON", "application/JSON; charset=utf-8", "application/merge-patch+json"} {
		a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {kind}}, strings.NewReader(`{"title":"x"}`)).want(t, http.StatusCreated, 0)
		if got := a.saw(t).bound.Title; got != "x" {
			t.Errorf("%s: the title is %q, want x", kind, got)
		}
	}
	contentType, text := newBody().text("title", "x").upload("file", "a.txt", "y").done()
	for kind, body := range map[string]string{
		strings.Replace(contentType, "multipart/form-data", "Multipart/Form-Data", 1): text,
		"Application/X-WWW-Form-Urlencoded":                                           "title=x",
	} {
		a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {kind}}, strings.NewReader(body)).want(t, http.StatusCreated, 0)
		if got := a.saw(t).bound.Title; got != "x" {
			t.Errorf("%s: the title is %q, want x", kind, got)
		}
	}
}

func jsonValues(t *testing.T, s *suite) {
	a := s.app(t, options{})
	for _, text := range []string{`{"title":"x"} and more`, `{"title":"x"}{}`, `{"title":"x"}]`, " "} {
		res := a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {jsonType}}, strings.NewReader(text))
		res.want(t, http.StatusBadRequest, core.ErrMalformed)
	}
	a.unseen(t)
}

func longJSON(t *testing.T, s *suite) {
	a := s.app(t, options{http: nethttp.Config{Limits: nethttp.Limits{Text: 8 * core.MiB}}})
	text, err := json.Marshal(map[string]string{"title": strings.Repeat("x", 3<<20)})
	if err != nil {
		t.Fatal(err)
	}
	a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {jsonType}}, strings.NewReader(string(text))).want(t, http.StatusCreated, 0)
}

func ownErrors(t *testing.T, s *suite) {
	_, number := strconv.Atoi("many")
	for name, err := range map[string]error{
		"a number": fmt.Errorf("read the setting: %w", number), "an end": fmt.Errorf("read the cache: %w", io.ErrUnexpectedEOF),
	} {
		a := s.app(t, options{handler: func(*app, Call, *form) error { return err }})
		if res := newBody().text("title", "x").post(t, a); res.status != http.StatusInternalServerError {
			t.Errorf("%s: the answer is %d (%s), want 500", name, res.status, res.body)
		}
	}
}
