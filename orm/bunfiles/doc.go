// Package bunfiles has bun change rows and their files together.
//
//	db = db.WithQueryHook(bunfiles.Hook{})
//
//	err := bunfiles.Run(ctx, db, sqltxn.Options{}, func(ctx context.Context, tx bun.Tx) error {
//		_, err := tx.NewUpdate().Model(&profile).WherePK().Exec(ctx) // the replaced file goes at the commit
//		return err
//	})
//
// The column is text: give the field the tag `bun:",type:text"`, or type:jsonb. A
// field that may be without a file also needs nullzero to be left out of where bun
// compares with zero values; it is NULL either way.
//
// bun does not tell of rows that a statement finds by conditions alone, of
// cascades, of what ON CONFLICT overwrites, and of raw SQL: use sqltxn.Replace
// there, or leave it to the sweep.
package bunfiles
