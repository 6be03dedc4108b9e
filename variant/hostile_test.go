package variant_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/variant"
)

// webpWithExif is a WebP of one pixel, without loss.
func webpWithExif(testing.TB) []byte {
	pixels := "VP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00\x00\x00"[:8+13+1]
	data := string(exif(6))
	meta := "EXIF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(data)))) + data
	if len(data)%2 == 1 {
		meta += "\x00"
	}
	body := "WEBP" + pixels + meta
	return []byte("RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body)
}

// frame is a JPEG of 8 by 8 pixels and four colours, all in the middle, as far as its
// first scan.
func frame(sof byte, width, height uint16, adobe bool) []byte {
	segment := func(marker byte, data []byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xFF, marker}, uint16(len(data)+2)), data...)
	}
	out := []byte("\xFF\xD8")
	if adobe {
		out = append(out, segment(0xEE, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00"))...)
	}
	out = append(out, segment(0xDB, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...))...)
	size := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte{8}, height), width)
	out = append(out, segment(sof, append(size, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0))...)
	one := append(append([]byte{0x00}, 1), make([]byte, 15)...) // one code, of one bit, for zero
	out = append(out, segment(0xC4, append(one, 0))...)
	one[0] = 0x10
	return append(out, segment(0xC4, append(bytes.Clone(one), 0))...)
}

// cmykJPEG is grey in cyan, magenta, yellow and black.
func cmykJPEG() []byte {
	scan := []byte("\xFF\xDA\x00\x0E\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x3F\x00")
	return append(append(frame(0xC0, 8, 8, true), scan...), 0x00, 0xFF, 0xD9)
}

// scansBomb is a progressive JPEG that passes over its pixels n times.
func scansBomb(n int) []byte {
	first := []byte("\xFF\xDA\x00\x0E\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x00\x00\x00")
	again := []byte("\xFF\xDA\x00\x08\x01\x01\x00\x01\x3F\x00\x00")
	out := append(frame(0xC2, 8, 8, true), first...)
	return append(append(out, bytes.Repeat(again, n)...), 0xFF, 0xD9)
}

