package contract

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/examples/documents"
	"github.com/filefield/filefield/internal/s3test"
)

const (
	startTimeout = 2 * time.Minute // on a machine that is busy with other things
	signingKey   = "the key of the contract's tests, 32+ bytes"
)

// App is a running app.
type App struct {
	// URL is where it answers.
	URL string

	cmd    *exec.Cmd
	client *http.Client
	ended  chan error

	mu  sync.Mutex
	log bytes.Buffer
}

// Build builds the program in the test's own folder and returns its path.
func Build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "app")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// Start runs a program with its data in dir, on a free port, and returns when it
// says where it listens. The test's end kills it, if it still runs.
func Start(t *testing.T, program, dir string, env ...string) *App {
	t.Helper()
	cmd := exec.Command(program)
	for _, v := range os.Environ() { // without the developer's own settings
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "MINIO_") && !strings.HasPrefix(name, "SECRET_KEY") && name != "DATABASE_URL" {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "ADDR=127.0.0.1:0", "DATA_DIR="+dir, "SECRET_KEY="+signingKey), env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &App{cmd: cmd, ended: make(chan error, 1), client: &http.Client{
		Transport:     &http.Transport{ExpectContinueTimeout: startTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	address := make(chan string, 1)
	go a.follow(bufio.NewScanner(stderr), address)
	t.Cleanup(func() {
		a.client.CloseIdleConnections()
		cmd.Process.Kill() // fails where the app has ended
		if t.Failed() {
			t.Logf("the app's log:\n%s", a.logged())
		}
	})
	select {
	case a.URL = <-address:
	case err := <-a.ended:
		t.Fatalf("the app ended before it listened: %v", err)
	case <-time.After(startTimeout):
		t.Fatalf("the app does not listen after %s", startTimeout)
	}
	return a
}

// PID is the id of the app's process.
func (a *App) PID() int { return a.cmd.Process.Pid }

var addressInLog = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// follow keeps the app's log until the app ends, and sends the first address in it.
func (a *App) follow(lines *bufio.Scanner, address chan<- string) {
	for found := false; lines.Scan(); {
		a.mu.Lock()
		a.log.WriteString(lines.Text() + "\n")
		a.mu.Unlock()
		if url := addressInLog.FindString(lines.Text()); url != "" && !found {
			found = true
			address <- url
		}
	}
	a.ended <- a.cmd.Wait()
}

func (a *App) logged() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.String()
}

// Terminate asks the app to stop, as a supervisor does.
func (a *App) Terminate(t *testing.T) {
	t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("terminate the app: %v", err)
	}
}

// WaitEnd returns when the app has ended, and fails the test if that takes
// longer than the contract's 10 seconds allow, or does not end well.
func (a *App) WaitEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-a.ended:
		if err != nil {
			t.Errorf("the app ended with %v, want exit status 0", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the app still runs 20 s after it was asked to stop")
	}
}

// world is an app with an S3 server of its own, whose buckets a test can see.
type world struct {
	*App
	s3 *s3test.Server
	// file, cover and extra make tokens as the app itself does.
	file, cover, extra *core.Field
	store              *core.Store
}

// startWorld starts an S3 server and an app that uses it.
func startWorld(t *testing.T, program subject) *world {
	t.Helper()
	w := &world{s3: s3test.StartOwn(t, s3test.Options{})}
	w.declare(t, core.Config{SigningKeys: []core.Secret{signingKey}})
	access, secret := w.s3.AccessKey, w.s3.SecretKey
	if w.s3.Engine == s3test.MinIO { // the other has one account
		policy, err := w.store.IAMPolicy(core.IAMPolicyOptions{Scope: program.scope})
		if err != nil {
			t.Fatal(err)
		}
		access, secret = w.s3.User(t, string(policy))
	}
	env := []string{
		"MINIO_ENDPOINT=" + w.s3.Endpoint, "MINIO_ACCESS_KEY=" + access, "MINIO_SECRET_KEY=" + secret,
		"MINIO_REGION=" + w.s3.Region, "FILEFIELD_TIMEOUT=2s",
	}
	if program.scope == core.IAMRun {
		if err := w.store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		env = append(env, "MINIO_CONSISTENCY_CHECK_ON_START=false")
	}
	w.App = Start(t, program.path, t.TempDir(), env...)
	return w
}

// declaring guards the package variables that DeclareFields sets.
var declaring sync.Mutex

// declare opens a Store on the world's server.
func (w *world) declare(t *testing.T, config core.Config) {
	t.Helper()
	config.Endpoint, config.AccessKey, config.SecretKey = w.s3.Endpoint, w.s3.AccessKey, core.Secret(w.s3.SecretKey)
	config.PublicBuckets = []string{documents.BucketCovers}
	store, err := core.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	declaring.Lock()
	defer declaring.Unlock()
	fields := documents.DeclareFields(store)
	w.store, w.file, w.cover, w.extra = store, fields[0], fields[1], fields[2]
}

// token stores content and returns the token for it.
func (w *world) token(t *testing.T, field *core.Field, name string, content []byte) string {
	t.Helper()
	object, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(content), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return field.Sign(object, "")
}

// state describes everything the app keeps: rows, objects and unfinished uploads.
func (w *world) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, d := range w.list(t) {
		b.WriteString(d.withoutURLs() + "\n")
	}
	b.WriteString(strings.Join(w.objects(t), "\n"))
	return b.String()
}

// objects lists what is in the app's buckets.
func (w *world) objects(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, bucket := range []string{documents.BucketDocuments, documents.BucketCovers} {
		objects, uploads := s3test.Leftovers(t, w.s3, bucket)
		for _, key := range objects {
			all = append(all, bucket+"/"+key)
		}
		for _, upload := range uploads {
			all = append(all, "unfinished upload "+bucket+"/"+upload)
		}
	}
	return all
}
