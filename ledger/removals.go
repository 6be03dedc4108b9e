package ledger

import (
	"context"
	"database/sql"

	"github.com/filefield/filefield/core"
)

// removals is how a worker takes objects that stayed pending, and those that are
// deleting.
func (l *Ledger) removals() queue {
	return queue{
		list: "SELECT id, place, bucket, object_key, upload, multipart, updated, due FROM filefield_ledger WHERE due < ? AND state <> 'committed'",
		take: "UPDATE filefield_ledger SET state = 'deleting', due = ? WHERE id = ? AND due = ? AND state <> 'committed'",
		scan: func(rows *sql.Rows, e *entry) error {
			var key string
			if err := rows.Scan(&e.id, &e.place, &e.object.Bucket, &key, &e.object.Upload, &e.object.Multipart, &e.updated, &e.due); err != nil {
				return err
			}
			return e.object.Key.UnmarshalText([]byte(key))
		},
		finish: l.remove,
	}
}

// remove removes the object of an entry, unless another has come to its key, and
// then the entry.
func (l *Ledger) remove(ctx context.Context, store *core.Store, e entry, report *Report) error {
	if e.object.Upload == "" { // nothing tells it from another one at its key
		writing, committed, err := l.newer(ctx, e)
		switch {
		case err != nil:
			return err
		case committed:
			return l.drop(ctx, e)
		case writing:
			return nil // the lease's end brings it up again
		}
	} else if n, err := l.count(ctx, "filefield_replacements WHERE id = ?", replacingID(e.object.Bucket, e.object.Key)); err != nil || n > 0 {
		return err // what comes there is not to be hit, and overwrites it
	}
	if err := store.Bucket(e.object.Bucket).RemoveWritten(ctx, e.object); err != nil {
		return err
	}
	report.Removed++
	return l.drop(ctx, e)
}

// newer says whether an object is being written, or was committed since, under
// the key whose older object goes: removing that one would hit it.
func (l *Ledger) newer(ctx context.Context, e entry) (writing, committed bool, err error) {
	any := func(from string, args ...any) bool {
		if err != nil {
			return false
		}
		var n int
		n, err = l.count(ctx, from, args...)
		return n > 0
	}
	writing = any("filefield_ledger WHERE place = ? AND state = 'pending'", e.place) ||
		any("filefield_replacements WHERE id = ?", replacingID(e.object.Bucket, e.object.Key))
	committed = any("filefield_ledger WHERE place = ? AND state = 'committed' AND updated > ?", e.place, e.updated)
	return writing, committed, err
}

// drop forgets an entry that this process has taken.
func (l *Ledger) drop(ctx context.Context, e entry) error {
	_, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_ledger WHERE id = ? AND due = ?"), e.id, e.due)
	return fail("forget a removed file", err)
}
