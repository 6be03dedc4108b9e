//go:build !linux

package exchange

// Supported says whether this system lets an idle connection be looked at before it is
// used again. A Pool works without, and connects anew for every request.
const Supported = false

func (c *conn) usable() bool { return false }
