package rows

import (
	"database/sql"
	"io"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m) }

func TestARowAndItsFileChangeTogether(t *testing.T) { //nolint:paralleltest // the field is the package's
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"the signing key of these tests"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	avatars = store.Field(core.FieldConfig{Name: "avatar", Bucket: s.Bucket(t)})
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "rows.sqlite")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE profiles (id INTEGER PRIMARY KEY, avatar TEXT CHECK (avatar NOT LIKE '%\"size\":7,%')); INSERT INTO profiles (id) VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		content, want string
		fails         bool
	}{{"first", "first", false}, {"second", "second", false}, {"refused", "second", true}} {
		if err := setAvatar(t.Context(), db, 1, strings.NewReader(c.content)); (err != nil) != c.fails {
			t.Errorf("%s: %v", c.content, err)
		}
		var now fieldtype.File[Avatar]
		if err := db.QueryRowContext(t.Context(), "SELECT avatar FROM profiles").Scan(&now); err != nil {
			t.Fatal(err)
		}
		file, err := now.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(file)
		if file.Close(); err != nil || string(got) != c.want {
			t.Errorf("after %q the row's file holds %q, %v", c.content, got, err)
		}
		objects := 0
		for _, err := range avatars.Bucket().Walk(t.Context(), "") {
			if objects++; err != nil {
				t.Fatal(err)
			}
		}
		if objects != 1 {
			t.Errorf("after %q there are %d objects, want 1", c.content, objects)
		}
	}
}
