package databases_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/gormfiles"
	"github.com/filefield/filefield/sqltxn"
)

// eachGORM runs a test with GORM and its plugin on each database, where the
// statements are used as GORM's users use them.
func eachGORM(t *testing.T, test func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string)) {
	t.Helper()
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		failed := func(_ context.Context, err error) { t.Errorf("files could not be tidied up: %v", err) }
		test(t, ctx, gormDB(t, tb.d, gormfiles.Config{TidyFailed: failed}).WithContext(ctx), tb, folder)
	})
}

func mustGORM(t testing.TB, db *gorm.DB) {
	t.Helper()
	if db.Error != nil {
		t.Fatal(db.Error)
	}
}

func TestGORMRemovesTheNewFileOfAStatementThatFails(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		taken := profile{Name: "taken", Avatar: avatar(ctx, t, "first")}
		mustGORM(t, db.Create(&taken))
		p := profile{Name: "other", Avatar: avatar(ctx, t, "second")}
		mustGORM(t, db.Create(&p))
		for name, statement := range map[string]func() error{
			"create": func() error {
				return db.Create(&profile{Name: "taken", Avatar: avatar(ctx, t, "third")}).Error
			},
			"create of a row with a file that another row has": func() error {
				return db.Create(&profile{Name: "taken", Avatar: p.Avatar}).Error
			},
			"update": func() error {
				return db.Model(&profile{ID: p.ID}).Updates(profile{Name: "taken", Avatar: avatar(ctx, t, "third")}).Error
			},
			"update by a map": func() error {
				return db.Model(&profile{}).Where("id = ?", p.ID).Updates(map[string]any{"name": "taken", "avatar": avatar(ctx, t, "third")}).Error
			},
			"save": func() error {
				changed := p
				changed.Name = "taken"
				return db.Save(&changed).Error
			},
			"create in a transaction": func() error {
				return db.Transaction(func(tx *gorm.DB) error {
					return tx.Create(&profile{Name: "taken", Avatar: avatar(ctx, t, "third")}).Error
				})
			},
		} {
			if err := statement(); err == nil {
				t.Errorf("%s: no error", name)
			}
			if got, want := left(t, folder), append(keys(taken), keys(p)...); len(got) != len(want) {
				t.Errorf("%s: the bucket holds %q, want %q", name, got, want)
			}
		}
	})
}

func TestGORMRemovesReplacedAndDeletedFilesAfterSuccess(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		create := func(name string) profile {
			p := profile{Name: name, Avatar: avatar(ctx, t, name)}
			mustGORM(t, db.Create(&p))
			return p
		}
		p, other, third := create("one"), create("two"), create("three")
		now := func() []string {
			var list []profile
			mustGORM(t, db.Find(&list))
			var all []string
			for _, p := range list {
				all = append(all, keys(p)...)
			}
			return all
		}
		for _, step := range []struct {
			name  string
			files int
			do    func() *gorm.DB
		}{
			{"one column", 3, func() *gorm.DB { return db.Model(&p).Update("avatar", avatar(ctx, t, "new")) }},
			{"one column, by the name of the field", 3, func() *gorm.DB { return db.Model(&p).Update("Avatar", avatar(ctx, t, "new")) }},
			{"another column", 3, func() *gorm.DB { return db.Model(&p).Update("name", "uno") }},
			{"without hooks", 3, func() *gorm.DB { return db.Model(&p).UpdateColumn("avatar", avatar(ctx, t, "new")) }},
			{"selected columns", 3, func() *gorm.DB {
				return db.Model(&p).Select("name").Updates(profile{Name: "one", Avatar: other.Avatar})
			}},
			{"to NULL", 2, func() *gorm.DB { return db.Model(&p).Update("avatar", nil) }},
			{"save", 3, func() *gorm.DB { p.Avatar = avatar(ctx, t, "new"); return db.Save(&p) }},
			{"by an expression", 2, func() *gorm.DB { return db.Model(&p).Update("avatar", gorm.Expr("NULL")) }},
			{"save again", 3, func() *gorm.DB { p.Avatar = avatar(ctx, t, "new"); return db.Save(&p) }},
			{"rows by a condition", 1, func() *gorm.DB {
				return db.Model(&profile{}).Where("name IN ?", []string{"two", "three"}).Update("avatar", nil)
			}},
			{"no row", 1, func() *gorm.DB { return db.Where("name = ?", "nobody").Delete(&profile{}) }},
			{"delete", 0, func() *gorm.DB { return db.Delete(&p) }},
			{"many rows", 0, func() *gorm.DB { return db.Delete([]profile{other, third}) }},
		} {
			mustGORM(t, step.do())
			want := now()
			if len(want) != step.files {
				t.Errorf("%s: the rows have %q, want %d files", step.name, want, step.files)
			}
			got := left(t, folder)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: the bucket holds %q, want %q", step.name, got, want)
			}
		}
	})
}

