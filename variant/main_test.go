package variant_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/variant"
)

func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }

func openStore(t testing.TB, endpoint func(*s3test.Server) string) (*core.Store, string) {
	t.Helper()
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: endpoint(s), AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	return store, s.Bucket(t)
}

func direct(s *s3test.Server) string { return s.Endpoint }

// photos is a field that takes anything, so that what is hostile gets as far as the
// Maker.
func photos(t testing.TB, store *core.Store, bucket string, maker core.VariantMaker, variants ...core.Variant) *core.Field {
	t.Helper()
	for i := range variants {
		variants[i].Make = core.OnRequest
	}
	field := store.Field(core.FieldConfig{
		Name: "photo", Model: t.Name(), Bucket: bucket, MaxSize: 100 * core.MiB, VariantMaker: maker, Variants: variants, LinkBase: "/files/",
	})
	if err := field.Fault(); err != nil {
		t.Fatal(err)
	}
	return field
}

func save(t testing.TB, field *core.Field, file []byte) core.Object {
	t.Helper()
	o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(file), Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// madeOf saves a file and returns the variant that is made of it.
func madeOf(t testing.TB, field *core.Field, file []byte, name string) (core.Object, []byte) {
	t.Helper()
	o := save(t, field, file)
	if err := field.MakeVariants(t.Context(), o, name); err != nil {
		t.Fatal(err)
	}
	return read(t, field, o, name)
}

func read(t testing.TB, field *core.Field, o core.Object, name string) (core.Object, []byte) {
	t.Helper()
	v, err := field.Variant(o, name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := field.Open(context.Background(), v.Key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return f.Object, content
}

func decoded(t testing.TB, content []byte) image.Image {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mosaic is an image in which no pixel is like its neighbours.
func mosaic(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetNRGBA(x, y, color.NRGBA{uint8(x*37 + y*11), uint8(y*53 + x*3), uint8(x*y*7 + 29), 255})
		}
	}
	return m
}

// gradient is red to the left, blue to the right, and greener below.
func gradient(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetNRGBA(x, y, color.NRGBA{uint8(255 - 255*x/width), uint8(255 * y / height), uint8(255 * x / width), 255})
		}
	}
	return m
}

func asPNG(t testing.TB, m image.Image) []byte { return encoded(t, m, png.Encode) }
func asBMP(t testing.TB, m image.Image) []byte { return encoded(t, m, bmp.Encode) }
func asTIFF(t testing.TB, m image.Image) []byte {
	return encoded(t, m, func(w io.Writer, m image.Image) error { return tiff.Encode(w, m, nil) })
}

func asGIF(t testing.TB, m image.Image) []byte {
	return encoded(t, m, func(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) })
}

func asJPEG(t testing.TB, m image.Image) []byte {
	return encoded(t, m, func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 95}) })
}

func encoded(t testing.TB, m image.Image, encode func(io.Writer, image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// chunk is a chunk of a PNG.
func chunk(name string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, name...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// flood is the head of a PNG that claims more pixels than anyone has memory for.
func flood(width, height uint32) []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 8, 6, 0, 0, 0))...)
}

// exif is EXIF with an orientation and a place on earth.
func exif(orientation byte) []byte {
	const place = "52/1 31/1 GPS-SECRET-PLACE"
	b := []byte("MM\x00*\x00\x00\x00\x08\x00\x02")
	b = append(b, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0)
	b = append(b, 0x88, 0x25, 0, 4, 0, 0, 0, 1, 0, 0, 0, 38)
	b = append(b, 0, 0, 0, 0)
	return append(b, place...)
}

// withExif puts EXIF, XMP, a profile and a comment into a JPEG.
func withExif(file []byte, orientation byte) []byte {
	segment := func(marker byte, data string) []byte {
		b := binary.BigEndian.AppendUint16([]byte{0xFF, marker}, uint16(len(data)+2))
		return append(b, data...)
	}
	out := []byte("\xFF\xD8")
	out = append(out, segment(0xE1, "Exif\x00\x00"+string(exif(orientation)))...)
	out = append(out, segment(0xE1, "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>GPS-SECRET-XMP</x:xmpmeta>")...)
	out = append(out, segment(0xE2, "ICC_PROFILE\x00\x01\x01GPS-SECRET-ICC")...)
	out = append(out, segment(0xED, "Photoshop 3.0\x00GPS-SECRET-IPTC")...)
	out = append(out, segment(0xFE, "GPS-SECRET-COMMENT")...)
	return append(out, file[2:]...)
}

// pngWithExif puts the like into a PNG.
func pngWithExif(file []byte, orientation byte) []byte {
	const head = 8 + 25
	out := append([]byte(nil), file[:head]...)
	out = append(out, chunk("eXIf", exif(orientation))...)
	out = append(out, chunk("tEXt", []byte("Comment\x00GPS-SECRET-TEXT"))...)
	out = append(out, chunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00GPS-SECRET-XMP"))...)
	return append(out, file[head:]...)
}

var standard = variant.Config{}

func readerOf(b []byte) io.Reader { return bytes.NewReader(b) }
