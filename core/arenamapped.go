//go:build linux && !race

package core

import (
	"syscall"
	"unsafe"
)

// mapPages maps pages of which size bytes are usable, in blocks that begin where a
// huge page can. Huge ones are asked for where a block has their size. They take
// memory once they are written to.
func mapPages(size, block int) (pages, usable []byte, err error) {
	pages, err = syscall.Mmap(-1, 0, size+block, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	before := -int(uintptr(unsafe.Pointer(unsafe.SliceData(pages)))) & (block - 1) //nolint:gosec // the address is only looked at
	usable = pages[before : before+size : before+size]
	if block == hugePage {
		_ = syscall.Madvise(usable, syscall.MADV_HUGEPAGE) // a kernel without them refuses
	}
	return pages, usable, nil
}

// releasePages gives the system the memory of b, which are whole pages, and keeps
// the addresses.
func releasePages(b []byte) {
	_ = syscall.Madvise(b, syscall.MADV_DONTNEED) // where it fails, they stay in use
}

func unmapPages(b []byte) error { return syscall.Munmap(b) }
