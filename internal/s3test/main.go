package s3test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main is the whole of a TestMain: it runs the tests, stops the server, and
// exits.
//
//	func TestMain(m *testing.M) { s3test.Main(m) }
//
// The checks run after passing tests, when the server has stopped; the first
// that fails fails the test binary, as with
//
//	s3test.Main(m, func() error { return goleak.Find() })
func Main(m *testing.M, checks ...func() error) { os.Exit(Run(m, checks...)) }

// Run is Main for a TestMain that has more to do: it returns the exit code.
func Run(m *testing.M, checks ...func() error) int {
	code := m.Run()
	binary.stop()
	if code != 0 {
		return code
	}
	for _, check := range checks {
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

// NoGoroutines is a check for Main: it finds goroutines that outlive the tests.
func NoGoroutines() error {
	(&http.Client{}).CloseIdleConnections() // of the transport that all such clients share
	return goleak.Find()
}
