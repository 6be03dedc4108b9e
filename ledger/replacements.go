package ledger

import (
	"context"
	"database/sql"
	"time"

	"github.com/filefield/filefield/core"
)

// The table filefield_replacements has a line for each object that a committed
// transaction replaces, until its new content has come to its key: written by the
// transaction, and by one at a time. While it is there nobody else writes to the key,
// and where the object is also deleted the removal waits for it. What the process
// itself does not do, because it died or storage did not answer, a worker does.

// forgetReplacement forgets one that has been carried out.
func (l *Ledger) forgetReplacement(ctx context.Context, w core.Written) error {
	_, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_replacements WHERE id = ? AND upload = ?"), replacingID(w.Bucket, w.Target), w.Upload)
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
	ctx, stop := context.WithCancel(ctx)
	renewing := make(chan struct{})
	defer func() { stop(); <-renewing }()
	go func() {
		defer close(renewing)
		defer stop()
		l.renew(ctx, e)
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

// renew prolongs the lease of an entry until ctx ends, or it is not this process's any more.
func (l *Ledger) renew(ctx context.Context, e entry) {
	tick := time.NewTicker(max(l.config.Lease/4, 1))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := l.config.Now().Add(l.config.Lease).UnixMicro()
		result, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("UPDATE filefield_replacements SET due = ? WHERE id = ? AND due = ?"), due, e.id, e.due)
		if err != nil {
			return
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return
		}
		e.due = due
	}
}
