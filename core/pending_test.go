package core_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// keeping is a field, its bucket and what a request kept in it.
type keeping struct {
	*core.Field
	bucket string
	object core.Object
	token  core.Token
}

// keepFile saves a file in a request that fails, and keeps it.
func keepFile(t *testing.T, change func(*core.FieldConfig), config ...func(*core.Config)) *keeping {
	t.Helper()
	store, bucket := openStore(t, config...)
	c := core.FieldConfig{Name: "file", Bucket: bucket}
	if change != nil {
		change(&c)
	}
	k := &keeping{Field: store.Field(c), bucket: bucket}
	ctx, txn := begin(t)
	k.object = k.save(ctx, t, "kept")
	k.save(ctx, t, "not kept")
	text, err := k.Keep(ctx, k.object)
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if k.token, err = k.Verify(text); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keeping) save(ctx context.Context, t *testing.T, content string) core.Object {
	t.Helper()
	o, err := k.Save(ctx, core.Upload{Body: strings.NewReader(content), Name: "a.txt"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wantPending checks whether the kept object is there and marked.
func (k *keeping) wantPending(t *testing.T, want bool) {
	t.Helper()
	set, err := s3test.Start(t).Client(t).GetObjectTagging(t.Context(), k.bucket, k.object.Key.String(), minio.GetObjectTaggingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.ToMap()["filefield"] == "pending"; got != want {
		t.Errorf("the object's tags are %v: pending is %t, want %t", set.ToMap(), got, want)
	}
}

func TestAKeptFileOutlivesItsRequestAndIsTakenOnce(t *testing.T) {
	t.Parallel()
	k := keepFile(t, nil)
	wantLeft(t, k.bucket, k.object.Key.String())
	k.wantPending(t, true)
	if !k.token.Pending || k.token.Object.Size != 4 {
		t.Errorf("the token stands for %+v, want a pending file of 4 bytes", k.token)
	}
	ctx, txn := begin(t)
	if err := k.Claim(ctx, k.token); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a second claim in the same request", k.Claim(ctx, k.token), core.ErrToken)
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	k.wantPending(t, false)
	wantLeft(t, k.bucket, k.object.Key.String())
	ctx, txn = begin(t)
	wantKind(t, "a claim later", k.Claim(ctx, k.token), core.ErrToken)
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	k.wantPending(t, false)
	wantLeft(t, k.bucket, k.object.Key.String())
}

func TestAClaimThatIsRolledBackLeavesTheFilePending(t *testing.T) {
	t.Parallel()
	for _, keptAgain := range []bool{false, true} {
		k := keepFile(t, nil)
		ctx, txn := begin(t)
		if err := k.Claim(ctx, k.token); err != nil {
			t.Fatal(err)
		}
		if keptAgain {
			text, err := k.Keep(ctx, k.object)
			if err != nil {
				t.Fatal(err)
			}
			if k.token, err = k.Verify(text); err != nil || !k.token.Pending {
				t.Fatalf("the token of a file kept again is %+v (%v), want a pending one", k.token, err)
			}
		}
		if err := txn.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		k.wantPending(t, true)
		wantLeft(t, k.bucket, k.object.Key.String())
		ctx, txn = begin(t)
		if err := k.Claim(ctx, k.token); err != nil {
			t.Errorf("the next claim, kept again is %t: %v", keptAgain, err)
		}
		if err := txn.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOfManyClaimsAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	k := keepFile(t, nil)
	var won atomic.Int32
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			ctx, txn := core.Begin(t.Context())
			switch err := k.Claim(ctx, k.token); core.KindOf(err) {
			case 0:
				won.Add(1)
			case core.ErrToken:
			default:
				t.Errorf("a claim beside others is %v, want success or ErrToken", err)
			}
			if err := txn.Commit(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if won.Load() != 1 {
		t.Errorf("%d claims succeeded, want 1", won.Load())
	}
	k.wantPending(t, false)
	wantLeft(t, k.bucket, k.object.Key.String())
}

func TestAClaimIsRefusedToOthersAndWhereNothingIsLeft(t *testing.T) {
	t.Parallel()
	k := keepFile(t, nil)
	ctx, txn := begin(t)
	bound := k.token
	bound.Subject = "ann"
	wantKind(t, "someone else's claim", k.Claim(core.WithSubject(ctx, "ben"), bound), core.ErrToken)
	wantKind(t, "a claim without a transaction", k.Claim(t.Context(), k.token), core.ErrConfig)
	if err := k.Field.Delete(t.Context(), k.object.Key); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a claim of what is gone", k.Claim(ctx, k.token), core.ErrToken)
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, k.bucket)
}

func TestOnlyFilesOfTheRequestBecomePending(t *testing.T) {
	t.Parallel()
	k := keepFile(t, nil)
	ctx, txn := begin(t)
	k.object = k.save(ctx, t, "a row's")
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, txn = begin(t)
	text, err := k.Keep(ctx, k.object)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := k.Verify(text); err != nil || token.Pending {
		t.Errorf("the token of a row's file is %+v (%v), want one that needs no claiming", token, err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	k.wantPending(t, false)
	_, err = k.Keep(t.Context(), k.object)
	wantKind(t, "keeping without a transaction", err, core.ErrConfig)
}

func TestTheMarkLeavesOtherTags(t *testing.T) {
	t.Parallel()
	k := keepFile(t, func(c *core.FieldConfig) { c.Options.Tags = map[string]string{"team": "blue"} })
	tags := func() map[string]string {
		set, err := s3test.Start(t).Client(t).GetObjectTagging(t.Context(), k.bucket, k.object.Key.String(), minio.GetObjectTaggingOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return set.ToMap()
	}
	if got := tags(); len(got) != 2 || got["team"] != "blue" {
		t.Errorf("the tags of the pending object are %v, want the team's beside the mark", got)
	}
	ctx, txn := begin(t)
	if err := k.Claim(ctx, k.token); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := tags(); len(got) != 1 || got["team"] != "blue" {
		t.Errorf("the tags of the claimed object are %v, want the team's alone", got)
	}
}

func TestPendingFilesExpire(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	k := keepFile(t, nil, func(c *core.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	row := k.save(t.Context(), t, "a row's")
	expire := func() int {
		n, err := k.Bucket().ExpirePending(t.Context(), 48*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := expire(); n != 0 {
		t.Errorf("%d young files were removed, want none", n)
	}
	later.Store(int64(49 * time.Hour))
	ctx, txn := begin(t)
	k.token.Expires = time.Now().Add(time.Hour)
	if err := k.Claim(ctx, k.token); err != nil {
		t.Fatal(err)
	}
	if n := expire(); n != 0 {
		t.Errorf("%d files were removed while one was claimed, want none", n)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if n := expire(); n != 1 {
		t.Errorf("%d files were removed, want the pending one", n)
	}
	wantLeft(t, k.bucket, row.Key.String())
}

func TestATransactionThatMustRollBackDoes(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	outer, txn := begin(t)
	inner, nested := core.Begin(outer)
	saveIn(inner, t, store.Bucket(bucket), "a", "x", false)
	txn.SetRollbackOnly()
	if err := nested.Commit(inner); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "its commit", txn.Commit(outer), core.ErrTxnDone)
	wantLeft(t, bucket)
	if !txn.Done() {
		t.Error("the transaction is open, want it to have ended")
	}
}

func TestAClaimWhoseAnswerIsLostLeavesTheFilePending(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	k := &keeping{Field: store.Field(core.FieldConfig{Name: "file", Bucket: bucket}), bucket: bucket}
	ctx, txn := begin(t)
	k.object = k.save(ctx, t, "kept")
	text, err := k.Keep(ctx, k.object)
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if k.token, err = k.Verify(text); err != nil {
		t.Fatal(err)
	}
	isUntag := func(r *http.Request) bool { return r.Method == http.MethodDelete && r.URL.Query().Has("tagging") }
	recorder.Intercept(losingAnswers(s3test.Start(t), always, isUntag))
	ctx, txn = begin(t)
	wantKind(t, "the claim", k.Claim(ctx, k.token), core.ErrUnavailable)
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	recorder.Intercept(nil)
	k.wantPending(t, true)
	wantLeft(t, bucket, k.object.Key.String())
	ctx, txn = begin(t)
	if err := k.Claim(ctx, k.token); err != nil {
		t.Errorf("the next claim: %v", err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestALockIsMarkedForTheLifecycleToRemove(t *testing.T) {
	t.Parallel()
	k := keepFile(t, nil)
	ctx, txn := begin(t)
	if err := k.Claim(ctx, k.token); err != nil {
		t.Fatal(err)
	}
	objects, _ := s3test.Leftovers(t, s3test.Start(t), k.bucket)
	row := k.object
	for _, key := range objects {
		if key != row.Key.String() {
			k.object.Key = mustKey(t, key)
			k.wantPending(t, true)
		}
	}
	if len(objects) != 2 {
		t.Errorf("while it is claimed there are the objects %q, want the file and its lock", objects)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, k.bucket, row.Key.String())
}

func TestAFileThatARowHasCannotBeKept(t *testing.T) {
	t.Parallel()
	k := keepFile(t, nil)
	outer, txn := begin(t)
	inner, nested := core.Begin(outer)
	k.object = k.save(inner, t, "a row's")
	if err := nested.Commit(inner); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(outer); err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{"the outer context": outer, "the inner context": inner} {
		_, err := k.Keep(ctx, k.object)
		wantKind(t, "keeping under "+name, err, core.ErrTxnDone)
	}
	k.wantPending(t, false)
}

func TestAFileIsConfirmedWhileItIsThereAndTheSame(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: core.KeepName})
	k := &keeping{Field: field, bucket: bucket}
	token := func(o core.Object) core.Token {
		t.Helper()
		token, err := k.Verify(k.Sign(o, ""))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := k.save(t.Context(), t, "ann's file")
	if err := k.Confirm(t.Context(), token(first)); err != nil {
		t.Errorf("confirming a file that is there: %v", err)
	}
	if err := k.Confirm(t.Context(), token(core.Object{Bucket: bucket, Key: first.Key})); err != nil {
		t.Errorf("confirming a file of which the key alone is known: %v", err)
	}
	if err := k.Field.Delete(t.Context(), first.Key); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "confirming a file that is gone", k.Confirm(t.Context(), token(first)), core.ErrToken)
	second := k.save(t.Context(), t, "ben's file") // as long
	if second.Key != first.Key {
		t.Fatalf("the keys are %s and %s, want one", first.Key, second.Key)
	}
	wantKind(t, "confirming a file whose key is another's", k.Confirm(t.Context(), token(first)), core.ErrToken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, "confirming for nobody", k.Confirm(ctx, token(second)), core.ErrCanceled)
}

func TestAnOldTokenDoesNotTakeAnothersKeptFile(t *testing.T) {
	t.Parallel()
	k := keepFile(t, func(c *core.FieldConfig) { c.UploadTo = core.KeepName })
	if err := k.Field.Delete(t.Context(), k.object.Key); err != nil { // ann chose none after all
		t.Fatal(err)
	}
	ctx, txn := begin(t)
	object := k.save(ctx, t, "ben's") // of the same name
	if object.Key != k.object.Key {
		t.Fatalf("the keys are %s and %s, want one", object.Key, k.object.Key)
	}
	if _, err := k.Keep(ctx, object); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, txn = begin(t)
	wantKind(t, "ann's old token", k.Claim(ctx, k.token), core.ErrToken)
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	k.wantPending(t, true)
	wantLeft(t, k.bucket, object.Key.String())
}

func TestACommitAfterARollbackSaysSo(t *testing.T) {
	t.Parallel()
	ctx, txn := begin(t)
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a commit after a rollback", core.Commit(ctx), core.ErrTxnDone)
}
