package fieldtype

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/filefield/filefield/core"
)

// Dialect is how a database spells what MigrateColumn asks it.
type Dialect uint8

// The databases MigrateColumn knows.
const (
	SQLite Dialect = iota + 1
	PostgreSQL
	MySQL // and MariaDB
)

// Fill says where MigrateColumn learns what a bare key does not tell.
type Fill uint8

const (
	// FillNothing asks storage nothing: the document has the key, and its last
	// part as the name. The default.
	FillNothing Fill = iota
	// FillStat asks storage about each object: name, size, type, checksum and
	// dimensions as far as they are kept with it. The type of an object that another
	// program stored is what that program was told.
	FillStat
	// FillHead reads the first bytes of each object besides: its type by content
	// and, of an image, width, height and orientation.
	FillHead
)

// ColumnMigration says which column is to be brought into which form.
type ColumnMigration struct {
	// Field declares the bucket, and with Column the form. Required.
	Field *core.Field
	// Dialect is the database. Required.
	Dialect Dialect
	// Table (also "schema.table") and Column are quoted, not checked: never let a
	// client name them. Required.
	Table, Column string
	// Key is the primary key's column: one, of any type that has an order. Default "id".
	Key string
	// Fill has documents filled in from storage.
	Fill Fill
	// Batch is how many rows are read, and written in one transaction. Default 500.
	Batch int
	// Parallel is how many objects are asked about at once. Default 8.
	Parallel int
	// After is the primary key after which to go on: Last of a run that broke off.
	After any
	// Progress, if set, hears of each batch that was written.
	Progress func(MigrationReport)
}

// MigrationReport is what a run has done so far.
type MigrationReport struct {
	// Rows is how many were read, NULL and "" left out.
	Rows int
	// Converted were written; Kept had their form already.
	Converted, Kept int
	// Missing have no object. They stay as they are.
	Missing []any
	// Refused have a value that the field cannot have written, or changed each time
	// they were to be written. They stay as they are.
	Refused []RefusedRow
	// Last is the primary key of the last row that is done.
	Last any
}

// RefusedRow is a row that could not be converted, and why.
type RefusedRow struct {
	Key any
	Err error
}

// MigrateColumn brings the values of a column into the form its field declares,
// in place: bare keys, as Django writes them, into documents, or documents into
// bare keys, which forgets what they tell besides. Lists of files are converted
// element by element. The column has to be wide enough; its type is for the app's
// migrations to change: see docs/columns.md.
//
// It may run beside traffic, since both forms are always read: a row is written
// only where it still holds what was read, and otherwise read again. It may break
// off at any time and be run again, from the start or After Last; what has its
// form already is left alone. Rows that come in meanwhile below Last were written
// by the app, in its own form.
//
// Errors: ErrConfig for a faulty description, the storage's kinds with Fill, and the
// database's own. The report is true with an error too.
func MigrateColumn(ctx context.Context, db *sql.DB, m ColumnMigration) (MigrationReport, error) {
	r := migration{ColumnMigration: m, db: db}
	if err := r.prepare(); err != nil {
		return MigrationReport{}, err
	}
	if err := r.mustNotCut(ctx); err != nil {
		return MigrationReport{}, r.failed("ask for the mode", err)
	}
	r.report.Last = m.After
	for {
		rows, err := r.read(ctx)
		if err != nil || len(rows) == 0 {
			return r.report, r.failed("read rows", err)
		}
		last := rows[len(rows)-1].key
		r.report.Rows += len(rows)
		for try := 0; len(rows) > 0; try++ {
			if rows, err = r.convert(ctx, rows, try); err != nil {
				return r.report, r.failed("convert rows", err)
			}
		}
		if r.report.Last = last; m.Progress != nil {
			m.Progress(r.report)
		}
	}
}

// maxRereads is how often a row is read again that changes while it is converted.
const maxRereads = 5

type migration struct {
	ColumnMigration
	db     *sql.DB
	report MigrationReport
	// table, column and keyColumn are quoted; value is the column as text, exact its
	// comparison byte by byte.
	table, column, keyColumn, value, exact string
}

type row struct {
	key  any
	text string
	// next is what to write, or nil.
	next    any
	missing bool
	err     error
}

