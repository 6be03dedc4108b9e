package sweep_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

// BenchmarkSweep measures dry runs over 20,000 objects against bare listings by
// minio-go of the same bucket, in turns. "of-bare" is the speed of a run as a
// share of that of a listing. Candidates cost requests of their own, so the second
// case has some.
func BenchmarkSweep(b *testing.B) {
	const objects = 20_000
	s := s3test.Start(b)
	f := setUp(b)
	client := s.Client(b)
	var fill sync.WaitGroup
	key := func(i int) string { return fmt.Sprintf("files/2026-%02d-%02d/photo-%06d.jpg", i/2000+1, i/100%20+1, i) }
	for worker := range 16 {
		fill.Go(func() {
			for i := worker; i < objects; i += 16 {
				if _, err := client.PutObject(b.Context(), f.bucket.Name(), key(i), strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	fill.Wait()
	for _, orphans := range []int{0, 20} {
		b.Run(fmt.Sprintf("orphans=%d", orphans), func(b *testing.B) {
			c := f.config(sweep.DryRun)
			c.Owned = []string{"files/"}
			c.References = []sweep.Source{{Name: "rows", Keys: func(context.Context) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					for i := range objects {
						if orphans > 0 && i%(objects/orphans) == 0 {
							continue
						}
						if !yield(key(i), nil) {
							return
						}
					}
				}
			}}}
			var bare, swept time.Duration
			for b.Loop() {
				start := time.Now()
				n := 0
				for o := range client.ListObjectsIter(b.Context(), f.bucket.Name(), minio.ListObjectsOptions{Prefix: "files/", Recursive: true}) {
					if o.Err != nil {
						b.Fatal(o.Err)
					}
					n++
				}
				bare += time.Since(start)
				start = time.Now()
				report, _ := mustRun(b, c)
				swept += time.Since(start)
				if n != objects || report.Listed != objects || report.Orphans != int64(orphans) {
					b.Fatalf("%d listed, the report is %+v", n, report)
				}
			}
			b.ReportMetric(float64(bare)/float64(swept), "of-bare")
			b.ReportMetric(float64(objects)*float64(b.N)/swept.Seconds(), "objects/s")
		})
	}
}
