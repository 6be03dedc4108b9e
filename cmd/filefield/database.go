package main

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/filefield/filefield/sweep"
)

// errDatabaseURL says nothing of the URL itself, which may hold a password.
var errDatabaseURL = errors.New("its URL cannot be read: it is one of postgres://…, mysql://… and sqlite:FILE")

// openDatabase opens a database by its URL. Nothing is connected yet.
//
//	postgres://user:password@host/database
//	mysql://user:password@host:3306/database
//	sqlite:/var/lib/app/app.db, or sqlite:app.db
func openDatabase(_ context.Context, text string) (*sql.DB, sweep.Dialect, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "postgres", "postgresql":
		config, err := pgx.ParseConfig(text)
		if err != nil {
			return nil, 0, errDatabaseURL
		}
		return stdlib.OpenDB(*config), sweep.Postgres, nil
	case "mysql":
		return openMySQL(text)
	case "sqlite":
		return openSQLite(strings.TrimPrefix(rest, "//"))
	}
	return nil, 0, errDatabaseURL
}

func openMySQL(text string) (*sql.DB, sweep.Dialect, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || len(u.Path) < 2 {
		return nil, 0, errDatabaseURL
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.DBName, c.User = "tcp", u.Host, u.Path[1:], u.User.Username()
	c.Passwd, _ = u.User.Password()
	if u.Port() == "" {
		c.Addr += ":3306"
	}
	c.TLSConfig = u.Query().Get("tls")
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, 0, errDatabaseURL
	}
	return sql.OpenDB(connector), sweep.MySQL, nil
}

// openSQLite opens a file that exists, for reading.
func openSQLite(file string) (*sql.DB, sweep.Dialect, error) {
	if file == "" {
		return nil, 0, errDatabaseURL
	}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}
	return sql.OpenDB(&sqliteFile{name: name.String(), driver: &sqlite.Driver{}}), sweep.SQLite, nil
}
