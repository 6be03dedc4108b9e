package documents

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/embeds3"
)

// StorageConfig reads the storage's configuration from the environment and adds
// the app's buckets. Where MINIO_ENDPOINT names no server, it starts the embedded
// engine with its data in dir; engine says which one it is. Call stop at the end,
// after the last request.
func StorageConfig(dir string) (config core.Config, engine string, stop func() error, err error) {
	config = core.ConfigFromEnv()
	config.PrivateBuckets = append(config.PrivateBuckets, BucketDocuments)
	config.PublicBuckets = append(config.PublicBuckets, BucketCovers)
	if config.Endpoint != "" {
		return config, "S3 at " + config.Endpoint, func() error { return nil }, nil
	}
	// Not the context of a signal: the engine has to outlive the last upload.
	server, err := embeds3.Start(context.Background(), embeds3.Config{Dir: filepath.Join(dir, "s3")})
	if err != nil {
		return config, "", nil, fmt.Errorf("start the embedded S3 engine: %w", err)
	}
	config.Endpoint, config.UseHTTPS = server.Endpoint(), false
	config.AccessKey, config.SecretKey = server.AccessKey(), core.Secret(server.SecretKey())
	return config, "embedded S3 at " + config.Endpoint, server.Close, nil
}
