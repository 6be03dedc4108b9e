package databases_test

import (
	"context"
	"errors"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/ent"
	entprofile "github.com/filefield/filefield/databases/ent/profile"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/bunfiles"
	"github.com/filefield/filefield/orm/pgxfiles"
	"github.com/filefield/filefield/sqltxn"
)

// joined begins ent's own transaction and ties files to its end.
func joined(ctx context.Context, t testing.TB, client *ent.Client) (context.Context, *ent.Tx) {
	t.Helper()
	tx, err := client.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ctx, files := sqltxn.Join(ctx, sqltxn.Options{})
	tx.OnCommit(func(next ent.Committer) ent.Committer {
		return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
			return files.Commit(ctx, nil, func(ctx context.Context) error { return next.Commit(ctx, tx) })
		})
	})
	tx.OnRollback(func(next ent.Rollbacker) ent.Rollbacker {
		return ent.RollbackFunc(func(ctx context.Context, tx *ent.Tx) error {
			defer files.Rollback(ctx)
			return next.Rollback(ctx, tx)
		})
	})
	return ctx, tx
}

func TestEntsOwnTransactionsTakeFilesAlong(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		client := entClient(entsql.OpenDB(entDialect(tb.d.Kind), tb.d.SQL))
		inner, tx := joined(ctx, t, client)
		row, err := tx.Profile.Create().SetName("row").SetAvatar(media.AvatarFile{File: avatar(inner, t, "first")}).Save(inner)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		first := row.Avatar.Key().String()

		inner, tx = joined(ctx, t, client)
		if err := tx.Profile.UpdateOneID(row.ID).SetAvatar(media.AvatarFile{File: avatar(inner, t, "second")}).Exec(inner); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wantLeft(t, folder, first)

		inner, tx = joined(ctx, t, client)
		second := avatar(inner, t, "second")
		if err := tx.Profile.Update().Where(entprofile.Name("row")).SetAvatar(media.AvatarFile{File: second}).Exec(inner); err != nil {
			t.Fatal(err)
		}
		wantLeft(t, folder, first, second.Key().String())
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		wantLeft(t, folder, second.Key().String())

		// A transaction of ent's own that no file transaction goes along with.
		alone, err := client.Tx(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := alone.Profile.UpdateOneID(row.ID).ClearAvatar().Exec(ctx); !errors.Is(err, core.ErrConfig) {
			t.Errorf("the error is %v, want ErrConfig", err)
		}
		if err := alone.Rollback(); err != nil {
			t.Fatal(err)
		}
		// A file that is gone, without a transaction: first is replaced.
		for name, err := range map[string]error{
			"update": client.Profile.UpdateOneID(row.ID).SetAvatar(row.Avatar).Exec(ctx),
			"create": client.Profile.Create().SetName("late").SetAvatar(row.Avatar).Exec(ctx),
		} {
			if !errors.Is(err, core.ErrPrecondition) {
				t.Errorf("%s: the error is %v, want ErrPrecondition", name, err)
			}
		}
		wantLeft(t, folder, second.Key().String())

		// Without a transaction the file goes with the statement.
		if n, err := client.Profile.Delete().Where(entprofile.Name("row")).Exec(ctx); n != 1 || err != nil {
			t.Fatalf("%d rows deleted, %v", n, err)
		}
		wantLeft(t, folder)
	})
}

// bunSoft is a model whose deleted rows stay, and with two columns to update alone.
type bunSoft struct {
	bun.BaseModel `bun:"table:softs"`

	ID        int64 `bun:",pk,autoincrement"`
	Name      string
	Avatar    fieldtype.File[media.Avatar] `bun:",type:text"`
	DeletedAt time.Time                    `bun:",soft_delete,nullzero"`
}

func TestBunKeepsWhatAnUpdateOfOtherColumnsAndASoftDeletionLeaveInTheRow(t *testing.T) {
	t.Parallel()
	openStore(t)
	d := dbtest.Open(t, dbtest.SQLite)
	ctx, name := folder(t)
	db := bun.NewDB(d.SQL, sqlitedialect.New())
	db = db.WithQueryHook(bunfiles.Hook{Failed: func(_ context.Context, err error) { t.Errorf("bun's hook: %v", err) }})
	if _, err := db.NewCreateTable().Model((*bunSoft)(nil)).Exec(ctx); err != nil {
		t.Fatal(err)
	}
	do := func(work func(ctx context.Context, tx bun.Tx) error) {
		t.Helper()
		if err := bunfiles.Run(ctx, db, sqltxn.Options{}, work); err != nil {
			t.Fatal(err)
		}
	}
	rows := []bunSoft{{Name: "a"}, {Name: "b"}}
	do(func(ctx context.Context, tx bun.Tx) error {
		rows[0].Avatar, rows[1].Avatar = avatar(ctx, t, "a"), avatar(ctx, t, "b")
		_, err := tx.NewInsert().Model(&rows).Exec(ctx)
		return err
	})
	a, b := rows[0].Avatar.Key().String(), rows[1].Avatar.Key().String()
	for _, step := range []struct {
		name string
		left []string
		do   func(ctx context.Context, tx bun.Tx) error
	}{
		{"another column", []string{a, b}, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewUpdate().Model(&bunSoft{ID: rows[0].ID, Name: "c"}).Column("name").WherePK().Exec(ctx)
			return err
		}},
		{"a soft deletion", []string{a, b}, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewDelete().Model(&rows[0]).WherePK().Exec(ctx)
			return err
		}},
		{"a real deletion", []string{b}, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewDelete().Model(&rows[0]).WherePK().ForceDelete().Exec(ctx)
			return err
		}},
		{"a failed update", []string{b}, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.NewUpdate().Model(&bunSoft{ID: rows[1].ID}).Set("nothing = 1").WherePK().Exec(ctx); err == nil {
				t.Error("no error")
			}
			return nil
		}},
		{"many rows", nil, func(ctx context.Context, tx bun.Tx) error {
			many := rows[1:]
			_, err := tx.NewDelete().Model(&many).WherePK().ForceDelete().Exec(ctx)
			return err
		}},
	} {
		do(step.do)
		if got := left(t, name); len(got) != len(step.left) {
			t.Errorf("%s: the bucket holds %q, want %q", step.name, got, step.left)
		}
	}
}

