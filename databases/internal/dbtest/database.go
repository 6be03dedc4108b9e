package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/filefield/filefield/internal/s3test"
)

// Kind is a database product.
type Kind string

// The databases.
const (
	SQLite     Kind = "SQLite"
	PostgreSQL Kind = "PostgreSQL"
	MariaDB    Kind = "MariaDB"
)

// Kinds returns all of them.
func Kinds() []Kind { return []Kind{SQLite, PostgreSQL, MariaDB} }

// Database is a database of one test.
type Database struct {
	// Kind is the product.
	Kind Kind
	// SQL is a pool of connections, which the test's end closes.
	SQL *sql.DB
	// Driver and DSN open another pool, as from another process.
	Driver, DSN string
}

// Main is the whole of a TestMain: it runs the tests, stops the databases and
// the S3 server, and exits.
func Main(m *testing.M, checks ...func() error) { os.Exit(Run(m, checks...)) }

// Run is Main for a TestMain that has more to do: it returns the exit code.
func Run(m *testing.M, checks ...func() error) int {
	defer postgres.stop()
	defer mariadb.stop()
	return s3test.Run(m, checks...)
}

// Open makes a database for this test, which ends with it.
func Open(t testing.TB, kind Kind) *Database {
	t.Helper()
	d := &Database{Kind: kind}
	switch kind {
	case SQLite:
		// A write transaction takes its lock at once, so that waiting for it obeys
		// busy_timeout.
		d.Driver = "sqlite"
		d.DSN = "file:" + filepath.Join(t.TempDir(), "test.sqlite") +
			"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(60000)&_pragma=foreign_keys(1)&_txlock=immediate"
	case PostgreSQL:
		dir, name := startServer(t, &postgres), fresh(t, &postgres)
		d.Driver, d.DSN = "pgx", postgresDSN(dir, name)
	case MariaDB:
		dir, name := startServer(t, &mariadb), fresh(t, &mariadb)
		d.Driver, d.DSN = "mysql", mariadbDSN(dir, name)
	default:
		t.Fatalf("dbtest: no database %q", kind)
	}
	db, err := sql.Open(d.Driver, d.DSN)
	if err != nil {
		t.Fatalf("dbtest: open %s: %v", kind, err)
	}
	db.SetMaxOpenConns(16)
	d.SQL = db
	t.Cleanup(func() { _ = db.Close() })
	return d
}

func startServer(t testing.TB, s *server) (dir string) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("dbtest: no %s: %v", s.kind, err)
	}
	return s.dir
}

// fresh makes an empty database on a server and returns its name.
func fresh(t testing.TB, s *server) string {
	t.Helper()
	name := "t" + rand.Text()[:12]
	if err := s.administer(t.Context(), "CREATE DATABASE "+s.quote(name)); err != nil {
		t.Fatalf("dbtest: make a database on %s: %v", s.kind, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.administer(ctx, fmt.Sprintf(s.drop, s.quote(name))) // the server's end takes it too
	})
	return name
}

func (s *server) administer(ctx context.Context, statement string) error {
	_, err := s.admin.ExecContext(ctx, statement)
	return err
}

// Placeholders rewrites "?" to the product's parameters.
func (k Kind) Placeholders(query string) string {
	if k != PostgreSQL {
		return query
	}
	out, n := make([]byte, 0, len(query)+8), 0
	for i := range len(query) {
		if query[i] == '?' {
			n++
			out = fmt.Appendf(out, "$%d", n)
			continue
		}
		out = append(out, query[i])
	}
	return string(out)
}
