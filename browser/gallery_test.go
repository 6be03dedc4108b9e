//go:build uploads

package browser

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/filefield/filefield/core"
)

// photoField is where the gallery's public photos are sent.
const photoField = "/uploads/public_photos"

const statuses = `[...document.querySelectorAll('.filefield-status')].map(s => s.textContent).join('; ')`

func TestPhotosOfAnySizeGoStraightToTheBucket(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Sizes", "true")
	b.live()
	for i, c := range []struct {
		name  string
		size  int64
		parts int
	}{{"small.png", 10 * core.KiB, 1}, {"middle.png", 20 * core.MiB, 3}, {"large.png", 300 * core.MiB, 38}} {
		g.outside.Reset()
		g.inside.Reset()
		b.pick("#photos", file(t, c.name, c.size))
		b.wait(fmt.Sprintf("%s === %d", photosShown, i+1))
		if c.parts == 1 {
			if got := arrived(g.outside); got[""] != 1 || len(got) != 1 {
				t.Errorf("%s: what arrived is %v, want one request", c.name, got)
			}
		} else {
			sentOnce(t, g.outside, c.parts)
		}
		if n := bytesSent(g.outside); n != c.size {
			t.Errorf("%s: browsers sent %d bytes to storage, want %d", c.name, n, c.size)
		}
		if n := bytesSent(g.inside); n > 64*core.KiB {
			t.Errorf("%s: the app sent %d bytes to storage, want none of the file", c.name, n)
		}
	}
}

func TestAnEmptyPhotoIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Empty", "true")
	b.live()
	g.outside.Reset()
	b.pick("#photos", file(t, "empty.png", 0))
	b.wait(statuses + `.includes('empty')`)
	if n := g.outside.Count(""); n != 0 {
		t.Errorf("storage was asked %d times, want not at all: %+v", n, g.outside.Requests())
	}
	// The app's answer does not rest on the script's.
	if status, detail := ask(b, photoField, `{name: 'a.png', size: 0, type: 'image/png'}`); status != 422 || !strings.Contains(detail, "empty") {
		t.Errorf("the app answers %d %q, want 422 and that the file is empty", status, detail)
	}
}

// ask has the page's script ask the app for a place for a file.
func ask(b *tab, path, body string) (status int, detail string) {
	b.Helper()
	answer := eval[string](b, fmt.Sprintf(
		`fetch(%q, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(%s)}).then(async r => r.status + ' ' + ((await r.json()).detail ?? ''))`, path, body))
	text, detail, _ := strings.Cut(answer, " ")
	status, _ = strconv.Atoi(text)
	return status, detail
}

func TestAWrongTypeIsRefusedBeforeAndAfterTheBytes(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Types", "true")
	b.live()
	g.outside.Reset()
	notes := filepath.Join(t.TempDir(), "notes.txt")
	fake := filepath.Join(t.TempDir(), "fake.png")
	if err := errors.Join(os.WriteFile(notes, []byte("notes"), 0o600), os.WriteFile(fake, []byte("<html>no image</html>"), 0o600)); err != nil {
		t.Fatal(err)
	}
	b.pick("#photos", notes)
	b.wait(statuses + `.includes('not taken')`)
	// A page that does not look itself gets the app's words.
	eval[any](b, `{ document.querySelectorAll('.filefield-remove').forEach(r => r.click()); photos.accept = ''; 0 }`)
	b.pick("#photos", notes)
	b.wait(statuses + `.includes('text/plain are not accepted')`)
	if n := g.outside.Count(""); n != 0 {
		t.Errorf("storage was asked %d times before the type was known to be right: %+v", n, g.outside.Requests())
	}
	eval[any](b, `{ document.querySelectorAll('.filefield-remove').forEach(r => r.click()); 0 }`)
	b.pick("#photos", fake)
	b.wait(statuses + `.includes('not accepted')`)
	if n := g.outside.Count(http.MethodPut); n != 1 {
		t.Errorf("the file was sent %d times, want once: its content decides", n)
	}
	if n := eval[int](b, photosShown); n != 0 {
		t.Errorf("the album shows %d photos, want none", n)
	}
}

func TestATooLargePhotoIsRefusedBeforeTheBytes(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Large", "true")
	b.live()
	g.outside.Reset()
	large := file(t, "large.png", 513*core.MiB)
	b.pick("#photos", large)
	b.wait(statuses + `.includes('512 MiB')`)
	eval[any](b, `{ document.querySelectorAll('.filefield-remove').forEach(r => r.click()); document.querySelector('filefield-upload').removeAttribute('max-size'); 0 }`)
	b.pick("#photos", large)
	b.wait(statuses + `.includes('larger than')`)
	if n := g.outside.Count(""); n != 0 {
		t.Errorf("storage was asked %d times, want not at all: %+v", n, g.outside.Requests())
	}
}

// partOf returns the number of the part that a request sends, or "".
func partOf(r *http.Request) string {
	if r.Method != http.MethodPut {
		return ""
	}
	return r.URL.Query().Get("partNumber")
}

