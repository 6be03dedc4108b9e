package contract

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
)

const mib = 1 << 20

// Run holds a program against the contract. On MinIO the program is a user with
// exactly the permissions that IAMPolicy gives for an app that makes its buckets.
func Run(t *testing.T, program string) { run(t, subject{program, core.IAMSetup}) }

// RunSetUp does the same with a program that finds its buckets made and looks at
// none when it starts; on MinIO, with the permissions for running alone.
func RunSetUp(t *testing.T, program string) { run(t, subject{program, core.IAMRun}) }

// subject is the program that is held against the contract, and what it may do.
type subject struct {
	path  string
	scope core.IAMScope
}

func run(t *testing.T, program subject) {
	for name, test := range map[string]func(*testing.T, subject){
		"keeps documents":                         keepsDocuments,
		"changes documents":                       changesDocuments,
		"takes tokens in place of files":          takesTokens,
		"takes files from the bucket":             takesDirectUploads,
		"lists documents page by page":            listsPages,
		"passes files through":                    passesFiles,
		"shows pages to browsers":                 showsPages,
		"changes and deletes through pages":       changesThroughPages,
		"keeps the files of a failed form":        keepsFilesOfForms,
		"takes a kept file once":                  takesKeptFilesOnce,
		"forgets forms nobody sends again":        forgetsForms,
		"clears files":                            clearsFiles,
		"refuses and leaves everything as it was": refuses,
		"reports and survives an outage":          survivesOutage,
		"runs on its own engine":                  runsOnItsOwn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
}

func keepsDocuments(t *testing.T, program subject) {
	w := startWorld(t, program)
	picture, photo, notes := pngImage(3, 2), jpegImage(20, 10), []byte("some notes\n")
	posted := w.send(t, http.MethodPost, "/documents", form(
		text("title", "Katze ✓"), upload("file", "die Katze.png", picture), upload("cover", "cover.jpg", photo),
		upload("extra", "a.txt", notes), upload("extra", "a.txt", []byte("more")),
	))
	var d document
	posted.decode(t, &d)
	if got, want := posted.header.Get("Location"), path(d.ID); posted.status != http.StatusCreated || got != want {
		t.Fatalf("answer is %d with Location %q, want 201 with %q", posted.status, got, want)
	}
	want := fmt.Sprintf(`%d "Katze ✓" file: die Katze.png image/png %d 3x2, cover: cover.jpg image/jpeg %d 20x10, `+
		`extra: a.txt text/plain 11 0x0, extra: a.txt text/plain 4 0x0`, d.ID, len(picture), len(photo))
	if got := d.withoutURLs(); got != want {
		t.Fatalf("document is\n%s, want\n%s", got, want)
	}
	var shown document
	w.get(t, path(d.ID)).decode(t, &shown)
	if got := shown.withoutURLs(); got != want {
		t.Errorf("shown later, the document is\n%s, want\n%s", got, want)
	}
	for url, content := range map[string][]byte{
		d.File.URL: picture, d.Cover.URL: photo, d.Extra[0].URL: notes, d.Extra[1].URL: []byte("more"),
	} {
		if got := w.get(t, url); got.status != http.StatusOK || !bytes.Equal(got.body, content) {
			t.Errorf("GET %s = %d with %d bytes, want 200 with the %d bytes sent", url, got.status, len(got.body), len(content))
		}
	}
	if strings.Contains(d.Cover.URL, "?") || !strings.Contains(d.File.URL, "X-Amz-Signature=") {
		t.Errorf("the cover is at %s, the file at %s; want a plain and a signed URL", d.Cover.URL, d.File.URL)
	}
	plain, _, _ := strings.Cut(d.File.URL, "?")
	if got := w.get(t, plain); got.status != http.StatusForbidden {
		t.Errorf("without its signature, the file's URL answers %d, want 403", got.status)
	}

	if got := w.send(t, http.MethodDelete, path(d.ID), body{}); got.status != http.StatusNoContent {
		t.Errorf("DELETE = %d %s, want 204", got.status, got.body)
	}
	if got := w.objects(t); len(got) != 0 {
		t.Errorf("after the deletion the buckets hold %q, want nothing", got)
	}
	w.get(t, path(d.ID)).wantProblem(t, http.StatusNotFound, "", "")
	w.send(t, http.MethodDelete, path(d.ID), body{}).wantProblem(t, http.StatusNotFound, "", "")
}

func changesDocuments(t *testing.T, program subject) {
	w := startWorld(t, program)
	picture := pngImage(4, 4)
	d := w.create(t, form(
		text("title", "first"), upload("file", "one.txt", []byte("one")), upload("cover", "c.png", picture),
		upload("extra", "x.txt", []byte("x")), upload("extra", "y.txt", []byte("y")),
	))
	all := fmt.Sprintf("cover: c.png image/png %d 4x4, extra: x.txt text/plain 1 0x0, extra: y.txt text/plain 1 0x0", len(picture))
	steps := []struct {
		name    string
		change  body
		want    string
		objects int
	}{
		{"a title alone", form(text("title", "second")), `1 "second" file: one.txt text/plain 3 0x0, ` + all, 4},
		{"a title in JSON", asJSON(map[string]any{"title": "third"}), `1 "third" file: one.txt text/plain 3 0x0, ` + all, 4},
		{"a new file", form(upload("file", "two.txt", []byte("three"))), `1 "third" file: two.txt text/plain 5 0x0, ` + all, 4},
		{
			"cover-clear", form(text("cover-clear", "on")),
			`1 "third" file: two.txt text/plain 5 0x0, cover: none, extra: x.txt text/plain 1 0x0, extra: y.txt text/plain 1 0x0`, 3,
		},
		{
			"other extra files", form(upload("extra", "z.txt", []byte("zz"))),
			`1 "third" file: two.txt text/plain 5 0x0, cover: none, extra: z.txt text/plain 2 0x0`, 2,
		},
		{"a cover again", form(upload("cover", "n.png", picture)), fmt.Sprintf(`1 "third" file: two.txt text/plain 5 0x0, cover: n.png image/png %d 4x4, extra: z.txt text/plain 2 0x0`, len(picture)), 3},
		{
			"null in JSON", asJSON(map[string]any{"cover": nil, "extra": nil}),
			`1 "third" file: two.txt text/plain 5 0x0, cover: none`, 1,
		},
	}
	for _, step := range steps {
		d = w.patch(t, d.ID, step.change)
		if got := d.withoutURLs(); got != step.want {
			t.Errorf("after %s the document is\n%s, want\n%s", step.name, got, step.want)
		}
		if got := w.objects(t); len(got) != step.objects {
			t.Errorf("after %s the buckets hold %q, want %d objects", step.name, got, step.objects)
		}
	}
	if got := w.get(t, d.File.URL); string(got.body) != "three" {
		t.Errorf("the new file holds %q, want %q", got.body, "three")
	}
}

func takesTokens(t *testing.T, program subject) {
	w := startWorld(t, program)
	picture := pngImage(2, 2)
	d := w.create(t, asJSON(map[string]any{
		"title": "by JSON", "file": w.token(t, w.file, "a.txt", []byte("abc")), "cover": w.token(t, w.cover, "c.png", picture),
		"extra": []string{w.token(t, w.extra, "1.txt", []byte("1")), w.token(t, w.extra, "2.txt", []byte("2"))}, "id": 99,
	}))
	want := fmt.Sprintf(`1 "by JSON" file: a.txt text/plain 3 0x0, cover: c.png image/png %d 2x2, extra: 1.txt text/plain 1 0x0, extra: 2.txt text/plain 1 0x0`, len(picture))
	if got := d.withoutURLs(); got != want {
		t.Errorf("document is\n%s, want\n%s", got, want)
	}
	d = w.create(t, urlencoded("title", "by a plain form", "file", w.token(t, w.file, "b.txt", []byte("b"))))
	if got, want := d.withoutURLs(), `2 "by a plain form" file: b.txt text/plain 1 0x0, cover: none`; got != want {
		t.Errorf("document is\n%s, want\n%s", got, want)
	}
	d = w.create(t, form(text("title", "mixed"), text("file", w.token(t, w.file, "c.txt", []byte("c"))), upload("extra", "d.txt", []byte("d"))))
	if got, want := d.withoutURLs(), `3 "mixed" file: c.txt text/plain 1 0x0, cover: none, extra: d.txt text/plain 1 0x0`; got != want {
		t.Errorf("document is\n%s, want\n%s", got, want)
	}
}

func listsPages(t *testing.T, program subject) {
	w := startWorld(t, program)
	if got := strings.TrimSpace(string(w.get(t, "/documents").body)); got != `{"documents":[],"next":null}` {
		t.Errorf("the empty list is %s, want an empty array and no next page", got)
	}
	for i := range 5 {
		w.create(t, form(text("title", fmt.Sprint("number ", i+1)), upload("file", "a.txt", []byte("a"))))
	}
	for _, tt := range []struct {
		query string
		want  []int64
		next  int64
	}{
		{"", []int64{1, 2, 3, 4, 5}, 0},
		{"?limit=2", []int64{1, 2}, 2},
		{"?limit=2&after=2", []int64{3, 4}, 4},
		{"?limit=2&after=4", []int64{5}, 0},
		{"?limit=5", []int64{1, 2, 3, 4, 5}, 0},
		{"?after=5", nil, 0},
	} {
		var page struct {
			Documents []document
			Next      int64
		}
		w.get(t, "/documents"+tt.query).decode(t, &page)
		var ids []int64
		for _, d := range page.Documents {
			ids = append(ids, d.ID)
		}
		if !slices.Equal(ids, tt.want) || page.Next != tt.next {
			t.Errorf("GET /documents%s gives %d and next %d, want %d and %d", tt.query, ids, page.Next, tt.want, tt.next)
		}
	}
	w.get(t, "/documents?limit=many").wantProblem(t, http.StatusUnprocessableEntity, "", "")
}

func passesFiles(t *testing.T, program subject) {
	w := startWorld(t, program)
	d := w.create(t, form(text("title", "t"), upload("file", "naïve résumé.txt", []byte("0123456789"))))
	target := path(d.ID) + "/file"
	whole := w.get(t, target)
	if whole.status != http.StatusOK || string(whole.body) != "0123456789" {
		t.Fatalf("GET = %d %q, want 200 and the file", whole.status, whole.body)
	}
	for name, want := range map[string]string{
		"Content-Length": "10", "Content-Type": "text/plain", "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
		"Content-Disposition": "filename*=UTF-8''na%C3%AFve%20r%C3%A9sum%C3%A9.txt",
	} {
		if got := whole.header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q in it", name, got, want)
		}
	}
	etag := whole.header.Get("ETag")
	for _, tt := range []struct {
		name, method string
		headers      []string
		status       int
		body, span   string
	}{
		{"HEAD sends no body", http.MethodHead, nil, 200, "", ""},
		{"a range", http.MethodGet, []string{"Range", "bytes=2-4"}, 206, "234", "bytes 2-4/10"},
		{"an open range", http.MethodGet, []string{"Range", "bytes=7-"}, 206, "789", "bytes 7-9/10"},
		{"a range from the end", http.MethodGet, []string{"Range", "bytes=-2"}, 206, "89", "bytes 8-9/10"},
		{"a current copy", http.MethodGet, []string{"If-None-Match", etag}, 304, "", ""},
		{"an old copy", http.MethodGet, []string{"If-None-Match", `"other"`}, 200, "0123456789", ""},
		{"a current copy by its time", http.MethodGet, []string{"If-Modified-Since", whole.header.Get("Last-Modified")}, 304, "", ""},
		{"a current copy among others, to HEAD", http.MethodHead, []string{"If-None-Match", `"other", ` + etag}, 304, "", ""},
		{"a range of a current copy", http.MethodGet, []string{"Range", "bytes=2-4", "If-Range", etag}, 206, "234", "bytes 2-4/10"},
		{"a range of an old copy", http.MethodGet, []string{"Range", "bytes=2-4", "If-Range", `"other"`}, 200, "0123456789", ""},
	} {
		got := w.send(t, tt.method, target, body{}, tt.headers...)
		if got.status != tt.status || string(got.body) != tt.body || got.header.Get("Content-Range") != tt.span {
			t.Errorf("%s: answer is %d %q with Content-Range %q, want %d %q %q",
				tt.name, got.status, got.body, got.header.Get("Content-Range"), tt.status, tt.body, tt.span)
		}
	}
	if etag == "" {
		t.Error("there is no ETag, want one")
	}
	head := w.send(t, http.MethodHead, target, body{})
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Disposition", "ETag", "Last-Modified", "Cache-Control", "Content-Security-Policy"} {
		if got, want := head.header.Get(name), whole.header.Get(name); got != want || got == "" {
			t.Errorf("to a HEAD, %s is %q, want %q as to a GET", name, got, want)
		}
	}
	w.get(t, target, "If-Match", `"other"`).wantProblem(t, http.StatusPreconditionFailed, "", "")
	w.get(t, target, "Range", "bytes=0-0,2-2").wantProblem(t, http.StatusRequestedRangeNotSatisfiable, "", "")
	w.get(t, target, "Range", "bytes=10-").wantProblem(t, http.StatusRequestedRangeNotSatisfiable, "", "")
	w.get(t, "/documents/999/file").wantProblem(t, http.StatusNotFound, "", "")
}

