package databases_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/gormfiles"
	"github.com/filefield/filefield/sqltxn"
)

// legacy is a table as Django makes it, with keys in a VARCHAR(100).
type legacy struct {
	ID     int64
	Avatar fieldtype.File[media.Avatar] `gorm:"size:100"`
}

// TableName is for GORM.
func (legacy) TableName() string { return "django_profile" }

func TestATableOfDjangosIsReadReplacedAndDeleted(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		mustExec(t, tb.d.SQL, "CREATE TABLE django_profile (id BIGINT PRIMARY KEY, avatar VARCHAR(500) NOT NULL)")
		names := []string{folder + "/2026-11-22/cat.png", folder + "/2026-11-22/Zoë's cät 1.png", folder + "/2026-11-22/a+b&c.png"}
		for i, name := range names {
			if _, err := openStore(t).Bucket(bucketName).Save(ctx, name, core.Upload{Body: strings.NewReader(name)}); err != nil {
				t.Fatal(err)
			}
			mustExec(t, tb.d.SQL, tb.d.Kind.Placeholders("INSERT INTO django_profile (id, avatar) VALUES (?, ?)"), i+1, name)
		}
		db := gormDB(t, tb.d, gormfiles.Config{}).WithContext(ctx)
		var rows []legacy
		mustGORM(t, db.Order("id").Find(&rows))
		for i, row := range rows {
			link, err := row.Avatar.URL(ctx)
			if got := content(t, row.Avatar); got != names[i] || err != nil || link == "" {
				t.Errorf("row %d reads %q at %q, %v", row.ID, got, link, err)
			}
		}
		// By GORM, and by database/sql.
		replacement := avatar(ctx, t, "new")
		mustGORM(t, db.Model(&rows[0]).Update("avatar", replacement))
		wantLeft(t, folder, names[1], names[2], replacement.Key().String())
		err := sqltxn.Run(ctx, tb.d.SQL, sqltxn.Options{}, func(ctx context.Context, tx *sql.Tx) error {
			var old fieldtype.File[media.Avatar]
			if err := tx.QueryRowContext(ctx, "SELECT avatar FROM django_profile WHERE id = 2").Scan(&old); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM django_profile WHERE id = 2"); err != nil {
				return err
			}
			return old.Delete(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		mustGORM(t, db.Delete(&rows[2]))
		wantLeft(t, folder, replacement.Key().String())
	})
}
