// Package sqltxn makes a row and its files change together: a transaction of
// database/sql and a core.Txn as one.
//
//	err := sqltxn.Run(ctx, db, sqltxn.Options{}, func(ctx context.Context, tx *sql.Tx) error {
//		var old fieldtype.File[Avatar]
//		err := tx.QueryRowContext(ctx, "SELECT avatar FROM profiles WHERE id = ? FOR UPDATE", id).Scan(&old)
//		if err != nil {
//			return err
//		}
//		if _, err := tx.ExecContext(ctx, "UPDATE profiles SET avatar = ? WHERE id = ?", p.Avatar, id); err != nil {
//			return err
//		}
//		return old.Delete(ctx) // goes when the database has committed
//	})
//
// The database commits first, then the files: what was stored stays, what was
// deleted and replaced goes. An error, a panic, a context that ends, and a refused
// commit roll both back: what was stored goes, the rest is untouched. A process
// that dies between the two leaves an object too many, never a row that points at
// nothing; Options.Ledger finds those, too.
//
// Run in a Run is a savepoint. Over does the same for any other database library;
// the packages under orm do for GORM, ent, bun and pgx.
package sqltxn
