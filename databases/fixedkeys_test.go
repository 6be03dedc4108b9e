package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/gormfiles"
	"github.com/filefield/filefield/sqltxn"
)

// The first finds the key free, the second finds the first one's object there, which no
// committed row has yet.
func TestOfTwoFirstFilesOfOneKeyTheOneCommittedLastIsThere(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		for name, test := range map[string]struct {
			commit func(t testing.TB, first, second *core.Txn)
			want   string
		}{
			"the first before the second": {func(t testing.TB, first, second *core.Txn) {
				b.finish(ctx, t, first)
				b.finish(ctx, t, second)
			}, "second"},
			"the second before the first": {func(t testing.TB, first, second *core.Txn) {
				b.finish(ctx, t, second)
				b.wantRefused(ctx, t, first)
			}, "second"},
			"the second, whose process dies, before the first": {func(t testing.TB, first, second *core.Txn) {
				b.mustSettle(ctx, t, second)
				b.wantRefused(ctx, t, first)
			}, "second"},
			"the second while the first is rolled back": {func(t testing.TB, first, second *core.Txn) {
				if err := b.settle(ctx, second); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(first.Rollback(ctx), second.Commit(ctx)); err != nil {
					t.Fatal(err)
				}
			}, "second"},
			"the first alone": {func(t testing.TB, first, second *core.Txn) {
				if err := second.Rollback(ctx); err != nil {
					t.Fatal(err)
				}
				b.finish(ctx, t, first)
			}, "first"},
		} {
			_, first, o := b.save(ctx, t, name+".txt", "first", true)
			_, second, _ := b.save(ctx, t, name+".txt", "second", true)
			test.commit(t, first, second)
			recoverAll(t, tb.d, openStore(t))
			b.want(ctx, t, o.Key, test.want)
			wantEntries(t, tb.d)
			if n := replacements(t, tb.d); n != 0 {
				t.Errorf("%s: %d replacements are left", name, n)
			}
			_, third, _ := b.save(ctx, t, name+".txt", "third", true)
			b.finish(ctx, t, third)
			b.want(ctx, t, o.Key, "third")
			recoverAll(t, tb.d, openStore(t))
		}
		if n := len(left(t, b.folder)); n != 5 {
			t.Errorf("%d objects are left, want one of each key: %q", n, left(t, b.folder))
		}
	})
}

func TestAClaimThatWasGivenUpDoesNotTakeWhatReplacedItsFile(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		_, txn, o := b.save(ctx, t, "fixed.txt", "kept", false)
		b.finish(ctx, t, txn)
		if err := b.book.Writing(ctx, core.Written{Bucket: bucketName, Key: o.Key}); err != nil { // as a claim is noted
			t.Fatal(err)
		}
		_, txn, _ = b.save(ctx, t, "fixed.txt", "new", true)
		b.finish(ctx, t, txn)
		recoverAll(t, tb.d, openStore(t))
		b.want(ctx, t, o.Key, "new")
		wantEntries(t, tb.d)
	})
}

func TestOfSeveralReplacementsInOneTransactionTheLastIsThere(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		for name, end := range map[string]func(txn *core.Txn){
			"by a process that dies": func(txn *core.Txn) { b.mustSettle(ctx, t, txn) },
			"by one that goes on":    func(txn *core.Txn) { b.finish(ctx, t, txn) },
		} {
			_, txn, o := b.save(ctx, t, name, "old", false)
			b.finish(ctx, t, txn)
			inner, txn, _ := b.save(ctx, t, name, "new", true)
			nested, again := core.Begin(inner)
			if _, err := b.bucket.Save(nested, o.Key.String(), core.Upload{Body: strings.NewReader("newer"), Replace: true}); err != nil {
				t.Fatal(err)
			}
			if err := again.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			end(txn)
			recoverAll(t, tb.d, openStore(t))
			b.want(ctx, t, o.Key, "newer")
			wantEntries(t, tb.d)
		}
		if n := len(left(t, b.folder)); n != 2 {
			t.Errorf("%d objects are left, want 2: %q", n, left(t, b.folder))
		}
	})
}

// Neither transaction sees what the other has not committed.
func TestAFileIsNotCommittedWhereATransactionUnderWayDeletesItsKey(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		if tb.d.Kind == dbtest.SQLite { // one transaction at a time
			return
		}
		for name, replace := range map[string]bool{"new.txt": false, "replaced.txt": true} {
			_, txn, o := b.save(ctx, t, name, "old", false)
			if replace {
				b.finish(ctx, t, txn)
				_, txn, _ = b.save(ctx, t, name, "new", true)
			}
			tx, err := b.db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, deletion := b.delete(ctx, t, o.Key)
			if err := b.book.Settle(ctx, execOn(tx), nil, deletion.Deleted()); err != nil {
				t.Fatal(err)
			}
			settled := make(chan error, 1)
			go func() { settled <- b.settle(ctx, txn) }()
			time.Sleep(200 * time.Millisecond) // so that it comes to wait, as it should
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-settled; !errors.Is(err, core.ErrPrecondition) {
				t.Errorf("%s: the error is %v, want ErrPrecondition", name, err)
			}
			if err := errors.Join(txn.Rollback(ctx), deletion.Commit(ctx), b.book.Finished(ctx, deletion.Deleted())); err != nil {
				t.Fatal(err)
			}
		}
		recoverAll(t, tb.d, openStore(t))
		wantLeft(t, b.folder)
		wantEntries(t, tb.d)
	})
}

