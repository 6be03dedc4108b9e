package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// File is an open object: its content and what is known about it. It must be
// closed. Not safe for concurrent use.
type File struct {
	io.ReadCloser
	Object
	// Offset and Length say which part of the object the content is; the whole
	// one where no range was asked for.
	Offset, Length int64
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
	Encryption encrypt.ServerSide `json:"-"`
}

// Format writes what fmt's %+v would, whatever the verb, with the kind of an
// encryption in place of its key.
func (o OpenOptions) Format(f fmt.State, _ rune) {
	type fields OpenOptions
	o.Encryption = withoutKey(o.Encryption)
	_, _ = fmt.Fprintf(f, "%+v", fields(o))
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

// Open reads an object, whole or a range, in one request, which is repeated where
// that may help until it is answered; a content that breaks off later is an error
// of Read. A missing object is ErrNotFound at once, not at the first Read. The File
// must be closed.
func (b *Bucket) Open(ctx context.Context, key Key, options OpenOptions) (*File, error) {
	if key.IsZero() {
		return nil, errNoKey("open", b.name)
	}
	request, err := options.request()
	if err != nil {
		return nil, &Error{Kind: ErrRange, Op: "open", Bucket: b.name, Key: key.String(), Err: err}
	}
	var f *File
	err = b.store.again(ctx, b.at("open", key), func(int) (err error) {
		f, err = b.open(ctx, key, request)
		return err
	})
	return f, err
}

// open makes the request of Open once.
func (b *Bucket) open(ctx context.Context, key Key, request minio.GetObjectOptions) (*File, error) {
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
