package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/sqltxn"
)

func ledgerDialect(kind dbtest.Kind) ledger.Dialect {
	return map[dbtest.Kind]ledger.Dialect{dbtest.SQLite: ledger.SQLite, dbtest.PostgreSQL: ledger.PostgreSQL, dbtest.MariaDB: ledger.MariaDB}[kind]
}

// openLedger makes a ledger whose clock is ahead by a while.
func openLedger(t testing.TB, d *dbtest.Database, ahead time.Duration) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(ledger.Config{DB: d.SQL, Dialect: ledgerDialect(d.Kind), Now: func() time.Time { return time.Now().Add(ahead) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// recoverAll is a worker after everything has become due, a few times, so that
// it is seen to be idempotent.
func recoverAll(t testing.TB, d *dbtest.Database, store *core.Store) (removed int) {
	t.Helper()
	for i := range 3 {
		l := openLedger(t, d, time.Duration(i+1)*25*time.Hour)
		report, err := l.Recover(context.WithoutCancel(t.Context()), store)
		if err != nil {
			t.Fatalf("recovery: %v", err)
		}
		if i > 0 && report.Removed > 0 {
			t.Errorf("recovery %d removed %d objects more", i+1, report.Removed)
		}
		removed += report.Removed
	}
	return removed
}

// entries lists the states in the ledger.
func entries(t testing.TB, d *dbtest.Database) (states []string) {
	t.Helper()
	found, err := d.SQL.QueryContext(context.WithoutCancel(t.Context()), "SELECT state FROM filefield_ledger ORDER BY state")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var state string
		if err := found.Scan(&state); err != nil {
			t.Fatal(err)
		}
		states = append(states, state)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return states
}

func wantEntries(t testing.TB, d *dbtest.Database, want ...string) {
	t.Helper()
	if got := entries(t, d); !slices.Equal(got, want) {
		t.Errorf("the ledger has %q, want %q", got, want)
	}
}

// withLedger runs a test on each database with a ledger. The request has the
// files it uploads noted, as the middleware would.
func withLedger(t *testing.T, test func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string)) {
	t.Helper()
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		book := openLedger(t, tb.d, 0)
		test(t, ctx, tb, book, folder)
	})
}

// uploaded stores a file in a request with a ledger.
func uploaded(ctx context.Context, t testing.TB, book *ledger.Ledger, content string) (context.Context, *core.Txn, fieldtype.File[media.Avatar]) {
	t.Helper()
	request, txn := core.Begin(book.Context(ctx))
	return request, txn, avatar(request, t, content)
}

func TestTheLedgerFollowsARow(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		options := sqltxn.Options{Ledger: book}
		request, _, file := uploaded(ctx, t, book, "first")
		wantEntries(t, tb.d, "pending")
		p := profile{Name: "row", Avatar: file}
		if err := tb.run(request, options, func(ctx context.Context, r rows) error { return r.create(ctx, &p) }); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed")

		request, _, p.Avatar = uploaded(ctx, t, book, "second")
		if err := tb.run(request, options, func(ctx context.Context, r rows) error { return r.update(ctx, &p) }); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed", "committed")
		tb.wantRow(ctx, t, folder, p)

		request, txn, file := uploaded(ctx, t, book, "third")
		err := tb.run(request, options, func(ctx context.Context, r rows) error {
			changed := p
			changed.Avatar = file
			return errors.Join(r.update(ctx, &changed), errWanted)
		})
		if !errors.Is(err, errWanted) {
			t.Fatal(err)
		}
		if err := txn.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed", "committed")
		tb.wantRow(ctx, t, folder, p)

		if err := tb.run(ctx, options, func(ctx context.Context, r rows) error { return r.delete(ctx, p.ID) }); err != nil {
			t.Fatal(err)
		}
		wantLeft(t, folder)
		if n := recoverAll(t, tb.d, openStore(t)); n != 0 {
			t.Errorf("recovery removed %d objects, want none", n)
		}
		wantEntries(t, tb.d)
	})
}

