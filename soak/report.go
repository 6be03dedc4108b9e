package main

import (
	"fmt"
	"strings"
	"time"
)

// report is a soak's outcome.
type report struct{ *soak }

func (s *soak) report() *report {
	if _, high, ok := growth(stretches(s.memory)); ok && high > 0.1 {
		s.tally.violation("memory", "the app's memory grew by %.0f %% after the first minutes", 100*high)
	}
	return &report{s}
}

// err is what did not hold, or nil.
func (r *report) err() error {
	list := r.tally.broken()
	if len(list) == 0 {
		return nil
	}
	return fmt.Errorf("%d violations: %s", len(list), strings.Join(byKind(list), ", "))
}

// markdown renders the report as tables.
func (r *report) markdown() string {
	var b strings.Builder
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	t, c := r.tally, r.checked
	b.WriteString("| soak | |\n|---|---|\n")
	row("load", "%s, %d clients, 1 KiB to %d MiB, seed %d", r.loaded.Round(time.Second), r.config.Workers, r.config.Largest>>20, r.config.Seed)
	row("nodes killed", "%d; down and away from the rest for at most %s", t.get("node", "killed"), r.longest.Round(100*time.Millisecond))
	row("app processes killed", "%d", t.get("app", "killed"))
	row("acknowledged", "%d uploads, %d replacements, %d deletions; %.1f GiB received", t.get("upload", "good"), t.get("replace", "good"), t.get("delete", "good"),
		gib(t.get("upload", "bytes")+t.get("replace", "bytes")))
	row("downloads", "%d whole and right, %.1f GiB; %d cut off; %d answered with 404 while a node was away, and whole and right later",
		t.get("download", "good"), gib(t.get("download", "bytes")), t.get("download", "cut"), t.get("download", "404 at first"))
	row("refused with 503", "%d uploads, %d replacements, %d deletions, %d downloads", t.get("upload", "503"), t.get("replace", "503"), t.get("delete", "503"), t.get("download", "503"))
	row("answer lost", "%d uploads, %d replacements, %d deletions", t.get("upload", "answer lost"), t.get("replace", "answer lost"), t.get("delete", "answer lost"))
	row("sweeps beside the load", "%d, %d more ended by an outage", t.get("sweep", "good"), t.get("sweep", "503"))
	row("read back and compared", "%d files, %.1f GiB; %d not readable at first", c.compared, gib(c.bytes), t.get("read back", "503"))
	row("deleted, and gone", "%d", c.gone)
	row("answer lost, and consistent", "%d, of which %d had happened", c.unsettled, c.happened)
	row("left before the ledger's recovery and a sweep", "%d objects without a row, %d open multipart uploads", c.leftovers, c.opened)
	row("after them", "%d rows, %d objects, as list %d of the bucket has them", c.rows, c.objects, c.lists)
	row("of ended multipart uploads", "%d have remains on half of the drives, for MinIO to remove", c.remains)
	for i, a := range r.apps {
		row(a.name, "%d → %d goroutines, %d → %d descriptors", r.bases[i].Goroutines, r.ends[i].Goroutines, r.bases[i].Descriptors, r.ends[i].Descriptors)
	}
	row("**violations**", "**%d**", len(t.broken()))
	for _, kind := range byKind(t.broken()) {
		row("of these", "%s", kind)
	}
	b.WriteString("\n| memory of app1, RSS | lowest | median | highest |\n|---|---|---|---|\n")
	list := stretches(r.memory)
	for _, s := range list {
		fmt.Fprintf(&b, "| %s to %s | %d MiB | %d MiB | %d MiB |\n", s.from, s.to, s.lowest>>20, s.median>>20, s.highest>>20)
	}
	if low, high, ok := growth(list); ok {
		fmt.Fprintf(&b, "\nMedians after the first %s, against the first of them: %+.1f %% to %+.1f %%.\n", warmUp, 100*low, 100*high)
	}
	b.WriteString("\nMost frequent refusals:\n\n")
	for _, cause := range t.commonCauses(12) {
		fmt.Fprintf(&b, "- %s\n", cause)
	}
	return b.String()
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }
