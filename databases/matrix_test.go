package databases_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/sqltxn"
)

// table is one database used in one way, with a folder of files.
type table struct {
	d   *dbtest.Database
	run run
}

// inTxn runs work in a transaction that has to succeed.
func (tb table) inTxn(ctx context.Context, t testing.TB, work func(ctx context.Context, r rows) error) {
	t.Helper()
	failed := func(_ context.Context, err error) { t.Errorf("files could not be tidied up: %v", err) }
	if err := tb.run(ctx, sqltxn.Options{TidyFailed: failed}, work); err != nil {
		t.Fatal(err)
	}
}

// created stores a row with a file and two in its list.
func (tb table) created(ctx context.Context, t testing.TB, name string) profile {
	t.Helper()
	p := profile{Name: name}
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		p.Avatar = avatar(ctx, t, "old content")
		p.Extra = fieldtype.Files[media.Extra]{extra(ctx, t, "one"), extra(ctx, t, "two")}
		return r.create(ctx, &p)
	})
	return p
}

func (tb table) get(ctx context.Context, t testing.TB, id int64) (p profile) {
	t.Helper()
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) (err error) {
		p, err = r.get(ctx, id)
		return err
	})
	return p
}

// wantRow fails unless the row has the files of p, and the folder nothing else.
func (tb table) wantRow(ctx context.Context, t testing.TB, folder string, p profile) {
	t.Helper()
	got := tb.get(ctx, t, p.ID)
	if got.Name != p.Name || !slices.Equal(keys(got), keys(p)) {
		t.Errorf("the row is %q %q, want %q %q", got.Name, keys(got), p.Name, keys(p))
	}
	wantLeft(t, folder, keys(p)...)
}

// TestEveryORM holds every way to use every database against one table.
func TestEveryORM(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		for _, a := range adapters() {
			if !slices.Contains(a.kinds, kind) {
				continue
			}
			t.Run(string(kind)+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				openStore(t)
				d := dbtest.Open(t, kind)
				tb := table{d, a.open(t, d)}
				for _, c := range matrix() {
					t.Run(c.name, func(t *testing.T) {
						ctx, name := folder(t)
						c.test(ctx, t, tb, name)
					})
				}
			})
		}
	}
}

type matrixCase struct {
	name string
	test func(ctx context.Context, t *testing.T, tb table, folder string)
}

func matrix() []matrixCase {
	return []matrixCase{
		{"create", testCreate},
		{"read", testRead},
		{"update keeps the files", testUpdate},
		{"replace", testReplace},
		{"clear", testClear},
		{"delete", testDelete},
		{"rollback", testRollback},
		{"constraint failure", testConstraint},
		{"NULL", testNull},
		{"list of files", testList},
		{"rows in order", testRows},
		{"savepoint", testSavepoint},
		{"a row as it was before its file was replaced", testStale},
	}
}

func testCreate(ctx context.Context, t *testing.T, tb table, folder string) {
	tb.wantRow(ctx, t, folder, tb.created(ctx, t, "created"))
}

func testRead(ctx context.Context, t *testing.T, tb table, _ string) {
	p := tb.created(ctx, t, "read")
	got := tb.get(ctx, t, p.ID).Avatar
	want := p.Avatar.Object()
	if o := got.Object(); o.Key != want.Key || o.Name != "Zoë's cat.txt" || o.Size != want.Size || o.Type != "text/plain" || o.CRC32C != want.CRC32C || o.Bucket != want.Bucket {
		t.Errorf("the column has %+v, want %+v", o, want)
	}
	if c := content(t, got); c != "old content" {
		t.Errorf("the file holds %q", c)
	}
}

func testUpdate(ctx context.Context, t *testing.T, tb table, folder string) {
	p := tb.created(ctx, t, "updated")
	p = tb.get(ctx, t, p.ID)
	p.Name = "updated again"
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error { return r.update(ctx, &p) })
	tb.wantRow(ctx, t, folder, p)
}

func testReplace(ctx context.Context, t *testing.T, tb table, folder string) {
	p := tb.created(ctx, t, "replaced")
	old := p.Avatar
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		p.Avatar = avatar(ctx, t, "new content")
		if err := r.update(ctx, &p); err != nil {
			return err
		}
		if c := content(t, old); c != "old content" {
			t.Errorf("before the commit the old file holds %q", c)
		}
		return nil
	})
	tb.wantRow(ctx, t, folder, p)
	if c := content(t, tb.get(ctx, t, p.ID).Avatar); c != "new content" {
		t.Errorf("the file holds %q", c)
	}
}

func testClear(ctx context.Context, t *testing.T, tb table, folder string) {
	p := tb.created(ctx, t, "cleared")
	p.Avatar = fieldtype.File[media.Avatar]{}
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error { return r.update(ctx, &p) })
	tb.wantRow(ctx, t, folder, p)
}

func testDelete(ctx context.Context, t *testing.T, tb table, folder string) {
	p := tb.created(ctx, t, "deleted")
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		if err := r.delete(ctx, p.ID); err != nil {
			return err
		}
		if n := len(left(t, folder)); n != 3 {
			t.Errorf("before the commit there are %d files, want 3", n)
		}
		return nil
	})
	wantLeft(t, folder)
	err := tb.run(ctx, sqltxn.Options{}, func(ctx context.Context, r rows) error {
		_, err := r.get(ctx, p.ID)
		return err
	})
	if err == nil {
		t.Error("the row is still there")
	}
}

