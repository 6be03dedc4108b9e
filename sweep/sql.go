package sweep

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/filefield/filefield/core"
)

// Dialect is a database's way of writing SQL.
type Dialect uint8

const (
	// SQLite quotes with "…" and takes ? for arguments. The default.
	SQLite Dialect = iota
	// Postgres quotes with "…" and takes $1.
	Postgres
	// MySQL is MariaDB's too: it quotes with `…` and takes ?.
	MySQL
)

// Querier is *sql.DB or *sql.Conn. A *sql.Tx would show the rows as they were
// when it began, before the listing.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// SQLColumn is a column that refers to files. Column is required.
type SQLColumn struct {
	// Column is "table.column" or "schema.table.column". Names consist of letters,
	// digits, _, $, - and spaces, and are quoted: they are taken as they are
	// written, also where the database would ignore case.
	Column string
	// Dialect is the database's. Default: SQLite.
	Dialect Dialect
	// KeysOnly says that the column holds bare keys and nothing else, so that
	// candidates are looked up with = and an index. Otherwise 50 candidates cost
	// one pass over the table.
	KeysOnly bool
	// Sorted says that the column also has an index in the order of bytes, so that
	// it can be read stretch by stretch, in memory that does not grow: on
	// PostgreSQL an index on (column COLLATE "C"), on MySQL one on
	// (CAST(column AS BINARY(…))), on SQLite any. Needs KeysOnly.
	Sorted bool
}

// SQL is a Source that reads a column, row by row, through database/sql. Both
// forms of fieldtype's columns are understood, in any mixture: bare keys and
// documents, and arrays of them. The table is read plainly, so that soft-deleted
// rows count. A value that is neither ends the run.
//
// db must be the primary: a replica may lag behind. Its connection must speak
// UTF-8.
func SQL(db Querier, c SQLColumn) Source {
	s := Source{Name: c.Column}
	q, err := newQueries(c)
	if err != nil {
		s.Keys = func(context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) { yield("", err) }
		}
		return s
	}
	read := func(ctx context.Context, query string, args ...any) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			enough := false
			err := q.read(ctx, db, func(key string, err error) bool {
				enough = !yield(key, err)
				return !enough
			}, query, args...)
			if err != nil && !enough {
				yield("", err)
			}
		}
	}
	s.Keys = func(ctx context.Context) iter.Seq2[string, error] { return read(ctx, q.all()) }
	if c.Sorted {
		s.Between = func(ctx context.Context, after, upto string) iter.Seq2[string, error] {
			query, args := q.between(after, upto)
			return read(ctx, query, args...)
		}
	}
	s.Refers = func(ctx context.Context, keys []string) ([]string, error) {
		query, args := q.refers(keys)
		var referred []string
		for key, err := range read(ctx, query, args...) {
			if err != nil {
				return nil, err
			}
			if slices.Contains(keys, key) { // the database may compare more loosely
				referred = append(referred, key)
			}
		}
		return referred, nil
	}
	return s
}

// queries writes the SQL for a column.
type queries struct {
	dialect       Dialect
	keysOnly      bool
	table, column string // quoted
}

func newQueries(c SQLColumn) (queries, error) {
	fault := func(format string, args ...any) (queries, error) {
		return queries{}, &core.Error{Kind: core.ErrConfig, Op: "sweep", Err: fmt.Errorf(format, args...)}
	}
	if c.Dialect > MySQL {
		return fault("the dialect of %q is unknown", c.Column)
	}
	if c.Sorted && !c.KeysOnly {
		return fault("%q is Sorted, which needs KeysOnly", c.Column)
	}
	names := strings.Split(c.Column, ".")
	if len(names) < 2 || len(names) > 3 {
		return fault("%q is not table.column or schema.table.column", c.Column)
	}
	for i, name := range names {
		if !identifier(name) {
			return fault("%q: the name %q does not consist of letters, digits, _, $, - and spaces", c.Column, name)
		}
		names[i] = c.Dialect.quote(name)
	}
	last := len(names) - 1
	// The column is named with its table: SQLite takes a quoted name alone that is
	// no column for a text, which every row would then have.
	return queries{dialect: c.Dialect, keysOnly: c.KeysOnly, table: strings.Join(names[:last], "."), column: strings.Join(names, ".")}, nil
}