func refuses(t *testing.T, program subject) {
	w := startWorld(t, program)
	picture, words := pngImage(2, 2), []byte("words")
	w.create(t, form(text("title", "taken"), upload("file", "a.txt", words), upload("cover", "c.png", picture), upload("extra", "x.txt", words)))
	w.create(t, form(text("title", "other"), upload("file", "b.txt", words)))
	fileToken, coverToken := w.token(t, w.file, "t.txt", words), w.token(t, w.cover, "c.png", picture)
	extraToken := w.token(t, w.extra, "e.txt", words)
	stored, err := w.file.Verify(fileToken)
	if err != nil {
		t.Fatal(err)
	}
	foreign := *w
	foreign.declare(t, core.Config{SigningKeys: []core.Secret{"some other key of 16+ bytes"}})
	past := *w
	past.declare(t, core.Config{SigningKeys: []core.Secret{signingKey}, Now: func() time.Time { return time.Now().Add(-48 * time.Hour) }})

	good := []part{text("title", "new"), upload("file", "n.txt", words), upload("cover", "c.png", picture), upload("extra", "x.txt", words)}
	with := func(more ...part) body { return form(append(slices.Clone(good), more...)...) }
	only := func(p part) body { return form(text("title", "new"), p) }
	withFile := func(v any) body { return asJSON(map[string]any{"title": "new", "file": v}) }
	whole := with()
	tests := []struct {
		name        string
		method      string
		path        string
		body        body
		status      int
		field, code string
	}{
		{"a form that breaks off within a file", "POST", "/documents", raw(whole.mediaType, string(whole.data[:len(whole.data)-60])), 400, "", ""},
		{"a form without a boundary", "POST", "/documents", raw("multipart/form-data", "x"), 400, "", ""},
		{"broken JSON", "POST", "/documents", raw("application/json", `{"title":`), 400, "", ""},
		{"a broken plain form", "POST", "/documents", raw("application/x-www-form-urlencoded", "title=%zz"), 400, "", ""},
		{"a taken title", "POST", "/documents", form(text("title", "taken"), upload("file", "n.txt", words)), 409, "title", "taken"},
		{"a change to a taken title", "PATCH", "/documents/2", form(text("title", "taken"), upload("file", "n.txt", words)), 409, "title", "taken"},
		{"a file of more than 10 MiB", "POST", "/documents", only(upload("file", "n.txt", longer(words, 10*mib+1))), 413, "file", "too_large"},
		{"a file of more than 10 MiB, its length unsaid", "POST", "/documents", only(upload("file", "n.txt", longer(words, 10*mib+1))).withoutLength(), 413, "file", "too_large"},
		{"a cover of more than 2 MiB", "POST", "/documents", form(good[0], good[1], upload("cover", "c.png", longer(picture, 2*mib+1))), 413, "cover", "too_large"},
		{"an extra file of more than 1 MiB", "PATCH", "/documents/1", form(upload("extra", "x.txt", words), upload("extra", "x.txt", longer(words, mib+1))), 413, "extra", "too_large"},
		{"a fourth extra file", "POST", "/documents", form(good[0], good[3], good[3], good[3], good[3]), 413, "extra", "too_many"},
		{"a second file", "POST", "/documents", form(good[0], good[1], good[1]), 413, "file", "too_many"},
		{"a fourth token of extra", "POST", "/documents", asJSON(map[string]any{"title": "new", "file": fileToken, "extra": []string{extraToken, extraToken, extraToken, extraToken}}), 413, "extra", "too_many"},
		{"a request of more than 16 MiB", "POST", "/documents", with(text("more", strings.Repeat("x", 16*mib))), 413, "", ""},
		{"a request of more than 16 MiB, its length unsaid", "POST", "/documents", with(text("more", strings.Repeat("x", 16*mib))).withoutLength(), 413, "", ""},
		{"HTML named as text", "POST", "/documents", only(upload("file", "n.txt", []byte("<!doctype html><script>alert(1)</script>"))), 415, "file", "type_not_accepted"},
		{"a program named as an image", "POST", "/documents", only(upload("file", "n.png", []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00>\x00"))), 415, "file", "type_not_accepted"},
		{"text as a cover", "POST", "/documents", form(good[0], good[1], upload("cover", "c.png", words)), 415, "cover", "type_not_accepted"},
		{"a body of another kind", "POST", "/documents", raw("text/plain", "title=new"), 415, "", ""},
		{"no title", "POST", "/documents", form(good[1]), 422, "title", "required"},
		{"a title of spaces", "POST", "/documents", form(text("title", "  "), good[1]), 422, "title", "required"},
		{"a title of 201 characters", "POST", "/documents", form(text("title", strings.Repeat("ä", 201)), good[1]), 422, "title", "max_length"},
		{"a title with a null character", "POST", "/documents", form(text("title", "a\x00b"), good[1]), 422, "title", "invalid"},
		{"no file", "POST", "/documents", form(good[0], good[2]), 422, "file", "required"},
		{"no file chosen", "POST", "/documents", only(upload("file", "", nil)), 422, "file", "required"},
		{"no file in JSON", "POST", "/documents", asJSON(map[string]any{"title": "new"}), 422, "file", "required"},
		{"a file taken away", "PATCH", "/documents/1", asJSON(map[string]any{"file": nil}), 422, "file", "required"},
		{"an empty file", "POST", "/documents", only(upload("file", "n.txt", nil)), 422, "file", "empty"},
		{"a cover that is too wide", "POST", "/documents", form(good[0], good[1], upload("cover", "c.png", pngImage(4097, 1))), 422, "cover", "invalid"},
		{"a cover that is too high", "POST", "/documents", form(good[0], good[1], upload("cover", "c.png", pngImage(1, 4097))), 422, "cover", "invalid"},
		{"an input the form does not have", "POST", "/documents", with(upload("avatar", "n.txt", words)), 422, "avatar", "invalid"},
		{"text in the place of a file", "POST", "/documents", form(good[0], text("file", "n.txt")), 422, "file", "bad_token"},
		{"a key in the place of a file", "POST", "/documents", urlencoded("title", "new", "file", stored.Object.Key.String()), 422, "file", "bad_token"},
		{"a key in JSON", "POST", "/documents", withFile(stored.Object.Key.String()), 422, "file", "bad_token"},
		{"an object in JSON", "POST", "/documents", withFile(map[string]any{"name": "a.txt", "key": stored.Object.Key.String()}), 422, "file", "bad_token"},
		{"a token of another field", "POST", "/documents", withFile(coverToken), 422, "file", "bad_token"},
		{"a token signed with another key", "POST", "/documents", withFile(foreign.file.Sign(stored.Object, "")), 422, "file", "bad_token"},
		{"an expired token", "POST", "/documents", withFile(past.file.Sign(stored.Object, "")), 422, "file", "bad_token"},
		{"a token of someone else", "POST", "/documents", withFile(w.file.Sign(stored.Object, "ann")), 422, "file", "bad_token"},
		{"a token with one letter changed", "POST", "/documents", withFile(tampered(fileToken)), 422, "file", "bad_token"},
		{"a new cover and none", "PATCH", "/documents/1", form(text("cover-clear", "on"), upload("cover", "n.png", picture)), 422, "cover", "contradiction"},
		{"none and a new cover", "PATCH", "/documents/1", form(upload("cover", "n.png", picture), text("cover-clear", "on")), 422, "cover", "contradiction"},
		{"a new cover and none in JSON", "PATCH", "/documents/1", asJSON(map[string]any{"cover": coverToken, "cover-clear": true}), 422, "cover", "contradiction"},
		{"a title that is a number", "PATCH", "/documents/1", asJSON(map[string]any{"title": 1}), 422, "title", "invalid"},
		{"a change to a missing document", "PATCH", "/documents/999", with(), 404, "", ""},
		{"a missing document", "GET", "/documents/999", body{}, 404, "", ""},
		{"an id that is none", "GET", "/documents/first", body{}, 404, "", ""},
		{"the deletion of a missing document", "DELETE", "/documents/999", body{}, 404, "", ""},
	}
	before := w.state(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.send(t, tt.method, tt.path, tt.body).wantProblem(t, tt.status, tt.field, tt.code)
			if after := w.state(t); after != before {
				t.Errorf("the app holds\n%s\nwant what it held before:\n%s", after, before)
			}
		})
	}
}

// tampered changes a letter in the middle of a token.
func tampered(token string) string {
	i := len(token) / 2
	letter := "A"
	if token[i] == 'A' {
		letter = "B"
	}
	return token[:i] + letter + token[i+1:]
}

func survivesOutage(t *testing.T, program subject) {
	w := startWorld(t, program)
	document := form(text("title", "after"), upload("file", "a.txt", []byte("a")))
	for _, probe := range []string{"/healthz", "/readyz"} {
		if got := w.get(t, probe); got.status != http.StatusOK {
			t.Errorf("GET %s = %d, want 200", probe, got.status)
		}
	}
	before := w.state(t)
	w.s3.Stop()
	ready := w.get(t, "/readyz")
	ready.wantProblem(t, http.StatusServiceUnavailable, "", "")
	for _, secret := range []string{w.s3.Endpoint, w.s3.AccessKey, w.s3.SecretKey} {
		if strings.Contains(string(ready.body), secret) {
			t.Errorf("the readiness probe tells %q: %s", secret, ready.body)
		}
	}
	if got := w.get(t, "/healthz"); got.status != http.StatusOK {
		t.Errorf("during the outage, GET /healthz = %d, want 200", got.status)
	}
	w.send(t, http.MethodPost, "/documents", document).wantProblem(t, http.StatusServiceUnavailable, "", "")
	w.s3.Restart()
	if after := w.state(t); after != before {
		t.Errorf("after the outage the app holds\n%s\nwant what it held before:\n%s", after, before)
	}
	w.create(t, document)
	if got := w.get(t, "/readyz"); got.status != http.StatusOK {
		t.Errorf("after the outage, GET /readyz = %d, want 200", got.status)
	}
}

// runsOnItsOwn stops an app with an engine inside it in the middle of an upload,
// and starts it again on the same data.
func runsOnItsOwn(t *testing.T, program subject) {
	dir := t.TempDir()
	a := Start(t, program.path, dir)
	b := form(text("title", "kept"), upload("file", "a.txt", longer([]byte("text"), 6*mib)))
	got := a.sendWhileStopping(t, b)
	if got.status != http.StatusCreated {
		t.Fatalf("the upload during the stop is answered %d %s, want 201", got.status, got.body)
	}
	a.WaitEnd(t)

	again := Start(t, program.path, dir)
	list := again.list(t)
	if len(list) != 1 {
		t.Fatalf("after the restart there are %d documents, want 1", len(list))
	}
	if got := again.get(t, list[0].File.URL); !bytes.Equal(got.body, longer([]byte("text"), 6*mib)) {
		t.Errorf("after the restart the file has %d bytes (status %d), want the %d sent", len(got.body), got.status, 6*mib)
	}
	again.Terminate(t)
	again.WaitEnd(t)
}

// sendWhileStopping posts a document, and asks the app to stop when half of it
// has been sent.
func (a *App) sendWhileStopping(t *testing.T, b body) answer {
	t.Helper()
	reader, writer := io.Pipe()
	handling := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(handling) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL+"/documents", reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", b.mediaType)
	r.Header.Set("Expect", "100-continue") // tells when the app has begun to read
	sent := make(chan error, 1)
	go func() {
		half := len(b.data) / 2
		_, err := writer.Write(b.data[:half])
		<-handling
		a.Terminate(t)
		a.waitClosed()
		if err == nil {
			_, err = writer.Write(b.data[half:])
		}
		writer.Close()
		sent <- err
	}()
	resp, err := a.client.Do(r)
	if err != nil {
		t.Fatalf("POST /documents while the app stops: %v", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if sendErr := <-sent; err != nil || sendErr != nil {
		t.Fatalf("POST /documents while the app stops: %v, %v", err, sendErr)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: data}
}

// waitClosed returns when the app takes no new connections.
func (a *App) waitClosed() {
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL, "http://"))
		if err != nil {
			return
		}
		conn.Close()
	}
}
