package nethttp_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// sendPart opens a connection, announces a multipart upload of size bytes and
// sends the given share of it.
func sendPart(t testing.TB, a *app, size int64, share float64) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	head := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"big.bin\"\r\n\r\n"
	tail := "\r\n--B--\r\n"
	w := bufio.NewWriterSize(conn, 256<<10)
	fmt.Fprintf(w, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n%s",
		int64(len(head))+size+int64(len(tail)), head)
	chunk := make([]byte, 64<<10)
	for left := int64(float64(size) * share); left > 0; left -= int64(len(chunk)) {
		if _, err := w.Write(chunk[:min(left, int64(len(chunk)))]); err != nil {
			break // the server has given up already: what some tests want
		}
	}
	_ = w.Flush()
	return conn
}

// quiet waits until the bucket is empty and nothing of the upload runs any more.
func (a *app) quiet(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		objects, uploads := s3test.Leftovers(t, a.engine, a.bucket)
		if len(objects)+len(uploads) == 0 && a.inFlight.Load() == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: objects %q, multipart uploads %q, %d requests; want none", objects, uploads, a.inFlight.Load())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestU12AClientThatVanishesLeavesNothing(t *testing.T) { //nolint:paralleltest // counts goroutines and temp files
	s3test.Start(t) // before TMPDIR changes for the app alone
	t.Setenv("TMPDIR", t.TempDir())
	for _, share := range []float64{0.01, 0.5, 0.99} {
		t.Run(fmt.Sprintf("after %g %% of 64 MiB", share*100), func(t *testing.T) {
			a := newApp(t, appConfig{field: func(c *core.FieldConfig) { c.MaxSize = core.GiB }})
			before := goleak.IgnoreCurrent()
			conn := sendPart(t, a, 64<<20, share)
			waitFor(t, "the upload to begin", func() bool { return a.inFlight.Load() == 1 })
			conn.Close()
			waitFor(t, "the request to end", func() bool { return a.inFlight.Load() == 0 })
			a.transport.CloseIdleConnections()
			if err := goleak.Find(before); err != nil {
				t.Error(err)
			}
			a.quiet(t)
			if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "multipart-*")); len(left) > 0 {
				t.Errorf("temp files were left: %q", left)
			}
		})
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	waitUpTo(t, 15*time.Second, what, done)
}

func waitUpTo(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func TestATimeoutOfStorageIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{store: func(c *core.Config) {
		c.Endpoint, c.Attempts = s3test.BlackHole(t), 1
		c.Transport = &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}
	}})
	newBody().file("file", "a.txt", []byte("a")).post(t, a).want(t, http.StatusServiceUnavailable, core.ErrUnavailable)
}
