package core_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestAReplacementThatIsCommittedIsFinishedByWhoeverFollowsTheJournal(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t, func(c *core.Config) { c.Attempts = 1 })
	b := store.Bucket(bucket)
	save(t, b, "a.txt", "old")
	ctx, txn, n := journaled(t)
	saveIn(ctx, t, b, "a.txt", "new", true)
	stored := txn.Stored()
	if len(stored) != 1 || stored[0].Target.String() != "a.txt" || stored[0].RowKey() != stored[0].Target || stored[0].Options != "" {
		t.Fatalf("the transaction stored %+v", stored)
	}
	if !txn.Holds(bucket, mustKey(t, "a.txt")) || txn.Holds(bucket, stored[0].Key) {
		t.Error("the transaction holds the file under another key than a row has it")
	}
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if isCopy(r) {
			w.WriteHeader(http.StatusForbidden)
		}
		return isCopy(r)
	})
	wantKind(t, "the commit", txn.Commit(t.Context()), core.ErrDenied)
	recorder.Intercept(nil)
	if got := mustRead(t, b, mustKey(t, "a.txt"), core.OpenOptions{}); string(got) != "old" || len(n.gone) != 1 || !n.gone[0].Target.IsZero() {
		t.Errorf("while storage refuses it, it holds %q, and %+v is gone", got, n.gone)
	}
	for range 2 { // the second finds nothing to do
		if err := b.FinishReplacement(t.Context(), stored[0]); err != nil {
			t.Fatal(err)
		}
		wantLeft(t, bucket, "a.txt")
		if got := mustRead(t, b, mustKey(t, "a.txt"), core.OpenOptions{}); string(got) != "new" {
			t.Errorf("it holds %q, want the new content", got)
		}
	}
}

func TestAReplacementIsFinishedWithTheOptionsOfItsUpload(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t, func(c *core.Config) { c.Attempts = 1 })
	b, client := store.Bucket(bucket), s3test.Start(t).Client(t)
	w := core.Written{
		Bucket: bucket, Key: mustKey(t, "staged"), Target: mustKey(t, "target"), Upload: "mine",
		Options: `{"LegalHold":true,"Encryption":{"Kind":"KMS","Header":{"X-Amz-Server-Side-Encryption":["aws:kms"]}}}`,
	}
	options := minio.PutObjectOptions{UserMetadata: map[string]string{"filefield-upload": w.Upload}, DisableContentSha256: true}
	if _, err := client.PutObject(t.Context(), bucket, w.Key.String(), strings.NewReader("new"), 3, options); err != nil {
		t.Fatal(err)
	}
	var got http.Header
	recorder.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if isCopy(r) { // which asks for more than this bucket has
			got = r.Header.Clone()
			rw.WriteHeader(http.StatusForbidden)
		}
		return isCopy(r)
	})
	wantKind(t, "the copy", b.FinishReplacement(t.Context(), w), core.ErrDenied)
	if got.Get("X-Amz-Object-Lock-Legal-Hold") != "ON" || got.Get("X-Amz-Server-Side-Encryption") != "aws:kms" {
		t.Errorf("it was copied with %v", got)
	}
	for name, change := range map[string]func(*core.Written){
		"no target":       func(w *core.Written) { w.Target = core.Key{} },
		"no key":          func(w *core.Written) { w.Key = core.Key{} },
		"options unknown": func(w *core.Written) { w.Options = "{" },
	} {
		bad := w
		change(&bad)
		wantKind(t, name, b.FinishReplacement(t.Context(), bad), core.ErrConfig)
	}
}

func TestAReplacementThatARowHasComesToItsTargetThoughItsRequestFails(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	save(t, b, "a.txt", "old")
	ctx, txn, n := journaled(t)
	o := saveIn(ctx, t, b, "a.txt", "new", true)
	if !txn.Settle(bucket, o.Key) {
		t.Fatal("the transaction does not know the file by its row's key")
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, b, o.Key, core.OpenOptions{}); string(got) != "new" {
		t.Errorf("it holds %q, want the new content", got)
	}
	wantLeft(t, bucket, "a.txt")
	if len(n.gone) != 2 || n.gone[0].Key != o.Key || n.gone[1].Target != o.Key { // at first the key was taken
		t.Errorf("the journal heard that %+v is gone", n.gone)
	}
}

