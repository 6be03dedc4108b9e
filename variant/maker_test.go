package variant_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/variant"
)

func TestVariantsAreMadeOfEveryFormat(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	field := photos(t, store, bucket, variant.New(standard),
		core.Variant{Name: "fit", Width: 100, Height: 100}, core.Variant{Name: "fill", Width: 60, Height: 60, Mode: core.Fill, Format: "image/jpeg"},
		core.Variant{Name: "png", Height: 30, Format: "image/png"})
	m := gradient(200, 100)
	rgba64 := image.NewNRGBA64(m.Rect)
	draw.Draw(rgba64, m.Rect, m, image.Point{}, draw.Src)
	grey := image.NewGray(m.Rect)
	draw.Draw(grey, m.Rect, m, image.Point{}, draw.Src)
	for name, c := range map[string]struct {
		file []byte
		typ  string
		grey bool
	}{
		"PNG":             {asPNG(t, m), "image/png", false},
		"PNG of 16 bits":  {asPNG(t, rgba64), "image/png", false},
		"grey PNG":        {asPNG(t, grey), "image/png", true},
		"JPEG":            {asJPEG(t, m), "image/jpeg", false},
		"grey JPEG":       {asJPEG(t, grey), "image/jpeg", true},
		"GIF":             {asGIF(t, m), "image/png", false},
		"BMP":             {asBMP(t, m), "image/jpeg", false},
		"TIFF":            {asTIFF(t, m), "image/jpeg", false},
		"TIFF of 16 bits": {asTIFF(t, rgba64), "image/jpeg", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := save(t, field, c.file)
			if err := field.MakeVariants(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			for v, want := range map[string]struct {
				size image.Point
				typ  string
			}{"fit": {image.Pt(100, 50), c.typ}, "fill": {image.Pt(60, 60), "image/jpeg"}, "png": {image.Pt(60, 30), "image/png"}} {
				stored, content := read(t, field, o, v)
				made := decoded(t, content)
				if made.Bounds().Size() != want.size || stored.Type != want.typ || stored.Width != want.size.X || stored.Orientation != 0 {
					t.Errorf("%s is %s of %v, stored as %+v; want %s of %v", v, stored.Type, made.Bounds(), stored, want.typ, want.size)
				}
				known, err := field.Variant(o, v)
				if err != nil || known.Type != stored.Type || known.Width != stored.Width || known.Height != stored.Height || known.Name != stored.Name {
					t.Errorf("%s was said to be %+v, %v; it is %+v", v, known, err, stored)
				}
				if c.grey {
					continue
				}
				left, right := m.NRGBAAt(2, 50), m.NRGBAAt(197, 50)
				if v == "fill" { // the middle
					left, right = m.NRGBAAt(53, 50), m.NRGBAAt(147, 50)
				}
				near(t, name+" "+v+" left", made.At(1, want.size.Y/2), left)
				near(t, name+" "+v+" right", made.At(want.size.X-2, want.size.Y/2), right)
			}
		})
	}
}

// near checks a colour, give or take what formats lose.
func near(t testing.TB, what string, have, want color.Color) {
	t.Helper()
	r, g, b, a := have.RGBA()
	wr, wg, wb, wa := want.RGBA()
	for _, d := range []int64{int64(r) - int64(wr), int64(g) - int64(wg), int64(b) - int64(wb), int64(a) - int64(wa)} {
		if d > 24<<8 || d < -24<<8 {
			t.Errorf("%s: the colour is %v, want %v", what, have, want)
			return
		}
	}
}

// seen says which stored pixel is looked at in a place, by EXIF's table (TIFF 6.0,
// Orientation): which side the row 0 is seen at, and which the column 0.
func seen(orientation, x, y, w, h int) (sx, sy int) {
	switch orientation {
	case 2: // row 0 at the top, column 0 to the right
		return w - 1 - x, y
	case 3: // bottom, right
		return w - 1 - x, h - 1 - y
	case 4: // bottom, left
		return x, h - 1 - y
	case 5: // left, top
		return y, x
	case 6: // right, top
		return y, h - 1 - x
	case 7: // right, bottom
		return w - 1 - y, h - 1 - x
	case 8: // left, bottom
		return w - 1 - y, x
	}
	return x, y
}

func TestOrientationsAreAppliedToThePixel(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	field := photos(t, store, bucket, variant.New(standard), core.Variant{Name: "same", Format: "image/png"}, core.Variant{Name: "half", Width: 8, Height: 8, Format: "image/png"})
	const w, h = 21, 13
	stored := mosaic(w, h)
	pixels := asPNG(t, stored)
	jpegFile := asJPEG(t, stored)
	asDecoded := decoded(t, jpegFile)
	for orientation := range 9 { // 0 is none
		for name, c := range map[string]struct {
			file []byte
			want image.Image
		}{"PNG": {pngWithExif(pixels, byte(orientation)), stored}, "JPEG": {withExif(jpegFile, byte(orientation)), asDecoded}} {
			t.Run(fmt.Sprint(name, " ", orientation), func(t *testing.T) {
				t.Parallel()
				object, content := madeOf(t, field, c.file, "same")
				made := decoded(t, content)
				ww, wh := w, h
				if orientation >= 5 {
					ww, wh = h, w
				}
				if made.Bounds() != image.Rect(0, 0, ww, wh) || object.Width != ww || object.Orientation != 0 {
					t.Fatalf("it is %v, stored as %+v; want %d by %d", made.Bounds(), object, ww, wh)
				}
				wrong := 0
				for y := range wh {
					for x := range ww {
						sx, sy := seen(orientation, x, y, w, h)
						if color.RGBAModel.Convert(made.At(x, y)) != color.RGBAModel.Convert(c.want.At(sx, sy)) {
							wrong++
						}
					}
				}
				if wrong > 0 {
					t.Errorf("%d of %d pixels are not where they are looked at", wrong, w*h)
				}
				_, content = madeOf(t, field, c.file, "half")
				if b := decoded(t, content).Bounds(); b.Dx() > 8 || b.Dy() > 8 || (b.Dx() > b.Dy()) != (ww > wh) {
					t.Errorf("shrunk, it is %v", b)
				}
			})
		}
	}
}

