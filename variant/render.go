package variant

import (
	"context"
	"image"
	"image/color"
	stddraw "image/draw"
	"math"

	"golang.org/x/image/draw"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/orient"
)

// The scaler of x/image keeps its intermediate image in four float64 a pixel. In
// bands, that does not grow with the image.
const (
	bandRows    = 64
	bandColumns = 16
	tmpBytes    = 32
)

// render makes a variant of a decoded image: cropped, resized, and then turned, as
// that is less work. ctx ends it.
func render(ctx context.Context, m image.Image, orientation int, v core.Variant) (*image.RGBA, error) {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	turned := orient.Turned(orientation)
	if turned {
		w, h = h, w
	}
	dw, dh := v.Dimensions(w, h)
	cw, ch := w, h
	if v.Mode == core.Fill {
		cw = min(w, max(int(math.Round(float64(h)*float64(v.Width)/float64(v.Height))), 1))
		ch = min(h, max(int(math.Round(float64(w)*float64(v.Height)/float64(v.Width))), 1))
	}
	x, y := (w-cw)/2, (h-ch)/2
	if turned { // back to how it is stored
		dw, dh, cw, ch, x, y = dh, dw, ch, cw, y, x
	}
	crop := image.Rect(0, 0, cw, ch).Add(b.Min).Add(image.Pt(x, y))
	small, err := resize(ctx, m, crop, dw, dh)
	if err != nil {
		return nil, err
	}
	return orient.Upright(small, orientation), nil
}

// resize brings a part of an image to a size: first its width, in bands of rows, and
// then its height, in bands of columns. A kernel that passes through its points
// leaves the direction alone that keeps its size.
func resize(ctx context.Context, m image.Image, part image.Rectangle, width, height int) (*image.RGBA, error) {
	scalers := scalers{}
	w, h := part.Dx(), part.Dy()
	middle := image.NewRGBA(image.Rect(0, 0, width, h))
	band := image.NewRGBA(image.Rect(0, 0, w, min(bandRows, h)))
	for y := 0; y < h; y += bandRows {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		rows := min(bandRows, h-y)
		from := image.Rect(0, 0, w, rows)
		to := image.Rect(0, y, width, y+rows)
		if width == w {
			stddraw.Draw(middle, to, m, part.Min.Add(image.Pt(0, y)), stddraw.Src)
			continue
		}
		stddraw.Draw(band, from, m, part.Min.Add(image.Pt(0, y)), stddraw.Src)
		scalers.scale(middle, to, band, from)
	}
	if height == h {
		return middle, nil
	}
	made := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := 0; x < width; x += bandColumns {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		end := min(x+bandColumns, width)
		scalers.scale(made, image.Rect(x, 0, end, height), middle, image.Rect(x, 0, end, h))
	}
	return made, nil
}

// scalers keeps the weights, and the intermediate image, of bands of one size.
type scalers map[[2]image.Point]draw.Scaler

func (s scalers) scale(to *image.RGBA, at image.Rectangle, from *image.RGBA, part image.Rectangle) {
	size := [2]image.Point{at.Size(), part.Size()}
	if s[size] == nil {
		s[size] = draw.CatmullRom.NewScaler(at.Dx(), at.Dy(), part.Dx(), part.Dy())
	}
	s[size].Scale(to, at, from, part, draw.Src, nil)
}

// whole returns a frame as the whole image it is a part of.
func whole(m image.Image, width, height int) image.Image {
	full := image.Rect(0, 0, width, height)
	if m.Bounds() == full {
		return m
	}
	canvas := image.NewRGBA(full)
	stddraw.Draw(canvas, m.Bounds(), m, m.Bounds().Min, stddraw.Src)
	return canvas
}

// onWhite puts an image on white, for formats without transparency.
func onWhite(m *image.RGBA) *image.RGBA {
	if m.Opaque() {
		return m
	}
	made := image.NewRGBA(m.Rect)
	stddraw.Draw(made, made.Rect, image.NewUniform(color.White), image.Point{}, stddraw.Src)
	stddraw.Draw(made, made.Rect, m, m.Rect.Min, stddraw.Over)
	return made
}
