package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/filefield/filefield/core"
)

// Exec runs a statement in a transaction of the database, with the parameters of
// its dialect, and says how many rows it affected.
type Exec func(ctx context.Context, query string, args ...any) (affected int64, err error)

// Settle writes into the app's own transaction what is to become of its files: what
// was stored (core.Txn.Stored) is committed, or is to replace what lies at its target,
// and what is to be deleted (core.Txn.Deleted) has an entry. sqltxn and the packages
// for ORMs call it, right before the commit. ErrPrecondition where a worker has given
// a file up, or another transaction's removal or replacement of its key has not been
// carried out yet: the transaction must be rolled back then.
func (l *Ledger) Settle(ctx context.Context, exec Exec, stored, deleted []core.Written) error {
	s := settlement{Ledger: l, exec: exec, now: l.config.Now()}
	// In MariaDB the absence of a line is locked with the gap it would be in, where
	// nobody else can write: who looks for one adds no line to that table after it.
	stored, superseded := latest(stored)
	for _, w := range stored {
		if err := s.store(ctx, w); err != nil {
			return err
		}
	}
	for _, w := range superseded {
		if err := s.giveUp(ctx, w); err != nil {
			return err
		}
	}
	for _, w := range deleted {
		if err := s.delete(ctx, w, stored); err != nil {
			return err
		}
	}
	for _, w := range stored {
		if err := s.alone(ctx, w, deleted); err != nil {
			return err
		}
	}
	return nil
}

// latest splits off objects that another of the same transaction, stored later, comes
// to the target of.
func latest(stored []core.Written) (last, superseded []core.Written) {
	for i, w := range stored {
		again := func(other core.Written) bool { return other.Bucket == w.Bucket && other.Target == w.Target }
		if !w.Target.IsZero() && slices.ContainsFunc(stored[i+1:], again) {
			superseded = append(superseded, w)
		} else {
			last = append(last, w)
		}
	}
	return last, superseded
}

// settlement is one Settle.
type settlement struct {
	*Ledger
	exec Exec
	now  time.Time
}

func (s settlement) run(ctx context.Context, query string, args ...any) (int64, error) {
	return s.exec(ctx, s.config.Dialect.bind(query), args...)
}

// due is when what the transaction is about to do becomes a worker's.
func (s settlement) due() int64 { return s.now.Add(s.config.Lease).UnixMicro() }

// store settles the entry of an object that was written or claimed: it is where a row
// has it from now on, which the removal of an older one has to know.
func (s settlement) store(ctx context.Context, w core.Written) error {
	key := w.RowKey()
	n, err := s.run(ctx, "UPDATE filefield_ledger SET state = 'committed', place = ?, object_key = ?, due = ?, updated = ? WHERE id = ? AND state = 'pending'",
		place(w.Bucket, key), key.String(), s.now.Add(s.config.Grace).UnixMicro(), s.now.UnixMicro(), writingID(w))
	if err == nil && n != 1 {
		return lost(w)
	}
	return err
}

// giveUp has an object go that this transaction replaced itself, should its process not
// come to that.
func (s settlement) giveUp(ctx context.Context, w core.Written) error {
	n, err := s.run(ctx, "UPDATE filefield_ledger SET state = 'deleting', due = ?, updated = ? WHERE id = ? AND state = 'pending'", s.due(), s.now.UnixMicro(), writingID(w))
	if err == nil && n != 1 {
		return lost(w)
	}
	return err
}

// delete gives an object that goes an entry. Where the transaction also replaces it,
// what it stored comes to that key, and is not to be removed.
func (s settlement) delete(ctx context.Context, w core.Written, stored []core.Written) error {
	if slices.ContainsFunc(stored, func(other core.Written) bool { return other.Bucket == w.Bucket && other.Target == w.Key }) {
		return nil
	}
	_, err := s.exec(ctx, s.config.Dialect.upsertDeleting(), deletingID(w.Bucket, w.Key), place(w.Bucket, w.Key), w.Bucket, w.Key.String(), "", "",
		"deleting", s.due(), s.now.UnixMicro())
	return err
}

