package databases_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) {
	if runChild() { // see crash_test.go
		return
	}
	dbtest.Main(m)
}

const bucketName = "databases"

// theStore is the store of all tests: fields are declared once.
var theStore struct {
	once  sync.Once
	store *core.Store
	err   error
}

func newStore(endpoint string, s *s3test.Server) (*core.Store, error) {
	return core.Open(core.Config{
		Endpoint: endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"the signing key of these tests"},
	})
}

func openStore(t testing.TB) *core.Store {
	t.Helper()
	s := s3test.Start(t)
	theStore.once.Do(func() {
		store, err := newStore(s.Endpoint, s)
		if err == nil {
			media.Declare(store, bucketName)
			err = store.Startup(core.StartupConfig{}).Start(context.Background())
		}
		theStore.store, theStore.err = store, err
	})
	if theStore.err != nil {
		t.Fatal(theStore.err)
	}
	return theStore.store
}

// folder returns a context under which this test's files are its own.
func folder(t testing.TB) (ctx context.Context, name string) {
	t.Helper()
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" /\\", r) {
			return '-'
		}
		return r
	}, strings.TrimPrefix(t.Name(), "Test"))
	name = name[max(0, len(name)-60):] + "-" + strings.ToLower(rand.Text()[:8]) // the test may run again
	name = strings.ToValidUTF8(name, "")
	return media.WithFolder(t.Context(), name), name
}

// left lists the keys in a test's folder.
func left(t testing.TB, name string) []string {
	t.Helper()
	var keys []string
	for o, err := range openStore(t).Bucket(bucketName).Walk(context.WithoutCancel(t.Context()), name+"/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key.String())
	}
	return keys
}

// wantLeft fails unless exactly these files are in the folder.
func wantLeft(t testing.TB, name string, want ...string) {
	t.Helper()
	got := left(t, name)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the bucket holds\n%q, want\n%q", got, want)
	}
}

func keys(p profile) []string {
	var list []string
	if !p.Avatar.IsZero() {
		list = append(list, p.Avatar.Key().String())
	}
	for _, f := range p.Extra {
		list = append(list, f.Key().String())
	}
	return list
}

// avatar stores a new file.
func avatar(ctx context.Context, t testing.TB, content string) fieldtype.File[media.Avatar] {
	t.Helper()
	o, err := media.Avatars().Save(ctx, core.Upload{Body: strings.NewReader(content), Name: "Zoë's cat.txt"})
	if err != nil {
		t.Fatal(err)
	}
	return fieldtype.Of[media.Avatar](o)
}

func extra(ctx context.Context, t testing.TB, content string) fieldtype.File[media.Extra] {
	t.Helper()
	o, err := media.Extras().Save(ctx, core.Upload{Body: strings.NewReader(content), Name: content + ".txt"})
	if err != nil {
		t.Fatal(err)
	}
	return fieldtype.Of[media.Extra](o)
}

func content(t testing.TB, f fieldtype.File[media.Avatar]) string {
	t.Helper()
	r, err := f.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ddl makes the table where no ORM does.
func ddl(kind dbtest.Kind) string {
	switch kind {
	case dbtest.PostgreSQL:
		return "CREATE TABLE profiles (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(100) NOT NULL UNIQUE, avatar JSONB, extra TEXT)"
	case dbtest.MariaDB:
		return "CREATE TABLE profiles (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL UNIQUE, avatar JSON, extra MEDIUMTEXT)"
	default:
		return "CREATE TABLE profiles (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, avatar TEXT, extra TEXT)"
	}
}

func mustExec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

var errWanted = errors.New("the work fails, as the test wants")
