package bunfiles_test

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/bunfiles"
	"github.com/filefield/filefield/sqltxn"
)

var avatars *core.Field // declared with Store.Field

type Avatar struct{}

func (Avatar) FileField() *core.Field { return avatars }

type Profile struct {
	ID     int64                  `bun:",pk,autoincrement"`
	Avatar fieldtype.File[Avatar] `bun:",type:text"`
}

// The row's old file goes when the transaction has committed.
func ExampleRun() {
	setAvatar := func(ctx context.Context, db *bun.DB, p *Profile) error {
		db = db.WithQueryHook(bunfiles.Hook{}) // once, at the start
		return bunfiles.Run(ctx, db, sqltxn.Options{}, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewUpdate().Model(p).WherePK().Exec(ctx)
			return err
		})
	}
	_ = setAvatar
}
