//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shortOptions are what --short has, of some ways.
func shortOptions(only string) options {
	return options{short: true, only: only, engine: "sink", maxMemory: "2GiB", maxTime: time.Minute}
}

// TestRequestsAndAllocationsHaveNotGrown is "compare --short" of our ways.
func TestRequestsAndAllocationsHaveNotGrown(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := shortOptions("filefield|limit").run(t.Context(), &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestTheStorageSpeaksTLSWhenAsked(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	o := options{
		scenarios: []string{"1KiB×2"}, only: "filefield, net/http|limit", engine: "sink", tls: true, runs: 1,
		bytes: "1MiB", files: 4, maxMemory: "2GiB", maxTime: time.Minute,
	}
	if err := o.run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "Storage: sink over TLS.") || strings.Contains(out.String(), "failed") {
		t.Errorf("the report is\n%s\nwant two ways over TLS, and no failure", out.String())
	}
}

func TestProfilesOfEveryServerAreKeptWhenAsked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "profiles")
	o := options{
		scenarios: []string{"1KiB×2"}, only: "filefield, net/http|limit", engine: "sink", runs: 1, profiles: dir, profileTime: time.Second,
		bytes: "1MiB", files: 4, maxMemory: "2GiB", maxTime: time.Minute,
	}
	if err := o.run(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1KiB×2-filefield-net-http", "1KiB×2-limit-body-into-one-unsigned-PUT"} {
		for _, kind := range []string{".cpu.pprof", ".allocs.pprof"} {
			if info, err := os.Stat(filepath.Join(dir, name+kind)); err != nil || info.Size() == 0 {
				t.Errorf("the profile %s is missing or empty: %v", name+kind, err)
			}
		}
	}
}

func TestAServerThatIsKilledIsAFailure(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	o := options{
		scenarios: []string{"4MiB×2"}, only: "filefield, net/http", engine: "sink", runs: 1,
		bytes: "4GiB", files: 1 << 20, maxMemory: "1MiB", maxTime: time.Minute,
	}
	if err := o.run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| filefield, net/http | – | – |", "0, 1 failed", "killed at 1MiB of memory"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestAnInterruptionLeavesWhatWasMeasured(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out strings.Builder
	o := options{
		scenarios: []string{"1KiB×1"}, only: "filefield, net/http", engine: "sink", runs: 1 << 20,
		bytes: "1KiB", files: 1, maxMemory: "2GiB", maxTime: time.Minute, measured: interrupt,
	}
	if err := o.run(ctx, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("run = %v, want %v", err, context.Canceled)
	}
	if !strings.Contains(out.String(), "| filefield, net/http |") || strings.Contains(out.String(), "failed") {
		t.Errorf("the report is\n%s\nwant what was measured", out.String())
	}
}

func TestWrongFlagsAreExplained(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*options)
		want   string
	}{
		{"an engine there is not", func(o *options) { o.engine = "disk" }, `engine "disk"`},
		{"TLS of the embedded engine", func(o *options) { o.engine, o.tls = "embedded", true }, "speaks no TLS"},
		{"no run", func(o *options) { o.runs = 0 }, "runs:"},
		{"no size", func(o *options) { o.bytes = "much" }, "bytes:"},
		{"no memory", func(o *options) { o.maxMemory = "much" }, "max-memory:"},
		{"no scenario", func(o *options) { o.scenarios = []string{"x"} }, "scenario"},
		{"no way", func(o *options) { o.only = "nobody" }, "no way matches"},
	} {
		o := options{scenarios: []string{"1KiB×1"}, engine: "sink", runs: 1, bytes: "1KiB", files: 1, maxMemory: "1GiB"}
		tt.change(&o)
		if err := o.run(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestAServerThatDoesNotListenIsAnError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := start(ctx, exec.Command("sh", "-c", "echo broken >&2; exit 1"), listening{find: saysURL})
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("start = %v, want what the program said", err)
	}
	cancel()
	if _, err := start(ctx, exec.Command("sleep", "60"), listening{find: saysURL}); !errors.Is(err, context.Canceled) {
		t.Errorf("start = %v, want %v", err, context.Canceled)
	}
}
