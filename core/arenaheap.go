//go:build !linux || race

package core

import "errors"

// mapPages maps nothing: chunks come from the heap, and go with the garbage. With
// the race detector that is so because it watches no other memory.
func mapPages(int, int) (pages, usable []byte, err error) { return nil, nil, errors.ErrUnsupported }

func releasePages([]byte) {}

func unmapPages([]byte) error { return nil }
