package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// notes is a journal in memory.
type notes struct {
	mu      sync.Mutex
	writing []core.Written
	gone    []core.Written
	refuse  func(core.Written) error
	undoing error
}

func (n *notes) Writing(_ context.Context, w core.Written) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writing = append(n.writing, w)
	if n.refuse != nil {
		return n.refuse(w)
	}
	return nil
}

func (n *notes) Undoing(context.Context, core.Written) error { return n.undoing }

func (n *notes) Gone(_ context.Context, w core.Written) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = append(n.gone, w)
	return nil
}

func journaled(t *testing.T) (context.Context, *core.Txn, *notes) {
	t.Helper()
	n := &notes{}
	ctx, txn := core.Begin(core.WithJournal(t.Context(), n))
	return ctx, txn, n
}

func TestAJournalHearsOfAnObjectBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"one part": 10, "several parts": 11 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			ctx, txn, n := journaled(t)
			n.refuse = func(w core.Written) error {
				if there, err := store.Bucket(bucket).Exists(t.Context(), w.Key); err != nil || (there && w.Multipart == "") {
					t.Errorf("when the journal hears of %s it exists: %t, %v", w.Key, there, err)
				}
				return nil
			}
			o, err := store.Bucket(bucket).Save(ctx, "a.bin", core.Upload{Body: bytes.NewReader(random(1, size))})
			if err != nil {
				t.Fatal(err)
			}
			first := n.writing[0]
			if first.Bucket != bucket || first.Key != o.Key || first.Upload == "" || first.Multipart != "" {
				t.Errorf("the journal heard of %+v first", first)
			}
			if several := n.writing[len(n.writing)-1].Multipart != ""; several != (size > 10) {
				t.Errorf("the journal heard of %+v last", n.writing[len(n.writing)-1])
			}
			stored := txn.Stored()
			if len(stored) != 1 || stored[0].Upload != first.Upload || stored[0].Key != o.Key {
				t.Errorf("the transaction stored %+v", stored)
			}
			if err := txn.Rollback(ctx); err != nil {
				t.Fatal(err)
			}
			if len(n.gone) != 1 || n.gone[0].Upload != first.Upload {
				t.Errorf("after the rollback %+v is gone", n.gone)
			}
			wantLeft(t, bucket)
		})
	}
}

func TestAJournalThatRefusesEndsTheSaveOrMovesIt(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{10, 11 << 20} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			down := errors.New("the database is down")
			ctx, _, n := journaled(t)
			n.refuse = func(core.Written) error { return down }
			_, err := store.Bucket(bucket).Save(ctx, "a.bin", core.Upload{Body: bytes.NewReader(random(1, size))})
			if !errors.Is(err, down) {
				t.Errorf("the error is %v, want the journal's", err)
			}
			wantLeft(t, bucket)
			n.refuse = func(w core.Written) error {
				if w.Key.String() == "a.bin" {
					return &core.Error{Kind: core.ErrPrecondition}
				}
				return nil
			}
			o, err := store.Bucket(bucket).Save(ctx, "a.bin", core.Upload{Body: bytes.NewReader(random(1, size))})
			if err != nil || !strings.HasPrefix(o.Key.String(), "a_") {
				t.Errorf("the key is %s, %v; want an alternative to a.bin", o.Key, err)
			}
		})
	}
}

func TestWithoutATransactionNothingIsNoted(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	n := &notes{}
	o, err := store.Bucket(bucket).Save(core.WithJournal(t.Context(), n), "a.txt", core.Upload{Body: strings.NewReader("a")})
	if err != nil || len(n.writing) != 0 {
		t.Errorf("the journal heard of %+v, %v", n.writing, err)
	}
	copied := o
	if !o.Loose() {
		t.Error("an object stored outside a transaction is not loose")
	}
	copied.Settle()
	if o.Loose() {
		t.Error("once a row has it, its copies are still loose")
	}
	(core.Object{}).Settle() // of an object from anywhere else it does nothing
	if (core.Object{}).Loose() {
		t.Error("an object from elsewhere is loose")
	}
}

func TestRemoveWrittenLeavesAnothersObject(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn, n := journaled(t)
	saveIn(ctx, t, b, "a.txt", "mine", false)
	w := n.writing[0]
	txn.Leave() // and then the process died
	wantLeft(t, bucket, "a.txt")
	other := w
	other.Upload = "somebody else's"
	if err := b.RemoveWritten(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket, "a.txt")
	for range 2 { // the second finds nothing
		if err := b.RemoveWritten(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		wantLeft(t, bucket)
	}
	wantKind(t, "without a key", b.RemoveWritten(t.Context(), core.Written{}), core.ErrName)
}

// TestACommittedReplacementIsNoUnfinishedUpload has all that a journal was told of a
// replacement removed as if its process had died, but for what was committed.
func TestACommittedReplacementIsNoUnfinishedUpload(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"one part": 10, "several parts": 6 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			b, content := store.Bucket(bucket), random(9, size)
			if _, err := b.Save(t.Context(), "a.bin", core.Upload{Body: strings.NewReader("the old file")}); err != nil {
				t.Fatal(err)
			}
			ctx, txn, n := journaled(t)
			if _, err := b.Save(ctx, "a.bin", core.Upload{Body: bytes.NewReader(content), Replace: true}); err != nil {
				t.Fatal(err)
			}
			if err := txn.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, w := range n.writing {
				if w.Multipart = ""; w.Key.String() == "a.bin" { // its parts are not of this test
					if err := b.RemoveWritten(t.Context(), w); err != nil {
						t.Fatal(err)
					}
				}
			}
			if n.writing[0].Key.String() != "a.bin" {
				t.Errorf("the journal heard of %+v first", n.writing[0])
			}
			wantLeft(t, bucket, "a.bin")
		})
	}
}

