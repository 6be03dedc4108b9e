package core

import (
	"context"
	"errors"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// Copy copies an object on the storage's side, with its metadata, to a key of
// this or another bucket of the same Store. A taken key is ErrTaken unless
// replace is Replace. Above 5 GiB the parts are copied one by one, and content
// type and disposition are not taken over: such a copy is served as a download
// of unknown type. Under a Txn the copy goes again if it rolls back, and one
// that replaces is made when it commits.
//
// The variants that a field of both buckets declares are copied as well, as far as
// they exist; those of an object that is replaced go.
func (b *Bucket) Copy(ctx context.Context, from Key, to *Bucket, key Key, replace ReplaceMode) (Object, error) {
	return b.transfer(ctx, from, to, key, replace, func(context.Context) error { return nil })
}

// transfer copies an object and then, not before the copy is sure, does what is
// to follow.
func (b *Bucket) transfer(ctx context.Context, from Key, to *Bucket, key Key, replace ReplaceMode, then func(context.Context) error) (Object, error) {
	source, err := b.Stat(ctx, from)
	if err != nil {
		return Object{}, err
	}
	if key.IsZero() {
		return Object{}, errNoKey("copy", to.name)
	}
	txn := TxnFrom(ctx)
	if txn != nil && replace == Replace {
		original := source
		err := txn.OnCommit(func(ctx context.Context) error {
			if err := b.copy(ctx, from, source.Size, to, key, ObjectOptions{}); err != nil {
				return err
			}
			return errors.Join(b.takeVariants(ctx, original, to, key), then(ctx))
		})
		source.Bucket, source.Key, source.VersionID = to.name, key, ""
		return source, err
	}
	if replace == KeepExisting {
		err = b.copyNew(ctx, from, source.Size, to, key)
	} else {
		err = b.copy(ctx, from, source.Size, to, key, ObjectOptions{})
	}
	if err != nil {
		return Object{}, err
	}
	if err := b.takeVariants(ctx, source, to, key); err != nil {
		b.store.warn(ctx, "variants of a copied file could not be copied", err)
	}
	copied, err := to.Stat(ctx, key)
	if err != nil {
		return Object{}, err
	}
	if txn == nil {
		return copied, then(ctx)
	}
	undo := func(ctx context.Context) error { return to.removeVersion(ctx, key, copied.ETag) }
	if err := txn.OnRollback(undo); err != nil {
		to.tidy(ctx, err, undo) // the transaction ended meanwhile
		return Object{}, err
	}
	return copied, txn.OnCommit(then)
}

// copyNew copies to a key that is free, which it reserves first.
func (b *Bucket) copyNew(ctx context.Context, from Key, size int64, to *Bucket, key Key) error {
	id := newUploadID()
	_, err := to.reserve(ctx, key, id, ObjectOptions{})
	if KindOf(err) == ErrPrecondition {
		return &Error{Kind: ErrTaken, Op: "copy", Bucket: to.name, Key: key.String(), Err: err}
	}
	if err == nil {
		err = b.copy(ctx, from, size, to, key, ObjectOptions{})
	}
	if err != nil {
		to.tidy(ctx, err, func(ctx context.Context) error { return to.removeWritten(ctx, key, id, nil) })
	}
	return err
}

// ReplaceMode says what to do with an object that already has the wanted key.
type ReplaceMode uint8

const (
	// KeepExisting refuses with ErrTaken.
	KeepExisting ReplaceMode = iota
	// Replace overwrites it, atomically.
	Replace
)

// maxCopySize is the largest object one CopyObject request copies.
const maxCopySize = 5 * GiB

// copy copies one object with its metadata and tags. What S3 does not take over
// from the source (encryption, locks) comes from keep.
func (b *Bucket) copy(ctx context.Context, from Key, size int64, to *Bucket, key Key, keep ObjectOptions) error {
	return b.store.retry(ctx, to.at("copy", key), b.store.config.FinishTimeout, func(ctx context.Context, _ *watchdog, _ int) error {
		source := minio.CopySrcOptions{Bucket: b.name, Object: from.String()}
		target := minio.CopyDestOptions{
			Bucket: to.name, Object: key.String(), Encryption: keep.Encryption,
			Mode: keep.Retention.Mode, RetainUntilDate: keep.Retention.Until,
		}
		if keep.LegalHold {
			target.LegalHold = minio.LegalHoldEnabled
		}
		if customer := customerKey(keep.Encryption); customer != nil {
			source.Encryption = encrypt.SSECopy(customer)
		}
		if size > maxCopySize {
			_, err := b.store.internal.ComposeObject(ctx, target, source)
			return err
		}
		_, err := b.store.internal.Client.CopyObject(ctx, target, source)
		return err
	})
}

// Move is Copy, then Delete of the source. Under a Txn the source goes when it
// commits.
func (b *Bucket) Move(ctx context.Context, from Key, to *Bucket, key Key, replace ReplaceMode) (Object, error) {
	if b.name == to.name && from == key {
		return b.Stat(ctx, from)
	}
	return b.transfer(ctx, from, to, key, replace, func(ctx context.Context) error { return b.removeFile(ctx, from) })
}
