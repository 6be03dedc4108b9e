package sweep_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

// fixture is an app: a field in a bucket of its own, and a table that refers to
// its files.
type fixture struct {
	server *s3test.Server
	store  *core.Store
	bucket *core.Bucket
	field  *core.Field
	rows   *table
}

func setUp(t testing.TB) *fixture {
	t.Helper()
	s := s3test.Start(t)
	return setUpOn(t, s, s.Endpoint)
}

func setUpOn(t testing.TB, s *s3test.Server, endpoint string) *fixture {
	t.Helper()
	store := openStore(t, s, endpoint)
	name := s.Bucket(t)
	f := &fixture{server: s, store: store, rows: newTable()}
	f.field = store.Field(core.FieldConfig{Name: "file", Bucket: name, UploadTo: core.Prefix("files", core.KeepName)})
	f.bucket = f.field.Bucket()
	return f
}

func openStore(t testing.TB, s *s3test.Server, endpoint string, change ...func(*core.Config)) *core.Store {
	t.Helper()
	c := core.Config{
		Endpoint: endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"}, Timeout: 10 * time.Second,
	}
	for _, f := range change {
		f(&c)
	}
	store, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	return store
}

// save stores files of the field.
func (f *fixture) save(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := f.field.Save(t.Context(), core.Upload{Body: strings.NewReader("content"), Name: name}); err != nil {
			t.Fatal(err)
		}
	}
}

// put stores an object as another program would.
func (f *fixture) put(t testing.TB, keys ...string) { put(t, f.server, f.bucket.Name(), keys...) }

// config is a run two days from now, so that what is stored now is old enough.
func (f *fixture) config(action sweep.Action) sweep.Config {
	return sweep.Config{
		Bucket: f.bucket, References: []sweep.Source{f.rows.source("rows")}, Action: action,
		MaxShare: 1, Now: in(48 * time.Hour),
	}
}

func in(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }

// run sweeps and returns the findings too, by key.
func run(t testing.TB, c sweep.Config) (sweep.Report, map[string]sweep.Finding, error) {
	t.Helper()
	found := map[string]sweep.Finding{}
	c.Found = func(f sweep.Finding) error {
		found[f.Key] = f
		return nil
	}
	report, err := sweep.Run(t.Context(), c)
	return report, found, err
}

func mustRun(t testing.TB, c sweep.Config) (sweep.Report, map[string]sweep.Finding) {
	t.Helper()
	report, found, err := run(t, c)
	if err != nil {
		t.Fatalf("the run ended: %v", err)
	}
	return report, found
}

// wantObjects checks what the bucket holds.
func (f *fixture) wantObjects(t testing.TB, when string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got, _ := s3test.Leftovers(t, f.server, f.bucket.Name()); !slices.Equal(got, want) {
		t.Errorf("%s: the bucket holds %q, want %q", when, got, want)
	}
}

func wantKind(t testing.TB, what string, err error, kind core.Kind) {
	t.Helper()
	if core.KindOf(err) != kind {
		t.Errorf("%s: the error is %v (%s), want %s", what, err, core.KindOf(err).Code(), kind.Code())
	}
}

func outcomes(found map[string]sweep.Finding) map[string]string {
	out := map[string]string{}
	for key, f := range found {
		out[key] = string(f.Kind) + " " + string(f.Outcome)
	}
	return out
}

func wantOutcomes(t testing.TB, found map[string]sweep.Finding, want map[string]string) {
	t.Helper()
	if got := outcomes(found); !maps.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

// table is a table of rows with one file each.
type table struct {
	mu     sync.Mutex
	keys   map[string]bool
	onRead func() // before the rows are read
	fault  error  // in the middle of them
}

func newTable(keys ...string) *table {
	t := &table{keys: map[string]bool{}}
	t.add(keys...)
	return t
}

func (t *table) add(keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		t.keys[key] = true
	}
}

func (t *table) remove(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.keys, key)
}

func (t *table) sorted() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.keys))
}

func (t *table) read(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if t.onRead != nil {
			t.onRead()
		}
		for i, key := range t.sorted() {
			if i > 0 && t.fault != nil {
				yield("", t.fault)
				return
			}
			if !yield(key, nil) {
				return
			}
		}
		if t.fault != nil {
			yield("", t.fault)
		}
	}
}

func (t *table) refers(_ context.Context, keys []string) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !t.keys[key] }), nil
}

func (t *table) source(name string) sweep.Source {
	return sweep.Source{Name: name, Keys: t.read, Refers: t.refers}
}

