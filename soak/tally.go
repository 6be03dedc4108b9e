package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
)

// tally counts what happened. Safe for concurrent use.
type tally struct {
	mu         sync.Mutex
	counts     map[string]map[string]int64 // by operation and outcome
	causes     map[string]int64
	violations []string
	broken     int
}

func newTally() *tally {
	return &tally{counts: map[string]map[string]int64{}, causes: map[string]int64{}}
}

func (t *tally) add(op, outcome string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts[op] == nil {
		t.counts[op] = map[string]int64{}
	}
	t.counts[op][outcome] += n
}

func (t *tally) get(op, outcome string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[op][outcome]
}

// violation notes something that must not happen.
func (t *tally) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken++; t.broken <= 50 {
		t.violations = append(t.violations, fmt.Sprintf(format, args...))
	}
}

// varying is what differs between two errors of one kind.
var varying = regexp.MustCompile(`files/\S+|127\.0\.0\.1:\d+|uploadId=\S+|partNumber=\d+|[0-9A-F]{16,}`)

// cause notes why a request was refused.
func (t *tally) cause(op, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.causes[op+": "+varying.ReplaceAllString(text, "…")]++
}

// commonCauses returns the most frequent ones.
func (t *tally) commonCauses(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.SortedFunc(maps.Keys(t.causes), func(a, b string) int { return int(t.causes[b] - t.causes[a]) })
	list = list[:min(n, len(list))]
	for i, c := range list {
		list[i] = fmt.Sprintf("%d × %s", t.causes[c], c)
	}
	return list
}

func (t *tally) brokenCount() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}
