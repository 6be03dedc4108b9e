package documents

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// keptFor returns how many files a bucket still has that were kept for a form,
// when the app looks through it so much later.
func keptFor(t *testing.T, later time.Duration) int {
	t.Helper()
	server := s3test.Start(t)
	bucket := server.Bucket(t)
	store, err := core.Open(core.Config{
		Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: core.Secret(server.SecretKey), Region: server.Region,
		PrivateBuckets: []string{bucket}, Now: func() time.Time { return time.Now().Add(later) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
	ctx, txn := core.Begin(t.Context())
	object, err := field.Save(ctx, core.Upload{Body: strings.NewReader("x"), Name: "a.txt"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := field.Keep(ctx, object); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := (&App{Store: store}).forgetPending(t.Context()); err != nil {
		t.Fatal(err)
	}
	objects, _ := s3test.Leftovers(t, server, bucket)
	return len(objects)
}

func TestKeptFilesWaitForTheirFormAndThenGo(t *testing.T) {
	t.Parallel()
	if got := keptFor(t, 25*time.Hour); got != 1 {
		t.Errorf("25 hours later %d files are there, want the one: its token may just have ended", got)
	}
	if got := keptFor(t, 49*time.Hour); got != 0 {
		t.Errorf("49 hours later %d files are there, want none", got)
	}
}
