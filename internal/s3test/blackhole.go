package s3test

import (
	"net"
	"sync"
	"testing"
)

// BlackHole returns a "127.0.0.1:port" that accepts connections, reads nothing
// and never answers, until the test ends.
func BlackHole(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("s3test: black hole: %v", err)
	}
	var swallowed []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			swallowed = append(swallowed, c)
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
		for _, c := range swallowed {
			c.Close()
		}
	})
	return l.Addr().String()
}
