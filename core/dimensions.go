package core

import (
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// maxImageHeader is how far into a file its dimensions are looked for, in bytes.
// Metadata that fills more than that in front of them is not worth reading.
const maxImageHeader = 1 << 20

// ImageHead is what the head of an image says of it. The zero value is nothing.
type ImageHead struct {
	// Width and Height are in pixels, as stored.
	Width, Height int
	// Orientation is how the stored pixels are to be turned to be looked at, as
	// EXIF numbers it: 1 as they are, 2 mirrored, 3 upside down, 4 both, 5 to 8
	// with width and height exchanged; 0 where the file does not say.
	Orientation int
}

// ReadImageHead returns what an image of the media type typ declares: PNG, JPEG,
// GIF, WebP, BMP, TIFF, AVIF or HEIC (HEIF). Only headers are read, from at most
// the first MiB of r, and no pixel is decoded, so an image that would fill the
// memory costs nothing here. No length or offset in the file is trusted.
//
// The orientation is that of EXIF in JPEG, PNG, WebP and TIFF, and of the
// properties irot and imir in AVIF and HEIC, which is what browsers follow. It is
// 0 where it lies beyond the first MiB, as after a WebP's pixels, or is damaged.
//
// ok is false where typ is another type, the headers are damaged, or they lie
// beyond the first MiB, as a TIFF's may. Of AVIF and HEIC the primary image
// counts; a sequence of images without one is not read.
func ReadImageHead(typ string, r io.Reader) (head ImageHead, ok bool) {
	return readImageHead(typ, &lazyHead{from: r})
}

// Dimensions returns the width and height of [ReadImageHead], as stored.
func Dimensions(typ string, r io.Reader) (width, height int, ok bool) {
	head, ok := ReadImageHead(typ, r)
	return head.Width, head.Height, ok
}

// readImageHead is ReadImageHead of a file of which at least its first MiB can be
// read.
func readImageHead(typ string, file io.ReaderAt) (ImageHead, bool) {
	at := io.NewSectionReader(file, 0, maxImageHeader)
	if isHEIF(typ) {
		return readHEIF(at)
	}
	config, err := decodeConfig(typ, at)
	if err != nil || config.Width <= 0 || config.Height <= 0 {
		return ImageHead{}, false
	}
	return ImageHead{Width: config.Width, Height: config.Height, Orientation: exifOrientation(typ, at)}, true
}

// measurable tells whether images of the type are read by readImageHead.
func measurable(typ string) bool {
	switch typ {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff":
		return true
	}
	return isHEIF(typ)
}

// decodeConfig calls the decoder for typ by name: the image package's registry
// is the program's, and would also run decoders chosen by others. TIFF is read by
// offset, which over r is an error past the end.
func decodeConfig(typ string, r *io.SectionReader) (image.Config, error) {
	switch typ {
	case "image/png":
		return png.DecodeConfig(r)
	case "image/jpeg":
		return jpeg.DecodeConfig(r)
	case "image/gif":
		return gif.DecodeConfig(r)
	case "image/webp":
		return webp.DecodeConfig(r)
	case "image/bmp":
		return bmp.DecodeConfig(r)
	case "image/tiff":
		return tiff.DecodeConfig(r)
	}
	return image.Config{}, image.ErrFormat
}

// lazyHead gives access by offset to the head of a stream, and reads no more of
// it than is asked for.
type lazyHead struct {
	from io.Reader
	head []byte
	err  error
}

func (h *lazyHead) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= maxImageHeader {
		return 0, io.EOF
	}
	for want := min(off+int64(len(p)), maxImageHeader); int64(len(h.head)) < want && h.err == nil; {
		h.more(int(want))
	}
	if off >= int64(len(h.head)) {
		return 0, h.ended()
	}
	n := copy(p, h.head[off:])
	if n < len(p) {
		return n, h.ended()
	}
	return n, nil
}

// more reads on, in steps that double, towards want bytes.
func (h *lazyHead) more(want int) {
	step := min(max(want-len(h.head), 512), max(len(h.head), 4096), maxImageHeader-len(h.head))
	had := len(h.head)
	h.head = append(h.head, make([]byte, step)...)
	n, err := io.ReadFull(h.from, h.head[had:])
	h.head, h.err = h.head[:had+n], err
}

func (h *lazyHead) ended() error {
	if h.err == nil || h.err == io.ErrUnexpectedEOF { //nolint:errorlint // ReadFull's own
		return io.EOF
	}
	return h.err
}
