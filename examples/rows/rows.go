// Package rows is the README's transaction: a row and its file change together.
package rows

import (
	"context"
	"database/sql"
	"io"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/sqltxn"
)

var avatars *core.Field // declared with Store.Field

// Avatar is the field as a type.
type Avatar struct{}

// FileField returns the declared field.
func (Avatar) FileField() *core.Field { return avatars }

func setAvatar(ctx context.Context, db *sql.DB, id int64, picture io.Reader) error {
	return sqltxn.Run(ctx, db, sqltxn.Options{}, func(ctx context.Context, tx *sql.Tx) error {
		var old fieldtype.File[Avatar] // on servers with FOR UPDATE
		if err := tx.QueryRowContext(ctx, "SELECT avatar FROM profiles WHERE id = ?", id).Scan(&old); err != nil {
			return err
		}
		file, err := avatars.Save(ctx, core.Upload{Body: picture, Name: "cat.png"})
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE profiles SET avatar = ? WHERE id = ?", fieldtype.Of[Avatar](file), id); err != nil {
			return err // the new picture goes again
		}
		return old.Delete(ctx) // the old one goes when the database has committed
	})
}
