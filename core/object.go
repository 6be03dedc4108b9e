package core

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// Object is what is known about one stored file. The zero value stands for no
// file. Which fields are filled depends on where it comes from: Save knows all
// of them, a listing only key, size, ETag and time.
type Object struct {
	// Bucket and Key say where it lies.
	Bucket string
	Key    Key
	// Name is the file name its sender gave it. It is data, never a key.
	Name string
	// Size is its length in bytes.
	Size   int64
	saved  bool   // see SavedHere
	source string // a variant's: the ETag of what it was made of
	// Type is its media type, by content.
	Type string
	// CRC32C is its checksum as S3 writes it (base64 of four bytes), or empty.
	CRC32C string
	// Width and Height are an image's size in pixels, as stored, or 0: see Displayed.
	Width, Height int
	// Orientation is how an image is to be turned to be looked at, 1 to 8 as EXIF
	// numbers it, or 0: see ImageHead.
	Orientation int
	// Blurhash is a placeholder of an image in some 30 characters (blurha.sh), where
	// the field declares it, or "".
	Blurhash string
	// ETag is the storage's version mark, without quotes. It is no checksum.
	ETag string
	// VersionID names the version in a versioned bucket.
	VersionID string
	// Modified is when it was stored, in UTC.
	Modified time.Time
	// Metadata is the user metadata the app stored with it, names in lower case.
	Metadata map[string]string

	// loose is set where Save stored the object outside a transaction: whether no
	// row has it yet. All copies of the Object share it.
	loose *atomic.Bool
}

// Loose says that the object was stored outside a transaction and no row has it,
// as far as this process knows: whoever fails to store its row may remove it.
func (o Object) Loose() bool { return o.loose != nil && o.loose.Load() }

// Settle says that a row has the object: it is not Loose any more, nor are its
// copies. Packages for ORMs call it.
func (o Object) Settle() {
	if o.loose != nil {
		o.loose.Store(false)
	}
}

// ObjectOptions are what S3 can keep with an object or do to it. A field
// declares them for all its files; one save may override them. The zero value
// asks for nothing special. Maps are not changed by the library.
type ObjectOptions struct {
	// Metadata is stored with the object. Names are case-insensitive ASCII;
	// values may be any text and are kept percent-encoded where they are not
	// ASCII. All metadata together at most 2 KiB (S3's limit). Names starting with
	// "filefield-" are the library's own.
	Metadata map[string]string
	// Tags are the object's tags, at most 10 of letters, digits, spaces and
	// + - = . _ : / @ (S3's limits).
	Tags map[string]string
	// CacheControl is sent to browsers by the storage. Where a field declares none,
	// its presigned URLs say another one: see URLOptions.Window.
	CacheControl string
	// StorageClass is the storage's name of a class ("STANDARD_IA").
	StorageClass string
	// Encryption is minio-go's SSE-S3, SSE-KMS or SSE-C. SSE-C needs TLS, and its
	// objects have no URLs.
	Encryption encrypt.ServerSide `json:"-"`
	// Retention locks the object until a time; LegalHold until it is lifted. Both
	// need a bucket with object lock.
	Retention Retention
	LegalHold bool
	// Checksum chooses how the storage verifies what it received.
	Checksum Checksum
	// PartSize overrides the part size, 5 MiB to 5 GiB. Default: the smallest
	// that reaches the field's limit in 10,000 parts, at least 5 MiB.
	PartSize int64
	// ParallelParts is how many parts are sent at once, beside the one being
	// read. Default 1.
	ParallelParts int
	// Progress, if set, is told from the uploading goroutine how many bytes of
	// the content have been read so far. It must not block.
	Progress func(read int64)
}

// Format writes what fmt's %+v would, whatever the verb, with the kind of an
// encryption in place of its key.
func (o ObjectOptions) Format(f fmt.State, _ rune) {
	type fields ObjectOptions
	o.Encryption = withoutKey(o.Encryption)
	_, _ = fmt.Fprintf(f, "%+v", fields(o))
}

