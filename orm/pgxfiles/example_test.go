package pgxfiles_test

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/pgxfiles"
	"github.com/filefield/filefield/sqltxn"
)

var avatars *core.Field // declared with Store.Field

type Avatar struct{}

func (Avatar) FileField() *core.Field { return avatars }

// The row's file goes when the transaction has committed.
func ExampleRun() {
	deleteProfile := func(ctx context.Context, pool *pgxpool.Pool, id int64) error {
		return pgxfiles.Run(ctx, pool, sqltxn.Options{Attempts: 3}, func(ctx context.Context, tx pgx.Tx) error {
			var old fieldtype.File[Avatar]
			if err := tx.QueryRow(ctx, "DELETE FROM profiles WHERE id = $1 RETURNING avatar", id).Scan(&old); err != nil {
				return err
			}
			return old.Delete(ctx)
		})
	}
	_ = deleteProfile
}
