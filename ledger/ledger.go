package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

const (
	defaultGrace    = 24 * time.Hour
	defaultLease    = time.Minute
	defaultInterval = time.Minute
	defaultBatch    = 100
)

// Config is what a Ledger needs. DB and Dialect are required.
type Config struct {
	// DB is the database that has the rows, and so the table. What is about to be
	// written is noted on a connection of its own, never in the app's transaction:
	// a pool whose connections are all in transactions that save makes them wait.
	DB *sql.DB
	// Dialect is the SQL it speaks.
	Dialect Dialect
	// Grace is how long an object may be without a committed row: longer than
	// the longest upload and the transaction after it. Default 24 hours.
	Grace time.Duration
	// Lease is how long a process may take to remove an object before another one
	// does. Default 1 minute.
	Lease time.Duration
	// Interval is how often Work looks. Default 1 minute.
	Interval time.Duration
	// Batch is how many entries are taken at once. Default 100.
	Batch int
	// Fail hears of what Work could not do; it goes on. Default: nobody.
	Fail func(ctx context.Context, err error)
	// Now is the clock. The instances' clocks may differ by a quarter of Lease: so
	// much earlier does a process stop that has not removed an object in its time.
	// Default time.Now.
	Now func() time.Time
}

// Ledger is the tables and what is done with them. It is a core.Journal and a
// core.Claims. Safe for concurrent use; any number of processes may use one.
type Ledger struct{ config Config }

// New returns a Ledger; ErrConfig where DB or Dialect is missing. It does not
// talk to the database.
func New(config Config) (*Ledger, error) {
	var faults []error
	if config.DB == nil {
		faults = append(faults, errors.New("no database: set DB"))
	}
	if !config.Dialect.known() {
		faults = append(faults, errors.New("no dialect: set Dialect to SQLite, PostgreSQL or MariaDB"))
	}
	if config.Grace < 0 || config.Lease < 0 || config.Interval < 0 || config.Batch < 0 {
		faults = append(faults, errors.New("a duration or Batch is negative"))
	}
	if len(faults) > 0 {
		return nil, &core.Error{Kind: core.ErrConfig, Op: "ledger", Err: errors.Join(faults...)}
	}
	if config.Grace == 0 {
		config.Grace = defaultGrace
	}
	if config.Lease == 0 {
		config.Lease = defaultLease
	}
	if config.Interval == 0 {
		config.Interval = defaultInterval
	}
	if config.Batch == 0 {
		config.Batch = defaultBatch
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Fail == nil {
		config.Fail = func(context.Context, error) {}
	}
	return &Ledger{config: config}, nil
}

// Migrate makes the tables that are missing. Several processes may call it at once.
func (l *Ledger) Migrate(ctx context.Context) error {
	for statement := range strings.SplitSeq(Schema(l.config.Dialect), ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if err := l.create(ctx, statement); err != nil {
			return fail("create the ledger", err)
		}
	}
	return nil
}

// create runs one statement again where PostgreSQL found another process making
// the same table: IF NOT EXISTS looks before it locks.
func (l *Ledger) create(ctx context.Context, statement string) (err error) {
	for range 5 {
		_, err = l.config.DB.ExecContext(ctx, statement)
		var answer interface{ SQLState() string }
		if !errors.As(err, &answer) || !exists(answer.SQLState()) {
			return err
		}
	}
	return err
}

// exists recognises a duplicate name in the catalogue, table and type.
func exists(state string) bool { return state == "23505" || state == "42P07" || state == "42710" }

// Context returns a context under which file transactions note what they store.
func (l *Ledger) Context(ctx context.Context) context.Context { return core.WithJournal(ctx, l) }

// Middleware is Context for the requests of a server. It goes around the
// middleware that opens file transactions.
func (l *Ledger) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(l.Context(r.Context())))
	})
}

// InTransaction is Context for work inside a transaction of the database. SQLite
// has one writer, so a save in there cannot be noted beside the transaction: it
// is refused with ErrConfig.
func (l *Ledger) InTransaction(ctx context.Context) context.Context {
	if l.config.Dialect == SQLite {
		return core.WithJournal(ctx, oneWriter{l})
	}
	return l.Context(ctx)
}

// oneWriter refuses to note what would wait for the transaction it is in.
type oneWriter struct{ *Ledger }

func (oneWriter) Writing(_ context.Context, w core.Written) error {
	return waitsForItself(w.Bucket, w.Key)
}

func (oneWriter) Gone(_ context.Context, w core.Written) error {
	return waitsForItself(w.Bucket, w.Key)
}

