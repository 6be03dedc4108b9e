package main

import (
	"context"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// The fields. Photos of public albums lie in a bucket that anyone may read; those
// of private ones are shown by URLs that are signed for a time.
var publicPhotos, privatePhotos *core.Field

// declareFields declares the fields once, while the program starts. origins are
// those of the app's pages, which the buckets' CORS rules let upload.
func declareFields(store *core.Store, origins []string) {
	photo := core.FieldConfig{
		Model: "photo", UploadTo: core.Strftime("%Y/%m", core.RandomName),
		MaxSize: 512 * core.MiB, MaxFiles: 50, Accept: "image/png image/jpeg image/gif image/webp",
		Direct: core.DirectConfig{Origins: origins},
	}
	public, private := photo, photo
	public.Name, public.Bucket = "public_photos", "gallery-public"
	private.Name, private.Bucket = "private_photos", "gallery-private"
	private.URLWindow = time.Hour // the same URL for an hour, so that browsers keep the images
	publicPhotos, privatePhotos = store.Field(public), store.Field(private)
}

// Public is the field of public photos, as a type.
type Public struct{}

// Private is the field of private photos.
type Private struct{}

// FileField returns the declared field.
func (Public) FileField() *core.Field { return publicPhotos }

// FileField returns the declared field.
func (Private) FileField() *core.Field { return privatePhotos }

// Album is a row. Its owner is who has the cookie that it was made with.
type Album struct {
	ID      uint
	Title   string
	Public  bool
	Owner   string `gorm:"index"`
	Created time.Time
}

// Photo is a row; one of its files is there.
type Photo struct {
	ID      uint
	AlbumID uint                     `gorm:"index"`
	Public  fieldtype.Image[Public]  `gorm:"type:text"`
	Private fieldtype.Image[Private] `gorm:"type:text"`
}

// photoForm is what the page's form brings: files, or the tokens of files that the
// browser has sent to the bucket.
type photoForm struct {
	Public  fieldtype.Files[Public]  `form:"public_photos"`
	Private fieldtype.Files[Private] `form:"private_photos"`
}

// Field is the field of the album's photos.
func (a Album) Field() *core.Field {
	if a.Public {
		return publicPhotos
	}
	return privatePhotos
}

// Object is the photo's file.
func (p Photo) Object() core.Object {
	if p.Public.IsZero() {
		return p.Private.Object()
	}
	return p.Public.Object()
}

// URL is where browsers get it.
func (p Photo) URL(ctx context.Context) (string, error) {
	if p.Public.IsZero() {
		return p.Private.URL(ctx)
	}
	return p.Public.URL(ctx)
}
