package core

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

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
