package browser

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/filefield/filefield/examples/contract"
	"github.com/filefield/filefield/internal/s3test"
)

// gallery is the example app, on a server of its own that browsers reach through
// the recorder outside, and the app through inside.
type gallery struct {
	*contract.App
	inside, outside *s3test.Recorder
}

func startGallery(t *testing.T) *gallery {
	t.Helper()
	program := filepath.Join(t.TempDir(), "gallery")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/filefield/filefield/examples/gallery").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s := s3test.StartOwn(t, s3test.Options{})
	g := &gallery{inside: s.Recorder(t), outside: s.Recorder(t)}
	g.App = contract.Start(t, program, t.TempDir(),
		"MINIO_ENDPOINT="+g.inside.Endpoint(), "MINIO_ACCESS_KEY="+s.AccessKey, "MINIO_SECRET_KEY="+s.SecretKey, "MINIO_REGION="+s.Region,
		"MINIO_EXTERNAL_ENDPOINT="+g.outside.Endpoint(), "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS=false")
	return g
}

// file makes a file of a size that begins as a PNG does; it takes no room.
func file(t testing.TB, name string, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	head := picture(t, 16)
	if size < int64(len(head)) {
		head = head[:size]
	}
	_, err = f.Write(head)
	if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// newAlbum has the tab make an album, and shows it.
func (g *gallery) newAlbum(b *tab, title, public string) {
	b.Helper()
	b.open(g.URL)
	eval[any](b, fmt.Sprintf(`{ title.value = %q; document.querySelector('[name=public]').checked = %s; title.form.requestSubmit(); 0 }`, title, public))
	run(b, "see the album", chromedp.WaitVisible("#photos"))
}

// live waits until the scripts of the page work.
func (b *tab) live() {
	b.Helper()
	b.wait(`document.querySelector('#upload.live')`)
}

// pick puts files into the input.
func (b *tab) pick(selector string, files ...string) {
	b.Helper()
	run(b, "choose files", chromedp.SetUploadFiles(selector, files))
}

// arrived are the requests that put bytes into storage and were answered with a
// status below 300, by part: "7", or "" for a file in one piece.
func arrived(r *s3test.Recorder) map[string]int {
	parts := map[string]int{}
	for _, request := range r.Requests() {
		if (request.Method == http.MethodPut || request.Method == http.MethodPost) && request.Status/100 == 2 {
			query, _ := url.ParseQuery(request.RawQuery)
			parts[query.Get("partNumber")]++
		}
	}
	return parts
}

// sentOnce fails the test unless each of so many parts has arrived exactly once.
func sentOnce(t *testing.T, r *s3test.Recorder, parts int) {
	t.Helper()
	got := arrived(r)
	if len(got) != parts {
		t.Errorf("%d parts have arrived, want %d: %v", len(got), parts, got)
	}
	for part, n := range got {
		if n != 1 {
			t.Errorf("part %s was sent %d times, want once", part, n)
		}
	}
}

// bytesSent are those of the requests with a body.
func bytesSent(r *s3test.Recorder) (n int64) {
	for _, request := range r.Requests() {
		n += max(request.ContentLength, 0)
	}
	return n
}

// photosShown is how many photos the page has.
const photosShown = `document.querySelectorAll('.photo').length`