func TestADryRunFindsOrphansAndTouchesNothing(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "b.txt", "c.txt")
	f.rows.add("files/b.txt")
	report, found := mustRun(t, f.config(sweep.DryRun))
	wantOutcomes(t, found, map[string]string{"files/a.txt": "orphan reported", "files/c.txt": "orphan reported"})
	if report.Listed != 3 || report.References != 1 || report.Orphans != 2 || report.OrphanBytes != 14 || report.Deleted != 0 || report.Stopped != "" {
		t.Errorf("the report is %+v", report)
	}
	f.wantObjects(t, "after a dry run", "files/a.txt", "files/b.txt", "files/c.txt")
}

func TestDeleteRemovesOrphansAndNothingElse(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "b.txt", "ü ö.txt", "c.txt")
	f.rows.add("files/b.txt", "files/not-there.txt")
	report, found := mustRun(t, f.config(sweep.Delete))
	wantOutcomes(t, found, map[string]string{"files/a.txt": "orphan deleted", "files/c.txt": "orphan deleted", "files/ü_ö.txt": "orphan deleted"})
	if report.Deleted != 3 || report.DeletedBytes != 21 {
		t.Errorf("the report is %+v, want 3 deleted objects of 21 bytes", report)
	}
	f.wantObjects(t, "afterwards", "files/b.txt")
	if report, _ = mustRun(t, f.config(sweep.Delete)); report.Orphans != 0 {
		t.Errorf("a second run finds %d orphans", report.Orphans)
	}
}

func TestO5TheDatabaseIsReadAfterTheListing(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "late.txt")
	f.rows.add("files/a.txt")
	f.rows.onRead = func() { f.rows.add("files/late.txt") } // committed when the listing was over
	c := f.config(sweep.Delete)
	c.References[0].Refers = nil // it is not asked again
	if report, _ := mustRun(t, c); report.Orphans != 0 {
		t.Errorf("%d orphans, want none: the row was there when the rows were read", report.Orphans)
	}
}

func TestARowThatComesBackIsSeenBeforeItsObjectIsTouched(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]sweep.Action{"delete": sweep.Delete, "quarantine": sweep.Quarantine} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			f.save(t, "a.txt", "back.txt")
			f.rows.add("files/a.txt")
			c := f.config(action)
			c.Progress = func(p sweep.Progress) {
				if p.Phase == "judge" {
					f.rows.add("files/back.txt") // after all rows were read
				}
			}
			_, found := mustRun(t, c)
			wantOutcomes(t, found, map[string]string{"files/back.txt": "orphan kept"})
			f.wantObjects(t, "afterwards", "files/a.txt", "files/back.txt")
		})
	}
}

func TestAnObjectThatIsReplacedMeanwhileIsLetAlone(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]string{"after the listing": "references", "after it was judged": "judge"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			f.save(t, "a.txt", "b.txt")
			f.rows.add("files/b.txt")
			replace := func() {
				if _, err := f.bucket.Save(t.Context(), "files/a.txt", core.Upload{Body: strings.NewReader("another"), Replace: true}); err != nil {
					t.Error(err)
				}
			}
			c := f.config(sweep.Delete)
			if when == "references" {
				f.rows.onRead = replace
			}
			c.Progress = func(p sweep.Progress) {
				if p.Phase == when {
					replace()
				}
			}
			if report, _ := mustRun(t, c); report.Deleted != 0 {
				t.Errorf("%d objects were deleted", report.Deleted)
			}
			f.wantObjects(t, "afterwards", "files/a.txt", "files/b.txt")
		})
	}
}

func TestO5YoungObjectsAreLetAlone(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt")
	c := f.config(sweep.Delete)
	c.Now = nil // the storage's own clock
	report, found := mustRun(t, c)
	if len(found) != 0 || report.Young != 1 || report.Deleted != 0 {
		t.Errorf("found %v, the report is %+v; want one young object", found, report)
	}
}

func TestO6WhatIsNotTheAppsIsLetAlone(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "ours.txt", "kept.txt")
	f.rows.add("files/kept.txt")
	f.put(t, "files/theirs.txt", "reports/2026.pdf", "top.txt")
	report, found := mustRun(t, f.config(sweep.Delete))
	wantOutcomes(t, found, map[string]string{"files/ours.txt": "orphan deleted", "files/theirs.txt": "foreign reported"})
	if !slices.Equal(report.Prefixes, []string{"files/"}) || report.Listed != 3 || report.Foreign != 1 {
		t.Errorf("the report is %+v, want 3 objects below files/, one of them foreign", report)
	}
	f.wantObjects(t, "afterwards", "files/kept.txt", "files/theirs.txt", "reports/2026.pdf", "top.txt")

	c := f.config(sweep.Delete)
	c.Owned = []string{"reports/"} // written by the app before it had this library
	_, found = mustRun(t, c)
	wantOutcomes(t, found, map[string]string{"reports/2026.pdf": "orphan deleted", "files/theirs.txt": "foreign reported"})
	f.wantObjects(t, "when reports/ is owned", "files/kept.txt", "files/theirs.txt", "top.txt")
}