func (r *migration) prepare() error {
	var faults []error
	if r.db == nil || r.Field == nil {
		faults = append(faults, errors.New("the database or the field is missing"))
	} else if err := r.Field.Fault(); err != nil {
		return err
	}
	if r.Table == "" || r.Column == "" {
		faults = append(faults, errors.New("the name of the table or the column is missing"))
	}
	if r.Dialect < SQLite || r.Dialect > MySQL {
		faults = append(faults, errors.New("the dialect is missing or unknown"))
	}
	if r.Batch < 0 || r.Parallel < 0 || r.Fill > FillHead {
		faults = append(faults, errors.New("one of Batch, Parallel and Fill is out of range"))
	}
	if len(faults) > 0 {
		return &core.Error{Kind: core.ErrConfig, Op: "migrate column", Err: errors.Join(faults...)}
	}
	if r.Key == "" {
		r.Key = "id"
	}
	if r.Batch == 0 {
		r.Batch = 500
	}
	if r.Parallel == 0 {
		r.Parallel = 8
	}
	r.table, r.column, r.keyColumn = r.quote(r.Table), r.quote(r.Column), r.quote(r.Key)
	switch r.Dialect {
	case PostgreSQL: // json has no equality, and jsonb's text is its own
		r.value = "CAST(" + r.column + " AS text)"
		r.exact = r.value + " = " + r.parameter(3)
	case MySQL: // a collation may take two keys for one
		r.value = "CONVERT(" + r.column + " USING utf8mb4)"
		r.exact = "CAST(" + r.value + " AS BINARY) = CAST(" + r.parameter(3) + " AS BINARY)"
	default:
		r.value = "CAST(" + r.column + " AS text)"
		r.exact = "CAST(" + r.column + " AS blob) = CAST(" + r.parameter(3) + " AS blob)"
	}
	return nil
}

// mustNotCut refuses a MySQL that would cut a document to a narrow column's length
// and say nothing: SQLite has no lengths, and the others refuse.
func (r *migration) mustNotCut(ctx context.Context) error {
	if r.Dialect != MySQL {
		return nil
	}
	var mode string
	if err := r.db.QueryRowContext(ctx, "SELECT @@SESSION.sql_mode").Scan(&mode); err != nil {
		return err
	}
	if strings.Contains(mode, "STRICT_ALL_TABLES") || strings.Contains(mode, "STRICT_TRANS_TABLES") {
		return nil
	}
	return &core.Error{
		Kind: core.ErrConfig, Op: "migrate column", Err: errors.New("the database is not in strict mode and cuts values that are too long"),
		Advice: "connect with sql_mode STRICT_TRANS_TABLES",
	}
}

// quote makes an identifier of a name, also of one with a schema in front.
func (r *migration) quote(name string) string {
	mark := `"`
	if r.Dialect == MySQL {
		mark = "`"
	}
	parts := strings.Split(name, ".")
	for i, part := range parts {
		parts[i] = mark + strings.ReplaceAll(part, mark, mark+mark) + mark
	}
	return strings.Join(parts, ".")
}

func (r *migration) parameter(n int) string {
	if r.Dialect == PostgreSQL {
		return fmt.Sprintf("$%d", n)
	}
	return "?"
}

// read returns the batch of rows after the last one.
func (r *migration) read(ctx context.Context) ([]row, error) {
	query := "SELECT " + r.keyColumn + ", " + r.value + " FROM " + r.table + " WHERE " + r.column + " IS NOT NULL" //nolint:gosec // names, quoted
	var args []any
	if r.report.Last != nil {
		query += " AND " + r.keyColumn + " > " + r.parameter(1)
		args = append(args, r.report.Last)
	}
	query += fmt.Sprintf(" ORDER BY %s LIMIT %d", r.keyColumn, r.Batch)
	found, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []row
	for found.Next() {
		var one row
		if err := found.Scan(&one.key, &one.text); err != nil {
			return nil, err
		}
		if b, ok := one.key.([]byte); ok { // the driver's buffer, and no parameter for a text key
			one.key = string(b)
		}
		rows = append(rows, one)
	}
	return rows, found.Err()
}

// convert brings rows into their form, and returns those that changed meanwhile,
// as they are now.
func (r *migration) convert(ctx context.Context, rows []row, try int) ([]row, error) {
	if err := r.prepareRows(ctx, rows); err != nil {
		return nil, err
	}
	changed, written, err := r.write(ctx, rows)
	if err != nil {
		return nil, err
	}
	r.report.Converted += written
	for _, one := range rows {
		switch {
		case one.err != nil:
			r.report.Refused = append(r.report.Refused, RefusedRow{Key: one.key, Err: one.err})
		case one.missing:
			r.report.Missing = append(r.report.Missing, one.key)
		case one.next == nil:
			r.report.Kept++
		}
	}
	if try == maxRereads {
		for _, one := range changed {
			r.report.Refused = append(r.report.Refused, RefusedRow{Key: one.key, Err: errors.New("the row changed each time it was to be written")})
		}
		return nil, nil
	}
	return r.again(ctx, changed)
}

// again reads rows that changed; those that are gone, or have no file any more, are
// left out.
func (r *migration) again(ctx context.Context, changed []row) (rows []row, err error) {
	query := "SELECT " + r.value + " FROM " + r.table + " WHERE " + r.keyColumn + " = " + r.parameter(1) + " AND " + r.column + " IS NOT NULL"
	for _, one := range changed {
		now := row{key: one.key}
		switch err := r.db.QueryRowContext(ctx, query, one.key).Scan(&now.text); {
		case err == nil:
			rows = append(rows, now)
		case !errors.Is(err, sql.ErrNoRows):
			return nil, err
		}
	}
	return rows, nil
}

