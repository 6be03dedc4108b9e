package core

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Txn is a transaction for files. Files saved under its context are removed
// when it rolls back; files deleted or replaced under it go only when it
// commits. It holds no lock and no connection: until Commit or Rollback it is a
// list of what to do. Safe for concurrent use.
//
// The middleware of nethttp and the framework adapters opens one per request;
// elsewhere:
//
//	ctx, txn := core.Begin(ctx)
//	defer txn.Rollback(context.WithoutCancel(ctx)) // does nothing after Commit
//	object, err := avatars.Save(ctx, core.Upload{…})
//	… insert the row …
//	return txn.Commit(ctx)
type Txn struct {
	ctx    context.Context // what Begin was given
	store  *Store
	parent *Txn

	mu           sync.Mutex
	ended        ending
	rollbackOnly bool
	commit       []func(context.Context) error
	rollback     []func(context.Context) error
	files        []*txnFile
	deletions    []*deletion
}

// txnFile is a file that a transaction stored or claimed.
type txnFile struct {
	bucket  string
	key     Key
	upload  string  // as Written.Upload
	target  Key     // as Written.Target
	options string  // as Written.Options
	journal Journal // was told of it, or nil
	state   atomic.Int32
	settled atomic.Bool // a committed row has it
	instead *replacement
}

// A file is open until it is kept or its transaction ends, whichever is first.
const (
	fileOpen int32 = iota
	fileKept
	fileEnded
)

// keep lets the file outlive its transaction without a row, unless that has ended.
func (f *txnFile) keep() bool {
	return f.state.CompareAndSwap(fileOpen, fileKept) || f.state.Load() == fileKept
}

// end says that the transaction has ended, and whether the file was not kept.
func (f *txnFile) end() bool { return f.state.CompareAndSwap(fileOpen, fileEnded) }

// ending is how a transaction ended.
type ending uint8

const (
	notEnded ending = iota
	committed
	rolledBack
)

type txnKey struct{}

// Begin opens a transaction and returns a context that carries it. Under a
// context that already carries one, the new one is nested: its commit hands its
// work to the outer one, its rollback undoes its own work only.
func Begin(ctx context.Context) (context.Context, *Txn) {
	t := &Txn{}
	return t.Begin(ctx, nil), t
}

// BeginAlone is Begin for a transaction that is not nested, whatever ctx carries:
// for work that ends for itself, as a second database transaction of a request
// whose files were committed with the first.
func BeginAlone(ctx context.Context) (context.Context, *Txn) {
	t := &Txn{ctx: ctx}
	return (*txnContext)(t), t
}

// Begin opens t itself, a zero Txn, where its owner has a place for it: one
// allocation less for every request of a middleware. The context it returns
// carries t and, where store is not nil, the store (see StoreFrom). Call it once.
func (t *Txn) Begin(ctx context.Context, store *Store) context.Context {
	t.ctx, t.store, t.parent = ctx, store, TxnFrom(ctx)
	return (*txnContext)(t)
}

// txnContext is a Txn as the context that carries it.
type txnContext Txn

func (c *txnContext) Deadline() (time.Time, bool) { return c.ctx.Deadline() }
func (c *txnContext) Done() <-chan struct{}       { return c.ctx.Done() }
func (c *txnContext) Err() error                  { return c.ctx.Err() }
func (c *txnContext) String() string              { return "core.Txn" }

func (c *txnContext) Value(key any) any {
	switch key.(type) {
	case txnKey:
		return (*Txn)(c)
	case storeKey:
		if c.store != nil {
			return c.store
		}
	}
	return c.ctx.Value(key)
}

type storeKey struct{}

// StoreFrom returns the Store that a middleware or Txn.Begin put into ctx, or nil.
func StoreFrom(ctx context.Context) *Store {
	s, _ := ctx.Value(storeKey{}).(*Store)
	return s
}

// TxnFrom returns the transaction ctx carries, or nil.
func TxnFrom(ctx context.Context) *Txn {
	t, _ := ctx.Value(txnKey{}).(*Txn)
	return t
}

// Commit commits the transaction ctx carries, if it carries one that has not
// ended. A handler calls it once its row is stored, where more could fail before
// the answer goes out: from then on the files stay (unless an outer transaction,
// where there is one, rolls back), and a row never points at nothing. ErrTxnDone
// where it was rolled back before, as by a status of 400 that has been sent: the
// row's file is gone, so the row has to go.
func Commit(ctx context.Context) error {
	t := TxnFrom(ctx)
	if t == nil || t.wasCommitted() {
		return nil
	}
	return t.Commit(ctx)
}

// Outer returns the transaction that this one is nested in, or nil.
func (t *Txn) Outer() *Txn { return t.parent }

func (t *Txn) wasCommitted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended == committed
}

// OnCommit adds work for after the commit: it runs in the order added. Returns
// ErrTxnDone if the transaction has ended.
func (t *Txn) OnCommit(work func(context.Context) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != notEnded {
		return errTxnDone()
	}
	t.commit = append(t.commit, work)
	return nil
}

