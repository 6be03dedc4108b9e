// Package aws makes the AWS SDK's client for the peers that are built on it. It is
// apart from package serve so that the others do not carry the SDK.
package aws

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/filefield/filefield/bench/peers/serve"
)

// Client returns a client of the storage.
func Client(s serve.Storage) (*s3.Client, error) {
	transport, err := s.Transport()
	if err != nil {
		return nil, err
	}
	endpoint := "http://" + s.Endpoint
	if s.CAFile != "" {
		endpoint = "https://" + s.Endpoint
	}
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: transport},
	}), nil
}
