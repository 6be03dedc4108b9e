package nethttp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// withheld are requests of which a client keeps the last bytes to itself.
var withheld = []struct {
	name   string
	head   string // of the request, after the host
	body   string
	behind int // bytes that are announced and do not come; -1: of chunks the last
	status int
}{
	{"a whole form", formHead, wholeForm("file"), 10, 201},
	{"a whole form in chunks", formHead, wholeForm("file"), -1, 201},
	{"a form that is refused", formHead, wholeForm("other"), 100, 422},
	{"a form that is cut off", formHead, strings.TrimSuffix(wholeForm("file"), "--B--\r\n"), 100, 408},
	{"a form with a wrong boundary", "Content-Type: multipart/form-data; boundary=\r\n", "", 100, 400},
	{"a compressed form", formHead + "Content-Encoding: gzip\r\n", "", 100, 415},
	{"a body that is no form", "Content-Type: video/mp4\r\n", "", 100, 415},
	{"two types", formHead + "Content-Type: text/plain\r\n", "", 100, 400},
	{"a text form", "Content-Type: application/x-www-form-urlencoded\r\n", "a=b", 10, 408},
	{"JSON", "Content-Type: application/json\r\n", `{"a": 1}`, 10, 408},
}

const formHead = "Content-Type: multipart/form-data; boundary=B\r\n"

// wholeForm is a form with a file in a field.
func wholeForm(field string) string {
	return "--B\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"a.bin\"\r\n\r\nxxxx\r\n--B--\r\n"
}

// impatientApp waits a second for more of a body.
func impatientApp(t *testing.T) *app {
	return newApp(t, appConfig{
		http: nethttp.Config{Limits: nethttp.Limits{Idle: time.Second, Total: time.Minute}},
		handler: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusCreated)
			_, err := io.WriteString(w, strings.Repeat("y", 64*int(core.KiB))) // more than net/http holds back
			return err
		},
	})
}

// TestARestThatNeverComesHoldsNothing has the server, which has no time limits of its
// own, answer and end connections of which a part of the body is withheld.
func TestARestThatNeverComesHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range withheld {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := impatientApp(t)
			conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			length, body := fmt.Sprintf("Content-Length: %d\r\n", len(c.body)+c.behind), c.body
			if c.behind < 0 {
				length, body = "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(c.body), c.body)
			}
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+c.head+length+"\r\n"+body); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // for ever, but for tests
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("no answer: %v; requests still inside the handler: %d", err, a.inFlight.Load())
			}
			defer response.Body.Close()
			if response.StatusCode != c.status {
				t.Errorf("answered %d, want %d", response.StatusCode, c.status)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Errorf("the answer was cut off: %v", err)
			}
			if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the connection is still open: read %d bytes, %v", n, err)
			}
		})
	}
}

// TestARestThatNeverComesHoldsNoStream is the same over HTTP/2, where a client keeps a
// stream open in place of a connection.
func TestARestThatNeverComesHoldsNoStream(t *testing.T) {
	t.Parallel()
	for _, c := range withheld {
		if c.behind < 0 {
			continue // there are no chunks
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := impatientApp(t)
			server := httptest.NewUnstartedServer(a.Config.Handler)
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			rest, held := io.Pipe()
			defer held.Close()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, io.MultiReader(strings.NewReader(c.body), rest))
			if err != nil {
				t.Fatal(err)
			}
			head, err := textproto.NewReader(bufio.NewReader(strings.NewReader(c.head + "\r\n"))).ReadMIMEHeader()
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header(head)
			request.ContentLength = int64(len(c.body) + c.behind)
			client := server.Client()
			client.Timeout = 20 * time.Second // for ever, but for tests
			response, err := client.Do(request)
			if err != nil {
				t.Fatalf("no answer: %v; requests still inside the handler: %d", err, a.inFlight.Load())
			}
			defer response.Body.Close()
			if response.ProtoMajor != 2 || response.StatusCode != c.status {
				t.Errorf("answered %d with HTTP/%d, want %d with HTTP/2", response.StatusCode, response.ProtoMajor, c.status)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Errorf("the answer was cut off: %v", err)
			}
		})
	}
}

// deadlineRecorder notes what time its connection is left to read.
type deadlineRecorder struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (w *deadlineRecorder) SetReadDeadline(until time.Time) error {
	w.until = until
	return nil
}

// TestDirectLeavesNoBodyUnbounded refuses requests before their bodies are read.
func TestDirectLeavesNoBodyUnbounded(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	direct := nethttp.Handle(nethttp.Direct(a.field, nethttp.Anyone, nethttp.DirectConfig{}))
	for _, c := range []struct {
		name, method, path, header, value string
		status                            int
	}{
		{"from a page of another origin", "POST", "/direct", "Sec-Fetch-Site", "cross-site", 403},
		{"without JSON", "POST", "/direct", "Content-Type", "text/plain", 415},
		{"with another method", "PUT", "/direct", "Content-Type", "application/json", 404},
		{"to what is not there", "POST", "/direct/s3/none/of/this", "Content-Type", "application/json", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, c.path, strings.NewReader("{}"))
			r.Header.Set(c.header, c.value)
			w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
			direct.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("answered %d, want %d", w.Code, c.status)
			}
			if left := time.Until(w.until); left <= 0 || left > time.Minute {
				t.Errorf("the rest of the body has %v, want some, and at most a minute", left)
			}
		})
	}
}
