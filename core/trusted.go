package core

import (
	"errors"
	"fmt"
	"mime"
)

// Trusted is how content of the app's own is stored: its scripts, style sheets
// and fonts, which browsers are to run. Storage then serves it under exactly this
// type, and inline. Anything else is stored so that it does nothing in a browser
// but be shown or saved; keep it so for whatever a client sent, or could have
// changed.
type Trusted struct {
	// Type is the Content-Type, parameters included: "text/css; charset=utf-8".
	// Required; nothing is sniffed.
	Type string
	// Encoding is the Content-Encoding, where the content is stored compressed:
	// "gzip", "br" or "zstd". Storage sends it so to every client, whatever that
	// accepts. Default: none.
	Encoding string
}

// faults lists what browsers would misread.
func (t Trusted) faults() []error {
	var faults []error
	if _, _, err := mime.ParseMediaType(t.Type); err != nil {
		faults = append(faults, fmt.Errorf("Trusted.Type %q is not a media type", t.Type))
	}
	if t.Encoding != "" && !isToken(t.Encoding) {
		faults = append(faults, fmt.Errorf("Trusted.Encoding %q is not a content coding", t.Encoding))
	}
	return faults
}

// errTrustedField refuses trusted content in a field.
func errTrustedField(field string) error {
	return &Error{
		Kind: ErrConfig, Op: "save", Field: field,
		Err:    errors.New("Upload.Trusted is set"),
		Advice: "a field's files come from clients; save what is the app's own with Bucket.Save",
	}
}
