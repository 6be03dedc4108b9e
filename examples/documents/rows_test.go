package documents

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) {
	DeclareFields(core.MustOpen(core.Config{
		Endpoint: "127.0.0.1:9", AccessKey: "key", SecretKey: "secret", SigningKeys: []core.Secret{"a key of 16 bytes or more"},
	}))
	s3test.Main(m)
}

func openRows(t *testing.T, dir string) *Rows {
	t.Helper()
	rows, err := OpenRows(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	return rows
}

func newDocument(t *testing.T, title string) Document {
	t.Helper()
	key, err := core.ParseKey("2026/11/" + title + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return Document{Form: Form{Title: title, File: fieldtype.Of[FileField](core.Object{Bucket: BucketDocuments, Key: key, Name: title, Size: 3})}}
}

func TestRowsComeBackAsTheyWereStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDocument(t, "one")
	if err := openRows(t, dir).Insert(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	got, err := openRows(t, dir).Get(t.Context(), d.ID)
	if err != nil || got.Title != "one" || got.File.Key() != d.File.Key() || got.File.Size() != 3 || !got.Cover.IsZero() || got.Extra != nil {
		t.Errorf("Get = %+v, %v; want what was inserted, %+v", got, err, d)
	}
}

func TestAChangeOfWhatIsNoLongerThereIsRefused(t *testing.T) {
	t.Parallel()
	rows := openRows(t, t.TempDir())
	d := newDocument(t, "one")
	if err := rows.Insert(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	mine, theirs := d, d
	theirs.Title = "theirs"
	if err := rows.Update(t.Context(), &theirs); err != nil {
		t.Fatal(err)
	}
	mine.Title = "mine"
	if err := rows.Update(t.Context(), &mine); !errors.Is(err, core.ErrPrecondition) {
		t.Errorf("a change of an older version gives %v, want %v", err, core.ErrPrecondition)
	}
	if got, err := rows.Get(t.Context(), d.ID); err != nil || got.Title != "theirs" {
		t.Errorf("Get = %q, %v; want the title as it last was, %q", got.Title, err, "theirs")
	}
	ctx, _ := core.Begin(t.Context())
	if err := rows.Delete(ctx, d.ID); err != nil {
		t.Errorf("Delete = %v, want the row gone although the storage is down", err)
	}
	if err := rows.Update(t.Context(), &theirs); !errors.Is(err, core.ErrPrecondition) {
		t.Errorf("a change of a deleted row gives %v, want %v", err, core.ErrPrecondition)
	}
}

func TestACancelledRequestLeavesNoRow(t *testing.T) {
	t.Parallel()
	rows := openRows(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := newDocument(t, "one")
	if err := rows.Insert(ctx, &d); !errors.Is(err, context.Canceled) {
		t.Errorf("Insert = %v, want %v", err, context.Canceled)
	}
	if list, _, err := rows.List(t.Context(), 0, 10); err != nil || len(list) != 0 {
		t.Errorf("List = %v, %v; want no rows", list, err)
	}
}

func TestADatabaseURLOfAnotherKindIsRefusedRatherThanIgnored(t *testing.T) {
	for _, text := range []string{"oracle://localhost/app", "postgres://user:secret@%zz/app"} {
		t.Setenv("DATABASE_URL", text)
		_, err := OpenRows(t.Context(), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "DATABASE_URL") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: OpenRows = %v, want an error that names DATABASE_URL", text, err)
		}
	}
}
