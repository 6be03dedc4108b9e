package sweep_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

// load is an app under traffic: rows come, change and go, and every way of losing
// an object happens.
type load struct {
	*fixture
	total, done atomic.Int64
	over        atomic.Bool // the traffic
	mu          sync.Mutex
	lost        map[string]bool // objects that no row will refer to again
}

// store stores a file, as a request does before its row is committed.
func (l *load) store(t *testing.T) string {
	o, err := l.field.Save(t.Context(), core.Upload{Body: strings.NewReader("content"), Name: "a.txt"})
	if err != nil {
		t.Error(err)
		return ""
	}
	return o.Key.String()
}

func (l *load) lose(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost[key] = true
}

// work makes operations until there were enough. New rows are committed some
// operations after their objects were stored.
func (l *load) work(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	var rows, open []string
	var first time.Time // of those open
	defer func() { l.rows.add(open...) }()
	for l.done.Add(1) <= l.total.Load() {
		switch n := random.IntN(10); {
		case n < 6 || len(rows) == 0: // a new row
			if len(open) == 0 {
				first = time.Now()
			}
			open = append(open, l.store(t))
		case n < 7: // a new row, whose transaction is rolled back by a crash
			l.lose(l.store(t))
		case n < 9: // a replacement that leaves the old object behind
			i := random.IntN(len(rows))
			old := rows[i]
			rows[i] = l.store(t)
			l.rows.add(rows[i])
			l.rows.remove(old)
			l.lose(old)
		default: // a deletion that leaves its object behind
			i := random.IntN(len(rows))
			l.rows.remove(rows[i])
			l.lose(rows[i])
			rows = append(rows[:i], rows[i+1:]...)
		}
		if len(open) > 5 || (len(open) > 0 && time.Since(first) > time.Second) { // on a slow machine no row may be as late as the age
			l.rows.add(open...)
			rows, open = append(rows, open...), nil
		}
	}
}

// sweeps runs one sweep after the other while there is traffic, and until there
// was something to do.
func (l *load) sweeps(t *testing.T, c sweep.Config) (runs, touched int64) {
	c.Found = func(f sweep.Finding) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if (f.Outcome == sweep.Deleted || f.Outcome == sweep.Isolated) && !l.lost[f.Key] {
			t.Errorf("the object %s was touched, and it is live", f.Key)
		}
		return nil
	}
	for !l.over.Load() || touched == 0 {
		report, err := sweep.Run(t.Context(), c)
		if err != nil {
			t.Errorf("a sweep ended: %v", err)
			return runs, touched
		}
		if report.Missing > 0 {
			t.Errorf("%d rows have lost their objects", report.Missing)
		}
		runs, touched = runs+1, touched+report.Deleted+report.Isolated
	}
	return runs, touched
}

// TestO5NoLiveObjectIsTouchedUnderLoad is what all the rest is for. The age is the
// only thing that protects a file without its row, so it is a real one here, of a
// few seconds.
func TestO5NoLiveObjectIsTouchedUnderLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		operations int64
		config     sweep.Config
	}{
		{"by runs that delete", 10_000, sweep.Config{Action: sweep.Delete}},
		{"by runs that move to quarantine and purge", 2_000, sweep.Config{Action: sweep.Purge, Isolation: sweep.ByPrefix, QuarantineFor: time.Nanosecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := s3test.Start(t)
			l := &load{lost: map[string]bool{}, fixture: &fixture{server: s, rows: newTable()}}
			l.total.Store(c.operations)
			const age = 5 * time.Second
			l.fixture.store = openStore(t, s, s.Endpoint, func(config *core.Config) { config.TokenExpiry = age })
			l.field = l.fixture.store.Field(core.FieldConfig{Name: "file", Bucket: s.Bucket(t)})
			l.bucket = l.field.Bucket()

			config := c.config
			config.Bucket, config.MaxShare, config.MinAge, config.CheckMissing = l.bucket, 1, age, true
			// It is not asked again: the order of listing and reading has to do.
			config.References = []sweep.Source{{Name: "rows", Keys: l.rows.read}}
			config.MaxDeletes = 1_000_000
			var sweeps, work sync.WaitGroup
			var runs, touched int64
			sweeps.Go(func() { runs, touched = l.sweeps(t, config) })
			for i := range 8 {
				work.Go(func() { l.work(t, uint64(i)) })
			}
			work.Wait()
			l.over.Store(true)
			sweeps.Wait()
			t.Logf("%d operations, %d runs that touched %d objects, %d rows at the end", c.operations, runs, touched, len(l.rows.sorted()))

			config.Now = in(time.Hour)
			for range 2 { // what a quarantine took goes with the second
				if report, _ := mustRun(t, config); report.Missing > 0 {
					t.Errorf("%d rows have lost their objects", report.Missing)
				}
			}
			l.wantObjects(t, "after the last sweep", l.rows.sorted()...)
		})
	}
}
