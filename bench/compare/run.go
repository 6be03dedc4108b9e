//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
)

// options are the flags.
type options struct {
	scenarios           []string
	only, engine        string
	runs, files         int
	bytes, maxMemory    string
	maxTime             time.Duration
	tls, short          bool
	jsonFile, chartFile string
	profiles            string
	profileTime         time.Duration
	command             []string // for the report
	measured            func()   // called after every measurement, or nil
}

// run measures, and writes what it found.
func (o options) run(ctx context.Context, out io.Writer) error {
	runtime.LockOSThread() // servers die with the thread that started them
	defer runtime.UnlockOSThread()
	if o.short {
		o.scenarios, o.runs, o.bytes, o.files = shortScenarios(), shortRuns, shortBytes, shortFiles
	}
	scenarios, err := parseScenarios(o.scenarios)
	if err != nil {
		return err
	}
	chosen, err := chooseWays(o.only)
	if err != nil {
		return err
	}
	if o.runs < 1 {
		return errors.New("runs: want 1 or more")
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o700); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := o.bench(dir)
	if err != nil {
		return err
	}
	root, err := build(ctx, dir, chosen)
	if err != nil {
		return err
	}
	r := results{Machine: describe(root), Command: []string{quoted(o.command)}, Storage: o.engine}
	if o.tls {
		r.Storage += " over TLS"
	}
	r.Measurements, err = b.all(ctx, chosen, scenarios, o.runs)
	if len(r.Measurements) == 0 {
		return err
	}
	// What was measured until an error or an interruption is of use.
	if err := errors.Join(err, o.write(out, r)); err != nil || !o.short {
		return err
	}
	return checkKept(r.Measurements)
}

// write reports the results in every way that was asked for.
func (o options) write(out io.Writer, r results) error {
	if o.jsonFile != "" {
		if err := r.write(o.jsonFile); err != nil {
			return err
		}
	}
	if o.chartFile != "" {
		if err := writeChart(o.chartFile, r); err != nil {
			return err
		}
	}
	return report(out, r)
}

// bench reads the sizes, and finds the engine.
func (o options) bench(dir string) (bench, error) {
	bytes, err := humanize.ParseBytes(o.bytes)
	if err != nil {
		return bench{}, fmt.Errorf("bytes: %w", err)
	}
	maxMemory, err := humanize.ParseBytes(o.maxMemory)
	if err != nil {
		return bench{}, fmt.Errorf("max-memory: %w", err)
	}
	b := bench{programs: dir, effort: effort{Bytes: int64(bytes), Files: o.files}, maxMemory: int64(maxMemory), maxTime: o.maxTime, measured: o.measured, profiles: o.profiles, profileTime: o.profileTime}
	b.engine, err = newEngine(o.engine, dir, o.tls)
	return b, err
}

// all measures every scenario, its ways in turn, so that what else the machine
// does in the meantime meets them alike. With an error it returns what it measured
// before.
func (b bench) all(ctx context.Context, chosen []way, scenarios []scenario, runs int) ([]measurement, error) {
	var measurements []measurement
	bar := progressbar.NewOptions(len(scenarios)*runs*len(chosen), progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionShowCount(), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
	for round := range runs {
		for _, s := range scenarios {
			for _, w := range chosen {
				bar.Describe(s.String() + " " + w.Name)
				m, err := b.measure(ctx, w, s)
				if err != nil {
					return measurements, fmt.Errorf("%s, %s: %w", w.Name, s, err)
				}
				m.Round = round
				measurements = append(measurements, m)
				_ = bar.Add(1) // it is for show
				if b.measured != nil {
					b.measured()
				}
			}
		}
	}
	return measurements, bar.Finish()
}

// build compiles the chosen ways' programs and the sink into dir, and returns this
// module's folder.
func build(ctx context.Context, dir string, chosen []way) (root string, err error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/filefield/filefield/bench").Output()
	if err != nil {
		return "", fmt.Errorf("find this module's source: go list -m: %w", err)
	}
	args := []string{"build", "-o", dir + string(filepath.Separator), "./sink/cmd/sink"}
	seen := map[string]bool{}
	for _, w := range chosen {
		if !seen[w.program] {
			args = append(args, "./"+w.program)
		}
		seen[w.program] = true
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = strings.TrimSpace(string(module))
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, output)
	}
	return cmd.Dir, nil
}
