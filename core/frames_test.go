package core

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"math"
	"os"
	"testing"
)

// animation returns an animated image of 7 by 5 pixels with so many frames.
func animation(t testing.TB, typ string, frames int) []byte {
	t.Helper()
	switch typ {
	case "image/gif":
		g := &gif.GIF{Config: image.Config{Width: 7, Height: 5}}
		for range frames {
			g.Image = append(g.Image, image.NewPaletted(image.Rect(0, 0, 7, 5), color.Palette{color.Black, color.White}))
			g.Delay = append(g.Delay, 10)
		}
		var b bytes.Buffer
		if err := gif.EncodeAll(&b, g); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	case "image/png":
		b := pngHeader(7, 5)
		for range frames {
			b = append(b, "\x00\x00\x00\x1AfcTL"...)
			b = append(b, make([]byte, 26+4)...)
			b = append(b, "\x00\x00\x00\x04fdATfcTL\x00\x00\x00\x00"...)
		}
		return append(b, "\x00\x00\x00\x00IEND\xAEB\x60\x82"...)
	}
	b := append([]byte("RIFF\xFF\xFF\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00"), 6, 0, 0, 4, 0, 0)
	for range frames {
		b = append(b, "ANMF\x05\x00\x00\x00ANMF!\x00"...)
	}
	return b
}

func framesOf(typ string, file []byte, step int) int64 {
	c := newFrameCounter(typ)
	for len(file) > 0 {
		n := min(step, len(file))
		c.write(file[:n])
		file = file[n:]
	}
	return c.frames
}

func TestFramesAreCountedHoweverTheBytesArrive(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"image/gif", "image/png", "image/webp"} {
		for _, frames := range []int{1, 2, 57} {
			file := append(animation(t, typ, frames), ",,,fcTL"...)
			for _, step := range []int{1, 2, 3, 7, 64, len(file)} {
				if got := framesOf(typ, file, step); got != int64(frames) {
					t.Errorf("%s in steps of %d bytes: %d frames, want %d", typ, step, got, frames)
				}
			}
		}
	}
	for _, step := range []int{1, 5, 10_000} {
		// A thumbnail's scan inside EXIF and what follows the image count for nothing.
		file := append(withEXIF("image/jpeg", encoded(t)["image/jpeg"], []byte("\xFF\xD8\xFF\xDA\x00\x02\xFF\xD9")), "\xFF\xDA\xFF\xDA"...)
		if got := framesOf("image/jpeg", file, step); got != 1 {
			t.Errorf("a JPEG in steps of %d bytes: %d scans, want 1", step, got)
		}
		bomb := append(jpegWithScans(40), 0xFF, 0xD9)
		if got := framesOf("image/jpeg", bomb, step); got != 40 {
			t.Errorf("scans in steps of %d bytes: %d, want 40", step, got)
		}
	}
}

// jpegWithScans starts a JPEG of 7 by 5 pixels with scans of a few bytes each.
func jpegWithScans(n int) []byte {
	b := []byte("\xFF\xD8\xFF\xC2\x00\x0B\x08\x00\x05\x00\x07\x01\x01\x11\x00")
	for range n {
		b = append(b, "\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00ab\xFF\x00c\xFF\xD0d"...)
	}
	return b
}

func FuzzFrames(f *testing.F) {
	for _, typ := range []string{"image/gif", "image/png", "image/webp"} {
		f.Add(animation(f, typ, 3))
	}
	f.Add(jpegWithScans(3))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, typ := range []string{"image/gif", "image/png", "image/webp", "image/jpeg"} {
			whole, bytewise := framesOf(typ, file, max(len(file), 1)), framesOf(typ, file, 1)
			if whole != bytewise || whole < 0 || whole > int64(len(file)) {
				t.Fatalf("%s: %d frames at once, %d byte by byte", typ, whole, bytewise)
			}
		}
		if g, err := gif.DecodeAll(bytes.NewReader(file)); err == nil && framesOf("image/gif", file, 100) < int64(len(g.Image)) {
			t.Fatalf("a decoder finds %d frames, we %d", len(g.Image), framesOf("image/gif", file, 100))
		}
	})
}

func FuzzImageHead(f *testing.F) {
	for typ, file := range encoded(f) {
		f.Add(withEXIF(typ, file, exif(binary.BigEndian, 6, 3)))
		f.Add(withEXIF(typ, file, exif(binary.LittleEndian, 8, 4)))
	}
	f.Add(heif(math.MaxUint32, 1, boxes("irot", []byte{1}), boxes("imir", []byte{0})))
	for _, name := range []string{"40x30.avif", "40x30-rotated.avif", "40x30.heic"} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, typ := range []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/avif", "image/heic"} {
			head, ok := ReadImageHead(typ, bytes.NewReader(file))
			if ok != (head.Width > 0 && head.Height > 0) || head.Orientation < 0 || head.Orientation > 8 || !ok && head != (ImageHead{}) {
				t.Fatalf("%s: %+v, %t", typ, head, ok)
			}
			if again, okAgain := readImageHead(typ, bytes.NewReader(file)); again != head || okAgain != ok {
				t.Fatalf("%s: as a stream %+v, in memory %+v", typ, head, again)
			}
		}
	})
}