func TestAReplacementIsFinishedBeforeItsTransactionEnds(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	save(t, b, "a.txt", "old")
	ctx, txn := begin(t)
	o := saveIn(ctx, t, b, "a.txt", "new", true)
	if err := txn.Finish(t.Context(), bucket, o.Key); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, b, o.Key, core.OpenOptions{}); string(got) != "old" {
		t.Errorf("before a row has it, it holds %q", got)
	}
	txn.Settle(bucket, o.Key)
	for range 2 {
		if err := txn.Finish(t.Context(), bucket, o.Key); err != nil {
			t.Fatal(err)
		}
		if got := mustRead(t, b, o.Key, core.OpenOptions{}); string(got) != "new" {
			t.Errorf("it holds %q, want the new content", got)
		}
		wantLeft(t, bucket, "a.txt")
	}
	recorder.Reset()
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := recorder.Requests(); len(list) > 0 {
		t.Errorf("the transaction's end made the requests %v", list)
	}
}

func TestAReplacementOfWhichNobodyKnowsWhetherARowHasItStaysAside(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*core.Txn) error{
		"commit":   func(txn *core.Txn) error { return txn.Commit(t.Context()) },
		"rollback": func(txn *core.Txn) error { return txn.Rollback(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			b := store.Bucket(bucket)
			save(t, b, "a.txt", "old")
			ctx, txn, _ := journaled(t)
			o := saveIn(ctx, t, b, "a.txt", "new", true)
			staged := txn.Stored()[0].Key
			if !txn.LeaveFile(bucket, o.Key) || txn.LeaveFile(bucket, mustKey(t, "another.txt")) {
				t.Error("the transaction does not know its files")
			}
			if err := end(txn); err != nil {
				t.Fatal(err)
			}
			wantLeft(t, bucket, "a.txt", staged.String())
			if got := mustRead(t, b, o.Key, core.OpenOptions{}); string(got) != "old" {
				t.Errorf("it holds %q, want the old content", got)
			}
		})
	}
}

func TestARollbackLeavesWhatTheJournalSaysIsAnothers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says error
		kind core.Kind
		left []string
	}{
		"nothing":                {nil, 0, nil},
		"that it is another's":   {&core.Error{Kind: core.ErrPrecondition}, 0, []string{"a.txt"}},
		"that it can't be asked": {&core.Error{Kind: core.ErrUnavailable}, core.ErrUnavailable, []string{"a.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			ctx, txn, n := journaled(t)
			saveIn(ctx, t, store.Bucket(bucket), "a.txt", "new", true)
			n.undoing = c.says
			wantKind(t, "the rollback", txn.Rollback(t.Context()), c.kind)
			wantLeft(t, bucket, c.left...)
			if gone := len(n.gone) > 0; gone != (c.says == nil) {
				t.Errorf("the journal heard that %+v is gone", n.gone)
			}
		})
	}
}

// A row is deleted whose object has gone already, and another gets its key.
func TestAnObjectStoredUnderAKeyThatWasToGoStays(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn := begin(t)
	if err := b.Delete(ctx, mustKey(t, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if o := saveIn(ctx, t, b, "a.txt", "new", false); o.Key.String() != "a.txt" {
		t.Fatalf("its key is %s", o.Key)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket, "a.txt")

	ctx, txn = begin(t)
	saveIn(ctx, t, b, "b.txt", "temporary", false)
	if err := b.Delete(ctx, mustKey(t, "b.txt")); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket, "a.txt")
}

func TestWhereOpenUploadsMayNotBeListedTheRestIsRemoved(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t, func(c *core.Config) { c.Attempts = 1 })
	client := s3test.Start(t).Client(t)
	options := minio.PutObjectOptions{UserMetadata: map[string]string{"filefield-upload": "mine"}, DisableContentSha256: true}
	if _, err := client.PutObject(t.Context(), bucket, "a.bin", strings.NewReader(""), 0, options); err != nil {
		t.Fatal(err)
	}
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("uploads") {
			w.WriteHeader(http.StatusForbidden)
		}
		return r.URL.Query().Has("uploads")
	})
	w := core.Written{Bucket: bucket, Key: mustKey(t, "a.bin"), Upload: "mine", Multipart: core.MultipartStarting}
	if err := store.Bucket(bucket).RemoveWritten(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket)
}
