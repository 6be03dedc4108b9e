//go:build uploads

package tusupload_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/tusupload"
)

// tus-js-client comes from npm, as an app would have it, and runs in Node.js.
const clientPackage = "tus-js-client@4.3.1"

const clientSource = `const fs = require('node:fs')
const tus = require('tus-js-client')
const [endpoint, file, how] = process.argv.slice(2)
const size = fs.statSync(file).size
const say = (result) => { console.log(JSON.stringify(result)); process.exit(0) }
const options = {
  endpoint, uploadSize: size, retryDelays: [0, 50, 100, 200, 400],
  metadata: { filename: 'sea.bin', filetype: 'application/octet-stream' },
  onError: (error) => say({ error: String(error) }),
  onSuccess: ({ lastResponse }) => say({ url: upload.url, token: lastResponse.getHeader('Filefield-Token') }),
}
if (how === 'in chunks') options.chunkSize = 1500000
if (how === 'with its creation') Object.assign(options, { uploadDataDuringCreation: true, chunkSize: 6000000 })
if (how === 'given up') {
  options.chunkSize = 1500000
  options.onChunkComplete = () => upload.abort(true).then(() => say({ url: upload.url }))
}
if (how === 'in another process') {
  options.chunkSize = 6000000
  options.onChunkComplete = () => upload.abort().then(() => say({ url: upload.url }))
}
if (how.startsWith('http')) options.uploadUrl = how
const upload = new tus.Upload(fs.createReadStream(file), options)
upload.start()
`

// installClient returns the folder of the client.
func installClient(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "upload.cjs"), []byte(clientSource), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh", "-ec", "npm init -y >/dev/null && npm install --no-audit --no-fund --silent "+clientPackage)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("npm: %v\n%s", err, out)
	}
	return dir
}

type clientResult struct{ URL, Token, Error string }

// runClient has tus-js-client upload a file.
func runClient(t *testing.T, dir, endpoint, how string, content []byte) (result clientResult) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "upload.cjs"), endpoint, file, how)
	out, err := command.CombinedOutput()
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if err != nil || result.Error != "" {
		t.Fatalf("the client ends with %v: %s", err, out)
	}
	return result
}

type connKey struct{}

// cutting is a server that closes the connection of the first request of a method
// when so many bytes of its body have come. It counts the bytes that reach the app.
type cutting struct {
	*httptest.Server
	method   string
	at       int64
	cut      atomic.Bool
	received atomic.Int64
}

func newCutting(t *testing.T, upload nethttp.HandlerFunc, method string, at int64) *cutting {
	t.Helper()
	c := &cutting{method: method, at: at}
	handler := nethttp.Handle(upload)
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &cuttingBody{ReadCloser: r.Body, server: c, left: -1}
		if r.Method == c.method && c.cut.CompareAndSwap(false, true) {
			body.left = c.at
			body.conn, _ = r.Context().Value(connKey{}).(net.Conn)
		}
		r.Body = body
		handler.ServeHTTP(w, r)
	}))
	c.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

type cuttingBody struct {
	io.ReadCloser
	server *cutting
	conn   net.Conn
	left   int64 // until the cut, or -1
}

func (b *cuttingBody) Read(p []byte) (int, error) {
	switch {
	case b.left == 0:
		return 0, errors.Join(io.ErrUnexpectedEOF, b.conn.Close())
	case b.left > 0:
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.ReadCloser.Read(p)
	b.server.received.Add(int64(n))
	if b.left > 0 {
		b.left -= int64(n)
	}
	return n, err
}

func TestTusJSClient(t *testing.T) {
	t.Parallel()
	dir, content := installClient(t), noise(12<<20)
	field := newField(t)
	upload := tusupload.New(field, nethttp.Anyone, tusupload.Config{})
	for _, how := range []string{"at once", "in chunks", "with its creation"} {
		for what, at := range map[string]int64{"with no cut": -1, "after a cut": 1_234_567} {
			t.Run(how+", "+what, func(t *testing.T) {
				t.Parallel()
				server := newCutting(t, upload, http.MethodPatch, at)
				got := runClient(t, dir, server.URL+"/tus", how, content)
				if received := server.received.Load(); received != int64(len(content)) {
					t.Errorf("%d bytes were taken for a file of %d", received, len(content))
				}
				if !bytes.Equal(claim(t, field, got.Token), content) {
					t.Error("the file is not what was sent")
				}
			})
		}
	}
	t.Run("in another process", func(t *testing.T) {
		t.Parallel()
		server := newCutting(t, upload, http.MethodPatch, -1)
		begun := runClient(t, dir, server.URL+"/tus", "in another process", content)
		stands := offsetOf(t, begun.URL)
		got := runClient(t, dir, server.URL+"/tus", begun.URL, content)
		if stands == 0 || stands == len(content) || got.URL != begun.URL {
			t.Errorf("the first stands at %s, the second goes on with %q, want %q", strconv.Itoa(stands), got.URL, begun.URL)
		}
		if !bytes.Equal(claim(t, field, got.Token), content) {
			t.Error("the file is not what was sent")
		}
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		field := newField(t)
		server := newCutting(t, tusupload.New(field, nethttp.Anyone, tusupload.Config{}), http.MethodPatch, -1)
		got := runClient(t, dir, server.URL+"/tus", "given up", content)
		wantStatus(t, "a HEAD after it", do(t, http.MethodHead, got.URL, nil), 404)
		if _, uploads := s3test.Leftovers(t, s3test.Start(t), field.Bucket().Name()); len(uploads) > 0 {
			t.Errorf("uploads are still open: %q", uploads)
		}
	})
}
