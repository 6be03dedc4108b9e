package core_test

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
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// flood is the head of a PNG that claims more pixels than anyone has memory for.
func flood(width, height uint32) []byte {
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)...)
	chunk = append(chunk, 8, 6, 0, 0, 0)
	head := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(chunk))
}

func picture(t testing.TB, width, height int, encode func(io.Writer, image.Image) error) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height { // red to the left, blue to the right
		x := i % width
		m.SetRGBA(x, i/width, color.RGBA{uint8(255 - 255*x/width), 0, uint8(255 * x / width), 255})
	}
	var b bytes.Buffer
	if err := encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }

// sideways adds an orientation of 6 to a JPEG.
func sideways(file []byte) []byte {
	exif := "\xFF\xE1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
	return append([]byte("\xFF\xD8"+exif), file[2:]...)
}

func animated(t testing.TB, frames int) []byte {
	t.Helper()
	g := &gif.GIF{}
	for range frames {
		g.Image = append(g.Image, image.NewPaletted(image.Rect(0, 0, 100, 100), color.Palette{color.Black, color.White}))
		g.Delay = append(g.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// behindAMiB puts comments in front of what a JPEG says of itself.
func behindAMiB(file []byte) []byte {
	comment := append([]byte("\xFF\xFE\xFF\xFF"), make([]byte, 0xFFFF-2)...)
	return append(append([]byte("\xFF\xD8"), bytes.Repeat(comment, 17)...), file[2:]...)
}

func scansBomb(n int) []byte {
	return append(bytes.Repeat([]byte("\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00ab"), n), 0xFF, 0xD9)
}

func TestC8ImagesOutsideTheFieldsBoundsAreRefusedBeforeAnythingIsStored(t *testing.T) {
	t.Parallel()
	record, store, bucket := recorded(t)
	only := func(more core.FieldConfig) core.FieldConfig { more.Accept = core.Images + " image/bmp"; return more }
	jpegFile := picture(t, 40, 30, asJPEG)
	bomb := append(bytes.Clone(jpegFile[:len(jpegFile)-2]), scansBomb(600)...)
	for name, c := range map[string]struct {
		field core.FieldConfig
		file  []byte
		want  core.Kind
	}{
		"a pixel flood":                                {only(core.FieldConfig{}), flood(65000, 65000), core.ErrPixels},
		"a flood in one direction":                     {only(core.FieldConfig{}), flood(1<<31-1, 1), core.ErrPixels},
		"a flood where anything is taken":              {core.FieldConfig{}, flood(65000, 65000), 0},
		"a flood where anything is taken, with bound":  {core.FieldConfig{MaxPixels: 1000}, flood(65000, 65000), core.ErrPixels},
		"a flood that is allowed":                      {only(core.FieldConfig{MaxPixels: core.Unlimited}), flood(65000, 65000), 0},
		"exactly the budget":                           {only(core.FieldConfig{MaxPixels: 1200}), picture(t, 40, 30, png.Encode), 0},
		"one pixel over":                               {only(core.FieldConfig{MaxPixels: 1199}), picture(t, 40, 30, png.Encode), core.ErrPixels},
		"no head":                                      {only(core.FieldConfig{MaxPixels: 10}), []byte("\x89PNG\r\n\x1a\nno chunk"), core.ErrInvalid},
		"no head, and no bound is declared":            {only(core.FieldConfig{}), []byte("\x89PNG\r\n\x1a\nno chunk"), 0},
		"a size behind a MiB of metadata":              {only(core.FieldConfig{}), behindAMiB(jpegFile), core.ErrInvalid},
		"a size behind a MiB where that is allowed":    {only(core.FieldConfig{MaxPixels: core.Unlimited}), behindAMiB(jpegFile), 0},
		"no head where anything is taken":              {core.FieldConfig{}, []byte("\x89PNG\r\n\x1a\nno chunk"), 0},
		"a text where an image has bounds":             {core.FieldConfig{MaxPixels: 1000}, []byte("text"), core.ErrInvalid},
		"too narrow":                                   {only(core.FieldConfig{MinWidth: 41}), jpegFile, core.ErrInvalid},
		"too low":                                      {only(core.FieldConfig{MinHeight: 31}), jpegFile, core.ErrInvalid},
		"wide enough when it is turned":                {only(core.FieldConfig{MaxWidth: 30, MinHeight: 40}), sideways(jpegFile), 0},
		"not wide enough when it is turned":            {only(core.FieldConfig{MinWidth: 40}), sideways(jpegFile), core.ErrInvalid},
		"a thousand frames":                            {only(core.FieldConfig{}), animated(t, 1000), 0},
		"a thousand and one":                           {only(core.FieldConfig{}), animated(t, 1001), core.ErrPixels},
		"few frames with many pixels together":         {only(core.FieldConfig{MaxPixels: 10_000}), animated(t, 11), core.ErrPixels},
		"as many as may be together":                   {only(core.FieldConfig{MaxPixels: 10_000}), animated(t, 10), 0},
		"frames beyond what decides about the type":    {only(core.FieldConfig{MaxFrames: 60}), animated(t, 200), core.ErrPixels},
		"frames where anything is taken":               {core.FieldConfig{}, animated(t, 1001), 0},
		"a JPEG of 600 scans":                          {only(core.FieldConfig{}), bomb, core.ErrPixels},
		"a JPEG of 600 scans where anything is taken":  {core.FieldConfig{}, bomb, 0},
		"an SVG where it is listed":                    {core.FieldConfig{Accept: "image/svg+xml"}, []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), 0},
		"an SVG where it is listed, but sides are set": {core.FieldConfig{Accept: "image/svg+xml", MaxWidth: 10}, []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), core.ErrInvalid},
	} {
		c.field.Name, c.field.Model, c.field.Bucket = "image", name, bucket
		before := len(record.Requests())
		_, err := store.Field(c.field).Save(t.Context(), core.Upload{Body: bytes.NewReader(c.file), Name: "a.png"})
		if c.want == 0 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.want == 0 {
			continue
		}
		wantKind(t, name, err, c.want)
		if sent := len(record.Requests()) - before; sent > 0 {
			t.Errorf("%s: %d requests were sent, want none", name, sent)
		}
	}
}

func TestC8FramesBeyondTheFirstPartEndTheUploadAndLeaveNothing(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "image", Bucket: bucket, Accept: core.Images, MaxFrames: 3})
	// The frames stand behind a comment that fills the first part.
	head := animated(t, 1)
	head = head[:len(head)-1]
	comment := append([]byte("!\xFE"), bytes.Repeat(append([]byte{255}, make([]byte, 255)...), 6<<20/256)...)
	frame := head[bytes.IndexByte(head[13:], ',')+13:]
	file := append(append(append(head, comment...), 0), bytes.Repeat(frame, 3)...)
	_, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(file), Name: "a.gif"})
	wantKind(t, "save", err, core.ErrPixels)
	for e, err := range field.Bucket().Walk(t.Context(), "") {
		t.Errorf("left behind: %v, %v", e, err)
	}
}

