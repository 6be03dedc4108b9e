package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// Work recovers, again and again, until ctx ends, and returns its error. Any
// number of processes may run it.
func (l *Ledger) Work(ctx context.Context, store *core.Store) error {
	tick := time.NewTicker(l.config.Interval)
	defer tick.Stop()
	for {
		if _, err := l.Recover(ctx, store); err != nil && ctx.Err() == nil {
			l.config.Fail(ctx, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Report says what Recover did.
type Report struct {
	// Removed counts objects that no committed row has: never committed, or
	// replaced or deleted by a process that ended before it was done.
	Removed int
	// Replaced counts objects that got the content that a committed row has, from a
	// process that ended before it was done.
	Replaced int
	// Forgotten counts entries of committed objects whose grace period is over.
	Forgotten int
}

// Recover finishes what is due at its beginning, once: it carries committed
// replacements out, removes what stayed pending for longer than the grace period, and
// what stayed deleting, and forgets claims whose tokens have expired. It can be
// interrupted, and run by several at once: an entry is taken by one at a time, and an
// object that is gone already is no error. An entry that fails is left for the next
// time, and its error joined to the result; where a whole batch fails, so is the rest.
func (l *Ledger) Recover(ctx context.Context, store *core.Store) (report Report, err error) {
	now := l.config.Now()
	var errs []error
	for _, q := range []queue{l.replacements(), l.removals()} {
		errs = append(errs, l.work(ctx, store, q, now, &report))
	}
	report.Forgotten, err = l.forget(ctx, committed(), now)
	errs = append(errs, err)
	_, err = l.forget(ctx, expired(), now)
	return report, errors.Join(append(errs, err)...)
}

// past is a table of lines that are forgotten when they are due.
type past struct{ table, where string }

// committed is the entries of files that have had a row for long enough. By such an
// entry the worker sees that an older object's removal would hit this one: it stays for
// as long as there is something to remove.
func committed() past {
	return past{"filefield_ledger", ` AND state = 'committed' AND NOT EXISTS
		(SELECT 1 FROM filefield_ledger other WHERE other.place = line.place AND other.state <> 'committed')`}
}

// expired is the claims whose tokens have expired.
func expired() past { return past{table: "filefield_claims"} }

// forgetting is how many lines are forgotten at once: other writers wait meanwhile.
const forgetting = 500

// forget removes lines that were due before now.
func (l *Ledger) forget(ctx context.Context, p past, now time.Time) (total int, err error) {
	list := l.config.Dialect.bind(fmt.Sprintf("SELECT line.id FROM %s line WHERE line.due < ?%s ORDER BY line.due LIMIT %d", p.table, p.where, forgetting))
	for {
		ids, err := l.ids(ctx, list, now.UnixMicro())
		if err != nil || len(ids) == 0 {
			return total, fail("forget what is over", err)
		}
		places := strings.TrimSuffix(strings.Repeat("?, ", len(ids)), ", ")
		result, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM "+p.table+" WHERE id IN ("+places+") AND due < ?"), append(ids, now.UnixMicro())...)
		if err != nil {
			return total, fail("forget what is over", err)
		}
		n, err := result.RowsAffected()
		if total += int(n); err != nil || len(ids) < forgetting {
			return total, fail("forget what is over", err)
		}
	}
}

func (l *Ledger) ids(ctx context.Context, query string, args ...any) (ids []any, err error) {
	rows, err := l.config.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// queue is a table of what a worker takes and finishes.
type queue struct {
	list   string // selects what is due
	scan   func(*sql.Rows, *entry) error
	take   string // sets due, where id and due are these
	renews bool   // finish prolongs its lease itself
	finish func(ctx context.Context, store *core.Store, e entry, report *Report) error
}

// entry is a line that this process has taken.
type entry struct {
	id, place string
	object    core.Written
	updated   int64
	due       int64
}

// work finishes what was due at a time. What it takes is not due again by then.
func (l *Ledger) work(ctx context.Context, store *core.Store, q queue, now time.Time, report *Report) error {
	var errs failures
	for {
		taken, err := l.take(ctx, q, now)
		if err != nil {
			return errs.and(err)
		}
		failed, err := l.finish(ctx, store, q, taken, report)
		errs.add(err)
		if len(taken) < l.config.Batch || failed == len(taken) || ctx.Err() != nil {
			return errs.and(nil)
		}
	}
}

// finish finishes a batch, for as long as it is this process's.
func (l *Ledger) finish(ctx context.Context, store *core.Store, q queue, taken []entry, report *Report) (failed int, err error) {
	var errs failures
	for i, e := range taken {
		left := time.UnixMicro(e.due).Sub(l.config.Now()) - l.config.Lease/4
		if left <= 0 || ctx.Err() != nil {
			return failed + len(taken) - i, errs.and(nil)
		}
		within, cancel := context.WithCancel(ctx)
		if !q.renews {
			within, cancel = context.WithTimeout(ctx, left)
		}
		if err := q.finish(within, store, e, report); err != nil {
			failed++
			errs.add(err)
		}
		cancel()
	}
	return failed, errs.and(nil)
}

// failures are the first few of many errors.
type failures struct {
	first []error
	more  int
}

const fewFailures = 10

func (f *failures) add(err error) {
	switch {
	case err == nil:
	case len(f.first) < fewFailures:
		f.first = append(f.first, err)
	default:
		f.more++
	}
}

// and returns them, with the one that ended the work.
func (f *failures) and(err error) error {
	errs := append(f.first, err)
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", f.more))
	}
	return errors.Join(errs...)
}

// take takes entries that are due for the time of a lease. A transaction that is
// committing one of them has it locked; from here on it would find it deleting,
// and fail.
func (l *Ledger) take(ctx context.Context, q queue, now time.Time) (taken []entry, err error) {
	tx, err := l.config.DB.BeginTx(ctx, l.config.Dialect.taking())
	if err != nil {
		return nil, fail("take due files", err)
	}
	defer tx.Rollback() // does nothing after Commit
	lease := l.config.Now().Add(l.config.Lease).UnixMicro()
	due, err := l.due(ctx, tx, q, now)
	if err != nil {
		return nil, fail("take due files", err)
	}
	for _, e := range due {
		result, err := tx.ExecContext(ctx, l.config.Dialect.bind(q.take), lease, e.id, e.due)
		if err != nil {
			return nil, fail("take due files", err)
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			continue // another process was faster
		}
		e.due = lease
		taken = append(taken, e)
	}
	return taken, fail("take due files", tx.Commit())
}

func (l *Ledger) due(ctx context.Context, tx *sql.Tx, q queue, now time.Time) (list []entry, err error) {
	rows, err := tx.QueryContext(ctx, l.config.Dialect.bind(q.list+" ORDER BY due LIMIT ?"+l.config.Dialect.skipLocked()), now.UnixMicro(), l.config.Batch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e entry
		if err := q.scan(rows, &e); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}
