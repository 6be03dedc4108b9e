package core

import (
	"context"
	"errors"
	"time"
)

// LinkOptions shape a signed link. The zero value is a link for anyone who has it.
type LinkOptions struct {
	// Expiry is how long the link works at least. Default: the field's URLExpiry.
	Expiry time.Duration
	// Window is how long links to the file stay the same: see URLOptions.Window.
	Window time.Duration
	// Subject is who alone may use the link: the one that WithSubject names in the
	// context of the request that follows it. Empty: anyone.
	Subject string
	// Download makes browsers save the file.
	Download bool
}

// Link returns a URL of the app itself that leads to a file: an alternative to
// presigned URLs, for files that storage should not hand out itself. It is the
// field's LinkBase, a token bound to this field, the file, the subject, and its
// expiry, and the file's name. nethttp.Links answers it. It uses no network.
//
// Nothing is promised but who may ask: whoever follows it is also asked for by
// the Authorizer of the route. ErrConfig without a LinkBase, and for an object
// that is not one of the field's. Safe for concurrent use.
func (f *Field) Link(o Object, options LinkOptions) (string, error) {
	if f.fault != nil {
		return "", f.fault
	}
	if f.config.LinkBase == "" {
		return "", f.linkError(o, "the field has no LinkBase: set it to where nethttp.Links is mounted")
	}
	setDefault(&options.Expiry, f.config.URLExpiry)
	setDefault(&options.Window, f.config.URLWindow)
	if options.Expiry < time.Second {
		return "", f.linkError(o, "the expiry "+options.Expiry.String()+" is shorter than a second")
	}
	purpose := byte(purposeLink)
	if options.Download {
		purpose = purposeDownload
	}
	if o.Bucket == "" {
		o.Bucket = f.bucket.name
	}
	if o.Name = ClientName(o.Name); o.Name == "" { // as long as names are, whatever the row holds
		o.Name = ClientName(o.Key.Base())
	}
	life := lifeOf(o.Key, f.store.config.Now(), options.Expiry, windowOf(options.Expiry, options.Window))
	token := f.signFor(purpose, o, options.Subject, life.from.Add(life.expires))
	if token == "" || len(token) > maxTokenBytes {
		return "", f.linkError(o, "no link leads to an object without a key, of another bucket or of an endless type, or is for a subject of more than 1024 bytes")
	}
	name := o.Name
	if name == "" {
		name = "file" // the key ends in what no name has
	}
	return f.config.LinkBase + token + "/" + escapeKey(name, unreserved), nil
}

func (f *Field) linkError(o Object, why string) error {
	return &Error{Kind: ErrConfig, Op: "link", Field: f.config.Name, Key: o.Key.String(), Detail: why}
}

// VerifyLink checks the token of a link and returns the file it leads to, and
// whether it is to be saved (Attachment) or shown as its type allows (""). A link
// that was changed, has expired, was made for another field or for another
// subject than ctx names is ErrNotFound, with nothing that tells one from the
// other. It uses no network.
func (f *Field) VerifyLink(ctx context.Context, token string) (Object, Disposition, error) {
	if f.fault != nil {
		return Object{}, "", f.fault
	}
	t, purpose, err := f.parse(token, purposeLink, purposeDownload)
	if err == nil && t.Subject != "" && t.Subject != SubjectFrom(ctx) {
		err = errors.New("the link is bound to another subject")
	}
	if err != nil {
		return Object{}, "", &Error{Kind: ErrNotFound, Op: "follow link", Err: err}
	}
	if purpose == purposeDownload {
		return t.Object, Attachment, nil
	}
	return t.Object, "", nil
}
