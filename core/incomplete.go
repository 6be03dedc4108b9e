package core

import (
	"context"
	"iter"
	"time"

	"github.com/minio/minio-go/v7"
)

// IncompleteUpload is a multipart upload that was neither completed nor aborted:
// one under way, or what a process left behind when it died. Its parts take up
// room, and no listing of objects shows them.
type IncompleteUpload struct {
	Key     Key
	ID      string
	Started time.Time
}

// IncompleteUploads yields the multipart uploads under way in the bucket, in the
// order storage has them. An error ends the loop. MinIO lists them only for the
// whole bucket or for one key, so this does the former.
func (b *Bucket) IncompleteUploads(ctx context.Context) iter.Seq2[IncompleteUpload, error] {
	return func(yield func(IncompleteUpload, error) bool) {
		for key, id := "", ""; ; {
			var page minio.ListMultipartUploadsResult
			err := b.store.retry(ctx, b.at("list uploads", Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
				page, err = b.store.internal.ListMultipartUploads(ctx, b.name, "", key, id, "", 1000)
				return err
			})
			if err != nil {
				yield(IncompleteUpload{}, err)
				return
			}
			for _, u := range page.Uploads {
				if !yield(IncompleteUpload{Key: Key{s: u.Key}, ID: u.UploadID, Started: u.Initiated.UTC()}, nil) {
					return
				}
			}
			if !page.IsTruncated || (page.NextKeyMarker == key && page.NextUploadIDMarker == id) {
				return
			}
			key, id = page.NextKeyMarker, page.NextUploadIDMarker
		}
	}
}

// AbortUpload ends a multipart upload and removes its parts. One that is gone is
// no error; one that is still being written fails in the hands of its writer.
func (b *Bucket) AbortUpload(ctx context.Context, u IncompleteUpload) error {
	err := b.store.retry(ctx, b.at("abort upload", u.Key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		return b.store.internal.AbortMultipartUpload(ctx, b.name, u.Key.String(), u.ID)
	})
	if codeOf(err) == "NoSuchUpload" {
		return nil
	}
	return err
}