// alone sees that nobody else is about to remove or to replace what lies where the
// object is or comes to.
func (s settlement) alone(ctx context.Context, w core.Written, deleted []core.Written) error {
	if !w.Target.IsZero() {
		return s.replace(ctx, w)
	}
	if slices.ContainsFunc(deleted, func(other core.Written) bool { return other.Bucket == w.Bucket && other.Key == w.Key }) {
		return nil // by this transaction, after it was stored
	}
	// Writing found no such line. One that came since is of somebody who had the key
	// before this object, and may not know that it has gone.
	return s.kept(ctx, w.Bucket, w.Key)
}

// replace writes down that an object comes to its target. What another upload has there
// goes with that, so its transaction must not be committed any more: its entry is taken
// from it. Who removes such an object by a rollback has taken the entry before.
func (s settlement) replace(ctx context.Context, w core.Written) error {
	if err := s.kept(ctx, w.Bucket, w.Target); err != nil {
		return err
	}
	there := place(w.Bucket, w.Target)
	_, err := s.run(ctx, "UPDATE "+s.config.Dialect.byPlace()+" SET state = 'deleting', due = ?, updated = "+overwritten+" WHERE place = ? AND state = 'pending' AND upload <> ''", s.due(), there)
	if err != nil {
		return err
	}
	n, err := s.exec(ctx, s.config.Dialect.insertReplacement(), replacingID(w.Bucket, w.Target), w.Bucket, w.Key.String(), w.Target.String(),
		w.Upload, w.Options, s.due(), there)
	if err == nil && n != 1 {
		return busy(w.Bucket, w.Target)
	}
	return err
}

// kept sees that no transaction deletes what is under a key, or is about to.
func (s settlement) kept(ctx context.Context, bucket string, key core.Key) error {
	id, own := deletingID(bucket, key), int64(0)
	if hold := s.config.Dialect.holdDeleting(); hold != "" {
		var err error
		own, err = s.exec(ctx, hold, id, place(bucket, key), bucket, key.String(), "", "", "deleting", s.due(), s.now.UnixMicro())
		if err != nil {
			return err
		}
	}
	n, err := s.run(ctx, "DELETE FROM filefield_ledger WHERE id = ?", id)
	if err == nil && n > own {
		return busy(bucket, key) // which also brings the line back
	}
	return err
}

// Tidying returns a context for what a transaction that was settled after since has
// to remove and to replace once it is committed. It is not ended by ctx, but before a
// worker does the same.
func (l *Ledger) Tidying(ctx context.Context, since time.Time) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), l.config.Lease-l.config.Lease/4-time.Since(since))
}

// Finished forgets what a committed transaction had deleted, once that is gone.
// What it cannot forget, a worker will.
func (l *Ledger) Finished(ctx context.Context, deleted []core.Written) error {
	var errs []error
	for _, w := range deleted {
		// A replacement that is on its way to this key would bring the object back: the
		// worker then removes it once more.
		_, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_ledger WHERE id = ? AND state = 'deleting' AND NOT EXISTS (SELECT 1 FROM filefield_replacements WHERE id = ?)"),
			deletingID(w.Bucket, w.Key), replacingID(w.Bucket, w.Key))
		errs = append(errs, fail("note in the ledger", err))
	}
	return errors.Join(errs...)
}

func lost(w core.Written) error {
	return &core.Error{
		Kind: core.ErrPrecondition, Op: "commit file", Bucket: w.Bucket, Key: w.Key.String(),
		Err: errors.New("the ledger does not have the file as pending: it was without a row for longer than the grace period, or this transaction cannot see its entry"),
		Advice: "save it again; if uploads take that long, raise Config.Grace; in PostgreSQL with REPEATABLE READ or SERIALIZABLE, " +
			"save before the transaction's first statement",
	}
}

var errBusy = errors.New("an object of this key is being removed or replaced")

func busy(bucket string, key core.Key) error {
	return &core.Error{
		Kind: core.ErrPrecondition, Op: "commit file", Bucket: bucket, Key: key.String(), Err: errBusy,
		Advice: "try again: what a process that died had begun takes a worker up to Config.Lease and Config.Interval",
	}
}
