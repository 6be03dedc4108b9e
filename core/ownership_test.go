package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestARollbackLeavesWhatAnotherHasPutInItsPlace(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn := core.Begin(t.Context())
	o, err := b.Save(ctx, "report.txt", core.Upload{Body: strings.NewReader("mine")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Save(t.Context(), "report.txt", core.Upload{Body: strings.NewReader("theirs"), Replace: true}); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(mustRead(t, b, o.Key, core.OpenOptions{})); got != "theirs" {
		t.Errorf("the object holds %q, want %q", got, "theirs")
	}
}

func TestAReplacementOfNothingIsInPlaceBeforeTheCommit(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn := core.Begin(t.Context())
	o, err := b.Save(ctx, "new.txt", core.Upload{Body: strings.NewReader("content"), Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(mustRead(t, b, o.Key, core.OpenOptions{})); o.Key.String() != "new.txt" || got != "content" {
		t.Errorf("%s holds %q, want new.txt with its content: a row may point at it", o.Key, got)
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(objects) > 0 {
		t.Errorf("after the rollback the bucket holds %q", objects)
	}
}

func TestANestedTransactionThatCannotCommitCanStillRollBack(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	outerCtx, outer := core.Begin(t.Context())
	ctx, inner := core.Begin(outerCtx)
	if _, err := store.Bucket(bucket).Save(ctx, "a.txt", core.Upload{Body: strings.NewReader("a")}); err != nil {
		t.Fatal(err)
	}
	if err := outer.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := inner.Commit(t.Context()); !errors.Is(err, core.ErrTxnDone) {
		t.Errorf("Commit = %v, want ErrTxnDone", err)
	}
	if err := inner.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(objects) > 0 {
		t.Errorf("the bucket holds %q, want nothing", objects)
	}
}

func TestACallersDeadlineIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store := openStoreOn(t, s, s3test.BlackHole(t))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := store.Bucket("some-bucket").Save(ctx, "a.txt", core.Upload{Body: strings.NewReader("a")})
	if !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("the error is %v (%s), want ErrUnavailable", err, core.KindOf(err).Code())
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAFieldsEncryptionKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	field := offlineStore(t).Field(core.FieldConfig{Name: "file", Bucket: "photos", Options: core.ObjectOptions{Metadata: map[string]string{"x": "sesame"}}})
	if text := fmt.Sprintf("%v %+v %#v %s", field, field, field, struct{ F *core.Field }{field}); strings.Contains(text, "sesame") {
		t.Errorf("printing shows the options: %s", text)
	}
}
