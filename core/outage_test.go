//go:build unix

package core_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// A claim and its end, with storage that stands still or is killed at some moment
// of them, lose nothing: the file is there, and marked, without a lock, unless an
// error has said that storage stayed away for longer than we try.
func TestAClaimDuringAnOutageLosesNothing(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{})
	const bucket = "outage"
	if err := s.Client(t).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: s.Region}); err != nil {
		t.Fatal(err)
	}
	k := &keeping{Field: openStoreOn(t, s, s.Endpoint).Field(core.FieldConfig{Name: "file", Bucket: bucket}), bucket: bucket}
	for round := range 12 {
		token := k.kept(t)
		over := make(chan struct{})
		time.AfterFunc(time.Duration(round)*time.Millisecond, func() {
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
		if err != nil {
			t.Fatalf("round %d: the claim gave %v, its end %v, and the file is not to be had: %v", round, claimed, ended, err)
		}
		if round%3 == 2 && (claimed != nil || ended != nil) {
			continue
		}
		if set.ToMap()["filefield"] != "pending" {
			t.Errorf("round %d: the claim gave %v, its end %v; then the file has the tags %v, want pending", round, claimed, ended, set)
		}
		k.dropped(t, token)
	}
}

// kept keeps another file and returns its token.
func (k *keeping) kept(t *testing.T) core.Token {
	t.Helper()
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
	return token
}

// dropped takes the file, which no lock may be in the way of, and removes it.
func (k *keeping) dropped(t *testing.T, token core.Token) {
	t.Helper()
	ctx, txn := begin(t)
	err := k.Claim(ctx, token)
	if err == nil {
		err = k.Field.Delete(ctx, token.Object.Key)
	}
	if err == nil {
		err = txn.Commit(ctx)
	}
	if err != nil {
		t.Errorf("taking the file again: %v", err)
	}
}
