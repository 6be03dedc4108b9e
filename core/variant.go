package core

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// variantFolder holds the variants of the files beside it. It is one folder for
	// all of them, so that a listing grows by one line; the original's own name is
	// a folder in it, unchanged, so that it has all the room a segment may have.
	variantFolder = ".filefield-variants"
	// maxVariantName bounds a variant's name in bytes, and variantRoom what a
	// variant's key is longer than its original's.
	maxVariantName = 40
	variantRoom    = len("/"+variantFolder) + len("/-12345678.webp") + maxVariantName
	maxVariantSide = 16_384
	// variantRevision is part of every variant's key. It changes with what the same
	// declaration makes.
	variantRevision = 1
)

// VariantMode says how an image is made to fit a variant's sides.
type VariantMode uint8

const (
	// Fit keeps the whole image and its proportions, within the sides. The default.
	Fit VariantMode = iota
	// Fill keeps the middle of the image, in exactly the proportions of the sides.
	Fill
)

// VariantMoment says when a variant is made.
type VariantMoment uint8

const (
	// OnUpload makes it once the file is a row's: when the transaction commits in
	// which it was saved or claimed, or right after a Save without one. Its URL is
	// the bucket's own, public or presigned. The default.
	OnUpload VariantMoment = iota
	// OnRequest makes it when it is first asked for. Its URL is a signed link of the
	// app below the field's LinkBase, which nethttp.Links answers.
	OnRequest
)

// Variant declares another form of the images of a field: a thumbnail. It is turned
// as the original's EXIF says, holds nothing of the original's metadata, and is
// never larger than the original. Of an animation it is the first frame.
type Variant struct {
	// Name is what the variant is called: at most 40 of a-z, 0-9, - and _. Required.
	Name string
	// Width and Height are its sides in pixels, as it is looked at, at most 16,384.
	// 0 is no bound on that side; Fill needs both. Without either, the image keeps
	// its size, and loses its metadata alone.
	Width, Height int
	// Mode is Fit or Fill.
	Mode VariantMode
	// Format is its media type: image/jpeg, image/png, image/webp or image/avif, as
	// far as the field's VariantMaker makes them. What is transparent becomes white
	// in a JPEG. Default: JPEG for JPEG, BMP and TIFF, PNG for the others.
	Format string
	// Quality is that of a lossy format, 1 to 100. Default 82.
	Quality int
	// Make is OnUpload or OnRequest.
	Make VariantMoment
}

// VariantMaker makes variants; package variant has one. It must be safe for
// concurrent use.
type VariantMaker interface {
	// CheckVariant says what of a declaration it cannot make. It is called while
	// fields are declared.
	CheckVariant(v Variant) error
	// MakeVariants makes the named variants of a file, those that do not exist yet,
	// and stores them by Field.StoreVariant. Each is tried; errors are joined.
	MakeVariants(ctx context.Context, f *Field, original Object, names []string) error
}

// VariantWorker has the variants made that are due OnUpload: at once, in the
// background (variant.Pool), or by a queue of the app's. It must be safe for
// concurrent use.
type VariantWorker interface {
	// Enqueue takes a job that a transaction's commit, or a Save, is waiting to hand
	// over. An error is logged, and the variants stay unmade.
	Enqueue(ctx context.Context, job VariantJob) error
}

// VariantJob is the work that a new file brings. To send it to another process,
// send the field's Model and Name, the object's key and the names, and call
// Field.MakeVariants there.
type VariantJob struct {
	Field  *Field
	Object Object
	Names  []string
}

// Do makes the variants. What fails is logged, and returned: ErrUnavailable and its
// like may pass, ErrType, ErrPixels and ErrInvalid will not.
func (j VariantJob) Do(ctx context.Context) error {
	err := j.Field.MakeVariants(ctx, j.Object, j.Names...)
	if err != nil {
		j.Field.store.warn(ctx, "variants of a file could not be made", err)
	}
	return err
}

// Dimensions returns the sides of the variant of an image of these sides, both as
// they are looked at; 0 where the image's are not known.
func (v Variant) Dimensions(width, height int) (w, h int) {
	if width <= 0 || height <= 0 {
		return 0, 0
	}
	scale := 1.0
	if v.Width > 0 {
		scale = min(scale, float64(v.Width)/float64(width))
	}
	if v.Height > 0 {
		scale = min(scale, float64(v.Height)/float64(height))
	}
	fw, fh := float64(width)*scale, float64(height)*scale
	if v.Mode == Fill && v.Width > 0 && v.Height > 0 {
		fw, fh = float64(v.Width), float64(v.Height)
		shrunk := min(1, float64(width)/fw, float64(height)/fh)
		fw, fh = fw*shrunk, fh*shrunk
	}
	return max(int(math.Round(fw)), 1), max(int(math.Round(fh)), 1)
}

