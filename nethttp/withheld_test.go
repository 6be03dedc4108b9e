package nethttp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
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
	{"a whole form", form, whole("file"), 10, 201},
	{"a whole form in chunks", form, whole("file"), -1, 201},
	{"a form that is refused", form, whole("other"), 100, 422},
	{"a form that is cut off", form, strings.TrimSuffix(whole("file"), "--B--\r\n"), 100, 408},
	{"a form with a wrong boundary", "Content-Type: multipart/form-data; boundary=\r\n", "", 100, 400},
	{"a compressed form", form + "Content-Encoding: gzip\r\n", "", 100, 415},
	{"a body that is no form", "Content-Type: video/mp4\r\n", "", 100, 415},
	{"two types", form + "Content-Type: text/plain\r\n", "", 100, 400},
	{"a text form", "Content-Type: application/x-www-form-urlencoded\r\n", "a=b", 10, 408},
	{"JSON", "Content-Type: application/json\r\n", `{"a": 1}`, 10, 408},
}

const form = "Content-Type: multipart/form-data; boundary=B\r\n"

func whole(field string) string {
	return "--B\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"a.bin\"\r\n\r\nxxxx\r\n--B--\r\n"
}

// TestARestThatNeverComesHoldsNothing has the server, which has no time limits of its
// own, answer and end connections of which a part of the body is withheld.
func TestARestThatNeverComesHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range withheld {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{
				http: nethttp.Config{Limits: nethttp.Limits{Idle: time.Second, Total: time.Minute}},
				handler: func(w http.ResponseWriter, _ *http.Request) error {
					w.WriteHeader(http.StatusCreated)
					_, err := io.WriteString(w, strings.Repeat("y", 64*int(core.KiB))) // more than net/http holds back
					return err
				},
			})
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