// A struct that was read before another request replaced the file would have the
// row point at nothing.
func TestGORMRefusesAStructWhoseFileIsGone(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		p := profile{Name: "one", Avatar: avatar(ctx, t, "first")}
		mustGORM(t, db.Create(&p))
		stale := p
		mustGORM(t, db.Model(&p).Update("avatar", avatar(ctx, t, "second")))
		if err := db.Save(&stale).Error; !errors.Is(err, core.ErrPrecondition) {
			t.Errorf("to save it gives %v, want a failed precondition", err)
		}
		var now profile
		mustGORM(t, db.First(&now, p.ID))
		if err := now.Avatar.Stat(ctx); err != nil {
			t.Errorf("the row's file: %v", err)
		}
		wantLeft(t, folder, now.Avatar.Key().String())
		// A file that another row has is there.
		other := profile{Name: "two", Avatar: avatar(ctx, t, "third")}
		mustGORM(t, db.Create(&other))
		mustGORM(t, db.Model(&now).Update("avatar", other.Avatar))
	})
}

func TestGORMTransactionsAndSavepointsHoldFiles(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		p := profile{Name: "row", Avatar: avatar(ctx, t, "old")}
		mustGORM(t, db.Create(&p))
		replace := func(tx *gorm.DB, content string) error {
			return tx.Model(&profile{ID: p.ID}).Update("avatar", avatar(ctx, t, content)).Error
		}
		err := db.Transaction(func(tx *gorm.DB) error { return errors.Join(replace(tx, "rolled back"), errWanted) })
		if !errors.Is(err, errWanted) {
			t.Fatal(err)
		}
		wantLeft(t, folder, keys(p)...)
		err = db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Transaction(func(tx *gorm.DB) error { return errors.Join(replace(tx, "undone"), errWanted) }); !errors.Is(err, errWanted) {
				return err
			}
			wantLeft(t, folder, keys(p)...)
			err := tx.Transaction(func(tx *gorm.DB) error {
				return tx.Create(&profile{Name: "inner", Avatar: avatar(ctx, t, "inner")}).Error
			})
			if err != nil {
				return err
			}
			return replace(tx, "kept")
		})
		if err != nil {
			t.Fatal(err)
		}
		var list []profile
		mustGORM(t, db.Order("id").Find(&list))
		if len(list) != 2 || content(t, list[0].Avatar) != "kept" || content(t, list[1].Avatar) != "inner" {
			t.Fatalf("the rows are %+v", list)
		}
		wantLeft(t, folder, append(keys(list[0]), keys(list[1])...)...)

		tx := db.Begin() // by hand
		mustGORM(t, tx.Delete(&list[0]))
		mustGORM(t, tx.SavePoint("here"))
		mustGORM(t, tx.Delete(&list[1]))
		mustGORM(t, tx.RollbackTo("here"))
		mustGORM(t, tx.Commit())
		wantLeft(t, folder, keys(list[1])...)
	})
}

