// Package variant makes thumbnails and other variants of the images of a field, in
// pure Go: it is the core.VariantMaker that a field is declared with.
//
//	var thumbs = variant.New(variant.Config{})
//
//	var photos = store.Field(core.FieldConfig{
//		Name: "photo", Bucket: "photos", Accept: core.Images,
//		Variants: []core.Variant{
//			{Name: "thumb", Width: 200, Height: 200, Mode: core.Fill, Format: "image/jpeg"},
//			{Name: "page", Width: 1200},
//		},
//		VariantMaker: thumbs,
//	})
//
//	url, err := photo.VariantURL(ctx, "thumb") // of a fieldtype.Image; no request
//
// What an image may cost is decided from its head, before a pixel is decoded: the
// field's MaxPixels, and Config.Memory for all images together (cost.go). Decoders
// and encoders are a Codec (codec.go); resizing and turning are in render.go, the
// way from the stored original to the stored variant in maker.go. Pool (pool.go)
// makes variants in the background.
package variant
