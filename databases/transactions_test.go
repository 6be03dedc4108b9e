package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/sqltxn"
)

// eachDatabase runs a test on a database of each kind, used through database/sql.
func eachDatabase(t *testing.T, test func(t *testing.T, ctx context.Context, tb table, folder string)) {
	t.Helper()
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			openStore(t)
			d := dbtest.Open(t, kind)
			ctx, name := folder(t)
			test(t, ctx, table{d, openSQL(t, d)}, name)
		})
	}
}

func TestO2APanicRollsRowAndFilesBack(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		p := tb.created(ctx, t, "before")
		func() {
			defer func() {
				if got := recover(); got != errWanted { //nolint:errorlint // the very value
					t.Errorf("the panic is %v", got)
				}
			}()
			_ = tb.run(ctx, sqltxn.Options{}, func(ctx context.Context, r rows) error {
				changed := p
				changed.Avatar = avatar(ctx, t, "new")
				if err := r.update(ctx, &changed); err != nil {
					return err
				}
				_ = sqltxn.Savepoint(ctx, func(context.Context) error { panic(errWanted) })
				return nil
			})
		}()
		tb.wantRow(ctx, t, folder, p)
	})
}

func TestACancelledContextRollsRowAndFilesBack(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		p := tb.created(ctx, t, "before")
		for name, returned := range map[string]error{"work that fails": errWanted, "work that succeeds": nil} {
			cancelled, cancel := context.WithCancel(ctx)
			err := tb.run(cancelled, sqltxn.Options{}, func(ctx context.Context, r rows) error {
				changed := p
				changed.Avatar = avatar(ctx, t, "new")
				if err := r.update(ctx, &changed); err != nil {
					return err
				}
				cancel()
				return returned
			})
			if err == nil || errors.Is(err, sqltxn.ErrUnknown) {
				t.Errorf("%s: the error is %v", name, err)
			}
			tb.wantRow(ctx, t, folder, p)
		}
	})
}

func TestBeginCommitAndRollbackByHand(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		store := func(name string, end func(context.Context, *sqltxn.Tx) error) profile {
			inner, tx, err := sqltxn.Begin(ctx, tb.d.SQL, sqltxn.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(ctx)
			p := profile{Name: name, Avatar: avatar(inner, t, name)}
			if err := (sqlRows{tx.SQL(), tb.d.Kind}).create(inner, &p); err != nil {
				t.Fatal(err)
			}
			if err := end(inner, tx); err != nil {
				t.Fatal(err)
			}
			return p
		}
		kept := store("committed", func(ctx context.Context, tx *sqltxn.Tx) error { return tx.Commit(ctx) })
		store("rolled back", func(context.Context, *sqltxn.Tx) error { return nil })
		tb.wantRow(ctx, t, folder, kept)
	})
}

func TestO2ARunInARunIsASavepoint(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		outer, inner := profile{Name: "outer"}, profile{Name: "inner"}
		tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
			for _, fails := range []error{errWanted, nil} {
				err := tb.run(ctx, sqltxn.Options{}, func(ctx context.Context, r rows) error {
					inner.Avatar = avatar(ctx, t, "inner")
					return errors.Join(r.create(ctx, &inner), fails)
				})
				if !errors.Is(err, fails) {
					return err
				}
			}
			outer.Avatar = avatar(ctx, t, "outer")
			return r.create(ctx, &outer)
		})
		wantLeft(t, folder, append(keys(outer), keys(inner)...)...)
	})
}

func TestTheRequestsFilesAreCommittedWithTheRow(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		request, txn := core.Begin(ctx) // as the middleware does
		p := profile{Name: "first", Avatar: avatar(request, t, "uploaded before the transaction")}
		err := tb.run(request, sqltxn.Options{}, func(ctx context.Context, r rows) error {
			return errors.Join(r.create(ctx, &p), errWanted)
		})
		if !errors.Is(err, errWanted) {
			t.Fatal(err)
		}
		wantLeft(t, folder, keys(p)...) // the handler may try again with it
		tb.inTxn(request, t, func(ctx context.Context, r rows) error { return r.create(ctx, &p) })
		second := profile{Name: "second"}
		tb.inTxn(request, t, func(ctx context.Context, r rows) error { // in the same request
			second.Avatar = avatar(ctx, t, "uploaded in the transaction")
			return r.create(ctx, &second)
		})
		if err := txn.Rollback(ctx); err != nil { // the answer failed, the rows did not
			t.Fatal(err)
		}
		wantLeft(t, folder, append(keys(p), keys(second)...)...)
	})
}

func TestARequestThatHasToRollBackFailsTheTransaction(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		request, txn := core.Begin(ctx)
		p := profile{Name: "never", Avatar: avatar(request, t, "never")}
		txn.SetRollbackOnly()
		err := tb.run(request, sqltxn.Options{}, func(ctx context.Context, r rows) error { return r.create(ctx, &p) })
		if !errors.Is(err, core.ErrTxnDone) {
			t.Errorf("the error is %v, want ErrTxnDone", err)
		}
		if err := txn.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		wantLeft(t, folder)
		var n int
		if err := tb.d.SQL.QueryRowContext(ctx, "SELECT COUNT(*) FROM profiles").Scan(&n); err != nil || n != 0 {
			t.Errorf("there are %d rows, %v", n, err)
		}
	})
}

