package databases_test

import (
	"context"
	"errors"
	"testing"

	"gorm.io/gorm"

	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/gormfiles"
	"github.com/filefield/filefield/sqltxn"
)

type person struct {
	ID      uint
	Name    string `gorm:"uniqueIndex;size:100"`
	Picture *fieldtype.File[media.Avatar]
	Papers  papers `gorm:"embedded;embeddedPrefix:papers_"`

	DeletedAt gorm.DeletedAt
	hook      func() error
}

type papers struct {
	Passport fieldtype.File[media.Avatar]
	Others   fieldtype.Files[media.Extra]
}

func (p *person) BeforeCreate(*gorm.DB) error { return p.run() }
func (p *person) AfterSave(*gorm.DB) error    { return p.run() }

func (p *person) run() error {
	if p.hook == nil {
		return nil
	}
	return p.hook()
}

func (p person) files() (keys []string) {
	if p.Picture != nil && !p.Picture.IsZero() {
		keys = append(keys, p.Picture.Key().String())
	}
	if !p.Papers.Passport.IsZero() {
		keys = append(keys, p.Papers.Passport.Key().String())
	}
	for _, f := range p.Papers.Others {
		keys = append(keys, f.Key().String())
	}
	return keys
}

// eachPerson also says that exactly the files are there that rows have, those of
// soft-deleted ones included.
func eachPerson(t *testing.T, test func(t *testing.T, ctx context.Context, db *gorm.DB, made func(ctx context.Context, name string) *person, check func(when string, rows int))) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		if err := db.AutoMigrate(&person{}); err != nil {
			t.Fatal(err)
		}
		made := func(ctx context.Context, name string) *person {
			picture := avatar(ctx, t, name)
			return &person{Name: name, Picture: &picture, Papers: papers{avatar(ctx, t, "passport"), fieldtype.Files[media.Extra]{extra(ctx, t, "a"), extra(ctx, t, "b")}}}
		}
		check := func(when string, rows int) {
			t.Helper()
			var list []person
			mustGORM(t, db.Unscoped().Find(&list))
			var want []string
			for _, p := range list {
				want = append(want, p.files()...)
			}
			if len(list) != rows {
				t.Errorf("%s: there are %d rows, want %d", when, len(list), rows)
			}
			if wantLeft(t, folder, want...); t.Failed() {
				t.Fatalf("… %s", when)
			}
		}
		test(t, ctx, db, made, check)
	})
}

func TestGORMBatchesHooksAndPanics(t *testing.T) {
	eachPerson(t, func(t *testing.T, ctx context.Context, db *gorm.DB, made func(context.Context, string) *person, check func(string, int)) {
		mustGORM(t, db.CreateInBatches([]*person{made(ctx, "a"), made(ctx, "b"), made(ctx, "c")}, 2))
		check("batches", 3)
		if err := db.CreateInBatches([]*person{made(ctx, "d"), made(ctx, "e"), made(ctx, "a")}, 2).Error; err == nil {
			t.Error("a name is there twice")
		}
		check("batches whose second fails", 3)
		for when, fails := range map[string]func() error{
			"a hook that fails": func() error { return errWanted },
			"a hook that fails after the statement": func() func() error {
				n := 0
				return func() error {
					if n++; n == 2 {
						return errWanted
					}
					return nil
				}
			}(),
		} {
			p := made(ctx, "hook")
			p.hook = fails
			if err := db.Create(p).Error; !errors.Is(err, errWanted) {
				t.Errorf("%s: %v", when, err)
			}
			if p.hook = nil; when == "a hook that fails" { // no statement, no plugin: the files are the caller's
				mustGORM(t, db.Create(p))
				mustGORM(t, db.Unscoped().Delete(p))
			}
			check(when, 3)
		}
		func() {
			defer func() { _ = recover() }()
			_ = gormfiles.Transaction(ctx, db, sqltxn.Options{}, func(ctx context.Context, tx *gorm.DB) error {
				p := made(ctx, "panic")
				p.hook = func() error { panic(errWanted) }
				return tx.Create(p).Error
			})
			t.Error("no panic")
		}()
		check("a hook that panics", 3)
	})
}

func TestGORMStatementsOfEveryKind(t *testing.T) {
	eachPerson(t, func(t *testing.T, ctx context.Context, db *gorm.DB, made func(context.Context, string) *person, check func(string, int)) {
		p, q := made(ctx, "p"), made(ctx, "q")
		mustGORM(t, db.Create(p))
		mustGORM(t, db.Create(q))
		fresh := func() *fieldtype.File[media.Avatar] { f := avatar(ctx, t, "fresh"); return &f }
		now := func() (row person) { mustGORM(t, db.Unscoped().First(&row, p.ID)); return row }

		mustGORM(t, db.Model(&person{ID: p.ID}).Updates(person{Name: "p2", Picture: fresh()}))
		check("updates of a struct", 2)
		mustGORM(t, db.Model(&person{ID: p.ID}).Updates(map[string]any{"papers_passport": *fresh(), "name": "p3"}))
		check("updates of a map", 2)
		mustGORM(t, db.Model(&person{ID: p.ID}).Select("Picture", "papers_others").Updates(person{Name: "not selected"}))
		if row := now(); row.Name != "p3" || len(row.files()) != 1 {
			t.Errorf("selected columns to nothing: %+v", row)
		}
		check("selected columns to nothing", 2)
		row := now()
		row.Picture, row.Name = fresh(), "p4"
		unused := row.Picture.Object()
		mustGORM(t, db.Omit("Picture").Save(&row))
		if now().Picture != nil && !now().Picture.IsZero() {
			t.Error("an omitted column was written")
		}
		row.Picture = fresh()
		mustGORM(t, db.Save(&row))
		if err := openStore(t).Bucket(bucketName).Delete(ctx, unused.Key); err != nil { // it was the caller's
			t.Error(err)
		}
		check("save", 2)
		mustGORM(t, db.Model(&person{}).Where("1 = 1").Updates(map[string]any{"papers_others": nil}))
		check("all rows", 2)
		mustGORM(t, db.Model(&person{}).Where("name = ?", "p4").Limit(1).UpdateColumns(map[string]any{"picture": *fresh()}))
		check("columns without hooks", 2)

		mustGORM(t, db.Delete(&person{}, p.ID))
		check("soft deletion", 2)
		mustGORM(t, db.Unscoped().Model(&person{}).Where("id = ?", p.ID).Update("deleted_at", nil))
		var back person
		mustGORM(t, db.First(&back, p.ID))
		if content(t, *back.Picture) != "fresh" {
			t.Error("restored, the file is another")
		}
		mustGORM(t, db.Delete(&back))
		mustGORM(t, db.Unscoped().Where("deleted_at IS NOT NULL").Delete(&person{}))
		check("purge of the soft-deleted", 1)

		var made1 person
		mustGORM(t, db.Where(person{Name: "q"}).Assign(person{Picture: fresh()}).FirstOrCreate(&made1))
		check("first or create, of one that is there", 1)
		mustGORM(t, db.Where(person{Name: "r"}).Attrs(person{Picture: fresh()}).FirstOrCreate(&person{}))
		check("first or create", 2)
		mustGORM(t, db.Session(&gorm.Session{AllowGlobalUpdate: true}).Unscoped().Delete(&person{}))
		check("everything", 0)
	})
}
