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
		{"a token of a file that is gone, or whose key is another's, is refused", deletedFiles},
		{"many tokens cost storage little", manyTokens},
		{"a token in JSON is refused where it stands", faultsInJSON},
		{"tokens in XML are claimed, or of no use", markupTokens},
		{"tokens in a query are of no use unless they need no claiming", queryTokens},
		{"a hook sees the query too", hooksAndQueries},
		{"a commit after a rollback says so", commitsTooLate},
		{"claims beside the end of their transaction leave nothing behind", claimsInBulk},
		{"Uploads mounted twice is Uploads", twiceMounted},
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

func deletedFiles(t *testing.T, s *suite) {
	a := s.app(t, options{file: core.FieldConfig{UploadTo: core.KeepName}})
	token := func(content string) (core.Object, string) {
		o := a.keep(t, a.file, "a.txt", content)
		return o, a.file.Sign(o, "") // as File.Token
	}
	for name, send := range map[string]func(token string) *answer{
		"multipart":  func(token string) *answer { return newBody().text("file", token).post(t, a) },
		"urlencoded": func(token string) *answer { return a.postValues(t, url.Values{"file": {token}}) },
		"JSON":       func(token string) *answer { return a.postJSON(t, "", map[string]any{"file": token}) },
	} {
		o, text := token("the first")
		send(text).want(t, http.StatusCreated, 0)
		if got := a.saw(t).bound.File.Key(); got != o.Key {
			t.Errorf("%s: bound %s, want %s", name, got, o.Key)
		}
		if err := a.file.Delete(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
		send(text).wantFault(t, "file", badToken, badFile)
		// The key is free again, and somebody else's file gets it.
		other, _ := token("the other")
		if other.Key != o.Key {
			t.Fatalf("the keys are %s and %s, want one", o.Key, other.Key)
		}
		send(text).wantFault(t, "file", badToken, badFile)
		if err := a.file.Delete(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
	}
	a.unseen(t)
}

func manyTokens(t *testing.T, s *suite) {
	recorder := s.engine.Recorder(t)
	a := s.app(t, options{
		store: func(c *core.Config) { c.Endpoint = recorder.Endpoint() },
		http:  nethttp.Config{Nested: true, Limits: nethttp.Limits{Tokens: 3}},
	})
	one := a.signer(t, a.file, "")
	recorder.Reset()
	again, four := newBody(), newBody()
	list := make([]any, 4)
	token := one("a")
	for i := range list {
		again.text(fmt.Sprintf("items.%d.file", i), token)
		text := one(strconv.Itoa(i))
		four.text(fmt.Sprintf("items.%d.file", i), text)
		list[i] = map[string]any{"photo": text}
	}
	again.post(t, a).wantFault(t, "items.1.file", badToken, badFile)
	four.post(t, a).want(t, http.StatusRequestEntityTooLarge, core.ErrTooMany)
	if n := recorder.Count(""); n > 0 {
		t.Errorf("refused forms cost storage %d requests, want none", n)
	}
	a.postJSON(t, "", map[string]any{"pages": list}).want(t, http.StatusRequestEntityTooLarge, core.ErrTooMany)
	if n := recorder.Count(""); n > 3 {
		t.Errorf("refused JSON costs storage %d requests, want 3", n)
	}
	a.unseen(t)
}

func faultsInJSON(t *testing.T, s *suite) {
	a := s.app(t, options{})
	for place, value := range map[string]func(token string) map[string]any{
		"file":  func(token string) map[string]any { return map[string]any{"title": "x", "file": token} },
		"files": func(token string) map[string]any { return map[string]any{"files": []any{nil, token}} },
		"pages.1.photo": func(token string) map[string]any {
			return map[string]any{"pages": []any{map[string]any{"photo": nil}, map[string]any{"photo": token}}}
		},
	} {
		field := a.file
		if place == "files" {
			field = a.files
		}
		a.postJSON(t, "eve", value(a.signer(t, field, "zoe")("a.txt"))).wantFault(t, place, badToken, badFile)
	}
	a.unseen(t)
}

func markupTokens(t *testing.T, s *suite) {
	status := make(chan error, 8)
	a := s.app(t, options{raw: func(_ *app, c Call) error {
		var w wide
		if err := c.Bind(&w); err != nil {
			return err
		}
		_, err := w.File.Value()
		status <- err
		if err != nil {
			return err
		}
		return c.Answer(http.StatusCreated, w.File.Name())
	}})
	send := func(user, text string) *answer {
		return a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {"application/xml"}, "X-Test-User": {user}}, strings.NewReader(text))
	}
	token := a.pending(t, a.file, "zoe")("a.txt")
	document := "<wide><title>" + strings.Repeat("word", 20) + "</title><file>" + token + "</file></wide>"
	send("eve", document).wantFault(t, "file", badToken, badFile)
	// Written in another way it is not seen, and of no use then.
	written := fmt.Sprintf("<wide><file>&#%d;%s</file></wide>", token[0], token[1:])
	if res := send("eve", written); res.status < 400 {
		t.Errorf("a token in other signs is answered %d (%s), want a refusal", res.status, res.body)
	}
	res := send("zoe", document)
	switch res.status {
	case http.StatusUnsupportedMediaType: // this framework's binder reads no XML
	case http.StatusCreated:
		send("zoe", document).wantFault(t, "file", badToken, badFile)
	default:
		t.Errorf("the answer is %d (%s), want 201, or 415", res.status, res.body)
	}
}

