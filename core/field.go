package core

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Unlimited as a size limit lifts it to what S3 can hold: 5 TiB.
const Unlimited = 5 * TiB

const (
	defaultMaxSize = 10 * MiB
	maxKeyLength   = 1024 // S3's limit, in bytes
	minPartSize    = 5 * MiB
	maxPartSize    = 5 * GiB
	maxParts       = 10_000
)

// Column says what a field's files are in a database column. Both forms are
// always read.
type Column uint8

const (
	// ColumnDocument keeps a small JSON document: key, name, size, type, checksum
	// and an image's dimensions, so that a list page asks storage nothing. The default.
	ColumnDocument Column = iota
	// ColumnKey keeps the bare key, as Django does.
	ColumnKey
	// ColumnJSONB is ColumnDocument for a column of PostgreSQL's type jsonb, which
	// GORM's migrations then make.
	ColumnJSONB
)

// JSONShape says what a field's files are in JSON responses. None shows the key.
type JSONShape uint8

const (
	// JSONObject is {"name","type","size","url"}, and "width", "height" and
	// "blurhash" of an image. The default.
	JSONObject JSONShape = iota
	// JSONLink is {"name","url"}.
	JSONLink
	// JSONURL is the URL as a string.
	JSONURL
)

// FieldConfig declares a file field: Django's FileField(storage=…, upload_to=…).
// Only Name is required.
type FieldConfig struct {
	// Name is the field's name in forms. Required.
	Name string
	// Model tells fields of the same name in one Store apart ("profile"). A token
	// of one model's field never fills another's.
	Model string
	// Bucket is where the files go. Default: the configuration's DefaultBucket.
	Bucket string
	// UploadTo makes the keys. Default: RandomName.
	UploadTo UploadTo
	// KeyPrefix is what every key of the field begins with, as "avatars/": whole
	// folders, at most 256 bytes. It adds nothing to what UploadTo makes; a key
	// that does not begin so is refused. Where each field of a bucket has one,
	// IAMPolicy limits the app to them. Default: keys may be any.
	KeyPrefix string
	// MaxSize is the most bytes a file may have. Default 10 MiB; Unlimited lifts it.
	MaxSize int64
	// MaxFiles is the most files one form may bring. Default 1.
	MaxFiles int
	// AllowEmpty accepts files of no bytes.
	AllowEmpty bool
	// Required says that a row always has a file of this field: a form's clear box
	// for it is ignored, as in Django. That a new row has one is for a validation
	// rule to see ("required"), which knows the row.
	Required bool
	// Extensions lists the file name extensions accepted, without their dot and in
	// any case; "" is a name without one. Django's FileExtensionValidator. Default,
	// nil: any; an empty list: none. Names prove nothing: Accept is what protects.
	Extensions []string
	// MaxNameLength is the most characters the file's own name may have, as
	// max_length of Django's form field. Default: no bound but the 255 bytes to
	// which names are cut.
	MaxNameLength int
	// Accept lists the media types accepted, by content. Default: all.
	Accept Accept
	// MinWidth, MinHeight, MaxWidth and MaxHeight bound an image's pixels as it is
	// looked at (see Object.Displayed), read from its head without decoding it. 0: no
	// bound. With a bound, an image whose size cannot be read is refused.
	MinWidth, MinHeight, MaxWidth, MaxHeight int
	// MaxPixels is the most pixels, width times height, an image may have, so that
	// nothing that decodes it later is flooded; all frames of an animation together
	// may have ten times as many. Read from the head, and ErrPixels before anything is
	// stored. With a bound, an image whose size cannot be read is refused. Default:
	// 100 million where Accept lists nothing but images, which refuses those that
	// hide their size behind a MiB of other data; otherwise no bound. Unlimited lifts
	// it.
	MaxPixels int64
	// MaxFrames is the most frames an animated GIF, PNG or WebP may have, counted as
	// they pass; with it, a JPEG may have 500 scans. More is ErrPixels. Default: 1000
	// where Accept lists nothing but images, otherwise no bound.
	MaxFrames int
	// Blurhash has a placeholder computed of each image (Object.Blurhash). It is the
	// one thing that decodes images, one at a time: PNG, JPEG, GIF, WebP and BMP of at
	// most 16 megapixels that fit one part (5 MiB unless PartSize says more). Others
	// have none. It costs about 10 ns a pixel, and up to 8 bytes of memory.
	Blurhash bool
	// MaxKeyLength is the most bytes a key may have, for narrow columns. Longer
	// ones are shortened before their extension. Default 1024.
	MaxKeyLength int
	// Column is the form in a database column.
	Column Column
	// JSON is the shape in responses.
	JSON JSONShape
	// DefaultURL stands in for no file where a page or a response shows one: the path
	// or http address of a placeholder. Default: none.
	DefaultURL string
	// URLExpiry is how long presigned URLs live. Default: the configuration's.
	URLExpiry time.Duration
	// URLWindow is how long presigned URLs stay the same, and browsers keep what
	// they lead to: see URLOptions.Window. Default: the configuration's.
	URLWindow time.Duration
	// URLPerSubject makes the URLs of each subject (core.WithSubject) others, so
	// that caches and logs tell users apart.
	URLPerSubject bool
	// LinkBase is where nethttp.Links is mounted for this field, as browsers reach
	// it: "https://app.example.org/files/", or "/files/" on the same host. It makes
	// Link possible.
	LinkBase string
	// Links makes the URL of a fieldtype.File a signed link of the app (see Link)
	// instead of a presigned URL of storage.
	Links bool
	// Variants are other forms of the field's images, as thumbnails, stored beside
	// them: see Variant. They go with their original.
	Variants []Variant
	// VariantMaker makes them: variant.New. Required with Variants.
	VariantMaker VariantMaker
	// VariantWorker has those made that are due OnUpload. Default: VariantMaker
	// makes them while the transaction commits, or Save returns.
	VariantWorker VariantWorker
	// VariantSources are the media types of which there are variants. Default: what
	// variant.Standard reads, PNG, JPEG, GIF, WebP, BMP and TIFF.
	VariantSources Accept
	// Options are kept with every object of the field.
	Options ObjectOptions
	// Direct shapes uploads straight to the bucket (see BeginDirect).
	Direct DirectConfig
}

