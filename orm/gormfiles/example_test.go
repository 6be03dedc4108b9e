package gormfiles_test

import (
	"context"
	"io"

	"gorm.io/gorm"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/gormfiles"
	"github.com/filefield/filefield/sqltxn"
)

var avatars *core.Field // declared with Store.Field

type Avatar struct{}

func (Avatar) FileField() *core.Field { return avatars }

type Profile struct {
	ID     uint
	Name   string `gorm:"uniqueIndex"`
	Avatar fieldtype.File[Avatar]
}

// The plugin sees to the files of every statement.
func ExampleNew() {
	setAvatar := func(ctx context.Context, db *gorm.DB, id uint, file fieldtype.File[Avatar]) error {
		if err := db.Use(gormfiles.New(gormfiles.Config{})); err != nil { // once, at the start
			return err
		}
		// The row's old file goes when this has succeeded.
		return db.WithContext(ctx).Model(&Profile{ID: id}).Update("avatar", file).Error
	}
	_ = setAvatar
}

// A file that is saved in the transaction goes if that fails.
func ExampleTransaction() {
	create := func(ctx context.Context, db *gorm.DB, name string, body io.Reader) (p Profile, err error) {
		err = gormfiles.Transaction(ctx, db, sqltxn.Options{}, func(ctx context.Context, tx *gorm.DB) error {
			object, err := avatars.Save(ctx, core.Upload{Body: body, Name: name})
			if err != nil {
				return err
			}
			p = Profile{Name: name, Avatar: fieldtype.Of[Avatar](object)}
			return tx.Create(&p).Error
		})
		return p, err
	}
	_ = create
}
