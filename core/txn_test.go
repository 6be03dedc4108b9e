package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// begin opens a transaction of the test.
func begin(t *testing.T) (context.Context, *core.Txn) {
	t.Helper()
	return core.Begin(t.Context())
}

// saveIn stores content under a name and a context.
func saveIn(ctx context.Context, t testing.TB, b *core.Bucket, name, content string, replace bool) core.Object {
	t.Helper()
	o, err := b.Save(ctx, name, core.Upload{Body: strings.NewReader(content), Replace: replace})
	if err != nil {
		t.Fatalf("save %q: %v", name, err)
	}
	return o
}

func TestARollbackRemovesWhatWasSavedAndACommitKeepsIt(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{10, 5<<20 + 1} {
		for _, commits := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes, commit is %t", size, commits), func(t *testing.T) {
				t.Parallel()
				store, bucket := openStore(t)
				ctx, txn := begin(t)
				for i := range 2 {
					if _, err := store.Bucket(bucket).Save(ctx, fmt.Sprint(i), core.Upload{Body: bytes.NewReader(random(1, size))}); err != nil {
						t.Fatal(err)
					}
				}
				wantLeft(t, bucket, "0", "1")
				if commits {
					if err := txn.Commit(ctx); err != nil {
						t.Fatal(err)
					}
					if err := txn.Rollback(ctx); err != nil {
						t.Errorf("a deferred rollback after the commit is %v, want nil", err)
					}
					wantLeft(t, bucket, "0", "1")
					return
				}
				if err := txn.Rollback(ctx); err != nil {
					t.Fatal(err)
				}
				wantLeft(t, bucket)
			})
		}
	}
}

func TestDeletionsAndReplacementsHappenAtTheCommit(t *testing.T) {
	t.Parallel()
	for _, commits := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit is %t", commits), func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			b := store.Bucket(bucket)
			content := func(key string) string { return string(mustRead(t, b, mustKey(t, key), core.OpenOptions{})) }
			for _, name := range []string{"deleted", "dir/replaced.txt", "from", "to", "moved"} {
				save(t, b, name, "old "+name)
			}
			ctx, txn := begin(t)
			if err := b.Delete(ctx, mustKey(t, "deleted")); err != nil {
				t.Fatal(err)
			}
			o := saveIn(ctx, t, b, "dir/replaced.txt", "new content", true)
			if o.Key.String() != "dir/replaced.txt" || o.Name != "replaced.txt" {
				t.Errorf("the replacement is %s named %q", o.Key, o.Name)
			}
			copied, err := b.Copy(ctx, mustKey(t, "from"), b, mustKey(t, "to"), core.Replace)
			if err != nil || copied.Key.String() != "to" || copied.Size != int64(len("old from")) {
				t.Fatalf("the copy is %+v, %v", copied, err)
			}
			if _, err := b.Move(ctx, mustKey(t, "moved"), b, mustKey(t, "arrived"), core.KeepExisting); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"deleted", "dir/replaced.txt", "from", "to", "moved"} {
				if got := content(name); got != "old "+name {
					t.Errorf("before the end %s holds %q", name, got)
				}
			}
			if !commits {
				if err := txn.Rollback(ctx); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"deleted", "dir/replaced.txt", "from", "to", "moved"} {
					if got := content(name); got != "old "+name {
						t.Errorf("after the rollback %s holds %q", name, got)
					}
				}
				wantLeft(t, bucket, "deleted", "dir/replaced.txt", "from", "moved", "to")
				return
			}
			if err := txn.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"dir/replaced.txt": "new content", "from": "old from", "to": "old from", "arrived": "old moved"} {
				if got := content(name); got != want {
					t.Errorf("after the commit %s holds %q, want %q", name, got, want)
				}
			}
			wantLeft(t, bucket, "arrived", "dir/replaced.txt", "from", "to")
			if stat, err := b.Stat(t.Context(), o.Key); err != nil || stat.Name != "replaced.txt" || stat.Type != "text/plain" {
				t.Errorf("the replacement is %+v, %v", stat, err)
			}
		})
	}
}

