package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/orm/gormfiles"
	"github.com/filefield/filefield/sqltxn"
)

// bookkeeping is a ledger with objects under fixed keys, as a site's logo has one.
type bookkeeping struct {
	book   *ledger.Ledger
	db     *sql.DB
	bucket *core.Bucket
	folder string
}

func withBookkeeping(t *testing.T, test func(t *testing.T, ctx context.Context, tb table, b bookkeeping)) {
	t.Helper()
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		test(t, ctx, tb, bookkeeping{book, tb.d.SQL, openStore(t).Bucket(bucketName), folder})
	})
}

func (b bookkeeping) key(t testing.TB, name string) core.Key {
	t.Helper()
	key, err := core.ParseKey(b.folder + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// save stores content under a name, in a transaction of files of its own.
func (b bookkeeping) save(ctx context.Context, t testing.TB, name, content string, replace bool) (context.Context, *core.Txn, core.Object) {
	t.Helper()
	ctx, txn := core.Begin(b.book.Context(ctx))
	o, err := b.bucket.Save(ctx, b.folder+"/"+name, core.Upload{Body: strings.NewReader(content), Replace: replace})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, txn, o
}

func (b bookkeeping) delete(ctx context.Context, t testing.TB, key core.Key) (context.Context, *core.Txn) {
	t.Helper()
	ctx, txn := core.Begin(b.book.Context(ctx))
	if err := b.bucket.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	return ctx, txn
}

// execOn is how a ledger's statements are run on a database or in its transaction.
func execOn(db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
},
) ledger.Exec {
	return func(ctx context.Context, query string, args ...any) (int64, error) {
		result, err := db.ExecContext(ctx, query, args...)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	}
}

// settle commits a transaction of the database with what becomes of the files, after
// which its process dies.
func (b bookkeeping) settle(ctx context.Context, txn *core.Txn) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := b.book.Settle(ctx, execOn(tx), txn.Stored(), txn.Deleted()); err != nil {
		return err
	}
	return tx.Commit()
}

// wantRefused has a transaction that must not be committed be refused and rolled back.
func (b bookkeeping) wantRefused(ctx context.Context, t testing.TB, txn *core.Txn) {
	t.Helper()
	if err := b.settle(ctx, txn); !errors.Is(err, core.ErrPrecondition) {
		t.Errorf("the error is %v, want ErrPrecondition", err)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
}

func (b bookkeeping) mustSettle(ctx context.Context, t testing.TB, txn *core.Txn) {
	t.Helper()
	if err := b.settle(ctx, txn); err != nil {
		t.Fatal(err)
	}
	txn.Leave()
}

// finish settles and then does all that its process has to do.
func (b bookkeeping) finish(ctx context.Context, t testing.TB, txn *core.Txn) {
	t.Helper()
	err := b.settle(ctx, txn)
	deleted := txn.Deleted()
	if err = errors.Join(err, txn.Commit(ctx), b.book.Finished(ctx, deleted)); err != nil {
		t.Fatal(err)
	}
}

func (b bookkeeping) want(ctx context.Context, t testing.TB, key core.Key, content string) {
	t.Helper()
	r, err := b.bucket.Open(ctx, key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != content {
		t.Errorf("%s holds %q, %v; want %q", key, got, err, content)
	}
}

// work is a worker some time later.
func (b bookkeeping) work(ctx context.Context, t testing.TB, tb table, later time.Duration) ledger.Report {
	t.Helper()
	report, err := openLedger(t, tb.d, later).Recover(ctx, openStore(t))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func replacements(t testing.TB, d *dbtest.Database) (n int) {
	t.Helper()
	if err := d.SQL.QueryRowContext(context.WithoutCancel(t.Context()), "SELECT COUNT(*) FROM filefield_replacements").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestACommittedReplacementIsFinishedByAWorker(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		_, txn, o := b.save(ctx, t, "fixed.txt", "old", false)
		b.finish(ctx, t, txn)
		_, txn, _ = b.save(ctx, t, "fixed.txt", "new", true)
		b.mustSettle(ctx, t, txn)
		b.want(ctx, t, o.Key, "old")
		if report := b.work(ctx, t, tb, 0); report.Replaced != 0 {
			t.Errorf("within its lease a worker did %+v", report)
		}
		if report := b.work(ctx, t, tb, 2*time.Minute); report.Replaced != 1 || report.Removed != 0 {
			t.Errorf("the worker did %+v, want one replacement", report)
		}
		b.want(ctx, t, o.Key, "new")
		if n := recoverAll(t, tb.d, openStore(t)); n > 1 { // what was first noted at the key, where nothing of it is
			t.Errorf("recovery removed %d objects", n)
		}
		wantLeft(t, b.folder, o.Key.String())
		wantEntries(t, tb.d)
	})
}

func TestAReplacementThatItsProcessFinishesIsNotKnownAfterwards(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		for i := range 3 { // at once, one after the other
			_, txn, _ := b.save(ctx, t, "fixed.txt", fmt.Sprint("content ", i), true)
			b.finish(ctx, t, txn)
			b.want(ctx, t, b.key(t, "fixed.txt"), fmt.Sprint("content ", i))
			if n := replacements(t, tb.d); n != 0 {
				t.Errorf("after it %d replacements are due", n)
			}
		}
		recoverAll(t, tb.d, openStore(t))
		b.want(ctx, t, b.key(t, "fixed.txt"), "content 2")
		wantLeft(t, b.folder, b.folder+"/fixed.txt")
	})
}

