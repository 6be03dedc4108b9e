package contract

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/examples/documents"
)

func showsPages(t *testing.T, program subject) {
	w := startWorld(t, program)
	posted := w.submit(t, "/documents", w.open(t, "/").form(t, "/documents").filled(
		text("title", "<b>Cat & Dog</b>"), upload("file", "cat.png", pngImage(1, 1)), upload("cover", "c.png", pngImage(1, 1))))
	posted.wantRedirect(t, "/")
	title := "<b>Cat & Dog</b>"
	failed := w.submit(t, "/documents", form(text("title", "<i>kept")))
	for _, tt := range []struct {
		name   string
		got    answer
		status int
		words  []string
		source string
	}{
		{"the page after success", w.get(t, posted.header.Get("Location"), browser...), 200, []string{title}, "&lt;b&gt;Cat &amp; Dog&lt;/b&gt;"},
		{"the first page", w.get(t, "/"), 200, []string{title, "cat.png"}, `href="/documents/1/file"`},
		{"the list", w.get(t, "/documents", browser...), 200, []string{title}, "<form"},
		{"a document", w.get(t, "/documents/1", browser...), 200, []string{title, "Save"}, `value="&lt;b&gt;Cat`},
		{"a failed form", failed, 422, []string{"This field is required.", title}, `value="&lt;i&gt;kept"`},
		{"a missing document", w.get(t, "/documents/9", browser...), 404, []string{"There is no such document."}, "<form"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.got.wantPage(t, tt.status)
			p.wantWords(t, tt.words...)
			p.wantAccessible(t)
			if !strings.Contains(string(p.body), tt.source) {
				t.Errorf("the page is\n%s\nwant %q in it", p.body, tt.source)
			}
			if tt.status >= 400 {
				p.wantAlert(t)
			}
		})
	}
	failed.wantPage(t, 422).wantAlert(t, "file")
	if got := w.objects(t); len(got) != 2 {
		t.Errorf("the buckets hold %q, want the two files of the one document", got)
	}
	foreign := w.send(t, http.MethodPost, "/documents/1/delete", urlencoded(), append(browser, "Sec-Fetch-Site", "cross-site")...)
	if foreign.status != http.StatusForbidden || len(w.list(t)) != 1 {
		t.Errorf("a form of another site is answered %d and leaves %d documents, want 403 and the one", foreign.status, len(w.list(t)))
	}
}

func changesThroughPages(t *testing.T, program subject) {
	w := startWorld(t, program)
	picture := pngImage(2, 2)
	d := w.create(t, form(text("title", "first"), upload("file", "one.txt", []byte("one")), upload("cover", "c.png", picture), upload("extra", "x.txt", []byte("x"))))
	target := path(d.ID)
	edit := func() webForm { return w.open(t, target).form(t, target) }
	if edit().input("file").required {
		t.Error("the form of a document requires a file, want the one it has to do")
	}
	w.open(t, target).wantWords(t, "one.txt is stored", "c.png is stored", "x.txt is stored")
	rest := fmt.Sprintf("cover: c.png image/png %d 2x2, extra: x.txt text/plain 1 0x0", len(picture))
	steps := []struct {
		name    string
		changes []part
		want    string
		objects int
	}{
		{"nothing is changed", nil, `1 "first" file: one.txt text/plain 3 0x0, ` + rest, 3},
		{"a title is typed", []part{text("title", "second")}, `1 "second" file: one.txt text/plain 3 0x0, ` + rest, 3},
		{"a file is chosen", []part{upload("file", "two.txt", []byte("two!"))}, `1 "second" file: two.txt text/plain 4 0x0, ` + rest, 3},
		{"the cover's box is ticked", []part{text("cover-clear", "on")}, `1 "second" file: two.txt text/plain 4 0x0, cover: none, extra: x.txt text/plain 1 0x0`, 2},
		{"the others' box is ticked", []part{text("extra-clear", "on")}, `1 "second" file: two.txt text/plain 4 0x0, cover: none`, 1},
	}
	for _, step := range steps {
		w.submit(t, target, edit().filled(step.changes...)).wantRedirect(t, target)
		w.wantDocument(t, d.ID, step.name, step.want)
		if got := w.objects(t); len(got) != step.objects {
			t.Errorf("when %s, the buckets hold %q, want %d objects", step.name, got, step.objects)
		}
	}

	failed := w.submit(t, target, edit().filled(text("title", " "), upload("file", "three.txt", []byte("three")))).wantPage(t, 422)
	failed.wantAlert(t, "title")
	failed.wantWords(t, "three.txt is kept; choose another to replace it.")
	w.wantDocument(t, d.ID, "a change has failed", `1 "second" file: two.txt text/plain 4 0x0, cover: none`)
	w.submit(t, target, failed.form(t, target).filled(text("title", "third"))).wantRedirect(t, target)
	w.wantDocument(t, d.ID, "the change is sent again", `1 "third" file: three.txt text/plain 5 0x0, cover: none`)
	if got := w.objects(t); len(got) != 1 {
		t.Errorf("the buckets hold %q, want the one file", got)
	}

	deletion := w.open(t, target).form(t, target+"/delete")
	w.submit(t, deletion.action, urlencoded()).wantRedirect(t, "/")
	w.get(t, target).wantProblem(t, http.StatusNotFound, "", "")
	if got := w.objects(t); len(got) != 0 {
		t.Errorf("after the deletion the buckets hold %q, want nothing", got)
	}
	w.submit(t, deletion.action, urlencoded()).wantPage(t, http.StatusNotFound)
}

