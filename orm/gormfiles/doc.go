// Package gormfiles has GORM change rows and their files together.
//
//	err := db.Use(gormfiles.New(gormfiles.Config{}))
//
//	db.WithContext(ctx).Create(&p)                       // fails: the new file goes
//	db.WithContext(ctx).Model(&p).Update("avatar", file) // succeeds: the old one goes
//	db.WithContext(ctx).Delete(&p)                       // so it does here
//
//	err = gormfiles.Transaction(ctx, db, sqltxn.Options{Attempts: 3}, func(ctx context.Context, tx *gorm.DB) error {
//		object, err := avatars.Save(ctx, core.Upload{Body: body, Name: "cat.png"})
//		if err != nil {
//			return err
//		}
//		return tx.Create(&Profile{Avatar: fieldtype.Of[Avatar](object)}).Error
//	})
//
// Files go when the database has committed: after the statement, or with the
// transaction around it, be it GORM's own (db.Transaction, db.Begin, nested ones
// and savepoints too) or Transaction's. Soft deletion keeps them; Unscoped removes
// them. The column is text; `gorm:"type:jsonb"` and `gorm:"type:json"` work as well.
//
// GORM does not tell of raw SQL, of rows that the database cascades to, of what
// ON CONFLICT overwrites, of statements on a table without a model, and of other
// connections; and updates and deletions of more than Config.MaxRows rows at once
// are left alone. Objects that become nobody's that way are for the sweep.
package gormfiles
