package core_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// A plan of fifty buckets as they should be, and the same reads by minio-go
// alone, as many at once: plan/minio-go says how much longer the plan takes.
func BenchmarkPlanOfFiftyBuckets(b *testing.B) {
	s := s3test.Start(b)
	client := s.Client(b)
	base := s.Bucket(b)
	var names []string
	for i := range 50 {
		name := fmt.Sprintf("%s-%d", base, i)
		names = append(names, name)
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = client.RemoveBucket(ctx, name)
		})
	}
	store := openStoreOn(b, s, s.Endpoint, func(c *core.Config) { c.PublicBuckets = names })
	for _, name := range names {
		store.Declare(core.BucketConfig{Name: name, Versioning: core.VersioningOn, Tags: map[string]string{"team": "a"}})
	}
	settle(b, store)
	// In turns, so that what else the machine does weighs on both alike.
	var ours, bare []time.Duration
	for b.Loop() {
		ours = append(ours, timed(func() {
			if plan, err := store.Plan(b.Context()); err != nil || plan.Changes() {
				b.Fatal(plan, err)
			}
		}))
		bare = append(bare, timed(func() {
			eightAtOnce(names, func(name string) {
				if err := readThree(b.Context(), client, name); err != nil {
					b.Error(err)
				}
			})
		}))
	}
	b.ReportMetric(float64(median(ours).Microseconds())/1000, "plan-ms")
	b.ReportMetric(float64(median(bare).Microseconds())/1000, "minio-go-ms")
	b.ReportMetric(float64(median(ours))/float64(median(bare)), "plan/minio-go")
}

func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func median(all []time.Duration) time.Duration { return slices.Sorted(slices.Values(all))[len(all)/2] }

func readThree(ctx context.Context, c *minio.Client, name string) error {
	if _, err := c.GetBucketPolicy(ctx, name); err != nil {
		return err
	}
	if _, err := c.GetBucketVersioning(ctx, name); err != nil {
		return err
	}
	_, err := c.GetBucketTagging(ctx, name)
	return err
}

func eightAtOnce(names []string, do func(string)) {
	slots := make(chan struct{}, 8)
	var all sync.WaitGroup
	for _, name := range names {
		slots <- struct{}{}
		all.Go(func() {
			do(name)
			<-slots
		})
	}
	all.Wait()
}