// Field is a declared file field. Safe for concurrent use.
type Field struct {
	store  *Store
	bucket *Bucket
	config FieldConfig
	accept accepted
	image  imageRules
	id     string
	fault  error

	leaves       map[string]string // of the variants, by name
	variantTypes []string          // of files that have variants
}

// Field declares a field. Faults in the declaration are reported by Faults and
// at start-up, all together, and by every use of the field; so it can stand in
// a package-level variable.
func (s *Store) Field(config FieldConfig) *Field {
	s.mu.Lock()
	defer s.mu.Unlock()
	setDefault(&config.Bucket, s.config.DefaultBucket)
	faults := config.faults()
	setDefault(&config.MaxSize, defaultMaxSize)
	setDefault(&config.MaxFiles, 1)
	setDefault(&config.MaxKeyLength, maxKeyLength)
	if len(config.Variants) > 0 {
		config.MaxKeyLength = min(config.MaxKeyLength, maxKeyLength-variantRoom)
	}
	setDefault(&config.VariantSources, variantSources)
	setDefault(&config.URLExpiry, s.config.URLExpiry)
	setDefault(&config.URLWindow, s.config.URLWindow)
	config.Direct.defaults()
	if config.LinkBase != "" && !strings.HasSuffix(config.LinkBase, "/") {
		config.LinkBase += "/"
	}
	image := config.imageRules().withDefaults()
	config.MaxPixels, config.MaxFrames = image.maxPixels, int(image.maxFrames)

	// The length keeps "a" + "b.c" and "a.b" + "c" apart.
	id := fmt.Sprintf("%d.%s.%s", len(config.Model), config.Model, config.Name)
	f := &Field{store: s, config: config, accept: config.Accept.read(), image: image, id: id}
	if s.fields[f.id] != nil {
		faults = append(faults, errors.New("declared twice: give the fields different Models"))
	}
	f.leaves, f.variantTypes = map[string]string{}, config.VariantSources.entries()
	for _, v := range config.Variants {
		f.leaves[v.Name] = v.leaf()
	}
	s.fields[f.id] = f
	f.bucket = s.buckets[config.Bucket]
	switch {
	case f.bucket != nil:
	case checkBucketName(config.Bucket) != nil:
		f.bucket = &Bucket{store: s, name: config.Bucket} // reported below, and nothing to create
	default:
		f.bucket = s.declare(config.Bucket, false)
	}
	for _, origin := range config.Direct.Origins {
		if !slices.Contains(f.bucket.uploaders, origin) {
			f.bucket.uploaders = append(f.bucket.uploaders, origin)
		}
	}
	if len(faults) > 0 {
		f.fault = &Error{Kind: ErrConfig, Op: "declare", Field: strings.TrimPrefix(config.Model+"."+config.Name, "."), Err: errors.Join(faults...)}
		s.faults = append(s.faults, f.fault)
	}
	return f
}

