package variant_test

import (
	"context"
	"fmt"
	"image"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/variant"
)

func exampleStore() *core.Store {
	return core.MustOpen(core.Config{
		Endpoint: "files.example.org", AccessKey: "access", SecretKey: "secret", PublicBuckets: []string{"photos"},
		SigningKeys: []core.Secret{"32 random bytes, from a secret store"},
	})
}

// Thumbnails are made when their photo is a row's; the large form of it when
// somebody first looks at it. URLs need no request.
func Example() {
	store := exampleStore()
	photos := store.Field(core.FieldConfig{
		Name: "photo", Bucket: "photos", Accept: core.Images, LinkBase: "/files/",
		Variants: []core.Variant{
			{Name: "thumb", Width: 200, Height: 200, Mode: core.Fill, Format: "image/jpeg"},
			{Name: "page", Width: 1200, Make: core.OnRequest},
		},
		VariantMaker: variant.New(variant.Config{}),
	})
	http.Handle("GET /files/{link}/{name}", nethttp.Handle(nethttp.Links(photos, nethttp.Anyone)))

	key, err := core.ParseKey("2026/cat.png")
	if err != nil {
		log.Fatal(err)
	}
	cat := core.Object{Bucket: "photos", Key: key, Name: "cat.png", Type: "image/png", Width: 3000, Height: 2000}
	thumb, err := photos.VariantURL(context.Background(), cat, "thumb")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(thumb)
	page, err := photos.Variant(cat, "page")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Name, page.Type, page.Width, page.Height)
	// Output:
	// http://files.example.org/photos/2026/.filefield-variants/cat.png/thumb-c5eca5f1.jpg
	// cat-page.png image/png 1200 800
}

// A Pool makes variants in the background, between a program's start and its end.
func ExamplePool() {
	pool := variant.NewPool(variant.PoolConfig{Workers: 2})
	photos := exampleStore().Field(core.FieldConfig{
		Name: "photo", Bucket: "photos", Accept: core.Images,
		Variants:      []core.Variant{{Name: "thumb", Width: 200}},
		VariantMaker:  variant.New(variant.Config{Memory: 512 << 20}),
		VariantWorker: pool,
	})
	ctx := context.Background()
	if err := pool.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := pool.Stop(ctx); err != nil {
			log.Print(err)
		}
	}()
	fmt.Println(photos.Fault())
	// Output: <nil>
}

// withWebP also writes WebP, by an encoder of the app's choice.
type withWebP struct {
	variant.Standard
	encode func(io.Writer, image.Image, int) error
}

func (c withWebP) Writes(typ string) bool { return typ == "image/webp" || c.Standard.Writes(typ) }

func (c withWebP) Encode(typ string, w io.Writer, m image.Image, quality int) error {
	if typ == "image/webp" {
		return c.encode(w, m, quality)
	}
	return c.Standard.Encode(typ, w, m, quality)
}

// Formats that the standard library does not write come with a Codec of the app's.
func ExampleCodec() {
	v := core.Variant{Name: "thumb", Width: 200, Format: "image/webp"}
	fmt.Println(strings.HasPrefix(variant.New(variant.Config{}).CheckVariant(v).Error(), "the codec does not write image/webp"))
	fmt.Println(variant.New(variant.Config{Codec: withWebP{}}).CheckVariant(v))
	// Output:
	// true
	// <nil>
}
