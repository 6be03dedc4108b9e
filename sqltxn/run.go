package sqltxn

import (
	"context"
	"database/sql"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/ledger"
)

// Options say how a transaction is run. The zero value runs it once.
type Options struct {
	// Tx are the options of database/sql's transaction, for Run and Begin.
	Tx *sql.TxOptions
	// Attempts is how often the work is tried where the database says that
	// another try may succeed (see Retryable). The files of a try that failed are
	// gone before the next; a reader they came from has to be opened anew by the
	// work. Default 1.
	Attempts int
	// Retry decides instead of Retryable.
	Retry func(error) bool
	// Ledger notes in the transaction itself what is to become of its files, so
	// that a crash between database and storage leaves nothing. Its table must be
	// in the same database.
	Ledger *ledger.Ledger
	// Referenced is asked, in the transaction, about each object that is to go:
	// true keeps it, as where another row has it too. Default: nobody is asked.
	Referenced func(ctx context.Context, bucket string, key core.Key) (bool, error)
	// TidyFailed hears of files that could not be tidied up after the transaction
	// had ended: an object too many, for the ledger or the sweep. Default: nobody.
	TidyFailed func(ctx context.Context, err error)
}

// tidyTimeout bounds what is done for files after the database has decided.
const tidyTimeout = time.Minute

// Run runs work in a transaction of db and of files, which the context work gets
// carries: what it saves and deletes under that context belongs to the
// transaction. If work returns nil both are committed, else both rolled back, and
// the error is work's. Errors of the database are returned as they are.
//
// Files that ctx's own transaction stored before, as the Uploads middleware does,
// are committed with it (as core.Commit does) and not rolled back: their request
// does that, or tries again with them.
//
// A failure to tidy files up after the database has committed is no error (see
// Options.TidyFailed). Where the answer to the commit was lost, the error is
// ErrUnknown, and all files stay. Under a context that carries a transaction of
// the same db, Run is a savepoint of that one, and options are the outer one's.
func Run(ctx context.Context, db *sql.DB, options Options, work func(ctx context.Context, tx *sql.Tx) error) error {
	return Over(ctx, conn(db, options), options, work)
}

func conn(db *sql.DB, options Options) Conn[*sql.Tx] {
	return Conn[*sql.Tx]{
		Owner:    db,
		Begin:    func(ctx context.Context) (*sql.Tx, error) { return db.BeginTx(ctx, options.Tx) },
		Commit:   func(_ context.Context, tx *sql.Tx) error { return tx.Commit() },
		Rollback: func(_ context.Context, tx *sql.Tx) error { return tx.Rollback() },
		Exec: func(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
			result, err := tx.ExecContext(ctx, query, args...)
			if err != nil {
				return 0, err
			}
			return result.RowsAffected()
		},
	}
}

// Conn says how a database library's transactions, of type T, are used.
type Conn[T any] struct {
	// Owner is the database handle: by it Over sees that ctx carries a
	// transaction of the same database. nil: it never does.
	Owner any
	// Begin begins a transaction, Commit and Rollback end it.
	Begin            func(ctx context.Context) (T, error)
	Commit, Rollback func(ctx context.Context, tx T) error
	// Exec runs a statement in it, for savepoints and the ledger, with the
	// parameters of the database's dialect.
	Exec func(ctx context.Context, tx T, query string, args ...any) (affected int64, err error)
}

// Over is Run for any database library.
func Over[T any](ctx context.Context, c Conn[T], options Options, work func(ctx context.Context, tx T) error) error {
	if outer, ok := scopeFrom(ctx).in(c.Owner).(T); ok && c.Owner != nil {
		return Savepoint(ctx, func(ctx context.Context) error { return work(ctx, outer) })
	}
	attempts := max(1, options.Attempts)
	retry := options.Retry
	if retry == nil {
		retry = Retryable
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 5*time.Millisecond, time.Second
	for {
		err := once(ctx, c, options, work)
		attempts--
		if err == nil || attempts == 0 || ctx.Err() != nil || !retry(err) {
			return err
		}
		if !pause(ctx, wait.NextBackOff()) {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func once[T any](ctx context.Context, c Conn[T], options Options, work func(ctx context.Context, tx T) error) error {
	tx, err := begin(ctx, c, options)
	if err != nil {
		return err
	}
	defer tx.rollback(ctx) // after a panic, too; does nothing after the commit
	if err := work(tx.ctx, tx.tx); err != nil {
		return err
	}
	return tx.commit(ctx)
}

// Tx is a transaction of a database and of files that the app ends by hand. Not
// safe for concurrent use.
type Tx struct{ t *transaction[*sql.Tx] }

// Begin begins a transaction for work that does not fit into a function. Save and
// delete files under the context it returns, and end it with Commit or Rollback.
// As Run otherwise, but there are no savepoints and no second attempts.
func Begin(ctx context.Context, db *sql.DB, options Options) (context.Context, *Tx, error) {
	t, err := begin(ctx, conn(db, options), options)
	if err != nil {
		return nil, nil, err
	}
	return t.ctx, &Tx{t}, nil
}

// SQL returns database/sql's transaction. Do not end it.
func (t *Tx) SQL() *sql.Tx { return t.t.tx }

// Commit commits the database, then the files. On error both are rolled back, but
// for ErrUnknown.
func (t *Tx) Commit(ctx context.Context) error {
	defer t.t.rollback(ctx)
	return t.t.commit(ctx)
}

// Rollback rolls both back. After Commit it does nothing, so that it can be
// deferred.
func (t *Tx) Rollback(ctx context.Context) { t.t.rollback(ctx) }
