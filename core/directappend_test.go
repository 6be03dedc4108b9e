package core_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

const appendPart = 5 * int(core.MiB)

// appended begins an upload in parts of 5 MiB, and sends its first bytes.
func appended(t testing.TB, size int, first string, config ...func(*core.Config)) (*directly, core.Token) {
	t.Helper()
	d := newDirectly(t, func(c *core.FieldConfig) { c.MaxSize, c.Direct.PartSize = core.GiB, 5*core.MiB }, config...)
	in := core.DirectUpload{Name: "a.bin", Size: int64(size), Method: core.DirectMultipart}
	token := d.token(t, d.begin(t.Context(), t, in).Token)
	if n, err := d.AppendDirect(t.Context(), token, core.DirectPiece{Body: strings.NewReader(first)}); err != nil || n != int64(len(first)) {
		t.Fatalf("the first piece: %d, %v", n, err)
	}
	return d, token
}

// digits are content of which no two parts are alike.
func digits(size int) string {
	var b strings.Builder
	b.Grow(size + 8)
	for i := 0; b.Len() < size; i++ {
		b.WriteString(strings.Repeat(string(rune('0'+i%10)), 1+i%7))
	}
	return b.String()[:size]
}

func (d *directly) wantOffset(t testing.TB, token core.Token, what string, want int) {
	t.Helper()
	if got, err := d.DirectOffset(t.Context(), token); err != nil || got != int64(want) {
		t.Errorf("%s the upload stands at %d, %v; want %d", what, got, err, want)
	}
}

// finishes sends what is missing, and reads the file.
func (d *directly) finishes(t testing.TB, token core.Token, content string) {
	t.Helper()
	stands, err := d.DirectOffset(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	piece := core.DirectPiece{Offset: stands, Body: strings.NewReader(content[stands:])}
	if n, err := d.AppendDirect(t.Context(), token, piece); err != nil || n != int64(len(content))-stands {
		t.Fatalf("the rest from %d: %d, %v", stands, n, err)
	}
	text, _, err := d.CompleteDirect(t.Context(), token, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := d.mustClaim(t, d.token(t, text))
	file, err := d.Bucket().Open(t.Context(), o.Key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || string(got) != content {
		t.Errorf("the file has %d bytes, %v; it is not what was sent", len(got), err)
	}
	if got := d.files(t); len(got) != 1 {
		t.Errorf("the bucket has %q, want the file alone", got)
	}
}

// The requests of a piece that fills a part and leaves a rest.
var appendSteps = []struct {
	name  string
	match func(*http.Request) bool
}{
	{"the list of the parts", func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("uploadId") }},
	{"the look at the rest", func(r *http.Request) bool { return r.Method == http.MethodHead }},
	{"the fetching of the rest", func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.RawQuery == "" }},
	{"the sending of the part", func(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Query().Has("uploadId") }},
	{"the keeping of the rest", func(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.RawQuery == "" }},
}

func TestAPieceThatFailsHalfwayLeavesAnUploadThatGoesOn(t *testing.T) {
	t.Parallel()
	content := digits(appendPart + 3000)
	for _, step := range appendSteps {
		for fault, breaking := range map[string]func(match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool{
			"its answer is lost": func(match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
				return losingAnswers(s3test.Start(t), always, match)
			},
			"storage is down": func(match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
				return answering(http.StatusServiceUnavailable, "", always, match)
			},
		} {
			for kind, verify := range map[string]func() error{"a piece": nil, "a piece with a checksum": func() error { return nil }} {
				t.Run(step.name+" of "+kind+": "+fault, func(t *testing.T) {
					t.Parallel()
					d, token := appended(t, len(content), content[:1000], func(c *core.Config) { c.Attempts = 2 })
					d.recorder.Intercept(breaking(step.match))
					piece := core.DirectPiece{Offset: 1000, Body: strings.NewReader(content[1000 : len(content)-1000]), Verify: verify}
					n, err := d.AppendDirect(t.Context(), token, piece)
					wantKind(t, "the piece", err, core.ErrUnavailable)
					d.recorder.Intercept(nil)
					stands, err := d.DirectOffset(t.Context(), token)
					if err != nil || stands < 1000+n || stands > int64(len(content)-1000) {
						t.Errorf("after %d bytes were kept the upload stands at %d, %v", n, stands, err)
					}
					d.finishes(t, token, content)
				})
			}
		}
	}
}

func TestAnAnswerThatIsLostOnceDoesNotFailAPiece(t *testing.T) {
	t.Parallel()
	content := digits(appendPart + 3000)
	for _, step := range appendSteps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			d, token := appended(t, len(content), content[:1000])
			d.recorder.Intercept(losingAnswers(s3test.Start(t), 1, step.match))
			piece := core.DirectPiece{Offset: 1000, Body: strings.NewReader(content[1000 : len(content)-1000])}
			if n, err := d.AppendDirect(t.Context(), token, piece); err != nil || n != int64(len(content)-2000) {
				t.Errorf("the piece: %d, %v", n, err)
			}
			d.finishes(t, token, content)
		})
	}
}

