package core

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
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
// byte; nothing in it is special. An error ends the loop.
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

func (b *Bucket) walk(ctx context.Context, options minio.ListObjectsOptions) iter.Seq2[minio.ObjectInfo, error] {
	at := Error{Op: "list", Bucket: b.name, Key: options.Prefix}
	options.FetchOwner = new(bool) // nobody asks for it, and it is a third of the answer
	return func(yield func(minio.ObjectInfo, error) bool) {
		ctx, dog := watch(ctx, b.store.patience())
		defer dog.stop()
		list := b.store.internal.ListObjectsIter(ctx, b.name, options)
		for info := range list {
			if info.Err != nil {
				yield(info, b.store.mapError(ctx, at, info.Err))
				return
			}
			dog.pause()
			if !yield(info, nil) {
				return
			}
			dog.moved()
		}
		// The iterator ends silently when its context does.
		if cause := context.Cause(ctx); cause != nil {
			yield(minio.ObjectInfo{}, b.store.mapError(ctx, at, cause))
		}
	}
}
