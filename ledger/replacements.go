package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/filefield/filefield/core"
)

// The table filefield_replacements has a line for each object that a committed
// transaction replaces, until its new content has come to its key: written by the
// transaction, and by one at a time. While it is there nobody else writes to the key,
// and where the object is also deleted the removal waits for it. What the process
// itself does not do, because it died or storage did not answer, a worker does.

// forgetReplacement forgets one that has been carried out, and what it has overwritten.
// Of an upload in parts something may be open still, which a worker ends.
func (l *Ledger) forgetReplacement(ctx context.Context, w core.Written) error {
	const over = "state = 'deleting' AND multipart = '' AND updated = " + overwritten
	// They are looked for first: a DELETE by their place would lock others' lines.
	ids, err := l.ids(ctx, l.config.Dialect.bind("SELECT id FROM filefield_ledger WHERE place = ? AND "+over), place(w.Bucket, w.Target))
	if err != nil {
		return fail("forget a replacement", err)
	}
	for _, id := range ids {
		if _, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_ledger WHERE id = ? AND "+over), id); err != nil {
			return fail("forget a replacement", err)
		}
	}
	_, err = l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_replacements WHERE id = ? AND upload = ?"), replacingID(w.Bucket, w.Target), w.Upload)
	return fail("forget a replacement", err)
}

// replacements is how a worker takes them.
func (l *Ledger) replacements() queue {
	return queue{
		list: "SELECT id, bucket, object_key, target, upload, options, due FROM filefield_replacements WHERE due < ?",
		take: "UPDATE filefield_replacements SET due = ? WHERE id = ? AND due = ?",
		scan: func(rows *sql.Rows, e *entry) error {
			var key, target string
			if err := rows.Scan(&e.id, &e.object.Bucket, &key, &target, &e.object.Upload, &e.object.Options, &e.due); err != nil {
				return err
			}
			if err := e.object.Target.UnmarshalText([]byte(target)); err != nil {
				return err
			}
			return e.object.Key.UnmarshalText([]byte(key))
		},
		renews: true,
		finish: l.replace,
	}
}

// replace carries a replacement out, or gives it up where its target has been deleted
// since. Copying takes its time: the lease is renewed meanwhile.
func (l *Ledger) replace(ctx context.Context, store *core.Store, e entry, report *Report) error {
	due, err := l.renew(ctx, e)
	if err != nil {
		return err
	}
	e.due = due
	ctx, stop := context.WithCancel(ctx)
	renewing := make(chan struct{})
	defer func() { stop(); <-renewing }()
	go func() {
		defer close(renewing)
		defer stop()
		l.keepRenewing(ctx, e)
	}()
	deleted, err := l.count(ctx, "filefield_ledger WHERE id = ?", deletingID(e.object.Bucket, e.object.Target))
	if err != nil {
		return err
	}
	bucket := store.Bucket(e.object.Bucket)
	if deleted > 0 {
		err = bucket.RemoveWritten(ctx, core.Written{Bucket: e.object.Bucket, Key: e.object.Key, Upload: e.object.Upload})
	} else {
		err = bucket.FinishReplacement(ctx, e.object)
	}
	if err != nil {
		return err
	}
	if deleted > 0 {
		report.Removed++
	} else {
		report.Replaced++
	}
	return l.forgetReplacement(ctx, e.object)
}

// keepRenewing prolongs the lease of an entry until ctx ends, or it is not this process's
// any more. It stops where the database does not answer for a quarter of the lease, too: no
// other process may have begun then.
func (l *Ledger) keepRenewing(ctx context.Context, e entry) {
	quarter := max(l.config.Lease/4, 1)
	tick := time.NewTicker(quarter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, quarter)
		due, err := l.renew(within, e)
		cancel()
		if err != nil {
			return
		}
		e.due = due
	}
}

// renew prolongs the lease of an entry once, if it is this process's still.
func (l *Ledger) renew(ctx context.Context, e entry) (due int64, err error) {
	due = l.config.Now().Add(l.config.Lease).UnixMicro()
	result, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("UPDATE filefield_replacements SET due = ? WHERE id = ? AND due = ?"), due, e.id, e.due)
	if err != nil {
		return 0, fail("go on with a replacement", err)
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 && due != e.due {
		err = errors.New("another process has taken it")
	}
	return due, fail("go on with a replacement", err)
}