// delete has an object go at the commit.
func (t *Txn) delete(b *Bucket, key Key) error {
	d := &deletion{bucket: b.name, key: key}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != notEnded {
		return errTxnDone()
	}
	t.deletions = append(t.deletions, d)
	t.commit = append(t.commit, func(ctx context.Context) error {
		if d.spared.Load() {
			return nil
		}
		return b.removeFile(ctx, key)
	})
	return nil
}

// OnRollback adds work for a rollback: it runs in the reverse of the order
// added. Returns ErrTxnDone if the transaction has ended.
func (t *Txn) OnRollback(work func(context.Context) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != notEnded {
		return errTxnDone()
	}
	t.rollback = append(t.rollback, work)
	return nil
}

// onEnd adds work for either end, at once: the transaction may end meanwhile.
func (t *Txn) onEnd(commit, rollback func(context.Context) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != notEnded {
		return errTxnDone()
	}
	t.commit, t.rollback = append(t.commit, commit), append(t.rollback, rollback)
	return nil
}

// Done says whether the transaction has been committed or rolled back.
func (t *Txn) Done() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended != notEnded
}

// Pending says whether the transaction is open and ending it has work to do.
func (t *Txn) Pending() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended == notEnded && len(t.commit)+len(t.rollback) > 0
}

// PendingCommit says whether the transaction is open and its commit has work to do,
// for which there has to be a context: what was stored and replaces nothing stays
// without any.
func (t *Txn) PendingCommit() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended == notEnded && len(t.commit) > 0
}

// SetRollbackOnly decides that the transaction, whenever and however it ends,
// rolls back: for a failure that is answered later, by someone who does not know
// of it. Commit then rolls back and returns ErrTxnDone.
func (t *Txn) SetRollbackOnly() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rollbackOnly = true
}

// RollbackOnly says whether SetRollbackOnly was called.
func (t *Txn) RollbackOnly() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rollbackOnly
}

// Commit keeps what was saved and carries out what was deleted and replaced. An
// error means that something could not be carried out, not that files were
// lost: at worst an object stays that no row refers to, or one that was to be
// replaced keeps its old content. All of the work is
// tried; errors are joined. A second Commit, or one after Rollback or
// SetRollbackOnly, returns ErrTxnDone.
func (t *Txn) Commit(ctx context.Context) error {
	if t.RollbackOnly() {
		return errors.Join(errTxnDone(), t.Rollback(ctx))
	}
	if t.parent != nil {
		return t.handOver()
	}
	for _, f := range t.taken() {
		f.end()
	}
	commit, _, ended := t.end(committed)
	if ended {
		return errTxnDone()
	}
	return runAll(ctx, commit)
}

// handOver commits a nested transaction: its work becomes the outer one's. If
// that has ended, this one stays open, for its Rollback.
func (t *Txn) handOver() error {
	t.parent.mu.Lock()
	defer t.parent.mu.Unlock()
	if t.parent.ended != notEnded {
		return errTxnDone()
	}
	commit, rollback, ended := t.end(committed)
	if ended {
		return errTxnDone()
	}
	t.parent.commit = append(t.parent.commit, commit...)
	t.parent.rollback = append(t.parent.rollback, rollback...)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parent.deletions = append(t.parent.deletions, t.deletions...)
	t.deletions = nil
	t.parent.files = append(t.parent.files, t.files...)
	return nil
}

// taken returns the files that the transaction stored or claimed.
func (t *Txn) taken() []*txnFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.files
}

// took notes a file that the transaction stored or claimed.
func (t *Txn) took(f *txnFile) *txnFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files = append(t.files, f)
	return f
}

// file returns the file that the transaction, or one around it, stored or claimed
// last as this object, or nil.
func (t *Txn) file(bucket string, key Key) *txnFile {
	for ; t != nil; t = t.parent {
		for _, f := range slices.Backward(t.taken()) {
			if f.bucket == bucket && f.written().RowKey() == key {
				return f
			}
		}
	}
	return nil
}

// Rollback removes what was saved and forgets what was to be deleted and
// replaced. After Commit it does nothing and returns nil, so that it can be
// deferred. Pass a context that has not ended (context.WithoutCancel): a
// rollback often follows a cancellation.
func (t *Txn) Rollback(ctx context.Context) error {
	_, rollback, ended := t.end(rolledBack)
	if ended {
		return nil
	}
	for i, j := 0, len(rollback)-1; i < j; i, j = i+1, j-1 {
		rollback[i], rollback[j] = rollback[j], rollback[i]
	}
	return runAll(ctx, rollback)
}

// end takes the work out, and says whether the transaction had ended before.
func (t *Txn) end(how ending) (commit, rollback []func(context.Context) error, before bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != notEnded {
		return nil, nil, true
	}
	t.ended = how
	commit, rollback = t.commit, t.rollback
	t.commit, t.rollback = nil, nil
	return commit, rollback, false
}

func runAll(ctx context.Context, work []func(context.Context) error) error {
	var errs []error
	for _, do := range work {
		errs = append(errs, do(ctx))
	}
	return errors.Join(errs...)
}

func errTxnDone() error {
	return &Error{
		Kind: ErrTxnDone, Op: "file transaction",
		Advice: "it was committed or rolled back before; work that outlives a request needs a transaction of its own",
	}
}
