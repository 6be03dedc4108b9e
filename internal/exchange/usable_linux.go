package exchange

import "syscall"

// Supported says whether this system lets an idle connection be looked at before it is
// used again. A Pool works without, and connects anew for every request.
const Supported = true

// usable says whether an idle connection has neither been closed by the server nor has
// anything to read, which would be taken for the answer to the next request.
func (c *conn) usable() bool {
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
		usable = err == syscall.EAGAIN
		return true
	})
	return err == nil && usable
}
