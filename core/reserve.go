package core

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/cenkalti/backoff/v5"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// reserve takes a free key by an empty object that id marks, and returns its
// ETag; ErrPrecondition if the key is taken. What is written there afterwards
// replaces it atomically. It is encrypted as that will be, since a server looks
// at it with that one's key.
func (b *Bucket) reserve(ctx context.Context, key Key, id string, with ObjectOptions) (etag string, err error) {
	options := minio.PutObjectOptions{
		DisableContentSha256: true, UserMetadata: map[string]string{metaUpload: id}, ServerSideEncryption: with.Encryption,
		UserTags: with.Tags,
	}
	err = b.store.retry(ctx, b.at("reserve", key), b.store.patience(), func(ctx context.Context, _ *watchdog, tries int) error {
		info, err := b.putObject(ctx, key, nil, 0, options, condition{free: true})
		etag = info.ETag
		if tries > 0 && isPrecondition(err) {
			own, ours, lookUp := b.written(ctx, key, id, with.Encryption)
			if ours {
				etag = own.ETag
				return nil
			}
			err = orUnknown(err, lookUp)
		}
		return err
	})
	return etag, err
}

// written returns the object at key if the upload id wrote it: how a success
// whose answer was lost is told from another's object. An error means that
// storage could not be asked, however often that was tried.
func (b *Bucket) written(ctx context.Context, key Key, id string, encryption encrypt.ServerSide) (info minio.ObjectInfo, ours bool, err error) {
	request, err := OpenOptions{Encryption: encryption}.request()
	if err != nil {
		return minio.ObjectInfo{}, false, err
	}
	err = b.store.attempt(ctx, b.at("stat", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		info, err = b.store.internal.StatObject(ctx, b.name, key.String(), request)
		return err
	})
	if KindOf(err) == ErrNotFound {
		return minio.ObjectInfo{}, false, nil
	}
	if err != nil {
		return minio.ObjectInfo{}, false, err
	}
	for name, value := range info.UserMetadata {
		if strings.EqualFold(name, metaUpload) {
			return info, value == id, nil
		}
	}
	return minio.ObjectInfo{}, false, nil
}

// orUnknown is the error of a write that was refused because something has its key,
// when the question what that is was answered with lookUp. Where it was not
// answered the object may be this write's own: to go on as if it were another's
// would store the file a second time, under another name.
func orUnknown(refused, lookUp error) error {
	if lookUp == nil {
		return refused
	}
	return backoff.Permanent(lookUp) // it had tries of its own
}

func isPrecondition(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && r.StatusCode == http.StatusPreconditionFailed
}

// removeWritten removes the object at key if the upload id wrote it, and leaves
// one that somebody else has put there since.
func (b *Bucket) removeWritten(ctx context.Context, key Key, id string, encryption encrypt.ServerSide) error {
	_, err := b.removeOwn(ctx, key, id, encryption)
	return err
}

// removeOwn is removeWritten, and says whether there was something to remove.
func (b *Bucket) removeOwn(ctx context.Context, key Key, id string, encryption encrypt.ServerSide) (removed bool, err error) {
	_, ours, err := b.written(ctx, key, id, encryption)
	if err != nil || !ours {
		return false, err
	}
	err = b.remove(ctx, key)
	return err == nil, err
}

// removeVersion removes the object at key if it is still the one of that ETag.
func (b *Bucket) removeVersion(ctx context.Context, key Key, etag string) error {
	o, err := b.stat(ctx, key, nil)
	if KindOf(err) == ErrNotFound || (err == nil && o.ETag != etag) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.removeFile(ctx, key)
}

// tidy runs what a failed operation has to clean up, on a context of its own.
func (b *Bucket) tidy(ctx context.Context, why error, do func(context.Context) error) {
	ctx, cancel := b.store.afterwards(ctx, why)
	defer cancel()
	if err := do(ctx); err != nil {
		b.store.warn(ctx, "an object of a failed operation may have been left behind", err)
	}
}