func TestAReplacementWithoutANameIsNotNamedAfterItsStage(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: func(core.Naming) (string, error) { return "dir/fixed.txt", nil }})
	ctx, txn := begin(t)
	o, err := field.Save(ctx, core.Upload{Body: strings.NewReader("content"), Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	stored, err := field.Bucket().Stat(t.Context(), o.Key)
	if err != nil || o.Name != "fixed.txt" || stored.Name != "fixed.txt" {
		t.Errorf("the name is %q, stored %q, %v; want fixed.txt", o.Name, stored.Name, err)
	}
}

func TestAReplacementOfALongFileIsStagedAndThenMoved(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b, content := store.Bucket(bucket), random(2, 11<<20)
	save(t, b, "a.bin", "old")
	ctx, txn := begin(t)
	o, err := b.Save(ctx, "a.bin", core.Upload{Body: bytes.NewReader(content), Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
		t.Error("it does not hold the new content")
	}
	wantLeft(t, bucket, "a.bin")
}

func TestAReplacementThatCannotBeMadeKeepsBoth(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t, func(c *core.Config) { c.Attempts = 1 })
	b := store.Bucket(bucket)
	save(t, b, "a.txt", "old")
	save(t, b, "from", "moved")
	ctx, txn := begin(t)
	saveIn(ctx, t, b, "a.txt", "new", true)
	if _, err := b.Move(ctx, mustKey(t, "from"), b, mustKey(t, "a.txt"), core.Replace); err != nil {
		t.Fatal(err)
	}
	saveIn(ctx, t, b, "other.txt", "other", false)
	if err := b.Delete(ctx, mustKey(t, "missing")); err != nil {
		t.Fatal(err)
	}
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Amz-Copy-Source") == "" {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	recorder.Reset()
	err := txn.Commit(ctx)
	wantKind(t, "commit", err, core.ErrUnavailable)
	if n := recorder.Count(http.MethodDelete); n != 1 {
		t.Errorf("%d deletions were made, want the one that depends on no copy", n)
	}
	if got := string(mustRead(t, b, mustKey(t, "a.txt"), core.OpenOptions{})); got != "old" {
		t.Errorf("the target holds %q", got)
	}
	objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket)
	if len(objects) != 4 || !slices.Contains(objects, "from") || !slices.Contains(objects, "other.txt") {
		t.Errorf("the bucket holds %q, want nothing lost", objects)
	}
}

func TestNestedTransactions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		inner, outer bool // whether they commit
		want         []string
	}{
		{"both commit", true, true, []string{"inner", "outer"}},
		{"the inner one rolls back", false, true, []string{"old", "outer"}},
		{"the outer one rolls back", true, false, []string{"old"}},
		{"both roll back", false, false, []string{"old"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			b := store.Bucket(bucket)
			save(t, b, "old", "old")
			outer, outerTxn := begin(t)
			saveIn(outer, t, b, "outer", "x", false)
			inner, innerTxn := core.Begin(outer)
			saveIn(inner, t, b, "inner", "x", false)
			if err := b.Delete(inner, mustKey(t, "old")); err != nil {
				t.Fatal(err)
			}
			end := func(ctx context.Context, txn *core.Txn, commits bool) {
				do := txn.Rollback
				if commits {
					do = txn.Commit
				}
				if err := do(ctx); err != nil {
					t.Fatal(err)
				}
			}
			end(inner, innerTxn, c.inner)
			if ok, err := b.Exists(t.Context(), mustKey(t, "old")); !ok || err != nil {
				t.Errorf("the inner end carried out a deletion: %t, %v", ok, err)
			}
			end(outer, outerTxn, c.outer)
			wantLeft(t, bucket, c.want...)
		})
	}
}

