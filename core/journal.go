package core

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
)

// Written is an object that an upload writes, or a pending one that a request
// claims: what a Journal notes, and what undoing it later needs to know.
type Written struct {
	Bucket string
	Key    Key
	// Upload is the mark by which the object is told from another that has come
	// to its key; "" for one that was claimed (see Field.Claim).
	Upload string
	// Multipart is S3's id of the multipart upload, "" without one, or
	// MultipartStarting.
	Multipart string
	// Target is the key whose object this one replaces once it is committed: it is
	// copied there, and then goes from Key. Zero: it stays where it is.
	Target Key
	// Options says how it is to lie at Target, for FinishReplacement. It is opaque and
	// has no secrets; "" where storage's defaults will do.
	Options string
}

// RowKey returns the key under which a row has the object: its Target, or else its Key.
func (w Written) RowKey() Key {
	if w.Target.IsZero() {
		return w.Key
	}
	return w.Target
}

// MultipartStarting is the Multipart of what may have been started without its id
// being known, under a key that is nobody else's: whatever is open there.
const MultipartStarting = "*"

// Journal notes what is about to be written, somewhere that survives this
// process, so that what a crash leaves can be found (package ledger keeps one in
// a database). Safe for concurrent use.
type Journal interface {
	// Writing is called before an object is written or claimed, and again once a
	// multipart upload has its id. An error ends the save; one of kind
	// ErrPrecondition has it try another key.
	Writing(ctx context.Context, w Written) error
	// Undoing is called before a rollback removes an object whose key another upload may
	// want, too. ErrPrecondition says that a committed transaction has taken the key
	// over, and has the rollback leave it; any other error ends the rollback's work on
	// this object.
	Undoing(ctx context.Context, w Written) error
	// Gone is called when a rollback has undone what Writing noted, when nothing was
	// written under a key since it was taken, when the file waits without a row, with a
	// mark of its own (see Field.Keep), or when it has come to its Target.
	Gone(ctx context.Context, w Written) error
}

// Claims is a Journal that also decides which of several requests takes a direct
// upload, in place of a marker in the bucket: it saves each claim a request.
// An upload that was begun under one (see Field.BeginDirect) is claimed and ended
// under one, and they have to be the same for all processes.
type Claims interface {
	Journal
	// Claim notes that the upload has been taken. ErrPrecondition where that has been
	// noted before; after any other error it may have been noted or not, and Release
	// is called.
	Claim(ctx context.Context, c Claim) error
	// Release takes back what Claim noted, if it was this very claim: the upload waits
	// again.
	Release(ctx context.Context, c Claim) error
}

// Claim says that the direct upload of an object has been taken.
type Claim struct {
	Bucket string
	Key    Key
	// ID tells the claim from another one's of the same upload. It is random, of at
	// most 32 letters and digits.
	ID string
	// Until is when the upload's token expires: until then nobody else may take it.
	Until time.Time
}

type journalKey struct{}

// WithJournal returns a context under which transactions note what they store
// in j. A save without a transaction is not noted: nobody would ever settle it.
func WithJournal(ctx context.Context, j Journal) context.Context {
	return context.WithValue(ctx, journalKey{}, j)
}

// JournalFrom returns the Journal of ctx, or nil.
func JournalFrom(ctx context.Context) Journal {
	j, _ := ctx.Value(journalKey{}).(Journal)
	return j
}

// note tells the journal of what comes next.
func (u *upload) note(ctx context.Context, key Key, multipart string) error {
	if u.journal == nil {
		return nil
	}
	return u.journal.Writing(ctx, Written{Bucket: u.bucket.name, Key: key, Upload: u.id, Multipart: multipart})
}

// RemoveWritten undoes what a Journal noted, after a crash: it gives the parts of
// an unfinished upload back and removes the object if it is still the one that
// the upload wrote. What is not there (any more) is no error. Objects encrypted
// with a customer's key cannot be told apart and are an error.
func (b *Bucket) RemoveWritten(ctx context.Context, w Written) error {
	if w.Key.IsZero() {
		return errNoKey("delete", b.name)
	}
	var err error
	switch w.Multipart {
	case "":
	case MultipartStarting:
		err = b.abortStarted(ctx, w.Key, time.Time{})
	default:
		err = b.abortUpload(ctx, w.Key, w.Multipart)
	}
	if err != nil {
		return err
	}
	if w.Upload == "" {
		return b.removeFile(ctx, w.Key)
	}
	own, ours, err := b.written(ctx, w.Key, w.Upload, nil)
	if err != nil || !ours {
		return err
	}
	if own.Size == 0 { // it may have held the place of a larger one
		if err := b.abortStarted(ctx, w.Key, own.LastModified.Truncate(time.Second)); err != nil {
			return err
		}
	}
	return b.removeFile(ctx, w.Key)
}

