package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// process is a program under supervise, which ends it when this process ends.
type process struct {
	pid   int
	super *exec.Cmd
	stdin io.Closer
	once  sync.Once
}

// start runs a program, with what it prints in a file.
func start(supervise, log string, env []string, program string, args ...string) (*process, error) {
	super := exec.Command(supervise, append([]string{"-log", log, "--", program}, args...)...)
	// An interrupt from the keyboard is for the soak, which ends these in order.
	super.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	super.Env = env
	super.Stderr = os.Stderr
	stdin, err := super.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := super.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := super.Start(); err != nil {
		return nil, err
	}
	p := &process{super: super, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	var started struct {
		PID int `json:"pid"`
	}
	if err == nil {
		err = json.Unmarshal(line, &started)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p.pid = started.PID
	return p, nil
}

// kill ends the program at once, as a crash would.
func (p *process) kill() {
	p.once.Do(func() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may be dead already
		p.stdin.Close()
		p.super.Wait()
	})
}

// stop asks the program to end, and makes it.
func (p *process) stop() {
	p.once.Do(func() {
		p.stdin.Close()
		p.super.Wait()
	})
}
