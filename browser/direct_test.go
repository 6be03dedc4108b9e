//go:build uploads

package browser

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/filefield/filefield/core"
)

const (
	states  = `[...document.querySelectorAll('filefield-upload li')].map(e => e.dataset.state).join(' ')`
	said    = `[...document.querySelectorAll('.filefield-status')].map(e => e.textContent).join(' | ')`
	ready   = `customElements.get('filefield-upload') && document.querySelector('.filefield-list')`
	percent = `document.querySelector('filefield-upload progress').value`
)

// click clicks an element as a user does.
func (b *tab) click(selector string) {
	b.Helper()
	run(b, "click "+selector, chromedp.Click(selector))
}

// save sends the form and checks how many files the app took.
func (b *tab) save(want int) {
	b.Helper()
	b.click("#save")
	run(b, "wait for the answer", chromedp.WaitVisible("#saved"))
	if got := eval[string](b, `document.querySelector('#saved').textContent`); got != strconv.Itoa(want) {
		b.Errorf("the app took %s files, want %d", got, want)
	}
}

func TestFilesGoStraightToTheBucket(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB, MaxFiles: 3})
	dir := t.TempDir()
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	b.choose(writeFile(t, dir, "small.txt", 10<<10), writeFile(t, dir, "large.txt", 20<<20), writeFile(t, dir, "empty.txt", 0))
	b.wait(states + ` == 'done done failed'`)
	if got := eval[string](b, `document.querySelectorAll('.filefield-status')[2].textContent`); got != "The file is empty." {
		t.Errorf("the empty file's row says %q", got)
	}
	b.save(2)
	if got := a.stored(); got["small.txt"] != 10<<10 || got["large.txt"] != 20<<20 {
		t.Errorf("the app has %v", got)
	}
	if got := a.arrivedParts(); len(got) != 4 {
		t.Errorf("the parts %v arrived, want 4", got)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes > 64<<10 {
		t.Errorf("the app was sent %d bytes, want those of JSON and forms alone", a.bytes)
	}
	for _, r := range a.inside.Requests() {
		if r.Method == http.MethodPut && r.ContentLength > 4<<10 {
			t.Errorf("the app sent storage %d bytes by %s", r.ContentLength, r.Path)
		}
	}
}

