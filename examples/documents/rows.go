package documents

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/filefield/filefield/core"
)

const schema = `
CREATE TABLE IF NOT EXISTS documents (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	title   TEXT NOT NULL UNIQUE,
	file    TEXT NOT NULL,
	cover   TEXT,
	extra   TEXT,
	version INTEGER NOT NULL DEFAULT 1
)`

const columns = "id, title, file, cover, extra, version"

// Rows is the table of documents in an SQLite file. Safe for concurrent use.
type Rows struct{ db *sql.DB }

// OpenRows opens the SQLite file in dir, which is made when missing, and brings
// its schema up to date. Close it at the end.
func OpenRows(ctx context.Context, dir string) (*Rows, error) {
	if os.Getenv("DATABASE_URL") != "" {
		return nil, errors.New("DATABASE_URL is set, but this app keeps its rows in SQLite only: unset it")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // whoever starts the app says where its data is
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	// A write transaction takes its lock at once (immediate), so that waiting for
	// it obeys busy_timeout.
	path := filepath.Join(dir, "documents.sqlite")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; waiting for it here is the cheapest place
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("bring %s up to date: %w", path, err), db.Close())
	}
	return &Rows{db: db}, nil
}

// Close closes the file.
func (t *Rows) Close() error { return t.db.Close() }

// Insert stores a new document and sets its ID.
func (t *Rows) Insert(ctx context.Context, d *Document) error {
	return t.write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx,
			"INSERT INTO documents (title, file, cover, extra) VALUES (?, ?, ?, ?) RETURNING id, version",
			d.Title, d.File, d.Cover, d.Extra).Scan(&d.ID, &d.version)
	})
}

// Update stores a changed document. If someone else changed or deleted it since
// it was read, nothing is stored and the error is ErrPrecondition: writing now
// could bring back a file that the other change has removed.
func (t *Rows) Update(ctx context.Context, d *Document) error {
	err := t.write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx,
			"UPDATE documents SET title = ?, file = ?, cover = ?, extra = ?, version = version + 1 WHERE id = ? AND version = ? RETURNING version",
			d.Title, d.File, d.Cover, d.Extra, d.ID, d.version).Scan(&d.version)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return &core.Error{Kind: core.ErrPrecondition, Op: "update document", Detail: "The document was changed meanwhile. Load it again."}
	}
	return err
}

// Delete removes a document, and its files once the row is gone.
func (t *Rows) Delete(ctx context.Context, id int64) error {
	return notFound(t.write(ctx, func(tx *sql.Tx) error {
		var d Document
		if err := d.scan(tx.QueryRowContext(ctx, "DELETE FROM documents WHERE id = ? RETURNING "+columns, id)); err != nil {
			return err
		}
		return d.DeleteFiles(ctx, Form{})
	}))
}

// Get returns one document.
func (t *Rows) Get(ctx context.Context, id int64) (d Document, err error) {
	err = d.scan(t.db.QueryRowContext(ctx, "SELECT "+columns+" FROM documents WHERE id = ?", id))
	return d, notFound(err)
}

// List returns up to limit documents in the order of their ids, starting behind
// after, and the id to go on behind, or nil at the end.
func (t *Rows) List(ctx context.Context, after int64, limit int) (list []Document, next *int64, err error) {
	// One more than asked for tells whether there is a next page.
	rows, err := t.db.QueryContext(ctx, "SELECT "+columns+" FROM documents WHERE id > ? ORDER BY id LIMIT ?", after, limit+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list documents: %w", err)
	}
	defer rows.Close()
	list = []Document{}
	for rows.Next() {
		var d Document
		if err := d.scan(rows); err != nil {
			return nil, nil, fmt.Errorf("list documents: %w", err)
		}
		list = append(list, d)
	}
	if len(list) > limit {
		list = list[:limit]
		next = &list[limit-1].ID
	}
	return list, next, rows.Err()
}

func (d *Document) scan(row interface{ Scan(...any) error }) error {
	return row.Scan(&d.ID, &d.Title, &d.File, &d.Cover, &d.Extra, &d.version)
}

// write runs do in a transaction and, once that is committed, commits the
// request's files: from then on they stay, whatever else fails, so that a row
// never points at nothing. Without a transaction, a request that is cancelled
// just when its statement ends could report a failure and leave the row.
func (t *Rows) write(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer tx.Rollback() // does nothing after Commit
	if err := do(tx); err != nil {
		return titleTaken(err)
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if err := core.Commit(context.WithoutCancel(ctx)); err != nil {
		// The row is as it should be; at worst an object stays that no row names.
		slog.ErrorContext(ctx, "files of a row could not be tidied up", "error", err)
	}
	return nil
}

// titleTaken turns the database's refusal of a second equal title into a 409.
func titleTaken(err error) error {
	var refused *sqlite.Error
	if errors.As(err, &refused) && refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		return &core.Error{Kind: core.ErrTaken, Op: "store document", Field: "title", Detail: "Document with this Title already exists."}
	}
	return err
}

func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return &core.Error{Kind: core.ErrNotFound, Op: "read document", Detail: "There is no such document."}
	}
	return err
}
