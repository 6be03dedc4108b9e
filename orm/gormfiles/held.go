package gormfiles

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/modelfiles"
	"github.com/filefield/filefield/sqltxn"
)

// held is what hangs on a transaction of GORM's: files to remove when it commits
// or rolls back. Levels are its savepoints. Safe for concurrent use.
type held struct {
	plugin *plugin
	ctx    context.Context // the transaction was begun with
	alone  bool            // a statement without a transaction

	mu     sync.Mutex
	levels []*level
}

// level is the transaction itself, a savepoint, or a gormfiles.Transaction.
type level struct {
	name string
	ctx  context.Context
	txn  *core.Txn
	kept []kept
}

// kept is a file that a row has, once the transaction is committed.
type kept struct {
	object core.Object
	txn    *core.Txn // around the statement, or nil
}

func newHeld(ctx context.Context, p *plugin) *held {
	h := &held{plugin: p, ctx: ctx}
	inner, txn := core.BeginAlone(ctx)
	h.levels = []*level{{ctx: inner, txn: txn}}
	return h
}

// held returns what hangs on a statement's transaction; a new one for a
// statement without.
func (p *plugin) held(db *gorm.DB) *held {
	if h := heldBy(db.Statement.ConnPool); h != nil {
		return h
	}
	const key = "filefield:alone"
	h, ok := instance[*held](db, key)
	if !ok {
		h = newHeld(db.Statement.Context, p)
		h.alone = true
		db.InstanceSet(key, h)
	}
	return h
}

func (h *held) top() *level { return h.levels[len(h.levels)-1] }

// enter opens a level whose files belong to the file transaction of ctx.
func (h *held) enter(ctx context.Context) *level {
	h.mu.Lock()
	defer h.mu.Unlock()
	inner, txn := core.Begin(ctx)
	l := &level{ctx: inner, txn: txn}
	h.levels = append(h.levels, l)
	return l
}

// leave closes a level and those that were opened in it.
func (h *held) leave(l *level, commit bool) error { //nolint:revive // as errors.Join's caller has it
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.index(func(other *level) bool { return other == l })
	if !commit {
		return h.dropFrom(i)
	}
	err := h.foldInto(i, false)
	// The file transaction around the level settles its own; the rest is told.
	for _, k := range l.kept {
		err = errors.Join(err, l.txn.OnCommit(func(context.Context) error { k.object.Settle(); return nil }))
	}
	l.kept = nil
	return errors.Join(err, h.foldInto(i, true))
}

func (h *held) index(is func(*level) bool) int {
	for i := len(h.levels) - 1; i >= 0; i-- {
		if is(h.levels[i]) {
			return i
		}
	}
	return len(h.levels)
}

// foldInto hands the work of the levels from i on to the one before, or to the
// file transaction around it.
func (h *held) foldInto(i int, itself bool) (err error) {
	for len(h.levels) > i+1 || (itself && len(h.levels) > i) {
		l := h.top()
		h.levels = h.levels[:len(h.levels)-1]
		h.top().kept = append(h.top().kept, l.kept...)
		err = errors.Join(err, l.txn.Commit(context.WithoutCancel(l.ctx)))
	}
	return err
}

// dropFrom rolls back the levels from i on.
func (h *held) dropFrom(i int) (err error) {
	ctx, cancel := tidying(h.ctx)
	defer cancel()
	for len(h.levels) > i {
		l := h.top()
		h.levels = h.levels[:len(h.levels)-1]
		err = errors.Join(err, l.txn.Rollback(ctx))
	}
	if i == 0 { // a statement may yet come, for the database to refuse
		h.levels = []*level{{txn: &core.Txn{}, ctx: h.ctx}}
	}
	return err
}

func tidying(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
}

// mark opens a savepoint's level.
func (h *held) mark(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inner, txn := core.Begin(h.top().ctx)
	h.levels = append(h.levels, &level{name: name, ctx: inner, txn: txn})
}

// rollbackTo undoes what happened since a savepoint, which stays.
func (h *held) rollbackTo(name string) error {
	h.mu.Lock()
	i := h.index(func(l *level) bool { return l.name == name })
	if i == len(h.levels) {
		h.mu.Unlock()
		return nil
	}
	err := h.dropFrom(i)
	h.mu.Unlock()
	h.mark(name)
	return err
}

