package sqltxn

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/ledger"
)

// transaction is one of a database and of files.
type transaction[T any] struct {
	conn  Conn[T]
	tx    T
	ctx   context.Context // for the work
	files Files
	ended bool
}

func begin[T any](ctx context.Context, c Conn[T], options Options) (*transaction[T], error) {
	inner, files := Join(ctx, options)
	sc := &scope{owner: c.Owner, outer: scopeFrom(ctx)}
	t := &transaction[T]{conn: c, files: files, ctx: context.WithValue(inner, scopeKey{}, sc)}
	tx, err := c.Begin(t.ctx) // a library may hand this context on, as bun does
	if err != nil {
		files.Rollback(ctx)
		return nil, err
	}
	t.tx, sc.tx = tx, tx
	sc.exec = func(ctx context.Context, query string, args ...any) (int64, error) {
		return c.Exec(ctx, tx, query, args...)
	}
	return t, nil
}

func (t *transaction[T]) commit(ctx context.Context) error {
	exec := scopeFrom(t.ctx).exec
	return t.files.Commit(ctx, exec, func(ctx context.Context) error {
		err := t.conn.Commit(ctx, t.tx)
		t.ended = err == nil || unknown(err)
		return err
	})
}

// rollback rolls the database back first: nobody may see a row whose file goes.
func (t *transaction[T]) rollback(ctx context.Context) {
	if !t.ended {
		t.ended = true
		ctx, cancel := tidying(ctx)
		defer cancel()
		_ = t.conn.Rollback(ctx, t.tx) // it has ended then, or its connection has
	}
	t.files.Rollback(ctx)
}

// tidying is a context for what has to be done however ctx ended.
func tidying(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
}

// Files are the files of a database transaction that somebody else begins and
// ends: what Over is made of, for libraries with hooks of their own. Not safe for
// concurrent use.
type Files struct {
	options    Options
	txn, outer *core.Txn
}

// Join opens a file transaction and returns the context to work under. It must
// be ended by Commit or Rollback.
func Join(ctx context.Context, options Options) (context.Context, Files) {
	f := Files{options: options, outer: core.TxnFrom(ctx)}
	if f.outer != nil && (f.outer.Done() || scopeFrom(ctx) != nil) {
		// An earlier transaction of this request committed it, or a transaction of
		// another database, which is still open, will.
		f.outer = nil
	}
	if f.outer == nil {
		ctx, f.txn = core.BeginAlone(ctx)
	} else {
		ctx, f.txn = core.Begin(ctx)
	}
	if options.Ledger != nil {
		ctx = options.Ledger.InTransaction(ctx)
	}
	return ctx, f
}

// Commit settles the files in the transaction by exec, has commit commit the
// database, and then finishes the files. If it returns an error other than
// ErrUnknown the caller rolls the database back, and the files with Rollback.
func (f Files) Commit(ctx context.Context, exec ledger.Exec, commit func(context.Context) error) error {
	started := time.Now()
	if err := f.prepare(ctx, exec); err != nil {
		return err
	}
	deleted := f.txn.Deleted()
	if err := commit(ctx); err != nil {
		if !unknown(err) {
			return err
		}
		f.txn.Leave() // and those around it
		return &core.Error{
			Kind: core.ErrUnavailable, Op: "commit", Err: errors.Join(ErrUnknown, err),
			Advice: "see in the database whether the row is there; the ledger or the sweep removes the files that turn out to be nobody's",
		}
	}
	ctx, cancel := f.tidying(ctx, started)
	defer cancel()
	err := f.txn.Commit(ctx)
	for around := f.outer; around != nil; around = around.Outer() { // or a later rollback would take files from their rows
		err = errors.Join(err, around.Commit(ctx))
	}
	if err == nil && f.options.Ledger != nil {
		err = f.options.Ledger.Finished(ctx, deleted)
	}
	f.report(ctx, err)
	return nil
}

