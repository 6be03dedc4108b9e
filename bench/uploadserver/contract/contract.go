// Package contract tests what every upload server does, whatever its framework.
//
//	func TestAFileIsStoredAndAnotherFormRefused(t *testing.T) { contract.Test(t, handler) }
package contract

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/filefield/filefield/bench/uploadserver/app"
	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// Test sends handler's server a file, and a form without it.
func Test(t *testing.T, handler app.Handler) {
	t.Helper()
	server := s3test.Start(t)
	bucket := server.Bucket(t)
	store, err := core.Open(core.Config{Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: core.Secret(server.SecretKey), Region: server.Region})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	served := handler(store, app.Declare(store, bucket))
	got := httptest.NewRecorder()
	served.ServeHTTP(got, upload(t, "file", "content"))
	var answer app.Stored
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code != http.StatusCreated {
		t.Fatalf("answer is %d %s, want 201 and what was stored", got.Code, got.Body)
	}
	if want := int64(len("content")); answer.Size != want || answer.Type != "text/plain" {
		t.Errorf("stored %d bytes of %s, want %d of text/plain", answer.Size, answer.Type, want)
	}
	refused := httptest.NewRecorder()
	served.ServeHTTP(refused, upload(t, "other", "x"))
	if kind := refused.Header().Get("Content-Type"); refused.Code != http.StatusUnprocessableEntity || kind != core.ProblemMediaType {
		t.Errorf("a form without the file is answered %d %s, want a problem of status 422", refused.Code, kind)
	}
	if objects, _ := s3test.Leftovers(t, server, bucket); len(objects) != 1 || objects[0] != answer.Key {
		t.Errorf("the bucket holds %q, want %s alone", objects, answer.Key)
	}
}

// upload is a form with one file.
func upload(t *testing.T, input, content string) *http.Request {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	w, err := m.CreateFormFile(input, "a.bin")
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(content)) // a bytes.Buffer takes everything
	m.Close()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/upload", &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return r
}
