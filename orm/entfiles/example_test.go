package entfiles_test

import (
	"context"
	"database/sql"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema/field"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/entfiles"
	"github.com/filefield/filefield/sqltxn"
)

var avatars *core.Field // declared with Store.Field

type Avatar struct{}

func (Avatar) FileField() *core.Field { return avatars }

// AvatarFile is the plain name that ent's generator wants.
type AvatarFile struct{ fieldtype.File[Avatar] }

type Profile struct{ ent.Schema }

func (Profile) Fields() []ent.Field {
	return []ent.Field{
		field.String("avatar").GoType(AvatarFile{}).Optional().
			SchemaType(map[string]string{dialect.Postgres: "jsonb"}),
	}
}

// The generated client is made from the driver: it works in the transaction.
func ExampleRun() {
	inTransaction := func(ctx context.Context, db *sql.DB, use func(ctx context.Context, driver dialect.Driver) error) error {
		return entfiles.Run(ctx, db, dialect.Postgres, sqltxn.Options{}, func(ctx context.Context, driver dialect.Driver) error {
			return use(ctx, driver) // client := gen.NewClient(gen.Driver(driver))
		})
	}
	_ = inTransaction
}