func TestAFileWithoutARowGoesAfterTheGracePeriodAndItsRowComesTooLate(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		request, _, file := uploaded(ctx, t, book, "slow")
		if report, err := openLedger(t, tb.d, 23*time.Hour).Recover(ctx, openStore(t)); err != nil || report.Removed != 0 {
			t.Errorf("within the grace period recovery removed %d, %v", report.Removed, err)
		}
		if n := recoverAll(t, tb.d, openStore(t)); n != 1 {
			t.Errorf("recovery removed %d objects, want 1", n)
		}
		wantLeft(t, folder)
		err := tb.run(request, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error {
			return r.create(ctx, &profile{Name: "too late", Avatar: file})
		})
		if !errors.Is(err, core.ErrPrecondition) {
			t.Errorf("the error is %v, want ErrPrecondition", err)
		}
		var n int
		if err := tb.d.SQL.QueryRowContext(ctx, "SELECT COUNT(*) FROM profiles").Scan(&n); err != nil || n != 0 {
			t.Errorf("there are %d rows, %v: one points at nothing", n, err)
		}
	})
}

func TestManyWorkersShareTheWork(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		const files = 60
		request, _ := core.Begin(book.Context(ctx))
		for i := range files {
			avatar(request, t, fmt.Sprint(i))
		}
		var total atomic.Int64
		var workers sync.WaitGroup
		for range 6 {
			workers.Go(func() {
				l, err := ledger.New(ledger.Config{DB: tb.d.SQL, Dialect: ledgerDialect(tb.d.Kind), Batch: 7, Now: func() time.Time { return time.Now().Add(25 * time.Hour) }})
				if err != nil {
					t.Error(err)
					return
				}
				report, err := l.Recover(ctx, openStore(t))
				if err != nil {
					t.Error(err)
				}
				total.Add(int64(report.Removed))
			})
		}
		workers.Wait()
		if total.Load() != files {
			t.Errorf("the workers removed %d objects together, want %d", total.Load(), files)
		}
		wantLeft(t, folder)
		wantEntries(t, tb.d)
	})
}

func TestAWorkerRunsUntilItsContextEnds(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		uploaded(ctx, t, book, "nobody's")
		l, err := ledger.New(ledger.Config{DB: tb.d.SQL, Dialect: ledgerDialect(tb.d.Kind), Interval: time.Millisecond, Now: func() time.Time { return time.Now().Add(25 * time.Hour) }})
		if err != nil {
			t.Fatal(err)
		}
		working, stop := context.WithCancelCause(ctx)
		ended := make(chan error)
		go func() { ended <- l.Work(working, openStore(t)) }()
		for len(entries(t, tb.d)) > 0 { // a query each time, and the test's own time limit
			runtime.Gosched()
		}
		stop(errWanted)
		if err := <-ended; !errors.Is(err, errWanted) {
			t.Errorf("Work returned %v, want the context's cause", err)
		}
		wantLeft(t, folder)
	})
}

func TestSavingInsideATransactionWithALedger(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		p := profile{Name: "row"}
		err := tb.run(ctx, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error {
			o, err := media.Avatars().Save(ctx, core.Upload{Body: strings.NewReader("content"), Name: "cat.txt"})
			if err != nil {
				return err
			}
			p.Avatar = fieldtype.Of[media.Avatar](o)
			return r.create(ctx, &p)
		})
		if tb.d.Kind == dbtest.SQLite { // it has one writer
			if !errors.Is(err, core.ErrConfig) {
				t.Errorf("the error is %v, want ErrConfig", err)
			}
			wantLeft(t, folder)
			wantEntries(t, tb.d)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed")
		tb.wantRow(ctx, t, folder, p)
	})
}

func TestAReplacedKeyIsNotRemovedFromUnderItsNewObject(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		bucket := openStore(t).Bucket(bucketName)
		save := func(ctx context.Context) core.Object {
			o, err := bucket.Save(ctx, folder+"/fixed.txt", core.Upload{Body: strings.NewReader("content")})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		commit := func(ctx context.Context, txn *core.Txn) {
			tx, err := tb.d.SQL.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			exec := func(ctx context.Context, query string, args ...any) (int64, error) {
				result, err := tx.ExecContext(ctx, query, args...)
				if err != nil {
					return 0, err
				}
				return result.RowsAffected()
			}
			if err := errors.Join(book.Settle(ctx, exec, txn.Stored(), txn.Deleted()), tx.Commit()); err != nil {
				t.Fatal(err)
			}
		}
		request, txn := core.Begin(book.Context(ctx))
		first := save(request)
		commit(ctx, txn)
		txn.Leave()

		deletion, txn := core.Begin(book.Context(ctx))
		if err := bucket.Delete(deletion, first.Key); err != nil {
			t.Fatal(err)
		}
		commit(ctx, txn) // and the process dies before it removes the object

		request, txn = core.Begin(book.Context(ctx))
		second := save(request)
		if second.Key == first.Key {
			t.Fatalf("the key %s was given again while its object is being removed", second.Key)
		}
		commit(ctx, txn)
		txn.Leave()
		if n := recoverAll(t, tb.d, openStore(t)); n != 1 {
			t.Errorf("recovery removed %d objects, want 1", n)
		}
		wantLeft(t, folder, second.Key.String())
	})
}

