// Package schema is what ent generates from.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema/field"

	"github.com/filefield/filefield/databases/media"
)

// Profile is a row with one file and a list of files.
type Profile struct{ ent.Schema }

// Fields are the columns.
func (Profile) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.String("name").Unique().NotEmpty(),
		field.String("avatar").GoType(media.AvatarFile{}).Optional().
			SchemaType(map[string]string{dialect.Postgres: "jsonb", dialect.MySQL: "text", dialect.SQLite: "text"}),
		field.String("extra").GoType(media.ExtraFiles{}).Optional().
			SchemaType(map[string]string{dialect.Postgres: "text", dialect.MySQL: "mediumtext", dialect.SQLite: "text"}),
	}
}
