// Package entfiles has ent change rows and their files together.
//
// The schema gives the field a plain name, which ent's generator wants:
//
//	type AvatarFile struct{ fieldtype.File[Avatar] }
//
//	field.String("avatar").GoType(AvatarFile{}).Optional()
//
// A hook removes the files that updates and deletions leave behind, and Run runs
// ent in a transaction of the database and of files:
//
//	client.Profile.Use(entfiles.Hook(func(ctx context.Context, m *ent.ProfileMutation, ids []int64) (any, error) {
//		return m.Client().Profile.Query().Where(profile.IDIn(ids...)).ForUpdate().All(ctx)
//	}))
//
//	err := entfiles.Run(ctx, db, dialect.Postgres, sqltxn.Options{}, func(ctx context.Context, driver dialect.Driver) error {
//		client := ent.NewClient(ent.Driver(driver)) // and its hooks
//		return client.Profile.UpdateOneID(id).SetAvatar(file).Exec(ctx)
//	})
//
// Where the app uses ent's own client.Tx, sqltxn.Join with tx.OnCommit and
// tx.OnRollback does the same. Cascades and raw SQL pass ent's hooks by: what
// becomes nobody's that way is for the sweep.
package entfiles
