//go:build !unix

package exchange

import "time"

// briefly is how long a connection is taken to be as it was: here nobody can look.
const briefly = time.Second

func (c *conn) usable() bool { return time.Since(c.since) < briefly }
