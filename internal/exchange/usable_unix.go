//go:build unix

package exchange

import (
	"syscall"
	"time"
)

// briefly is how long a connection is taken to be as it was.
const briefly = 10 * time.Millisecond

// usable says whether an idle connection has neither been closed by the server nor has
// anything to read, which would be no answer to the next request.
func (c *conn) usable() bool {
	if time.Since(c.since) < briefly {
		return true
	}
	raw, ok := c.raw.(syscall.Conn)
	if !ok {
		return false
	}
	way, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	usable := false
	err = way.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		usable = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && usable
}
