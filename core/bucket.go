package core

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// Bucket is one bucket of a Store: Django's storage surface (save, open, stat,
// exists, delete, list, url), and copy and move. Safe for concurrent use.
type Bucket struct {
	store    *Store
	name     string
	public   bool
	declared BucketConfig // zero where Declare was not called
	// uploaders are the origins whose pages upload straight to it.
	uploaders []string
	ensuring  lazily
	known     atomic.Pointer[url.URL] // its address
	// where its objects are, at the external and the internal endpoint
	outside, inside atomic.Pointer[place]
}

// Name returns the bucket's name.
func (b *Bucket) Name() string { return b.name }

// Public says whether anyone may read the bucket's objects.
func (b *Bucket) Public() bool { return b.public }

func (b *Bucket) at(op string, key Key) Error {
	return Error{Op: op, Bucket: b.name, Key: key.String()}
}

// Save streams content to a name the app chose, as Django's Storage.save: the
// name is normalised ("a//b.txt" is "a/b.txt"), a taken one gets an alternative
// unless in.Replace is set, and the object's key is the one actually used.
// Content may have up to 5 TiB. Errors as Field.Save.
func (b *Bucket) Save(ctx context.Context, name string, in Upload) (Object, error) {
	clean, err := NormalizeName(name)
	if err != nil {
		return Object{}, err
	}
	setDefault(&in.Name, clean[strings.LastIndexByte(clean, '/')+1:])
	u := &upload{store: b.store, bucket: b, in: in, maxSize: Unlimited, maxKey: maxKeyLength, allowEmpty: true}
	u.makeKey = func(string) (Key, bool, error) {
		key, err := ParseKey(clean)
		return key, false, err
	}
	return u.save(ctx)
}

// Stat returns what storage knows about an object. ErrNotFound only if storage
// says so: an outage or a refusal is its own kind.
func (b *Bucket) Stat(ctx context.Context, key Key) (Object, error) {
	return b.stat(ctx, key, nil)
}

func (b *Bucket) stat(ctx context.Context, key Key, encryption encrypt.ServerSide) (Object, error) {
	if key.IsZero() {
		return Object{}, errNoKey("stat", b.name)
	}
	request, err := OpenOptions{Encryption: encryption}.request()
	if err != nil {
		return Object{}, err
	}
	request.Checksum = true
	var info minio.ObjectInfo
	err = b.store.retry(ctx, b.at("stat", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		info, err = b.store.internal.StatObject(ctx, b.name, key.String(), request)
		return err
	})
	if err != nil {
		return Object{}, b.explain(ctx, key, err, request)
	}
	return b.object(key, info), nil
}

// explain finds out why a HEAD request failed. The answer to one has no body, so
// a server cannot say whether the object, the bucket or the user is unknown; to
// a GET it does. Only what a GET confirms is reported.
func (b *Bucket) explain(ctx context.Context, key Key, err error, request minio.GetObjectOptions) error {
	if kind := KindOf(err); kind != ErrNotFound && kind != ErrDenied {
		return err
	}
	_ = request.SetRange(0, 0)
	why := b.store.attempt(ctx, b.at("stat", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		body, _, _, err := b.store.internal.GetObject(ctx, b.name, key.String(), request)
		if err == nil {
			_ = body.Close()
		}
		return err
	})
	if why == nil || KindOf(why) == ErrRange {
		return err
	}
	return why
}