func TestHostileImagesAreRefusedAndTheirFilesStay(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	field := photos(t, store, bucket, variant.New(variant.Config{Memory: 32 << 20}), core.Variant{Name: "thumb", Width: 10})
	good := asJPEG(t, gradient(200, 200))
	goodPNG := asPNG(t, mosaic(200, 200))
	interlaced := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", []byte("\x00\x00\x08\x00\x00\x00\x08\x00\x08\x06\x00\x00\x01"))...)
	for name, c := range map[string]struct {
		file []byte
		want core.Kind
	}{
		"a pixel flood":                      {flood(65000, 65000), core.ErrPixels},
		"the largest sides there are":        {flood(1<<31-1, 1<<31-1), core.ErrInvalid},
		"a flood in one direction":           {flood(1<<31-1, 1), core.ErrPixels},
		"more than the memory":               {flood(3000, 3000), core.ErrPixels},
		"more than the memory, interlaced":   {interlaced, core.ErrPixels},
		"a progressive flood":                {append(frame(0xC2, 65000, 65000, true), scansBomb(0)[len(frame(0xC2, 8, 8, true)):]...), core.ErrPixels},
		"no pixels":                          {flood(10, 10), core.ErrInvalid},
		"no size":                            {flood(0, 0), core.ErrInvalid},
		"a head without an end":              {[]byte("\x89PNG\r\n\x1a\nno chunk"), core.ErrInvalid},
		"a JPEG that ends early":             {good[:len(good)/2], core.ErrInvalid},
		"a PNG that ends early":              {goodPNG[:len(goodPNG)-20], core.ErrInvalid},
		"a PNG with wrong sums":              {append(bytes.Clone(goodPNG[:60]), bytes.Repeat([]byte("x"), 500)...), core.ErrInvalid},
		"many scans":                         {scansBomb(100), core.ErrPixels},
		"a script of ImageMagick's":          {[]byte("push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://x/\"|id)'\npop graphic-context"), core.ErrType},
		"PostScript called a PNG":            {[]byte("%!PS-Adobe-3.0\n(%pipe%id) (w) file"), core.ErrType},
		"an SVG":                             {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>`), core.ErrType},
		"no image":                           {[]byte("text"), core.ErrType},
		"a TIFF whose head is far away":      {[]byte("II*\x00\xff\xff\xff\x7f"), core.ErrInvalid},
		"a GIF with a frame outside of it":   {[]byte("GIF89a\x02\x00\x02\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x05\x00\x05\x00\x10\x00\x10\x00\x00\x02\x02\x44\x01\x00;"), core.ErrInvalid},
		"a WebP with a head of another size": {webpOfTwoSizes(), core.ErrInvalid},
	} {
		o := save(t, field, c.file)
		o.Type = "" // as a row of keys knows it
		if err := field.MakeVariants(t.Context(), o, "thumb"); core.KindOf(err) != c.want {
			t.Errorf("%s: the error is %v, want %s", name, err, c.want.Code())
		}
		if has, err := field.Bucket().Exists(t.Context(), o.Key); !has || err != nil {
			t.Errorf("%s: the file is gone: %t, %v", name, has, err)
		}
		o.Type = "image/png" // whatever it is
		if has, err := field.HasVariant(t.Context(), o, "thumb"); has || err != nil {
			t.Errorf("%s: there is a variant: %t, %v", name, has, err)
		}
	}
}

// webpOfTwoSizes says it has 10 by 10 pixels, and brings others.
func webpOfTwoSizes() []byte {
	head := "VP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x09\x00\x00"
	pixels := "VP8L\x0d\x00\x00\x00\x2f\xff\xff\xff\x1f\x07\x10\x11\x11\x88\x88\xfe\x07\x00\x00"
	body := "WEBP" + head + pixels
	return []byte("RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body)
}

func TestTheFieldsPixelsBoundVariantsToo(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	old := photos(t, store, bucket, variant.New(standard), core.Variant{Name: "thumb", Width: 10})
	o := save(t, old, asPNG(t, mosaic(50, 50)))
	strict := store.Field(core.FieldConfig{
		Name: "photo", Model: "strict", Bucket: bucket, MaxPixels: 2499, VariantMaker: variant.New(standard), Variants: []core.Variant{{Name: "thumb", Width: 10}},
	})
	if err := strict.MakeVariants(t.Context(), o); core.KindOf(err) != core.ErrPixels {
		t.Errorf("the error is %v, want too_many_pixels", err)
	}
}

// countingCodec counts what it decodes, and how much of it at a time.
type countingCodec struct {
	variant.Standard
	panics bool

	mu        sync.Mutex
	total     int
	now, most int
	wait      chan struct{} // until it is closed
	entered   chan struct{} // told of each
}

func (c *countingCodec) Decode(typ string, r io.Reader) (image.Image, error) {
	c.mu.Lock()
	c.total++
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	if c.entered != nil {
		c.entered <- struct{}{}
	}
	if c.wait != nil {
		<-c.wait
	}
	defer func() {
		c.mu.Lock()
		c.now--
		c.mu.Unlock()
	}()
	if c.panics {
		panic("out of range")
	}
	return c.Standard.Decode(typ, r)
}

func (c *countingCodec) decodings() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func TestADecoderThatPanicsHasRefused(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	codec := &countingCodec{panics: true}
	field := photos(t, store, bucket, variant.New(variant.Config{Codec: codec}), core.Variant{Name: "thumb", Width: 10})
	o := save(t, field, asPNG(t, mosaic(50, 50)))
	for range 3 {
		err := field.MakeVariants(t.Context(), o, "thumb")
		if core.KindOf(err) != core.ErrInvalid || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("the error is %v", err)
		}
	}
	if n := codec.decodings(); n != 1 {
		t.Errorf("the same damaged image was decoded %d times, want once", n)
	}
	again, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(asPNG(t, mosaic(51, 50)))})
	if err != nil {
		t.Fatal(err)
	}
	codec.panics = false
	if err := field.MakeVariants(t.Context(), again, "thumb"); err != nil {
		t.Errorf("another image: %v", err)
	}
}

func TestImagesTakeTurnsWithinTheMemory(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	codec := &countingCodec{}
	// An image of 500 by 500 costs about 1.4 MiB: two have no room together.
	field := photos(t, store, bucket, variant.New(variant.Config{Codec: codec, Memory: 2 << 20, Parallel: 8}), core.Variant{Name: "thumb", Width: 10})
	var objects []core.Object
	for i := range 6 {
		objects = append(objects, save(t, field, asPNG(t, gradient(500+i, 500))))
	}
	var all sync.WaitGroup
	for _, o := range objects {
		all.Go(func() {
			if err := field.MakeVariants(t.Context(), o, "thumb"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if codec.total != 6 || codec.most != 1 {
		t.Errorf("%d images were decoded, up to %d at a time; want 6, one at a time", codec.total, codec.most)
	}
}

func TestWhoWaitsTooLongIsToldSo(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	codec := &countingCodec{wait: make(chan struct{}), entered: make(chan struct{}, 10)}
	maker := variant.New(variant.Config{Codec: codec, Parallel: 1, Timeout: 2 * time.Second})
	field := photos(t, store, bucket, maker, core.Variant{Name: "thumb", Width: 10})
	first, second := save(t, field, asPNG(t, mosaic(50, 50))), save(t, field, asPNG(t, mosaic(51, 50)))
	done := make(chan error, 1)
	go func() { done <- field.MakeVariants(t.Context(), first, "thumb") }()
	<-codec.entered
	if err := field.MakeVariants(t.Context(), second, "thumb"); core.KindOf(err) != core.ErrUnavailable {
		t.Errorf("who found no turn gets %v, want unavailable", err)
	}
	close(codec.wait)
	if err := <-done; core.KindOf(err) != core.ErrUnavailable {
		t.Errorf("who took too long gets %v, want unavailable", err)
	}
	codec.wait = nil
	var err error
	for range 10 { // a busy machine may take too long itself
		if err = field.MakeVariants(t.Context(), first, "thumb"); err == nil {
			return
		}
	}
	t.Errorf("it is not tried again: %v", err)
}

// errCanceledByTest is why a test's context ended.
var errCanceledByTest = errors.New("the visitor left")
