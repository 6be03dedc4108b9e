package core

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// A file that outlives its request without a row is pending: its object has the
// tag pendingTag, so that the bucket's lifecycle or ExpirePending removes it when
// nobody comes back for it. Claim takes it off again. Who claims holds a lock
// meanwhile, an object that can be created once, so that of two requests with
// one token, or a request and ExpirePending, one goes first.
const (
	pendingTag   = "filefield"
	pendingValue = "pending"
	claimPrefix  = ".filefield-claim-" // of a lock's last segment
)

// Keep lets a file of this request outlive it without a row, as when a form comes
// back with its faults and should not ask for the file again, and returns the
// token that brings it back, bound to the subject ctx names. Such a file is
// pending: the token takes it once (see Claim), and nobody's is removed in time.
// Do not also give it to a row.
//
// Only a file that the transaction of ctx stored or claimed becomes pending; for
// any other, one that a row has, the token is as from Sign. So it is for one that
// was to replace another's content (Upload.Replace), which goes: its token will be
// refused, and the file has to be chosen again. ErrConfig without a
// transaction, ErrTxnDone after it has ended; otherwise the storage's kinds.
func (f *Field) Keep(ctx context.Context, o Object) (string, error) {
	txn := TxnFrom(ctx)
	switch {
	case f.fault != nil:
		return "", f.fault
	case txn == nil:
		return "", &Error{Kind: ErrConfig, Op: "keep", Field: f.config.Name, Advice: "keep files under the request's transaction: mount the middleware, or call core.Begin"}
	}
	file := txn.file(f.bucket.name, o.Key)
	if file == nil || file.settled.Load() || !file.target.IsZero() {
		return f.Sign(o, SubjectFrom(ctx)), nil
	}
	if !file.keep() { // a committed file is a row's: marking it would have it expire
		return "", errTxnDone()
	}
	if err := f.keepMarked(ctx, file); err != nil {
		file.state.CompareAndSwap(fileKept, fileOpen)
		return "", err
	}
	return f.SignPending(o, SubjectFrom(ctx)), nil
}

// keepMarked marks a file as pending. From then on the mark says when it goes: a
// Journal that still had it would have it removed although a row may come to have it.
func (f *Field) keepMarked(ctx context.Context, file *txnFile) error {
	if err := f.bucket.setPending(ctx, file.key); err != nil || file.journal == nil {
		return err
	}
	journal := JournalFrom(ctx) // which may be another one inside a database's transaction
	if journal == nil {
		journal = file.journal
	}
	return journal.Gone(ctx, file.written())
}

// SignAgain makes a new token of one that was not claimed, for another try: it
// stands for the same, and lives as long as the first where that is pending.
func (f *Field) SignAgain(t Token, subject string) string {
	switch {
	case t.direct != nil:
		t.Subject = subject
		return f.signDirect(t)
	case t.Pending:
		return f.SignPending(t.Object, subject)
	default:
		return f.Sign(t.Object, subject)
	}
}

// SignPending makes the token of an object that is pending: it has to be claimed
// before it fills the field, and can be once. Otherwise as Sign.
func (f *Field) SignPending(o Object, subject string) string {
	return f.signFor(purposeClaim, o, subject, f.tokenExpiry())
}

// Claim takes the file of a verified token for this request: ErrToken if the
// token is bound to another subject than ctx names or, where the file is pending
// (see Keep), if it is gone, its key has become another file's, it has been taken
// before, or is being taken by another request. Under a transaction that rolls
// back a pending file is pending again, and its token good for another try. A token
// that needs no claiming is fine; whether its file is still there, Confirm says.
//
// A pending file costs four small requests, and one at the transaction's end.
// ErrConfig without a transaction, for a pending file; otherwise the storage's
// kinds. Safe for concurrent use.
func (f *Field) Claim(ctx context.Context, t Token) error {
	_, err := f.ClaimObject(ctx, t)
	return err
}

