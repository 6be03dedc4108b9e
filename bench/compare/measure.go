//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// bench is what measurements have in common.
type bench struct {
	programs string // folder
	engine   engine
	effort   effort
	// maxMemory is at what size a server is killed, maxTime when the last upload of
	// a run is begun.
	maxMemory int64
	maxTime   time.Duration
	measured  func() // called after every measurement, or nil
	// profiles is the folder for the profiles of every measurement's server, or "",
	// and profileTime how long one looks.
	profiles    string
	profileTime time.Duration
}

// warmSize is the largest file that is sent before time is taken.
const warmSize = 16 << 20

// measure runs a way's server and its storage, once. What goes wrong with the
// server is the measurement's Failure; an error is the driver's or the storage's.
func (b bench) measure(ctx context.Context, w way, s scenario) (measurement, error) {
	m := measurement{Scenario: s.String(), Way: w.Name, Requests: -1}
	tmp, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(tmp)
	data, temporary := filepath.Join(tmp, "data"), filepath.Join(tmp, "tmp")
	for _, dir := range []string{data, temporary} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return m, err
		}
	}
	storage, err := b.engine.start(ctx, data)
	if err != nil {
		return m, err
	}
	defer storage.stop()
	server, err := b.serve(ctx, w, storage, temporary)
	if err != nil {
		return m, err
	}
	defer server.stop()
	run := run{bench: b, server: server, storage: storage, memory: server.watch(b.maxMemory)}
	err = run.load(ctx, w, s, &m)
	run.memory.stop()
	if inMemory(temporary) {
		m.TempBytes = -1
	}
	switch {
	case ctx.Err() != nil:
		return m, ctx.Err()
	case run.memory.killed.Load():
		m.Failure, err = fmt.Sprintf("killed at %s of memory", sizeName(b.maxMemory)), nil
	case server.hasEnded():
		m.Failure, err = "the server ended", nil
	}
	if said := server.stderr.String(); m.Failure != "" && said != "" {
		m.Failure += "; it said: " + said
	}
	return m, err
}

// run is a server under load, with its storage.
type run struct {
	bench

	server  *process
	storage storage
	memory  *memory
}

// load sends what warms the server up, and then the scenario's files.
func (r run) load(ctx context.Context, w way, s scenario, m *measurement) error {
	host, uploads := r.server.host(), r.effort.uploads(s)
	warm := load{
		addr: host, request: newRequest(w, host, min(s.Size, warmSize), s.Unknown),
		atOnce: s.AtOnce, uploads: max(uploads/10, s.AtOnce), limit: r.maxTime,
	}
	work := load{addr: host, request: newRequest(w, host, s.Size, s.Unknown), size: s.Size, atOnce: s.AtOnce, uploads: uploads, limit: r.maxTime}
	if warmed := warm.run(ctx); warmed.failures > 0 {
		m.Failures, m.Failure = warmed.failures, "while it warmed up: "+warmed.failure.Error()
		return nil
	}
	if err := r.take(ctx, work, m); err != nil || m.Failure != "" || r.profiles == "" {
		return err
	}
	return r.profile(ctx, work, w, s)
}

// take sends the files and notes what they cost.
func (r run) take(ctx context.Context, work load, m *measurement) error {
	allocatedBefore, err := r.server.allocated(ctx)
	if err != nil {
		return err
	}
	storageBefore, requestsBefore, err := r.storage.used(ctx)
	if err != nil {
		return err
	}
	if err := r.memory.forget(); err != nil {
		return err
	}
	before, err := r.server.used()
	if err != nil {
		return err
	}
	o := work.run(ctx)
	m.Uploads, m.Failures, m.Took = len(o.latencies), o.failures, o.took
	m.Bytes = int64(m.Uploads) * work.size
	m.P50, m.P99 = o.quantile(0.5), o.quantile(0.99)
	if o.failures > 0 {
		m.Failure = fmt.Sprintf("%d of %d uploads failed: %v", o.failures, o.failures+m.Uploads, o.failure)
		return nil
	}
	after, err := r.server.used()
	if err != nil {
		return err
	}
	if m.PeakRSS, m.PeakAnon, err = r.memory.peak(); err != nil {
		return err
	}
	storageAfter, requestsAfter, err := r.storage.used(ctx)
	if err != nil {
		return err
	}
	allocatedAfter, err := r.server.allocated(ctx)
	if err != nil {
		return err
	}
	per := func(n int64) float64 { return float64(n) / float64(m.Uploads) }
	m.CPU, m.TempBytes = after.cpu-before.cpu, after.written-before.written
	m.StorageCPU = storageAfter.cpu - storageBefore.cpu
	m.Allocations = per(allocatedAfter.Count - allocatedBefore.Count)
	m.AllocatedBytes = per(allocatedAfter.Bytes - allocatedBefore.Bytes)
	if r.storage.counts {
		m.Requests = per(requestsAfter - requestsBefore)
	}
	return nil
}

// serve starts a way's server.
func (b bench) serve(ctx context.Context, w way, s storage, tmp string) (*process, error) {
	args := []string{"127.0.0.1:0", s.Endpoint, s.Bucket}
	if w.mode != "" {
		args = slices.Insert(args, 0, w.mode)
	}
	cmd := exec.Command(filepath.Join(b.programs, filepath.Base(w.program)), args...)
	cmd.Env = append(os.Environ(), "AK="+s.AccessKey, "SK="+s.SecretKey, "CA="+s.CAFile, "TMPDIR="+tmp)
	return start(ctx, cmd, listening{find: saysURL})
}

// inMemory reports whether the folder lies in memory, so that what is written
// there is not counted.
func inMemory(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Type == unix.TMPFS_MAGIC
}