func TestACutConnectionIsResumedAndNoPartIsSentTwice(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Cuts", "true")
	b.live()
	g.outside.Reset()
	var seen, cuts atomic.Int64
	g.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if n := seen.Add(1); partOf(r) == "" || n < 10 || n > 14 {
			return false
		}
		cuts.Add(1)
		_, _ = r.Body.Read(make([]byte, 64*core.KiB))
		panic(http.ErrAbortHandler) // the connection breaks in the middle of the part
	})
	b.pick("#photos", file(t, "cut.png", 120*core.MiB))
	b.wait(photosShown + " === 1")
	if cuts.Load() == 0 {
		t.Error("no connection was cut")
	}
	sentOnce(t, g.outside, 15)
}

func TestAReloadedPageGoesOnWithTheParts(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Reload", "true")
	b.live()
	g.outside.Reset()
	var seen atomic.Int64
	stuck, gone := make(chan struct{}, 100), make(chan struct{})
	g.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-gone:
			return false
		default:
		}
		if partOf(r) == "" || seen.Add(1) <= 6 {
			return false
		}
		stuck <- struct{}{}
		<-gone // it never arrives
		panic(http.ErrAbortHandler)
	})
	path := file(t, "reload.png", 100*core.MiB)
	b.pick("#photos", path)
	for range 3 { // as many as the script sends at a time
		<-stuck
	}
	run(b, "reload", chromedp.Reload())
	close(gone)
	b.live()
	b.wait(`document.querySelector('.filefield-interrupted')?.textContent.includes('reload.png')`)
	keepShot(b, "gallery-interrupted")
	b.pick("#photos", path)
	b.wait(photosShown + " === 1")
	sentOnce(t, g.outside, 13)
}

func TestPauseAndResumeByHand(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	g.newAlbum(b, "Pause", "true")
	b.live()
	g.outside.Reset()
	stuck, gone := make(chan struct{}, 100), make(chan struct{})
	var seen atomic.Int64
	g.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-gone:
			return false
		default:
		}
		if partOf(r) == "" || seen.Add(1) <= 3 {
			return false
		}
		stuck <- struct{}{}
		<-gone
		panic(http.ErrAbortHandler)
	})
	b.pick("#photos", file(t, "pause.png", 60*core.MiB))
	for range 3 {
		<-stuck
	}
	eval[any](b, `{ const p = document.querySelector('.filefield-pause'); p.focus(); p.click(); 0 }`)
	b.wait(statuses + `.includes('Paused')`)
	keepShot(b, "gallery-paused")
	close(gone)
	eval[any](b, `{ document.querySelector('.filefield-pause').click(); 0 }`)
	b.wait(photosShown + " === 1")
	sentOnce(t, g.outside, 8)
}

func TestWithoutJavaScriptTheFormStillWorks(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	run(b, "switch scripts off", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.open(g.URL)
	run(b, "title", chromedp.SendKeys("#title", "Plain"))
	run(b, "create", chromedp.Click(".new button"))
	run(b, "see the album", chromedp.WaitVisible("#photos"))
	if n := run(b, "look for scripts", chromedp.Evaluate[int](`document.querySelectorAll('#upload.live').length`)); n != 0 {
		t.Fatal("scripts run although they are switched off")
	}
	b.pick("#photos", file(t, "one.png", 10*core.KiB), file(t, "two.png", 20*core.KiB))
	keepShot(b, "gallery-no-javascript")
	run(b, "upload", chromedp.Click("#upload > .primary"))
	run(b, "see the photo", chromedp.WaitVisible(".photo"))
	if n := run(b, "count photos", chromedp.Evaluate[int](photosShown)); n != 2 {
		t.Errorf("the album shows %d photos, want 2", n)
	}
}

func TestPrivateAlbumsAreTheirOwnersAlone(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b, other := newTab(t), newTab(t)
	g.newAlbum(b, "Mine", "false")
	b.live()
	b.pick("#photos", file(t, "mine.png", 10*core.KiB))
	b.wait(photosShown + " === 1")
	link := eval[string](b, `document.querySelector('.photo a').href`)
	if !strings.Contains(link, "X-Amz-Signature=") {
		t.Errorf("the photo's URL is %s, want a signed one", link)
	}
	album := eval[string](b, `location.href`)
	other.open(g.URL)
	if body := eval[string](other, fmt.Sprintf(`fetch(%q).then(r => String(r.status))`, album)); body != "404" {
		t.Errorf("others get %s, want 404", body)
	}
	eval[any](b, `{ document.querySelector('.delete').click(); 0 }`)
	b.wait(photosShown + " === 0")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("the deleted photo's file is answered with %d, want 404", answer.StatusCode)
	}
}

