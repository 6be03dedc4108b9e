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
	"github.com/filefield/filefield/nethttp"
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

type rawAnswer struct {
	status int
	closes bool
}

// awaitAnswer waits for the answer on a connection that sendPart opened.
func awaitAnswer(t testing.TB, conn net.Conn) rawAnswer {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return rawAnswer{res.StatusCode, res.Close}
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

func TestAClientThatVanishesLeavesNothing(t *testing.T) { //nolint:paralleltest // counts goroutines and temp files
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

func TestAClientThatStallsIsCutOff(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{
		http: nethttp.Config{Limits: nethttp.Limits{Idle: 200 * time.Millisecond}}, field: func(c *core.FieldConfig) { c.MaxSize = core.GiB },
	})
	conn := sendPart(t, a, 16<<20, 0.5)
	defer conn.Close()
	if res := awaitAnswer(t, conn); res.status != http.StatusRequestTimeout {
		t.Errorf("status is %d, want 408", res.status)
	}
	a.quiet(t)
}

func TestAnEarlyAnswerComesBeforeTheBytes(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	conn := sendPart(t, a, core.GiB, 0) // announces more than the field takes, sends nothing of it
	defer conn.Close()
	if res := awaitAnswer(t, conn); res.status != http.StatusRequestEntityTooLarge || !res.closes {
		t.Errorf("status is %d, close %t; want 413 and a closed connection", res.status, res.closes)
	}
}

func TestAVanishedClientsCommittedFileStays(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	a := newApp(t, appConfig{handler: func(w http.ResponseWriter, r *http.Request) error {
		close(entered)
		<-release // the row is stored here; meanwhile the client goes
		<-r.Context().Done()
		w.WriteHeader(http.StatusCreated)
		return nil
	}})
	conn := sendPart(t, a, 1000, 1)
	_, _ = conn.Write([]byte("\r\n--B--\r\n"))
	<-entered
	conn.Close()
	close(release)
	object := a.stored(t)
	waitFor(t, "the request to end", func() bool { return a.inFlight.Load() == 0 })
	if ok, err := a.field.Bucket().Exists(t.Context(), object.Key); !ok || err != nil {
		t.Errorf("the object of a stored row is gone (%v): the row points at nothing", err)
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func TestAClientThatDripsIsCutOff(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{
		http: nethttp.Config{Limits: nethttp.Limits{Idle: 300 * time.Millisecond}}, field: func(c *core.FieldConfig) { c.MaxSize = core.GiB },
	})
	conn := sendPart(t, a, 16<<20, 0.5)
	defer conn.Close()
	stop := make(chan struct{})
	go func() { // a byte now and then, each well within the time
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_, _ = conn.Write([]byte("x"))
			}
		}
	}()
	defer close(stop)
	if res := awaitAnswer(t, conn); res.status != http.StatusRequestTimeout {
		t.Errorf("status is %d, want 408", res.status)
	}
	a.quiet(t)
}

func TestATimeoutOfStorageIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{store: func(c *core.Config) {
		c.Endpoint, c.Attempts = s3test.BlackHole(t), 1
		c.Transport = &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}
	}})
	newBody().file("file", "a.txt", []byte("a")).post(t, a).want(t, http.StatusServiceUnavailable, core.ErrUnavailable)
}
