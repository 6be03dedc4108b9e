package s3test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// embedded runs the program embeds3.
type embedded struct{ program string }

func newEmbedded() (starter, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	program, err := build{
		name:    "embeds3",
		module:  root + "/embeds3",
		pkg:     "./cmd/embeds3",
		sources: true,
		advice:  "see what `cd embeds3 && GOWORK=off go build ./cmd/embeds3` says; the first build needs the Go module proxy",
	}.run()
	return embedded{program}, err
}

// start leaves the free port and, for a server that shares the test binary's
// life, the folder to the engine, which removes it at its end.
func (e embedded) start(dir, addr string, removeDir bool) (*process, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	args := []string{"-stdin", "-addr", addr}
	if !removeDir {
		args = append(args, "-dir", dir)
	}
	cmd := exec.Command(e.program, args...)
	cmd.Env = append(os.Environ(), "S3_ACCESS_KEY="+accessKey, "S3_SECRET_KEY="+secretKey, "S3_REGION="+region)
	// A file, so that no goroutine has to copy.
	cmd.Stderr = os.Stderr
	p, line, err := startProcess(cmd)
	if err != nil {
		return nil, err
	}
	var ready struct {
		Endpoint string `json:"endpoint"`
	}
	if err := json.Unmarshal(line, &ready); err != nil || ready.Endpoint == "" {
		p.kill()
		return nil, fmt.Errorf("the embedded engine announced itself with %q, want one line of JSON: %w", line, err)
	}
	p.endpoint, p.pid = ready.Endpoint, cmd.Process.Pid
	return p, nil
}