func TestO6SeveralSourcesAreUnited(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "b.txt", "c.txt")
	c := f.config(sweep.Delete)
	c.References = []sweep.Source{
		newTable("files/a.txt").source("one"), newTable("files/b.txt").source("two"),
		sweep.Lines("standard input", strings.NewReader("files/nothing.txt\n\n"), ""),
	}
	mustRun(t, c)
	f.wantObjects(t, "afterwards", "files/a.txt", "files/b.txt")
}

func TestO6ACapStopsTheRunBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "b.txt", "c.txt", "d.txt")
	f.rows.add("files/d.txt")
	for _, c := range []struct {
		name   string
		action sweep.Action
		count  int
		share  float64
	}{
		{"a count", sweep.Delete, 2, 1},
		{"a share", sweep.Delete, 0, 0.5},
		{"a count, of quarantines", sweep.Quarantine, 2, 1},
		{"a share, of quarantines", sweep.Purge, 0, 0.74},
	} {
		config := f.config(c.action)
		config.MaxDeletes, config.MaxShare = c.count, c.share
		report, _, err := run(t, config)
		wantKind(t, c.name, err, core.ErrPrecondition)
		if report.Stopped == "" || report.Deleted+report.Isolated > 0 {
			t.Errorf("%s: the report is %+v, want it to say what stopped it", c.name, report)
		}
		f.wantObjects(t, c.name, "files/a.txt", "files/b.txt", "files/c.txt", "files/d.txt")
	}
	config := f.config(sweep.DryRun)
	config.MaxDeletes = 2
	if report, _ := mustRun(t, config); len(report.Notes) == 0 || !strings.Contains(report.Notes[0], "stop at its cap") {
		t.Errorf("a dry run notes %q, want that a real one would stop", report.Notes)
	}
	config = f.config(sweep.Delete)
	config.MaxDeletes, config.MaxShare = 3, 0.75
	mustRun(t, config)
	f.wantObjects(t, "with caps that are just reached", "files/d.txt")
}

func TestTheDefaultShareSparesSmallBuckets(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "b.txt")
	c := f.config(sweep.Delete)
	c.MaxShare = 0
	f.rows.add("files/b.txt")
	mustRun(t, c)
	f.wantObjects(t, "afterwards", "files/b.txt")
	for i := range 12 {
		f.save(t, string(rune('c'+i))+".txt")
	}
	_, _, err := run(t, c)
	wantKind(t, "12 of 13", err, core.ErrPrecondition)
}

func TestO6ASourceThatFailsStopsTheRun(t *testing.T) {
	t.Parallel()
	down := errors.New("the database is down")
	for name, source := range map[string]func(f *fixture) sweep.Source{
		"at once": func(*fixture) sweep.Source { return (&table{fault: down}).source("rows") },
		"in the middle": func(f *fixture) sweep.Source {
			f.rows.fault = down
			return f.rows.source("rows")
		},
		"when it is asked again": func(f *fixture) sweep.Source {
			s := f.rows.source("rows")
			s.Refers = func(context.Context, []string) ([]string, error) { return nil, down }
			return s
		},
		"input that was cut off in a line": func(*fixture) sweep.Source {
			return sweep.Lines("input", strings.NewReader("files/a.txt\nfiles/b"), "")
		},
		"input that was cut off between lines": func(*fixture) sweep.Source {
			return sweep.Lines("input", strings.NewReader("files/a.txt\n"), "END")
		},
		"a value that is no file's": func(*fixture) sweep.Source {
			return sweep.Lines("input", strings.NewReader("files/a.txt\n{\"v\":2,\"path\":\"files/b.txt\"}\n"), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			f.save(t, "a.txt", "b.txt", "c.txt")
			f.rows.add("files/a.txt", "files/b.txt")
			c := f.config(sweep.Delete)
			c.References = []sweep.Source{source(f)}
			report, _, err := run(t, c)
			wantKind(t, name, err, core.ErrUnavailable)
			if report.Deleted > 0 || !strings.Contains(report.Stopped, "references of") {
				t.Errorf("the report is %+v", report)
			}
			f.wantObjects(t, "afterwards", "files/a.txt", "files/b.txt", "files/c.txt")
		})
	}
}
