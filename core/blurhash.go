package core

import (
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"github.com/bbrks/go-blurhash"
	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

const (
	// maxHashPixels and maxHashScans bound the work of decoding an image for its
	// blurhash: 16 megapixels are at most 128 MB, and less than a second.
	maxHashPixels = 16_000_000
	maxHashScans  = 50
	// hashSide is the longer side of the image the hash is computed of: it shows 4
	// by 3 colours.
	hashSide = 32
	// maxBlurhash is the longest hash there is, of 9 by 9 colours, in characters.
	maxBlurhash = 6 + 2*80
)

// hashable tells whether an image is small enough to be decoded, and of a format
// with a decoder.
func hashable(o Object) bool {
	if o.Width <= 0 || o.Height <= 0 || o.Width > maxHashPixels/o.Height {
		return false
	}
	switch o.Type {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp":
		return true
	}
	return false
}

// blurhashOf returns the blurhash of an image as it is looked at, or "" where it
// cannot be decoded.
func blurhashOf(o Object, file *io.SectionReader) string {
	if o.Type == "image/jpeg" && manyScans(file) {
		return ""
	}
	picture, err := decodeImage(o.Type, file)
	if err != nil {
		return ""
	}
	bounds := picture.Bounds()
	long := max(bounds.Dx(), bounds.Dy())
	w, h := max(bounds.Dx()*hashSide/long, 1), max(bounds.Dy()*hashSide/long, 1)
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(small, small.Rect, image.NewUniform(color.White), image.Point{}, draw.Src) // under what is transparent
	draw.BiLinear.Scale(small, small.Rect, picture, bounds, draw.Over, nil)
	hash, err := blurhash.Encode(4, 3, upright(small, o.Orientation))
	if err != nil {
		return ""
	}
	return hash
}

func manyScans(file *io.SectionReader) bool {
	c := newFrameCounter("image/jpeg")
	var b [4096]byte
	for at := int64(0); at < file.Size(); at += int64(len(b)) {
		n, _ := file.ReadAt(b[:], at)
		c.write(b[:n])
	}
	return c.frames > maxHashScans
}

// decodeImage decodes the first frame.
func decodeImage(typ string, r io.Reader) (image.Image, error) {
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
	}
	return nil, image.ErrFormat
}

// upright turns a small image as its orientation says.
func upright(from *image.RGBA, orientation int) image.Image {
	if !validOrientation(orientation) || orientation == 1 {
		return from
	}
	w, h := from.Rect.Dx(), from.Rect.Dy()
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	if turned(orientation) {
		to = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range to.Rect.Dy() {
		for x := range to.Rect.Dx() {
			sx, sy := x, y
			if turned(orientation) {
				sx, sy = y, x
			}
			switch orientation { // EXIF: where row 0 and column 0 of what is stored are seen
			case 2, 3, 7, 8:
				sx = w - 1 - sx
			}
			switch orientation {
			case 3, 4, 6, 7:
				sy = h - 1 - sy
			}
			to.SetRGBA(x, y, from.RGBAAt(sx, sy))
		}
	}
	return to
}

// validBlurhash tells whether s can be one: it is shown to clients.
func validBlurhash(s string) bool {
	return s == "" || len(s) >= 6 && len(s) <= maxBlurhash && strings.Trim(s,
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~") == ""
}
