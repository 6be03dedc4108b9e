package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/filefield/filefield/internal/s3test"
)

const (
	programVar = "FILEFIELD_CHROMIUM"
	shotsVar   = "FILEFIELD_SCREENSHOTS"
	// patience is for a machine that is busy with other things: what is waited for
	// takes a second where it is not.
	patience = 2 * time.Minute
)

func TestMain(m *testing.M) {
	code := s3test.Run(m, func() error { return errors.Join(shared.stop(), s3test.NoGoroutines()) })
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// chromium is one for the test binary, started by the first test that needs it.
type chromium struct {
	mu      sync.Mutex
	started bool
	err     error
	ctx     context.Context //nolint:containedctx // chromedp's handle of the browser
	end     func() error
}

var shared chromium // starting one for each test would take most of the time

// context returns chromedp's handle.
func (c *chromium) context() (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		c.started = true
		c.err = c.start()
	}
	return c.ctx, c.err
}

// stop ends the browser, if there is one.
func (c *chromium) stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return nil
	}
	end := c.end
	c.end = nil
	return end()
}

func (c *chromium) start() error {
	program, err := findChromium()
	if err != nil {
		return err
	}
	profile, err := os.MkdirTemp("", "filefield-chromium-")
	if err != nil {
		return err
	}
	allocated, release := chromedp.NewExecAllocator(
		context.Background(),
		chromedp.ExecPath(program), chromedp.UserDataDir(profile),
		chromedp.Flag("headless", "new"),
		chromedp.NoSandbox, // it does not start as root otherwise; it opens what the tests made
		chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("mute-audio", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	)
	ctx, cancel := chromedp.NewContext(allocated)
	c.ctx = ctx
	c.end = func() error {
		err := chromedp.Cancel(ctx) // closes it, where cancelling kills it
		cancel()
		release()
		return errors.Join(err, os.RemoveAll(profile))
	}
	if err := chromedp.Do(ctx); err != nil {
		return fmt.Errorf("%s does not start: %w", program, err)
	}
	return nil
}

func findChromium() (string, error) {
	if program := os.Getenv(programVar); program != "" {
		return program, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", errors.New("there is no Chromium; on Debian: apt-get install chromium, or name one in " + programVar)
}

// tab is a page of its own: no other test's cookies, cache or storage are in it.
// Its methods fail the test where something does not work or takes too long.
type tab struct {
	testing.TB
	ctx context.Context //nolint:containedctx // chromedp's handle of the tab

	mu   sync.Mutex
	said []string // on the console
}

// newTab opens a tab for as long as the test. Where the test fails, what the tab
// shows is kept in the folder that FILEFIELD_SCREENSHOTS names.
func newTab(t testing.TB) *tab {
	t.Helper()
	whole, err := shared.context()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(whole, chromedp.WithNewBrowserContext())
	b := &tab{TB: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			b.report()
		}
		cancel()
	})
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("no tab opens: %v", err)
	}
	return b
}

// note keeps what scripts say.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			b.said = append(b.said, string(arg.Value))
		}
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, e.ExceptionDetails.Text)
	}
}

// run carries out an action of chromedp and returns what it gives.
func run[T any](b *tab, what string, action chromedp.Action[T]) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.Fatalf("%s: %v", what, err)
	}
	return v
}

// open goes to an address and waits until the page has loaded.
func (b *tab) open(address string) {
	b.Helper()
	run(b, "open "+address, chromedp.Navigate(address))
}

// visit goes to an address whose file may be saved rather than shown, and tells
// whether it is shown.
func (b *tab) visit(address string) (shown bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Navigate(address))
	// Chromium breaks a navigation off that becomes a download.
	if err != nil && !strings.Contains(err.Error(), "net::ERR_ABORTED") {
		b.Fatalf("visit %s: %v", address, err)
	}
	return err == nil
}

// eval evaluates a JavaScript expression, waits for it where it is a promise, and
// returns what it gives.
func eval[T any](b *tab, expression string) T {
	b.Helper()
	return run(b, expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// contentType returns the type of what is shown. Where Chromium puts its viewer in the
// page's place, it may leave an evaluation without an answer: it is asked again.
func (b *tab) contentType() string {
	b.Helper()
	const expression = "document.contentType"
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(b.ctx, patience/24)
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
		cancel()
		if err == nil {
			return got
		}
		if time.Now().After(end) {
			b.Fatalf("%s: %v", expression, err)
		}
	}
}

// wait waits until a JavaScript expression is true.
func (b *tab) wait(expression string) {
	b.Helper()
	script := "new Promise(done => { const look = () => (" + expression + ") ? done(true) : setTimeout(look, 20); look() })"
	run(b, "wait for "+expression, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// report says what the tab last showed.
func (b *tab) report() {
	b.mu.Lock()
	b.Logf("the console says %q", b.said)
	b.mu.Unlock()
	dir := os.Getenv(shotsVar)
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Logf("no screenshot: %v", err)
		return
	}
	file := filepath.Join(dir, notInNames.ReplaceAllString(b.Name(), "_")+".png")
	if err := errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(file, picture, 0o600)); err != nil {
		b.Logf("no screenshot: %v", err)
		return
	}
	b.Logf("the tab's last state is in %s", file)
}