func TestWhatABodyGaveBeforeItFailedIsKept(t *testing.T) {
	t.Parallel()
	content, cut := digits(appendPart+3000), errors.New("cut")
	d, token := appended(t, len(content), content[:1000])
	body := io.MultiReader(strings.NewReader(content[1000:appendPart+500]), iotest.ErrReader(cut))
	n, err := d.AppendDirect(t.Context(), token, core.DirectPiece{Offset: 1000, Body: body})
	if n != int64(appendPart-500) || !errors.Is(err, cut) {
		t.Errorf("the piece gives %d, %v; want what came, and the body's error", n, err)
	}
	d.wantOffset(t, token, "after it", appendPart+500)
	d.finishes(t, token, content)
}

func TestAPieceThatIsNotVerifiedIsDiscardedWhole(t *testing.T) {
	t.Parallel()
	content, damaged := digits(2*appendPart+3000), errors.New("damaged")
	for name, end := range map[string]int{"within a part": 2000, "over a part": appendPart + 10, "to the edge of a part": 2 * appendPart, "to the end": len(content)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, token := appended(t, len(content), content[:1000])
			piece := core.DirectPiece{Offset: 1000, Body: strings.NewReader(strings.Repeat("x", end-1000)), Verify: func() error { return damaged }}
			if n, err := d.AppendDirect(t.Context(), token, piece); n != 0 || err != damaged { //nolint:errorlint // as it is
				t.Errorf("the piece gives %d, %v; want 0, and Verify's error as it is", n, err)
			}
			d.wantOffset(t, token, "after it", 1000)
			d.finishes(t, token, content)
		})
	}
}

func TestAPieceIsRefused(t *testing.T) {
	t.Parallel()
	d, token := appended(t, 5000, "12345")
	body := func() io.Reader { return strings.NewReader("678") }
	_, err := d.AppendDirect(t.Context(), token, core.DirectPiece{Offset: 4, Body: body()})
	wantKind(t, "a piece elsewhere", err, core.ErrPrecondition)
	_, err = d.AppendDirect(core.WithSubject(t.Context(), "bob"), token, core.DirectPiece{Offset: 5, Body: body()})
	if err != nil {
		t.Errorf("a piece of an upload that is nobody's: %v", err)
	}
	other := d.token(t, d.begin(t.Context(), t, asked("b.txt", "text/plain", "hello")).Token)
	_, err = d.AppendDirect(t.Context(), other, core.DirectPiece{Body: body()})
	wantKind(t, "a piece for a PUT", err, core.ErrToken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.AppendDirect(ctx, token, core.DirectPiece{Offset: 8, Body: body()})
	wantKind(t, "a piece after the request's end", err, core.ErrCanceled)
	d.wantOffset(t, token, "after all", 8)
	if err := d.AbortDirect(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	_, err = d.AppendDirect(t.Context(), token, core.DirectPiece{Offset: 8, Body: body()})
	wantKind(t, "a piece after the upload's end", err, core.ErrNotFound)
	if got := d.files(t); len(got) > 0 {
		t.Errorf("the bucket has %q, want nothing", got)
	}
}

// What waits for memory does not wait for storage, whose time is another.
func TestAWaitForMemoryIsNoOutageOfStorage(t *testing.T) {
	t.Parallel()
	content := digits(8 << 20)
	d, token := appended(t, len(content), content[:3<<20], func(c *core.Config) { c.Memory, c.Timeout = 8*core.MiB, time.Second })
	const held = 9 << 20 // over the limit
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := d.Bucket().Save(t.Context(), "holder", core.Upload{Body: reader, Options: core.ObjectOptions{PartSize: 16 * core.MiB}})
		ended <- err
	}()
	if _, err := writer.Write(make([]byte, held)); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(4*time.Second, func() { _ = writer.Close() })
	if n, err := d.AppendDirect(t.Context(), token, core.DirectPiece{Offset: 3 << 20, Body: strings.NewReader(content[3<<20:])}); err != nil {
		t.Errorf("of a piece %d bytes were kept: %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
