package fieldtype

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/filefield/filefield/core"
)

// Image is a File that is an image: Django's ImageField. It has what File has, and
// besides what the head of an image tells. No pixel is decoded for that: see
// core.ReadImageHead.
//
// From a request it takes nothing but images whose width and height were read when
// they were stored: of the types PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF and HEIC as
// far as the field accepts them. Anything else is ErrType, and the file that was
// stored goes with the request's transaction; a field whose Accept lists only
// images refuses it before it is stored. Columns are read as they are, since a row
// may be older than the rule.
type Image[S Spec] struct {
	File[S] `form:"-" schema:"-"`
}

// ImageOf returns the Image that stands for an object of the field S: see Of.
func ImageOf[S Spec](object core.Object) Image[S] { return Image[S]{File: Of[S](object)} }

// Orientation returns how the stored pixels are to be turned to be looked at, 1 to
// 8 as EXIF numbers it, or 0 where the image does not say. Browsers turn images by
// themselves, and Width and Height are of the turned image.
func (i Image[S]) Orientation() int { return i.object.Orientation }

// Format returns the short name of the type: "png", "jpeg", "gif", "webp", "bmp",
// "tiff", "avif", "heic", "heif"; "" where the type is not known.
func (i Image[S]) Format() string { return i.object.Format() }

// Blurhash returns the placeholder of some 30 characters that a script shows while
// the image loads (blurha.sh), or "": see core.FieldConfig.
func (i Image[S]) Blurhash() string { return i.object.Blurhash }

// Equal is File.Equal.
func (i Image[S]) Equal(other Image[S]) bool { return i.File.Equal(other.File) }

// UnmarshalParam is File.UnmarshalParam for images alone.
func (i *Image[S]) UnmarshalParam(token string) error {
	var f File[S]
	if err := f.UnmarshalParam(token); err != nil {
		return err
	}
	if err := f.mustBeImage("unmarshal"); err != nil {
		return err
	}
	i.File = f
	return nil
}

// UnmarshalText is UnmarshalParam for binders that know encoding.TextUnmarshaler.
func (i *Image[S]) UnmarshalText(token []byte) error { return i.UnmarshalParam(string(token)) }

// UnmarshalJSON is File.UnmarshalJSON for images alone.
func (i *Image[S]) UnmarshalJSON(data []byte) error {
	var f File[S]
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	if err := f.mustBeImage("unmarshal"); err != nil {
		return err
	}
	i.File = f
	return nil
}

// Value is File.Value, and ErrType for a file of which it is known that it is no
// image.
func (i Image[S]) Value() (driver.Value, error) {
	if i.object.Type != "" && i.Format() == "" {
		return nil, i.mustBeImage("store file")
	}
	return i.File.Value()
}

// mustBeImage refuses what is no image that was measured.
func (f File[S]) mustBeImage(op string) error {
	if f.IsZero() || f.object.Format() != "" && f.object.Width > 0 && f.object.Height > 0 {
		return nil
	}
	field, err := declared[S](op)
	if err != nil {
		return err
	}
	detail := fmt.Sprintf("files of type %s are not accepted here, only images", f.object.Type)
	if strings.HasPrefix(f.object.Type, "image/") {
		detail = "the image's width and height cannot be read"
	}
	return &core.Error{Kind: core.ErrType, Op: op, Field: field.Name(), Detail: detail}
}
