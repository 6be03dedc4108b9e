package sweep_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/sweep"
)

// between is the table as a database with an index in the order of bytes.
func (t *table) between(_ context.Context, after, upto string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, key := range t.sorted() {
			if key > after && (upto == "" || key <= upto) && !yield(key, nil) {
				return
			}
		}
	}
}

// awkward are keys whose order other orders disagree on.
var awkward = []string{
	"files/A.txt", "files/a", "files/a!", "files/a-b.txt", "files/a.txt", "files/a0.txt", "files/a_b.txt", "files/b/c.txt", "files/b-c.txt",
	"files/b/d/e.txt", "files/é.txt", "files/ß.txt", "files/z.txt", "files/Z.txt", "files/\uffee.txt", "files/😀.txt", "files/ü ö.txt",
}

func TestAMergeFindsWhatASetFinds(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.put(t, awkward...)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		rows := newTable("files/gone.txt", "files/", "zzz/gone.txt", "aaa/gone.txt")
		for _, key := range awkward {
			if random.IntN(2) == 0 {
				rows.add(key)
			}
		}
		var want map[string]string
		for name, source := range map[string]sweep.Source{
			"a set":             rows.source("rows"),
			"a sorted sequence": {Name: "rows", Keys: rows.read, Sorted: true, Refers: rows.refers},
			"stretches":         {Name: "rows", Between: rows.between, Refers: rows.refers},
		} {
			for _, window := range []int{1, 2, 3, 7, len(awkward), 1000} {
				c := f.config(sweep.DryRun)
				c.Owned, c.References, c.Window, c.CheckMissing = []string{"files/"}, []sweep.Source{source}, window, true
				report, found := mustRun(t, c)
				if want == nil {
					want = outcomes(found)
				}
				if got := outcomes(found); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("round %d, %s in windows of %d: found %v, want %v", round, name, window, got, want)
				}
				if report.Listed != int64(len(awkward)) {
					t.Errorf("round %d, %s in windows of %d: %d objects listed, want %d", round, name, window, report.Listed, len(awkward))
				}
			}
		}
		if len(want) < 4 {
			t.Errorf("round %d: found %v, want four missing at least", round, want)
		}
	}
}

func TestKeysOutOfOrderStopAMerge(t *testing.T) {
	t.Parallel()
	// As a database sorts that knows German.
	sorted := func(context.Context) iter.Seq2[string, error] {
		return sweep.Lines("", strings.NewReader("files/a.txt\nfiles/ä.txt\nfiles/b.txt\n"), "").Keys(context.Background())
	}
	for name, source := range map[string]sweep.Source{
		"a sorted sequence": {Name: "rows", Keys: sorted, Sorted: true},
		"stretches": {
			Name: "rows", Between: func(ctx context.Context, _, _ string) iter.Seq2[string, error] { return sorted(ctx) },
			Refers: func(context.Context, []string) ([]string, error) { return nil, nil },
		},
	} {
		f := setUp(t)
		f.put(t, "files/a.txt", "files/b.txt", "files/ä.txt", "files/c.txt")
		c := f.config(sweep.Delete)
		c.Owned, c.References = []string{"files/"}, []sweep.Source{source}
		report, _, err := run(t, c)
		wantKind(t, name, err, core.ErrConfig)
		if report.Deleted > 0 || !strings.Contains(report.Stopped, "not sorted by their bytes") {
			t.Errorf("%s: the report is %+v", name, report)
		}
	}
}

func TestEachStretchIsReadAfterItWasListed(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.put(t, "files/a", "files/b", "files/c", "files/d")
	f.rows.add("files/a")
	late := []string{"files/b", "files/c", "files/d"}
	c := f.config(sweep.Delete)
	c.Owned, c.Window = []string{"files/"}, 1
	c.References = []sweep.Source{{Name: "rows", Refers: f.rows.refers, Between: func(ctx context.Context, after, upto string) iter.Seq2[string, error] {
		if upto != "" && slices.Contains(late, upto) {
			f.rows.add(upto)
		}
		return f.rows.between(ctx, after, upto)
	}}}
	f.rows.add("files/d") // the last stretch has no end
	mustRun(t, c)
	f.wantObjects(t, "afterwards", "files/a", "files/b", "files/c", "files/d")
}

