//go:build unix

package core_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// A claim and its end, with storage that stands still or is killed at some moment
// of them, leave the file as it was: there, marked, and without a lock.
func TestAClaimDuringAnOutageLosesNothing(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{})
	const bucket = "outage"
	if err := s.Client(t).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: s.Region}); err != nil {
		t.Fatal(err)
	}
	field := openStoreOn(t, s, s.Endpoint).Field(core.FieldConfig{Name: "file", Bucket: bucket})
	k := &keeping{Field: field, bucket: bucket}
	ctx, txn := begin(t)
	k.object = k.save(ctx, t, "kept")
	text, err := k.Keep(ctx, k.object)
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	token, err := k.Verify(text)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 12 {
		moment := time.Duration(round) * time.Millisecond
		over := make(chan struct{})
		time.AfterFunc(moment, func() {
			defer close(over)
			if round%3 == 2 {
				s.Kill()
				s.Restart()
				return
			}
			process, _ := os.FindProcess(s.PID) // never fails on Unix
			_ = process.Signal(syscall.SIGSTOP)
			<-time.After(200 * time.Millisecond)
			_ = process.Signal(syscall.SIGCONT)
		})
		ctx, txn := begin(t)
		claimed := k.Claim(ctx, token)
		ended := txn.Rollback(ctx)
		<-over
		set, err := s.Client(t).GetObjectTagging(t.Context(), bucket, k.object.Key.String(), minio.GetObjectTaggingOptions{})
		if err != nil || set.ToMap()["filefield"] != "pending" {
			t.Errorf("round %d: the claim gave %v, its end %v; then the file has the tags %v (%v), want pending", round, claimed, ended, set, err)
		}
		for o := range s.Client(t).ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
			if strings.Contains(o.Key, ".filefield-claim-") {
				t.Errorf("round %d: the claim gave %v, its end %v; the lock %s stays", round, claimed, ended, o.Key)
			}
		}
	}
}
