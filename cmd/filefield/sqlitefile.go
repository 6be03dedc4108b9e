package main

import (
	"context"
	"database/sql/driver"

	"modernc.org/sqlite"
)

// sqliteFile connects to one file without the driver's name in database/sql,
// which is the whole program's.
type sqliteFile struct {
	name   string
	driver *sqlite.Driver
}

func (f *sqliteFile) Connect(context.Context) (driver.Conn, error) { return f.driver.Open(f.name) }

func (f *sqliteFile) Driver() driver.Driver { return f.driver }