func (oneWriter) Claim(_ context.Context, c core.Claim) error { return waitsForItself(c.Bucket, c.Key) }

// Release has nothing to take back.
func (oneWriter) Release(context.Context, core.Claim) error { return nil }

func waitsForItself(bucket string, key core.Key) error {
	return &core.Error{
		Kind: core.ErrConfig, Op: "note in the ledger", Bucket: bucket, Key: key.String(),
		Err:    errors.New("SQLite has one writer, and this transaction is it"),
		Advice: "with a ledger in SQLite, save, claim or keep the file before the transaction begins or after it has ended, as the Uploads middleware does",
	}
}

// place names where an object lies.
func place(bucket string, key core.Key) string { return sum(bucket, key.String()) }

// sum is a hash of parts that no other parts have.
func sum(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writingID(w core.Written) string               { return sum(place(w.Bucket, w.Key), "write", w.Upload) }
func deletingID(bucket string, key core.Key) string { return sum(place(bucket, key), "delete") }

// replacingID is that of the one replacement that a key may be about to get.
func replacingID(bucket string, target core.Key) string { return sum(place(bucket, target), "replace") }

// Writing notes an object as pending: core.Journal. ErrPrecondition while an older
// object of this key is being removed or replaced, so that the save takes another key.
func (l *Ledger) Writing(ctx context.Context, w core.Written) error {
	var taken int
	err := l.config.DB.QueryRowContext(ctx, l.config.Dialect.bind(`SELECT
		(SELECT COUNT(*) FROM filefield_ledger WHERE place = ? AND state = 'deleting') +
		(SELECT COUNT(*) FROM filefield_replacements WHERE id = ?)`), place(w.Bucket, w.Key), replacingID(w.Bucket, w.Key)).Scan(&taken)
	if err != nil {
		return fail("note in the ledger", err)
	}
	if taken > 0 {
		return &core.Error{Kind: core.ErrPrecondition, Op: "note in the ledger", Bucket: w.Bucket, Key: w.Key.String(), Err: errBusy}
	}
	now := l.config.Now()
	_, err = l.config.DB.ExecContext(ctx, l.config.Dialect.upsertWriting(), writingID(w), place(w.Bucket, w.Key), w.Bucket, w.Key.String(),
		w.Upload, w.Multipart, "pending", now.Add(l.config.Grace).UnixMicro(), now.UnixMicro())
	if err != nil || (w.Upload != "" && w.Multipart == "") {
		return fail("note in the ledger", err) // a new entry
	}
	// It may have been there before, and a worker may have taken it since.
	var state string
	err = l.config.DB.QueryRowContext(ctx, l.config.Dialect.bind("SELECT state FROM filefield_ledger WHERE id = ?"), writingID(w)).Scan(&state)
	if err == nil && state != "pending" {
		return lost(w)
	}
	return fail("note in the ledger", err)
}

// Undoing takes the entry of an object that a rollback is about to remove, so that nobody
// replaces it meanwhile: core.Journal. ErrPrecondition where the entry is not pending any
// more, since a row has the object, or a committed replacement is about to come to its key:
// a worker sees then what is left of it.
func (l *Ledger) Undoing(ctx context.Context, w core.Written) error {
	now := l.config.Now()
	result, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("UPDATE filefield_ledger SET state = 'deleting', due = ?, updated = ? WHERE id = ? AND state = 'pending'"),
		now.Add(l.config.Lease).UnixMicro(), now.UnixMicro(), writingID(w))
	if err != nil {
		return fail("note in the ledger", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fail("note in the ledger", err), busy(w.Bucket, w.Key))
	}
	return nil
}

// Gone forgets an object that a rollback removed, or that has come to its target:
// core.Journal.
func (l *Ledger) Gone(ctx context.Context, w core.Written) error {
	if !w.Target.IsZero() {
		if err := l.forgetReplacement(ctx, w); err != nil {
			return err
		}
	}
	_, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_ledger WHERE id = ? AND (state = 'pending' OR (state = 'deleting' AND upload <> '' AND updated <> "+overwritten+"))"), writingID(w))
	return fail("note in the ledger", err)
}

// count counts the lines of a table that a condition is true for.
func (l *Ledger) count(ctx context.Context, from string, args ...any) (n int, err error) {
	err = l.config.DB.QueryRowContext(ctx, l.config.Dialect.bind("SELECT COUNT(*) FROM "+from), args...).Scan(&n)
	return n, fail("look into the ledger", err)
}

// fail wraps what the database said.
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &core.Error{Kind: core.ErrUnavailable, Op: op, Err: err, Advice: "the ledger's tables are in the app's database: is that there, and Migrate called?"}
}