// FormatOf returns the media type of the variant of an image of a type.
func (v Variant) FormatOf(original string) string {
	if v.Format != "" {
		return v.Format
	}
	switch original {
	case "image/jpeg", "image/bmp", "image/tiff":
		return "image/jpeg"
	}
	return "image/png"
}

func (v Variant) faults() []error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("Variants %q: "+format, append([]any{v.Name}, args...)...))
		}
	}
	named := func(r rune) bool { return r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' }
	fault(v.Name == "" || len(v.Name) > maxVariantName || strings.ContainsFunc(v.Name, func(r rune) bool { return !named(r) }),
		"a name consists of 1 to %d of a-z, 0-9, - and _", maxVariantName)
	fault(v.Width < 0 || v.Height < 0 || v.Width > maxVariantSide || v.Height > maxVariantSide,
		"%d by %d: a side has at most %d pixels", v.Width, v.Height, maxVariantSide)
	fault(v.Mode > Fill, "Mode is unknown")
	fault(v.Mode == Fill && (v.Width == 0 || v.Height == 0), "Fill needs Width and Height")
	fault(v.Format != "" && v.extension() == "", "Format is %q: image/jpeg, image/png, image/webp or image/avif", v.Format)
	fault(v.Quality < 0 || v.Quality > 100, "Quality is %d: it must lie between 1 and 100", v.Quality)
	fault(v.Make > OnRequest, "Make is unknown")
	return faults
}

// variantFaults lists what is wrong with a field's variants together.
func (c FieldConfig) variantFaults() []error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	seen := map[string]bool{}
	for _, v := range c.Variants {
		faults = append(faults, v.faults()...)
		fault(seen[v.Name], "Variants: %q is declared twice", v.Name)
		seen[v.Name] = true
		fault(v.Make == OnRequest && c.LinkBase == "", "Variants %q: OnRequest needs LinkBase", v.Name)
		if c.VariantMaker == nil {
			continue
		}
		err := c.VariantMaker.CheckVariant(v)
		fault(err != nil, "Variants %q: %w", v.Name, err)
	}
	fault(len(c.Variants) > 0 && c.VariantMaker == nil, "Variants needs VariantMaker, such as variant.New returns")
	fault(len(c.Variants) > 0 && c.MaxKeyLength > maxKeyLength-variantRoom,
		"MaxKeyLength is %d: keys of variants are longer, which leaves at most %d bytes", c.MaxKeyLength, maxKeyLength-variantRoom)
	for _, wrong := range c.VariantSources.Faults() {
		fault(true, "VariantSources: %s", wrong)
	}
	return faults
}

// extension is the one of an explicit format. A variant whose format follows its
// original has none, so that its key follows from the original's alone.
func (v Variant) extension() string {
	switch v.Format {
	case "image/jpeg":
		return ".jpg"
	case "image/png", "image/webp", "image/avif":
		return "." + strings.TrimPrefix(v.Format, "image/")
	}
	return ""
}

// leaf is the last segment of the variant's keys. What the variant is made by is
// part of it, so that one that is declared otherwise is another object, and a URL
// never changes what it shows.
func (v Variant) leaf() string {
	made := fmt.Sprintf("%d %d %d %d %s %d", variantRevision, v.Width, v.Height, v.Mode, v.Format, v.Quality)
	sum := sha256.Sum256([]byte(made))
	return v.Name + "-" + hex.EncodeToString(sum[:4]) + v.extension()
}

// variantKey returns the key of a variant.
func variantKey(original Key, leaf string) (Key, error) {
	if _, isVariant := original.VariantOf(); isVariant {
		return Key{}, nameError("a variant has no variants: %s", quoteName(original.s))
	}
	base := original.Base()
	return ParseKey(strings.TrimSuffix(original.s, base) + variantFolder + "/" + base + "/" + leaf)
}

// VariantOf returns the key of the file that the object of this key is a variant
// of, and whether it is the key of a variant.
func (k Key) VariantOf() (original Key, ok bool) {
	rest, leaf := k.Dir(), k.Base()
	folder, base := Key{rest}.Dir(), Key{rest}.Base()
	if leaf == "" || base == "" || (Key{folder}).Base() != variantFolder {
		return Key{}, false
	}
	return Key{strings.TrimSuffix(folder, variantFolder) + base}, true
}

// inVariants says whether a key lies where only variants do.
func (k Key) inVariants() bool { return slices.Contains(strings.Split(k.s, "/"), variantFolder) }

// variantSources are the types of which variant.Standard reads.
const variantSources Accept = "image/png image/jpeg image/gif image/webp image/bmp image/tiff"