// A request that goes on after its row was committed, and fails.
func TestFilesOfACommittedRowStayWhateverTransactionIsAroundThem(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		options := sqltxn.Options{Ledger: b.book}
		request, outermost := core.Begin(b.book.Context(ctx))
		inner, txn := core.Begin(request)
		p := profile{Name: "row", Avatar: avatar(inner, t, "content")}
		if err := tb.run(inner, options, func(ctx context.Context, r rows) error { return r.create(ctx, &p) }); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(txn.Rollback(ctx), outermost.Rollback(ctx)); err != nil {
			t.Fatal(err)
		}
		recoverAll(t, tb.d, openStore(t))
		tb.wantRow(ctx, t, b.folder, p)

		request, outermost = core.Begin(b.book.Context(ctx))
		inner, _ = core.Begin(request)
		outermost.SetRollbackOnly()
		other := profile{Name: "other", Avatar: avatar(inner, t, "content")}
		err := tb.run(inner, options, func(ctx context.Context, r rows) error { return r.create(ctx, &other) })
		if !errors.Is(err, core.ErrTxnDone) {
			t.Errorf("the error is %v, want ErrTxnDone", err)
		}
	})
}

func TestGORMTransactionHasThePluginsLedger(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		db := gormDB(t, tb.d, gormfiles.Config{Ledger: b.book})
		request, _, file := uploaded(ctx, t, b.book, "content")
		p := profile{Name: "row", Avatar: file}
		err := gormfiles.Transaction(request, db, sqltxn.Options{}, func(_ context.Context, tx *gorm.DB) error { return tx.Create(&p).Error })
		if err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed")
		recoverAll(t, tb.d, openStore(t))
		tb.wantRow(ctx, t, b.folder, p)
	})
}

// A handler that tries again has saved the file twice in its request.
func TestGORMOfSeveralReplacementsInOneRequestTheOneThatTheRowHasIsThere(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		db := gormDB(t, tb.d, gormfiles.Config{Ledger: b.book})
		_, txn, o := b.save(ctx, t, "fixed.txt", "old", false)
		b.finish(ctx, t, txn)
		p := profile{Name: "row", Avatar: fieldtype.Of[media.Avatar](o)}
		mustGORM(t, db.WithContext(ctx).Create(&p))
		request, txn, _ := b.save(ctx, t, "fixed.txt", "first try", true)
		again, err := b.bucket.Save(request, o.Key.String(), core.Upload{Body: strings.NewReader("second try"), Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		p.Avatar = fieldtype.Of[media.Avatar](again)
		mustGORM(t, db.WithContext(request).Save(&p))
		if err := txn.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		b.want(ctx, t, o.Key, "second try")
		recoverAll(t, tb.d, openStore(t))
		b.want(ctx, t, o.Key, "second try")
		tb.wantRow(ctx, t, b.folder, p)
	})
}

func TestGORMRefusesARowWithoutATransactionWhoseFileALedgerHas(t *testing.T) {
	withBookkeeping(t, func(t *testing.T, ctx context.Context, tb table, b bookkeeping) {
		db := gormDB(t, tb.d, gormfiles.Config{Ledger: b.book}).Session(&gorm.Session{SkipDefaultTransaction: true})
		request, txn, file := uploaded(ctx, t, b.book, "content")
		p := profile{Name: "row", Avatar: file}
		if err := db.WithContext(request).Create(&p).Error; !errors.Is(err, core.ErrConfig) {
			t.Errorf("the error is %v, want ErrConfig", err)
		}
		p.ID = 0
		err := db.WithContext(request).Transaction(func(tx *gorm.DB) error { return tx.Create(&p).Error })
		if err = errors.Join(err, txn.Commit(ctx)); err != nil {
			t.Fatal(err)
		}
		p.Name = "renamed" // its file is nothing new
		mustGORM(t, db.WithContext(b.book.Context(ctx)).Save(&p))
		recoverAll(t, tb.d, openStore(t))
		tb.wantRow(ctx, t, b.folder, p)
	})
}

func TestGORMDoesNotReplaceWhereTheCommitsAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, kind := range []dbtest.Kind{dbtest.PostgreSQL, dbtest.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			store := openStore(t)
			d := dbtest.Open(t, kind)
			ctx, name := folder(t)
			tb := table{d, openSQL(t, d)}
			b := bookkeeping{openLedger(t, d, 0), d.SQL, store.Bucket(bucketName), name}
			_, txn, o := b.save(ctx, t, "fixed.txt", "old", false)
			b.finish(ctx, t, txn)
			p := profile{Name: "row", Avatar: fieldtype.Of[media.Avatar](o)}
			mustGORM(t, gormDB(t, d, gormfiles.Config{}).WithContext(ctx).Create(&p))

			cut := newCutter(t, d)
			through, err := sql.Open(d.Driver, cut.dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer through.Close()
			lossy := *d
			lossy.SQL, lossy.DSN = through, cut.dsn
			db := gormDB(t, &lossy, gormfiles.Config{Ledger: b.book})
			request, txn, o := b.save(ctx, t, "fixed.txt", "new", true)
			p.Avatar = fieldtype.Of[media.Avatar](o)
			cut.armed.Store(true)
			if err := db.WithContext(request).Save(&p).Error; !errors.Is(err, sqltxn.ErrUnknown) {
				t.Errorf("the error is %v, want ErrUnknown", err)
			}
			if err := txn.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			b.want(ctx, t, o.Key, "old") // nobody knows whether the row is the new one
			recoverAll(t, d, store)
			b.want(ctx, t, o.Key, "new") // the ledger does
			tb.wantRow(ctx, t, name, p)
		})
	}
}
