//go:build linux && !race

package core

import "syscall"

// mapPages returns size bytes of pages that take memory once they are written to.
func mapPages(size int) ([]byte, error) {
	return syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

// releasePages gives the system the memory of b, which are whole pages, and keeps
// the addresses.
func releasePages(b []byte) {
	_ = syscall.Madvise(b, syscall.MADV_DONTNEED) // where it fails, they stay in use
}

func unmapPages(b []byte) error { return syscall.Munmap(b) }
