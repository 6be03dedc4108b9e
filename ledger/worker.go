package ledger

import (
	"context"
	"database/sql"
	"errors"
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
	// Forgotten counts entries of committed objects whose grace period is over.
	Forgotten int
}

// Recover finishes what is due, once: it removes what stayed pending for longer
// than the grace period, and what stayed deleting, and forgets claims whose tokens
// have expired. It can be interrupted, and
// run by several at once: an entry is taken by one at a time, and an object that
// is gone already is no error. An entry that fails is left for the next time, and
// its error joined to the result.
func (l *Ledger) Recover(ctx context.Context, store *core.Store) (report Report, err error) {
	if report.Forgotten, err = l.forget(ctx); err != nil {
		return report, err
	}
	errs := []error{l.forgetClaims(ctx)}
	for {
		taken, err := l.take(ctx)
		if err != nil {
			return report, errors.Join(append(errs, err)...)
		}
		for _, e := range taken {
			removed, err := l.finish(ctx, store, e)
			if err != nil {
				errs = append(errs, err)
			}
			if removed {
				report.Removed++
			}
		}
		if len(taken) < l.config.Batch || ctx.Err() != nil {
			return report, errors.Join(errs...)
		}
	}
}

// forget removes the entries of objects that were committed a grace period ago.
func (l *Ledger) forget(ctx context.Context) (int, error) {
	result, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_ledger WHERE state = 'committed' AND due < ?"), l.config.Now().UnixMicro())
	if err != nil {
		return 0, fail("forget committed files", err)
	}
	n, err := result.RowsAffected()
	return int(n), fail("forget committed files", err)
}

// entry is a line of the ledger that this process has taken.
type entry struct {
	id, place string
	object    core.Written
	updated   int64
	due       int64
}

// take takes entries that are due for the time of a lease. A transaction that is
// committing one of them has it locked; from here on it would find it deleting,
// and fail.
func (l *Ledger) take(ctx context.Context) (taken []entry, err error) {
	tx, err := l.config.DB.BeginTx(ctx, l.config.Dialect.taking())
	if err != nil {
		return nil, fail("take due files", err)
	}
	defer tx.Rollback() // does nothing after Commit
	now := l.config.Now()
	due, err := l.due(ctx, tx, now)
	if err != nil {
		return nil, fail("take due files", err)
	}
	lease := now.Add(l.config.Lease).UnixMicro()
	for _, e := range due {
		result, err := tx.ExecContext(ctx, l.config.Dialect.bind("UPDATE filefield_ledger SET state = 'deleting', due = ? WHERE id = ? AND due = ? AND state <> 'committed'"), lease, e.id, e.due)
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

func (l *Ledger) due(ctx context.Context, tx *sql.Tx, now time.Time) (list []entry, err error) {
	rows, err := tx.QueryContext(ctx, l.config.Dialect.bind("SELECT id, place, bucket, object_key, upload, multipart, updated, due FROM filefield_ledger WHERE due < ? AND state <> 'committed' ORDER BY due LIMIT ?"+l.config.Dialect.skipLocked()),
		now.UnixMicro(), l.config.Batch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e entry
		var key string
		if err := rows.Scan(&e.id, &e.place, &e.object.Bucket, &key, &e.object.Upload, &e.object.Multipart, &e.updated, &e.due); err != nil {
			return nil, err
		}
		if err := e.object.Key.UnmarshalText([]byte(key)); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// finish removes the object of an entry, unless another has come to its key, and
// then the entry.
func (l *Ledger) finish(ctx context.Context, store *core.Store, e entry) (removed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.config.Lease) // then it is somebody else's
	defer cancel()
	if e.id == deletingID(e.object) {
		pending, committed, err := l.newer(ctx, e)
		switch {
		case err != nil:
			return false, err
		case committed:
			return false, l.drop(ctx, e)
		case pending:
			return false, nil // the lease's end brings it up again
		}
	}
	if err := store.Bucket(e.object.Bucket).RemoveWritten(ctx, e.object); err != nil {
		return false, err
	}
	return true, l.drop(ctx, e)
}

// newer says whether an object is being written, or was committed since, under
// the key whose older object was deleted: removing that one would hit it.
func (l *Ledger) newer(ctx context.Context, e entry) (pending, committed bool, err error) {
	count := func(query string, args ...any) (n int) {
		if err == nil {
			err = l.config.DB.QueryRowContext(ctx, l.config.Dialect.bind("SELECT COUNT(*) FROM filefield_ledger WHERE place = ? AND "+query), args...).Scan(&n)
		}
		return n
	}
	pending = count("state = 'pending'", e.place) > 0
	committed = count("state = 'committed' AND updated > ?", e.place, e.updated) > 0
	return pending, committed, fail("look for newer files", err)
}

// drop forgets an entry that this process has taken.
func (l *Ledger) drop(ctx context.Context, e entry) error {
	_, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_ledger WHERE id = ? AND due = ?"), e.id, e.due)
	return fail("forget a removed file", err)
}
