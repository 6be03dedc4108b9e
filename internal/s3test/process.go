package s3test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 15 * time.Second
)

// process is a server's process, or the supervisor of one. It holds the other
// end of the process's standard input; when this test binary ends in whatever
// way, the kernel closes it, and the process stops.
type process struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	stdout   *os.File
	endpoint string
	pid      int // of the server itself

	ending sync.Once
}

// startProcess runs cmd and returns the first line it prints. It uses pipes
// made here and no goroutine, so that a test that looks for goroutines left
// behind finds none of ours.
func startProcess(cmd *exec.Cmd) (*process, []byte, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, stdin.Close())
	}
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return nil, nil, errors.Join(err, stdin.Close(), r.Close())
	}
	p := &process{cmd: cmd, stdin: stdin, stdout: r}
	line, err := p.firstLine()
	if err != nil {
		p.kill()
		return nil, nil, fmt.Errorf("%s did not come up: %w", cmd.Path, err)
	}
	return p, line, nil
}

func (p *process) firstLine() ([]byte, error) {
	if err := p.stdout.SetReadDeadline(time.Now().Add(startTimeout)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return nil, err
	}
	return bufio.NewReader(p.stdout).ReadBytes('\n')
}

// stop closes the process's standard input and waits for its end.
func (p *process) stop() { p.end(func() {}) }

// kill ends the server without giving it a chance to say goodbye.
func (p *process) kill() {
	p.end(func() {
		if server, err := os.FindProcess(p.pid); p.pid != 0 && err == nil {
			server.Kill()
		} else {
			p.cmd.Process.Kill()
		}
	})
}

func (p *process) end(first func()) {
	p.ending.Do(func() {
		first()
		p.stdin.Close()
		// Should the process not heed its input's end.
		late := time.AfterFunc(stopTimeout, func() { p.cmd.Process.Kill() })
		p.cmd.Wait()
		late.Stop()
		p.stdout.Close()
	})
}