// soft is a model whose deleted rows stay.
type soft struct {
	ID        uint
	Avatar    fieldtype.File[media.Avatar] `gorm:"type:json"`
	DeletedAt gorm.DeletedAt
}

func TestO6GORMKeepsTheFilesOfSoftDeletedRows(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		if err := db.AutoMigrate(&soft{}); err != nil {
			t.Fatal(err)
		}
		row := soft{Avatar: avatar(ctx, t, "soft")}
		mustGORM(t, db.Create(&row))
		mustGORM(t, db.Delete(&row))
		wantLeft(t, folder, row.Avatar.Key().String())
		var back soft
		mustGORM(t, db.Unscoped().First(&back, row.ID))
		if !back.DeletedAt.Valid || content(t, back.Avatar) != "soft" {
			t.Errorf("the row is %+v", back)
		}
		mustGORM(t, db.Unscoped().Delete(&row))
		wantLeft(t, folder)
	})
}

func TestGORMMigrationsGiveAProperColumn(t *testing.T) {
	type plain struct {
		ID     uint
		Avatar fieldtype.File[media.Avatar]
		Extra  fieldtype.Files[media.Extra]
	}
	type typed struct {
		ID     uint
		Avatar fieldtype.File[media.Avatar] `gorm:"type:jsonb"`
	}
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, _ string) {
		models := []any{&plain{}}
		if tb.d.Kind == dbtest.PostgreSQL {
			models = append(models, &typed{})
		}
		for _, model := range models {
			for range 2 { // the second migration finds nothing to do
				if err := db.AutoMigrate(model); err != nil {
					t.Fatal(err)
				}
			}
			columns, err := db.Migrator().ColumnTypes(model)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range columns {
				if want := map[string]string{"*databases_test.plain": "text", "*databases_test.typed": "jsonb"}[fmt.Sprintf("%T", model)]; c.Name() != "id" && !strings.EqualFold(c.DatabaseTypeName(), want) {
					t.Errorf("%T.%s is %s, want %s", model, c.Name(), c.DatabaseTypeName(), want)
				}
			}
		}
		if tb.d.Kind == dbtest.PostgreSQL {
			row := typed{Avatar: avatar(ctx, t, "jsonb")}
			mustGORM(t, db.Create(&row))
			var name string
			if err := tb.d.SQL.QueryRowContext(ctx, "SELECT avatar->>'name' FROM typeds").Scan(&name); err != nil || name != "Zoë's cat.txt" {
				t.Errorf("the database reads %q, %v", name, err)
			}
		}
	})
}

func TestGORMLeavesToTheSweepWhatItDoesNotTell(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		p := profile{Name: "raw", Avatar: avatar(ctx, t, "raw")}
		mustGORM(t, db.Create(&p))
		mustGORM(t, db.Exec("UPDATE profiles SET avatar = NULL"))
		wantLeft(t, folder, keys(p)...)
		mustGORM(t, db.Table("profiles").Where("id = ?", p.ID).Delete(nil))
		wantLeft(t, folder, keys(p)...)
	})
}

func TestGORMKeepsARequestsFileOnceItsRowIsCommitted(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		request, txn := core.Begin(ctx)
		p, unused := profile{Name: "row", Avatar: avatar(request, t, "of a row")}, avatar(request, t, "of no row")
		_ = unused
		mustGORM(t, db.WithContext(request).Create(&p))
		if err := db.WithContext(request).Create(&profile{Name: "row", Avatar: unused}).Error; err == nil {
			t.Error("a second row of the name was stored")
		}
		if n := len(left(t, folder)); n != 2 {
			t.Errorf("%d files, want 2: the handler may still use the second", n)
		}
		if err := txn.Rollback(ctx); err != nil { // the handler fails after all
			t.Fatal(err)
		}
		wantLeft(t, folder, keys(p)...)
	})
}