// ClaimObject is Claim, and returns the file as it is known then: what the token
// says, and for a direct upload (see BeginDirect) what the content showed.
func (f *Field) ClaimObject(ctx context.Context, t Token) (Object, error) {
	if f.fault != nil {
		return Object{}, f.fault
	}
	if err := f.checkSubject(ctx, t); err != nil {
		return Object{}, err
	}
	if !t.Pending {
		return t.Object, nil
	}
	txn := TxnFrom(ctx)
	if txn == nil {
		return Object{}, &Error{Kind: ErrConfig, Op: "claim", Field: f.config.Name, Advice: "claim files under the request's transaction: mount the middleware, or call core.Begin"}
	}
	object := t.Object
	var err error
	if t.direct != nil {
		object, err = f.claimDirect(ctx, txn, t)
	} else {
		err = f.claimIn(ctx, txn, t)
	}
	if err != nil {
		return Object{}, err
	}
	return object, f.variantsOnCommit(ctx, object)
}

func (f *Field) checkSubject(ctx context.Context, t Token) error {
	if t.Subject != "" && t.Subject != SubjectFrom(ctx) {
		return f.badToken("claim", errors.New("the token is bound to another subject"))
	}
	return nil
}

// Confirm asks storage, with a HEAD, whether a verified token's file is still there,
// and still the same: a page may hold the token of a file that has been removed
// since, a key that was freed may have become somebody else's, and a row must not
// point at either. ErrToken if not; otherwise the storage's kinds. Uploads asks for
// every token a request brings. Safe for concurrent use.
func (f *Field) Confirm(ctx context.Context, t Token) error {
	stored, err := f.Stat(ctx, t.Object.Key)
	switch {
	case KindOf(err) == ErrNotFound:
		return f.badToken("claim", errors.New("the file has been removed"))
	case err != nil:
		return err
	case !stored.maybe(t.Object):
		return f.badToken("claim", errors.New("another file has its key"))
	}
	return nil
}

// maybe says whether what is known of the content of two objects agrees. Of a file
// from a column of keys (ColumnKey) nothing is.
func (o Object) maybe(other Object) bool {
	if other.Size != 0 && other.Size != o.Size {
		return false
	}
	a, b := o.CRC32C, other.CRC32C
	if a == "" || b == "" || strings.Contains(a+b, "-") { // unknown, or a sum of the parts' sums
		return true
	}
	return a == b
}

func (f *Field) claimIn(ctx context.Context, txn *Txn, t Token) error {
	b, key := f.bucket, t.Object.Key
	unlock, err := b.lock(ctx, key)
	if KindOf(err) == ErrPrecondition {
		return f.badToken("claim", errors.New("another request is taking the file"))
	}
	if err != nil {
		return err
	}
	journal := JournalFrom(ctx)
	if untake, err := f.takePending(ctx, t, journal); err != nil {
		b.tidy(ctx, err, untake) // each in its own time
		b.tidy(ctx, err, unlock)
		return err
	}
	file := txn.took(&txnFile{bucket: b.name, key: key, journal: journal})
	release := func(ctx context.Context) error {
		if file.end() {
			return errors.Join(b.waitAgain(ctx, key, journal), unlock(ctx))
		}
		return unlock(ctx) // it was kept, and is pending already
	}
	if err := txn.onEnd(unlock, release); err != nil {
		b.tidy(ctx, err, release) // the transaction ended meanwhile
		return err
	}
	return nil
}

// takePending takes the mark off, where it is. The journal hears of it before, and
// not of a file that has no mark: that one is a row's. Where it fails, untake is what
// has to be undone.
func (f *Field) takePending(ctx context.Context, t Token, journal Journal) (untake func(context.Context) error, err error) {
	b, key := f.bucket, t.Object.Key
	untake = nothing
	if err := f.Confirm(ctx, t); err != nil {
		return untake, err
	}
	set, err := b.tags(ctx, key)
	switch {
	case KindOf(err) == ErrNotFound:
		return untake, f.badToken("claim", errors.New("the file has been removed"))
	case err != nil:
		return untake, err
	case set[pendingTag] != pendingValue:
		return untake, f.badToken("claim", errors.New("the file has been taken before"))
	}
	if journal != nil {
		untake = func(ctx context.Context) error { return journal.Gone(ctx, Written{Bucket: b.name, Key: key}) }
		if err := journal.Writing(ctx, Written{Bucket: b.name, Key: key}); err != nil {
			return untake, err
		}
	}
	delete(set, pendingTag)
	if err = b.setTags(ctx, key, set); err != nil && reached(err) {
		untake = func(ctx context.Context) error { return b.waitAgain(ctx, key, journal) }
	}
	return untake, err
}

