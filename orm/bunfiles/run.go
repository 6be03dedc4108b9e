package bunfiles

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/filefield/filefield/sqltxn"
)

type txKey struct{}

// Run is sqltxn.Run for bun: work runs in a transaction of the database and of
// files. Inside another Run of the same db it is a savepoint, as sqltxn.Savepoint
// makes. bun's own savepoints (tx.RunInTx, tx.BeginTx) are seen by the Hook: what was
// to go in one that is undone stays. A file that was saved in it stays, too, for the
// sweep, since bun hands the whole transaction's context on: sqltxn.Savepoint undoes
// that as well. Do not end tx.
func Run(ctx context.Context, db *bun.DB, options sqltxn.Options, work func(ctx context.Context, tx bun.Tx) error) error {
	conn := sqltxn.Conn[*running]{
		Owner: db.DB,
		Begin: func(ctx context.Context) (*running, error) {
			r := &running{}
			var err error
			// tx.RunInTx and tx.Begin go on with this context.
			r.tx, err = db.BeginTx(context.WithValue(ctx, txKey{}, r), options.Tx)
			return r, err
		},
		Commit:   func(_ context.Context, r *running) error { return r.tx.Commit() },
		Rollback: func(_ context.Context, r *running) error { return r.tx.Rollback() },
		Exec: func(ctx context.Context, r *running, query string, args ...any) (int64, error) {
			result, err := r.tx.Tx.ExecContext(ctx, query, args...)
			if err != nil {
				return 0, err
			}
			return result.RowsAffected()
		},
	}
	return sqltxn.Over(ctx, conn, options, func(ctx context.Context, r *running) error {
		if err := work(context.WithValue(ctx, txKey{}, r), r.tx); err != nil {
			return err
		}
		return r.finish()
	})
}
