package tusupload_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/tusupload"
)

// watched is a server that says when each PATCH has been dealt with, and with what.
type watched struct {
	base  string
	ended chan error
}

func watch(t *testing.T, upload nethttp.HandlerFunc) watched {
	t.Helper()
	w := watched{ended: make(chan error, 100)}
	server := httptest.NewServer(nethttp.Handle(func(rw http.ResponseWriter, r *http.Request) error {
		err := upload(rw, r)
		if r.Method == http.MethodPatch {
			w.ended <- err
		}
		return err
	}))
	t.Cleanup(server.Close)
	w.base = server.URL
	return w
}

// halfway sends the beginning of a PATCH, once the server is ready to read it, and
// leaves the connection open.
func halfway(t *testing.T, to string, offset, length int, beginning []byte, headers ...string) net.Conn {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	head := fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: %d\r\nContent-Length: %d\r\nExpect: 100-continue\r\n", u.Path, u.Host, offset, length)
	for i := 0; i < len(headers); i += 2 {
		head += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	answer := make([]byte, len(goOn))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != goOn {
		t.Fatalf("the server answers %q, %v; want that it goes on", answer, err)
	}
	if _, err := conn.Write(beginning); err != nil {
		t.Fatal(err)
	}
	return conn
}

func offsetOf(t *testing.T, to string, headers ...string) int {
	t.Helper()
	head := do(t, http.MethodHead, to, nil, headers...)
	offset, err := strconv.Atoi(head.Header.Get("Upload-Offset"))
	if head.StatusCode != 200 || err != nil {
		t.Fatalf("a HEAD is answered %d, %v", head.StatusCode, head.Header)
	}
	return offset
}

func TestAfterACutTheUploadGoesOnWithNoByteSentTwice(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]int{
		"nothing came":           0,
		"within the first part":  1_000_001,
		"at the edge of a part":  5 << 20,
		"within the second part": 7_000_000,
		"before the last byte":   11<<20 - 1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field := newField(t)
			server := watch(t, tusupload.New(field, nethttp.Anyone, tusupload.Config{}))
			content := noise(11 << 20)
			to := server.base + begin(t, server.base, len(content))
			conn := halfway(t, to, 0, len(content), content[:cut])
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-server.ended; err != nil {
				t.Errorf("the piece that was cut: %v; want that what came is kept", err)
			}
			if got := offsetOf(t, to); got != cut {
				t.Fatalf("after a cut at %d the upload stands at %d", cut, got)
			}
			last := patch(t, to, cut, content[cut:])
			wantStatus(t, "the rest", last, 204)
			if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, content) {
				t.Errorf("the file is not what was sent: %d bytes, want %d", len(got), len(content))
			}
		})
	}
}

func TestAClientThatComesBackEndsTheConnectionThatHangs(t *testing.T) {
	t.Parallel()
	field := newField(t)
	server := watch(t, tusupload.New(field, nethttp.Anyone, tusupload.Config{}))
	content := noise(8 << 20)
	to := server.base + begin(t, server.base, len(content))
	hanging := halfway(t, to, 0, len(content), content[:6_000_000])
	stands := offsetOf(t, to)
	if stands > 6_000_000 {
		t.Fatalf("the upload stands at %d, beyond what was sent", stands)
	}
	if err := <-server.ended; err == nil {
		t.Error("the request that hung succeeded")
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(hanging, answer); err != nil || string(answer) != "HTTP/1.1 409" {
		t.Errorf("it is answered %q, %v; want 409", answer, err)
	}
	last := patch(t, to, stands, content[stands:])
	wantStatus(t, "the rest", last, 204)
	if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, content) {
		t.Error("the file is not what was sent")
	}
}

func TestAStalledClientIsEndedAndWhatItSentIsKept(t *testing.T) {
	t.Parallel()
	field := newField(t)
	server := watch(t, tusupload.New(field, nethttp.Anyone, tusupload.Config{Idle: idle}))
	content := noise(8 << 20)
	at := begin(t, server.base, len(content))
	conn := halfway(t, server.base+at, 0, len(content), content[:6_000_000])
	if err := <-server.ended; err == nil {
		t.Error("a request without its end succeeded")
	}
	answer, err := io.ReadAll(conn) // to the end: the server closes the connection
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 409")) {
		t.Errorf("it is answered %.60q, %v; want 409, which clients try again after", answer, err)
	}
	patient := serve(t, field)
	stands := offsetOf(t, patient+at)
	if stands > 6_000_000 { // less, where the machine stalled
		t.Fatalf("the upload stands at %d, beyond what was sent", stands)
	}
	last := patch(t, patient+at, stands, content[stands:])
	wantStatus(t, "the rest", last, 204)
	if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, content) {
		t.Error("the file is not what was sent")
	}
}

