package tusupload_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/tusupload"
)

func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }

func newField(t *testing.T, change ...func(*core.Config, *core.FieldConfig)) *core.Field {
	t.Helper()
	s := s3test.Start(t)
	config := core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey),
		Region: s.Region, SigningKeys: []core.Secret{"a key for tests, long enough"},
	}
	in := core.FieldConfig{Name: "file", Bucket: s.Bucket(t), MaxSize: 20 * core.MiB, Direct: core.DirectConfig{PartSize: 5 * core.MiB}}
	for _, f := range change {
		f(&config, &in)
	}
	store, err := core.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	return store.Field(in)
}

// serve is a process: each call makes a handler of its own.
func serve(t *testing.T, field *core.Field) string {
	t.Helper()
	return serveWith(t, field, tusupload.Config{})
}

func serveWith(t *testing.T, field *core.Field, config tusupload.Config) string {
	t.Helper()
	server := httptest.NewServer(nethttp.Handle(tusupload.New(field, nethttp.Anyone, config)))
	t.Cleanup(server.Close)
	return server.URL
}

func do(t *testing.T, method, to string, body []byte, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response
}

func patch(t *testing.T, to string, offset int, body []byte, headers ...string) *http.Response {
	t.Helper()
	return do(t, http.MethodPatch, to, body, append([]string{"Content-Type", "application/offset+octet-stream", "Upload-Offset", strconv.Itoa(offset)}, headers...)...)
}

func begin(t *testing.T, base string, size int) string {
	t.Helper()
	response := do(t, http.MethodPost, base+"/tus", nil, "Upload-Length", strconv.Itoa(size))
	to, err := response.Location()
	if response.StatusCode != 201 || err != nil || response.Header.Get("Upload-Expires") == "" {
		t.Fatalf("the creation is answered %d, %v, %v", response.StatusCode, err, response.Header)
	}
	return to.Path
}

func wantStatus(t *testing.T, what string, got *http.Response, want int) {
	t.Helper()
	if got.StatusCode != want {
		t.Fatalf("%s is answered %d, want %d", what, got.StatusCode, want)
	}
}

// claim takes the file that a token stands for, and returns its content.
func claim(t *testing.T, field *core.Field, text string) []byte {
	t.Helper()
	token, err := field.Verify(text)
	if err != nil {
		t.Fatal(err)
	}
	ctx, txn := core.Begin(t.Context())
	o, err := field.ClaimObject(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	return read(t, field, o.Key)
}

func read(t *testing.T, field *core.Field, key core.Key) []byte {
	t.Helper()
	stream, err := field.Bucket().Open(t.Context(), key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	content, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// noise is content of which no two pieces are alike.
func noise(size int) []byte {
	content := make([]byte, size)
	x := uint32(1)
	for i := range content {
		x = x*1664525 + 1013904223
		content[i] = byte(x >> 24)
	}
	return content
}