// Variant returns what is known of a file's variant without asking storage: where
// it lies, its name, type, and its sides if those of the file are known. Whether it
// exists is not known. ErrConfig for a variant that is not declared; ErrType for a
// file of a type that has none (see FieldConfig.VariantSources); ErrName for a key
// too long to have variants.
func (f *Field) Variant(o Object, name string) (Object, error) {
	if f.fault != nil {
		return Object{}, f.fault
	}
	v, ok := f.variant(name)
	if !ok {
		return Object{}, &Error{Kind: ErrConfig, Op: "variant", Field: f.config.Name, Err: fmt.Errorf("no variant %q is declared", name)}
	}
	setDefault(&o.Name, o.Key.Base())
	setDefault(&o.Type, InlineTypeByName(o.Name))
	if !f.hasVariants(o.Type) {
		return Object{}, &Error{Kind: ErrType, Op: "variant", Field: f.config.Name, Key: o.Key.s, Detail: "there are no variants of files of type " + o.Type}
	}
	if o.Key.IsZero() {
		return Object{}, errNoKey("variant", f.bucket.name)
	}
	key, err := variantKey(o.Key, f.leaves[name])
	if err != nil {
		return Object{}, atField(err, f.config.Name)
	}
	made := Object{Bucket: f.bucket.name, Key: key, Type: v.FormatOf(o.Type)}
	stem, _ := SplitExt(o.Name)
	made.Name = ClientName(stem + "-" + v.Name + SafeExtension(made.Type, ""))
	made.Width, made.Height = v.Dimensions(o.Displayed())
	return made, nil
}

func (f *Field) variant(name string) (Variant, bool) {
	i := slices.IndexFunc(f.config.Variants, func(v Variant) bool { return v.Name == name })
	if i < 0 {
		return Variant{}, false
	}
	return f.config.Variants[i], true
}

// hasVariants says whether files of a type have variants; of an unknown type that
// is found out when they are made.
func (f *Field) hasVariants(typ string) bool {
	return typ == "" || slices.Contains(f.variantTypes, typ)
}

// VariantURL returns where a browser gets a file's variant: the bucket's own URL of
// one that is made OnUpload, a link of the app for one OnRequest and for all of a
// field with Links. Such a link is bound to the subject ctx names, if the field's URLs are (URLPerSubject, Links);
// in a public bucket it is the same for ever. It asks storage nothing. Errors as
// Variant; ErrType is no failure of the app's but a file that has no variants.
func (f *Field) VariantURL(ctx context.Context, o Object, name string) (string, error) {
	made, err := f.Variant(o, name)
	if err != nil {
		return "", err
	}
	v, _ := f.variant(name)
	if v.Make == OnRequest || f.config.Links {
		return f.variantLink(ctx, o, made)
	}
	return f.URL(ctx, made.Key, URLOptions{})
}

// purposeVariant is that of links to variants. Their tokens hold the variant's key,
// which names the original's, and what is known of the original.
const purposeVariant = 'v'

// unendingLink is when links to what anyone may read end.
var unendingLink = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

func (f *Field) variantLink(ctx context.Context, o, made Object) (string, error) {
	life := lifeOf(made.Key, f.store.config.Now(), f.config.URLExpiry, windowOf(f.config.URLExpiry, f.config.URLWindow))
	ends, subject := life.from.Add(life.expires), ""
	switch {
	case f.bucket.public && !f.config.Links:
		ends = unendingLink
	case f.config.URLPerSubject || f.config.Links:
		subject = SubjectFrom(ctx)
	}
	o.Bucket, o.Key, o.CRC32C, o.Blurhash = f.bucket.name, made.Key, "", ""
	token := f.signFor(purposeVariant, o, subject, ends)
	if token == "" {
		return "", f.linkError(o, "no link leads to an object of another bucket, or is for a subject of more than 1024 bytes")
	}
	return f.config.LinkBase + token + "/" + escapeKey(made.Name, unreserved), nil
}

// VerifyVariantLink checks the token of a link to a variant and returns the file
// and which variant of it is meant. Errors as VerifyLink, and ErrNotFound if no
// variant of that name is declared any more. It uses no network.
func (f *Field) VerifyVariantLink(ctx context.Context, token string) (original Object, name string, err error) {
	if f.fault != nil {
		return Object{}, "", f.fault
	}
	t, _, err := f.parse(token, purposeVariant)
	original = t.Object
	if err == nil && t.Subject != "" && t.Subject != SubjectFrom(ctx) {
		err = errors.New("the link is bound to another subject")
	}
	if err == nil {
		// A page made before the declaration changed leads to what it is now.
		leaf := original.Key.Base()
		name = leaf[:max(strings.LastIndexByte(leaf, '-'), 0)]
		key, isVariant := original.Key.VariantOf()
		if _, declared := f.variant(name); !isVariant || !declared {
			err = errors.New("there is no such variant")
		}
		original.Key = key
	}
	if err != nil {
		return Object{}, "", &Error{Kind: ErrNotFound, Op: "follow link", Err: err}
	}
	return original, name, nil
}