// prepare does what can still fail the transaction.
func (f Files) prepare(ctx context.Context, exec ledger.Exec) error {
	if err := ctx.Err(); err != nil { // from here on a cancelled commit could be anything
		return context.Cause(ctx)
	}
	if over(f.txn) {
		return &core.Error{Kind: core.ErrTxnDone, Op: "commit", Err: errors.New("the file transaction has been rolled back, or has to be")}
	}
	if f.options.Referenced != nil {
		for _, w := range f.txn.Deleted() {
			referenced, err := f.options.Referenced(ctx, w.Bucket, w.Key)
			if err != nil {
				return err
			}
			if referenced {
				f.txn.Spare(w.Bucket, w.Key)
			}
		}
	}
	if f.options.Ledger == nil {
		return nil
	}
	return f.options.Ledger.Settle(ctx, exec, f.txn.Stored(), f.txn.Deleted())
}

// over says whether a file transaction, or one around it, has ended, or has to be
// rolled back.
func over(t *core.Txn) bool {
	for ; t != nil; t = t.Outer() {
		if t.Done() || t.RollbackOnly() {
			return true
		}
	}
	return false
}

// tidying is a context for what a commit has to be followed by: with a ledger, until a
// worker does it instead.
func (f Files) tidying(ctx context.Context, started time.Time) (context.Context, context.CancelFunc) {
	if f.options.Ledger == nil {
		return tidying(ctx)
	}
	return f.options.Ledger.Tidying(ctx, started)
}

// Rollback removes what was stored. After Commit it does nothing.
func (f Files) Rollback(ctx context.Context) {
	ctx, cancel := tidying(ctx)
	defer cancel()
	f.report(ctx, f.txn.Rollback(ctx))
}

func (f Files) report(ctx context.Context, err error) {
	if err != nil && f.options.TidyFailed != nil {
		f.options.TidyFailed(ctx, err)
	}
}

type scopeKey struct{}

// scope is the transaction a context carries.
type scope struct {
	owner, tx  any
	outer      *scope // of another database
	exec       ledger.Exec
	savepoints atomic.Int64
}

func scopeFrom(ctx context.Context) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

// in returns the transaction of a database, or nil.
func (s *scope) in(owner any) any {
	for ; s != nil; s = s.outer {
		if s.owner == owner {
			return s.tx
		}
	}
	return nil
}

// Savepoint runs work as a part of the innermost transaction ctx carries that can
// fail alone: if work returns an error or panics, what it did to the database and
// to files is undone, and the transaction can go on. ErrConfig outside one.
func Savepoint(ctx context.Context, work func(ctx context.Context) error) error {
	s := scopeFrom(ctx)
	if s == nil {
		return &core.Error{Kind: core.ErrConfig, Op: "savepoint", Advice: "call Savepoint with the context that Run or Begin gave"}
	}
	name := fmt.Sprintf("filefield_%d", s.savepoints.Add(1))
	if _, err := s.exec(ctx, "SAVEPOINT "+name); err != nil {
		return err
	}
	inner, txn := core.Begin(ctx)
	done := false
	undo := func() error {
		if done {
			return nil
		}
		done = true
		tidy, cancel := tidying(ctx)
		defer cancel()
		// A cancelled transaction is over, and its savepoints with it.
		_, err := s.exec(tidy, "ROLLBACK TO SAVEPOINT "+name)
		return errors.Join(err, txn.Rollback(tidy))
	}
	defer undo() //nolint:errcheck // only after a panic is there anything left to do
	if err := work(inner); err != nil {
		if failed := undo(); failed != nil && ctx.Err() == nil {
			return errors.Join(err, failed)
		}
		return err
	}
	if _, err := s.exec(ctx, "RELEASE SAVEPOINT "+name); err != nil {
		return errors.Join(err, undo())
	}
	done = true
	return txn.Commit(ctx)
}