// abortStarted ends the multipart uploads of exactly that key that were started since.
func (b *Bucket) abortStarted(ctx context.Context, key Key, since time.Time) error {
	open, err := b.openUploads(ctx, key)
	if KindOf(err) == ErrDenied { // it will be so the next time; what else is left can be removed
		b.store.warn(ctx, "a multipart upload may have been left open", err)
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, one := range open {
		if !one.Initiated.Before(since) {
			errs = append(errs, b.abortUpload(ctx, key, one.UploadID))
		}
	}
	return errors.Join(errs...)
}

// maxOpenUploads bounds what is asked for: a key has one, or few.
const maxOpenUploads = 100

// openUploads lists the multipart uploads that are open under exactly that key.
func (b *Bucket) openUploads(ctx context.Context, key Key) (open []minio.ObjectMultipartInfo, err error) {
	err = b.store.retry(ctx, b.at("list uploads", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		list, err := b.store.internal.ListMultipartUploads(ctx, b.name, key.String(), "", "", "", maxOpenUploads)
		open = slices.DeleteFunc(list.Uploads, func(one minio.ObjectMultipartInfo) bool { return one.Key != key.String() })
		return err
	})
	return open, err
}

func (b *Bucket) abortUpload(ctx context.Context, key Key, id string) error {
	return b.store.retry(ctx, b.at("abort upload", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		err := b.store.internal.AbortMultipartUpload(ctx, b.name, key.String(), id)
		var r minio.ErrorResponse
		if errors.As(err, &r) && (r.Code == "NoSuchUpload" || r.Code == "NoSuchBucket") {
			return nil
		}
		return err
	})
}

// Stored returns what the open transaction, and those around it, stored or
// claimed under a Journal and that has not been settled, in the order of that.
func (t *Txn) Stored() []Written {
	if t == nil {
		return nil
	}
	list := t.parent.Stored()
	if t.Done() {
		return list
	}
	for _, f := range t.taken() {
		if f.journal != nil && f.state.Load() == fileOpen {
			list = append(list, f.written())
		}
	}
	return list
}

// written is what a Journal was told of the file.
func (f *txnFile) written() Written {
	return Written{Bucket: f.bucket, Key: f.key, Upload: f.upload, Target: f.target, Options: f.options}
}

// Deleted returns the objects that go when the open transaction commits, each
// with its bucket and key: its own, and those of the transactions around it.
func (t *Txn) Deleted() []Written {
	var list []Written
	for ; t != nil; t = t.parent {
		t.mu.Lock()
		for _, d := range t.deletions {
			if t.ended == notEnded && !d.spared.Load() {
				list = append(list, Written{Bucket: d.bucket, Key: d.key})
			}
		}
		t.mu.Unlock()
	}
	return list
}

// Spare takes the deletions of an object back, as where another row turns out to
// have it.
func (t *Txn) Spare(bucket string, key Key) {
	for ; t != nil; t = t.parent {
		t.mu.Lock()
		for _, d := range t.deletions {
			if d.bucket == bucket && d.key == key {
				d.spared.Store(true)
			}
		}
		t.mu.Unlock()
	}
}

// Settle says that a committed row has the object: it stays, however the
// transaction that stored or claimed it, or one around it, ends. false if none of
// them did.
func (t *Txn) Settle(bucket string, key Key) bool {
	f := t.file(bucket, key)
	if f == nil || !f.keep() {
		return false
	}
	f.settled.Store(true)
	return true
}

// Finish brings a settled object to its Target now, and not at the transaction's end,
// which then has nothing to do with it, whatever comes of this. For an object that
// replaces nothing, or is not settled, there is nothing to do.
func (t *Txn) Finish(ctx context.Context, bucket string, key Key) error {
	f := t.file(bucket, key)
	if f == nil || f.instead == nil || !f.settled.Load() {
		return nil
	}
	t.supersede(f)
	return f.instead.commit(ctx)
}

// supersede has what was stored earlier as the same object not come to its Target any
// more: it would overwrite the object that a row has.
func (t *Txn) supersede(by *txnFile) {
	for ; t != nil; t = t.parent {
		for _, f := range t.taken() {
			if f != by && f.instead != nil && f.bucket == by.bucket && f.target == by.written().RowKey() && f.state.Load() == fileOpen {
				f.instead.ended.Store(true)
			}
		}
	}
}

// LeaveFile is Settle where nobody knows whether the row is there (see Leave): the
// object stays, and does not come to its Target.
func (t *Txn) LeaveFile(bucket string, key Key) bool {
	f := t.file(bucket, key)
	if f != nil && f.instead != nil {
		t.supersede(f)
		f.instead.ended.Store(true)
	}
	return t.Settle(bucket, key)
}

// Holds says whether the transaction, or one around it, stored or claimed the
// object, settled or not. A nil Txn holds nothing.
func (t *Txn) Holds(bucket string, key Key) bool { return t.file(bucket, key) != nil }

// Leave ends the transaction and those around it without doing anything: what
// was stored stays, and so does what was to be deleted. It is for the one case
// in which nobody knows whether the row is there, a commit whose answer was
// lost: an object too many is mended by a sweep, one too few by nothing.
func (t *Txn) Leave() {
	for ; t != nil; t = t.parent {
		for _, f := range t.taken() {
			f.end()
		}
		_, _, _ = t.end(committed)
	}
}

// deletion is an object that goes at the commit.
type deletion struct {
	bucket string
	key    Key
	spared atomic.Bool
}