func TestAClaimedFileWhoseRowNeverComesGoes(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		keep := func() string {
			request, txn := core.Begin(ctx)
			token, err := media.Avatars().Keep(request, avatar(request, t, "kept").Object())
			if err == nil {
				err = txn.Rollback(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		claim := func(token string) (context.Context, *core.Txn, fieldtype.File[media.Avatar]) {
			request, txn := core.Begin(book.Context(ctx))
			var file fieldtype.File[media.Avatar]
			if err := errors.Join(file.UnmarshalParam(token), file.Claim(request)); err != nil {
				t.Fatal(err)
			}
			return request, txn, file
		}
		token := keep()
		_, txn, _ := claim(token)
		if err := txn.Rollback(ctx); err != nil { // the file is as before
			t.Fatal(err)
		}
		wantEntries(t, tb.d)
		request, _, file := claim(token)
		p := profile{Name: "row", Avatar: file}
		if err := tb.run(request, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error { return r.create(ctx, &p) }); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed")
		tb.wantRow(ctx, t, folder, p)

		again, _ := core.Begin(book.Context(ctx)) // the token is a row's file's now
		var twice fieldtype.File[media.Avatar]
		if err := errors.Join(twice.UnmarshalParam(token), twice.Claim(again)); !errors.Is(err, core.ErrToken) {
			t.Errorf("a second claim: %v, want ErrToken", err)
		}
		wantEntries(t, tb.d, "committed")

		claim(keep()) // and the process dies
		if n := recoverAll(t, tb.d, openStore(t)); n != 1 {
			t.Errorf("recovery removed %d objects, want 1", n)
		}
		locks := 0
		for _, key := range left(t, folder) {
			if strings.Contains(key, "filefield-claim") {
				locks++ // lifecycle's, or ExpirePending's
			}
		}
		if n := len(left(t, folder)); n != 1+locks || locks != 1 {
			t.Errorf("the bucket holds %q, want the row's file and a lock", left(t, folder))
		}
	})
}

func TestAFileThatIsKeptAndThenGetsARowStays(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		request, txn, file := uploaded(ctx, t, book, "kept")
		token, err := media.Avatars().Keep(request, file.Object())
		if err == nil {
			err = txn.Rollback(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d) // its mark says when it goes
		request, _ = core.Begin(book.Context(ctx))
		p := profile{Name: "row"}
		if err := errors.Join(p.Avatar.UnmarshalParam(token), p.Avatar.Claim(request)); err != nil {
			t.Fatal(err)
		}
		if err := tb.run(request, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error { return r.create(ctx, &p) }); err != nil {
			t.Fatal(err)
		}
		if n := recoverAll(t, tb.d, openStore(t)); n != 0 {
			t.Errorf("recovery removed %d objects, want none", n)
		}
		tb.wantRow(ctx, t, folder, p)
	})
}

func TestALedgerWithFaultsIsRefused(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]ledger.Config{
		"nothing": {}, "no dialect": {DB: new(sql.DB)}, "an unknown dialect": {DB: new(sql.DB), Dialect: 9},
		"no database": {Dialect: ledger.SQLite}, "a negative grace period": {DB: new(sql.DB), Dialect: ledger.SQLite, Grace: -1},
	} {
		if _, err := ledger.New(config); !errors.Is(err, core.ErrConfig) {
			t.Errorf("%s: the error is %v, want ErrConfig", name, err)
		}
	}
	if ledger.Schema(9) != "" || !strings.Contains(ledger.Schema(ledger.MariaDB), "InnoDB") {
		t.Error("Schema returns the wrong text")
	}
}

func TestManyProcessesMigrateAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, _ string) {
		l, err := ledger.New(ledger.Config{DB: tb.d.SQL, Dialect: ledgerDialect(tb.d.Kind)})
		if err != nil {
			t.Fatal(err)
		}
		var work sync.WaitGroup
		for range 8 {
			work.Go(func() {
				if err := l.Migrate(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		wantEntries(t, tb.d)
	})
}
