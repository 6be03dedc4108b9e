package variant

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

// Codec reads and writes image formats. It must be safe for concurrent use. To add
// a format to those of Standard, embed it and pass on what is not yours.
type Codec interface {
	// Reads says whether images of a media type can be decoded.
	Reads(typ string) bool
	// Writes says whether images can be encoded as a media type.
	Writes(typ string) bool
	// Decode decodes an image, or the first frame of an animation, as it is stored:
	// turning it is not its work. r fails when time is up; the decoder should stop.
	// The image has the width and height that core.ReadImageHead told of it; a
	// frame of a GIF may be a part of that.
	Decode(typ string, r io.Reader) (image.Image, error)
	// Encode writes an image, and nothing but the image. The quality is 1 to 100.
	Encode(typ string, w io.Writer, m image.Image, quality int) error
}

// Standard is the Codec of the standard library and golang.org/x/image, in pure
// Go. It reads PNG, JPEG, GIF, WebP, BMP and TIFF, and writes PNG and JPEG.
// Colours are taken for sRGB: profiles are not applied, and not kept.
type Standard struct{}

// Reads says whether typ is one of the six.
func (Standard) Reads(typ string) bool {
	switch typ {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff":
		return true
	}
	return false
}

// Writes says whether typ is image/png or image/jpeg.
func (Standard) Writes(typ string) bool { return typ == "image/png" || typ == "image/jpeg" }

// Decode calls the decoder for typ by name: the image package's registry is the
// program's, and would also run decoders chosen by others.
func (Standard) Decode(typ string, r io.Reader) (image.Image, error) {
	switch typ {
	case "image/png":
		return png.Decode(r)
	case "image/jpeg":
		return jpeg.Decode(r)
	case "image/gif":
		return gif.Decode(r)
	case "image/webp":
		return webp.Decode(r)
	case "image/bmp":
		return bmp.Decode(r)
	case "image/tiff":
		return tiff.Decode(r)
	}
	return nil, image.ErrFormat
}

// Encode writes PNG or JPEG.
func (Standard) Encode(typ string, w io.Writer, m image.Image, quality int) error {
	switch typ {
	case "image/png":
		return png.Encode(w, m)
	case "image/jpeg":
		return jpeg.Encode(w, m, &jpeg.Options{Quality: quality})
	}
	return image.ErrFormat
}