func TestAKeyWhoseObjectIsBeingRemovedOrReplacedCannotBeReplaced(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		for name, before := range map[string]func(key core.Key) *core.Txn{
			"removed":  func(key core.Key) *core.Txn { _, txn := b.delete(ctx, t, key); return txn },
			"replaced": func(key core.Key) *core.Txn { _, txn, _ := b.save(ctx, t, key.Base(), "first", true); return txn },
		} {
			_, txn, o := b.save(ctx, t, name+".txt", "old", false)
			b.finish(ctx, t, txn)
			b.mustSettle(ctx, t, before(o.Key)) // and its process dies

			_, txn, _ = b.save(ctx, t, name+".txt", "second", true)
			b.wantRefused(ctx, t, txn)
			b.work(ctx, t, tb, 2*time.Minute)
			_, txn, o = b.save(ctx, t, name+".txt", "third", true)
			b.finish(ctx, t, txn)
			recoverAll(t, tb.d, openStore(t))
			b.want(ctx, t, o.Key, "third")
			if o.Key.Base() != name+".txt" {
				t.Errorf("its key is %s", o.Key)
			}
		}
		wantLeft(t, b.folder, b.folder+"/removed.txt", b.folder+"/replaced.txt")
		if n := replacements(t, tb.d); n != 0 {
			t.Errorf("%d replacements are left", n)
		}
	})
}

func TestAnObjectThatIsDeletedWhileItIsReplacedGoes(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		for name, end := range map[string]func(txn *core.Txn){
			"by a process that dies": func(txn *core.Txn) { b.mustSettle(ctx, t, txn) },
			"by one that goes on":    func(txn *core.Txn) { b.finish(ctx, t, txn) },
		} {
			_, txn, o := b.save(ctx, t, "fixed.txt", "old", false)
			b.finish(ctx, t, txn)
			_, txn, _ = b.save(ctx, t, "fixed.txt", "new", true)
			written := txn.Stored()[0]
			b.mustSettle(ctx, t, txn)
			_, txn = b.delete(ctx, t, o.Key)
			end(txn)
			// It was on its way after all.
			if err := b.bucket.FinishReplacement(ctx, written); err != nil {
				t.Fatal(err)
			}
			recoverAll(t, tb.d, openStore(t))
			if got := left(t, b.folder); len(got) > 0 {
				t.Errorf("%s: left are %q", name, got)
			}
			wantEntries(t, tb.d)
			if n := replacements(t, tb.d); n != 0 {
				t.Errorf("%s: %d replacements are left", name, n)
			}
		}
	})
}

