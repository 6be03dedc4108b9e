package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample has a way of every kind, one of which failed.
func sample() results {
	ms := time.Millisecond
	killed := failed(done(echo, 0, 0))
	killed.Failure = "killed at 6GiB of memory;\nit said: <&>"
	return results{
		Machine: machine{CPU: "Example", Cores: 2, Memory: gib, Kernel: "6.1", Go: "go1.26"}, Storage: "sink",
		Command:      []string{"go run ./bench/compare"},
		Measurements: []measurement{done(us, 0, ms), done(gin, 0, 4*ms), killed, done(most, 0, ms/2)},
	}
}

func TestTheReportHasFiguresRatiosAndFailures(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report(&out, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 × Example, 1 GiB of memory, Linux 6.1, go1.26. Storage: sink.",
		"    go run ./bench/compare\n", "### 1MiB×1\n",
		"| " + us + " | 1 | 1 | 1.02 | 1.000 | 8 |",
		"| " + echo + " | – | – |", "| 0, 1 failed |", "in no median: " + echo + ": killed at 6GiB of memory; it said: <&>.",
		"| way | CPU ÷ best peer |", "| " + us + " | 0.25 | 1.00 | 1.00 | 2.00 | 1.00 | 1.00 |",
		"Best peers: " + gin + " by CPU",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestTheChartIsXMLWithEveryWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "chart.svg")
	if err := writeChart(file, sample()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(text)))
	var shown strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the chart is no XML: %v\n%s", err, text)
		}
		if data, ok := token.(xml.CharData); ok {
			shown.Write(data)
		}
	}
	for _, want := range []string{us, gin, echo, most, "failed", "1MiB×1", "2 × Example"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("the chart does not show %q", want)
		}
	}
}

func TestKeptResultsAreJoinedByRounds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second, foreign := filepath.Join(dir, "1.json"), filepath.Join(dir, "2.json"), filepath.Join(dir, "3.json")
	other := sample()
	other.Storage = "minio over TLS"
	for file, r := range map[string]results{first: sample(), second: sample(), foreign: other} {
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readResults([]string{first, second})
	if err != nil || len(all.Measurements) != 8 || len(all.Command) != 2 {
		t.Fatalf("joined: %d runs, %d commands, %v; want 8 and 2", len(all.Measurements), len(all.Command), err)
	}
	if got := all.Measurements[4].Round; got != 1 {
		t.Errorf("the second file's round is %d, want 1", got)
	}
	if _, err := readResults([]string{first, foreign}); !errors.Is(err, errMixed) {
		t.Errorf("results of two storages are joined: %v, want %v", err, errMixed)
	}
	if _, err := readResults([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("a file there is not is read, want an error")
	}
}

func TestACommandIsQuotedForAShell(t *testing.T) {
	t.Parallel()
	got := quoted([]string{"compare", "--only", "a|b", "--x", "it's", "", "64MiB×4"})
	if want := `compare --only 'a|b' --x 'it'\''s' '' '64MiB×4'`; got != want {
		t.Errorf("quoted = %s, want %s", got, want)
	}
}

func TestWhatHasGrownIsAnError(t *testing.T) {
	t.Parallel()
	run := func(requests, allocations float64) measurement {
		m := done(us, 0, time.Millisecond)
		m.Scenario, m.Requests, m.Allocations = "10KiB×4", requests, allocations
		return m
	}
	limit := kept()["10KiB×4"]
	for _, tt := range []struct {
		name string
		all  []measurement
		want string // of the error, or empty for none
	}{
		{"at the limits", []measurement{run(limit.requests, limit.allocations)}, ""},
		{"the better of two runs counts", []measurement{run(2, 9999), run(1, 1)}, ""},
		{"a request more", []measurement{run(limit.requests+1, 1)}, "requests per upload"},
		{"more allocations", []measurement{run(1, limit.allocations+1)}, "allocations per upload"},
		{"nothing but failures", []measurement{failed(run(1, 1))}, "every run failed: killed"},
	} {
		err := checkKept(tt.all)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
