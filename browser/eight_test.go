//go:build uploads

package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

// client is a browser as far as the wire can tell, written in Go: eight of Chromium
// sending at once would measure the machine.
type client struct {
	testing.TB
	*http.Client
	base string
}

func newClient(t testing.TB, base string) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, &http.Client{Jar: jar, Transport: &http.Transport{}}, base}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// send sends a request and reads the answer, of which dst is told, unless nil.
func (c *client) send(method, address, contentType string, body io.Reader, length int64, dst any) error {
	r, err := http.NewRequestWithContext(c.Context(), method, address, body)
	if err != nil {
		return err
	}
	r.ContentLength = length
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %.300s", method, r.URL.Path, answer.StatusCode, text)
	}
	if err == nil && dst != nil {
		err = json.Unmarshal(text, dst)
	}
	return err
}

func (c *client) json(path string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.send(http.MethodPost, c.base+path, "application/json", bytes.NewReader(text), int64(len(text)), out)
}

// upload sends a photo of a size into a new album of the client's own.
func (c *client) upload(size int64, head []byte) error {
	album := url.Values{"title": {"Load"}, "public": {"on"}}.Encode()
	var page string
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error { page = r.URL.Path; return nil }
	if err := c.send(http.MethodPost, c.base+"/albums", "application/x-www-form-urlencoded", strings.NewReader(album), int64(len(album)), nil); err != nil {
		return err
	}
	var ticket core.Ticket
	if err := c.json(photoField, map[string]any{"name": "large.png", "type": "image/png", "size": size}, &ticket); err != nil {
		return err
	}
	numbers := make([]int, ticket.Parts)
	for i := range numbers {
		numbers[i] = i + 1
	}
	var signed struct {
		Parts []struct{ URL string }
	}
	if err := c.json(photoField+"/parts", map[string]any{"token": ticket.Token, "numbers": numbers}, &signed); err != nil {
		return err
	}
	for i, part := range signed.Parts {
		length := min(ticket.PartSize, size-int64(i)*ticket.PartSize)
		body := io.LimitReader(zeros{}, length)
		if i == 0 {
			body = io.LimitReader(io.MultiReader(bytes.NewReader(head), zeros{}), length)
		}
		if err := c.send(http.MethodPut, part.URL, "", body, length, nil); err != nil {
			return err
		}
	}
	var done struct{ Token string }
	if err := c.json(photoField+"/complete", map[string]any{"token": ticket.Token}, &done); err != nil {
		return err
	}
	form := url.Values{"public_photos": {done.Token}}.Encode()
	return c.send(http.MethodPost, c.base+page+"/photos", "application/x-www-form-urlencoded", strings.NewReader(form), int64(len(form)), nil)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// procNumber reads a number that follows a name in a file of /proc.
func procNumber(t testing.TB, path, name string) int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), name)
	fields := strings.Fields(after)
	if len(fields) == 0 {
		t.Fatalf("%s has no %s", path, name)
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEightClientsSendWhileTheAppStaysSmall(t *testing.T) {
	const clients, size = 8, 300 * core.MiB
	g := startGallery(t)
	proc := fmt.Sprintf("/proc/%d/", g.PID())
	read := procNumber(t, proc+"io", "rchar:")
	head := picture(t, 16)
	failed := make(chan error, clients)
	for range clients {
		c := newClient(t, g.URL)
		go func() { failed <- c.upload(size, head) }()
	}
	for range clients {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	read = procNumber(t, proc+"io", "rchar:") - read
	peak := procNumber(t, proc+"status", "VmHWM:") * core.KiB
	t.Logf("%d clients, %d MiB each: the app's memory peaked at %.1f MiB (VmHWM), it read %.2f MiB in all, and storage got %d MiB from the clients",
		clients, size/core.MiB, float64(peak)/float64(core.MiB), float64(read)/float64(core.MiB), bytesSent(g.outside)/core.MiB)
	if peak > 64*core.MiB {
		t.Errorf("the app's memory peaked at %d MiB, want at most 64", peak/core.MiB)
	}
	// The heads that are looked at, 1 MiB each before a file is taken and before it is
	// found too large for variants, and database pages.
	if read > clients*3*core.MiB {
		t.Errorf("the app read %d MiB of files, sockets and all, want next to nothing of %d", read/core.MiB, clients*size/core.MiB)
	}
	if n := bytesSent(g.outside); n < clients*size {
		t.Errorf("storage got %d bytes, want %d", n, clients*size)
	}
}
