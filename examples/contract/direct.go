package contract

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// ticket is what an app lets a browser send, and where.
type ticket struct {
	Method, URL, Token string
	Headers            map[string]string
}

// session opens a page and returns the cookie that a browser sends from then on.
func (a *App) session(t *testing.T) []string {
	t.Helper()
	for _, line := range a.get(t, "/", browser...).header.Values("Set-Cookie") {
		if cookie, err := http.ParseSetCookie(line); err == nil && cookie.Name == "session" && cookie.HttpOnly {
			return []string{"Cookie", cookie.Name + "=" + cookie.Value}
		}
	}
	t.Fatal("the page sets no session cookie")
	return nil
}

// direct sends a file straight to the bucket and returns its token.
func (a *App) direct(t *testing.T, session []string, field, name, mediaType string, content []byte) string {
	t.Helper()
	got := a.send(t, http.MethodPost, "/uploads/"+field, asJSON(map[string]any{"name": name, "type": mediaType, "size": len(content)}), session...)
	if got.status != http.StatusCreated {
		t.Fatalf("POST /uploads/%s = %d %s, want 201", field, got.status, got.body)
	}
	var to ticket
	got.decode(t, &to)
	r, err := http.NewRequestWithContext(t.Context(), to.Method, to.URL, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range to.Headers {
		r.Header.Set(name, value)
	}
	res, err := a.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
		t.Fatalf("%s to the bucket = %d, want 200", to.Method, res.StatusCode)
	}
	return to.Token
}

// takesDirectUploads sends files straight to the buckets.
func takesDirectUploads(t *testing.T, program subject) {
	w := startWorld(t, program)
	picture, words := pngImage(3, 2), []byte("some words")
	file := map[string]any{"name": "a.txt", "type": "text/plain", "size": len(words)}
	w.send(t, http.MethodPost, "/uploads/file", asJSON(file)).wantProblem(t, http.StatusUnauthorized, "", "")
	session := w.session(t)
	for _, tt := range []struct {
		path, name, mediaType string
		size, status          int
		field, code           string
	}{
		{"/uploads/file", "a.txt", "text/plain", 10*mib + 1, 413, "file", "too_large"},
		{"/uploads/cover", "a.txt", "text/plain", 10, 415, "cover", "type_not_accepted"},
		{"/uploads/cover", "a.png", "image/png", 0, 422, "cover", "empty"},
	} {
		w.send(t, http.MethodPost, tt.path, asJSON(map[string]any{"name": tt.name, "type": tt.mediaType, "size": tt.size}), session...).
			wantProblem(t, tt.status, tt.field, tt.code)
	}
	if got := w.send(t, http.MethodPost, "/uploads/title", asJSON(file), session...); got.status != http.StatusNotFound {
		t.Errorf("an upload of no field is answered %d, want 404", got.status)
	}
	if got := w.objects(t); len(got) != 0 {
		t.Errorf("before anything was sent the buckets hold %q", got)
	}

	fileToken := w.direct(t, session, "file", "die Katze.png", "image/png", picture)
	coverToken := w.direct(t, session, "cover", "cover.png", "", picture)
	document := asJSON(map[string]any{
		"title": "direct", "file": fileToken, "cover": coverToken, "extra": []string{w.direct(t, session, "extra", "a.txt", "text/plain", words)},
	})
	w.send(t, http.MethodPost, "/documents", document).wantProblem(t, http.StatusUnprocessableEntity, "cover", "bad_token") // another session's
	got := w.send(t, http.MethodPost, "/documents", document, session...)
	if got.status != http.StatusCreated {
		t.Fatalf("POST /documents = %d %s, want 201", got.status, got.body)
	}
	var d struct {
		ID   int64
		File struct{ URL string }
	}
	got.decode(t, &d)
	want := fmt.Sprintf(`%d "direct" file: die Katze.png image/png %d 3x2, cover: cover.png image/png %d 3x2, extra: a.txt text/plain 10 0x0`, d.ID, len(picture), len(picture))
	if list := w.list(t); len(list) != 1 || list[0].withoutURLs() != want {
		t.Errorf("the documents are %v, want %s", list, want)
	}
	if got := w.get(t, d.File.URL); !bytes.Equal(got.body, picture) {
		t.Errorf("the file's URL is answered %d with %d bytes, want those sent", got.status, len(got.body))
	}
	w.send(t, http.MethodPatch, path(d.ID), asJSON(map[string]any{"file": fileToken}), session...).wantProblem(t, http.StatusUnprocessableEntity, "file", "bad_token")
	if got := w.send(t, http.MethodDelete, path(d.ID), body{}, session...); got.status != http.StatusNoContent {
		t.Errorf("DELETE = %d %s, want 204", got.status, got.body)
	}
	left := slices.DeleteFunc(w.objects(t), func(key string) bool { return strings.Contains(key, "/.filefield-claim-") }) // which say that the tokens are spent
	if len(left) != 0 {
		t.Errorf("after the deletion the buckets hold %q, want nothing", left)
	}
}
