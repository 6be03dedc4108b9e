package core

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
)

// MakeVariants makes the named variants of a file, without names all declared, as
// far as they do not exist: the work of a queue, of a handler that is asked for
// one, and of an app that declares variants of files it has. A file of a type that
// has no variants needs none, and is ErrType only where they are named. It is not part of a Txn. Errors as the VariantMaker's:
// ErrType, ErrPixels or ErrInvalid for what is not to be decoded, ErrNotFound for a
// file that is gone, otherwise the storage's kinds.
func (f *Field) MakeVariants(ctx context.Context, original Object, names ...string) error {
	if f.fault != nil {
		return f.fault
	}
	for _, name := range names {
		if _, err := f.Variant(original, name); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		if len(f.config.Variants) == 0 || !f.hasVariants(original.Type) {
			return nil
		}
		names = f.variantNames(func(Variant) bool { return true })
	}
	return f.config.VariantMaker.MakeVariants(ctx, f, original, names)
}

func (f *Field) variantNames(due func(Variant) bool) []string {
	var names []string
	for _, v := range f.config.Variants {
		if due(v) {
			names = append(names, v.Name)
		}
	}
	return names
}

// variantsDue hands over the work that a file brings which has become a row's.
// Nothing that goes wrong there takes the file from its row.
func (f *Field) variantsDue(ctx context.Context, o Object) {
	names := f.variantNames(func(v Variant) bool { return v.Make == OnUpload })
	if len(names) == 0 || !f.hasVariants(o.Type) {
		return
	}
	job := VariantJob{Field: f, Object: o, Names: names}
	if f.config.VariantWorker == nil {
		_ = job.Do(ctx) // logged
		return
	}
	if err := f.config.VariantWorker.Enqueue(ctx, job); err != nil {
		f.store.warn(ctx, "variants of a file could not be queued", err)
	}
}

// variantsOnCommit is variantsDue at the end of the transaction of ctx, if a row
// has the file then: at the commit, unless the file is kept without one (see Keep),
// and also at a rollback that comes after the row was committed (see Txn.Settle). At
// once without a transaction.
func (f *Field) variantsOnCommit(ctx context.Context, o Object) error {
	if !slices.ContainsFunc(f.config.Variants, func(v Variant) bool { return v.Make == OnUpload }) {
		return nil
	}
	txn := TxnFrom(ctx)
	if txn == nil {
		f.variantsDue(ctx, o)
		return nil
	}
	return f.variantsAtEnd(txn, o)
}

// variantsAtEnd is variantsOnCommit under a transaction.
func (f *Field) variantsAtEnd(txn *Txn, o Object) error {
	file := txn.file(o.Bucket, o.Key)
	dueIf := func(has func() bool) func(context.Context) error {
		return func(ctx context.Context) error {
			if has() {
				f.variantsDue(ctx, o)
			}
			return nil
		}
	}
	settled := func() bool { return file != nil && file.settled.Load() }
	return txn.onEnd(
		dueIf(func() bool { return file == nil || settled() || file.state.Load() != fileKept }),
		dueIf(settled),
	)
}

// StoreVariant stores a variant that was made of an original, which is to be as
// Open returned it: its ETag says of which content. One that exists already, of the
// same content, is let alone and returned. If the original has been replaced or
// removed meanwhile, nothing of the variant stays: ErrPrecondition, ErrNotFound. It
// is not part of a Txn. The content's type must be that of the variant.
func (f *Field) StoreVariant(ctx context.Context, original Object, name string, content []byte) (Object, error) {
	made, err := f.Variant(original, name)
	if err != nil {
		return Object{}, err
	}
	stored, written, err := f.putVariant(ctx, original, made, content, KeepExisting)
	if KindOf(err) == ErrTaken {
		stored, err = f.stat(ctx, made.Key)
		if err == nil && stored.source == original.ETag {
			return stored, nil
		}
		if err != nil && KindOf(err) != ErrNotFound {
			return Object{}, err
		}
		stored, written, err = f.putVariant(ctx, original, made, content, Replace)
	}
	if err != nil {
		return Object{}, err
	}
	// Who removes or replaces the original does that first and then removes its
	// variants: so either they find this one, or this finds out.
	now, err := f.stat(ctx, original.Key)
	if err == nil && now.ETag != original.ETag {
		err = &Error{Kind: ErrPrecondition, Op: "make variant", Field: f.config.Name, Bucket: f.bucket.name, Key: original.Key.s, Detail: "the file has been replaced"}
	}
	if err != nil {
		f.bucket.tidy(ctx, err, func(ctx context.Context) error {
			return f.bucket.removeWritten(ctx, made.Key, written, f.config.Options.Encryption)
		})
		return Object{}, err
	}
	return stored, nil
}

