package static_test

import (
	"testing"

	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }
