package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
)

// page is a form that comes back: what its hidden inputs and messages hold.
type page struct {
	Title string   `json:"title"`
	File  string   `json:"file"`
	Files []string `json:"files"`
	Fault string   `json:"fault"`
}

// showAgain answers with the form and keeps its files.
func showAgain(c Call, f *form, status int, fault error) error {
	p := page{Title: f.Title, Fault: fault.Error()}
	var err error
	if p.File, err = f.File.Keep(c.Context()); err != nil {
		return err
	}
	if p.Files, err = f.Files.Keep(c.Context()); err != nil {
		return err
	}
	return c.Answer(status, p)
}

// needsTitle is a handler that shows the form again until it has a title, or, with
// the title "taken", fails for another reason and keeps nothing.
func needsTitle(_ *app, c Call, f *form) error {
	switch f.Title {
	case "as before", "":
		return showAgain(c, f, http.StatusUnprocessableEntity, core.Invalid{{Field: "title", Code: "required", Message: required}})
	case "taken":
		return &core.Error{Kind: core.ErrTaken, Op: "create", Detail: "there is one of this title"}
	}
	return c.Answer(http.StatusCreated, nil)
}

func redisplay(t *testing.T, s *suite) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"its file is not sent twice", keptFiles},
		{"and a file that was kept is kept again", keptTwice},
		{"and a new file takes the kept one's place", keptAndReplaced},
		{"its list of files is not sent twice", keptLists},
		{"a kept token is good for one request", keptOnce},
		{"U19 a kept token is good for one request, of many at once", keptOnceAmongMany},
		{"a kept token is good again after a failure", keptAfterFailure},
		{"a kept file is for who sent it alone", keptForSubject},
		{"a file nobody comes back for goes", abandoned},
		{"a stored file's token may be sent often", reusable},
		{"what Uploads refuses keeps the files that were good", keptInRefusal},
		{"what Uploads refuses leaves nothing that was not kept", droppedInRefusal},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, s) })
	}
}

func keptFiles(t *testing.T, s *suite) {
	a := s.app(t, options{handler: needsTitle})
	p := newBody().text("title", "").upload("file", "a.txt", "the content").post(t, a).page(t, http.StatusUnprocessableEntity)
	first := a.saw(t).bound.File
	if !a.exists(t, first.Key()) || p.File == "" || !strings.Contains(p.Fault, required) {
		t.Fatalf("the form came back with %+v, want the message and a token of a file that is there", p)
	}
	// What a browser sends of the page: the hidden token and an empty input.
	newBody().text("title", "x").text("file", p.File).upload("file", "", "").post(t, a).want(t, http.StatusCreated, 0)
	second := a.saw(t).bound.File
	if second.Key() != first.Key() || second.Name() != "a.txt" || a.read(t, second.Key()) != "the content" {
		t.Errorf("bound %+v, want the file of the first try", second.Object())
	}
	a.holds(t, 1)
	a.wantNoClaims(t)
}

// wantNoClaims waits until nothing is left of what kept two requests apart.
func (a *app) wantNoClaims(t *testing.T) {
	t.Helper()
	waitFor(t, "the claims to be given back", func() bool {
		return len(listed(t, a.suite.client, a.prefix+".filefield-claim-")) == 0
	})
}

func keptTwice(t *testing.T, s *suite) {
	a := s.app(t, options{handler: needsTitle})
	b := newBody().upload("file", "a.txt", "the content")
	for range 3 {
		p := b.post(t, a).page(t, http.StatusUnprocessableEntity)
		a.saw(t)
		b = newBody().text("title", "").text("file", p.File).upload("file", "", "")
	}
	p := b.post(t, a).page(t, http.StatusUnprocessableEntity)
	a.saw(t)
	newBody().text("title", "x").text("file", p.File).post(t, a).want(t, http.StatusCreated, 0)
	if got := a.stored(t); a.read(t, got.Key) != "the content" {
		t.Errorf("bound %+v, want the file of the first try", got)
	}
	a.holds(t, 1)
}

func keptAndReplaced(t *testing.T, s *suite) {
	a := s.app(t, options{handler: needsTitle})
	p := newBody().upload("file", "a.txt", "old").post(t, a).page(t, http.StatusUnprocessableEntity)
	a.saw(t)
	newBody().text("title", "x").text("file", p.File).upload("file", "b.txt", "new").post(t, a).want(t, http.StatusCreated, 0)
	if got := a.stored(t); got.Name != "b.txt" || a.read(t, got.Key) != "new" {
		t.Errorf("bound %+v, want the new file", got)
	}
}

func keptLists(t *testing.T, s *suite) {
	a := s.app(t, options{handler: needsTitle})
	p := newBody().upload("files", "1.txt", "1").upload("files", "2.txt", "2").post(t, a).page(t, http.StatusUnprocessableEntity)
	a.saw(t)
	if len(p.Files) != 2 {
		t.Fatalf("the form came back with the tokens %q, want two", p.Files)
	}
	newBody().text("title", "x").text("files", p.Files[0]).text("files", p.Files[1]).upload("files", "3.txt", "3").
		post(t, a).want(t, http.StatusCreated, 0)
	var got []string
	for _, f := range a.saw(t).bound.Files {
		got = append(got, f.Name()+a.read(t, f.Key()))
	}
	if fmt.Sprint(got) != "[1.txt1 2.txt2 3.txt3]" {
		t.Errorf("bound %q, want the two of before and the new one", got)
	}
	a.holds(t, 3)
}

func keptOnce(t *testing.T, s *suite) {
	a := s.app(t, options{handler: needsTitle})
	p := newBody().upload("file", "a.txt", "x").post(t, a).page(t, http.StatusUnprocessableEntity)
	a.saw(t)
	newBody().text("title", "x").text("file", p.File).post(t, a).want(t, http.StatusCreated, 0)
	a.saw(t)
	for name, res := range map[string]*answer{
		"a multipart form":   newBody().text("title", "x").text("file", p.File).post(t, a),
		"an urlencoded form": a.postValues(t, map[string][]string{"title": {"x"}, "file": {p.File}}),
		"JSON":               a.postJSON(t, "", map[string]any{"title": "x", "file": p.File}),
	} {
		if f := res.problem.Errors; res.status != http.StatusUnprocessableEntity || len(f) != 1 || f[0].Field != "file" || f[0].Code != badToken {
			t.Errorf("in %s the second use is answered %d (%s), want 422 and the code %s", name, res.status, res.body, badToken)
		}
	}
	a.unseen(t)
	a.holds(t, 1)
}

func keptOnceAmongMany(t *testing.T, s *suite) {
	const clients = 8
	a := s.app(t, options{handler: needsTitle})
	p := newBody().upload("file", "a.txt", "x").post(t, a).page(t, http.StatusUnprocessableEntity)
	a.saw(t)
	statuses := make([]int, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { statuses[i] = newBody().text("title", "x").text("file", p.File).post(t, a).status })
	}
	wg.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[http.StatusCreated] != 1 || count[http.StatusUnprocessableEntity] != clients-1 {
		t.Errorf("the statuses are %v, want 201 once and 422 otherwise", count)
	}
	a.holds(t, 1)
	a.wantNoClaims(t)
}

func keptAfterFailure(t *testing.T, s *suite) {
	a := s.app(t, options{handler: needsTitle})
	p := newBody().upload("file", "a.txt", "x").post(t, a).page(t, http.StatusUnprocessableEntity)
	a.saw(t)
	for range 2 {
		newBody().text("title", "taken").text("file", p.File).post(t, a).want(t, http.StatusConflict, core.ErrTaken)
		a.saw(t)
	}
	// A refusal after the token was read gives it back as well.
	newBody().text("title", "x").text("file", p.File).upload("files", "a.txt", "").post(t, a).want(t, http.StatusUnprocessableEntity, core.ErrEmpty)
	newBody().text("title", "x").text("file", p.File).post(t, a).want(t, http.StatusCreated, 0)
	if got := a.stored(t); a.read(t, got.Key) != "x" {
		t.Errorf("bound %+v, want the file of the first try", got)
	}
	a.holds(t, 1)
}

func keptForSubject(t *testing.T, s *suite) {
	a := s.app(t, options{handler: needsTitle})
	post := func(user string, b *body) *answer {
		contentType, text := b.done()
		return a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {contentType}, "X-Test-User": {user}}, strings.NewReader(text))
	}
	p := post("zoe", newBody().upload("file", "a.txt", "x")).page(t, http.StatusUnprocessableEntity)
	a.saw(t)
	for _, user := range []string{"eve", "Zoe", ""} {
		post(user, newBody().text("title", "x").text("file", p.File)).wantFault(t, "file", badToken, badFile)
	}
	post("zoe", newBody().text("title", "x").text("file", p.File)).want(t, http.StatusCreated, 0)
	a.stored(t)
	a.holds(t, 1)
}