func TestWhatIsKnownOfAnImageComesBackFromStorageAndTokens(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "image", Bucket: bucket, Accept: core.Images + " image/avif image/heic", Blurhash: true})
	avif, err := os.ReadFile("testdata/40x30-rotated.avif")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file                 []byte
		typ                  string
		width, height, turns int
		hash                 bool
	}{
		"upright":  {picture(t, 40, 30, png.Encode), "image/png", 40, 30, 0, true},
		"sideways": {sideways(picture(t, 40, 30, asJPEG)), "image/jpeg", 40, 30, 6, true},
		"an AVIF":  {avif, "image/avif", 40, 30, 6, false},
		"damaged":  {picture(t, 40, 30, png.Encode)[:60], "image/png", 40, 30, 0, false},
		"large":    {flood(4001, 4000), "image/png", 4001, 4000, 0, false},
	} {
		o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(c.file), Name: name})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o.Type != c.typ || o.Width != c.width || o.Height != c.height || o.Orientation != c.turns || (o.Blurhash != "") != c.hash {
			t.Errorf("%s: saved as %+v, want %+v", name, o, c)
		}
		stat, err := field.Stat(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		token, err := field.Verify(field.Sign(o, ""))
		if err != nil {
			t.Fatal(err)
		}
		for from, back := range map[string]core.Object{"storage": stat, "a token": token.Object} {
			if back.Width != o.Width || back.Height != o.Height || back.Orientation != o.Orientation || back.Blurhash != o.Blurhash {
				t.Errorf("%s: from %s comes %+v, want %+v", name, from, back, o)
			}
		}
	}
}

// TestABlurhashShowsTheImageAsItIsLookedAt compares with hashes of an image that
// is stored as it is looked at.
func TestABlurhashShowsTheImageAsItIsLookedAt(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "image", Bucket: bucket, Blurhash: true})
	hash := func(file []byte) string {
		o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(file), Name: "a"})
		if err != nil {
			t.Fatal(err)
		}
		return o.Blurhash
	}
	turned := image.NewRGBA(image.Rect(0, 0, 30, 40)) // red above, blue below
	for i := range 30 * 40 {
		y := i / 30
		turned.SetRGBA(i%30, y, color.RGBA{uint8(255 - 255*y/40), 0, uint8(255 * y / 40), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, turned); err != nil {
		t.Fatal(err)
	}
	upright, sideway, want := hash(picture(t, 40, 30, png.Encode)), hash(sideways(picture(t, 40, 30, asJPEG))), hash(b.Bytes())
	if len(upright) != 28 || upright == want {
		t.Errorf("the hashes are %q and %q, want two of 28 characters", upright, want)
	}
	if len(sideway) != 28 || !strings.HasPrefix(sideway, want[:5]) { // the rest differs by JPEG's losses
		t.Errorf("a JPEG on its side has %q, want about %q", sideway, want)
	}
}

func TestForgedMetadataOfAnImageIsNotShown(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "image", Bucket: bucket})
	key, err := core.ParseKey("forged.png")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Client(t).PutObject(t.Context(), bucket, "forged.png", strings.NewReader("x"), 1, minio.PutObjectOptions{UserMetadata: map[string]string{
		"filefield-orientation": "99", "filefield-blurhash": "%3Cscript%3E",
	}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := field.Stat(t.Context(), key)
	if err != nil || o.Orientation != 0 || o.Blurhash != "" {
		t.Errorf("got %+v, %v; want neither orientation nor hash", o, err)
	}
}

func TestTheFormatOfAnImage(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{"image/png": "png", "image/jpeg": "jpeg", "IMAGE/WebP; x=y": "webp", "image/svg+xml": "svg", "text/plain": "", "": ""} {
		if got := (core.Object{Type: typ}).Format(); got != want {
			t.Errorf("%q: %q, want %q", typ, got, want)
		}
	}
}
