package core_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/filefield/filefield/internal/s3test"
)

// TestMain also finds goroutines that outlive the tests.
func TestMain(m *testing.M) {
	s3test.Main(m, func() error {
		http.DefaultClient.CloseIdleConnections()
		return goleak.Find()
	})
}
