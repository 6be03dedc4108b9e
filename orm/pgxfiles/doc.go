// Package pgxfiles runs pgx transactions and their files as one: sqltxn for pgx
// without database/sql.
//
//	err := pgxfiles.Run(ctx, pool, sqltxn.Options{Attempts: 3}, func(ctx context.Context, tx pgx.Tx) error {
//		object, err := avatars.Save(ctx, core.Upload{Body: body, Name: "cat.png"})
//		if err != nil {
//			return err
//		}
//		_, err = tx.Exec(ctx, "INSERT INTO profiles (avatar) VALUES ($1)", fieldtype.Of[Avatar](object))
//		return err
//	})
//
// pgx reads and writes fieldtype.File and Files as they are, in columns of type
// text, json and jsonb. A ledger needs a pool of database/sql beside it: see
// stdlib.OpenDBFromPool.
package pgxfiles
