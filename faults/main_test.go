package faults

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/filefield/filefield/internal/s3test"
)

// TestMain has all temporary files made in a folder of its own, and looks into it
// at the end. A server keeps its data there, and may be slow to remove them.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "faults-")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := s3test.Run(m, noGoroutines, func() error {
		left, err := os.ReadDir(dir)
		for _, file := range left {
			if !strings.HasPrefix(file.Name(), "s3test-") && !strings.HasPrefix(file.Name(), "embeds3-") {
				return fmt.Errorf("the temporary file %s was left behind", file.Name())
			}
		}
		return err
	})
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// noGoroutines finds goroutines that outlive the tests. Those of toxiproxy whose
// connection was cut wait for ever to pass on what came after the cut.
func noGoroutines() error {
	(&http.Client{}).CloseIdleConnections() // of the transport that all such clients share
	return goleak.Find(
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
	)
}
