// Command tusd takes uploads with tusd's handler and its store for S3:
//
//	AK=… SK=… [CA=file.pem] tusd tusd ADDR S3_ENDPOINT BUCKET
//
// POST /files/ is an upload of the tus protocol, with the file in the request that
// creates it.
package main

import (
	"io"
	"net/http"

	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/s3store"
	"golang.org/x/exp/slog"

	"github.com/filefield/filefield/bench/peers/aws"
	"github.com/filefield/filefield/bench/peers/serve"
)

func main() { serve.Main("tusd", map[string]serve.Way{"tusd": onTus}) }

func onTus(s serve.Storage) (http.Handler, error) {
	client, err := aws.Client(s)
	if err != nil {
		return nil, err
	}
	composer := handler.NewStoreComposer()
	store := s3store.New(s.Bucket, client)
	store.UseIn(composer)
	tus, err := handler.NewHandler(handler.Config{
		BasePath: "/files/", StoreComposer: composer, DisableDownload: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), // it has a line for every request
	})
	if err != nil {
		return nil, err
	}
	return http.StripPrefix("/files/", tus), nil
}
