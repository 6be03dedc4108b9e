package embeds3_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/filefield/filefield/embeds3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func Example() {
	ctx := context.Background()
	s3, err := embeds3.Start(ctx, embeds3.Config{Buckets: []string{"avatars"}})
	if err != nil {
		log.Fatal(err)
	}
	defer s3.Close()

	client, err := minio.New(s3.Endpoint(), &minio.Options{
		Creds:  credentials.NewStaticV4(s3.AccessKey(), s3.SecretKey(), ""),
		Region: s3.Region(),
	})
	if err != nil {
		log.Fatal(err)
	}
	info, err := client.PutObject(ctx, "avatars", "ann.txt", strings.NewReader("hello"), 5, minio.PutObjectOptions{})
	fmt.Println(info.Key, info.Size, err)
	// Output: ann.txt 5 <nil>
}
