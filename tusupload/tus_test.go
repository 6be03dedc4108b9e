package tusupload_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

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
	server := httptest.NewServer(nethttp.Handle(tusupload.New(field, nethttp.Anyone, tusupload.Config{})))
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

func TestAFileInPiecesIsCarriedOnByAnotherProcess(t *testing.T) {
	t.Parallel()
	field := newField(t)
	one, two := serve(t, field), serve(t, field)
	content := bytes.Repeat([]byte("0123456789abcdef"), 13<<16)
	at := begin(t, one, len(content))
	wantStatus(t, "the first piece", patch(t, one+at, 0, content[:6_000_000]), 204)
	wantStatus(t, "a wrong offset", patch(t, two+at, 7, content[7:]), 409)
	head := do(t, http.MethodHead, two+at, nil)
	if got := head.Header.Get("Upload-Offset"); got != "6000000" {
		t.Fatalf("the offset is %q, want 6000000", got)
	}
	wrong := "sha1 " + base64.StdEncoding.EncodeToString(make([]byte, sha1.Size))
	wantStatus(t, "a piece with a wrong checksum", patch(t, two+at, 6_000_000, make([]byte, 6_000_000), "Upload-Checksum", wrong), 460)
	wantStatus(t, "a short piece after it", patch(t, one+at, 6_000_000, content[6_000_000:6_000_100]), 204)
	rest := content[6_000_100:]
	sum := sha1.Sum(rest)
	last := patch(t, one+at, 6_000_100, rest, "Upload-Checksum", "sha1 "+base64.StdEncoding.EncodeToString(sum[:]))
	wantStatus(t, "the last piece", last, 204)
	again := do(t, http.MethodHead, two+at, nil)
	if again.Header.Get(tusupload.TokenHeader) == "" {
		t.Error("a HEAD after the end brings no token")
	}
	token, err := field.Verify(last.Header.Get(tusupload.TokenHeader))
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
	stream, err := field.Bucket().Open(t.Context(), o.Key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	body, err := io.ReadAll(stream)
	if err != nil || !bytes.Equal(body, content) {
		t.Errorf("the file has %d bytes, %v; want the %d sent", len(body), err, len(content))
	}
}

func TestATerminatedUploadIsGone(t *testing.T) {
	t.Parallel()
	base := serve(t, newField(t))
	at := begin(t, base, 100)
	wantStatus(t, "a piece", patch(t, base+at, 0, make([]byte, 10)), 204)
	wantStatus(t, "the termination", do(t, http.MethodDelete, base+at, nil), 204)
	wantStatus(t, "a HEAD after it", do(t, http.MethodHead, base+at, nil), 404)
	wantStatus(t, "a file that is too long", do(t, http.MethodPost, base+"/tus", nil, "Upload-Length", "99999999999"), 413)
	wantStatus(t, "a forged upload", do(t, http.MethodHead, base+"/tus/forged", nil), 404)
}

func TestAnUploadThatHasExpiredIsAnswered410(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	base := serve(t, newField(t, func(c *core.Config, _ *core.FieldConfig) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}))
	at := begin(t, base, 100)
	later.Store(int64(25 * time.Hour))
	wantStatus(t, "a HEAD", do(t, http.MethodHead, base+at, nil), 410)
	wantStatus(t, "a piece", patch(t, base+at, 0, make([]byte, 10)), 410)
}

func TestWhatTheFieldDoesNotTakeIsRemovedAtItsEnd(t *testing.T) {
	t.Parallel()
	field := newField(t, func(_ *core.Config, f *core.FieldConfig) { f.Accept = core.Images })
	base := serve(t, field)
	page := []byte("<html><script>alert(1)</script>")
	at := begin(t, base, len(page))
	wantStatus(t, "the last piece", patch(t, base+at, 0, page), 415)
	wantStatus(t, "a HEAD after it", do(t, http.MethodHead, base+at, nil), 404)
}

func TestAnotherUsersUploadIsNotFound(t *testing.T) {
	t.Parallel()
	handler := nethttp.Handle(tusupload.New(newField(t), nethttp.Anyone, tusupload.Config{}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(core.WithSubject(r.Context(), r.Header.Get("X-User"))))
	}))
	t.Cleanup(server.Close)
	created := do(t, http.MethodPost, server.URL+"/tus", nil, "Upload-Length", "10", "X-User", "ann")
	at, err := created.Location()
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "another's HEAD", do(t, http.MethodHead, at.String(), nil, "X-User", "bob"), 404)
	wantStatus(t, "the user's own", do(t, http.MethodHead, at.String(), nil, "X-User", "ann"), 200)
}

func TestAnEmptyFileIsWholeAtOnce(t *testing.T) {
	t.Parallel()
	base := serve(t, newField(t, func(_ *core.Config, f *core.FieldConfig) { f.AllowEmpty = true }))
	created := do(t, http.MethodPost, base+"/tus", nil, "Upload-Length", "0")
	if created.StatusCode != 201 || created.Header.Get(tusupload.TokenHeader) == "" {
		t.Errorf("it is answered %d, %v", created.StatusCode, created.Header)
	}
}
