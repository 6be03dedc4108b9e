package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/soak/app"
	"github.com/filefield/filefield/sweep"
)

func TestWhatASweepAnswersIsJudged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		swept   app.Swept
		outcome string
		want    []string
	}{
		{"it was well", app.Swept{}, "good", nil},
		{"it removed an orphan", app.Swept{Findings: []sweep.Finding{{Kind: sweep.Orphan}}}, "good", nil},
		{"an outage ended it", app.Swept{Error: "no progress", Kind: core.ErrUnavailable.Code()}, "503", nil},
		{"a refusal ended it", app.Swept{Error: "no", Kind: core.ErrDenied.Code()}, "", []string{"a sweep failed"}},
		{"it missed an object", app.Swept{Findings: []sweep.Finding{{Kind: sweep.Missing}}}, "good", []string{"a sweep found missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &soak{tally: newTally(filepath.Join(t.TempDir(), violationsFile))}
			s.judge("a sweep", c.swept)
			var got []string
			for _, v := range s.tally.broken() {
				got = append(got, v.kind)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if c.outcome != "" && s.tally.get("sweep", c.outcome) != 1 {
				t.Errorf("it is not counted as %q", c.outcome)
			}
		})
	}
}
