package core

import (
	"cmp"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// condition is what has to be at a key for a write to happen. The zero value is
// nothing in particular: what is there is replaced.
type condition struct {
	free bool   // nothing
	etag string // the object of this ETag
}

// set has minio-go ask for the condition.
func (c condition) set(o *minio.PutObjectOptions) {
	switch {
	case c.free:
		o.SetMatchETagExcept("*")
	case c.etag != "":
		o.SetMatchETag(c.etag)
	}
}

// headerRoom is how many headers an object usually has besides its metadata, and its
// request besides the object's: with those of a small file the map need not grow,
// and is no larger than it has to be.
const headerRoom = 9

// headers is a header under way, whose values lie side by side.
type headers struct {
	header http.Header
	values []string
}

// add sets a header, by its name in canonical form.
func (h *headers) add(name, value string) {
	h.values = append(h.values, value)
	last := len(h.values)
	h.header[name] = h.values[last-1 : last : last]
}

// addSet adds a header that has a value.
func (h *headers) addSet(name, value string) {
	if value != "" {
		h.add(name, value)
	}
}

// putHeader returns the headers of an object to write: those that minio-go makes of
// the options, of which it reads what the Store uses.
func putHeader(o minio.PutObjectOptions, must condition) http.Header {
	h := headers{make(http.Header, len(o.UserMetadata)+headerRoom), make([]string, 0, len(o.UserMetadata)+headerRoom)}
	h.add("Content-Type", cmp.Or(o.ContentType, typeBinary))
	h.addSet("Content-Encoding", o.ContentEncoding)
	h.addSet("Content-Disposition", o.ContentDisposition)
	h.addSet("Cache-Control", o.CacheControl)
	h.addSet("X-Amz-Storage-Class", o.StorageClass)
	h.addSet("X-Amz-Object-Lock-Mode", string(o.Mode))
	h.addSet("X-Amz-Object-Lock-Legal-Hold", string(o.LegalHold))
	if !o.RetainUntilDate.IsZero() {
		h.add("X-Amz-Object-Lock-Retain-Until-Date", o.RetainUntilDate.UTC().Format(time.RFC3339))
	}
	if o.ServerSideEncryption != nil {
		o.ServerSideEncryption.Marshal(h.header)
	}
	if len(o.UserTags) > 0 {
		if t, err := tags.NewTags(o.UserTags, true); err == nil { // else it was refused before
			h.add("X-Amz-Tagging", t.String())
		}
	}
	for name, value := range o.UserMetadata {
		h.add(metadataHeader(name), value)
	}
	switch {
	case must.free:
		h.add("If-None-Match", "*")
	case must.etag != "":
		h.add("If-Match", `"`+must.etag+`"`)
	}
	return h.header
}

const checksumHeader = "X-Amz-Checksum-Crc32c"

// metadataHeader returns the header of a name of an object's metadata, in canonical
// form. Those of every upload are written down.
func metadataHeader(name string) string {
	switch name {
	case metaUpload:
		return "X-Amz-Meta-Filefield-Upload"
	case metaName:
		return "X-Amz-Meta-Filefield-Name"
	case metaType:
		return "X-Amz-Meta-Filefield-Type"
	case metaSize:
		return "X-Amz-Meta-Filefield-Pixels"
	case "x-amz-checksum-crc32c":
		return checksumHeader
	}
	if lower := strings.ToLower(name); !strings.HasPrefix(lower, "x-amz-meta-") && !strings.HasPrefix(lower, "x-amz-checksum-") {
		name = "x-amz-meta-" + name
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}
