package nethttp_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// stall opens connections that announce a file of 16 MiB, send so many bytes of it,
// or as many as are taken, and fall silent. It returns when all requests have begun.
func (a *app) stall(t *testing.T, connections, sent int) {
	t.Helper()
	head := "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 16777216\r\n\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n" + strings.Repeat("x", sent)
	var dialing, sending sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	begun := int(a.begun.Load())
	t.Cleanup(func() {
		for _, conn := range all {
			_ = conn.Close()
		}
		sending.Wait()
		// What the kernel took for them is read first: gigabytes, slowly under the race detector.
		waitUpTo(t, 2*time.Minute, "the stalled requests to end", func() bool { return a.inFlight.Load() == 0 })
	})
	for range 8 {
		dialing.Go(func() {
			for range connections / 8 {
				conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL, "http://"))
				if err == nil {
					mu.Lock()
					all = append(all, conn)
					mu.Unlock()
					sending.Go(func() { _, _ = io.WriteString(conn, head) }) // the server may end it
				}
				if err != nil {
					t.Errorf("a connection failed after %d: %v", len(all), err)
					return
				}
			}
		})
	}
	dialing.Wait()
	waitUpTo(t, time.Minute, fmt.Sprintf("%d requests", connections), func() bool { return int(a.begun.Load())-begun == connections || t.Failed() })
}

// reasons counts the lines of a log, of which thousands may be the same.
type reasons struct {
	mu    sync.Mutex
	lines map[string]int
}

func (r *reasons) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[string(line)]++
	return len(line), nil
}

// logged is a logger of which a test that failed shows each line once.
func logged(t *testing.T) *slog.Logger {
	t.Helper()
	r := &reasons{lines: map[string]int{}}
	t.Cleanup(func() {
		for line, n := range r.lines {
			if t.Failed() {
				t.Logf("logged %d times: %s", n, line)
			}
		}
	})
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// Everything but three times is as it is by default: what is ended here is ended for
// others, and nothing fails on a machine that is too busy to end it in half a minute, or
// to hear of storage in five seconds: there the stalled ones are still being read when the
// others have come. How long these wait is tested in virtual time, where the memory's
// rules are. Go raises a process's soft limit of open files to the hard one, and both ends
// of every connection are this process's.
func TestU11TwoThousandStalledConnectionsDoNotStopOthers(t *testing.T) { //nolint:paralleltest // takes thousands of descriptors
	for _, c := range []struct {
		name string
		sent int
	}{
		{"before the file's first byte", 0},
		{"behind its first bytes", 1 << 10},
		{"behind 100 KiB", 100 << 10},
		{"behind 1 MiB", 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, appConfig{
				store: func(c *core.Config) { c.MemoryWait, c.Timeout = 10*time.Minute, time.Minute },
				field: func(c *core.FieldConfig) { c.MaxSize = 16 * core.MiB },
				http:  nethttp.Config{Limits: nethttp.Limits{Idle: 10 * time.Minute}, Logger: logged(t)},
			})
			a.stall(t, 2000, c.sent)
			var others sync.WaitGroup
			for _, size := range []int{10, 100 << 10, 6 << 20} {
				others.Go(func() {
					start := time.Now()
					newBody().file("file", "a.txt", bytes.Repeat([]byte("y"), size)).post(t, a).want(t, http.StatusCreated, 0)
					t.Logf("a file of %d bytes took %s", size, time.Since(start))
				})
			}
			others.Wait() // on a busy machine they take longer than stored waits for
			for range 3 {
				a.stored(t)
			}
		})
	}
}