func TestGORMTransactionTriesAgain(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		tries, p := 0, profile{}
		err := gormfiles.Transaction(ctx, db, sqltxn.Options{Attempts: 3, Retry: func(err error) bool { return errors.Is(err, errWanted) }},
			func(ctx context.Context, tx *gorm.DB) error {
				tries++
				p = profile{Name: "row", Avatar: avatar(ctx, t, fmt.Sprint("try ", tries))}
				if err := tx.Create(&p).Error; err != nil {
					return err
				}
				// A transaction of GORM's own in it is a savepoint.
				err := tx.Transaction(func(tx *gorm.DB) error {
					return errors.Join(tx.Create(&profile{Name: "inner", Avatar: avatar(ctx, t, "inner")}).Error, errWanted)
				})
				if tries < 3 {
					return err
				}
				return nil
			})
		if err != nil || tries != 3 {
			t.Fatalf("%d tries, %v", tries, err)
		}
		var found profile
		mustGORM(t, db.First(&found))
		if c := content(t, found.Avatar); c != "try 3" {
			t.Errorf("the file holds %q", c)
		}
		// The inner file was saved under the whole transaction's context.
		if n := len(left(t, folder)); n != 2 {
			t.Errorf("%d files, want 2", n)
		}
	})
}

func TestGORMWithALedger(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		book := openLedger(t, tb.d, 0)
		db := gormDB(t, tb.d, gormfiles.Config{Ledger: book})
		request, _, file := uploaded(ctx, t, book, "first")
		p := profile{Name: "row", Avatar: file}
		mustGORM(t, db.WithContext(request).Create(&p))
		wantEntries(t, tb.d, "committed")
		request, _, file = uploaded(ctx, t, book, "second")
		mustGORM(t, db.WithContext(request).Model(&p).Update("avatar", file))
		wantEntries(t, tb.d, "committed", "committed")
		tb.wantRow(ctx, t, folder, profile{ID: p.ID, Name: "row", Avatar: file})

		request, _, file = uploaded(ctx, t, book, "given up")
		recoverAll(t, tb.d, openStore(t))
		if err := db.WithContext(request).Model(&p).Update("avatar", file).Error; !errors.Is(err, core.ErrPrecondition) {
			t.Errorf("a row comes too late for its file: %v, want ErrPrecondition", err)
		}

		request, _, file = uploaded(ctx, t, book, "third")
		err := gormfiles.Transaction(request, db, sqltxn.Options{Ledger: book}, func(ctx context.Context, tx *gorm.DB) error {
			return tx.Model(&profile{ID: p.ID}).Update("avatar", file).Error
		})
		if err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed")
		tb.wantRow(ctx, t, folder, profile{ID: p.ID, Name: "row", Avatar: file})
	})
}

func TestGORMWithPreparedStatementsAndWithoutItsOwnTransactions(t *testing.T) {
	eachGORM(t, func(t *testing.T, ctx context.Context, db *gorm.DB, tb table, folder string) {
		for name, session := range map[string]*gorm.Session{"prepared": {PrepareStmt: true}, "no transactions": {SkipDefaultTransaction: true}} {
			db := db.Session(session)
			p := profile{Name: name, Avatar: avatar(ctx, t, "old")}
			mustGORM(t, db.Create(&p))
			if err := db.Create(&profile{Name: name, Avatar: avatar(ctx, t, "taken")}).Error; err == nil {
				t.Errorf("%s: a second row of the name was stored", name)
			}
			mustGORM(t, db.Model(&p).Update("avatar", avatar(ctx, t, "new")))
			var now profile
			mustGORM(t, db.First(&now, p.ID))
			wantLeft(t, folder, keys(now)...)
			err := db.Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Transaction(func(tx *gorm.DB) error { return tx.Delete(&p).Error }), errWanted)
			})
			if !errors.Is(err, errWanted) {
				t.Errorf("%s: %v", name, err)
			}
			wantLeft(t, folder, keys(now)...)
			mustGORM(t, db.Delete(&p))
			wantLeft(t, folder)
		}
	})
}