// keepShot keeps what the tab shows, where FILEFIELD_SCREENSHOTS names a folder.
func keepShot(b *tab, name string) {
	b.Helper()
	dir := os.Getenv(shotsVar)
	if dir == "" {
		return
	}
	shot := run(b, "take a picture", chromedp.CaptureScreenshot())
	if err := errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o600)); err != nil {
		b.Fatal(err)
	}
}

// scheme has pages be shown to those who like them "dark", or "light".
func scheme(b *tab, value string) {
	b.Helper()
	run(b, "colours", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
		})
		return err
	}))
}

func TestTheGalleryFitsScreensAndScrollsOn(t *testing.T) {
	t.Parallel()
	g := startGallery(t)
	b := newTab(t)
	run(b, "size", chromedp.EmulateViewport(1280, 900))
	g.newAlbum(b, "Summer in the hills", "true")
	b.live()
	var files []string
	for i := range 30 {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("hill-%02d.png", i))
		if err := os.WriteFile(path, landscape(t, i), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	b.pick("#photos", files...)
	b.wait(photosShown + " === 30")
	album := eval[string](b, `location.href`)
	g.newAlbum(b, "Family", "false")
	b.live()
	b.pick("#photos", files[3:6]...)
	b.wait(photosShown + " === 3")
	for _, size := range []struct {
		name          string
		width, height int64
		options       []chromedp.EmulateViewportOption
	}{{"desktop", 1280, 900, nil}, {"phone", 390, 844, []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateScale(2)}}} {
		for _, colours := range []string{"light", "dark"} {
			run(b, "size", chromedp.EmulateViewport(size.width, size.height, size.options...))
			scheme(b, colours)
			name := "-" + size.name + "-" + colours
			b.open(g.URL)
			b.wait(allShown)
			keepShot(b, "gallery-home"+name)
			b.open(album)
			b.live()
			b.wait(`[...document.images].slice(0, 8).every(i => !i.src || i.complete)`)
			keepShot(b, "gallery-album"+name)
			if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(size.width) {
				t.Errorf("%s: the page is %d wide, want at most %d", name, wide, size.width)
			}
			if n := eval[int](b, photosShown); n > 24 && size.name == "phone" {
				t.Logf("%s: %d photos at once", name, n)
			}
			eval[any](b, `{ scrollTo(0, document.body.scrollHeight); 0 }`)
			b.wait(photosShown + " === 30 && !document.getElementById('more')")
			eval[any](b, `{ scrollTo(0, 0); document.querySelector('.photo a').click(); 0 }`)
			b.wait(`lightbox.open && lightbox.querySelector('img').complete && lightbox.querySelector('img').naturalWidth > 0`)
			showsVariants(b)
			keepShot(b, "gallery-lightbox"+name)
			run(b, "next", chromedp.KeyEvent("\u0303")) // the right arrow
			run(b, "close", chromedp.KeyEvent("\u001b"))
			b.wait(`!lightbox.open`)
		}
	}
	progressShots(g, b, album)
}

// showsVariants checks that no original is shown, in the grid or the lightbox, and
// that one can be saved.
func showsVariants(b *tab) {
	b.Helper()
	if got := eval[string](b, `[...document.querySelectorAll('.photo img')].map(i => i.src).find(s => !s.includes('/thumb-')) ?? ''`); got != "" {
		b.Errorf("the grid shows %s, want thumbnails", got)
	}
	if got := eval[string](b, `lightbox.querySelector('img').src`); !strings.Contains(got, "-large.jpg") {
		b.Errorf("the lightbox shows %s, want the large variant", got)
	}
	if got := eval[string](b, `lightbox.querySelector('a').href`); !strings.Contains(got, "response-content-disposition=attachment") || !strings.Contains(got, "X-Amz-Signature") {
		b.Errorf("what is downloaded is %s, want the original, signed, as an attachment", got)
	}
}

// progressShots are of files on their way, and of one that is refused.
func progressShots(g *gallery, b *tab, album string) {
	b.Helper()
	gone := make(chan struct{})
	defer close(gone)
	g.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		number, _ := strconv.Atoi(partOf(r))
		if number < 4 {
			return false
		}
		<-gone
		panic(http.ErrAbortHandler)
	})
	files := []string{file(b, "a-very-long-name-of-a-panorama-of-the-whole-valley.png", 70*core.MiB), file(b, "second.png", 90*core.MiB), file(b, "empty.png", 0)}
	for _, size := range []struct {
		name          string
		width, height int64
		colours       string
	}{{"desktop", 1280, 900, "light"}, {"phone", 390, 844, "dark"}} {
		run(b, "size", chromedp.EmulateViewport(size.width, size.height))
		scheme(b, size.colours)
		b.open(album)
		b.live()
		b.pick("#photos", files...)
		b.wait(`[...document.querySelectorAll('filefield-upload progress')].filter(p => p.value > 20).length === 2`)
		keepShot(b, "gallery-progress-"+size.name)
		eval[any](b, `{ document.querySelectorAll('.filefield-remove').forEach(r => r.click()); 0 }`)
	}
}
