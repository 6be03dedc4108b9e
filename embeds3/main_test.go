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
	// The HTTP library underneath starts one clock per process, for ever, and a
	// cleaner per server, which notices its end within ten seconds.
	clock := goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")
	cleaner := goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")
	err := goleak.Find(clock, cleaner)
	for tries := 0; err != nil && tries < 10; tries++ { // a busy machine ends them later
		err = goleak.Find(clock, cleaner)
	}
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