// discardOnRollback has a new file go if the level rolls back.
func (h *held) discardOnRollback(f modelfiles.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.top().txn.OnRollback(func(ctx context.Context) error {
		return discard(ctx, f)
	})
}

// discard removes a new file that no row came to have.
func discard(ctx context.Context, f modelfiles.File) error {
	if !f.Object.Loose() {
		return nil
	}
	alone, txn := core.BeginAlone(ctx) // now, and not with a transaction of the app's
	return errors.Join(f.Delete(alone), txn.Commit(ctx))
}

// fail removes the new files of a statement that failed. Its transaction may be
// committed all the same.
func (h *held) fail(ctx context.Context, db *gorm.DB, p *plugin) {
	files, _ := instance[[]modelfiles.File](db, newKey)
	ctx, cancel := tidying(ctx)
	defer cancel()
	for _, f := range files {
		p.report(ctx, discard(ctx, f))
	}
}

// keep notes that rows have these files.
func (h *held) keep(ctx context.Context, files []modelfiles.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range files {
		h.top().kept = append(h.top().kept, kept{f.Object, core.TxnFrom(ctx)})
	}
}

// delete has a file go at the commit.
func (h *held) delete(f modelfiles.File) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return f.Delete(h.top().ctx)
}

// rollback rolls all levels back.
func (h *held) rollback() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.plugin.report(h.ctx, h.dropFrom(0))
	return nil
}

// finish commits the database, where there is a transaction, and then what hangs
// on it.
func (h *held) finish(ctx context.Context, tx *txPool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.foldInto(0, false)
	root := h.top()
	stored, deleted := h.stored(root), root.txn.Deleted()
	started, book := time.Now(), h.plugin.config.Ledger
	if tx == nil {
		book = nil
	}
	if tx != nil {
		if ctx.Err() != nil { // from here on a cancelled commit could be anything
			_ = tx.Tx.Rollback() // database/sql may have been faster
			return errors.Join(context.Cause(ctx), h.dropFrom(0))
		}
		if book != nil && len(stored)+len(deleted) > 0 {
			if err := book.Settle(ctx, tx.exec, stored, deleted); err != nil {
				return errors.Join(err, tx.Tx.Rollback(), h.dropFrom(0))
			}
		}
		if err := tx.Tx.Commit(); err != nil {
			return h.refused(root, err)
		}
	}
	tidy, cancel := tidying(ctx)
	if book != nil {
		cancel()
		tidy, cancel = book.Tidying(ctx, started)
	}
	defer cancel()
	for _, k := range root.kept {
		k.object.Settle()
		if k.txn != nil {
			k.txn.Settle(k.object.Bucket, k.object.Key)
		}
	}
	if book != nil { // by the end of a request a worker would have begun
		for _, k := range root.kept {
			if k.txn != nil {
				err = errors.Join(err, k.txn.Finish(tidy, k.object.Bucket, k.object.Key))
			}
		}
	}
	err = errors.Join(err, root.txn.Commit(tidy))
	if err == nil && book != nil {
		err = book.Finished(tidy, deleted)
	}
	h.plugin.report(tidy, err)
	return nil
}

// refused is a commit that failed, or whose answer was lost: then all stays.
func (h *held) refused(root *level, err error) error {
	if !sqltxn.Unanswered(err) {
		return errors.Join(err, h.dropFrom(0))
	}
	for _, k := range root.kept {
		k.object.Settle()
		if k.txn != nil {
			k.txn.LeaveFile(k.object.Bucket, k.object.Key)
		}
	}
	root.txn.Leave()
	return fmt.Errorf("%w: %w", sqltxn.ErrUnknown, err)
}

// stored returns what the rows have of the files that the ledger has as pending.
func (h *held) stored(root *level) (list []core.Written) {
	seen := map[core.Written]bool{}
	for _, k := range root.kept {
		if k.txn == nil {
			continue
		}
		for _, w := range k.txn.Stored() {
			if w.RowKey() == k.object.Key && w.Bucket == k.object.Bucket && !seen[w] {
				seen[w] = true
				list = append(list, w)
			}
		}
	}
	return list
}

func (t *txPool) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.Tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (p *plugin) report(ctx context.Context, err error) {
	if err != nil && p.config.TidyFailed != nil {
		p.config.TidyFailed(ctx, err)
	}
}