// Exists says whether an object exists. An error is never "no".
func (b *Bucket) Exists(ctx context.Context, key Key) (bool, error) {
	_, err := b.Stat(ctx, key)
	if KindOf(err) == ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

// Store returns the Store the bucket belongs to.
func (b *Bucket) Store() *Store { return b.store }

// Delete removes an object; one that does not exist is no error. Under a Txn it
// happens when the transaction commits. In a versioned bucket it leaves a
// delete marker. Its variants, where a field of the bucket declares some, go with
// it.
func (b *Bucket) Delete(ctx context.Context, key Key) error {
	if key.IsZero() {
		return errNoKey("delete", b.name)
	}
	if txn := TxnFrom(ctx); txn != nil {
		return txn.delete(b, key)
	}
	return b.removeFile(ctx, key)
}

func (b *Bucket) remove(ctx context.Context, key Key) error {
	return b.store.retry(ctx, b.at("delete", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		return b.store.internal.RemoveObject(ctx, b.name, key.String(), minio.RemoveObjectOptions{})
	})
}

// Unchanged says whether an object still is the one that was seen, by ETag and
// time.
func (b *Bucket) Unchanged(ctx context.Context, seen Object) (bool, error) {
	now, err := b.stat(ctx, seen.Key, nil)
	switch {
	case err == nil && seen.same(now):
		return true, nil
	case KindOf(err) == ErrNotFound:
		return false, nil
	case err != nil && KindOf(err) != ErrUnsupported:
		return false, err
	}
	// A listing tells of an object that is encrypted with a key of the app's too,
	// and may tell another ETag of an encrypted one.
	for now, err := range b.WalkFrom(ctx, WalkOptions{Prefix: seen.Key.s, Page: 1}) {
		return err == nil && seen.same(now), err
	}
	return false, nil
}

// same says whether two descriptions are of one object. A HEAD request tells the
// time to the second.
func (o Object) same(as Object) bool {
	return o.Key == as.Key && o.ETag == as.ETag && o.Modified.Truncate(time.Second).Equal(as.Modified.Truncate(time.Second))
}

// DeleteUnchanged removes an object if it still is the one that was seen:
// ErrPrecondition if another has taken its place or it is gone. It happens at
// once, also under a Txn, and leaves a marker and takes the variants with it as
// Delete does.
//
// The object is looked at first, and then the storage compares the ETag while it
// removes (If-Match), so that nothing comes between. MinIO does not compare, nor
// do servers that do not know the condition: an object that is replaced in the
// moment between the two goes there.
func (b *Bucket) DeleteUnchanged(ctx context.Context, seen Object) error {
	at := b.at("delete", seen.Key)
	same, err := b.Unchanged(ctx, seen)
	if err != nil {
		return err
	}
	if !same {
		at.Kind = ErrPrecondition
		return &at
	}
	r := bucketRequest{method: http.MethodDelete, header: http.Header{"If-Match": {`"` + seen.ETag + `"`}}}
	err = b.store.retry(ctx, at, b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		u, err := b.store.internal.Presign(ctx, http.MethodDelete, b.name, seen.Key.s, time.Minute, nil)
		if err != nil {
			return err
		}
		u.RawQuery = "" // the header signs
		_, err = b.store.send(ctx, u, b.name, r)
		return err
	})
	if notImplemented(err) {
		err = b.remove(ctx, seen.Key)
	}
	if err = ignoreNotFound(err); err != nil { // an earlier try did it
		return err
	}
	return b.removeVariants(ctx, seen.Key)
}

// Versioning asks whether the bucket keeps versions; a server that has none says
// VersioningOff.
func (b *Bucket) Versioning(ctx context.Context) (Versioning, error) {
	answer, err := b.ask(ctx, "read versioning", bucketRequest{method: http.MethodGet, query: setting("versioning")})
	if notImplemented(err) {
		return VersioningOff, nil
	}
	if err != nil {
		return "", err
	}
	var config minio.BucketVersioningConfiguration
	if err := xml.Unmarshal(answer.body, &config); err != nil {
		return "", &Error{Kind: ErrUnavailable, Op: "read versioning", Bucket: b.name, Err: err, Detail: "the server's answer is not XML as S3 has it"}
	}
	if config.Status == "" {
		return VersioningOff, nil
	}
	return Versioning(config.Status), nil
}

// Clock returns the storage's time, to the second, as it stands in its answers
// and in Object.Modified. It is this machine's where storage tells none.
func (b *Bucket) Clock(ctx context.Context) (time.Time, error) {
	answer, err := b.ask(ctx, "read the clock", bucketRequest{method: http.MethodHead})
	if err != nil {
		return time.Time{}, err
	}
	if now, err := http.ParseTime(answer.header.Get("Date")); err == nil {
		return now.UTC(), nil
	}
	return b.store.config.Now().UTC().Truncate(time.Second), nil
}

func errNoKey(op, bucket string) error {
	return &Error{Kind: ErrName, Op: op, Bucket: bucket, Detail: "no key was given"}
}
