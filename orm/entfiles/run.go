package entfiles

import (
	"context"
	"database/sql"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/filefield/filefield/sqltxn"
)

// Run is sqltxn.Run for ent: work runs in a transaction of the database and of
// files, with a driver to make a client of. name is the dialect's name (one of
// package dialect's constants). Inside another Run of the same db it is a
// savepoint, as sqltxn.Savepoint makes.
func Run(ctx context.Context, db *sql.DB, name string, options sqltxn.Options, work func(ctx context.Context, driver dialect.Driver) error) error {
	return sqltxn.Run(ctx, db, options, func(ctx context.Context, tx *sql.Tx) error {
		return work(ctx, driver{entsql.NewDriver(name, entsql.Conn{ExecQuerier: tx})})
	})
}

// driver is a transaction as ent's driver. ent's builders begin transactions in
// it, which are parts of it.
type driver struct{ dialect.Driver }

// Tx begins nothing: dialect.Driver.
func (d driver) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }

// BeginTx begins nothing: what ent's Client.BeginTx looks for.
func (d driver) BeginTx(ctx context.Context, _ *sql.TxOptions) (dialect.Tx, error) { return d.Tx(ctx) }

// Close leaves the connection to the transaction.
func (driver) Close() error { return nil }