func testRollback(ctx context.Context, t *testing.T, tb table, folder string) {
	p := tb.created(ctx, t, "rolled back")
	for name, work := range map[string]func(ctx context.Context, r rows) error{
		"create": func(ctx context.Context, r rows) error {
			return r.create(ctx, &profile{Name: "never", Avatar: avatar(ctx, t, "never")})
		},
		"replace": func(ctx context.Context, r rows) error {
			changed := p
			changed.Avatar, changed.Extra = avatar(ctx, t, "never"), nil
			return r.update(ctx, &changed)
		},
		"delete": func(ctx context.Context, r rows) error { return r.delete(ctx, p.ID) },
	} {
		err := tb.run(ctx, sqltxn.Options{}, func(ctx context.Context, r rows) error {
			return errors.Join(work(ctx, r), errWanted)
		})
		if !errors.Is(err, errWanted) || err.Error() != errWanted.Error() {
			t.Errorf("%s: the error is %v", name, err)
		}
		tb.wantRow(ctx, t, folder, p)
	}
}

func testConstraint(ctx context.Context, t *testing.T, tb table, folder string) {
	p, taken := tb.created(ctx, t, "has a name"), profile{Name: "taken"}
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error { return r.create(ctx, &taken) })
	err := tb.run(ctx, sqltxn.Options{}, func(ctx context.Context, r rows) error {
		return r.create(ctx, &profile{Name: "taken", Avatar: avatar(ctx, t, "second")})
	})
	if err == nil {
		t.Error("a second row of the name was stored")
	}
	err = tb.run(ctx, sqltxn.Options{}, func(ctx context.Context, r rows) error {
		changed := p
		changed.Name, changed.Avatar = "taken", avatar(ctx, t, "new")
		return r.update(ctx, &changed)
	})
	if err == nil {
		t.Error("the row got a name that is taken")
	}
	tb.wantRow(ctx, t, folder, p)
}

func testNull(ctx context.Context, t *testing.T, tb table, folder string) {
	p := profile{Name: "without"}
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error { return r.create(ctx, &p) })
	var n int
	query := tb.d.Kind.Placeholders("SELECT COUNT(*) FROM profiles WHERE id = ? AND avatar IS NULL AND extra IS NULL")
	if err := tb.d.SQL.QueryRowContext(ctx, query, p.ID).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows have NULL, %v, want 1", n, err)
	}
	tb.wantRow(ctx, t, folder, p)
	p.Avatar = avatar(ctx, t, "first")
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error { return r.update(ctx, &p) })
	tb.wantRow(ctx, t, folder, p)
}

func testList(ctx context.Context, t *testing.T, tb table, folder string) {
	p := tb.created(ctx, t, "has a list")
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		p.Extra = fieldtype.Files[media.Extra]{extra(ctx, t, "three"), p.Extra[1]}
		return r.update(ctx, &p)
	})
	tb.wantRow(ctx, t, folder, p)
	var names []string
	for _, f := range tb.get(ctx, t, p.ID).Extra {
		names = append(names, f.Name())
	}
	if got := strings.Join(names, " "); got != "three.txt two.txt" {
		t.Errorf("the list is %q", got)
	}
}

func testRows(ctx context.Context, t *testing.T, tb table, _ string) {
	for _, name := range []string{"row 1", "row 2", "row 3"} {
		tb.created(ctx, t, name)
	}
	var names []string
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		list, err := r.list(ctx)
		for _, p := range list {
			if strings.HasPrefix(p.Name, "row ") && p.Avatar.Name() == "Zoë's cat.txt" && len(p.Extra) == 2 {
				names = append(names, p.Name)
			}
		}
		return err
	})
	if got := strings.Join(names, ", "); got != "row 1, row 2, row 3" {
		t.Errorf("the rows are %q", got)
	}
}

func testSavepoint(ctx context.Context, t *testing.T, tb table, folder string) {
	p := tb.created(ctx, t, "saved")
	inner := profile{Name: "in a savepoint"}
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		err := sqltxn.Savepoint(ctx, func(ctx context.Context) error {
			changed := p
			changed.Avatar = avatar(ctx, t, "undone")
			return errors.Join(r.update(ctx, &changed), errWanted)
		})
		if !errors.Is(err, errWanted) || err.Error() != errWanted.Error() {
			t.Errorf("the savepoint's error is %v", err)
		}
		return sqltxn.Savepoint(ctx, func(ctx context.Context) error {
			inner.Avatar = avatar(ctx, t, "kept")
			return r.create(ctx, &inner)
		})
	})
	if got := tb.get(ctx, t, p.ID); !slices.Equal(keys(got), keys(p)) {
		t.Errorf("the row has %q, want %q", keys(got), keys(p))
	}
	wantLeft(t, folder, append(keys(p), keys(inner)...)...)
}

// testStale has a row point at nothing, if it may.
func testStale(ctx context.Context, t *testing.T, tb table, folder string) {
	stale := tb.created(ctx, t, "stale")
	p := stale
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		p.Avatar = avatar(ctx, t, "new content")
		return r.update(ctx, &p)
	})
	stale.Name = "stale, saved again"
	err := tb.run(ctx, sqltxn.Options{}, func(ctx context.Context, r rows) error { return r.update(ctx, &stale) })
	if !errors.Is(err, core.ErrPrecondition) && !errors.Is(err, core.ErrTxnDone) {
		t.Errorf("the error is %v", err)
	}
	tb.wantRow(ctx, t, folder, p)
}