// waitAgain marks a file that was claimed, and then has the journal forget the claim.
func (b *Bucket) waitAgain(ctx context.Context, key Key, journal Journal) error {
	if err := b.setPending(ctx, key); err != nil || journal == nil {
		return err
	}
	return journal.Gone(ctx, Written{Bucket: b.name, Key: key})
}

func (f *Field) badToken(op string, why error) error {
	return &Error{
		Kind: ErrToken, Op: op, Field: f.config.Name,
		Detail: "This is not a valid file of this field; choose the file again.", Err: why,
	}
}

// ExpirePending removes the pending files that were stored longer ago than age
// (see Keep), and says how many. It is for servers without lifecycle rules: it
// lists the bucket and asks for the tags of every object older than age, which
// should exceed the configuration's TokenExpiry. Safe beside live traffic, where
// direct uploads are claimed under a Claims, with an age above that or a ctx that
// carries it; an error ends it, what is left is for the next time.
func (b *Bucket) ExpirePending(ctx context.Context, age time.Duration) (removed int, err error) {
	before := b.store.config.Now().Add(-age)
	for o, err := range b.Walk(ctx, "") {
		if err != nil {
			return removed, err
		}
		if _, isVariant := o.Key.VariantOf(); isVariant || !o.Modified.Before(before) {
			continue
		}
		expired, err := b.RemovePending(ctx, o.Key)
		if err != nil {
			return removed, err
		}
		if expired {
			removed++
		}
	}
	return removed, nil
}

// RemovePending removes one object if it is pending and nobody is claiming it,
// and says whether it did; a lock (see Key.IsLock) it removes in any case, without
// saying so. The caller has seen that the object is old: see ExpirePending.
func (b *Bucket) RemovePending(ctx context.Context, key Key) (removed bool, err error) {
	if key.IsLock() {
		return false, b.remove(ctx, key)
	}
	if pending, err := b.pending(ctx, key); err != nil || !pending {
		return false, ignoreNotFound(err)
	}
	unlock, err := b.lock(ctx, key)
	if KindOf(err) == ErrPrecondition {
		return false, nil // it is being claimed
	}
	if err != nil {
		return false, err
	}
	// It may have been claimed meanwhile, or be on its way from a direct upload.
	pending, err := b.pending(ctx, key)
	if err == nil && pending {
		var release func(context.Context) error
		if release, err = b.takeUnclaimed(ctx, key); KindOf(err) == ErrPrecondition {
			pending, err = false, nil
		} else if err == nil {
			err = errors.Join(b.removeFile(ctx, key), release(ctx))
		}
	}
	return err == nil && pending, errors.Join(ignoreNotFound(err), unlock(ctx))
}

// takeUnclaimed has no request claim a direct upload of the key meanwhile, however
// that decides.
func (b *Bucket) takeUnclaimed(ctx context.Context, key Key) (release func(context.Context) error, err error) {
	unmark, err := b.take(ctx, markerKey(key))
	claims, ok := JournalFrom(ctx).(Claims)
	if err != nil || !ok {
		return unmark, err
	}
	unnote, err := b.note(ctx, claims, Claim{Key: key, Until: b.store.config.Now().Add(maxDirectExpiry)})
	if err != nil {
		return nil, errors.Join(err, unmark(ctx))
	}
	return func(ctx context.Context) error { return errors.Join(unnote(ctx), unmark(ctx)) }, nil
}

// IsLock says whether the key is that of a lock that claiming a pending file
// takes. An old one was left behind by a process that died.
func (k Key) IsLock() bool { return strings.HasPrefix(k.Base(), claimPrefix) }

// IsPending says whether the tags are those of a pending file: see Field.Keep.
func IsPending(tags map[string]string) bool { return tags[pendingTag] == pendingValue }

