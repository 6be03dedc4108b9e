package s3test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// unusedFor is how long a cached program may lie unused before it is removed.
const unusedFor = 14 * 24 * time.Hour

// build is a program to build into the cache folder.
type build struct {
	name    string
	module  string // folder to build in
	pkg     string
	key     string // what tells versions apart, or
	sources bool   // the sources themselves do
	advice  string // what to do when it fails
}

// run returns the program's path, building it first where this version is not
// in the cache. Test binaries that run at the same time wait for one another
// and never see half a program.
func (b build) run() (string, error) {
	path, err := b.cached()
	if err != nil {
		return "", fmt.Errorf("build %s: %w (%s)", b.name, err, b.advice)
	}
	return path, nil
}

func (b build) cached() (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := b.version()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, b.name+"-"+key+exe())
	if usable(path) {
		return path, nil
	}
	unlock, err := lock(filepath.Join(dir, b.name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if usable(path) { // someone else built it meanwhile
		return path, nil
	}
	if err := b.compile(path); err != nil {
		return "", err
	}
	prune(dir, b.name+"-")
	return path, nil
}

// compile builds beside the final place and renames, which is atomic.
func (b build) compile(path string) error {
	tmp := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	defer os.Remove(tmp)
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", tmp, b.pkg)
	cmd.Dir = b.module
	// The workspace's view of the modules is not the module's own.
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s in %s: %w\n%s", b.pkg, b.module, err, tail(out, 4096))
	}
	return os.Rename(tmp, path)
}

// version names what the program is made from, as part of a file name.
func (b build) version() (string, error) {
	target := runtime.Version() + "-" + runtime.GOOS + "-" + runtime.GOARCH
	if !b.sources {
		return b.key + "-" + target, nil
	}
	h := sha256.New()
	err := filepath.WalkDir(b.module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isSource(d.Name()) {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(b.module, path) // checkouts share programs
		fmt.Fprintf(h, "%s %d\n", rel, len(src))
		h.Write(src)
		return err
	})
	return fmt.Sprintf("%x-%s", h.Sum(nil)[:8], target), err
}

func isSource(name string) bool {
	return name == "go.mod" || name == "go.sum" ||
		strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

// usable reports whether the program is there, and notes that it is in use.
func usable(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	now := time.Now()
	os.Chtimes(path, now, now) // best effort; a read-only cache serves as well
	return true
}

// prune removes versions of a program, and what a killed build left, that
// nobody used for a while. Failures only cost space.
func prune(dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), prefix) && time.Since(info.ModTime()) > unusedFor {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// cacheDir returns the folder for built programs, in the user's cache or, where
// there is none, among the temporary files.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "filefield")
	return dir, os.MkdirAll(dir, 0o700)
}

// lock takes a lock that ends with this process at the latest.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { f.Close() }, nil // closing releases it
}

func exe() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

func tail(out []byte, n int) []byte {
	return out[max(0, len(out)-n):]
}
