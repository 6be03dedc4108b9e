//go:build uploads

package browser

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// Uppy comes from npm, as an app would have it, and is bundled by esbuild.
const uppyPackages = "@uppy/core@6.3.1 @uppy/aws-s3@6.3.1 esbuild@0.28.2"

const uppySource = `import Uppy from '@uppy/core'
import AwsS3 from '@uppy/aws-s3'
const uppy = new Uppy()
uppy.use(AwsS3, { companionEndpoint: '/uploads/file' })
if (!location.search) uppy.on('file-added', (file) => uppy.setFileMeta(file.id, { size: file.size }))
const token = document.getElementById('token'), fault = document.getElementById('fault')
uppy.on('upload-success', (file, { body }) => { token.textContent = body.key })
uppy.on('upload-error', (file, error) => { fault.textContent = error.message || 'failed' })
document.getElementById('f').addEventListener('change', ({ target }) => {
  uppy.clear()
  token.textContent = fault.textContent = ''
  uppy.addFile({ name: target.files[0].name, type: target.files[0].type, data: target.files[0] })
  uppy.upload()
})
document.body.className = 'live'
`

// uppyBundle is made once for the test binary.
var uppyBundle = sync.OnceValues(func() (script []byte, err error) {
	dir, err := os.MkdirTemp("", "filefield-uppy-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.WriteFile(filepath.Join(dir, "app.js"), []byte(uppySource), 0o600); err != nil {
		return nil, err
	}
	command := exec.Command("sh", "-ec", "npm init -y >/dev/null && npm install --no-audit --no-fund --silent "+uppyPackages+
		" && ./node_modules/@esbuild/*/bin/esbuild app.js --bundle --format=esm --outfile=bundle.js --log-level=error")
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm and esbuild: %w\n%s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "bundle.js"))
})

// uppyApp is an app whose page has stock Uppy.
func uppyApp(t *testing.T, most int64) (*app, *httptest.Server) {
	t.Helper()
	script, err := uppyBundle()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s := s3test.Start(t)
	plain := false
	a := &app{inside: s.Recorder(t), outside: s.Recorder(t)}
	a.store, err = core.Open(core.Config{
		Endpoint: a.inside.Endpoint(), ExternalEndpoint: a.outside.Endpoint(), ExternalUseHTTPS: &plain,
		AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region, SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.store.CloseIdleConnections)
	a.field = a.store.Field(core.FieldConfig{
		Name: "file", Bucket: s.Bucket(t), MaxSize: most, Accept: core.Images, Direct: core.DirectConfig{Origins: []string{server.URL}},
	})
	if err := a.store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	direct := nethttp.Handle(nethttp.Direct(a.field, nethttp.Anyone, nethttp.DirectConfig{}))
	mux.Handle("POST /uploads/file", direct)
	mux.Handle("/uploads/file/", direct)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!DOCTYPE html><title>Uppy</title><body><input type=file id=f><p id=token></p><p id=fault></p><script type=module src=/uppy.js></script>`)
	})
	mux.HandleFunc("GET /uppy.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(script)
	})
	return a, server
}

func TestStockUppySendsFilesOfAnySize(t *testing.T) {
	t.Parallel()
	a, server := uppyApp(t, 400*core.MiB)
	b := newTab(t)
	b.open(server.URL)
	b.wait(`document.body.className === 'live'`)
	for _, c := range []struct {
		name  string
		size  int64
		parts int
	}{{"small.png", 10 * core.KiB, 1}, {"middle.png", 20 * core.MiB, 1}, {"large.png", 300 * core.MiB, 60}} {
		a.outside.Reset()
		b.pick("#f", file(t, c.name, c.size))
		b.wait(`token.textContent || fault.textContent`)
		if fault := eval[string](b, `fault.textContent`); fault != "" {
			t.Errorf("%s: Uppy says %q", c.name, fault)
			continue
		}
		sentOnce(t, a.outside, c.parts)
		ctx, txn := core.Begin(t.Context())
		token, err := a.field.Verify(eval[string](b, `token.textContent`))
		if err != nil {
			t.Fatal(err)
		}
		object, err := a.field.ClaimObject(ctx, token)
		if err != nil || object.Size != c.size || object.Name != c.name {
			t.Errorf("%s: claimed as %+v, %v; want %d bytes", c.name, object, err, c.size)
		}
		if err := txn.Commit(ctx); err != nil {
			t.Error(err)
		}
	}
}

func TestStockUppyIsRefusedWhatTheFieldDoesNotTake(t *testing.T) {
	t.Parallel()
	a, server := uppyApp(t, 400*core.MiB)
	b := newTab(t)
	b.open(server.URL)
	b.wait(`document.body.className === 'live'`)
	notes := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notes, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file(t, "empty.png", 0), file(t, "large.png", 401*core.MiB), notes} {
		a.outside.Reset()
		b.pick("#f", path)
		b.wait(`fault.textContent`)
		if n := bytesSent(a.outside); n != 0 || eval[string](b, `token.textContent`) != "" {
			t.Errorf("%s: %d bytes were sent, want none, and no token", filepath.Base(path), n)
		}
	}
}

// TestStockUppyIsToldAfterTheBytes has Uppy not say how long its files are, as it
// does by itself: parts are counted when the upload is completed.
func TestStockUppyIsToldAfterTheBytes(t *testing.T) {
	t.Parallel()
	a, server := uppyApp(t, 110*core.MiB)
	b := newTab(t)
	b.open(server.URL + "/?without-size")
	b.wait(`document.body.className === 'live'`)
	fake := filepath.Join(t.TempDir(), "fake.png")
	if err := errors.Join(os.WriteFile(fake, []byte("<html>no image</html>"), 0o600), os.Truncate(fake, 101*core.MiB)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file(t, "large.png", 111*core.MiB), fake} { // more than 100 MiB are sent in parts
		a.outside.Reset()
		b.pick("#f", path)
		b.wait(`token.textContent || fault.textContent`)
		t.Logf("%s: Uppy says %q, after %d bytes", filepath.Base(path), eval[string](b, `fault.textContent`), bytesSent(a.outside))
		if got := eval[string](b, `token.textContent`); got != "" {
			t.Errorf("%s: there is a token", filepath.Base(path))
		}
		if n := bytesSent(a.outside); n < 101*core.MiB {
			t.Errorf("%s: %d bytes were sent, want all", filepath.Base(path), n)
		}
		if keys := left(t, a.field); len(keys) > 0 {
			t.Errorf("%s: the bucket still has %q", filepath.Base(path), keys)
		}
	}
}
