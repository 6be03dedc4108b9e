package core

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Metadata names of the library's own. They are lower case, as S3 returns them.
const (
	metaName   = "filefield-name"   // the original file name, percent-encoded
	metaType   = "filefield-type"   // the type by content, where another is served
	metaUpload = "filefield-upload" // which upload wrote the object
	metaSize   = "filefield-pixels" // width x height of an image
	metaTurn   = "filefield-orientation"
	metaBlur   = "filefield-blurhash" // percent-encoded
	metaSource = "filefield-source"   // a variant's original, by ETag
)

// object turns minio-go's description into ours.
func (b *Bucket) object(key Key, info minio.ObjectInfo) Object {
	o := Object{
		Bucket: b.name, Key: key, Size: info.Size, Type: info.ContentType, ETag: info.ETag,
		VersionID: info.VersionID, Modified: info.LastModified.UTC(), CRC32C: info.ChecksumCRC32C,
	}
	for name, value := range info.UserMetadata {
		switch name = strings.ToLower(name); name {
		case metaName:
			if decoded, err := url.PathUnescape(value); err == nil {
				o.Name = ClientName(decoded)
			}
		case metaType:
			o.Type = value
		case metaSize:
			o.Width, o.Height = readPixels(value)
		case metaTurn:
			if n, err := strconv.Atoi(value); err == nil && validOrientation(n) {
				o.Orientation = n
			}
		case metaBlur:
			if decoded, err := url.PathUnescape(value); err == nil && validBlurhash(decoded) {
				o.Blurhash = decoded
			}
		case metaUpload:
			o.saved = true
		case metaSource:
			o.source = value
		default:
			if o.Metadata == nil {
				o.Metadata = map[string]string{}
			}
			o.Metadata[name] = decodeMetadata(value)
		}
	}
	if o.Name == "" && !key.IsZero() {
		o.Name = key.Base()
	}
	return o
}

// readPixels reads the sides of an image, as 640x480, or none: anybody who can
// write to the bucket can write anything there.
func readPixels(text string) (width, height int) {
	w, h, _ := strings.Cut(text, "x")
	across, errAcross := strconv.ParseUint(w, 10, 32)
	down, errDown := strconv.ParseUint(h, 10, 32)
	if errAcross != nil || errDown != nil || across == 0 || down == 0 {
		return 0, 0
	}
	return int(across), int(down)
}

// SavedHere says whether the object was written by this library, as what Stat
// and Open return tells; what a listing yields does not. Objects that were written
// by others, and copies of more than 5 GiB, do not have the mark.
func (o Object) SavedHere() bool { return o.saved }

// encodeMetadata makes any text fit an HTTP header, so that every server and
// client agrees on it: percent-encoded where it is not plain ASCII or could be
// mistaken for something encoded.
func encodeMetadata(value string) string {
	plain := decodeMetadata(value) == value && strings.TrimSpace(value) == value
	for i := 0; plain && i < len(value); i++ {
		plain = value[i] >= 0x20 && value[i] < 0x7f
	}
	if plain {
		return value
	}
	return url.PathEscape(value)
}

func decodeMetadata(value string) string {
	if !strings.Contains(value, "%") {
		return value
	}
	if decoded, err := url.PathUnescape(value); err == nil {
		return decoded
	}
	return value
}
