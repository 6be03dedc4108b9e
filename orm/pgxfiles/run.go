package pgxfiles

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"

	"github.com/filefield/filefield/sqltxn"
)

// DB is a *pgxpool.Pool or a *pgx.Conn.
type DB interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Run is sqltxn.Run for pgx: work runs in a transaction of the database and of
// files. Inside another Run of the same db it is a savepoint; sqltxn.Savepoint
// makes one, too. Do not end tx. A savepoint of pgx's own (tx.Begin) knows nothing
// of files.
func Run(ctx context.Context, db DB, options sqltxn.Options, work func(ctx context.Context, tx pgx.Tx) error) error {
	conn := sqltxn.Conn[pgx.Tx]{
		Owner:    db,
		Begin:    func(ctx context.Context) (pgx.Tx, error) { return db.BeginTx(ctx, txOptions(options.Tx)) },
		Commit:   func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
		Rollback: func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) },
		Exec: func(ctx context.Context, tx pgx.Tx, query string, args ...any) (int64, error) {
			tag, err := tx.Exec(ctx, query, args...)
			return tag.RowsAffected(), err
		},
	}
	return sqltxn.Over(ctx, conn, options, work)
}

// txOptions says in pgx's words what database/sql's options say. PostgreSQL
// refuses a level it does not know.
func txOptions(o *sql.TxOptions) (options pgx.TxOptions) {
	if o == nil {
		return options
	}
	switch o.Isolation {
	case sql.LevelDefault:
	case sql.LevelReadUncommitted:
		options.IsoLevel = pgx.ReadUncommitted
	case sql.LevelReadCommitted:
		options.IsoLevel = pgx.ReadCommitted
	case sql.LevelRepeatableRead, sql.LevelSnapshot:
		options.IsoLevel = pgx.RepeatableRead
	case sql.LevelSerializable:
		options.IsoLevel = pgx.Serializable
	default:
		options.IsoLevel = pgx.TxIsoLevel(o.Isolation.String())
	}
	if o.ReadOnly {
		options.AccessMode = pgx.ReadOnly
	}
	return options
}