func TestPGXsPoolReadsAndWritesEveryColumnType(t *testing.T) {
	t.Parallel()
	openStore(t)
	d := dbtest.Open(t, dbtest.PostgreSQL)
	ctx, name := folder(t)
	pool := pgxPool(t, d)
	mustExec(t, d.SQL, "CREATE TABLE files (id INT PRIMARY KEY, a TEXT, b JSON, c JSONB, d VARCHAR(2000))")
	var file fieldtype.File[media.Avatar]
	err := pgxfiles.Run(ctx, pool, sqltxn.Options{}, func(ctx context.Context, tx pgx.Tx) error {
		file = avatar(ctx, t, "content")
		_, err := tx.Exec(ctx, "INSERT INTO files VALUES (1, $1, $1, $1, $1), (2, $2, $2, $2, $2)", file, fieldtype.File[media.Avatar]{})
		return err
	})
	if err == nil {
		t.Fatal("one parameter of four types was accepted") // PostgreSQL wants a type for $1
	}
	wantLeft(t, name)
	err = pgxfiles.Run(ctx, pool, sqltxn.Options{}, func(ctx context.Context, tx pgx.Tx) error {
		file = avatar(ctx, t, "content")
		for i, f := range []*fieldtype.File[media.Avatar]{&file, {}} {
			if _, err := tx.Exec(ctx, "INSERT INTO files VALUES ($1, $2, $3, $4, $5)", i+1, f, f, f, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got, none [4]fieldtype.File[media.Avatar]
	err = pool.QueryRow(ctx, "SELECT a, b, c, d FROM files WHERE id = 1").Scan(&got[0], &got[1], &got[2], &got[3])
	err = errors.Join(err, pool.QueryRow(ctx, "SELECT a, b, c, d FROM files WHERE id = 2").Scan(&none[0], &none[1], &none[2], &none[3]))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Key() != file.Key() || got[i].Size() != 7 || !none[i].IsZero() {
			t.Errorf("column %d has %+v and %+v", i, got[i].Object(), none[i].Object())
		}
	}
}

func TestBunsOwnSavepointsHoldWhatIsToGo(t *testing.T) {
	eachDatabase(t, func(t *testing.T, ctx context.Context, tb table, folder string) {
		mustExec(t, tb.d.SQL, "DROP TABLE profiles")
		tb.run = openBun(t, tb.d)
		p := tb.created(ctx, t, "row")
		tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
			tx := r.(bunRows).tx //nolint:forcetypeassert // openBun's
			clear := func(ctx context.Context, tx bun.Tx) error {
				_, err := tx.NewUpdate().Model(&profile{ID: p.ID}).Column("avatar").WherePK().Exec(ctx)
				return err
			}
			for name, nested := range map[string]func(ctx context.Context, tx bun.Tx) error{
				"undone": clear,
				"undone, with a released one in it": func(ctx context.Context, tx bun.Tx) error {
					return tx.RunInTx(ctx, nil, clear)
				},
				"undone, with a Savepoint in it": func(ctx context.Context, tx bun.Tx) error {
					return sqltxn.Savepoint(ctx, func(ctx context.Context) error { return clear(ctx, tx) })
				},
			} {
				err := tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
					return errors.Join(nested(ctx, tx), errWanted)
				})
				if !errors.Is(err, errWanted) {
					t.Errorf("%s: %v", name, err)
				}
			}
			return nil
		})
		tb.wantRow(ctx, t, folder, p)

		old := p
		p.Extra = p.Extra[:1]
		tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
			tx := r.(bunRows).tx //nolint:forcetypeassert // openBun's
			return tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error { return bunRows{tx}.update(ctx, &p) })
		})
		tb.wantRow(ctx, t, folder, p)
		if len(old.Extra) != 2 {
			t.Error("the list was changed")
		}
	})
}
