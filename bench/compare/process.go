//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// process is a server of its own process. Linux says what it used.
type process struct {
	cmd    *exec.Cmd
	url    string // what it listens on
	stderr limited
	proc   procfs.Proc
	ended  chan struct{}
}

// startTimeout is how long a server may take to say where it listens.
const startTimeout = time.Minute

// listening says where a server listens: at a URL known beforehand, or at what find
// makes of the first line it prints.
type listening struct {
	known string
	find  func(line string) string
}

// saysURL reads a line that ends in "listens on URL".
func saysURL(line string) string {
	_, url, _ := strings.Cut(strings.TrimSpace(line), " listens on ")
	return url
}

// start runs cmd, a server. It is killed with the thread that started it, which
// options.run holds.
func start(ctx context.Context, cmd *exec.Cmd, where listening) (*process, error) {
	p := &process{cmd: cmd, url: where.known, ended: make(chan struct{})}
	cmd.Stderr = &p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	said := make(chan string, 1)
	go func() {
		out := bufio.NewReader(stdout)
		line, _ := out.ReadString('\n') // nothing is what it said
		said <- line
		_, _ = io.Copy(io.Discard, out) // so that it never waits to print
		cmd.Wait()
		close(p.ended)
	}()
	if p.url == "" {
		select {
		case line := <-said:
			p.url = where.find(line)
		case <-ctx.Done():
		case <-time.After(startTimeout):
		}
	}
	if p.url == "" {
		p.stop()
		return nil, errors.Join(fmt.Errorf("%s does not listen: %s", cmd, p.stderr.String()), ctx.Err())
	}
	if p.proc, err = procfs.NewProc(cmd.Process.Pid); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s ended at once: %s: %w", cmd, p.stderr.String(), err)
	}
	return p, nil
}

// stop ends the process and returns when it has ended.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(2 * time.Second):
		p.kill()
		<-p.ended
	}
}

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// hasEnded reports whether the process ended, and waits a moment for that where it
// is just about to.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(100 * time.Millisecond):
		return false
	}
}

// host is the process's host:port.
func (p *process) host() string {
	_, host, _ := strings.Cut(p.url, "://")
	return host
}

// usage is what a process has used.
type usage struct {
	cpu     time.Duration
	written int64 // into files of a disk, whether or not they were deleted since
}

// used reads the process's clock, which counts nanoseconds where /proc counts
// hundredths of a second. A process that has ended is an error, not zero.
func (p *process) used() (usage, error) {
	var t unix.Timespec
	// The clock of a process: man 3 clock_getcpuclockid, and CPUCLOCK_SCHED of the
	// kernel's include/linux/posix-timers_types.h.
	clock := int32(^p.cmd.Process.Pid)<<3 | 2
	if err := unix.ClockGettime(clock, &t); err != nil {
		return usage{}, fmt.Errorf("read the clock of process %d: %w", p.cmd.Process.Pid, err)
	}
	io, err := p.proc.IO()
	return usage{cpu: time.Duration(t.Nano()), written: int64(io.WriteBytes)}, err
}

// allocations are what a Go program has allocated since it began.
type allocations struct {
	Count int64 `json:"Mallocs"`
	Bytes int64 `json:"TotalAlloc"`
}

// allocated asks the process's /debug/vars, which the package expvar serves.
func (p *process) allocated(ctx context.Context) (allocations, error) {
	var vars struct {
		Memstats allocations `json:"memstats"`
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/debug/vars", http.NoBody)
	if err != nil {
		return allocations{}, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		return allocations{}, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&vars); err != nil {
		return allocations{}, fmt.Errorf("read the allocations of process %d: %w", p.cmd.Process.Pid, err)
	}
	return vars.Memstats, nil
}

// memory watches what a process has resident.
type memory struct {
	p      *process
	anon   atomic.Int64 // the most since forget
	killed atomic.Bool
	done   chan struct{}
	ended  sync.WaitGroup
}

// watch looks at the process's memory fifty times a second until stop, and kills
// the process when more than limit bytes are resident, before the kernel kills
// whom it likes.
func (p *process) watch(limit int64) *memory {
	m := &memory{p: p, done: make(chan struct{})}
	m.ended.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-m.done:
				return
			case <-tick.C:
				resident, anon := p.resident()
				if anon > m.anon.Load() {
					m.anon.Store(anon)
				}
				if resident > limit {
					m.killed.Store(true)
					p.kill()
					return
				}
			}
		}
	})
	return m
}

func (m *memory) stop() {
	close(m.done)
	m.ended.Wait()
}

// forget has peak count from now.
func (m *memory) forget() error {
	m.anon.Store(0)
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.p.cmd.Process.Pid), []byte("5"), 0)
}

// peak returns the most memory the process has had resident, in bytes: all of it,
// of which the kernel keeps count, and what is no file's, as often as was looked.
func (m *memory) peak() (all, anon int64, err error) {
	status, err := m.p.proc.NewStatus()
	_, now := m.p.resident()
	return int64(status.VmHWM), max(m.anon.Load(), now), err
}

// resident returns what the process has resident, and what of it is no file's.
func (p *process) resident() (all, anon int64) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	fields := strings.Fields(string(statm))
	if err != nil || len(fields) < 3 {
		return 0, 0 // it has ended
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64) // digits, says man 5 proc_pid_statm
	files, _ := strconv.ParseInt(fields[2], 10, 64)
	page := int64(os.Getpagesize())
	return pages * page, (pages - files) * page
}

// limited keeps the beginning of what is written.
type limited struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffer.Write(p[:min(len(p), max(0, 4<<10-l.buffer.Len()))])
	return len(p), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.buffer.String())
}
