package core

import (
	"context"
	"fmt"
	"io"
	"strings"
)

const (
	// defaultMaxPixels is above what phones and cameras take in their usual modes,
	// and 400 MB when it is decoded.
	defaultMaxPixels = 100_000_000
	defaultMaxFrames = 1000
	// animationFactor is how many times MaxPixels all frames together may have.
	animationFactor = 10
	// maxScans bounds the scans of a progressive JPEG, each of which costs a decoder
	// work on the whole image. Encoders write about 10.
	maxScans = 500
)

// Displayed returns an image's width and height as it is looked at: exchanged
// where its orientation turns it by a quarter. 0 for what is no image.
func (o Object) Displayed() (width, height int) {
	if turned(o.Orientation) {
		return o.Height, o.Width
	}
	return o.Width, o.Height
}

// Format returns the short name of an image's type ("png", "jpeg", "webp", …), or
// "" for what is no image.
func (o Object) Format() string {
	format, ok := strings.CutPrefix(bareType(o.Type), "image/")
	if !ok {
		return ""
	}
	format, _, _ = strings.Cut(format, "+")
	return format
}

// imageRules are a field's bounds for images.
type imageRules struct {
	minWidth, minHeight int
	maxWidth, maxHeight int // 0: no bound
	maxPixels           int64
	maxFrames           int64 // 0: no bound
	sized               bool  // bounds are declared: the size has to be known
	only                bool  // the field takes nothing but images
	hash                bool
}

// onlyImages tells whether a takes nothing but images.
func (a Accept) onlyImages() bool {
	entries := a.entries()
	for _, entry := range entries {
		if !strings.HasPrefix(entry, "image/") {
			return false
		}
	}
	return len(entries) > 0
}

func (c FieldConfig) imageRules() imageRules {
	return imageRules{
		minWidth: c.MinWidth, minHeight: c.MinHeight, maxWidth: c.MaxWidth, maxHeight: c.MaxHeight,
		maxPixels: c.MaxPixels, maxFrames: int64(c.MaxFrames), only: c.Accept.onlyImages(), hash: c.Blurhash,
		sized: c.MinWidth > 0 || c.MinHeight > 0 || c.MaxWidth > 0 || c.MaxHeight > 0 || c.MaxPixels > 0 && c.MaxPixels < Unlimited,
	}
}

// withDefaults fills in the bounds of a field that takes images alone.
func (r imageRules) withDefaults() imageRules {
	if r.only {
		setDefault(&r.maxPixels, defaultMaxPixels)
		setDefault(&r.maxFrames, defaultMaxFrames)
	}
	return r
}

// mustKnow tells whether an image whose size cannot be read is refused. Without a
// declared bound it is where more metadata stands in front of it than anyone
// needs, so that the default bound cannot be got around; what is damaged within
// its first MiB no decoder decodes.
func (r imageRules) mustKnow(typ string, size int64) bool {
	return r.sized || r.only && r.maxPixels < Unlimited && measurable(typ) && size > maxImageHeader
}

// watch has the frames of an animation counted while the content passes.
func (u *upload) watch(head []byte) error {
	if u.image.maxFrames <= 0 {
		return nil
	}
	u.body.frames = newFrameCounter(u.object.Type)
	if u.body.frames == nil {
		return nil
	}
	most := u.image.maxFrames
	if u.object.Type == "image/jpeg" {
		most = maxScans
	}
	u.body.tooManyFrames = func(frames int64) error {
		if frames <= most && u.pixelsOf(frames) {
			return nil
		}
		if u.object.Type == "image/jpeg" {
			return u.refuse(ErrPixels, fmt.Sprintf("the image has more than %d scans", most))
		}
		return u.refuse(ErrPixels, fmt.Sprintf("the animation has more than %d frames, or too many pixels in all of them", most))
	}
	return u.body.passed(head)
}

// pixelsOf tells whether so many frames of this image have few enough pixels.
func (u *upload) pixelsOf(frames int64) bool {
	if u.object.Type == "image/jpeg" || u.image.maxPixels <= 0 || u.object.Width <= 0 {
		return true
	}
	return frames <= u.image.maxPixels*animationFactor/int64(u.object.Height)/int64(u.object.Width)
}

// measure reads what an image's head says from the first part and holds it against
// the field's bounds.
func (u *upload) measure(first *rope) error {
	typ, r := u.object.Type, u.image
	head, ok := readImageHead(typ, first)
	if !ok {
		if r.mustKnow(typ, first.size) {
			return u.refuse(ErrInvalid, "the image's width and height cannot be read")
		}
		return nil
	}
	u.object.Width, u.object.Height, u.object.Orientation = head.Width, head.Height, head.Orientation
	w, h := u.object.Displayed()
	switch {
	case r.maxPixels > 0 && int64(w) > r.maxPixels/int64(h):
		return u.refuse(ErrPixels, fmt.Sprintf("the image is %d by %d pixels, the most is %d in all", w, h, r.maxPixels))
	case r.maxWidth > 0 && w > r.maxWidth || r.maxHeight > 0 && h > r.maxHeight:
		return u.refuse(ErrInvalid, fmt.Sprintf("the image is %d by %d pixels, the most is %s", w, h, sides(r.maxWidth, r.maxHeight)))
	case w < r.minWidth || h < r.minHeight:
		return u.refuse(ErrInvalid, fmt.Sprintf("the image is %d by %d pixels, the least is %s", w, h, sides(r.minWidth, r.minHeight)))
	}
	return u.body.passed(nil) // what has been counted may be too much of this size
}

// sides says bounds of width and height, of which one may be missing.
func sides(width, height int) string {
	switch {
	case height == 0:
		return fmt.Sprintf("%d in width", width)
	case width == 0:
		return fmt.Sprintf("%d in height", height)
	}
	return fmt.Sprintf("%d by %d", width, height)
}

// passed counts the frames in what has been read.
func (m *meter) passed(p []byte) error {
	if m.frames == nil {
		return nil
	}
	m.frames.write(p)
	return m.tooManyFrames(m.frames.frames)
}

// blur computes the blurhash of an image that is complete in its first part.
func (u *upload) blur(ctx context.Context, whole *rope) error {
	if !u.image.hash || !hashable(u.object) {
		return nil
	}
	select { // one at a time, so that the pixels of one are all that is in memory
	case u.store.decoding <- struct{}{}:
		defer func() { <-u.store.decoding }()
	case <-ctx.Done():
		return u.readError(ctx, context.Cause(ctx))
	}
	u.object.Blurhash = blurhashOf(u.object, io.NewSectionReader(whole, 0, whole.size))
	return nil
}
