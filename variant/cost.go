package variant

import (
	"encoding/binary"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/orient"
)

// decodedBytes bounds what decoding an image takes at most beside its file, as the
// decoders of Standard allocate, from the head of the file: so that what would fill
// the memory is refused before it begins.
func decodedBytes(typ string, head []byte, width, height int) int64 {
	pixels := int64(width) * int64(height)
	switch typ {
	case "image/jpeg":
		return jpegBytes(head, width, height)
	case "image/png":
		return pixels * pngBytesPerPixel(head)
	case "image/gif":
		return pixels * 5 // a palette's index, and RGBA where the frame is not the whole
	case "image/bmp":
		return pixels * 4
	case "image/tiff":
		return pixels * 40 // 16 bits in four colours, and a strip of them as it grows while it is unpacked
	}
	// WebP without loss: pixels, and the images that transforms are described by.
	// Of other codecs nothing is known.
	return pixels * 12
}

// pngBytesPerPixel reads depth and colour type of a PNG (PNG 3rd edition, 11.2.1).
func pngBytesPerPixel(head []byte) int64 {
	const most = 16
	if len(head) < 29 {
		return most
	}
	depth, colour, interlaced := head[24], head[25], head[28]
	bytes := int64(4)
	switch colour {
	case 0, 3: // grey, a palette
		bytes = 1
		if colour == 0 {
			bytes = 4 // with one transparent colour
		}
	}
	if depth == 16 {
		bytes = 8
	}
	if interlaced != 0 { // each pass is decoded by itself, the last has half of the pixels
		bytes *= 2
	}
	return bytes
}

// jpegBytes reads the frame header of a JPEG (T.81, B.2.2). A progressive one holds
// its coefficients, in four bytes each, until all scans are read.
func jpegBytes(head []byte, width, height int) int64 {
	const most = 4*5 + 4
	w, h := int64(width)+64, int64(height)+64 // in whole blocks, of up to 32 pixels
	worst := w * h * most
	adobe := int64(0)
	for at := 2; at+4 <= len(head) && head[at] == 0xFF; {
		marker := head[at+1]
		if marker == 0xFF { // padding
			at++
			continue
		}
		if marker == 0x01 || marker >= 0xD0 && marker <= 0xD8 { // without content
			at += 2
			continue
		}
		segment := head[at+4:]
		switch marker {
		case 0xEE:
			adobe = 4 // it may be RGB or CMYK, which is copied once more
		case 0xC0, 0xC1, 0xC2:
			bytes := frameBytes(segment, w*h, map[byte]int64{0xC0: 1, 0xC1: 1, 0xC2: 5}[marker])
			if bytes == 0 {
				return worst
			}
			return bytes + w*h*adobe
		case 0xDA, 0xD9:
			return worst
		}
		at += 2 + int(binary.BigEndian.Uint16(head[at+2:]))
	}
	return worst
}

// frameBytes returns what the components of a frame take, each so many bytes a sample, or 0 where that cannot be
// read.
func frameBytes(frame []byte, pixels, each int64) int64 {
	if len(frame) < 6 || len(frame) < 6+3*int(frame[5]) {
		return 0
	}
	n := int(frame[5])
	most, samples := int64(1), int64(0)
	usual := n == 3
	for i := range n {
		factors := frame[6+3*i+1]
		area := int64(factors>>4) * int64(factors&15)
		most, samples = max(most, area), samples+area
		usual = usual && (i == 0 || factors == 0x11)
	}
	if n == 1 {
		return pixels * each
	}
	bytes := (pixels*samples/most + 1) * each
	if !usual || n == 4 || frame[6] == 'R' { // colours that are brought to one size, CMYK, RGB
		bytes += pixels * 4 * each
	}
	return bytes
}

// renderBytes bounds what making one variant takes, of an image as it is stored.
func renderBytes(v core.Variant, head core.ImageHead) int64 {
	w, h := head.Width, head.Height
	if orient.Turned(head.Orientation) {
		w, h = h, w
	}
	dw, dh := v.Dimensions(w, h)
	tw, sh := int64(dw), int64(head.Height)
	if orient.Turned(head.Orientation) {
		tw = int64(dh)
	}
	const rgba = 4
	middle := tw * sh * rgba
	made := int64(dw) * int64(dh) * rgba
	bands := bandRows*(int64(head.Width)*rgba+tw*tmpBytes) + bandColumns*sh*tmpBytes
	return middle + 4*made + bands // made, turned, on white, and encoded
}
