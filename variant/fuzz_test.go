package variant

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/filefield/filefield/core"
)

// The way from a file's bytes to a variant's: whatever they are, it is made with the
// sides that were said beforehand, or refused, and nothing panics through or costs
// more than it may.
func FuzzImagesBecomeVariantsOrAreRefused(f *testing.F) {
	m := image.NewNRGBA(image.Rect(0, 0, 7, 5))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 31)
	}
	paletted := image.NewPaletted(m.Rect, color.Palette{color.Black, color.White, color.Transparent})
	var b bytes.Buffer
	for _, encode := range []func() error{
		func() error { return png.Encode(&b, m) },
		func() error { return png.Encode(&b, paletted) },
		func() error { return jpeg.Encode(&b, m, nil) },
		func() error { return gif.Encode(&b, m, nil) },
		func() error { return bmp.Encode(&b, m) },
		func() error { return tiff.Encode(&b, m, nil) },
	} {
		b.Reset()
		if err := encode(); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()), uint8(3), uint8(4), uint8(0))
		f.Add(bytes.Clone(b.Bytes()), uint8(3), uint8(2), uint8(1))
	}
	store, err := core.Open(core.Config{Endpoint: "localhost:1", AccessKey: "a", SecretKey: "b", SigningKeys: []core.Secret{"a key for tests, long enough"}})
	if err != nil {
		f.Fatal(err)
	}
	maker := New(Config{Memory: 1 << 20})
	field := store.Field(core.FieldConfig{Name: "photo", Bucket: "photos", VariantMaker: maker, Variants: []core.Variant{{Name: "thumb"}}})
	f.Fuzz(func(t *testing.T, content []byte, width, height, mode uint8) {
		v := core.Variant{Name: "thumb", Width: int(width), Height: int(height), Mode: core.VariantMode(mode % 2)}
		if v.Mode == core.Fill {
			v.Width, v.Height = v.Width+1, v.Height+1
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Second, errTime)
		defer cancel()
		j := &job{Maker: maker, field: field, variants: []core.Variant{v}}
		cost, err := j.admit(content[:min(len(content), headBytes)], int64(len(content)))
		if err != nil {
			return
		}
		if cost > maker.config.Memory || cost < int64(len(content)) {
			t.Fatalf("%d bytes of %+v were let in for %d", len(content), j.head, cost)
		}
		picture, err := j.prepare(ctx, content)
		if err != nil {
			return
		}
		made, err := j.encode(ctx, picture, v)
		if err != nil {
			t.Fatalf("it was decoded, but: %v", err)
		}
		config, _, err := image.DecodeConfig(bytes.NewReader(made))
		w, h := v.Dimensions(core.Object{Width: j.head.Width, Height: j.head.Height, Orientation: j.head.Orientation}.Displayed())
		if err != nil || config.Width != w || config.Height != h {
			t.Errorf("the variant is %d by %d, %v; want %d by %d", config.Width, config.Height, err, w, h)
		}
	})
}