// identifier says whether a name can be quoted safely everywhere.
func identifier(name string) bool {
	return name != "" && len(name) <= 128 && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_$- ", r)
	})
}

func (d Dialect) quote(name string) string {
	q := `"`
	if d == MySQL {
		q = "`"
	}
	return q + strings.ReplaceAll(name, q, q+q) + q
}

// argument is the n-th of a query, from 1.
func (d Dialect) argument(n int) string {
	if d == Postgres {
		return fmt.Sprintf("$%d", n)
	}
	return "?"
}

// text is the column as text: jsonb becomes some on PostgreSQL, and what CHAR
// pads it with goes.
func (q queries) text() string {
	if q.dialect == Postgres {
		return "CAST(" + q.column + " AS text)"
	}
	return q.column
}

// bytes makes an expression compare and sort by its bytes, as S3 does, whatever
// the column's collation.
func (q queries) bytes(expression string) string {
	switch q.dialect {
	case Postgres:
		return expression + ` COLLATE "C"`
	case MySQL:
		return "CAST(" + expression + " AS BINARY)"
	}
	return expression + " COLLATE BINARY"
}

func (q queries) all() string {
	return "SELECT " + q.text() + " FROM " + q.table + " WHERE " + q.column + " IS NOT NULL"
}

func (q queries) between(after, upto string) (query string, args []any) {
	query = q.all()
	if after != "" {
		args = append(args, after)
		query += " AND " + q.bytes(q.column) + " > " + q.bytes(q.dialect.argument(len(args)))
	}
	if upto != "" {
		args = append(args, upto)
		query += " AND " + q.bytes(q.column) + " <= " + q.bytes(q.dialect.argument(len(args)))
	}
	return query + " ORDER BY " + q.bytes(q.column), args
}

// refers finds the rows that may refer to any of the keys. It finds too many
// rather than too few: Go looks at what they hold.
func (q queries) refers(keys []string) (query string, args []any) {
	var terms []string
	for _, key := range keys {
		if q.keysOnly {
			args = append(args, key)
			terms = append(terms, q.column+" = "+q.dialect.argument(len(args)))
			continue
		}
		for _, written := range spellings(key) {
			args = append(args, "%"+likeEscape.Replace(written)+"%")
			text := q.text()
			if q.dialect == Postgres {
				text += ` COLLATE "C"`
			}
			terms = append(terms, text+" LIKE "+q.dialect.argument(len(args))+" ESCAPE '!'")
		}
	}
	return q.all() + " AND (" + strings.Join(terms, " OR ") + ")", args
}

var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// spellings are the ways a key can be written in a column: as it is, and as a JSON
// string with few or many of its characters escaped.
func spellings(key string) []string {
	all := []string{key}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(key) == nil {
		all = append(all, strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n"))
	}
	var ascii strings.Builder
	for _, r := range strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) {
		switch hi, lo := utf16.EncodeRune(r); {
		case r < utf8.RuneSelf:
			ascii.WriteRune(r)
		case hi != unicode.ReplacementChar:
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	all = append(all, ascii.String())
	slices.Sort(all)
	return slices.Compact(all)
}

// read runs a query and yields the keys of each row's value.
func (q queries) read(ctx context.Context, db Querier, yield func(string, error) bool, query string, args ...any) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text sql.NullString
		if err := rows.Scan(&text); err != nil {
			return err
		}
		keys, err := columnKeys(text.String)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if !yield(key, nil) {
				return nil
			}
		}
	}
	return rows.Err() // a connection that broke ends the loop as the last row does
}