func TestO4AnObjectThatAnotherRowHasStays(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		p := tb.created(ctx, t, "one")
		other := profile{Name: "another", Avatar: p.Avatar}
		tb.inTxn(ctx, t, func(ctx context.Context, r rows) error { return r.create(ctx, &other) })
		var tx *sql.Tx
		options := sqltxn.Options{Referenced: func(ctx context.Context, _ string, key core.Key) (bool, error) {
			var n int
			err := tx.QueryRowContext(ctx, tb.d.Kind.Placeholders("SELECT COUNT(*) FROM profiles WHERE CAST(avatar AS CHAR(1000)) LIKE ?"), "%"+key.String()+"%").Scan(&n)
			return n > 0, err
		}}
		err := sqltxn.Run(ctx, tb.d.SQL, options, func(ctx context.Context, t *sql.Tx) error {
			tx = t
			return sqlRows{t, tb.d.Kind}.delete(ctx, p.ID)
		})
		if err != nil {
			t.Fatal(err)
		}
		wantLeft(t, folder, keys(other)...)
	})
}

func TestO2ADeadlockIsTriedAgainAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []dbtest.Kind{dbtest.PostgreSQL, dbtest.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			openStore(t)
			d := dbtest.Open(t, kind)
			ctx, name := folder(t)
			tb := table{d, openSQL(t, d)}
			both := []profile{tb.created(ctx, t, "a"), tb.created(ctx, t, "b")}
			var tries atomic.Int64
			var met sync.WaitGroup // both have their first row before either asks for its second
			met.Add(2)
			var work sync.WaitGroup
			for i := range 2 {
				first, second := both[i], both[1-i]
				work.Go(func() {
					meet := sync.OnceFunc(func() { met.Done(); met.Wait() })
					err := tb.run(ctx, sqltxn.Options{Attempts: 10}, func(ctx context.Context, r rows) error {
						tries.Add(1)
						first.Avatar = avatar(ctx, t, fmt.Sprint("first of ", i))
						if err := r.update(ctx, &first); err != nil {
							return err
						}
						meet()
						second.Avatar = avatar(ctx, t, fmt.Sprint("second of ", i))
						return r.update(ctx, &second)
					})
					if err != nil {
						t.Errorf("transaction %d: %v", i, err)
					}
				})
			}
			work.Wait()
			if tries.Load() < 3 {
				t.Errorf("%d tries: there was no deadlock", tries.Load())
			}
			wantLeft(t, name, append(keys(tb.get(ctx, t, both[0].ID)), keys(tb.get(ctx, t, both[1].ID))...)...)
		})
	}
}

func TestASerializationFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	openStore(t)
	d := dbtest.Open(t, dbtest.PostgreSQL)
	ctx, name := folder(t)
	tb := table{d, openSQL(t, d)}
	p := tb.created(ctx, t, "row")
	tries := 0
	options := sqltxn.Options{Attempts: 3, Tx: &sql.TxOptions{Isolation: sql.LevelSerializable}}
	err := tb.run(ctx, options, func(ctx context.Context, r rows) error {
		tries++
		mine, err := r.get(ctx, p.ID)
		if err != nil {
			return err
		}
		if tries == 1 { // somebody is faster
			tb.inTxn(media.WithFolder(t.Context(), name), t, func(ctx context.Context, r rows) error {
				theirs := mine
				theirs.Avatar = avatar(ctx, t, "theirs")
				return r.update(ctx, &theirs)
			})
		}
		mine.Avatar = avatar(ctx, t, "mine")
		return r.update(ctx, &mine)
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries, %v; want 2", tries, err)
	}
	got := tb.get(ctx, t, p.ID)
	wantLeft(t, name, keys(got)...)
	if c := content(t, got.Avatar); c != "mine" {
		t.Errorf("the file holds %q", c)
	}
}

func TestABusySQLiteFileIsTriedAgain(t *testing.T) {
	t.Parallel()
	openStore(t)
	d := dbtest.Open(t, dbtest.SQLite)
	ctx, name := folder(t)
	tb := table{d, openSQL(t, d)}
	impatient, err := sql.Open(d.Driver, strings.NewReplacer("busy_timeout(60000)", "busy_timeout(0)", "&_txlock=immediate", "").Replace(d.DSN))
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	holder, err := d.SQL.BeginTx(ctx, nil) // has the write lock
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	p, tries := profile{Name: "busy"}, 0
	err = sqltxn.Run(ctx, impatient, sqltxn.Options{Attempts: 10}, func(ctx context.Context, tx *sql.Tx) error {
		if tries++; tries == 3 {
			holder.Rollback()
		}
		p.Avatar = avatar(ctx, t, fmt.Sprint(tries))
		return sqlRows{tx, dbtest.SQLite}.create(ctx, &p)
	})
	if err != nil || tries < 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	tb.wantRow(ctx, t, name, p)
}

