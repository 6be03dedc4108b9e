package tusupload_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/tusupload"
)

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
	if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes; want the %d sent", len(got), len(content))
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
