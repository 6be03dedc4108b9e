package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"
)

// tally counts what happened. Safe for concurrent use.
type tally struct {
	mu         sync.Mutex
	counts     map[string]map[string]int64 // by operation and outcome
	causes     map[string]int64
	path       string
	violations []violation
}

// violation is something that must not happen.
type violation struct {
	kind, text string
	at         time.Time
}

// violationsFile has a line for each violation, in the run's folder.
const violationsFile = "violations.txt"

// newTally returns one that writes violations to a file, as soon as there are any.
func newTally(path string) *tally {
	return &tally{path: path, counts: map[string]map[string]int64{}, causes: map[string]int64{}}
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

// violation notes something that must not happen, under a few words that are the
// same for all of its kind.
func (t *tally) violation(kind, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := violation{kind, fmt.Sprintf(format, args...), time.Now()}
	t.violations = append(t.violations, v)
	if err := v.write(t.path); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
}

func (v violation) write(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %s: %s\n", v.at.Format("15:04:05.000"), v.kind, v.text)
	return errors.Join(err, f.Close())
}

// broken returns the violations so far.
func (t *tally) broken() []violation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.violations)
}

// byKind counts violations, in the order of their kinds.
func byKind(list []violation) (lines []string) {
	counts := map[string]int{}
	for _, v := range list {
		counts[v.kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%d × %s", counts[kind], kind))
	}
	return lines
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