// idle is short for a client that stalls, and long for the server's answers.
const idle = 300 * time.Millisecond

func TestStalledClientsGiveTheirMemoryBack(t *testing.T) {
	t.Parallel()
	field := newField(t, func(c *core.Config, _ *core.FieldConfig) { c.Memory = 8 * core.MiB })
	server := watch(t, tusupload.New(field, nethttp.Anyone, tusupload.Config{Idle: idle}))
	content := noise(12 << 20)
	const clients = 6 // each holds 4 MiB, or waits for them
	for range clients {
		conn := halfway(t, server.base+begin(t, server.base, len(content)), 0, len(content), nil)
		go func() { _, _ = conn.Write(content[:4<<20]) }() // as much as the server takes
	}
	for range clients {
		if err := <-server.ended; err == nil {
			t.Error("a request without its end succeeded")
		}
	}
	patient := serve(t, field)
	last := patch(t, patient+begin(t, patient, len(content)), 0, content)
	wantStatus(t, "an upload that takes all the memory there is", last, 204)
	if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, content) {
		t.Error("the file is not what was sent")
	}
}

func TestStalledClientsMakeWayForOthers(t *testing.T) {
	t.Parallel()
	field := newField(t, func(c *core.Config, _ *core.FieldConfig) { c.Memory = 16 * core.MiB })
	server := watch(t, tusupload.New(field, nethttp.Anyone, tusupload.Config{Idle: 10 * time.Minute}))
	content := noise(12 << 20)
	const clients = 6 // each holds 4 MiB, or waits for them
	var stalled []string
	for range clients {
		at := begin(t, server.base, len(content))
		stalled = append(stalled, at)
		conn := halfway(t, server.base+at, 0, len(content), nil)
		go func() { _, _ = conn.Write(content[:4<<20]) }() // as much as the server takes
	}
	small := content[:100_000]
	last := patch(t, server.base+begin(t, server.base, len(small)), 0, small)
	wantStatus(t, "an upload beside those that hold the memory", last, 204)
	if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, small) {
		t.Error("the file is not what was sent")
	}
	kept := 0
	for range clients { // another request ends those that are left
		kept += offsetOf(t, server.base+stalled[0])
		stalled = stalled[1:]
	}
	if kept == 0 {
		t.Error("nothing is kept of what those had sent that made way")
	}
}

func TestOfTwoPiecesAtOnceOneIsTaken(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]bool{"in one process": true, "in two processes": false} {
		for what, size := range map[string]int{"less than a part": 100_000, "more than a part": 6 << 20} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				field := newField(t)
				bases := []string{serve(t, field), serve(t, field)}
				if one {
					bases[1] = bases[0]
				}
				content := noise(size)
				at := begin(t, bases[0], size+100)
				statuses := make([]int, 4)
				var group sync.WaitGroup
				for i := range statuses {
					group.Go(func() { statuses[i] = status(t, bases[i%2]+at, content) })
				}
				group.Wait()
				taken, refused := 0, 0
				for _, got := range statuses {
					switch got {
					case http.StatusNoContent:
						taken++
					case http.StatusConflict, http.StatusLocked:
						refused++
					}
				}
				if taken > 1 || taken+refused < len(statuses) {
					t.Errorf("the pieces are answered %v, want 204 at most once, and otherwise 409 or 423", statuses)
				}
				stands := offsetOf(t, bases[0]+at)
				if stands > size {
					t.Fatalf("the upload stands at %d, beyond what was sent", stands)
				}
				rest := append(content[stands:size:size], make([]byte, 100)...)
				last := patch(t, bases[1]+at, stands, rest)
				wantStatus(t, "the rest", last, 204)
				got := claim(t, field, last.Header.Get(tusupload.TokenHeader))
				if !bytes.Equal(got[:size], content) || len(got) != size+100 {
					t.Error("the file is not what was sent")
				}
			})
		}
	}
}

// status sends a piece from the beginning; the connection may be closed under it
// when the piece is refused before it was read.
func status(t *testing.T, to string, content []byte) int {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, to, bytes.NewReader(content))
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Content-Type": {"application/offset+octet-stream"}, "Upload-Offset": {"0"}}
	response, err := (&http.Client{}).Do(r)
	var lost *net.OpError
	if errors.As(err, &lost) || errors.Is(err, io.EOF) {
		return http.StatusConflict
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}