// faults lists what the storage or this library would not take.
func (o ObjectOptions) faults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if size := o.PartSize; size != 0 && (size < minPartSize || size > maxPartSize) {
		fault("Options.PartSize is %d bytes: it must lie between 5 MiB and 5 GiB", size)
	}
	if o.ParallelParts < 0 {
		fault("Options.ParallelParts is %d", o.ParallelParts)
	}
	if len(o.Tags) > 10 {
		fault("Options.Tags has %d tags: S3 keeps at most 10", len(o.Tags))
	} else if len(o.Tags) > 0 {
		if _, err := tags.NewTags(o.Tags, true); err != nil { // what it refuses, the client would drop in silence
			fault("Options.Tags: %w", err)
		}
	}
	return append(faults, metadataFaults(o.Metadata)...)
}

func metadataFaults(metadata map[string]string) []error {
	if len(metadata) == 0 {
		return nil
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if strings.HasPrefix(strings.ToLower(name), "filefield-") {
			faults = append(faults, fmt.Errorf("Options.Metadata %q: names starting with filefield- are the library's own", name))
		}
		if !metadataName(name) {
			faults = append(faults, fmt.Errorf("Options.Metadata %q: a name consists of ASCII letters, digits, '-', '_' and '.'", name))
		}
	}
	return faults
}

func metadataName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z')
	})
}

// Retention is an S3 object lock. The zero value locks nothing.
type Retention struct {
	Mode  minio.RetentionMode // minio.Governance or minio.Compliance
	Until time.Time
}

// Checksum says how uploads are verified by the storage.
type Checksum uint8

const (
	// ChecksumCRC32C sends the CRC32C of every part for the storage to verify.
	// The default.
	ChecksumCRC32C Checksum = iota
	// ChecksumNone sends none, for storage that mishandles checksum headers.
	ChecksumNone
)

// over returns o with every zero field taken from the field's declaration.
// Metadata and tags are merged, o's entries winning.
func (o ObjectOptions) over(declared ObjectOptions) ObjectOptions {
	o.Metadata = over(declared.Metadata, o.Metadata)
	o.Tags = over(declared.Tags, o.Tags)
	setDefault(&o.CacheControl, declared.CacheControl)
	setDefault(&o.StorageClass, declared.StorageClass)
	setDefault(&o.Retention, declared.Retention)
	setDefault(&o.Checksum, declared.Checksum)
	setDefault(&o.PartSize, declared.PartSize)
	setDefault(&o.ParallelParts, declared.ParallelParts)
	o.LegalHold = o.LegalHold || declared.LegalHold
	if o.Encryption == nil {
		o.Encryption = declared.Encryption
	}
	if o.Progress == nil {
		o.Progress = declared.Progress
	}
	return o
}

// over is merge for what is only read: it may return one of the two.
func over(below, above map[string]string) map[string]string {
	switch {
	case len(above) == 0:
		return below
	case len(below) == 0:
		return above
	}
	return merge(below, above)
}

func merge(below, above map[string]string) map[string]string {
	out := make(map[string]string, len(below)+len(above)+4)
	for k, v := range below {
		out[k] = v
	}
	for k, v := range above {
		out[k] = v
	}
	return out
}

// Upload is one file on its way into a field or bucket.
type Upload struct {
	// Body is the content. It is read once, to its end or to the first limit.
	// The caller closes it. Required.
	Body io.Reader
	// Interrupt, if set, makes a Read of Body that waits for its sender fail soon,
	// and every later one, with a timeout. It is called while others wait for
	// memory that this upload holds and has been slow to fill (see Config.Memory):
	// from another goroutine, never once Save has returned. It must not block.
	Interrupt func()
	// Name is the file name its sender gave it; data, never a key by itself.
	Name string
	// Limit is an upper bound of the content's size in bytes where one is known
	// (a request's length), or 0. It helps to choose the part size; a body that
	// turns out longer is refused with ErrTooLarge.
	Limit int64
	// Type sets the media type, where the app itself knows it better than its
	// content tells. Never pass on a type a client declared. Default: by content.
	Type string
	// Trusted, if set, says that the content is the app's own, and how browsers are
	// to be sent it. For Bucket.Save alone; a field refuses it with ErrConfig.
	Trusted *Trusted
	// Form holds the text fields known before the file, for UploadTo.
	Form url.Values
	// Replace overwrites an object of the same key, atomically: readers see the
	// old content or the new, never none. Default: a taken key gets an
	// alternative.
	Replace bool
	// Options override the field's.
	Options ObjectOptions
}
