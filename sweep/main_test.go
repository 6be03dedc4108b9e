package sweep_test

import (
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }

// put stores objects as another program would, without this library.
func put(t testing.TB, s *s3test.Server, bucket string, keys ...string) {
	t.Helper()
	c := s.Client(t)
	for _, key := range keys {
		if _, err := c.PutObject(t.Context(), bucket, key, strings.NewReader("theirs"), 6, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}