func queryTokens(t *testing.T, s *suite) {
	a := s.app(t, options{routes: func(a *app) []Route {
		return []Route{{Method: http.MethodGet, Path: "/shown", Uploads: []*core.Field{a.file}, Handler: func(c Call) error {
			var w wide
			if err := c.Bind(&w); err != nil {
				return err
			}
			if key := w.File.Key(); !key.IsZero() {
				return c.Answer(http.StatusOK, key.String())
			}
			_, err := w.File.URL(c.Context())
			return err
		}}}
	}})
	for name, token := range map[string]string{"a subject's": a.signer(t, a.file, "zoe")("a.txt"), "a kept file's": a.pending(t, a.file, "zoe")("b.txt")} {
		res := a.send(t, http.MethodGet, "/shown?file="+token, http.Header{"X-Test-User": {"eve"}}, http.NoBody)
		if res.status != http.StatusUnprocessableEntity {
			t.Errorf("%s token in a query is answered %d (%s), want 422", name, res.status, res.body)
		}
	}
}

func hooksAndQueries(t *testing.T, s *suite) {
	read := make(chan string, 1)
	a := s.app(t, options{http: nethttp.Config{BeforeFile: func(r *http.Request, _ nethttp.Incoming) error {
		read <- r.FormValue("album") + " " + r.FormValue("title")
		return nil
	}}})
	contentType, text := newBody().text("title", "x").upload("file", "a.txt", "y").done()
	a.send(t, http.MethodPost, "/?album=seven", http.Header{"Content-Type": {contentType}}, strings.NewReader(text)).want(t, http.StatusCreated, 0)
	if got := <-read; got != "seven x" {
		t.Errorf("the hook read %q, want the query's value and the form's", got)
	}
}

func commitsTooLate(t *testing.T, s *suite) {
	late := make(chan error, 1)
	a := s.app(t, options{handler: func(_ *app, c Call, f *form) error {
		core.TxnFrom(c.Context()).SetRollbackOnly()
		_ = core.Commit(c.Context())
		late <- core.Commit(c.Context()) // before the row is stored, in good faith
		return c.Answer(http.StatusCreated, nil)
	}})
	newBody().upload("file", "a.txt", "x").post(t, a)
	if err := <-late; core.KindOf(err) != core.ErrTxnDone {
		t.Errorf("a commit after a rollback gives %v, want ErrTxnDone: the file is gone", err)
	}
	a.holds(t, 0)
}

func twiceMounted(t *testing.T, s *suite) {
	a := s.app(t, options{change: func(app *App) {
		app.Routes[0].Uploads = append([]*core.Field{}, app.Routes[0].Uploads...)
		app.Twice = true
	}})
	one, many := a.pending(t, a.file, ""), a.pending(t, a.files, "")
	newBody().text("title", "x").upload("file", "a.txt", "the content").text("files", many("0")).upload("files", "b.txt", "b").post(t, a).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound; got.Title != "x" || a.read(t, got.File.Key()) != "the content" || len(got.Files) != 2 {
		t.Errorf("bound %q and %s, want all that was sent", got.Title, got.names())
	}
	a.postValues(t, url.Values{"title": {"x"}, "file": {one("c.txt")}}).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound; got.Title != "x" || got.names() != "file=c.txt" {
		t.Errorf("bound %q and %s, want all that was sent", got.Title, got.names())
	}
	a.postJSON(t, "", map[string]any{"title": "x", "file": one("d.txt")}).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound; got.Title != "x" || got.names() != "file=d.txt" {
		t.Errorf("bound %q and %s, want all that was sent", got.Title, got.names())
	}
	newBody().text("file", one("e.txt")).text("file-clear", "on").post(t, a).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound; !got.File.IsZero() {
		t.Errorf("bound %s, want no file", got.names())
	}
}

func claimsInBulk(t *testing.T, s *suite) {
	// A transaction that ends while files are claimed in it, as when a handler
	// answers and its goroutines go on, leaves no lock and no file without its mark.
	a := s.app(t, options{})
	sign := a.pending(t, a.files, "")
	for round := range 8 {
		token, err := a.files.Verify(sign(strconv.Itoa(round)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, txn := core.Begin(t.Context())
		ended := make(chan error, 1)
		go func() {
			if round%2 == 0 {
				ended <- txn.Commit(ctx)
				return
			}
			ended <- txn.Rollback(ctx)
		}()
		claimed := a.files.Claim(ctx, token)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if claimed != nil && core.KindOf(claimed) != core.ErrTxnDone {
			t.Errorf("claiming beside the transaction's end gives %v", claimed)
		}
		ctx, txn = core.Begin(t.Context())
		again := a.files.Claim(ctx, token)
		if committed := round%2 == 0 && claimed == nil; committed != (core.KindOf(again) == core.ErrToken) {
			t.Errorf("round %d: the claim gave %v and the next one %v, want one of them to take the file", round, claimed, again)
		}
		if err := txn.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
	}
	a.holds(t, 8) // and no locks
}