func ignoreNotFound(err error) error {
	if KindOf(err) == ErrNotFound {
		return nil
	}
	return err
}

// lockKey is where the lock of an object is: beside it, since a server on a file
// system makes and removes folders as keys come and go, and this one stays as
// long as the object does.
func lockKey(key Key) Key { return besideKey(key, key.Base()) }

func besideKey(key Key, name string) Key {
	sum := sha256.Sum256([]byte(name))
	folder := strings.TrimSuffix(key.String(), key.Base())
	if len(folder) > maxKeyLength/2 { // a folder above it, which stays as long, too
		folder = folder[:strings.LastIndexByte(folder[:maxKeyLength/2], '/')+1]
	}
	return Key{s: folder + claimPrefix + hex.EncodeToString(sum[:8])}
}

// lock takes the object's lock and returns what gives it back; ErrPrecondition
// if somebody has it.
func (b *Bucket) lock(ctx context.Context, key Key) (unlock func(context.Context) error, err error) {
	return b.take(ctx, lockKey(key))
}

// take makes an object that can be there once, and returns what removes it;
// ErrPrecondition where it is there.
func (b *Bucket) take(ctx context.Context, lock Key) (unlock func(context.Context) error, err error) {
	id := newUploadID()
	unlock = func(ctx context.Context) error { return b.remove(ctx, lock) }
	// A process that dies leaves its lock: the mark has a lifecycle rule remove it.
	_, err = b.reserve(ctx, lock, id, ObjectOptions{Tags: map[string]string{pendingTag: pendingValue}})
	if err != nil && reached(err) {
		b.tidy(ctx, err, func(ctx context.Context) error { return b.removeWritten(ctx, lock, id, nil) })
	}
	return unlock, err
}

// pending says whether an object is marked as pending.
func (b *Bucket) pending(ctx context.Context, key Key) (bool, error) {
	set, err := b.tags(ctx, key)
	return set[pendingTag] == pendingValue, err
}

// setPending sets the mark, and leaves other tags.
func (b *Bucket) setPending(ctx context.Context, key Key) error {
	set, err := b.tags(ctx, key)
	if err != nil {
		return err
	}
	set[pendingTag] = pendingValue
	return b.setTags(ctx, key, set)
}

// SetTags replaces an object's tags, at most ten. No tags remove them all.
// ErrConfig for tags S3 would not take; otherwise the storage's kinds. It is not
// part of a Txn.
func (b *Bucket) SetTags(ctx context.Context, key Key, set map[string]string) error {
	if key.IsZero() {
		return errNoKey("set tags", b.name)
	}
	return b.setTags(ctx, key, set)
}

// Tags returns an object's tags, in a map of the caller's own.
func (b *Bucket) Tags(ctx context.Context, key Key) (map[string]string, error) {
	if key.IsZero() {
		return nil, errNoKey("read tags", b.name)
	}
	return b.tags(ctx, key)
}

func (b *Bucket) setTags(ctx context.Context, key Key, set map[string]string) error {
	t, err := tags.NewTags(set, true)
	if err != nil {
		return &Error{Kind: ErrConfig, Op: "set tags", Bucket: b.name, Key: key.String(), Err: err, Advice: "leave one of the ten tags an object may have to the library"}
	}
	return b.store.retry(ctx, b.at("set tags", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		if len(set) == 0 {
			return b.store.internal.RemoveObjectTagging(ctx, b.name, key.String(), minio.RemoveObjectTaggingOptions{})
		}
		return b.store.internal.PutObjectTagging(ctx, b.name, key.String(), t, minio.PutObjectTaggingOptions{})
	})
}

// tags returns an object's tags, in a map of its own.
func (b *Bucket) tags(ctx context.Context, key Key) (set map[string]string, err error) {
	err = b.store.retry(ctx, b.at("read tags", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		t, err := b.store.internal.GetObjectTagging(ctx, b.name, key.String(), minio.GetObjectTaggingOptions{})
		if err == nil {
			set = t.ToMap()
		}
		return err
	})
	return set, err
}
