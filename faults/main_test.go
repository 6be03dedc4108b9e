package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/filefield/filefield/internal/s3test"
)

// TestMain has all temporary files made in a folder of its own, and looks into it
// at the end. A server keeps its data there.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "faults-")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := s3test.Run(m, s3test.NoGoroutines, func() error {
		left, err := os.ReadDir(dir)
		for _, file := range left {
			if !strings.HasPrefix(file.Name(), "s3test-") {
				return fmt.Errorf("the temporary file %s was left behind", file.Name())
			}
		}
		return err
	})
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
