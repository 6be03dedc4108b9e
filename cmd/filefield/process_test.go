package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/internal/s3test"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = time.Minute

// shell is where a test runs a program: its environment and working directory.
type shell struct {
	t       *testing.T
	server  *s3test.Server
	program string
	dir     string
	env     map[string]string
	client  *minio.Client
	buckets []string // to be removed
}

// newShell returns a shell whose environment names the server and a private and
// a public bucket, which do not exist yet.
func newShell(t *testing.T) *shell {
	t.Helper()
	server := s3test.Start(t)
	suffix := strings.ToLower(rand.Text()[:10])
	s := &shell{t: t, server: server, program: filepath.Join(programs, "filefield"), dir: t.TempDir(), client: server.Client(t)}
	s.env = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": s.dir, "TERM": "xterm",
		"MINIO_ENDPOINT": server.Endpoint, "MINIO_ACCESS_KEY": server.AccessKey, "MINIO_SECRET_KEY": server.SecretKey,
		"MINIO_REGION": server.Region, "MINIO_USE_HTTPS": "false", "SECRET_KEY": "a signing key that nobody may see",
		"MINIO_PRIVATE_BUCKETS": "private-" + suffix, "MINIO_PUBLIC_BUCKETS": "public-" + suffix,
		"FILEFIELD_TIMEOUT": "30s", // the machine may be busy
	}
	s.buckets = []string{s.env["MINIO_PRIVATE_BUCKETS"], s.env["MINIO_PUBLIC_BUCKETS"]}
	t.Cleanup(s.removeBuckets)
	return s
}

// of returns the shell for a subtest.
func (s *shell) of(t *testing.T) *shell {
	c := *s
	c.t = t
	return &c
}

func (s *shell) private() string { return s.buckets[0] }
func (s *shell) public() string  { return s.buckets[1] }

// ready is newShell with its buckets made.
func ready(t *testing.T) *shell {
	t.Helper()
	s := newShell(t)
	s.run("init").wants(0)
	return s
}

func (s *shell) removeBuckets() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, bucket := range s.buckets {
		for o := range s.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
			_ = s.client.RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{})
		}
		_ = s.client.RemoveBucket(ctx, bucket)
	}
}

func (s *shell) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.program, args...)
	cmd.Dir = s.dir
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// outcome is what a program did.
type outcome struct {
	t    *testing.T
	args []string
	code int
	out  string // standard output; in a terminal all that was shown
	errs string
}

// run runs the program with pipes, and nothing on standard input.
func (s *shell) run(args ...string) outcome { return s.fed(strings.NewReader(""), args...) }

// fed runs the program with pipes.
func (s *shell) fed(stdin io.Reader, args ...string) outcome {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd := s.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	o := outcome{t: s.t, args: args}
	o.code = exitCode(s.t, cmd.Run())
	o.out, o.errs = out.String(), errs.String()
	o.hidesSecrets(s)
	return o
}

// show runs the program in a terminal, and types the answers as the questions
// before them appear: question, answer, question, answer, …
func (s *shell) show(talk []string, args ...string) outcome {
	s.t.Helper()
	cmd := s.command(args...)
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 140})
	if err != nil {
		s.t.Fatalf("no terminal: %v", err)
	}
	defer func() { _ = screen.Close() }()
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	var shown strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := screen.Read(buffer)
		shown.Write(buffer[:n])
		if len(talk) >= 2 && strings.Contains(shown.String(), talk[0]) {
			if _, err := io.WriteString(screen, talk[1]); err != nil {
				s.t.Fatalf("type %q: %v", talk[1], err)
			}
			talk = talk[2:]
		}
		if err != nil {
			break // Linux says EIO when the program has gone
		}
	}
	o := outcome{t: s.t, args: args, out: strings.ReplaceAll(shown.String(), "\r\n", "\n")}
	o.code = exitCode(s.t, cmd.Wait())
	if len(talk) > 0 {
		s.t.Errorf("%v never asked %q; it showed\n%s", args, talk[0], o.out)
	}
	o.hidesSecrets(s)
	return o
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		t.Fatalf("run: %v", err)
	case !exit.Exited():
		if status, ok := exit.Sys().(syscall.WaitStatus); ok {
			t.Fatalf("ended by %v", status.Signal())
		}
	}
	return exit.ExitCode()
}

// hidesSecrets fails the test where a secret was printed. A signed URL may be
// printed by url alone.
func (o outcome) hidesSecrets(s *shell) {
	o.t.Helper()
	for _, secret := range []string{s.server.SecretKey, s.env["SECRET_KEY"], s.env["MINIO_SECRET_KEY"]} {
		if secret != "" && strings.Contains(o.out+o.errs, secret) {
			o.t.Errorf("%v prints a secret", o.args)
		}
	}
	if strings.Contains(o.out+o.errs, "X-Amz-Signature") && (len(o.args) == 0 || o.args[0] != "url") {
		o.t.Errorf("%v prints a signed URL", o.args)
	}
}

// wants fails the test where the exit code is another.
func (o outcome) wants(code int) outcome {
	o.t.Helper()
	if o.code != code {
		o.t.Fatalf("%v ends with %d, want %d\nstandard output: %s\nstandard error: %s", o.args, o.code, code, o.out, o.errs)
	}
	return o
}

// says fails the test where the output lacks one of the texts.
func (o outcome) says(texts ...string) outcome {
	o.t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.out+o.errs, text) {
			o.t.Errorf("%v says\n%s%s\nwant %q in it", o.args, o.out, o.errs, text)
		}
	}
	return o
}

// hides fails the test where the output has one of the texts.
func (o outcome) hides(texts ...string) outcome {
	o.t.Helper()
	for _, text := range texts {
		if strings.Contains(o.out+o.errs, text) {
			o.t.Errorf("%v says\n%s%s\nwithout %q, please", o.args, o.out, o.errs, text)
		}
	}
	return o
}

// object is any JSON object.
type object = map[string]any

// lines parses a stream of JSON objects, one a line.
func lines(t *testing.T, text string) []object {
	t.Helper()
	var out []object
	for line := range strings.Lines(text) {
		var o object
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("not a line of JSON: %q: %v", line, err)
		}
		out = append(out, o)
	}
	return out
}

// results parses standard output.
func (o outcome) results() []object { o.t.Helper(); return lines(o.t, o.out) }

// result parses the one line of standard output.
func (o outcome) result() object {
	o.t.Helper()
	all := o.results()
	if len(all) != 1 {
		o.t.Fatalf("%v prints %d results, want one: %s", o.args, len(all), o.out)
	}
	return all[0]
}

// events parses standard error and returns the events of a kind.
func (o outcome) events(kind string) []object {
	o.t.Helper()
	var out []object
	for _, e := range lines(o.t, o.errs) {
		if e["event"] == kind {
			out = append(out, e)
		}
	}
	return out
}

// failsWith fails the test where the last event is not an error of the kind.
func (o outcome) failsWith(code int, kind string) outcome {
	o.t.Helper()
	o.wants(code)
	e := o.events("error")
	if len(e) != 1 || e[0]["kind"] != kind || e[0]["exit_code"] != float64(code) {
		o.t.Errorf("%v reports %v, want one error of kind %q and code %d", o.args, e, kind, code)
	}
	return o
}

// write makes a file in the working directory.
func (s *shell) write(name, content string) string {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// read reads one.
func (s *shell) read(name string) string {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

// holds fails the test where the working directory holds other files.
func (s *shell) holds(names ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if strings.Join(have, " ") != strings.Join(names, " ") {
		s.t.Errorf("the working directory holds %q, want %q", have, names)
	}
}
