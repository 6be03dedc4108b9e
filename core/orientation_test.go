package core

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"testing"
)

// exif returns EXIF data with an orientation, behind an entry that is not it.
func exif(order binary.AppendByteOrder, orientation, typ uint16) []byte {
	b := []byte("II*\x00")
	if order.String() == binary.BigEndian.String() {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, e := range [][2]uint16{{0x010F, 7}, {tagOrientation, orientation}} {
		b = order.AppendUint16(b, e[0])
		b = order.AppendUint16(b, typ)
		b = order.AppendUint32(b, 1)
		if typ == 4 {
			b = order.AppendUint32(b, uint32(e[1]))
		} else {
			b = order.AppendUint16(b, e[1])
			b = append(b, 0, 0)
		}
	}
	return order.AppendUint32(b, 0)
}

// withEXIF puts EXIF data into an image of encoded.
func withEXIF(typ string, file, data []byte) []byte {
	out := bytes.Clone(file)
	switch typ {
	case "image/jpeg": // behind SOI, a padded comment and JFIF's place
		segment := binary.BigEndian.AppendUint16([]byte("\xFF\xE1"), uint16(2+6+len(data)))
		segment = append(append(segment, "Exif\x00\x00"...), data...)
		comment := []byte("\xFF\xFF\xFF\xFE\x00\x04hi\xFF\xE1\x00\x07other")
		return append(append(append([]byte("\xFF\xD8"), comment...), segment...), file[2:]...)
	case "image/png": // behind IHDR
		chunk := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		chunk = append(append(chunk, "eXIf"...), data...)
		chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
		return append(append(out[:33:33], chunk...), file[33:]...)
	case "image/webp": // behind everything, and a chunk of odd length
		chunk := binary.LittleEndian.AppendUint32([]byte("ICCP\x01\x00\x00\x00x\x00EXIF"), uint32(len(data)))
		return append(append(out, chunk...), data...)
	}
	return out
}

func TestTheOrientationIsReadFromEXIF(t *testing.T) {
	t.Parallel()
	files := encoded(t)
	for _, typ := range []string{"image/jpeg", "image/png", "image/webp"} {
		for orientation := range uint16(10) {
			want := int(orientation)
			if !validOrientation(want) {
				want = 0
			}
			for name, data := range map[string][]byte{
				"little endian":    exif(binary.LittleEndian, orientation, 3),
				"big endian":       exif(binary.BigEndian, orientation, 3),
				"as a long number": exif(binary.BigEndian, orientation, 4),
			} {
				got, ok := ReadImageHead(typ, bytes.NewReader(withEXIF(typ, files[typ], data)))
				if want := (ImageHead{Width: 7, Height: 5, Orientation: want}); !ok || got != want {
					t.Errorf("%s, %s, %d: got %+v, %t; want %+v", typ, name, orientation, got, ok, want)
				}
			}
		}
	}
	t.Run("of a WebP with JPEG's mark", func(t *testing.T) {
		t.Parallel()
		data := append([]byte("Exif\x00\x00"), exif(binary.LittleEndian, 6, 3)...)
		if got, ok := ReadImageHead("image/webp", bytes.NewReader(withEXIF("image/webp", files["image/webp"], data))); !ok || got.Orientation != 6 {
			t.Errorf("got %+v, %t; want orientation 6", got, ok)
		}
	})
	t.Run("of a TIFF", func(t *testing.T) {
		t.Parallel()
		file := bytes.Clone(files["image/tiff"])
		ifd := binary.LittleEndian.Uint32(file[4:])
		// A directory with one entry more, in its order, goes behind the file.
		entries := int(binary.LittleEndian.Uint16(file[ifd:]))
		directory := binary.LittleEndian.AppendUint16(nil, uint16(entries+1))
		for entry := range slices.Chunk(file[int(ifd)+2:int(ifd)+2+12*entries], 12) {
			if binary.LittleEndian.Uint16(entry) == tagOrientation+3 {
				directory = append(directory, 0x12, 1, 3, 0, 1, 0, 0, 0, 8, 0, 0, 0)
			}
			directory = append(directory, entry...)
		}
		binary.LittleEndian.PutUint32(file[4:], uint32(len(file)))
		file = append(file, directory...)
		if got, ok := ReadImageHead("image/tiff", bytes.NewReader(file)); !ok || got.Orientation != 8 {
			t.Errorf("got %+v, %t; want orientation 8", got, ok)
		}
	})
}

func TestDamagedEXIFIsNoOrientationAndNoHarm(t *testing.T) {
	t.Parallel()
	files := encoded(t)
	whole := exif(binary.BigEndian, 6, 3)
	past := bytes.Clone(whole)
	binary.BigEndian.PutUint32(past[4:], 0xFFFFFFF0) // the directory lies elsewhere
	many := bytes.Clone(whole)
	binary.BigEndian.PutUint16(many[8:], 0xFFFF) // more entries than there are
	binary.BigEndian.PutUint16(many[22:], 0)
	for _, typ := range []string{"image/jpeg", "image/png", "image/webp"} {
		for n := range whole[:28] {
			mustHaveNoOrientation(t, fmt.Sprintf("%s, %d bytes", typ, n), typ, withEXIF(typ, files[typ], whole[:n]))
		}
		mustHaveNoOrientation(t, typ+", elsewhere", typ, withEXIF(typ, files[typ], past))
		mustHaveNoOrientation(t, typ+", many", typ, withEXIF(typ, files[typ], many))
	}
}

func mustHaveNoOrientation(t *testing.T, what, typ string, file []byte) {
	t.Helper()
	if got, ok := ReadImageHead(typ, bytes.NewReader(file)); !ok || got != (ImageHead{Width: 7, Height: 5}) {
		t.Errorf("%s: got %+v, %t; want the size alone", what, got, ok)
	}
}

func TestWidthAndHeightAreExchangedWhereAnImageIsTurned(t *testing.T) {
	t.Parallel()
	for orientation := range 9 {
		w, h := Object{Width: 7, Height: 5, Orientation: orientation}.Displayed()
		if exchanged := w == 5 && h == 7; exchanged != (orientation >= 5) || w+h != 12 {
			t.Errorf("orientation %d: %d by %d", orientation, w, h)
		}
	}
}

// boxes writes a box of ISO/IEC 14496-12.
func boxes(kind string, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(8+len(content))), append([]byte(kind), content...)...)
}