func TestRemoveWrittenGivesPartsBack(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	key := mustKey(t, "a.bin")
	client := minio.Core{Client: s.Client(t)}
	id, err := client.NewMultipartUpload(t.Context(), bucket, key.String(), minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := core.Written{Bucket: bucket, Key: key, Upload: "upload", Multipart: id}
	for range 2 {
		if err := store.Bucket(bucket).RemoveWritten(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if _, uploads := s3test.Leftovers(t, s, bucket); len(uploads) != 0 {
			t.Errorf("left are %q", uploads)
		}
	}
}

// A process that dies before it has noted the id of a multipart upload leaves it to
// whoever undoes what it did note.
func TestRemoveWrittenGivesBackWhatWasStartedWithoutItsIDBeingNoted(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	client := minio.Core{Client: s.Client(t)}
	for _, tt := range []struct {
		name, holder string // whose empty object holds the key; "": nobody's
		multipart    string
		left         int
	}{
		{"under a key that is nobody else's", "", core.MultipartStarting, 0},
		{"under a key that it holds", "mine", "", 0},
		{"but not another's under a key that that one holds", "another's", "", 1},
		{"nor under a key that it does not hold", "", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			key := mustKey(t, "a.bin")
			if tt.holder != "" {
				// Signed in chunks, nothing has one that the embedded engine does not read.
				options := minio.PutObjectOptions{UserMetadata: map[string]string{"filefield-upload": tt.holder}, DisableContentSha256: true}
				if _, err := client.Client.PutObject(t.Context(), bucket, key.String(), strings.NewReader(""), 0, options); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{key.String(), key.String() + ".bin"} {
				if _, err := client.NewMultipartUpload(t.Context(), bucket, name, minio.PutObjectOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			w := core.Written{Bucket: bucket, Key: key, Upload: "mine", Multipart: tt.multipart}
			for range 2 {
				if err := store.Bucket(bucket).RemoveWritten(t.Context(), w); err != nil {
					t.Fatal(err)
				}
				if _, uploads := s3test.Leftovers(t, s, bucket); len(uploads) != tt.left+1 {
					t.Errorf("left are %q", uploads)
				}
			}
		})
	}
}

func TestSettledFilesStayAndSparedDeletionsDoNotHappen(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	save(t, b, "old.txt", "old")
	save(t, b, "gone.txt", "gone")
	outer, outerTxn, _ := journaled(t)
	kept := saveIn(outer, t, b, "kept.txt", "kept", false)
	ctx, txn := core.Begin(outer)
	saveIn(ctx, t, b, "dropped.txt", "dropped", false)
	if !txn.Settle(bucket, kept.Key) || txn.Settle(bucket, mustKey(t, "old.txt")) {
		t.Error("Settle does not know what the transaction stored")
	}
	if !txn.Holds(bucket, mustKey(t, "dropped.txt")) || !txn.Holds(bucket, kept.Key) || txn.Holds(bucket, mustKey(t, "old.txt")) {
		t.Error("Holds does not know what the transaction stored")
	}
	if stored := txn.Stored(); len(stored) != 1 || stored[0].Key.String() != "dropped.txt" {
		t.Errorf("Stored is %+v", stored)
	}
	if err := outerTxn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket, "gone.txt", "kept.txt", "old.txt")

	ctx, txn = begin(t)
	for _, name := range []string{"old.txt", "gone.txt"} {
		if err := b.Delete(ctx, mustKey(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	txn.Spare(bucket, mustKey(t, "old.txt"))
	if deleted := txn.Deleted(); len(deleted) != 1 || deleted[0].Key.String() != "gone.txt" {
		t.Errorf("Deleted is %+v", deleted)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket, "kept.txt", "old.txt")
}

func TestATransactionThatIsLeftDoesNothing(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	save(t, b, "old.txt", "old")
	outer, outerTxn := begin(t)
	saveIn(outer, t, b, "outer.txt", "outer", false)
	ctx, txn := core.Begin(outer)
	saveIn(ctx, t, b, "inner.txt", "inner", false)
	if err := b.Delete(ctx, mustKey(t, "old.txt")); err != nil {
		t.Fatal(err)
	}
	txn.Leave()
	if err := errors.Join(txn.Rollback(ctx), outerTxn.Rollback(ctx)); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket, "inner.txt", "old.txt", "outer.txt")
	if alone, txn := core.BeginAlone(outer); core.TxnFrom(alone) != txn || txn.Commit(alone) != nil {
		t.Error("a transaction that stands alone depends on the one around it")
	}
}

func TestAFileThatASettledRowHasIsNotMarkedByKeep(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
	ctx, txn := begin(t)
	o, err := field.Save(ctx, core.Upload{Body: strings.NewReader("a"), Name: "a.txt"})
	if err != nil || !txn.Settle(bucket, o.Key) {
		t.Fatal(err)
	}
	recorder.Reset()
	text, err := field.Keep(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := field.Verify(text); err != nil || token.Pending || recorder.Count("") != 0 {
		t.Errorf("its token is %+v, %v after %d requests; want one that needs no claim, and no mark", token, err, recorder.Count(""))
	}
}
