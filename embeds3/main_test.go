package embeds3_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive their servers.
func TestMain(m *testing.M) {
	code := m.Run()
	// The HTTP library underneath starts one clock per process, for ever.
	clock := goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")
	if err := goleak.Find(clock); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
