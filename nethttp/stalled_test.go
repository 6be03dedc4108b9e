package nethttp_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// stall opens connections that announce a file of 1 MiB, send so many bytes of it,
// and fall silent.
func (a *app) stall(t *testing.T, connections, sent int) {
	t.Helper()
	head := "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 1048576\r\n\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n" + strings.Repeat("x", sent)
	var mu sync.Mutex
	var all []net.Conn
	t.Cleanup(func() {
		for _, conn := range all {
			_ = conn.Close()
		}
		waitFor(t, "the stalled requests to end", func() bool { return a.inFlight.Load() == 0 })
	})
	var dialing sync.WaitGroup
	for range 8 {
		dialing.Go(func() {
			for range connections / 8 {
				conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL, "http://"))
				if err == nil {
					mu.Lock()
					all = append(all, conn)
					mu.Unlock()
					_, err = io.WriteString(conn, head)
				}
				if err != nil {
					t.Errorf("a connection failed after %d: %v", len(all), err)
					return
				}
			}
		})
	}
	dialing.Wait()
	waitFor(t, fmt.Sprintf("%d requests", connections), func() bool { return int(a.inFlight.Load()) == connections || t.Failed() })
}

// Go raises a process's soft limit of open files to the hard one, and both ends of
// every connection are this process's.
func TestU11TwoThousandStalledConnectionsDoNotStopOthers(t *testing.T) { //nolint:paralleltest // takes thousands of descriptors
	for _, c := range []struct {
		name       string
		sent, size int
	}{
		{"before the file's first byte", 0, 6 << 20},
		{"behind its first bytes", 1 << 10, 100 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, appConfig{
				store: func(c *core.Config) { c.Memory, c.MemoryWait = 64*core.MiB, 2*time.Minute },
				field: func(c *core.FieldConfig) { c.MaxSize = 16 * core.MiB },
				http:  nethttp.Config{Limits: nethttp.Limits{Idle: 10 * time.Minute}},
			})
			a.stall(t, 2000, c.sent)
			content := bytes.Repeat([]byte("y"), c.size)
			newBody().file("file", "a.txt", content).post(t, a).want(t, http.StatusCreated, 0)
			a.stored(t)
		})
	}
}
