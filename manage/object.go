package manage

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/filefield/filefield/core"
)

// objectResult is an object in JSON.
type objectResult struct {
	Bucket   string            `json:"bucket"`
	Key      string            `json:"key"`
	Size     int64             `json:"size"`
	Modified *time.Time        `json:"modified,omitempty"`
	ETag     string            `json:"etag,omitempty"`
	Name     string            `json:"name,omitempty"`
	Type     string            `json:"type,omitempty"`
	Version  string            `json:"version,omitempty"`
	CRC32C   string            `json:"crc32c,omitempty"`
	Width    int               `json:"width,omitempty"`
	Height   int               `json:"height,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

func resultOf(o core.Object) objectResult {
	r := objectResult{
		Bucket: o.Bucket, Key: o.Key.String(), Size: o.Size, ETag: o.ETag, Name: o.Name, Type: o.Type,
		Version: o.VersionID, CRC32C: o.CRC32C, Width: o.Width, Height: o.Height, Metadata: openMetadata(o.Metadata),
	}
	if !o.Modified.IsZero() {
		r.Modified = &o.Modified
	}
	return r
}

// listed is resultOf for an object of a listing, which knows nothing of its own
// name and type.
func listed(o core.Object) objectResult {
	r := resultOf(o)
	r.Name, r.Type = "", ""
	return r
}

// secretNames match names of metadata whose values are nobody's business.
var secretNames = regexp.MustCompile(`(?i)secret|passw|token|credential|authori[sz]ation|cookie|signature|private|api[-_.]?key|access[-_.]?key|session`)

// openMetadata returns metadata as it may be printed: apps keep all sorts of
// things there, and terminals and logs are read by many.
func openMetadata(metadata map[string]string) map[string]string {
	if len(metadata) == 0 {
		return nil
	}
	out := make(map[string]string, len(metadata))
	for name, value := range metadata {
		if secretNames.MatchString(name) {
			value = core.Secret(value).String()
		}
		out[name] = value
	}
	return out
}

// lines are an object as text, in columns.
func (r objectResult) write(out *output) {
	row := func(name, value string) {
		if value != "" {
			_ = out.row(name, shown(value))
		}
	}
	row("address", r.Bucket+"/"+r.Key)
	row("name", r.Name)
	_ = out.row("size", strconv.FormatInt(r.Size, 10)+" bytes ("+shownSize(r.Size)+")")
	row("type", r.Type)
	if r.Modified != nil {
		row("modified", shownTime(*r.Modified)+" UTC")
	}
	row("etag", r.ETag)
	row("version", r.Version)
	row("crc32c", r.CRC32C)
	if r.Width > 0 {
		row("pixels", strconv.Itoa(r.Width)+" x "+strconv.Itoa(r.Height))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metadata)) {
		row("metadata "+shown(name), r.Metadata[name])
	}
}
