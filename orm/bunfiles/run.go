package bunfiles

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/filefield/filefield/sqltxn"
)

type txKey struct{}

// Run is sqltxn.Run for bun: work runs in a transaction of the database and of
// files. Inside another Run of the same db it is a savepoint, as sqltxn.Savepoint
// makes. Do not end tx; a transaction begun in it (tx.Begin) knows nothing of files.
func Run(ctx context.Context, db *bun.DB, options sqltxn.Options, work func(ctx context.Context, tx bun.Tx) error) error {
	conn := sqltxn.Conn[bun.Tx]{
		Owner:    db.DB,
		Begin:    func(ctx context.Context) (bun.Tx, error) { return db.BeginTx(ctx, options.Tx) },
		Commit:   func(_ context.Context, tx bun.Tx) error { return tx.Commit() },
		Rollback: func(_ context.Context, tx bun.Tx) error { return tx.Rollback() },
		Exec: func(ctx context.Context, tx bun.Tx, query string, args ...any) (int64, error) {
			result, err := tx.Tx.ExecContext(ctx, query, args...)
			if err != nil {
				return 0, err
			}
			return result.RowsAffected()
		},
	}
	return sqltxn.Over(ctx, conn, options, func(ctx context.Context, tx bun.Tx) error {
		return work(context.WithValue(ctx, txKey{}, tx), tx)
	})
}
