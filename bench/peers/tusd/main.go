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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/s3store"
	"golang.org/x/exp/slog"

	"github.com/filefield/filefield/bench/peers/serve"
)

func main() { serve.Main("tusd", map[string]serve.Way{"tusd": onTus}) }

func onTus(s serve.Storage) (http.Handler, error) {
	transport, err := s.Transport()
	if err != nil {
		return nil, err
	}
	endpoint := "http://" + s.Endpoint
	if s.CAFile != "" {
		endpoint = "https://" + s.Endpoint
	}
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: transport},
	})
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
