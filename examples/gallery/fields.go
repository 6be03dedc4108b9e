package main

import (
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/variant"
)

// The fields. Photos of public albums lie in a bucket that anyone may read; those
// of private ones are shown by URLs that are signed for a time.
var publicPhotos, privatePhotos *core.Field

// declareFields declares the fields once, while the program starts. origins are
// those of the app's pages, which the buckets' CORS rules let upload.
func declareFields(store *core.Store, origins []string) {
	store.Declare(core.BucketConfig{Name: "gallery-public", Public: true})
	public := core.FieldConfig{
		Model: "photo", Name: "public_photos", Bucket: "gallery-public", LinkBase: "/photos/public/",
		UploadTo: core.Strftime("%Y/%m", core.RandomName),
		MaxSize:  512 * core.MiB, MaxFiles: 50, Accept: "image/png image/jpeg image/gif image/webp",
		Direct: core.DirectConfig{Origins: origins, MultipartOver: 8 * core.MiB}, // phones lose connections
		Variants: []core.Variant{
			// There before the photo is shown first, so that a page of them asks the app nothing.
			{Name: "thumb", Width: 480, Height: 480, Mode: core.Fill, Format: "image/jpeg"},
			// For those photos that somebody opens.
			{Name: "large", Width: 2048, Height: 2048, Format: "image/jpeg", Make: core.OnRequest},
		},
		VariantMaker: variant.New(variant.Config{}),
	}
	private := public
	private.Name, private.Bucket, private.LinkBase = "private_photos", "gallery-private", "/photos/private/"
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
	Photos  []Photo
	Mine    bool `gorm:"-"` // whether the visitor is the owner
}

// Field is the field of the album's photos.
func (a Album) Field() *core.Field {
	if a.Public {
		return publicPhotos
	}
	return privatePhotos
}

// Photo is a row; one of its files is there.
type Photo struct {
	ID      uint
	AlbumID uint                     `gorm:"index"`
	Public  fieldtype.Image[Public]  `gorm:"type:text"`
	Private fieldtype.Image[Private] `gorm:"type:text"`
}

// File is the one that is there, for templates.
func (p Photo) File() any {
	if p.Public.IsZero() {
		return p.Private
	}
	return p.Public
}

// photoForm is what the page's form brings: files, or the tokens of files that the
// browser has sent to the bucket.
type photoForm struct {
	Public  fieldtype.Files[Public]  `form:"public_photos"`
	Private fieldtype.Files[Private] `form:"private_photos"`
}

// photos are the rows of the form's files.
func (f photoForm) photos(album uint) (photos []Photo) {
	for _, file := range f.Public {
		photos = append(photos, Photo{AlbumID: album, Public: fieldtype.Image[Public]{File: file}})
	}
	for _, file := range f.Private {
		photos = append(photos, Photo{AlbumID: album, Private: fieldtype.Image[Private]{File: file}})
	}
	return photos
}