func keepsFilesOfForms(t *testing.T, program subject) {
	w := startWorld(t, program)
	name := `a"b <i>& c.png`
	picture, photo := pngImage(3, 3), jpegImage(5, 4)
	chosen := []part{
		upload("file", name, picture), upload("cover", "cover.jpg", photo),
		upload("extra", "x.txt", []byte("x")), upload("extra", "y.txt", []byte("yy")),
	}
	first := w.open(t, "/").form(t, "/documents")
	if !first.input("file").required {
		t.Error("the empty form does not require a file")
	}
	failed := w.submit(t, "/documents", first.filled(chosen...)).wantPage(t, 422)
	failed.wantAccessible(t)
	failed.wantAlert(t, "title")
	failed.wantWords(t, name+" is kept; choose another to replace it.", "cover.jpg is kept", "x.txt, y.txt are kept; choose others to add them.")
	stored := w.objects(t)
	if len(stored) != 4 {
		t.Fatalf("after the failed form the buckets hold %q, want its four files", stored)
	}

	// The second try fails as well, in another way.
	w.create(t, form(text("title", "taken"), upload("file", "t.txt", []byte("t"))))
	f := failed.form(t, "/documents")
	if got := []int{len(f.tokens("file")), len(f.tokens("cover")), len(f.tokens("extra"))}; !slices.Equal(got, []int{1, 1, 2}) || f.input("file").required {
		t.Fatalf("the form has %d tokens and requires a file: %t; want [1 1 2] and none required", got, f.input("file").required)
	}
	failed = w.submit(t, "/documents", f.filled(text("title", "taken"))).wantPage(t, 409)
	failed.wantAlert(t, "title")
	f = failed.form(t, "/documents")
	if got := f.input("title").value; got != "taken" {
		t.Errorf("the title that came back is %q, want %q", got, "taken")
	}
	w.submit(t, "/documents", f.filled(text("title", "kept"))).wantRedirect(t, "/")
	w.wantDocument(t, 2, "the form was sent again", fmt.Sprintf(
		`2 "kept" file: %s image/png %d 3x3, cover: cover.jpg image/jpeg %d 5x4, extra: x.txt text/plain 1 0x0, extra: y.txt text/plain 2 0x0`,
		name, len(picture), len(photo)))
	var d document
	w.get(t, path(2)).decode(t, &d)
	for url, content := range map[string][]byte{d.File.URL: picture, d.Cover.URL: photo, d.Extra[0].URL: []byte("x"), d.Extra[1].URL: []byte("yy")} {
		if got := w.get(t, url); got.status != http.StatusOK || !bytes.Equal(got.body, content) {
			t.Errorf("GET %s = %d with %d bytes, want 200 with the %d bytes sent", url, got.status, len(got.body), len(content))
		}
	}
	if got := w.objects(t); len(got) != 5 {
		t.Errorf("the buckets hold %q, want the four files once, and another document's", got)
	}
	if n := w.expirePending(t); n != 0 {
		t.Errorf("%d files of documents were taken for abandoned ones", n)
	}

	// A file that was chosen in the place of a kept one is the one that counts.
	failed = w.submit(t, "/documents", first.filled(upload("file", "old.txt", []byte("old")), upload("extra", "1.txt", []byte("1")))).wantPage(t, 422)
	w.submit(t, "/documents", failed.form(t, "/documents").filled(
		text("title", "replaced"), upload("file", "new.txt", []byte("new!")), upload("extra", "2.txt", []byte("2")))).wantRedirect(t, "/")
	w.wantDocument(t, 3, "another file was chosen", `3 "replaced" file: new.txt text/plain 4 0x0, cover: none, extra: 1.txt text/plain 1 0x0, extra: 2.txt text/plain 1 0x0`)
	if got := w.objects(t); len(got) != 8 {
		t.Errorf("the buckets hold %q, want eight objects, not the one that was replaced", got)
	}

	// What arrived before a refusal is kept, too.
	failed = w.submit(t, "/documents", first.filled(text("title", "half"), upload("file", "a.txt", []byte("a")), upload("cover", "c.png", []byte("no picture")))).wantPage(t, 415)
	failed.wantAlert(t, "cover")
	w.submit(t, "/documents", failed.form(t, "/documents").filled()).wantRedirect(t, "/")
	w.wantDocument(t, 4, "the form came back without its cover", `4 "half" file: a.txt text/plain 1 0x0, cover: none`)
}

