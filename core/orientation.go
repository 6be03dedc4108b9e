package core

import (
	"encoding/binary"
	"io"
)

// maxExif bounds what is read of EXIF data, in bytes: a JPEG segment holds no
// more, and its first directory, which has the orientation, stands at the start.
const maxExif = 64 << 10

// tagOrientation is Orientation of TIFF 6.0, section 8, and of EXIF.
const tagOrientation = 0x0112

// exifOrientation returns the orientation by EXIF, 1 to 8, or 0. A file that is
// damaged has none.
func exifOrientation(typ string, file *io.SectionReader) int {
	var exif *io.SectionReader
	switch typ {
	case "image/jpeg":
		exif = exifOfJPEG(file)
	case "image/png":
		exif = exifOfPNG(file)
	case "image/webp":
		exif = exifOfWebP(file)
	case "image/tiff":
		exif = file
	}
	if exif == nil {
		return 0
	}
	return orientationOfTIFF(exif)
}

// readAt returns the n bytes at off, or false where they are not all there.
func readAt(r io.ReaderAt, off int64, buffer []byte) bool {
	n, _ := r.ReadAt(buffer, off)
	return n == len(buffer)
}

// exifPart returns the part of a file from off on, of at most n bytes.
func exifPart(file *io.SectionReader, off, n int64) *io.SectionReader {
	return io.NewSectionReader(file, off, min(n, maxExif))
}

// exifOfJPEG finds the segment APP1 with EXIF in front of the pixels.
func exifOfJPEG(file *io.SectionReader) *io.SectionReader {
	const exifMark = "Exif\x00\x00"
	var b [4 + len(exifMark)]byte
	for at := int64(2); readAt(file, at, b[:4]); {
		marker := b[1]
		switch {
		case b[0] != 0xFF:
			return nil
		case marker == 0xFF: // padding
			at++
			continue
		case marker == 0xDA || marker == 0xD9: // pixels, or the end
			return nil
		case marker == 0x01 || marker >= 0xD0 && marker <= 0xD8: // without content
			at += 2
			continue
		}
		size := int64(binary.BigEndian.Uint16(b[2:]))
		if size < 2 {
			return nil
		}
		if marker == 0xE1 && size >= int64(2+len(exifMark)) && readAt(file, at, b[:]) && string(b[4:]) == exifMark {
			return exifPart(file, at+int64(len(b)), size-2-int64(len(exifMark)))
		}
		at += 2 + size
	}
	return nil
}

// exifOfPNG finds the chunk eXIf in front of the pixels.
func exifOfPNG(file *io.SectionReader) *io.SectionReader {
	var b [8]byte
	for at := int64(8); readAt(file, at, b[:]); {
		size := int64(binary.BigEndian.Uint32(b[:]))
		switch string(b[4:]) {
		case "eXIf":
			return exifPart(file, at+8, size)
		case "IDAT", "IEND":
			return nil
		}
		at += 8 + size + 4
	}
	return nil
}

// exifOfWebP finds the chunk EXIF, which stands behind the pixels.
func exifOfWebP(file *io.SectionReader) *io.SectionReader {
	var b [8]byte
	for at := int64(12); readAt(file, at, b[:]); {
		size := int64(binary.LittleEndian.Uint32(b[4:]))
		if string(b[:4]) == "EXIF" {
			// Some writers put JPEG's mark in front, which the format does not.
			if mark := [6]byte{}; readAt(file, at+8, mark[:]) && string(mark[:]) == "Exif\x00\x00" {
				return exifPart(file, at+14, max(size-6, 0))
			}
			return exifPart(file, at+8, size)
		}
		at += 8 + size + size&1
	}
	return nil
}

// orientationOfTIFF reads the first directory of a TIFF, which EXIF is too.
func orientationOfTIFF(r *io.SectionReader) int {
	var head [8]byte
	if !readAt(r, 0, head[:]) {
		return 0
	}
	var order binary.ByteOrder
	switch string(head[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := int64(order.Uint32(head[4:]))
	var entry [12]byte
	if !readAt(r, at, entry[:2]) {
		return 0
	}
	for i := range int64(order.Uint16(entry[:2])) { // at most 65,535, within a MiB
		if !readAt(r, at+2+12*i, entry[:]) {
			return 0
		}
		if order.Uint16(entry[:]) != tagOrientation {
			continue
		}
		value := 0
		switch order.Uint16(entry[2:]) {
		case 3: // SHORT
			value = int(order.Uint16(entry[8:]))
		case 4: // LONG, which some cameras write
			value = int(order.Uint32(entry[8:]))
		}
		if validOrientation(value) {
			return value
		}
		return 0
	}
	return 0
}

func validOrientation(n int) bool { return n >= 1 && n <= 8 }

// turned tells whether an orientation exchanges width and height.
func turned(orientation int) bool { return orientation >= 5 && orientation <= 8 }