func TestC11NothingOfTheOriginalsMetadataIsInAVariant(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	field := photos(t, store, bucket, variant.New(standard), core.Variant{Name: "jpeg", Format: "image/jpeg"}, core.Variant{Name: "png", Format: "image/png"}, core.Variant{Name: "small", Width: 5})
	for name, file := range map[string][]byte{
		"JPEG": withExif(asJPEG(t, gradient(40, 30)), 6), "PNG": pngWithExif(asPNG(t, gradient(40, 30)), 6),
		"WebP": webpWithExif(t),
	} {
		if !bytes.Contains(file, []byte("GPS-SECRET")) {
			t.Fatalf("%s: the original holds no secret", name)
		}
		o := save(t, field, file)
		if err := field.MakeVariants(t.Context(), o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range []string{"jpeg", "png", "small"} {
			_, content := read(t, field, o, v)
			for _, mark := range []string{"GPS", "SECRET", "Exif", "eXIf", "ICC", "iCCP", "xmp", "XMP", "Photoshop", "tEXt", "iTXt", "zTXt", "MM\x00*", "II*\x00"} {
				if bytes.Contains(content, []byte(mark)) {
					t.Errorf("%s: the variant %s holds %q", name, v, mark)
				}
			}
			wantBareImage(t, name+" "+v, content)
		}
	}
}

// wantBareImage checks that a file consists of nothing but what pixels need.
func wantBareImage(t testing.TB, what string, file []byte) {
	t.Helper()
	if bytes.HasPrefix(file, []byte("\x89PNG")) {
		for at := 8; at+8 <= len(file); {
			name := string(file[at+4 : at+8])
			if !strings.Contains("IHDR PLTE tRNS IDAT IEND", name) {
				t.Errorf("%s has the chunk %s", what, name)
			}
			at += 12 + int(file[at])<<24 + int(file[at+1])<<16 + int(file[at+2])<<8 + int(file[at+3])
		}
		return
	}
	for at := 2; at+4 <= len(file) && file[at+1] != 0xDA; at += 2 + int(file[at+2])<<8 + int(file[at+3]) {
		switch marker := file[at+1]; {
		case marker == 0xDB, marker == 0xC4, marker == 0xC0: // tables and the frame
		default:
			t.Errorf("%s has the segment FF%02X", what, marker)
		}
	}
}

func TestAnimationsShowTheirFirstFrame(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	field := photos(t, store, bucket, variant.New(standard), core.Variant{Name: "same"}, core.Variant{Name: "jpeg", Format: "image/jpeg"})
	palette := color.Palette{color.Transparent, color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}}
	g := &gif.GIF{Config: image.Config{ColorModel: palette, Width: 40, Height: 20}}
	for i := range 3 { // frames smaller than the picture
		frame := image.NewPaletted(image.Rect(10, 5, 20, 15), palette)
		for p := range frame.Pix {
			frame.Pix[p] = uint8(1 + min(i, 1))
		}
		g.Image, g.Delay = append(g.Image, frame), append(g.Delay, 1)
	}
	var file bytes.Buffer
	if err := gif.EncodeAll(&file, g); err != nil {
		t.Fatal(err)
	}
	o := save(t, field, file.Bytes())
	if err := field.MakeVariants(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	_, content := read(t, field, o, "same")
	made := decoded(t, content)
	if made.Bounds() != image.Rect(0, 0, 40, 20) {
		t.Fatalf("the variant is %v", made.Bounds())
	}
	near(t, "in the frame", made.At(15, 10), color.RGBA{255, 0, 0, 255})
	near(t, "beside the frame", made.At(1, 1), color.Transparent)
	_, content = read(t, field, o, "jpeg")
	near(t, "beside the frame, in a JPEG", decoded(t, content).At(1, 1), color.White)
}

func TestColoursOfPrintAreConverted(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	field := photos(t, store, bucket, variant.New(standard), core.Variant{Name: "small", Width: 8, Format: "image/png"})
	_, content := madeOf(t, field, cmykJPEG(), "small")
	near(t, "the colour", decoded(t, content).At(2, 2), color.RGBA{64, 64, 64, 255})
}

func TestAVariantOfTheSameQualityIsTheSame(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	field := photos(t, store, bucket, variant.New(standard),
		core.Variant{Name: "low", Format: "image/jpeg", Quality: 10}, core.Variant{Name: "high", Format: "image/jpeg", Quality: 95}, core.Variant{Name: "default", Format: "image/jpeg"})
	o := save(t, field, asPNG(t, mosaic(100, 100)))
	if err := field.MakeVariants(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	size := map[string]int{}
	for _, v := range []string{"low", "high", "default"} {
		_, content := read(t, field, o, v)
		size[v] = len(content)
		if _, err := jpeg.Decode(bytes.NewReader(content)); err != nil {
			t.Error(err)
		}
	}
	if size["low"] >= size["default"] || size["default"] >= size["high"] {
		t.Errorf("the sizes by quality are %v", size)
	}
}
