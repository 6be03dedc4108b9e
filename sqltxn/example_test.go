package sqltxn_test

import (
	"context"
	"database/sql"
	"io"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/sqltxn"
)

var avatars *core.Field // declared with Store.Field

type Avatar struct{}

func (Avatar) FileField() *core.Field { return avatars }

// A profile gets another picture: the old one goes once the row has the new one.
func ExampleRun() {
	setAvatar := func(ctx context.Context, db *sql.DB, id int64, body io.Reader) error {
		options := sqltxn.Options{Attempts: 3}
		return sqltxn.Run(ctx, db, options, func(ctx context.Context, tx *sql.Tx) error {
			var old fieldtype.File[Avatar]
			err := tx.QueryRowContext(ctx, "SELECT avatar FROM profiles WHERE id = $1 FOR UPDATE", id).Scan(&old)
			if err != nil {
				return err
			}
			object, err := avatars.Save(ctx, core.Upload{Body: body, Name: "cat.png"})
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE profiles SET avatar = $1 WHERE id = $2", fieldtype.Of[Avatar](object), id); err != nil {
				return err
			}
			return old.Delete(ctx)
		})
	}
	_ = setAvatar
}

// Rows of one import fail one by one, without the others.
func ExampleSavepoint() {
	type row struct {
		name string
		body io.Reader
	}
	importAll := func(ctx context.Context, db *sql.DB, rows []row) (failed []error, err error) {
		err = sqltxn.Run(ctx, db, sqltxn.Options{}, func(ctx context.Context, tx *sql.Tx) error {
			for _, r := range rows {
				err := sqltxn.Savepoint(ctx, func(ctx context.Context) error {
					object, err := avatars.Save(ctx, core.Upload{Body: r.body, Name: r.name})
					if err != nil {
						return err
					}
					_, err = tx.ExecContext(ctx, "INSERT INTO profiles (name, avatar) VALUES ($1, $2)", r.name, fieldtype.Of[Avatar](object))
					return err
				})
				if err != nil {
					failed = append(failed, err) // its file is gone
				}
			}
			return nil
		})
		return failed, err
	}
	_ = importAll
}

// With a ledger a crash at any moment leaves nothing.
func ExampleOptions_ledger() {
	deleteProfile := func(ctx context.Context, db *sql.DB, book *ledger.Ledger, id int64) error {
		return sqltxn.Run(ctx, db, sqltxn.Options{Ledger: book}, func(ctx context.Context, tx *sql.Tx) error {
			var old fieldtype.File[Avatar]
			if err := tx.QueryRowContext(ctx, "DELETE FROM profiles WHERE id = $1 RETURNING avatar", id).Scan(&old); err != nil {
				return err
			}
			return old.Delete(ctx)
		})
	}
	_ = deleteProfile
}
