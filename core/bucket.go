package core

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// Bucket is one bucket of a Store: Django's storage surface (save, open, stat,
// exists, delete, list, url), and copy and move. Safe for concurrent use.
type Bucket struct {
	store  *Store
	name   string
	public bool
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

// OpenOptions say how to read an object. The zero value reads all of it.
type OpenOptions struct {
	// Offset and Length ask for a range in bytes. Length 0 means to the end. A
	// negative Offset counts from the end. ErrRange if it lies outside.
	Offset, Length int64
	// IfMatch and IfNoneMatch are ETags without quotes; IfModifiedSince and
	// IfUnmodifiedSince are times. A condition that does not hold is
	// ErrNotModified or ErrPrecondition.
	IfMatch, IfNoneMatch               string
	IfModifiedSince, IfUnmodifiedSince time.Time
	// VersionID asks for a version of a versioned bucket.
	VersionID string
	// Encryption carries the key of an object stored with SSE-C.
	Encryption encrypt.ServerSide
}

func (o OpenOptions) request() (minio.GetObjectOptions, error) {
	r := minio.GetObjectOptions{VersionID: o.VersionID}
	if o.Encryption != nil && o.Encryption.Type() == encrypt.SSEC {
		r.ServerSideEncryption = o.Encryption
	}
	var errs []error
	switch {
	case o.Length < 0 || (o.Offset < 0 && o.Length != 0):
		errs = append(errs, errors.New("a range has an offset and a length, or a negative offset alone"))
	case o.Offset < 0:
		errs = append(errs, r.SetRange(0, o.Offset))
	case o.Length > 0:
		errs = append(errs, r.SetRange(o.Offset, o.Offset+o.Length-1))
	case o.Offset > 0:
		errs = append(errs, r.SetRange(o.Offset, 0))
	}
	if o.IfMatch != "" {
		errs = append(errs, r.SetMatchETag(o.IfMatch))
	}
	if o.IfNoneMatch != "" {
		errs = append(errs, r.SetMatchETagExcept(o.IfNoneMatch))
	}
	if !o.IfModifiedSince.IsZero() {
		errs = append(errs, r.SetModified(o.IfModifiedSince))
	}
	if !o.IfUnmodifiedSince.IsZero() {
		errs = append(errs, r.SetUnmodified(o.IfUnmodifiedSince))
	}
	return r, errors.Join(errs...)
}

// Open reads an object, whole or a range, in one request. A missing object is
// ErrNotFound at once, not at the first Read. The File must be closed.
func (b *Bucket) Open(ctx context.Context, key Key, options OpenOptions) (*File, error) {
	if key.IsZero() {
		return nil, errNoKey("open", b.name)
	}
	request, err := options.request()
	if err != nil {
		return nil, &Error{Kind: ErrRange, Op: "open", Bucket: b.name, Key: key.String(), Err: err}
	}
	// The watchdog outlives this call: it guards the body until Close.
	guarded, dog := watch(ctx, b.store.patience())
	body, info, header, err := b.store.internal.GetObject(guarded, b.name, key.String(), request)
	if err != nil {
		err = b.store.mapError(guarded, b.at("open", key), err)
		dog.stop()
		return nil, err
	}
	dog.pause()
	f := &File{Object: b.object(key, info), Length: info.Size}
	f.ReadCloser = &guardedBody{body: body, dog: dog, ctx: guarded, fail: func(ctx context.Context, err error) error {
		return b.store.mapError(ctx, b.at("read", key), err)
	}}
	if offset, size, ok := contentRange(header.Get("Content-Range")); ok {
		f.Offset, f.Size = offset, size
	}
	return f, nil
}

// contentRange reads "bytes 0-99/1234" (RFC 9110, 14.4).
func contentRange(s string) (offset, size int64, ok bool) {
	s, found := strings.CutPrefix(s, "bytes ")
	if !found {
		return 0, 0, false
	}
	span, total, _ := strings.Cut(s, "/")
	first, _, _ := strings.Cut(span, "-")
	offset, err1 := strconv.ParseInt(first, 10, 64)
	size, err2 := strconv.ParseInt(total, 10, 64)
	return offset, size, err1 == nil && err2 == nil
}

// guardedBody lets the clock of the watchdog run only while storage is waited for.
type guardedBody struct {
	body io.ReadCloser
	dog  *watchdog
	ctx  context.Context
	fail func(context.Context, error) error
}

func (g *guardedBody) Read(p []byte) (int, error) {
	g.dog.moved()
	n, err := g.body.Read(p)
	g.dog.pause()
	if err != nil && err != io.EOF {
		err = g.fail(g.ctx, err)
	}
	return n, err
}

func (g *guardedBody) Close() error {
	err := g.body.Close()
	g.dog.stop()
	return err
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
		for info, err := range b.walk(ctx, prefix, false) {
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
	return func(yield func(Object, error) bool) {
		for info, err := range b.walk(ctx, prefix, true) {
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

func (b *Bucket) walk(ctx context.Context, prefix string, recursive bool) iter.Seq2[minio.ObjectInfo, error] {
	return func(yield func(minio.ObjectInfo, error) bool) {
		ctx, dog := watch(ctx, b.store.patience())
		defer dog.stop()
		list := b.store.internal.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: recursive})
		for info := range list {
			if info.Err != nil {
				yield(info, b.store.mapError(ctx, Error{Op: "list", Bucket: b.name, Key: prefix}, info.Err))
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
			yield(minio.ObjectInfo{}, b.store.mapError(ctx, Error{Op: "list", Bucket: b.name, Key: prefix}, cause))
		}
	}
}

// object turns minio-go's description into ours.
func (b *Bucket) object(key Key, info minio.ObjectInfo) Object {
	o := Object{
		Bucket: b.name, Key: key, Size: info.Size, Type: info.ContentType, ETag: info.ETag,
		VersionID: info.VersionID, Modified: info.LastModified.UTC(), CRC32C: info.ChecksumCRC32C,
	}
	for name, value := range info.UserMetadata {
		switch name = strings.ToLower(name); name {
		case metaName:
			if decoded, err := url.PathUnescape(value); err == nil {
				o.Name = ClientName(decoded)
			}
		case metaType:
			o.Type = value
		case metaSize:
			w, h, _ := strings.Cut(value, "x")
			o.Width, _ = strconv.Atoi(w)
			o.Height, _ = strconv.Atoi(h)
		case metaUpload:
		default:
			if o.Metadata == nil {
				o.Metadata = map[string]string{}
			}
			o.Metadata[name] = decodeMetadata(value)
		}
	}
	if o.Name == "" && !key.IsZero() {
		o.Name = key.Base()
	}
	return o
}

// encodeMetadata makes any text fit an HTTP header, so that every server and
// client agrees on it: percent-encoded where it is not plain ASCII or could be
// mistaken for something encoded.
func encodeMetadata(value string) string {
	plain := decodeMetadata(value) == value && strings.TrimSpace(value) == value
	for i := 0; plain && i < len(value); i++ {
		plain = value[i] >= 0x20 && value[i] < 0x7f
	}
	if plain {
		return value
	}
	return url.PathEscape(value)
}

func decodeMetadata(value string) string {
	if !strings.Contains(value, "%") {
		return value
	}
	if decoded, err := url.PathUnescape(value); err == nil {
		return decoded
	}
	return value
}

func errNoKey(op, bucket string) error {
	return &Error{Kind: ErrName, Op: op, Bucket: bucket, Detail: "no key was given"}
}

// Copy copies an object on the storage's side, with its metadata, to a key of
// this or another bucket of the same Store. A taken key is ErrTaken unless
// replace is Replace. Under a Txn the copy goes again if it rolls back, and one
// that replaces is made when it commits.
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
		err := txn.OnCommit(func(ctx context.Context) error {
			if err := b.copy(ctx, from, source.Size, to, key, ObjectOptions{}); err != nil {
				return err
			}
			return then(ctx)
		})
		source.Bucket, source.Key, source.VersionID = to.name, key, ""
		return source, err
	}
	if replace == KeepExisting {
		if _, err := to.reserve(ctx, key, newUploadID(), nil); err != nil {
			if KindOf(err) == ErrPrecondition {
				return Object{}, &Error{Kind: ErrTaken, Op: "copy", Bucket: to.name, Key: key.String(), Err: err}
			}
			return Object{}, err
		}
	}
	if err := b.copy(ctx, from, source.Size, to, key, ObjectOptions{}); err != nil {
		if replace == KeepExisting {
			to.discard(ctx, key, err)
		}
		return Object{}, err
	}
	if txn == nil {
		err = then(ctx)
	} else if err = txn.OnRollback(func(ctx context.Context) error { return to.remove(ctx, key) }); err != nil {
		to.discard(ctx, key, err)
		return Object{}, err
	} else {
		err = txn.OnCommit(then)
	}
	if err != nil {
		return Object{}, err
	}
	return to.Stat(ctx, key)
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
	return b.transfer(ctx, from, to, key, replace, func(ctx context.Context) error { return b.remove(ctx, from) })
}

// reserve takes a free key by an empty object that id marks, and returns its
// ETag; ErrPrecondition if the key is taken. What is written there afterwards
// replaces it atomically. It is encrypted as that will be, since a server looks
// at it with that one's key.
func (b *Bucket) reserve(ctx context.Context, key Key, id string, encryption encrypt.ServerSide) (etag string, err error) {
	options := minio.PutObjectOptions{
		DisableContentSha256: true, UserMetadata: map[string]string{metaUpload: id}, ServerSideEncryption: encryption,
	}
	options.SetMatchETagExcept("*")
	err = b.store.retry(ctx, b.at("reserve", key), b.store.patience(), func(ctx context.Context, _ *watchdog, tries int) error {
		info, err := b.store.internal.PutObject(ctx, b.name, key.String(), http.NoBody, 0, "", "", options)
		etag = info.ETag
		if tries > 0 && isPrecondition(err) {
			if own, ok := b.written(ctx, key, id, encryption); ok {
				etag = own.ETag
				return nil
			}
		}
		return err
	})
	return etag, err
}

// written returns the object at key if the upload id wrote it: how a success
// whose answer was lost is told from another's object.
func (b *Bucket) written(ctx context.Context, key Key, id string, encryption encrypt.ServerSide) (minio.ObjectInfo, bool) {
	request, err := OpenOptions{Encryption: encryption}.request()
	if err != nil {
		return minio.ObjectInfo{}, false
	}
	info, err := b.store.internal.StatObject(ctx, b.name, key.String(), request)
	if err != nil {
		return minio.ObjectInfo{}, false
	}
	for name, value := range info.UserMetadata {
		if strings.EqualFold(name, metaUpload) {
			return info, value == id
		}
	}
	return minio.ObjectInfo{}, false
}

func isPrecondition(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && r.StatusCode == http.StatusPreconditionFailed
}

// discard removes an object that a failed operation left, on a context of its own.
func (b *Bucket) discard(ctx context.Context, key Key, why error) {
	ctx, cancel := b.store.afterwards(ctx, why)
	defer cancel()
	if err := b.remove(ctx, key); err != nil {
		b.store.warn(ctx, "an object of a failed operation may have been left behind", err)
	}
}
