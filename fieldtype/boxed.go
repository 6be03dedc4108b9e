package fieldtype

import (
	"database/sql/driver"
	"unsafe"
)

// textBlock is a text, its bytes behind it, in one piece of memory.
type textBlock[B any] struct {
	text  string
	bytes B
}

// boxedText returns a copy of b as the string in a driver.Value. Put there by the
// language, a new string costs two allocations, its bytes and what the interface
// points to; here they are one, since a row of a bulk insert pays for them each
// time. Texts of more than 2 KiB go the usual way.
func boxedText(b []byte) driver.Value {
	switch n := len(b); {
	case n <= 112:
		k := new(textBlock[[112]byte])
		return box(&k.text, b, k.bytes[:])
	case n <= 240:
		k := new(textBlock[[240]byte])
		return box(&k.text, b, k.bytes[:])
	case n <= 496:
		k := new(textBlock[[496]byte])
		return box(&k.text, b, k.bytes[:])
	case n <= 1008:
		k := new(textBlock[[1008]byte])
		return box(&k.text, b, k.bytes[:])
	case n <= 2032:
		k := new(textBlock[[2032]byte])
		return box(&k.text, b, k.bytes[:])
	}
	return string(b)
}

// box makes *text the copy of b in space, and returns it as an interface that
// points to text itself. Nothing keeps space or text, so that neither changes.
func box(text *string, b, space []byte) driver.Value {
	n := copy(space, b)
	*text = unsafe.String(unsafe.SliceData(space), n) //nolint:gosec // space is not written to again
	v := driver.Value("")
	// An interface is a word for its type and one for its value, which for a string
	// is a pointer to it.
	(*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1] = unsafe.Pointer(text) //nolint:gosec // as above
	return v
}
