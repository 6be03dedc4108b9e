package s3test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func writeModule(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/tiny\n\ngo 1.26.0\n",
		"main.go": source,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuild(t *testing.T) {
	// The compiler's own cache stays, though it lies in the user's by default.
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(gocache)))
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("LocalAppData", cache)

	b := build{name: "tiny", module: writeModule(t, "package main\n\nfunc main() {}\n"), pkg: ".", sources: true, advice: "try again"}
	var paths [4]string
	var wg sync.WaitGroup
	for i := range paths {
		wg.Go(func() {
			var err error
			if paths[i], err = b.run(); err != nil {
				t.Errorf("run: %v, want no error", err)
			}
		})
	}
	wg.Wait()
	first, err := os.Stat(paths[0])
	if err != nil || paths[1] != paths[0] || paths[2] != paths[0] || paths[3] != paths[0] {
		t.Fatalf("simultaneous builds made %q (%v), want one program", paths, err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(paths[0]), "*.tmp"))
	if len(left) != 0 {
		t.Errorf("left behind %q, want nothing", left)
	}

	other := b
	other.module = writeModule(t, "package main\n\nfunc main() { println() }\n")
	path, err := other.run()
	if err != nil || path == paths[0] {
		t.Errorf("other sources made %q, %v; want another program than %q", path, err, paths[0])
	}
	if again, err := os.Stat(paths[0]); err != nil || !os.SameFile(first, again) {
		t.Errorf("the first program is no longer there: %v", err)
	}

	broken := b
	broken.module = writeModule(t, "package main\n\nfunc main() { nonsense }\n")
	if _, err := broken.run(); err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(err.Error(), "try again") {
		t.Errorf("error of a broken program is %v, want the compiler's words and the advice", err)
	}
}
