package core

import (
	"context"
	"net/url"
	"strings"
	"sync/atomic"

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
	why := b.store.request(ctx, b.at("stat", key), b.store.patience(), func(ctx context.Context, _ *watchdog) error {
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

// Delete removes an object; one that does not exist is no error. Under a Txn it
// happens when the transaction commits. In a versioned bucket it leaves a
// delete marker.
func (b *Bucket) Delete(ctx context.Context, key Key) error {
	if key.IsZero() {
		return errNoKey("delete", b.name)
	}
	if txn := TxnFrom(ctx); txn != nil {
		return txn.OnCommit(func(ctx context.Context) error { return b.remove(ctx, key) })
	}
	return b.remove(ctx, key)
}

func (b *Bucket) remove(ctx context.Context, key Key) error {
	return b.store.retry(ctx, b.at("delete", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		return b.store.internal.RemoveObject(ctx, b.name, key.String(), minio.RemoveObjectOptions{})
	})
}

func errNoKey(op, bucket string) error {
	return &Error{Kind: ErrName, Op: op, Bucket: bucket, Detail: "no key was given"}
}
