package exchange

import (
	"net"
	"syscall"
)

// Supported says whether this system lets an idle connection be looked at before it is
// used again. A Pool works without, and connects anew for every request.
const Supported = true

// usable says whether an idle connection has neither been closed by the server nor has
// anything to read, which would be taken for the answer to the next request.
func (c *conn) usable() bool {
	if c.look == nil {
		c.look = looking(c.raw)
	}
	return c.look()
}

// looking returns a function that looks at a connection, and allocates nothing.
func looking(raw net.Conn) func() bool {
	no := func() bool { return false }
	system, ok := raw.(syscall.Conn)
	if !ok {
		return no
	}
	way, err := system.SyscallConn()
	if err != nil {
		return no
	}
	usable := false
	look := func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		usable = err == syscall.EAGAIN
		return true
	}
	return func() bool { return way.Read(look) == nil && usable }
}