func TestAnEndedTransactionTakesNothing(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b, key := store.Bucket(bucket), mustKey(t, "a")
	for name, end := range map[string]func(*core.Txn, context.Context) error{"committed": (*core.Txn).Commit, "rolled back": (*core.Txn).Rollback} {
		ctx, txn := begin(t)
		if txn.Done() {
			t.Errorf("%s: it was done at once", name)
		}
		if err := end(txn, ctx); err != nil {
			t.Fatal(err)
		}
		if !txn.Done() {
			t.Errorf("%s: it is not done", name)
		}
		_, err := b.Save(ctx, "a", core.Upload{Body: strings.NewReader("x")})
		wantKind(t, name+": save", err, core.ErrTxnDone)
		wantKind(t, name+": delete", b.Delete(ctx, key), core.ErrTxnDone)
		wantKind(t, name+": commit", txn.Commit(ctx), core.ErrTxnDone)
		if err := txn.Rollback(ctx); err != nil {
			t.Errorf("%s: rollback is %v, want nil", name, err)
		}
		nothing := func(context.Context) error { t.Errorf("%s: work was done", name); return nil }
		wantKind(t, name+": on commit", txn.OnCommit(nothing), core.ErrTxnDone)
		wantKind(t, name+": on rollback", txn.OnRollback(nothing), core.ErrTxnDone)

		inner, innerTxn := core.Begin(ctx)
		_ = innerTxn.OnRollback(nothing)
		wantKind(t, name+": commit of a nested one", innerTxn.Commit(inner), core.ErrTxnDone)
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestATransactionThatEndsDuringASaveLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(context.Context, *core.Bucket) error{
		"save": func(ctx context.Context, b *core.Bucket) error {
			_, err := b.Save(ctx, "a", core.Upload{Body: strings.NewReader("x")})
			return err
		},
		"replace": func(ctx context.Context, b *core.Bucket) error {
			_, err := b.Save(ctx, "a", core.Upload{Body: strings.NewReader("x"), Replace: true})
			return err
		},
		"copy": func(ctx context.Context, b *core.Bucket) error {
			_, err := b.Copy(ctx, mustKey(t, "old"), b, mustKey(t, "a"), core.KeepExisting)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			b := store.Bucket(bucket)
			save(t, b, "old", "old")
			ctx, txn := begin(t)
			recorder.Intercept(func(http.ResponseWriter, *http.Request) bool {
				_ = txn.Rollback(ctx) // as a middleware whose time limit has passed
				return false
			})
			wantKind(t, name, do(ctx, b), core.ErrTxnDone)
			wantLeft(t, bucket, "old")
		})
	}
}

func TestManyMayWorkInOneTransaction(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn := begin(t)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if i == 20 {
				if err := txn.Rollback(ctx); err != nil {
					t.Error(err)
				}
				return
			}
			_, err := b.Save(ctx, fmt.Sprint("many/", i), core.Upload{Body: strings.NewReader("x")})
			if err != nil && !errors.Is(err, core.ErrTxnDone) {
				t.Errorf("save %d: %v", i, err)
			}
		})
	}
	all.Wait()
	wantLeft(t, bucket)
}

func TestO2ARollbackAfterACancellation(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	request, cancel := context.WithCancel(t.Context())
	ctx, txn := core.Begin(request)
	saveIn(ctx, t, store.Bucket(bucket), "a", "x", false)
	cancel()
	if err := txn.Rollback(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, bucket)
}

func TestWorkIsDoneInOrderAndAllOfIt(t *testing.T) {
	t.Parallel()
	var done []int
	first, second := errors.New("the first"), errors.New("the second")
	work := func(i int, err error) func(context.Context) error {
		return func(context.Context) error { done = append(done, i); return err }
	}
	for name, c := range map[string]struct {
		end  func(*core.Txn, context.Context) error
		want []int
	}{"commit": {(*core.Txn).Commit, []int{1, 2, 3}}, "rollback": {(*core.Txn).Rollback, []int{30, 20, 10}}} {
		ctx, txn := begin(t)
		for i, err := range []error{first, nil, second} {
			if err := errors.Join(txn.OnCommit(work(i+1, err)), txn.OnRollback(work(10*(i+1), err))); err != nil {
				t.Fatal(err)
			}
		}
		done = nil
		if err := c.end(txn, ctx); !errors.Is(err, first) || !errors.Is(err, second) {
			t.Errorf("%s: the error is %v, want both", name, err)
		}
		if !slices.Equal(done, c.want) {
			t.Errorf("%s: the work was done in the order %d, want %d", name, done, c.want)
		}
	}
}

func TestATransactionIsFoundInItsContext(t *testing.T) {
	t.Parallel()
	if txn := core.TxnFrom(t.Context()); txn != nil {
		t.Error("there is one where none was begun")
	}
	outer, outerTxn := begin(t)
	inner, innerTxn := core.Begin(outer)
	if core.TxnFrom(outer) != outerTxn || core.TxnFrom(inner) != innerTxn || outerTxn == innerTxn {
		t.Error("a context does not carry its own transaction")
	}
}

func TestCommitEndsTheTransactionOfItsContextOnce(t *testing.T) {
	t.Parallel()
	if err := core.Commit(t.Context()); err != nil {
		t.Errorf("without a transaction: %v", err)
	}
	ctx, txn := begin(t)
	for range 2 {
		if err := core.Commit(ctx); err != nil || !txn.Done() {
			t.Errorf("commit: %v, done is %t", err, txn.Done())
		}
	}
}