// drag carries out a step of a drag of files over an element, as the system's file
// manager does: the browser itself makes the File objects.
func (b *tab) drag(step input.DispatchDragEventType, selector string, files ...string) {
	b.Helper()
	type point struct{ X, Y float64 }
	at := eval[point](b, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return {X: r.x + r.width / 2, Y: r.y + r.height / 2} })()`, selector))
	run(b, string(step), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, input.DispatchDragEvent, input.DispatchDragEventParams{
			Type: step, X: at.X, Y: at.Y, Data: &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: 1},
		})
		return err
	}))
}

func TestFilesThatAreDroppedAreSent(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB, MaxFiles: 3})
	dir := t.TempDir()
	files := []string{writeFile(t, dir, "small.txt", 10<<10), writeFile(t, dir, "large.txt", 12<<20), writeFile(t, dir, "empty.txt", 0)}
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	const over = `document.querySelector('filefield-upload').hasAttribute('data-drag')`
	b.drag(input.DispatchDragEventTypeDragEnter, "filefield-upload", files...)
	b.drag(input.DispatchDragEventTypeDragOver, "filefield-upload", files...)
	b.wait(over)
	b.drag(input.DispatchDragEventTypeDragOver, "#save", files...) // away again
	b.wait("!" + over)
	b.drag(input.DispatchDragEventTypeDragOver, "filefield-upload", files...) // this one enters
	b.drag(input.DispatchDragEventTypeDragOver, "filefield-upload", files...)
	b.wait(over)
	b.drag(input.DispatchDragEventTypeDrop, "filefield-upload", files...)
	b.wait(states + ` == 'done done failed'`)
	if eval[bool](b, over) {
		t.Error("the element looks as if files were still over it")
	}
	b.save(2)
	if got := a.stored(); got["small.txt"] != 10<<10 || got["large.txt"] != 12<<20 {
		t.Errorf("the app has %v", got)
	}
	onceEach(t, a, 3)
}

func TestAFileGoesWithItsChecksumAndIsRefusedIfItIsDamaged(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB, MaxFiles: 2})
	dir := t.TempDir()
	small, long := writeFile(t, dir, "small.txt", 1), writeFile(t, dir, "long.txt", 3<<20+7) // of more than one slice
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	b.choose(small, long)
	b.wait(states + ` == 'done done'`)
	want := map[int64]string{}
	for _, path := range []string{small, long} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
		want[int64(len(content))] = base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
	}
	for _, r := range a.outside.Requests() {
		if got := r.Header.Get("X-Amz-Checksum-Crc32c"); r.Method == http.MethodPut && got != want[r.ContentLength] {
			t.Errorf("%d bytes went with the checksum %q, want %q", r.ContentLength, got, want[r.ContentLength])
		}
	}
	b.save(2)
	before := left(t, a.field)

	a.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			content, _ := io.ReadAll(r.Body)
			content[len(content)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(content))
		}
		return false
	})
	b.open(a.URL)
	b.wait(ready)
	b.choose(writeFile(t, dir, "damaged.txt", 10<<10))
	b.wait(states + ` == 'failed'`)
	if got := eval[string](b, said); got != "Storage did not take the file." {
		t.Errorf("the page says %q", got)
	}
	if got := left(t, a.field); !slices.Equal(got, before) {
		t.Errorf("the bucket has %q, want %q", got, before)
	}
}

// left are the objects of the bucket, without the markers that keep an upload from
// being taken twice.
func left(t *testing.T, f *core.Field) (keys []string) {
	t.Helper()
	for o, err := range f.Bucket().Walk(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(o.Key.Base(), ".filefield-claim-") {
			keys = append(keys, o.Key.String())
		}
	}
	return keys
}

// sendUnsized is a page's script that does not say how long its file is: storage and
// the app find out.
const sendUnsized = `(async (size, type, method) => {
	const ask = async (step, body) => {
		const r = await fetch('/uploads/file' + step, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})
		return {status: r.status, ...await r.json()}
	}
	const file = new Blob([new Uint8Array(size)], {type})
	const t = await ask('', {name: 'a.' + type.split('/')[1], type, method})
	if (t.fields) {
		const form = new FormData()
		for (const [name, value] of Object.entries(t.fields)) form.append(name, value)
		form.append('file', file)
		const sent = await fetch(t.url, {method: 'POST', body: form})
		if (!sent.ok) return 'storage ' + sent.status
	} else {
		const numbers = []
		for (let n = 1; (n - 1) * t.part_size < size; n++) numbers.push(n)
		const {parts} = await ask('/parts', {token: t.token, numbers})
		for (const {number, url} of parts) await fetch(url, {method: 'PUT', body: file.slice((number - 1) * t.part_size, number * t.part_size)})
	}
	const done = await ask('/complete', {token: t.token})
	return 'app ' + done.status
})(%d, %q, %q)`

func TestWhatIsRefusedAfterTheBytesLeavesTheBucket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, typ string
		method    core.DirectMethod
		size      int
		want      string
	}{
		{"too large in parts", "image/png", core.DirectMultipart, 11 << 20, "app 413"},
		{"too large in a form, which storage stops", "image/png", core.DirectPost, 7 << 20, "storage 400"},
		{"no image, in parts", "image/png", core.DirectMultipart, 6<<20 - 1, "app 415"},
		{"no image, in a form", "image/png", core.DirectPost, 5000, "app 415"},
		{"empty, in a form", "image/png", core.DirectPost, 0, "storage 400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newUploadApp(t, core.FieldConfig{MaxSize: 6 * core.MiB, Accept: core.Images})
			b := newTab(t)
			b.open(a.URL)
			b.wait(ready)
			if got := eval[string](b, fmt.Sprintf(sendUnsized, c.size, c.typ, c.method)); got != c.want {
				t.Errorf("the answer is %q, want %q", got, c.want)
			}
			if keys := left(t, a.field); len(keys) > 0 {
				t.Errorf("the bucket still has %q", keys)
			}
		})
	}
}

func TestWhatTheFieldDoesNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: core.MiB, Accept: core.Images})
	dir := t.TempDir()
	text, large, fake := writeFile(t, dir, "a.txt", 100), writeFile(t, dir, "b.png", 2<<20), writeFile(t, dir, "c.png", 5000)
	empty := writeFile(t, dir, "d.png", 0)
	for _, c := range []struct {
		name, query, file, want string
		puts                    int
	}{
		{"a type, by the page", "?accept=image/*", text, "Files of this type are not taken.", 0},
		{"a length, by the page", "?max=1048576", large, "The file is too large. At most 1 MiB are taken.", 0},
		{"an empty file, by the page", "", empty, "The file is empty.", 0},
		{"a type, by the app before the bytes", "", text, "", 0},
		{"a length, by the app before the bytes", "", large, "", 0},
		{"content that is no image, by the app after the bytes", "", fake, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.outside.Reset()
			b := newTab(t)
			b.open(a.URL + "/" + c.query)
			b.wait(ready)
			b.choose(c.file)
			b.wait(states + ` == 'failed'`)
			got := eval[string](b, said)
			if got == "" || c.want != "" && got != c.want {
				t.Errorf("the page says %q, want %q", got, c.want)
			}
			t.Logf("the page says %q", got)
			if n := a.outside.Count(http.MethodPut); n != c.puts {
				t.Errorf("storage was sent %d files, want %d", n, c.puts)
			}
			if eval[bool](b, `new FormData(document.forms[0]).has('file')`) {
				t.Error("the form has a file")
			}
			if keys := left(t, a.field); len(keys) > 0 {
				t.Errorf("the bucket still has %q", keys)
			}
		})
	}
}

// cutParts breaks the connection of the next n parts after some of their bytes.
func cutParts(a *uploadApp, n int64) *atomic.Int64 {
	var cut atomic.Int64
	a.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || r.URL.Query().Get("partNumber") == "1" || cut.Add(1) > n {
			return false
		}
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
		panic(http.ErrAbortHandler)
	})
	return &cut
}

// onceEach checks that storage took every part, and none twice.
func onceEach(t *testing.T, a *uploadApp, parts int) {
	t.Helper()
	got := a.arrivedParts()
	for n := 1; n <= parts; n++ {
		if got[n] != 1 {
			t.Errorf("part %d was taken %d times, want once: %v", n, got[n], got)
		}
	}
}

func TestAConnectionThatIsCutIsResumed(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB})
	cut := cutParts(a, 4)
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	b.choose(writeFile(t, t.TempDir(), "a.txt", 20<<20))
	b.wait(states + ` == 'done'`)
	if cut.Load() < 4 {
		t.Errorf("%d connections were cut", cut.Load())
	}
	onceEach(t, a, 4)
	b.save(1)
}

func TestAPartWhoseAnswerWasLostIsNotSentAgain(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB})
	var sent atomic.Int64
	a.outside.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || r.URL.Query().Get("partNumber") != "2" || sent.Add(1) > 1 {
			return false
		}
		forward(t, a.inside.Endpoint(), r)
		// Not a cut: Chromium sends a request again by itself when a connection that was
		// used before breaks without an answer. A page may not see this one, for CORS.
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	b.choose(writeFile(t, t.TempDir(), "a.txt", 20<<20))
	b.wait(states + ` == 'done'`)
	if got := a.arrivedParts(); got[1] != 1 || got[2] != 0 || sent.Load() != 1 || got[3] != 1 || got[4] != 1 {
		t.Errorf("parts were answered %v times; the second was to be sent once, %d times it was", got, sent.Load())
	}
	b.save(1)
}

// forward passes a request on whose answer its client is not to see.
func forward(t *testing.T, endpoint string, r *http.Request) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", endpoint, ""
	out.Host = r.Host
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		t.Errorf("the part was not passed on: %v", err)
		return
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the part was answered %s", answer.Status)
	}
}

func TestAReloadInTheMiddleIsResumed(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB})
	var open atomic.Bool
	held, sent := make(chan struct{}, 16), make(chan struct{})
	a.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool { // two parts arrive, the others hang
		n := r.URL.Query().Get("partNumber")
		if open.Load() || r.Method != http.MethodPut || n == "1" {
			return false
		}
		if n == "2" {
			<-sent // all bytes of another are in flight when this one arrives
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		held <- struct{}{}
		if n == "3" {
			close(sent)
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	file := writeFile(t, t.TempDir(), "a.txt", 20<<20)
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	b.choose(file)
	b.wait(`Object.keys(localStorage).some(k => JSON.parse(localStorage[k]).percent >= 50)`)
	// Until parts 3 and 4 hang and the others are answered: one of the page that goes
	// could still arrive, its answer lost.
	for deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond); len(held) < 2 || len(a.arrivedParts()) < 2; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d parts hang and %v have arrived", len(held), a.arrivedParts())
		}
	}
	open.Store(true)
	b.open(a.URL)
	b.wait(ready)
	note := eval[string](b, `document.querySelector('.filefield-interrupted').firstChild.textContent`)
	if want := "a.txt was interrupted at 50 %. Choose it again to go on."; strings.TrimSpace(note) != want {
		t.Errorf("the page says %q, want %q", note, want)
	}
	b.choose(file)
	b.wait(states + ` == 'done'`)
	onceEach(t, a, 4)
	if n := eval[int](b, `localStorage.length + document.querySelectorAll('.filefield-interrupted').length`); n != 0 {
		t.Errorf("%d traces of the upload are left", n)
	}
	b.save(1)
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB})
	var open atomic.Bool
	held := make(chan struct{}, 16)
	a.outside.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if open.Load() || r.Method != http.MethodPut || r.URL.Query().Get("partNumber") == "1" {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		held <- struct{}{}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	b.choose(writeFile(t, t.TempDir(), "a.txt", 20<<20))
	b.wait(`Object.keys(localStorage).some(k => JSON.parse(localStorage[k]).percent >= 25)`)
	for range 3 { // or one could arrive after all, its answer lost
		waitHeld(t, held)
	}
	b.click(".filefield-pause")
	b.wait(states + ` == 'paused'`)
	open.Store(true)
	b.click("#save") // the form goes on with it, and waits
	run(b, "wait for the answer", chromedp.WaitVisible("#saved"))
	onceEach(t, a, 4)
	if got := a.stored(); got["a.txt"] != 20<<20 {
		t.Errorf("the app has %v", got)
	}
}

// waitHeld waits until another part hangs.
func waitHeld(t *testing.T, held <-chan struct{}) {
	t.Helper()
	select {
	case <-held:
	case <-time.After(patience):
		t.Fatal("too few parts hang")
	}
}

func TestAFileThatIsRemovedLeavesStorage(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB})
	b := newTab(t)
	b.open(a.URL)
	b.wait(ready)
	b.choose(writeFile(t, t.TempDir(), "a.txt", 1000))
	b.wait(states + ` == 'done'`)
	b.click(".filefield-remove")
	b.wait(states + ` == ''`)
	if got := eval[string](b, `document.activeElement.id`); got != "f" {
		t.Errorf("the focus is on %q, want the input", got)
	}
	if !eval[bool](b, `document.querySelector('#f').required && !document.forms[0].checkValidity()`) {
		t.Error("the form can be sent without a file")
	}
	b.wait(fmt.Sprintf(`performance.getEntriesByType('resource').some(e => e.name.endsWith(%q) && e.responseStatus == 204)`, "/abort"))
}

func TestWithoutJavaScriptTheFormUploads(t *testing.T) {
	t.Parallel()
	a := newUploadApp(t, core.FieldConfig{MaxSize: 64 * core.MiB})
	b := newTab(t)
	run(b, "turn scripts off", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.open(a.URL)
	b.choose(writeFile(t, t.TempDir(), "a.txt", 10<<10))
	b.click("#save")
	run(b, "wait", chromedp.WaitVisible("#saved"))
	if got := a.stored(); got["a.txt"] != 10<<10 {
		t.Errorf("the app has %v", got)
	}
}
