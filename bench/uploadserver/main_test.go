package main

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m) }

func TestWrongArgumentsAreExplained(t *testing.T) {
	t.Setenv("AK", "")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"none", nil, "usage:"},
		{"a mode there is not", []string{"fiber", "127.0.0.1:0", "127.0.0.1:9", "bench"}, `no mode "fiber"`},
		{"no credentials", []string{"nethttp", "127.0.0.1:0", "127.0.0.1:9", "bench"}, "set AK and SK"},
	} {
		if err := run(t.Context(), tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: run = %v, want an error with %q", tt.name, err, tt.want)
		}
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

func TestEveryModeStoresAFileAndRefusesAnotherForm(t *testing.T) {
	server := s3test.Start(t)
	bucket := server.Bucket(t)
	store, err := core.Open(core.Config{Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: core.Secret(server.SecretKey), Region: server.Region})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	field = store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: core.Unlimited, AllowEmpty: true})
	for mode, handler := range handlers {
		app := handler(store, field)
		got := httptest.NewRecorder()
		app.ServeHTTP(got, upload(t, "file", "content of "+mode))
		var answer stored
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code != http.StatusCreated {
			t.Fatalf("%s: answer is %d %s, want 201 and what was stored", mode, got.Code, got.Body)
		}
		if want := int64(len("content of " + mode)); answer.Size != want || answer.Type != "text/plain" {
			t.Errorf("%s: stored %d bytes of %s, want %d of text/plain", mode, answer.Size, answer.Type, want)
		}
		objects, _ := s3test.Leftovers(t, server, bucket)
		refused := httptest.NewRecorder()
		app.ServeHTTP(refused, upload(t, "other", "x"))
		if kind := refused.Header().Get("Content-Type"); refused.Code != http.StatusUnprocessableEntity || kind != core.ProblemMediaType {
			t.Errorf("%s: a form without the file is answered %d %s, want a problem of status 422", mode, refused.Code, kind)
		}
		if after, _ := s3test.Leftovers(t, server, bucket); len(after) != len(objects) || !strings.Contains(strings.Join(after, " "), answer.Key) {
			t.Errorf("%s: the bucket holds %q, want what it held before, with %s", mode, after, answer.Key)
		}
	}
}
