package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// column is one of the table's.
type column struct {
	head  string
	value func(measurement) float64
	form  string // of fmt
}

func columns() []column {
	return []column{
		{"MiB/s", measurement.throughput, "%.0f"},
		{"files/s", measurement.rate, "%.0f"},
		{"CPU s/GiB", measurement.cpuPerGiB, "%.2f"},
		{"CPU ms/file", measurement.cpuPerFile, "%.3f"},
		{"peak MiB", measurement.peakMiB, "%.0f"},
		{"of it anonymous", measurement.anonMiB, "%.0f"},
		{"p50 ms", measurement.p50, "%.1f"},
		{"p99 ms", measurement.p99, "%.1f"},
		{"requests/upload", measurement.requests, "%.2f"},
		{"allocations/upload", measurement.allocs, "%.0f"},
		{"temp MiB/upload", measurement.tempMiB, "%.1f"},
	}
}

// report writes Markdown: where and how it was measured, and for every scenario a
// table of medians and one of ratios.
func report(out io.Writer, r results) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Machine: %s. Storage: %s.\n\n", r.Machine, r.Storage)
	for _, command := range r.Command {
		fmt.Fprintf(&text, "    %s\n", command)
	}
	for _, scenario := range r.scenarios() {
		fmt.Fprintf(&text, "\n### %s\n\n", scenario)
		figures(&text, r, scenario)
		compared(&text, r, scenario)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// figures writes the medians of the ways, and which runs failed.
func figures(text *strings.Builder, r results, scenario string) {
	fmt.Fprint(text, "| way |")
	for _, c := range columns() {
		fmt.Fprintf(text, " %s |", c.head)
	}
	fmt.Fprintf(text, " runs |\n|---|%s--:|\n", strings.Repeat("--:|", len(columns())))
	var failures []string
	for _, w := range r.ways(scenario) {
		runs := of(r.Measurements, scenario, w.Name)
		fmt.Fprintf(text, "| %s |", w.Name)
		for _, c := range columns() {
			fmt.Fprintf(text, " %s |", cell(c.form, median(runs, c.value)))
		}
		done := complete(runs)
		if len(done) == len(runs) {
			fmt.Fprintf(text, " %d |\n", len(runs))
			continue
		}
		fmt.Fprintf(text, " %d, %d failed |\n", len(done), len(runs)-len(done))
		failures = append(failures, fmt.Sprintf("%s: %s.", w.Name, firstFailure(runs)))
	}
	if len(failures) > 0 {
		fmt.Fprintf(text, "\nFailed, and in no median: %s\n", strings.Join(failures, " "))
	}
}

// firstFailure is one line that fits a table.
func firstFailure(runs []measurement) string {
	i := slices.IndexFunc(runs, func(m measurement) bool { return m.Failure != "" })
	if i < 0 {
		return "nothing was stored"
	}
	reason := strings.Join(strings.Fields(runs[i].Failure), " ")
	if len(reason) > 300 {
		reason = strings.ToValidUTF8(reason[:300], "") + "…"
	}
	return strings.TrimSuffix(reason, ".")
}

// cell writes a figure, or a dash where there is none.
func cell(form string, value float64) string {
	if math.IsNaN(value) || value < 0 {
		return "–"
	}
	return fmt.Sprintf(form, value)
}

// compared writes what ours is of the best peer and of the limit, where those were
// measured beside it.
func compared(text *strings.Builder, r results, scenario string) {
	measured := r.ways(scenario)
	own, peers, limits := names(measured, ours), names(measured, peer), names(measured, limit)
	if len(own) == 0 || len(peers)+len(limits) == 0 {
		return
	}
	type comparison struct {
		head   string
		others []string
		m      metric
	}
	var comparisons []comparison
	if len(peers) > 0 {
		comparisons = append(comparisons, comparison{"CPU ÷ best peer", peers, cost()},
			comparison{"throughput ÷ best peer", peers, speed()}, comparison{"peak ÷ best peer", peers, memoryUse()})
	}
	if len(limits) > 0 {
		comparisons = append(comparisons, comparison{"CPU ÷ limit", limits, cost()},
			comparison{"throughput ÷ limit", limits, speed()}, comparison{"peak ÷ limit", limits, memoryUse()})
	}
	fmt.Fprint(text, "\n| way |")
	for _, c := range comparisons {
		fmt.Fprintf(text, " %s |", c.head)
	}
	fmt.Fprintf(text, "\n|---|%s\n", strings.Repeat("--:|", len(comparisons)))
	for _, name := range own {
		fmt.Fprintf(text, "| %s |", name)
		for _, c := range comparisons {
			fmt.Fprintf(text, " %s |", span(ratios(r.Measurements, scenario, name, c.others, c.m)))
		}
		fmt.Fprintln(text)
	}
	if best := bestOf(r.Measurements, scenario, peers, cost()); best != "" {
		fmt.Fprintf(text, "\nBest peers: %s by CPU, %s by throughput, %s by memory.\n", best,
			bestOf(r.Measurements, scenario, peers, speed()), bestOf(r.Measurements, scenario, peers, memoryUse()))
	}
}

// span writes a ratio's median, and its ends where they differ from it.
func span(s summary) string {
	if math.IsNaN(s.median) {
		return "–"
	}
	if s.least == s.most {
		return fmt.Sprintf("%.2f", s.median)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.least, s.most)
}