func be32(n ...uint32) (b []byte) {
	for _, v := range n {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// heif returns a file whose image 2 of three is the primary one, with a thumbnail
// of 4 by 3 as image 1, and the properties with indices of two bytes.
func heif(width, height uint32, more ...[]byte) []byte {
	properties := append([][]byte{boxes("ispe", be32(0, 4, 3)), boxes("hvcC", []byte("x")), boxes("ispe", be32(0, width, height))}, more...)
	ipma := append(be32(1, 3), 0, 1, 1, 0x80, 1, 0, 2, byte(1+len(more)))
	for i := range properties[2:] {
		ipma = append(ipma, 0x80, byte(3+i))
	}
	ipma = append(ipma, 0, 3, 0)
	return bytes.Join([][]byte{
		boxes("ftyp", []byte("heic\x00\x00\x00\x00mif1heic")),
		boxes("free", make([]byte, 100)),
		boxes(
			"meta", be32(0),
			boxes("hdlr", make([]byte, 25)),
			boxes("pitm", be32(0), []byte{0, 2}),
			boxes("iprp", boxes("ipco", properties...), boxes("ipma", ipma)),
		),
		boxes("mdat", make([]byte, 50)),
	}, nil)
}

func TestAVIFAndHEICAreMeasuredByTheirBoxes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]ImageHead{
		"40x30.avif": {40, 30, 0}, "40x30-rotated.avif": {40, 30, 6}, "40x30.heic": {40, 30, 0}, // written by libavif and libheif
	} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := ReadImageHead(DetectType(file), bytes.NewReader(file))
		if !ok || got != want {
			t.Errorf("%s (%s): got %+v, %t; want %+v", name, DetectType(file), got, ok, want)
		}
		for n := range file[:100] {
			if got, ok := ReadImageHead("image/avif", bytes.NewReader(file[:n])); ok {
				t.Errorf("%s, cut after %d bytes: got %+v, want nothing", name, n, got)
			}
		}
	}
	for quarters, row := range [4][3]int{{0, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}} {
		for mirror, want := range row {
			var more [][]byte
			if quarters > 0 {
				more = append(more, boxes("irot", []byte{byte(quarters)}))
			}
			if mirror > 0 {
				more = append(more, boxes("imir", []byte{byte(mirror - 1)}))
			}
			got, ok := ReadImageHead("image/heic", bytes.NewReader(heif(8064, 6048, more...)))
			if want := (ImageHead{8064, 6048, want}); !ok || got != want {
				t.Errorf("%d quarters, mirror %d: got %+v, %t; want %+v", quarters, mirror, got, ok, want)
			}
		}
	}
}

func TestBoxesThatLieAreNoImage(t *testing.T) {
	t.Parallel()
	good := heif(640, 480)
	lie := func(at int, n uint32) []byte {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[at:], n)
		return b
	}
	meta, ipma := bytes.Index(good, []byte("meta"))-4, bytes.Index(good, []byte("ipma"))-4
	ispe := bytes.LastIndex(good, []byte("ispe"))
	for name, c := range map[string]struct {
		file []byte
		want bool
	}{
		"as it is":                      {good, true},
		"meta to the end":               {lie(meta, 0), true},
		"meta longer than the file":     {lie(meta, 0xFFFFFFFF), true},
		"meta of 7 bytes":               {lie(meta, 7), false},
		"ftyp of 4 GiB":                 {lie(0, 0xFFFFFFFF), false},
		"ftyp of a length of 64 bits":   {append(append(be32(1), "ftyp\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"...), good...), false},
		"ipma of more than it has":      {lie(ipma+12, 0xFFFFFFFF), true},
		"ipma cut off":                  {lie(ipma, 14), false},
		"no width":                      {lie(ispe+8, 0), false},
		"boxes in boxes without end":    {bytes.Repeat(be32(8), 1000), false},
		"nothing but boxes of no bytes": {bytes.Repeat([]byte("\x00\x00\x00\x08free"), 1<<17), false},
	} {
		if got, ok := ReadImageHead("image/heic", bytes.NewReader(c.file)); ok != c.want || ok && (got.Width != 640 || got.Height != 480) {
			t.Errorf("%s: got %+v, %t; want %t", name, got, ok, c.want)
		}
	}
}
