package core

import (
	"context"
	"iter"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// Entry is one line of a one-level listing: an object, or a common prefix.
type Entry struct {
	// Name is the last segment of the key or prefix.
	Name string
	// Dir says that it is a prefix; Object is zero then.
	Dir    bool
	Object Object
}

// List yields what lies directly under dir ("" is the top), in the order of the
// keys, a page per request as the loop asks for it. A marker object "dir/" is
// not listed. An error ends the loop.
func (b *Bucket) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		prefix, err := listPrefix(dir)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		for info, err := range b.walk(ctx, minio.ListObjectsOptions{Prefix: prefix}) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			name := strings.TrimPrefix(info.Key, prefix)
			entry := Entry{Name: strings.TrimSuffix(name, "/"), Dir: strings.HasSuffix(name, "/")}
			if entry.Name == "" {
				continue
			}
			if !entry.Dir {
				entry.Object = b.object(Key{s: info.Key}, info)
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// listPrefix turns a folder's name, normalised as Save does ("./a/./." is "a"),
// into what its keys start with.
func listPrefix(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	child, err := NormalizeName(dir + "/-")
	return strings.TrimSuffix(child, "-"), err
}

// Walk yields every object whose key starts with prefix, in the order of the
// keys, a page per request as the loop asks for it. prefix is compared byte for
// byte; nothing in it is special. An error ends the loop. The end is where a page
// has nothing, which is one request more; AWS is taken at its word.
func (b *Bucket) Walk(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return b.WalkFrom(ctx, WalkOptions{Prefix: prefix})
}

// WalkOptions say where a walk begins. The zero value walks the whole bucket.
type WalkOptions struct {
	// Prefix is what the keys start with, byte for byte.
	Prefix string
	// After leaves out the keys up to and with this one, in the order of S3, which
	// is that of their bytes. An object need not have it.
	After string
	// Page is how many keys a request asks for. Default, and at most, 1000.
	Page int
}

// WalkFrom is Walk from a key on, as to go on where another walk ended.
func (b *Bucket) WalkFrom(ctx context.Context, options WalkOptions) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		list := minio.ListObjectsOptions{Prefix: options.Prefix, StartAfter: options.After, MaxKeys: options.Page, Recursive: true}
		for info, err := range b.walk(ctx, list) {
			if err != nil {
				yield(Object{}, err)
				return
			}
			if strings.HasSuffix(info.Key, "/") {
				continue
			}
			if !yield(b.object(Key{s: info.Key}, info), nil) {
				return
			}
		}
	}
}

// walk yields what a listing has. A page is asked for again where that may help.
func (b *Bucket) walk(ctx context.Context, options minio.ListObjectsOptions) iter.Seq2[minio.ObjectInfo, error] {
	at := Error{Op: "list", Bucket: b.name, Key: options.Prefix}
	options.FetchOwner = new(bool) // nobody asks for it, and it is a third of the answer
	return func(yield func(minio.ObjectInfo, error) bool) {
		l := listing{bucket: b, at: at, options: options, last: options.StartAfter, yield: yield}
		for !l.ended {
			err := b.store.again(ctx, at, func(int) error {
				moved, err := l.pages(ctx)
				if moved && err != nil && retryable(err) {
					return nil // the next page has tries of its own
				}
				return err
			})
			if err != nil {
				yield(minio.ObjectInfo{}, err)
				return
			}
		}
	}
}

// listing is a walk under way.
type listing struct {
	bucket  *Bucket
	at      Error
	options minio.ListObjectsOptions
	yield   func(minio.ObjectInfo, error) bool

	// last is the greatest key or common prefix so far. What comes after it is
	// missing when a page fails: one is read as a whole before its first entry is
	// yielded.
	last  string
	ended bool // there is no more, or no more is wanted
}

// pages yields what comes after last until a page fails, and says whether there
// was any.
func (l *listing) pages(ctx context.Context) (moved bool, err error) {
	store, begin := l.bucket.store, l.last
	ctx, dog := watch(ctx, store.patience())
	defer dog.stop()
	l.options.StartAfter = begin
	for info := range store.internal.ListObjectsIter(ctx, l.bucket.name, l.options) {
		if info.Err != nil {
			return moved, store.mapError(ctx, l.at, info.Err)
		}
		if info.Key <= begin {
			continue // a common prefix, by which some servers begin again
		}
		dog.pause()
		moved, l.last = true, max(l.last, info.Key)
		if !l.yield(info, nil) {
			l.ended = true
			return moved, nil
		}
		dog.moved()
	}
	// The iterator ends silently when its context does.
	if cause := context.Cause(ctx); cause != nil {
		return moved, store.mapError(ctx, l.at, cause)
	}
	l.ended = l.isEnd(moved)
	l.options.MaxKeys = 0
	return moved, nil
}

// isEnd says whether a page that said it was the last one was. MinIO counts to a
// page's keys also what single drives still have of objects that were deleted while
// they were away, leaves these out, and says that a page which is short of them
// is the last: what comes behind is in no list. So the end is where a full page
// has nothing, unless a thousand such remains follow each other. AWS is spared the
// request.
func (l *listing) isEnd(moved bool) bool {
	endpoint := url.URL{Host: l.bucket.store.config.Endpoint}
	return s3utils.IsAmazonEndpoint(endpoint) || !moved && l.options.MaxKeys == 0
}