func abandoned(t *testing.T, s *suite) {
	own := s.engine.Bucket(t) // whose pending files are nobody else's
	var a *app
	keep := func(_ *app, c Call) error {
		form := c.Request().PostForm
		token, err := a.file.Verify(form.Get("file"))
		if err != nil {
			return err
		}
		kept, err := a.file.Keep(c.Context(), token.Object)
		if err != nil {
			return err
		}
		return c.Answer(http.StatusUnprocessableEntity, page{File: kept})
	}
	a = s.app(t, options{
		file: core.FieldConfig{Bucket: own}, files: core.FieldConfig{Bucket: own}, raw: keep,
	})
	row := a.keep(t, a.file, "row.txt", "of a row")
	p := newBody().upload("file", "a.txt", "x").post(t, a).page(t, http.StatusUnprocessableEntity)
	token, err := a.file.Verify(p.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age     time.Duration
		removed int
	}{{time.Hour, 0}, {-time.Minute, 1}, {-time.Minute, 0}} {
		if n, err := a.file.Bucket().ExpirePending(t.Context(), c.age); err != nil || n != c.removed {
			t.Errorf("%d pending files older than %s went (%v), want %d", n, c.age, err, c.removed)
		}
	}
	if a.exists(t, token.Object.Key) || !a.exists(t, row.Key) {
		t.Error("want the pending file gone and the row's file there")
	}
}

func reusable(t *testing.T, s *suite) {
	a := s.app(t, options{})
	token := a.file.Sign(a.keep(t, a.file, "kept.txt", "kept"), "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if res := newBody().text("file", token).post(t, a); res.status != http.StatusCreated {
				t.Errorf("status is %d (%s), want 201", res.status, res.body)
			}
		})
	}
	wg.Wait()
	a.holds(t, 1)
}

// shownAfterRefusal answers what Uploads refused with the form.
func shownAfterRefusal(_ *app, c Call, refused error) error {
	var f form
	if err := c.Bind(&f); err != nil {
		return err
	}
	return showAgain(c, &f, http.StatusUnprocessableEntity, refused)
}

func keptInRefusal(t *testing.T, s *suite) {
	a := s.app(t, options{file: core.FieldConfig{MaxNameLength: 5}, refusal: shownAfterRefusal})
	// The first file is good, the second has too long a name.
	p := newBody().text("title", "mine").upload("files", "1.txt", "1").upload("file", "test_maxlength.txt", "x").
		text("late", "never read").post(t, a).page(t, http.StatusUnprocessableEntity)
	if p.Title != "mine" || p.File != "" || len(p.Files) != 1 || !strings.Contains(p.Fault, nameAt5) {
		t.Fatalf("the form came back as %+v, want its text, the good file's token and the message", p)
	}
	a.unseen(t)
	a.holds(t, 1)
	newBody().text("title", p.Title).text("files", p.Files[0]).upload("file", "a.txt", "x").post(t, a).want(t, http.StatusCreated, 0)
	bound := a.saw(t).bound
	if len(bound.Files) != 1 || a.read(t, bound.Files[0].Key()) != "1" || bound.File.Name() != "a.txt" {
		t.Errorf("bound %+v, want the file of the first try and the new one", bound)
	}
	a.holds(t, 2)
}

func droppedInRefusal(t *testing.T, s *suite) {
	for _, status := range []int{http.StatusOK, http.StatusUnprocessableEntity, http.StatusSeeOther} {
		t.Run(fmt.Sprintf("with %d", status), func(t *testing.T) {
			a := s.app(t, options{refusal: func(_ *app, c Call, _ error) error {
				var f form
				if err := c.Bind(&f); err != nil {
					return err
				}
				if f.File.IsZero() {
					t.Error("the page could not have kept the good file")
				}
				return c.Answer(status, nil)
			}})
			contentType, text := newBody().upload("file", "a.txt", "a").upload("files", "empty.txt", "").done()
			a.sendRaw(t, contentType, nil, text).want(t, status, 0)
			a.holds(t, 0)
		})
	}
}