func (c FieldConfig) faults() []error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Name == "", "Name is missing")
	fault(c.Bucket == "", "Bucket is missing, and the configuration has no DefaultBucket")
	if c.Bucket != "" {
		err := checkBucketName(c.Bucket)
		fault(err != nil, "Bucket %q: %w", c.Bucket, err)
	}
	fault(c.MaxSize < 0 || c.MaxSize > Unlimited, "MaxSize is %d: it must lie between 1 byte and 5 TiB (Unlimited)", c.MaxSize)
	fault(c.MaxFiles < 0, "MaxFiles is %d", c.MaxFiles)
	fault(c.MaxNameLength < 0, "MaxNameLength is %d", c.MaxNameLength)
	for _, ext := range c.Extensions {
		fault(strings.ContainsAny(ext, ".,/ "), "Extensions: %q: write it without its dot, one extension to an entry", ext)
	}
	fault(c.MaxKeyLength < 0 || c.MaxKeyLength > maxKeyLength, "MaxKeyLength is %d: it must lie between 1 and 1024 bytes", c.MaxKeyLength)
	fault(c.MaxWidth < 0 || c.MaxHeight < 0 || c.MinWidth < 0 || c.MinHeight < 0, "MinWidth, MinHeight, MaxWidth and MaxHeight must not be negative")
	fault(c.MaxWidth > 0 && c.MinWidth > c.MaxWidth || c.MaxHeight > 0 && c.MinHeight > c.MaxHeight, "MinWidth and MinHeight must not exceed MaxWidth and MaxHeight")
	fault(c.MaxPixels < 0 || c.MaxPixels > Unlimited, "MaxPixels is %d: it must lie between 1 and Unlimited", c.MaxPixels)
	fault(c.MaxFrames < 0, "MaxFrames is %d", c.MaxFrames)
	fault(c.KeyPrefix != "" && !isKeyPrefix(c.KeyPrefix), "KeyPrefix is %q: it must be whole folders, as \"avatars/\", of at most 256 bytes and without * ? $", c.KeyPrefix)
	fault(c.URLExpiry != 0 && (c.URLExpiry < time.Second || c.URLExpiry > maxURLExpiry), "URLExpiry is %s: it must lie between 1s and 168h", c.URLExpiry)
	fault(c.URLWindow > 0 && c.URLExpiry+c.URLWindow > maxURLExpiry, "URLExpiry and URLWindow are %s together: at most 168h", c.URLExpiry+c.URLWindow)
	if err := checkLinkBase(c.LinkBase); err != nil {
		fault(true, "LinkBase %q: %w", withoutUser(c.LinkBase), err)
	}
	fault(c.Links && c.LinkBase == "", "Links needs LinkBase")
	fault(c.Column > ColumnJSONB, "Column is unknown")
	fault(c.JSON > JSONURL, "JSON is unknown")
	if u, err := url.Parse(c.DefaultURL); err != nil || u.Opaque != "" || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
		fault(true, "DefaultURL is %q: it must be a path or an http address", c.DefaultURL)
	}
	faults = append(faults, c.Options.faults()...)
	c.Direct.faults(fault)
	faults = append(faults, c.variantFaults()...)
	for _, wrong := range c.Accept.Faults() {
		fault(true, "Accept: %s", wrong)
	}
	return faults
}

// checkLinkBase accepts a path on the app's own host, and what checkBaseURL does.
func checkLinkBase(base string) error {
	if strings.HasPrefix(base, "/") && !strings.HasPrefix(base, "//") && !strings.ContainsAny(base, "?#\\") {
		return nil
	}
	return checkBaseURL(base)
}

// isKeyPrefix says whether keys can begin so, and policies name them by it: *, ?
// and $ mean something there.
func isKeyPrefix(prefix string) bool {
	_, err := ParseKey(prefix + "-")
	return err == nil && strings.HasSuffix(prefix, "/") && len(prefix) <= 256 && !strings.ContainsAny(prefix, "*?$")
}

// Format writes the field's name, whatever the verb: a declaration may hold an
// encryption key.
func (f *Field) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "Field(%s)", f.config.Name)
}

// Name returns the field's name in forms.
func (f *Field) Name() string { return f.config.Name }

// Bucket returns the field's bucket.
func (f *Field) Bucket() *Bucket { return f.bucket }

// Config returns the declaration with its defaults filled in.
func (f *Field) Config() FieldConfig { return f.config }

// Store returns the Store the field was declared on.
func (f *Field) Store() *Store { return f.store }

// Fault returns what is wrong with the declaration, or nil.
func (f *Field) Fault() error { return f.fault }

