package core_test

import (
	"os"
	"testing"

	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) {
	if declared := os.Getenv(startProcessVar); declared != "" {
		os.Exit(startAsProcess(declared))
	}
	if name := os.Getenv(panicVar); name != "" {
		os.Exit(endByPanic(name))
	}
	s3test.Main(m, s3test.NoGoroutines)
}