// TestACommitWhoseAnswerIsLostLosesNoFile: the row is there or not, nobody knows,
// so every file stays, and with a ledger the surplus goes later.
func TestACommitWhoseAnswerIsLostLosesNoFile(t *testing.T) {
	t.Parallel()
	for _, kind := range []dbtest.Kind{dbtest.PostgreSQL, dbtest.MariaDB} {
		for _, with := range []string{"without a ledger", "with a ledger"} {
			t.Run(string(kind)+" "+with, func(t *testing.T) {
				t.Parallel()
				store := openStore(t)
				d := dbtest.Open(t, kind)
				ctx, name := folder(t)
				tb := table{d, openSQL(t, d)}
				p := tb.created(ctx, t, "row")
				cut := newCutter(t, d)
				db, err := sql.Open(d.Driver, cut.dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				options := sqltxn.Options{Attempts: 5}
				var book *ledger.Ledger
				if with == "with a ledger" {
					book = openLedger(t, d, 0)
					options.Ledger = book
				}
				changed, tries := p, 0
				err = sqltxn.Run(ctx, db, options, func(ctx context.Context, tx *sql.Tx) error {
					tries++
					changed.Avatar = avatar(ctx, t, "new")
					cut.armed.Store(true)
					return sqlRows{tx, kind}.update(ctx, &changed)
				})
				if !errors.Is(err, sqltxn.ErrUnknown) || tries != 1 {
					t.Errorf("after %d tries the error is %v, want ErrUnknown", tries, err)
				}
				got := tb.get(ctx, t, p.ID)
				if !slices.Equal(keys(got), keys(changed)) {
					t.Fatalf("the row has %q, want %q: it was committed", keys(got), keys(changed))
				}
				wantLeft(t, name, append(keys(changed), p.Avatar.Key().String())...)
				if book != nil {
					recoverAll(t, d, store)
					tb.wantRow(ctx, t, name, changed)
				}
			})
		}
	}
}

func TestO3AHundredReplaceOneFileAtATime(t *testing.T) {
	const writers = 100
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		for _, a := range adapters() {
			if !slices.Contains(a.kinds, kind) {
				continue
			}
			t.Run(string(kind)+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				openStore(t)
				d := dbtest.Open(t, kind)
				tb := table{d, a.open(t, d)}
				ctx, name := folder(t)
				p := tb.created(ctx, t, "one row")
				var work sync.WaitGroup
				for i := range writers {
					work.Go(func() {
						err := tb.run(ctx, sqltxn.Options{Attempts: 100}, func(ctx context.Context, r rows) error {
							mine := p
							mine.Avatar = avatar(ctx, t, fmt.Sprint("writer ", i))
							return r.update(ctx, &mine)
						})
						if err != nil {
							t.Errorf("writer %d: %v", i, err)
						}
					})
				}
				work.Wait()
				got := tb.get(ctx, t, p.ID)
				wantLeft(t, name, keys(got)...)
				if c := content(t, got.Avatar); !strings.HasPrefix(c, "writer ") {
					t.Errorf("the row's file holds %q", c)
				}
			})
		}
	}
}

// TestAThousandRowsAreListedWithoutStorage is not parallel: it moves the fields
// to a recorder for a while.
func TestAThousandRowsAreListedWithoutStorage(t *testing.T) { //nolint:paralleltest // see above
	openStore(t)
	s := s3test.Start(t)
	recorder := s.Recorder(t)
	counted, err := newStore(recorder.Endpoint(), s)
	if err != nil {
		t.Fatal(err)
	}
	media.Declare(counted, bucketName)
	defer media.Redeclare()
	ctx, _ := folder(t)
	o, err := media.Avatars().Save(ctx, core.Upload{Body: strings.NewReader("one file for all"), Name: "cat.txt"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range dbtest.Kinds() {
		for _, a := range adapters() {
			if !slices.Contains(a.kinds, kind) {
				continue
			}
			d := dbtest.Open(t, kind)
			tb := table{d, a.open(t, d)}
			tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
				for i := range 1000 {
					if err := r.create(ctx, &profile{Name: fmt.Sprint("row ", i), Avatar: fieldtype.Of[media.Avatar](o)}); err != nil {
						return err
					}
				}
				return nil
			})
			recorder.Reset()
			links := 0
			tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
				list, err := r.list(ctx)
				for _, p := range list {
					link, err := p.Avatar.URL(ctx)
					if err != nil {
						return err
					}
					if strings.Contains(link, o.Key.String()) && p.Avatar.Name() == "cat.txt" && p.Avatar.Size() == o.Size {
						links++
					}
				}
				return err
			})
			if n := recorder.Count(""); links != 1000 || n != 0 {
				t.Errorf("%s/%s: %d links and %d requests to storage, want 1000 and 0", kind, a.name, links, n)
			}
		}
	}
}