// Save streams a file into the field's bucket by the field's rules: sniffed
// type, size, key by UploadTo. The object is complete and verified when Save
// returns, or it is not there at all. Under a Txn (see Begin) it goes again if
// the transaction rolls back.
//
// Errors: ErrTooLarge, ErrType, ErrEmpty, ErrPixels, ErrInvalid (dimensions, the
// file's own name), ErrName
// (UploadTo made no usable key), ErrTaken, ErrSlow, ErrMalformed (the body broke
// off), ErrCanceled, and the storage's kinds.
func (f *Field) Save(ctx context.Context, in Upload) (Object, error) {
	if f.fault != nil {
		return Object{}, f.fault
	}
	if in.Trusted != nil {
		return Object{}, errTrustedField(f.config.Name)
	}
	if err := f.config.checkName(ClientName(in.Name)); err != nil {
		return Object{}, err
	}
	in.Options = in.Options.over(f.config.Options)
	u := &upload{
		store: f.store, bucket: f.bucket, field: f.config.Name, in: in,
		maxSize: f.config.MaxSize, maxKey: f.config.MaxKeyLength, allowEmpty: f.config.AllowEmpty,
		accept: f.accept, image: f.image,
	}
	u.makeKey = func(mediaType string) (Key, bool, error) {
		return f.makeKey(Naming{Context: ctx, Name: in.Name, Type: mediaType, Form: in.Form, replaces: in.Replace})
	}
	o, err := u.save(ctx)
	if err == nil {
		err = f.variantsOnCommit(ctx, o)
	}
	if err != nil {
		return Object{}, err
	}
	return o, nil
}

// makeKey makes a key of the field. unique says that no other can have it.
func (f *Field) makeKey(n Naming) (key Key, unique bool, err error) {
	n.Field, n.Now = f.config.Name, f.store.config.Now()
	key, unique, err = f.config.UploadTo.makeKey(n, f.config.MaxKeyLength)
	if err == nil && key.inVariants() {
		err = atField(&Error{Kind: ErrName, Err: fmt.Errorf("the key %q lies where variants do", key.s)}, f.config.Name)
	}
	if err == nil && !strings.HasPrefix(key.s, f.config.KeyPrefix) {
		err = atField(&Error{
			Kind: ErrConfig, Err: fmt.Errorf("the key %q does not begin with the field's KeyPrefix %q", key.s, f.config.KeyPrefix),
			Advice: "put core.Prefix around the field's UploadTo, or correct its KeyPrefix",
		}, f.config.Name)
	}
	return key, unique, err
}

// checkName holds a file's own name against the field's rules, in Django's words.
func (c FieldConfig) checkName(name string) error {
	if n := utf8.RuneCountInString(name); c.MaxNameLength > 0 && n > c.MaxNameLength {
		return Invalid{{
			Field: c.Name, Code: "max_length",
			Message: fmt.Sprintf("Ensure this filename has at most %d characters (it has %d).", c.MaxNameLength, n),
		}}
	}
	if c.Extensions == nil {
		return nil
	}
	ext := strings.TrimPrefix(path.Ext(strings.TrimLeft(name, ".")), ".")
	if slices.ContainsFunc(c.Extensions, func(allowed string) bool { return strings.EqualFold(allowed, ext) }) {
		return nil
	}
	return Invalid{{
		Field: c.Name, Code: "invalid_extension",
		Message: fmt.Sprintf("File extension “%s” is not allowed. Allowed extensions are: %s.", ext, strings.Join(c.Extensions, ", ")),
	}}
}

// Open reads a file of the field: see Bucket.Open.
func (f *Field) Open(ctx context.Context, key Key, options OpenOptions) (*File, error) {
	if f.fault != nil {
		return nil, f.fault
	}
	if options.Encryption == nil {
		options.Encryption = f.config.Options.Encryption
	}
	return f.bucket.Open(ctx, key, options)
}

// Stat returns what storage knows about a file of the field: see Bucket.Stat.
func (f *Field) Stat(ctx context.Context, key Key) (Object, error) {
	if f.fault != nil {
		return Object{}, f.fault
	}
	return f.bucket.stat(ctx, key, f.config.Options.Encryption)
}

// Delete removes a file of the field: see Bucket.Delete.
func (f *Field) Delete(ctx context.Context, key Key) error {
	if f.fault != nil {
		return f.fault
	}
	return f.bucket.Delete(ctx, key)
}

// URL returns where a browser gets a file of the field: see Bucket.URL.
func (f *Field) URL(ctx context.Context, key Key, options URLOptions) (string, error) {
	if f.fault != nil {
		return "", f.fault
	}
	if f.config.URLPerSubject && options.Subject == "" {
		options.Subject = SubjectFrom(ctx)
	}
	return f.bucket.url(ctx, key, options, urlDefaults{
		expiry: f.config.URLExpiry, window: f.config.URLWindow, keeps: f.config.Options.CacheControl == "",
	})
}
