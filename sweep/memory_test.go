package sweep

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// synthetic is a listing of n objects that exist nowhere.
func synthetic(t testing.TB, n int) lister {
	return func(_ context.Context, o core.WalkOptions) iter.Seq2[core.Object, error] {
		return func(yield func(core.Object, error) bool) {
			from := 0
			if _, number, found := strings.Cut(o.After, "photo-"); found {
				last, err := strconv.Atoi(strings.TrimSuffix(number, ".jpg"))
				if err != nil {
					t.Error(err)
				}
				from = last + 1
			}
			for i := from; i < n; i++ {
				key, err := core.ParseKey(syntheticKey(i))
				if !yield(core.Object{Key: key, Size: 1, ETag: fmt.Sprintf("%032x", i), Modified: time.Unix(int64(i), 0)}, err) {
					return
				}
			}
		}
	}
}

func syntheticKey(i int) string { return fmt.Sprintf("profiles/pictures/2026/11/photo-%08d.jpg", i) }

// inUse is what the program holds of the system's memory, in bytes.
func inUse() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// TestO6AMillionKeysFitInto64MiB measures the whole program, so nothing else may run.
func TestO6AMillionKeysFitInto64MiB(t *testing.T) { //nolint:paralleltest // see above
	const n, orphans, missing = 1_000_000, 100, 100
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	runtime.GC()
	before, most := inUse(), uint64(0)
	r, err := newRun(t.Context(), Config{
		Bucket: store.Bucket(s.Bucket(t)), Owned: []string{"profiles/"}, CheckMissing: true,
		Progress: func(Progress) { most = max(most, inUse()) },
		References: []Source{{Name: "rows", Keys: func(context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				for i := range n + missing { // in no order
					if i := (i * 7919) % (n + missing); i%(n/orphans) != 0 && !yield(syntheticKey(i), nil) {
						return
					}
				}
			}
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list, wanted := synthetic(t, n), 0
	r.list = func(ctx context.Context, o core.WalkOptions) iter.Seq2[core.Object, error] {
		if o.Page == groupSize {
			wanted++
		}
		return list(ctx, o)
	}
	start := time.Now()
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects, %d references in %s; memory %.1f MiB, of which %.1f MiB were there before",
		r.report.Listed, r.report.References, time.Since(start).Round(time.Millisecond), float64(most)/(1<<20), float64(before)/(1<<20))
	if most > 64<<20 {
		t.Errorf("the program held %d MiB, want 64 at most", most>>20)
	}
	if r.report.Listed != n || r.report.Missing != missing-1 || wanted != orphans {
		t.Errorf("%d objects, %d missing, %d stretches listed again; want %d, %d and %d", r.report.Listed, r.report.Missing, wanted, n, missing-1, orphans)
	}
}
