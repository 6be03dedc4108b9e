package core

import (
	"encoding/binary"
	"io"
	"math"
	"strings"
)

// maxMetaBox bounds what is read of a HEIF's description of its images, in bytes.
// A photo of 48 megapixels in tiles has about 20 KiB.
const maxMetaBox = 256 << 10

// isHEIF tells whether a type is of the family of ISO/IEC 23008-12.
func isHEIF(typ string) bool {
	switch strings.TrimSuffix(typ, "-sequence") {
	case "image/avif", "image/heic", "image/heif":
		return true
	}
	return false
}

// readHEIF reads the primary image's properties ispe, irot and imir from the box
// meta. The file is boxes (ISO/IEC 14496-12) inside boxes, each with a length that
// is believed no further than its surroundings reach.
func readHEIF(file *io.SectionReader) (ImageHead, bool) {
	var b [16]byte
	for at := int64(0); readAt(file, at, b[:8]); {
		size, header := int64(binary.BigEndian.Uint32(b[:])), int64(8)
		kind := string(b[4:8])
		switch {
		case size == 0: // to the end
			size = maxImageHeader
		case size == 1 && readAt(file, at, b[:]):
			size, header = int64(min(binary.BigEndian.Uint64(b[8:]), math.MaxInt32)), 16
		}
		if size < header {
			return ImageHead{}, false
		}
		if kind == "meta" {
			content := make([]byte, min(size-header, maxMetaBox))
			n, _ := file.ReadAt(content, at+header)
			return headOfMeta(content[:n])
		}
		at += size
	}
	return ImageHead{}, false
}

// box is the content of a box, taken from its front. After the first read past
// its end it yields zeros.
type box struct {
	b    []byte
	gone bool
}

// take returns the next n bytes, or nil.
func (x *box) take(n int) []byte {
	if n < 0 || n > len(x.b) {
		x.b, x.gone = nil, true
		return nil
	}
	taken := x.b[:n]
	x.b = x.b[n:]
	return taken
}

func (x *box) number(bytes int) (n uint32) {
	for _, c := range x.take(bytes) {
		n = n<<8 | uint32(c)
	}
	return n
}

// versioned takes the version and flags that a full box starts with.
func (x *box) versioned() (version byte, flags uint32) {
	n := x.number(4)
	return byte(n >> 24), n & 0xFFFFFF
}

// next takes the box that comes next; ok is false at the end.
func (x *box) next() (kind string, inner box, ok bool) {
	if len(x.b) < 8 {
		return "", box{}, false
	}
	size, header := int64(x.number(4)), 8
	kind = string(x.take(4))
	switch size {
	case 0:
		size = int64(len(x.b)) + 8
	case 1:
		high, low := x.number(4), x.number(4)
		if header = 16; high > 0 {
			return "", box{}, false
		}
		size = int64(low)
	}
	if size < int64(header) || x.gone {
		return "", box{}, false
	}
	// One that is cut off, as the last of a bounded head may be, is what is there.
	return kind, box{b: x.take(int(min(size-int64(header), int64(len(x.b)))))}, true
}

// headOfMeta reads the box meta.
func headOfMeta(content []byte) (ImageHead, bool) {
	meta := box{b: content}
	meta.versioned()
	var primary uint32
	var found bool
	var properties box
	for {
		kind, inner, ok := meta.next()
		if !ok {
			break
		}
		switch kind {
		case "pitm":
			version, _ := inner.versioned()
			primary, found = inner.number(idBytes(version)), !inner.gone
		case "iprp":
			properties = inner
		}
	}
	if !found {
		return ImageHead{}, false
	}
	return headOfProperties(properties, primary)
}

// idBytes is the width of an item's number in a box of the version.
func idBytes(version byte) int {
	if version == 0 {
		return 2
	}
	return 4
}

// headOfProperties applies the properties that belong to an item, in their order.
func headOfProperties(iprp box, item uint32) (ImageHead, bool) {
	var list []heifProperty
	var indices []int
	for {
		kind, inner, ok := iprp.next()
		if !ok {
			break
		}
		switch kind {
		case "ipco":
			list = readProperties(inner)
		case "ipma":
			indices = append(indices, associations(inner, item)...)
		}
	}
	var head ImageHead
	turns, mirror := 0, mirrorNone
	for _, index := range indices { // counted from 1; 0 is none
		if index < 1 || index > len(list) {
			continue
		}
		switch p := list[index-1]; p.kind {
		case "ispe":
			head.Width, head.Height = p.width, p.height
		case "irot":
			turns = p.value
		case "imir":
			mirror = p.value + 1
		}
	}
	head.Orientation = heifOrientation(turns, mirror)
	if head.Width <= 0 || head.Height <= 0 {
		return ImageHead{}, false
	}
	return head, true
}

type heifProperty struct {
	kind          string
	width, height int // of ispe
	value         int // of irot and imir
}

// maxProperties bounds the list: indices into it have 15 bits.
const maxProperties = 1 << 15

func readProperties(ipco box) (list []heifProperty) {
	for len(list) < maxProperties {
		kind, inner, ok := ipco.next()
		if !ok {
			break
		}
		p := heifProperty{kind: kind}
		switch kind {
		case "ispe":
			inner.versioned()
			p.width, p.height = int(min(inner.number(4), math.MaxInt32)), int(min(inner.number(4), math.MaxInt32))
		case "irot":
			p.value = int(inner.number(1) & 3)
		case "imir":
			p.value = int(inner.number(1) & 1)
		}
		if inner.gone {
			p = heifProperty{} // cut off: nothing is known, and the rest keeps its place
		}
		list = append(list, p)
	}
	return list
}

// associations returns the numbers of an item's properties.
func associations(ipma box, item uint32) (indices []int) {
	version, flags := ipma.versioned()
	for range ipma.number(4) {
		id := ipma.number(idBytes(version))
		for range ipma.number(1) {
			index := 0
			if flags&1 != 0 {
				index = int(ipma.number(2) & 0x7FFF)
			} else {
				index = int(ipma.number(1) & 0x7F)
			}
			if id == item && !ipma.gone {
				indices = append(indices, index)
			}
		}
		if ipma.gone { // however many more are claimed
			break
		}
	}
	return indices
}

const mirrorNone = 0 // 1: top and bottom exchanged, 2: left and right

// heifOrientation turns irot (quarters, anti-clockwise) and imir, which follows it,
// into EXIF's number.
func heifOrientation(quarters, mirror int) int {
	return [4][3]int{
		{0, 4, 2},
		{8, 5, 7},
		{3, 2, 4},
		{6, 7, 5},
	}[quarters&3][mirror]
}
