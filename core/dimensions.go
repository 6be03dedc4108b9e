package core

import (
	"bytes"
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

// Dimensions returns the width and height in pixels that an image of the media
// type typ declares: PNG, JPEG, GIF, WebP, BMP or TIFF. Only headers are read,
// from at most the first MiB of r, and no pixel is decoded, so an image that
// would fill the memory costs nothing here.
//
// ok is false where typ is another type, the headers are damaged, or they lie
// beyond the first MiB, as a TIFF's may. Width and height are as stored: an
// orientation in EXIF is not applied.
func Dimensions(typ string, r io.Reader) (width, height int, ok bool) {
	config, err := decodeConfig(typ, io.LimitReader(r, maxImageHeader))
	if err != nil || config.Width <= 0 || config.Height <= 0 {
		return 0, 0, false
	}
	return config.Width, config.Height, true
}

// decodeConfig calls the decoder for typ by name: the image package's registry
// is the program's, and would also run decoders chosen by others.
func decodeConfig(typ string, r io.Reader) (image.Config, error) {
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
		// TIFF is read by offset. Over bytes in memory, an offset past the end
		// is an error; over a stream, the decoder would buffer up to it.
		head, err := io.ReadAll(r)
		if err != nil {
			return image.Config{}, err
		}
		return tiff.DecodeConfig(bytes.NewReader(head))
	}
	return image.Config{}, image.ErrFormat
}
