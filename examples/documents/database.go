package documents

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is what differs between the databases the app can use.
type dialect struct {
	driver, schema string
	// lock is what a SELECT ends with that is followed by a change of its row.
	lock string
	// numbered says that parameters are $1, $2, not ?.
	numbered bool
	// returning says that INSERT can return the id it gave.
	returning bool
}

var (
	inSQLite = dialect{driver: "sqlite", returning: true, schema: `
CREATE TABLE IF NOT EXISTS documents (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	title   TEXT NOT NULL UNIQUE,
	file    TEXT NOT NULL,
	cover   TEXT,
	extra   TEXT,
	version INTEGER NOT NULL DEFAULT 1
)`}
	inPostgreSQL = dialect{driver: "pgx", returning: true, numbered: true, lock: " FOR UPDATE", schema: `
CREATE TABLE IF NOT EXISTS documents (
	id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	title   TEXT NOT NULL UNIQUE,
	file    JSONB NOT NULL,
	cover   JSONB,
	extra   JSONB,
	version BIGINT NOT NULL DEFAULT 1
)`}
	inMySQL = dialect{driver: "mysql", lock: " FOR UPDATE", schema: `
CREATE TABLE IF NOT EXISTS documents (
	id      BIGINT AUTO_INCREMENT PRIMARY KEY,
	title   VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
	file    JSON NOT NULL,
	cover   JSON,
	extra   JSON,
	version BIGINT NOT NULL DEFAULT 1
) CHARACTER SET utf8mb4`}
)

// openDatabase opens the database that DATABASE_URL names (postgres://… or
// mysql://…), or the SQLite file in dir, which is made when missing.
func openDatabase(dir string) (*sql.DB, dialect, error) {
	text := os.Getenv("DATABASE_URL")
	if text == "" {
		db, err := openSQLite(dir)
		return db, inSQLite, err
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, dialect{}, errors.New("DATABASE_URL is no URL") // it may hold a password
	}
	switch u.Scheme {
	case "postgres", "postgresql":
		db, err := sql.Open(inPostgreSQL.driver, text)
		return db, inPostgreSQL, err
	case "mysql":
		db, err := sql.Open(inMySQL.driver, mysqlDSN(u))
		return db, inMySQL, err
	}
	return nil, dialect{}, fmt.Errorf("DATABASE_URL starts with %q: it may be postgres:// or mysql://, or unset for SQLite", u.Scheme)
}

func openSQLite(dir string) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // whoever starts the app says where its data is
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	// A write transaction takes its lock at once (immediate), so that waiting for
	// it obeys busy_timeout.
	path := filepath.Join(dir, "documents.sqlite")
	db, err := sql.Open(inSQLite.driver, "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; waiting for it here is the cheapest place
	return db, nil
}

// mysqlDSN turns a URL into what the driver wants. The parameter socket names a
// Unix socket to use instead of a host.
func mysqlDSN(u *url.URL) string {
	c := mysql.NewConfig()
	c.User, c.DBName = u.User.Username(), strings.TrimPrefix(u.Path, "/")
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr = "tcp", u.Host
	if u.Port() == "" {
		c.Addr = u.Hostname() + ":3306"
	}
	if socket := u.Query().Get("socket"); socket != "" {
		c.Net, c.Addr = "unix", socket
	}
	c.Params = map[string]string{"charset": "utf8mb4"}
	return c.FormatDSN()
}

// bind numbers the parameters where the database wants that.
func (d dialect) bind(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(part)
	}
	return b.String()
}

// insert runs an INSERT and returns the id of the row.
func (d dialect) insert(ctx context.Context, tx *sql.Tx, query string, args ...any) (id int64, err error) {
	if d.returning {
		err = tx.QueryRowContext(ctx, d.bind(query+" RETURNING id"), args...).Scan(&id)
		return id, err
	}
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// isTaken says whether the database refused a value that has to be unique.
func isTaken(err error) bool {
	var inSQLite *sqlite.Error
	var inPostgreSQL *pgconn.PgError
	var inMySQL *mysql.MySQLError
	switch {
	case errors.As(err, &inSQLite):
		return inSQLite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
	case errors.As(err, &inPostgreSQL):
		return inPostgreSQL.Code == "23505"
	case errors.As(err, &inMySQL):
		return inMySQL.Number == 1062
	}
	return false
}
