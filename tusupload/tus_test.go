package tusupload_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"path"
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
		c.TokenExpiry = time.Hour
	}))
	at := begin(t, base, 100)
	said, err := http.ParseTime(do(t, http.MethodHead, base+at, nil).Header.Get("Upload-Expires"))
	if left := time.Until(said); err != nil || left < 50*time.Minute || left > time.Hour+time.Second {
		t.Errorf("Upload-Expires is in %s, %v; want an hour", left, err)
	}
	later.Store(int64(time.Hour + time.Minute))
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

func TestAnUploadIsItsUsersAndItsFieldsOnly(t *testing.T) {
	t.Parallel()
	field := newField(t)
	other := field.Store().Field(core.FieldConfig{Name: "other", Bucket: field.Bucket().Name()})
	loggedIn := func(r *http.Request, _ core.Object) error {
		if core.SubjectFrom(r.Context()) == "" {
			return core.ErrUnauthenticated
		}
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("/tus/", nethttp.Handle(tusupload.New(field, loggedIn, tusupload.Config{})))
	mux.Handle("/other/", nethttp.Handle(tusupload.New(other, loggedIn, tusupload.Config{})))
	server := httptest.NewServer(asUser(mux))
	t.Cleanup(server.Close)
	created := do(t, http.MethodPost, server.URL+"/tus/", nil, "Upload-Length", "10", "X-User", "ann")
	at, err := created.Location()
	if err != nil {
		t.Fatal(err)
	}
	own, others := at.String(), server.URL+"/other/"+path.Base(at.Path)
	for _, method := range []string{http.MethodHead, http.MethodPatch, http.MethodDelete} {
		send := func(to string, headers ...string) *http.Response {
			if method == http.MethodPatch {
				return patch(t, to, 0, make([]byte, 10), headers...)
			}
			return do(t, method, to, nil, headers...)
		}
		wantStatus(t, method+" by nobody", send(own), 401)
		wantStatus(t, method+" by another", send(own, "X-User", "bob"), 404)
		wantStatus(t, method+" at another field", send(others, "X-User", "ann"), 404)
	}
	wantStatus(t, "the user's own piece", patch(t, own, 0, make([]byte, 10), "X-User", "ann"), 204)
}

func TestAnEmptyFileIsWholeAtOnce(t *testing.T) {
	t.Parallel()
	base := serve(t, newField(t, func(_ *core.Config, f *core.FieldConfig) { f.AllowEmpty = true }))
	created := do(t, http.MethodPost, base+"/tus", nil, "Upload-Length", "0")
	if created.StatusCode != 201 || created.Header.Get(tusupload.TokenHeader) == "" {
		t.Errorf("it is answered %d, %v", created.StatusCode, created.Header)
	}
}
