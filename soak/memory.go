package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// warmUp is what a process gets before its memory has to stay what it is.
	warmUp = 5 * time.Minute
	// window is how long the samples are that are compared by their medians.
	window = 5 * time.Minute
)

// sample is what a process holds at a time since the load began.
type sample struct {
	at  time.Duration
	rss int64
}

// watchMemory samples a process every second until ctx ends.
func watchMemory(ctx context.Context, pid int) (samples []sample) {
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-tick.C:
			if rss, err := resident(pid); err == nil {
				samples = append(samples, sample{time.Since(began), rss})
			}
		}
	}
}

// resident returns a process's resident bytes, on systems that tell in /proc.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm of %d reads %q", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// stretch is what the samples of one window say.
type stretch struct {
	from, to                time.Duration
	lowest, median, highest int64
}

// stretches cuts samples into windows. A rest of less than half a window is left out.
func stretches(samples []sample) (list []stretch) {
	for from := time.Duration(0); ; from += window {
		var in []int64
		var last time.Duration
		for _, s := range samples {
			if s.at >= from && s.at < from+window {
				in, last = append(in, s.rss), s.at
			}
		}
		if len(in) == 0 || last < from+window/2 {
			return list
		}
		slices.Sort(in)
		list = append(list, stretch{from, last.Round(time.Second), in[0], in[len(in)/2], in[len(in)-1]})
	}
}

// growth is how much the highest median after the warm-up is above the first one
// after it, and flat says whether that, and the lowest, is within a tenth. ok is
// false where there are fewer than two windows to compare.
func growth(list []stretch) (low, high float64, ok bool) {
	var after []float64
	for _, s := range list {
		if s.from >= warmUp {
			after = append(after, float64(s.median))
		}
	}
	if len(after) < 2 {
		return 0, 0, false
	}
	return slices.Min(after)/after[0] - 1, slices.Max(after)/after[0] - 1, true
}
