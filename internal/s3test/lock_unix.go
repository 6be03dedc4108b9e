//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package s3test

import (
	"errors"
	"os"
	"syscall"
)

// flock waits for an exclusive lock. The kernel releases it when the file is
// closed or the process dies, so no lock is ever stale.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