// abandon posts a form that fails and returns it as it came back.
func (w *world) abandon(t *testing.T, files ...part) webForm {
	t.Helper()
	return w.submit(t, "/documents", form(append([]part{text("title", "")}, files...)...)).wantPage(t, 422).form(t, "/documents")
}

func takesKeptFilesOnce(t *testing.T, program subject) {
	w := startWorld(t, program)
	f := w.abandon(t, upload("file", "a.txt", []byte("one after the other")))
	w.submit(t, "/documents", f.filled(text("title", "first"))).wantRedirect(t, "/")
	w.submit(t, "/documents", f.filled(text("title", "second"))).wantPage(t, 422).wantAlert(t, "file")
	w.submit(t, "/documents", f.filled(text("title", "first"))).wantPage(t, 422)
	w.wantFiles(t, 1)

	for name, title := range map[string]func(int) string{
		"with one title":   func(int) string { return "one" },
		"with many titles": func(i int) string { return fmt.Sprint("number ", i) },
	} {
		before := len(w.list(t))
		f := w.abandon(t, upload("file", "a.txt", []byte("at once")))
		statuses := make([]int, 4)
		var all sync.WaitGroup
		for i := range statuses {
			all.Go(func() { statuses[i] = w.submit(t, "/documents", f.filled(text("title", title(i)))).status })
		}
		all.Wait()
		if got := len(w.list(t)) - before; got != 1 || !slices.Contains(statuses, http.StatusSeeOther) {
			t.Errorf("sent four times at once %s, the form made %d documents with statuses %d, want one", name, got, statuses)
		}
		w.wantFiles(t, before+1)
	}

	// The tokens are good for JSON as well, once.
	f = w.abandon(t, upload("file", "a.txt", []byte("json")), upload("extra", "1.txt", []byte("1")))
	b := asJSON(map[string]any{"title": "by JSON", "file": f.tokens("file")[0], "extra": f.tokens("extra")})
	refused := asJSON(map[string]any{"title": "", "file": f.tokens("file")[0], "extra": f.tokens("extra")})
	w.send(t, http.MethodPost, "/documents", refused).wantProblem(t, 422, "title", "required")
	d := w.create(t, b)
	if got, want := d.withoutURLs(), fmt.Sprintf(`%d "by JSON" file: a.txt text/plain 4 0x0, cover: none, extra: 1.txt text/plain 1 0x0`, d.ID); got != want {
		t.Errorf("document is\n%s, want\n%s", got, want)
	}
	w.send(t, http.MethodPost, "/documents", asJSON(map[string]any{"title": "again", "file": f.tokens("file")[0]})).wantProblem(t, 422, "file", "bad_token")
	f = w.abandon(t, upload("file", "b.txt", []byte("patch")))
	change := asJSON(map[string]any{"file": f.tokens("file")[0]})
	d = w.patch(t, d.ID, change)
	if d.File.Name != "b.txt" {
		t.Errorf("after the change the file is %q, want %q", d.File.Name, "b.txt")
	}
	w.send(t, http.MethodPatch, path(1), change).wantProblem(t, 422, "file", "bad_token")
	w.wantFiles(t, 5) // of four documents, one with two
	if n := w.expirePending(t); n != 0 {
		t.Errorf("%d files of documents were taken for abandoned ones", n)
	}
}

