package core

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// encoded returns an image of 7 by 5 pixels in each format the packages write,
// and a WebP header of the same size.
func encoded(t testing.TB) map[string][]byte {
	t.Helper()
	picture := image.NewPaletted(image.Rect(0, 0, 7, 5), color.Palette{color.Black, color.White})
	files := map[string][]byte{
		"image/webp": append([]byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), 6, 0, 0, 4, 0, 0),
	}
	for typ, encode := range map[string]func(io.Writer) error{
		"image/png":  func(w io.Writer) error { return png.Encode(w, picture) },
		"image/jpeg": func(w io.Writer) error { return jpeg.Encode(w, picture, nil) },
		"image/gif":  func(w io.Writer) error { return gif.Encode(w, picture, nil) },
		"image/bmp":  func(w io.Writer) error { return bmp.Encode(w, picture) },
		"image/tiff": func(w io.Writer) error { return tiff.Encode(w, picture, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		files[typ] = b.Bytes()
	}
	return files
}

// pngHeader returns the first chunk of a PNG that claims the size.
func pngHeader(width, height uint32) []byte {
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)...)
	chunk = append(chunk, 8, 6, 0, 0, 0)
	head := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(chunk))
}

func TestDimensions(t *testing.T) {
	t.Parallel()
	files := encoded(t)
	for typ, file := range files {
		t.Run("reads "+typ, func(t *testing.T) {
			t.Parallel()
			if width, height, ok := Dimensions(typ, bytes.NewReader(file)); width != 7 || height != 5 || !ok {
				t.Errorf("got %d×%d, %t; want 7×5", width, height, ok)
			}
			for n := range file[:min(len(file), 16)] {
				if width, height, ok := Dimensions(typ, bytes.NewReader(file[:n])); ok || width != 0 || height != 0 {
					t.Errorf("cut after %d bytes: %d×%d, %t; want nothing", n, width, height, ok)
				}
			}
		})
	}
	t.Run("trusts the type, not the content", func(t *testing.T) {
		t.Parallel()
		for _, typ := range []string{"image/jpeg", "application/octet-stream", "image/svg+xml", ""} {
			if _, _, ok := Dimensions(typ, bytes.NewReader(files["image/png"])); ok {
				t.Errorf("a PNG has dimensions as %q", typ)
			}
		}
	})
	t.Run("reads a pixel flood's header only", func(t *testing.T) {
		t.Parallel()
		width, height, ok := Dimensions("image/png", bytes.NewReader(pngHeader(65000, 65000)))
		if width != 65000 || height != 65000 || !ok {
			t.Errorf("got %d×%d, %t; want 65000×65000", width, height, ok)
		}
	})
	t.Run("knows no image without extent", func(t *testing.T) {
		t.Parallel()
		if _, _, ok := Dimensions("image/png", bytes.NewReader(pngHeader(0, 5))); ok {
			t.Error("an image of width 0 has dimensions")
		}
	})
}

// endless yields one byte for ever and counts what was read.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0xFF
	}
	e.read += len(p)
	return len(p), nil
}

func TestC8DimensionsReadsABoundedAmount(t *testing.T) {
	t.Parallel()
	for typ, start := range map[string]string{
		"image/jpeg": "\xff\xd8",
		"image/tiff": "II*\x00\xff\xff\xff\x7f",
		"image/png":  "\x89PNG\r\n\x1a\n",
		"image/webp": "RIFF\xff\xff\xff\x7fWEBP",
	} {
		rest := &endless{}
		if _, _, ok := Dimensions(typ, io.MultiReader(strings.NewReader(start), rest)); ok {
			t.Errorf("%s: noise has dimensions", typ)
		}
		if rest.read > maxImageHeader {
			t.Errorf("%s: %d bytes were read; want at most %d", typ, rest.read, maxImageHeader)
		}
	}
}

func FuzzDimensions(f *testing.F) {
	types := []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/other"}
	for _, file := range encoded(f) {
		f.Add(file)
	}
	f.Add(pngHeader(65000, 65000))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, typ := range types {
			width, height, ok := Dimensions(typ, bytes.NewReader(file))
			if ok != (width > 0 && height > 0) {
				t.Fatalf("%s: %d×%d, %t", typ, width, height, ok)
			}
		}
	})
}

func BenchmarkDimensions(b *testing.B) {
	for typ, file := range encoded(b) {
		b.Run(strings.TrimPrefix(typ, "image/"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := Dimensions(typ, bytes.NewReader(file)); !ok {
					b.Fatal("no dimensions")
				}
			}
		})
	}
}
