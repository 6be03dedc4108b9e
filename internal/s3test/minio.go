package s3test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// minioServer runs MinIO under the program supervise.
type minioServer struct {
	program, supervisor string
	certs               string // folder of the certificate, or empty
}

func newMinIO(certs string) (starter, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	m := minioServer{certs: certs, program: os.Getenv(minioVar)}
	if m.program == "" {
		if m.program, err = buildMinIO(filepath.Join(root, "internal", "tools", "minio")); err != nil {
			return nil, err
		}
	}
	m.supervisor, err = build{
		name:    "supervise",
		module:  filepath.Join(root, "internal", "s3test", "supervise"),
		pkg:     ".",
		sources: true,
		advice:  "see what `go build ./internal/s3test/supervise` says",
	}.run()
	return m, err
}

var minioVersion = regexp.MustCompile(`github\.com/minio/minio (v\S+)`)

func buildMinIO(module string) (string, error) {
	mod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", err
	}
	version := minioVersion.FindSubmatch(mod)
	if version == nil {
		return "", fmt.Errorf("no version of MinIO in %s/go.mod", module)
	}
	return build{
		name:   "minio",
		module: module,
		pkg:    "github.com/minio/minio",
		key:    string(version[1]),
		advice: "the first build takes some minutes and needs the Go module proxy: raise go test's -timeout, or set " + minioVar + " to a MinIO program",
	}.run()
}

// start retries, because a port found free may be taken a moment later.
func (m minioServer) start(dir, addr string, removeDir bool) (*process, error) {
	if addr != "" {
		return m.startOn(dir, addr, removeDir)
	}
	var errs error
	for range 3 {
		free, err := freeAddrs(1)
		if err != nil {
			return nil, err
		}
		p, err := m.startOn(dir, free[0], removeDir)
		if err == nil {
			return p, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, errs
}

func (m minioServer) startOn(dir, addr string, removeDir bool) (*process, error) {
	log := filepath.Join(dir, "minio.log")
	args := []string{"-log", log}
	if removeDir {
		args = append(args, "-remove", dir)
	}
	console, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	args = append(args, "--", m.program, "server", filepath.Join(dir, "data"),
		"--address", addr, "--console-address", console[0])
	if m.certs != "" {
		args = append(args, "--certs-dir", m.certs)
	}
	cmd := exec.Command(m.supervisor, args...)
	cmd.Env = m.env(dir)
	cmd.Stderr = os.Stderr
	p, line, err := startProcess(cmd)
	if err != nil {
		return nil, err
	}
	var started struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(line, &started); err != nil {
		p.kill()
		return nil, fmt.Errorf("the supervisor announced itself with %q, want one line of JSON: %w", line, err)
	}
	p.endpoint, p.pid = addr, started.PID
	if err := m.waitLive(addr); err != nil {
		output, _ := os.ReadFile(log)
		p.kill()
		return nil, fmt.Errorf("MinIO did not come up on %s: %w; it printed:\n%s", addr, err, output)
	}
	return p, nil
}

// env keeps the developer's own MinIO settings away from the server.
func (m minioServer) env(dir string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MINIO_") && !strings.HasPrefix(v, "MC_") && !strings.HasPrefix(v, "HOME=") {
			env = append(env, v)
		}
	}
	kms := base64.StdEncoding.EncodeToString([]byte("s3test-kms-key-of-32-bytes-0123!"))
	return append(env,
		"HOME="+dir,
		"MINIO_ROOT_USER="+accessKey,
		"MINIO_ROOT_PASSWORD="+secretKey,
		"MINIO_SITE_REGION="+region,
		"MINIO_BROWSER=off",
		"MINIO_UPDATE=off",
		"MINIO_CI_CD=1",                    // accepts a folder on the root disk
		"MINIO_API_REQUESTS_MAX=2048",      // otherwise derived from the machine's memory
		"MINIO_KMS_SECRET_KEY=s3test:"+kms, // for server-side encryption
	)
}

// waitLive asks for MinIO's health until it is good. The caller then makes sure
// that signed requests work.
func (m minioServer) waitLive(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tr, scheme, err := transport(m.certs)
	if err != nil {
		return err
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	return poll(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+addr+"/minio/health/live", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("health is %s", resp.Status)
		}
		return nil
	})
}

// poll calls ask until it succeeds or ctx ends.
func poll(ctx context.Context, ask func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// freeAddrs returns different free loopback addresses.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// moduleRoot finds the root of the checkout from this file's own place, and from
// the working folder where the test binary was built with -trimpath.
func moduleRoot() (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		return filepath.Dir(filepath.Dir(filepath.Dir(file))), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "embeds3", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("cannot find the checkout: run go test inside it")
		}
		dir = parent
	}
}

// MinIOPrograms returns the paths of MinIO's server and of supervise, which ends
// it with the process that started it; both are built where that has not been
// done yet. They are for tests that run servers in other ways than Start does.
func MinIOPrograms() (server, supervise string, err error) {
	s, err := newMinIO("")
	if err != nil {
		return "", "", err
	}
	m := s.(minioServer) //nolint:forcetypeassert // newMinIO makes no other
	return m.program, m.supervisor, nil
}