func forgetsForms(t *testing.T, program subject) {
	w := startWorld(t, program)
	w.create(t, form(text("title", "stays"), upload("file", "a.txt", []byte("a")), upload("cover", "c.png", pngImage(1, 1))))
	before := w.state(t)
	f := w.abandon(t, upload("file", "b.txt", []byte("b")), upload("cover", "d.png", pngImage(2, 2)), upload("extra", "c.txt", []byte("c")))
	w.wantFiles(t, 5)
	if n := w.expirePending(t); n != 3 {
		t.Errorf("%d abandoned files were removed, want 3", n)
	}
	if after := w.state(t); after != before {
		t.Errorf("the app holds\n%s\nwant what it held before the form:\n%s", after, before)
	}
	back := w.submit(t, "/documents", f.filled(text("title", "too late"))).wantPage(t, 422)
	back.wantAlert(t)
	if after := w.state(t); after != before {
		t.Errorf("after a form that came too late the app holds\n%s\nwant\n%s", after, before)
	}
	w.submit(t, "/documents", back.form(t, "/documents").filled(text("title", "in time"), upload("file", "b.txt", []byte("b")))).wantRedirect(t, "/")
}

func clearsFiles(t *testing.T, program subject) {
	w := startWorld(t, program)
	picture := pngImage(2, 2)
	d := w.create(t, form(text("title", "t"), upload("file", "a.txt", []byte("a")), upload("cover", "c.png", picture)))
	for _, tt := range []struct {
		name    string
		change  body
		cleared bool
	}{
		{"an unticked box", form(text("cover-clear", "")), false},
		{"a box that says no", form(text("cover-clear", "false")), false},
		{"an unticked box in JSON", asJSON(map[string]any{"cover-clear": false}), false},
		{"the box of a required field", form(text("file-clear", "on")), false},
		{"a ticked box", form(text("cover-clear", "on")), true},
		{"a ticked box in a plain form", urlencoded("cover-clear", "1"), true},
		{"true in JSON", asJSON(map[string]any{"cover-clear": true}), true},
		{"on in JSON", asJSON(map[string]any{"cover-clear": "on"}), true},
		{"null in JSON", asJSON(map[string]any{"cover": nil}), true},
	} {
		got := w.patch(t, d.ID, tt.change)
		if cleared := got.Cover == nil; cleared != tt.cleared || got.File == nil {
			t.Errorf("%s: the document is %s, want its cover cleared: %t", tt.name, got.withoutURLs(), tt.cleared)
		}
		if tt.cleared {
			w.wantFiles(t, 1)
			w.patch(t, d.ID, form(upload("cover", "c.png", picture)))
		}
		w.wantFiles(t, 2)
	}

	// A page that was told two things asks which, and has the file for both answers.
	target := path(d.ID)
	both := w.open(t, target).form(t, target).filled(text("cover-clear", "on"), upload("cover", "n.png", pngImage(7, 7)))
	failed := w.submit(t, target, both).wantPage(t, 422)
	failed.wantAccessible(t)
	failed.wantAlert(t, "cover")
	failed.wantWords(t, "Please either submit a file or check the clear checkbox, not both.", "n.png is kept")
	w.submit(t, target, failed.form(t, target).filled(text("cover-clear", ""))).wantRedirect(t, target)
	w.wantDocument(t, d.ID, "the file was chosen", fmt.Sprintf(`1 "t" file: a.txt text/plain 1 0x0, cover: n.png image/png %d 7x7`, len(pngImage(7, 7))))
	failed = w.submit(t, target, both).wantPage(t, 422)
	w.submit(t, target, failed.form(t, target).filled(text("cover-clear", "on"))).wantRedirect(t, target)
	w.wantDocument(t, d.ID, "the box was chosen", `1 "t" file: a.txt text/plain 1 0x0, cover: none`)
	w.wantFiles(t, 1)
}

// wantDocument checks what a document has become.
func (w *world) wantDocument(t *testing.T, id int64, when, want string) {
	t.Helper()
	var d document
	w.get(t, path(id)).decode(t, &d)
	if got := d.withoutURLs(); got != want {
		t.Errorf("when %s, the document is\n%s, want\n%s", when, got, want)
	}
}

// wantFiles checks how many objects there are.
func (w *world) wantFiles(t *testing.T, want int) {
	t.Helper()
	if got := w.objects(t); len(got) != want {
		t.Errorf("the buckets hold %q, want %d objects", got, want)
	}
}

// expirePending has both buckets forget what nobody came back for, however new it is.
func (w *world) expirePending(t *testing.T) (removed int) {
	t.Helper()
	for _, name := range []string{documents.BucketDocuments, documents.BucketCovers} {
		n, err := w.store.Bucket(name).ExpirePending(t.Context(), -time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		removed += n
	}
	return removed
}
