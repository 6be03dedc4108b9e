package documents

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/sqltxn"
)

const columns = "id, title, file, cover, extra, version"

// Rows is the table of documents. Safe for concurrent use.
type Rows struct {
	db      *sql.DB
	dialect dialect
}

// OpenRows opens the database that DATABASE_URL names, or the SQLite file in dir,
// which is made when missing, and brings its schema up to date. Close it at the
// end.
func OpenRows(ctx context.Context, dir string) (*Rows, error) {
	db, dialect, err := openDatabase(dir)
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, dialect.schema); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the database up to date: %w", err), db.Close())
	}
	return &Rows{db, dialect}, nil
}

// Close closes the database.
func (t *Rows) Close() error { return t.db.Close() }

// Insert stores a new document and sets its ID.
func (t *Rows) Insert(ctx context.Context, d *Document) error {
	return t.write(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		d.version = 1
		d.ID, err = t.dialect.insert(ctx, tx, "INSERT INTO documents (title, file, cover, extra) VALUES (?, ?, ?, ?)",
			d.Title, d.File, d.Cover, d.Extra)
		return err
	})
}

// Update stores a changed document. If someone else changed or deleted it since
// it was read, nothing is stored and the error is ErrPrecondition: writing now
// could bring back a file that the other change has removed.
func (t *Rows) Update(ctx context.Context, d *Document) error {
	return t.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx,
			t.dialect.bind("UPDATE documents SET title = ?, file = ?, cover = ?, extra = ?, version = version + 1 WHERE id = ? AND version = ?"),
			d.Title, d.File, d.Cover, d.Extra, d.ID, d.version)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return &core.Error{Kind: core.ErrPrecondition, Op: "update document", Detail: "The document was changed meanwhile. Load it again."}
		}
		d.version++
		return nil
	})
}

// Delete removes a document, and its files once the row is gone.
func (t *Rows) Delete(ctx context.Context, id int64) error {
	return notFound(t.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var d Document
		query := t.dialect.bind("SELECT " + columns + " FROM documents WHERE id = ?" + t.dialect.lock)
		if err := d.scan(tx.QueryRowContext(ctx, query, id)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, t.dialect.bind("DELETE FROM documents WHERE id = ?"), id); err != nil {
			return err
		}
		return d.DeleteFiles(ctx, Form{})
	}))
}

// Get returns one document.
func (t *Rows) Get(ctx context.Context, id int64) (d Document, err error) {
	err = d.scan(t.db.QueryRowContext(ctx, t.dialect.bind("SELECT "+columns+" FROM documents WHERE id = ?"), id))
	return d, notFound(err)
}

// List returns up to limit documents in the order of their ids, starting behind
// after, and the id to go on behind, or nil at the end.
func (t *Rows) List(ctx context.Context, after int64, limit int) (list []Document, next *int64, err error) {
	// One more than asked for tells whether there is a next page.
	rows, err := t.db.QueryContext(ctx, t.dialect.bind("SELECT "+columns+" FROM documents WHERE id > ? ORDER BY id LIMIT ?"), after, limit+1)
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

// write runs work in a transaction of rows and files: the request's files are
// committed with the row, whatever else fails, so that a row never points at
// nothing, and what work deletes goes after that.
func (t *Rows) write(ctx context.Context, work func(context.Context, *sql.Tx) error) error {
	options := sqltxn.Options{TidyFailed: func(ctx context.Context, err error) {
		// The row is as it should be; at worst an object stays that no row names.
		slog.ErrorContext(ctx, "files of a row could not be tidied up", "error", err)
	}}
	return titleTaken(sqltxn.Run(ctx, t.db, options, work))
}

// titleTaken turns the database's refusal of a second equal title into a 409.
func titleTaken(err error) error {
	if isTaken(err) {
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
