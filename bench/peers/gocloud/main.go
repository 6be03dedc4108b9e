// Command gocloud takes uploads with gocloud.dev/blob and its driver for S3:
//
//	AK=… SK=… [CA=file.pem] gocloud reader ADDR S3_ENDPOINT BUCKET
//
// POST /upload takes a form with a file in the field "file", copies it from the
// request's MultipartReader into a blob.Writer, and answers 201.
package main

import (
	"context"
	"io"
	"net/http"
	"path"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/filefield/filefield/bench/peers/aws"
	"github.com/filefield/filefield/bench/peers/serve"
)

func main() { serve.Main("gocloud", map[string]serve.Way{"reader": onReader}) }

func onReader(s serve.Storage) (http.Handler, error) {
	client, err := aws.Client(s)
	if err != nil {
		return nil, err
	}
	bucket, err := s3blob.OpenBucket(context.Background(), client, s.Bucket, nil)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		part, err := serve.FilePart(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		key := uuid.NewString() + path.Ext(part.FileName())
		size, err := put(r.Context(), bucket, key, part, part.Header.Get("Content-Type"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		serve.Created(w, serve.Stored{Key: key, Size: size})
	})
	return mux, nil
}

func put(ctx context.Context, bucket *blob.Bucket, key string, content io.Reader, kind string) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a writer that is closed thereafter stores nothing
	w, err := bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: kind})
	if err != nil {
		return 0, err
	}
	size, err := io.Copy(w, content)
	if err != nil {
		cancel()
		_ = w.Close() // it says that it was cancelled
		return 0, err
	}
	return size, w.Close()
}
