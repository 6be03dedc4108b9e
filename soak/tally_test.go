package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestViolationsAreCountedByKindAndWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), violationsFile)
	s := &soak{tally: newTally(path)}
	if err := (&report{s}).err(); err != nil {
		t.Errorf("without a violation the outcome is %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("without a violation there is a file: %v", err)
	}
	s.tally.violation("a leak", "of %d goroutines", 3)
	s.tally.violation("404", "of a")
	s.tally.violation("404", "of b")
	if got, want := byKind(s.tally.broken()), []string{"2 × 404", "1 × a leak"}; !slices.Equal(got, want) {
		t.Errorf("counted as %q, want %q", got, want)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 3 || !strings.Contains(string(text), " a leak: of 3 goroutines\n") {
		t.Errorf("written is %q, %v", text, err)
	}
	if err := (&report{s}).err(); err == nil || !strings.Contains(err.Error(), "3 violations: 2 × 404, 1 × a leak") {
		t.Errorf("the outcome is %v", err)
	}
}

func TestRefusalsOfOneKindAreCountedTogether(t *testing.T) {
	t.Parallel()
	tally := newTally("")
	tally.cause("upload", "save soak/files/2026/a.bin: 127.0.0.1:4000 is down")
	tally.cause("upload", "save soak/files/2026/b.bin: 127.0.0.1:4001 is down")
	tally.cause("delete", "no progress")
	if got := tally.commonCauses(1); len(got) != 1 || !strings.HasPrefix(got[0], "2 × upload: save soak/") {
		t.Errorf("the most frequent is %q", got)
	}
}