// HasVariant says whether a variant exists that was made of this very content of
// its original, whose ETag tells it.
func (f *Field) HasVariant(ctx context.Context, original Object, name string) (bool, error) {
	made, err := f.Variant(original, name)
	if err != nil {
		return false, err
	}
	file, err := f.Open(ctx, made.Key, OpenOptions{Length: 1}) // a GET says what is missing, a HEAD does not
	if KindOf(err) == ErrRange {                               // it is empty, which no image is
		return false, nil
	}
	if err != nil {
		return false, ignoreNotFound(err)
	}
	return file.source == original.ETag, file.Close()
}

func (f *Field) stat(ctx context.Context, key Key) (Object, error) {
	return f.bucket.stat(ctx, key, f.config.Options.Encryption)
}

// putVariant writes a variant and returns it and the mark of who wrote it.
func (f *Field) putVariant(ctx context.Context, original, made Object, content []byte, mode ReplaceMode) (Object, string, error) {
	options := f.config.Options
	options.Retention, options.LegalHold = Retention{}, false // it goes with its original
	options.Progress = nil
	u := &upload{
		store: f.store, bucket: f.bucket, field: f.config.Name, source: original.ETag,
		in:      Upload{Body: bytes.NewReader(content), Name: made.Name, Type: made.Type, Replace: mode == Replace, Options: options},
		maxSize: Unlimited, maxKey: maxKeyLength,
		makeKey: func(string) (Key, bool, error) { return made.Key, false, nil },
	}
	u.in.Limit = int64(len(content))
	// In one request, whatever its size: nobody sees a variant that is half there.
	u.in.Options.PartSize = max(minPartSize, u.in.Limit+1)
	u.alternative = func(Key) (Key, error) {
		return Key{}, &Error{Kind: ErrTaken, Op: "make variant", Field: f.config.Name, Bucket: f.bucket.name, Key: made.Key.s}
	}
	o, err := u.run(ctx)
	return o, u.id, err
}

// variantKeys returns the keys that a file's variants have if they exist, by the
// declarations of all fields that may have it; none for most files.
func (b *Bucket) variantKeys(key Key) []Key {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	var keys []Key
	for _, f := range b.store.fields {
		if f.bucket.name != b.name || !strings.HasPrefix(key.s, f.config.KeyPrefix) {
			continue
		}
		for _, leaf := range f.leaves {
			k, err := variantKey(key, leaf)
			if err == nil && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// removeFile removes an object and then its variants, in an order StoreVariant
// counts on.
func (b *Bucket) removeFile(ctx context.Context, key Key) error {
	if err := b.remove(ctx, key); err != nil {
		return err
	}
	return b.removeVariants(ctx, key)
}

// removeVariants removes the variants of a file that is gone or has been replaced.
// They are known by their keys: nothing is listed.
func (b *Bucket) removeVariants(ctx context.Context, key Key) error {
	var errs []error
	for _, k := range b.variantKeys(key) {
		errs = append(errs, b.remove(ctx, k))
	}
	return errors.Join(errs...)
}

// takeVariants follows a copy: what the target had of variants of another content
// goes, and those of the source are copied. One that is not there is made when it is
// asked for, or by MakeVariants.
func (b *Bucket) takeVariants(ctx context.Context, source Object, to *Bucket, key Key) error {
	var errs []error
	from := source.Key
	have := b.variantKeys(from)
	for _, target := range to.variantKeys(key) {
		file, err := to.Open(ctx, target, OpenOptions{Length: 1})
		switch {
		case err == nil:
			_ = file.Close()
			if file.source == source.ETag {
				continue
			}
			errs = append(errs, to.remove(ctx, target))
		case KindOf(err) != ErrNotFound:
			errs = append(errs, err)
			continue
		}
		source, err := variantKey(from, target.Base())
		if err != nil || !slices.Contains(have, source) {
			continue
		}
		if err := b.copy(ctx, source, 0, to, target, ObjectOptions{}); KindOf(err) != ErrNotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