// prepareRows decides what is to be written, several rows at once where storage is
// asked. An error is storage's: what a row is refused for stays in it.
func (r *migration) prepareRows(ctx context.Context, rows []row) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	places := make(chan struct{}, r.Parallel)
	var all sync.WaitGroup
	for i := range rows {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if ctx.Err() != nil {
				return
			}
			if err := r.prepareRow(ctx, &rows[i]); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

func (r *migration) prepareRow(ctx context.Context, one *row) error {
	bucket, form := r.Field.Bucket().Name(), r.Field.Config().Column
	if one.text == "" {
		return nil
	}
	if isOtherJSON(one.text) {
		return r.prepareList(ctx, one, bucket, form)
	}
	o, err := decodeColumn(one.text, bucket)
	if err != nil {
		one.err = err
		return nil //nolint:nilerr // it is the row's
	}
	if isDocument(one.text) == (form != core.ColumnKey) {
		return nil
	}
	if form != core.ColumnKey {
		if o, err = r.fill(ctx, o); err != nil {
			return one.unfilled(err)
		}
	}
	value, err := encodeColumn(o, form)
	if one.err = err; value != one.text {
		one.next = value
	}
	return nil
}

// prepareList is prepareRow for a list of files.
func (r *migration) prepareList(ctx context.Context, one *row, bucket string, form core.Column) error {
	list := reader[string]{from: one.text}
	objects, err := list.list(bucket)
	if one.err = err; err != nil || len(objects) == 0 {
		return nil //nolint:nilerr // it is the row's
	}
	if (form == core.ColumnKey) == (list.documents == 0) && (list.documents == 0 || list.documents == len(objects)) {
		return nil
	}
	b := []byte{'['}
	for i, o := range objects {
		if i > 0 {
			b = append(b, ',')
		}
		if form == core.ColumnKey {
			b = appendQuoted(b, o.Key.String())
			continue
		}
		if o.Size == 0 && o.Type == "" { // a bare key
			if o, err = r.fill(ctx, o); err != nil {
				return one.unfilled(err)
			}
		}
		b = appendDocument(b, o)
	}
	b = append(b, ']')
	if len(b) > maxListBytes {
		one.err = errTooLong(len(b), maxListBytes)
	} else {
		one.next = string(b)
	}
	return nil
}

// unfilled notes that there is no object. Any other error ends the run: an outage
// says nothing about a row.
func (one *row) unfilled(err error) error {
	if core.KindOf(err) != core.ErrNotFound {
		return err
	}
	one.missing = true
	return nil
}

// fill asks storage about an object.
func (r *migration) fill(ctx context.Context, o core.Object) (core.Object, error) {
	if r.Fill == FillNothing {
		return o, nil
	}
	known, err := r.Field.Stat(ctx, o.Key)
	if err != nil || r.Fill == FillStat || known.Size == 0 {
		return known, err
	}
	return r.fillHead(ctx, known)
}

// fillHead reads an object's head, where it was not this library that did.
func (r *migration) fillHead(ctx context.Context, o core.Object) (core.Object, error) {
	if o.Width > 0 {
		return o, nil
	}
	file, err := r.Field.Open(ctx, o.Key, core.OpenOptions{})
	if err != nil {
		return o, err
	}
	defer file.Close()
	head := make([]byte, core.SniffLen)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.ErrUnexpectedEOF { //nolint:errorlint // ReadFull's own
		return o, err
	}
	o.Type = core.DetectType(head[:n])
	if image, ok := core.ReadImageHead(o.Type, io.MultiReader(strings.NewReader(string(head[:n])), file)); ok {
		o.Width, o.Height, o.Orientation = image.Width, image.Height, image.Orientation
	}
	return o, nil
}

// write writes the rows that are to be, in one transaction, each if it still holds
// what was read.
func (r *migration) write(ctx context.Context, rows []row) (changed []row, written int, err error) {
	if !slices.ContainsFunc(rows, func(one row) bool { return one.next != nil }) {
		return nil, 0, nil
	}
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, 0, err
	}
	defer tx.Rollback()
	query := "UPDATE " + r.table + " SET " + r.column + " = " + r.parameter(1) + " WHERE " + r.keyColumn + " = " + r.parameter(2) + " AND " + r.exact //nolint:gosec // names, quoted
	for _, one := range rows {
		if one.next == nil {
			continue
		}
		result, err := tx.ExecContext(ctx, query, one.next, one.key, one.text)
		if err != nil {
			return nil, 0, fmt.Errorf("row %v: %w", one.key, err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return nil, 0, err
		}
		if n == 0 {
			changed = append(changed, one)
		} else {
			written++
		}
	}
	return changed, written, tx.Commit()
}

// failed says what the run was at. An error of this library keeps its kind.
func (r *migration) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("migrate column %s.%s: %s after %v: %w", r.Table, r.Column, doing, r.report.Last, err)
}