func TestARunGoesOnWhereAnotherWasInterrupted(t *testing.T) {
	t.Parallel()
	for name, merge := range map[string]bool{"with a set": false, "with a merge": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			var keys []string
			for i := range 120 {
				keys = append(keys, fmt.Sprintf("files/%03d", i))
			}
			f.put(t, keys...)
			f.rows.add(keys[0], keys[119])
			c := f.config(sweep.Delete)
			c.Owned, c.Window = []string{"files/"}, 30
			if merge {
				c.References = []sweep.Source{{Name: "rows", Between: f.rows.between, Refers: f.rows.refers}}
			}
			var last *sweep.Checkpoint
			deletions, reports := 0, 0
			c.Checkpoint = func(p sweep.Checkpoint) error { last = &p; return nil }
			c.Found = func(found sweep.Finding) error {
				if found.Outcome == sweep.Deleted {
					deletions++
				}
				if reports++; reports == 75 || reports == 100 {
					return fmt.Errorf("the process dies")
				}
				return nil
			}
			runs := 0
			for err := fmt.Errorf("not begun"); err != nil; {
				var report sweep.Report
				report, err = sweep.Run(t.Context(), c)
				c.Resume = last
				if runs++; runs > 5 {
					t.Fatalf("it does not end: %v", err)
				}
				if err == nil && report.Deleted != 118 {
					t.Errorf("the last report counts %d deletions", report.Deleted)
				}
			}
			if runs != 3 || deletions != 118 {
				t.Errorf("%d runs deleted %d objects, want 3 and 118", runs, deletions)
			}
			f.wantObjects(t, "afterwards", keys[0], keys[119])

			c.Resume.Prefix = "elsewhere/"
			_, err := sweep.Run(t.Context(), c)
			wantKind(t, "another run's checkpoint", err, core.ErrConfig)
		})
	}
}

func TestCapsHoldForAResumedRunTogether(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.put(t, "files/a", "files/b", "files/c", "files/d")
	f.rows.add("files/d")
	c := f.config(sweep.Delete)
	c.Owned, c.MaxDeletes = []string{"files/"}, 3
	c.Resume = &sweep.Checkpoint{Bucket: f.bucket.Name(), Action: sweep.Delete, After: "files/a", Report: sweep.Report{Deleted: 2, Listed: 10}}
	_, _, err := run(t, c)
	wantKind(t, "two before and two now", err, core.ErrPrecondition)
	c.MaxDeletes = 4
	mustRun(t, c)
	f.wantObjects(t, "afterwards", "files/a", "files/d")
}

func TestShardsTogetherSweepTheBucket(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.put(t, "files/a1", "files/a2", "files/b1", "files/c1", "files/c2")
	f.rows.add("files/a1", "files/c2", "files/b-gone")
	found := map[string]string{}
	for _, shard := range []string{"files/a", "files/b", "files/c"} {
		c := f.config(sweep.DryRun)
		c.Owned, c.Prefix, c.CheckMissing = []string{""}, shard, true
		report, some := mustRun(t, c)
		for key, outcome := range outcomes(some) {
			found[key] = outcome
		}
		if report.Listed > 2 || report.References != 1 {
			t.Errorf("the shard %s: %+v, want no more than is its own", shard, report)
		}
	}
	want := map[string]string{"files/a2": "orphan reported", "files/b1": "orphan reported", "files/c1": "orphan reported", "files/b-gone": "missing reported"}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("found %v, want %v", found, want)
	}
}