func TestAnObjectOfARowThatReplacesTheRowItIsDeletedWithStays(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		for name, end := range map[string]func(txn *core.Txn){
			"by a process that dies": func(txn *core.Txn) { b.mustSettle(ctx, t, txn) },
			"by one that goes on":    func(txn *core.Txn) { b.finish(ctx, t, txn) },
		} {
			_, txn, o := b.save(ctx, t, name+".txt", "old", false)
			b.finish(ctx, t, txn)
			inner, txn := b.delete(ctx, t, o.Key)
			if _, err := b.bucket.Save(inner, o.Key.String(), core.Upload{Body: strings.NewReader("new"), Replace: true}); err != nil {
				t.Fatal(err)
			}
			end(txn)
			recoverAll(t, tb.d, openStore(t))
			b.want(ctx, t, o.Key, "new")
		}
	})
}

// Somebody deletes a row whose object has gone, while another's is on its way to the
// same key: the removal may come after it.
func TestAFileWhoseKeyIsBeingRemovedIsNotCommitted(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		_, saved, o := b.save(ctx, t, "fixed.txt", "new", false)
		_, deletion := b.delete(ctx, t, o.Key)
		b.mustSettle(ctx, t, deletion)
		b.wantRefused(ctx, t, saved)
		recoverAll(t, tb.d, openStore(t))
		wantLeft(t, b.folder)
		wantEntries(t, tb.d)
	})
}

// A note may come late: the database has it wait, until its request has given up.
func TestANoteThatComesLateDoesNotTakeAFileFromItsRow(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		w := core.Written{Bucket: bucketName, Key: b.key(t, "kept.txt")} // as a claim is noted
		late := openLedger(t, tb.d, -time.Second)
		for range 2 { // the second claim is of a file that was kept again
			if err := errors.Join(b.book.Writing(ctx, w), late.Writing(ctx, w)); err != nil {
				t.Fatal(err)
			}
			if err := b.book.Settle(ctx, execOn(tb.d.SQL), []core.Written{w}, nil); err != nil {
				t.Fatal(err)
			}
			if err := late.Writing(ctx, w); !errors.Is(err, core.ErrPrecondition) {
				t.Errorf("the error is %v, want ErrPrecondition", err)
			}
			wantEntries(t, tb.d, "committed")
		}
	})
}

// A claim's object is told from another one at its key by nothing but the ledger.
func TestAClaimThatWasGivenUpDoesNotTakeAnothersFile(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		if err := b.book.Writing(ctx, core.Written{Bucket: bucketName, Key: b.key(t, "a.txt")}); err != nil {
			t.Fatal(err)
		}
		_, txn, o := b.save(ctx, t, "a.txt", "another's", false) // lifecycle had removed the first
		b.finish(ctx, t, txn)
		if report := b.work(ctx, t, tb, 24*time.Hour+time.Second); report.Removed != 0 {
			t.Errorf("the worker did %+v", report)
		}
		recoverAll(t, tb.d, openStore(t))
		wantLeft(t, b.folder, o.Key.String())
		wantEntries(t, tb.d)
	})
}

// TestManyReplaceTheirFilesAtOnce has an almost empty ledger, whose lines and gaps the
// transactions share.
func TestManyReplaceTheirFilesAtOnce(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		const many = 24
		var txns []*core.Txn
		for i := range many {
			name := fmt.Sprintf("old-%d.txt", i)
			old, err := b.bucket.Save(ctx, b.folder+"/"+name, core.Upload{Body: strings.NewReader("old")})
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // half of them under the same key
				_, txn, _ := b.save(ctx, t, name, "new", true)
				txns = append(txns, txn)
				continue
			}
			inner, txn, _ := b.save(ctx, t, fmt.Sprintf("new-%d.txt", i), "new", false)
			if err := b.bucket.Delete(inner, old.Key); err != nil {
				t.Fatal(err)
			}
			txns = append(txns, txn)
		}
		var work sync.WaitGroup
		for _, txn := range txns {
			work.Go(func() {
				if err := errors.Join(b.settle(ctx, txn), txn.Commit(ctx)); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if n := len(left(t, b.folder)); n != many {
			t.Errorf("%d objects are left, want %d", n, many)
		}
	})
}

func TestGORMReplacesUnderTheSameKey(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		failed := func(_ context.Context, err error) { t.Errorf("files could not be tidied up: %v", err) }
		db := gormDB(t, tb.d, gormfiles.Config{Ledger: b.book, TidyFailed: failed})
		request, txn, o := b.save(ctx, t, "fixed.txt", "old", false)
		p := profile{Name: "row", Avatar: fieldtype.Of[media.Avatar](o)}
		mustGORM(t, db.WithContext(request).Create(&p))
		if err := txn.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		for i, end := range []func(*core.Txn) error{
			func(txn *core.Txn) error { return txn.Commit(ctx) },
			func(txn *core.Txn) error { return txn.Rollback(ctx) }, // the request fails after its row was committed
		} {
			content := fmt.Sprint("new content ", i)
			again, txn, new := b.save(ctx, t, "fixed.txt", content, true)
			p.Avatar = fieldtype.Of[media.Avatar](new)
			mustGORM(t, db.WithContext(again).Save(&p))
			if err := end(txn); err != nil {
				t.Fatal(err)
			}
			b.want(ctx, t, o.Key, content)
			wantLeft(t, b.folder, o.Key.String())
			if n := replacements(t, tb.d); n != 0 {
				t.Errorf("%d replacements are left", n)
			}
		}
		recoverAll(t, tb.d, openStore(t))
		tb.wantRow(ctx, t, b.folder, p)
		b.want(ctx, t, o.Key, "new content 1")
	})
}

// PostgreSQL's snapshot does not have what another connection noted after it.
func TestASaveThatItsTransactionCannotSeeIsRefused(t *testing.T) {
	t.Parallel()
	openStore(t)
	ctx, folder := folder(t)
	d := dbtest.Open(t, dbtest.PostgreSQL)
	openSQL(t, d)
	options := sqltxn.Options{Ledger: openLedger(t, d, 0), Tx: &sql.TxOptions{Isolation: sql.LevelRepeatableRead}}
	err := sqltxn.Run(ctx, d.SQL, options, func(ctx context.Context, tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM profiles").Scan(&n); err != nil {
			return err
		}
		avatar(ctx, t, "content")
		return nil
	})
	if !errors.Is(err, core.ErrPrecondition) || !strings.Contains(err.Error(), "REPEATABLE READ") {
		t.Errorf("the error is %v, want one that says why", err)
	}
	wantLeft(t, folder)
}

func TestRecoveryEndsWhileStorageIsDown(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		for i := range 12 {
			b.save(ctx, t, fmt.Sprintf("%d.txt", i), "nobody's", false)
		}
		down, err := core.Open(core.Config{Endpoint: "127.0.0.1:1", AccessKey: "a", SecretKey: "b", Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		l, err := ledger.New(ledger.Config{DB: tb.d.SQL, Dialect: ledgerDialect(tb.d.Kind), Batch: 3, Now: func() time.Time { return time.Now().Add(25 * time.Hour) }})
		if err != nil {
			t.Fatal(err)
		}
		if report, err := l.Recover(ctx, down); err == nil || report.Removed != 0 {
			t.Errorf("recovery did %+v, %v; want an error", report, err)
		}
		if report := b.work(ctx, t, tb, 26*time.Hour); report.Removed != 12 {
			t.Errorf("recovery did %+v later, want 12 objects removed", report)
		}
	})
}
