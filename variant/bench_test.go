package variant

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/filefield/filefield/core"
)

// What a variant costs beside storage: decoding, resizing, encoding.
func BenchmarkVariant(b *testing.B) {
	for _, c := range []struct {
		name          string
		width, height int
		jpeg          bool
		v             core.Variant
	}{
		{"JPEG of 12 megapixels to 200x200", 4000, 3000, true, core.Variant{Width: 200, Height: 200, Mode: core.Fill}},
		{"JPEG of 12 megapixels to 1600", 4000, 3000, true, core.Variant{Width: 1600}},
		{"PNG of 2 megapixels to 200", 1600, 1200, false, core.Variant{Width: 200}},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := image.NewRGBA(image.Rect(0, 0, c.width, c.height))
			for y := range c.height {
				for x := range c.width {
					copy(m.Pix[m.PixOffset(x, y):], []byte{uint8(x / 7), uint8(y / 5), uint8((x ^ y) >> 3), 255})
				}
			}
			var file bytes.Buffer
			typ, err := "image/png", error(nil)
			if c.jpeg {
				typ = "image/jpeg"
				err = jpeg.Encode(&file, m, nil)
			} else {
				err = png.Encode(&file, m)
			}
			if err != nil {
				b.Fatal(err)
			}
			j := &job{
				Maker: New(Config{}), original: core.Object{Type: typ}, field: benchField(b),
				head: core.ImageHead{Width: c.width, Height: c.height, Orientation: 6},
			}
			cost := decodedBytes(typ, file.Bytes(), c.width, c.height) + renderBytes(c.v, j.head) + int64(file.Len())
			b.ReportMetric(float64(cost)/(1<<20), "MiB-reserved")
			b.ReportAllocs()
			for b.Loop() {
				picture, err := j.prepare(context.Background(), file.Bytes())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := j.encode(context.Background(), picture, c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchField(t testing.TB) *core.Field {
	t.Helper()
	store, err := core.Open(core.Config{Endpoint: "localhost:1", AccessKey: "a", SecretKey: "b", SigningKeys: []core.Secret{"a key for tests, long enough"}})
	if err != nil {
		t.Fatal(err)
	}
	return store.Field(core.FieldConfig{Name: "photo", Bucket: "photos"})
}

// What is reserved for an image is held against what its decoder allocates.
func TestDecodingAllocatesNoMoreThanIsReserved(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 700, 500))
	deep := image.NewNRGBA64(m.Rect)
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i >> 3)
	}
	for i := range deep.Pix {
		deep.Pix[i] = uint8(i * i >> 3)
	}
	for _, c := range []struct {
		typ    string
		encode func(io.Writer) error
		ends   bool // before its last pixel
	}{
		{"image/jpeg", func(w io.Writer) error { return jpeg.Encode(w, m, nil) }, false},
		{"image/png", func(w io.Writer) error { return png.Encode(w, m) }, false},
		{"image/png", func(w io.Writer) error { return png.Encode(w, deep) }, false},
		{"image/bmp", func(w io.Writer) error { return bmp.Encode(w, m) }, false},
		{"image/tiff", func(w io.Writer) error { return tiff.Encode(w, deep, &tiff.Options{Compression: tiff.Deflate}) }, false},
		{"image/gif", func(w io.Writer) error { return gif.Encode(w, m, nil) }, false},
		{"image/jpeg", func(w io.Writer) error { return progressive(w, 700, 500) }, true},
	} {
		var file bytes.Buffer
		if err := c.encode(&file); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := (Standard{}).Decode(c.typ, bytes.NewReader(file.Bytes()))
		runtime.ReadMemStats(&after)
		if err != nil && !c.ends {
			t.Errorf("%s: %v", c.typ, err)
		}
		const small = 256 << 10 // tables and buffers
		reserved := decodedBytes(c.typ, file.Bytes(), 700, 500)
		if got := int64(after.TotalAlloc - before.TotalAlloc); got > slack*reserved+int64(file.Len())+small {
			t.Errorf("%s: decoding allocates %d bytes, %d are reserved", c.typ, got, reserved)
		}
	}
}

// progressive writes a progressive JPEG of three colours as far as its first pixels.
func progressive(w io.Writer, width, height uint16) error {
	file := []byte("\xFF\xD8\xFF\xDB\x00\x43\x00" + strings.Repeat("\x01", 64) + "\xFF\xC2\x00\x11\x08")
	file = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(file, height), width)
	file = append(file, "\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"...)
	file = append(file, "\xFF\xC4\x00\x14\x00\x01"+strings.Repeat("\x00", 15)+"\x00"...)
	file = append(file, "\xFF\xDA\x00\x0C\x03\x01\x00\x02\x00\x03\x00\x00\x00\x00"...)
	_, err := w.Write(append(file, make([]byte, 1000)...))
	return err
}
