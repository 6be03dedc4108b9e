package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// TestPhotosGoStraightToTheBucketInShort is what "make test" has of direct uploads in
// Chromium: one file in one piece and one in parts. "make test-uploads" has the rest.
func TestPhotosGoStraightToTheBucketInShort(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Short", "false")
	b.live()
	for shown, c := range []struct {
		name  string
		size  int64
		parts int
	}{{"small.png", 10 * core.KiB, 1}, {"parts.png", 12 * core.MiB, 2}} {
		g.outside.Reset()
		g.inside.Reset()
		b.pick("#photos", file(t, c.name, c.size))
		b.wait(fmt.Sprintf("%s === %d", photosShown, shown+1))
		sentOnce(t, g.outside, c.parts)
		if n := bytesTaken(g.outside); n != c.size {
			t.Errorf("%s: storage took %d bytes of the browser, want %d", c.name, n, c.size)
		}
		if n := bytesSent(g.inside); n > 64*core.KiB {
			t.Errorf("%s: the app sent %d bytes to storage, want none of the file", c.name, n)
		}
		// The newest is the first, and was made before the answer came.
		b.wait(`document.querySelector('.photo img').naturalWidth === 16`)
		if link := eval[string](b, `document.querySelector('.photo a').href`); !strings.Contains(link, "X-Amz-Signature=") {
			t.Errorf("%s: the private photo's URL is %s, want a signed one", c.name, link)
		}
	}
}

// bytesTaken are those of the requests that storage took: a busy machine may have
// broken others.
func bytesTaken(r *s3test.Recorder) (n int64) {
	for _, request := range r.Requests() {
		if request.Status/100 == 2 {
			n += max(request.ContentLength, 0)
		}
	}
	return n
}
