// Package orient turns images as EXIF's orientation says.
package orient

import "image"

// Turned tells whether an orientation exchanges width and height.
func Turned(orientation int) bool { return orientation >= 5 && orientation <= 8 }

// Upright returns the image as it is looked at: turned and mirrored as the
// orientation, 1 to 8, says. 1, and what is none, gives the image itself; otherwise
// it is another one.
func Upright(from *image.RGBA, orientation int) *image.RGBA {
	if orientation < 2 || orientation > 8 {
		return from
	}
	w, h := from.Rect.Dx(), from.Rect.Dy()
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	if Turned(orientation) {
		to = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range to.Rect.Dy() {
		for x := range to.Rect.Dx() {
			sx, sy := x, y
			if Turned(orientation) {
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
			copy(to.Pix[y*to.Stride+4*x:][:4], from.Pix[sy*from.Stride+4*sx:][:4])
		}
	}
	return to
}
