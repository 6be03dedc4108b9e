//go:build uploads

package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"testing"
)

// landscape is a picture of hills under a sky, another for each number.
func landscape(t testing.TB, number int) []byte {
	t.Helper()
	width, height := 480, 320
	if number%3 == 1 {
		width, height = height, width
	}
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	turn := float64(number) * 0.7
	for y := range height {
		for x := range width {
			fx, fy := float64(x)/float64(width), float64(y)/float64(height)
			shade := func(base, swing float64) uint8 { return uint8(max(0, min(255, base+swing*math.Sin(turn)))) }
			c := color.RGBA{shade(150+90*fy, 60), shade(170+40*fy, 30), shade(235-70*fy, 20), 255}
			for hill := range 4 {
				f := float64(hill)
				if fy > 0.45+0.13*f+0.09*math.Sin(fx*(4+f)+turn*(f+1)) {
					c = color.RGBA{shade(90-18*f, 30), shade(130-24*f, 25), shade(110-20*f, 40), 255}
				}
			}
			m.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
