package core

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/filefield/filefield/internal/sigv4"
)

// NoWindow as a window makes every presigned URL anew, with its exact expiry.
const NoWindow time.Duration = -1

// maxDefaultWindow bounds the window where none is configured.
const maxDefaultWindow = time.Hour

// subjectParam is the parameter that tells the URLs of subjects apart. Storage
// ignores it, but checks it with the signature.
const subjectParam = "x-filefield-subject"

// URLOptions shape a URL. The zero value is the bucket's plain URL: public, or
// presigned for the configured time. Options can be compared with ==.
type URLOptions struct {
	// Method is what the URL allows: GET (the default), HEAD or PUT. A PUT puts
	// whatever it is sent at the key, over what is there: hand it to nobody who
	// may not do that.
	Method string
	// Expiry is how long a presigned URL lives at least: 1 second to 7 days.
	// Default: the field's or the configuration's. Temporary credentials may end
	// it earlier.
	Expiry time.Duration
	// Window is how long presigned URLs of the object stay the same, so that
	// browsers and CDNs can cache what they lead to. It adds to Expiry, up to the
	// 7 days a signature may have. Default: the field's or the configuration's;
	// NoWindow: none. URLs for PUT have none.
	//
	// A field's URLs for GET with a window have storage tell browsers to keep the
	// file for as long (Cache-Control: private, max-age=…), unless the field's
	// Options declare a CacheControl, which then stands.
	Window time.Duration
	// Disposition makes browsers save the file (Attachment) or show it in the
	// page's place (Inline, which needs a Type that is safe to show: see
	// InlineType). Default: as the object was stored.
	Disposition Disposition
	// Name is the file name for Disposition. Default: the browser's choice, which
	// is the key's last segment.
	Name string
	// Type overrides the media type the object is answered with. Only a type that
	// no browser runs (see SafeServeType) is accepted. Default: as stored.
	Type string
	// VersionID names a version of a versioned bucket.
	VersionID string
	// Subject makes the URL one user's own: it is another one for every subject,
	// so that caches and logs tell them apart. It binds nobody: whoever holds the
	// URL may use it.
	Subject string
	// Internal makes the URL for other servers, at the endpoint that this process
	// uses, instead of the external one.
	Internal bool
}

// plain says whether a public bucket's own URL is what is asked for.
func (o URLOptions) plain() bool {
	return o.Method != http.MethodPut && o.Expiry == 0 && o.Disposition == "" && o.Type == "" && o.VersionID == "" && o.Subject == ""
}

// fault says what is wrong with the options, or "".
func (o URLOptions) fault() string {
	switch {
	case o.Method != "" && o.Method != http.MethodGet && o.Method != http.MethodHead && o.Method != http.MethodPut:
		return "URLs are made for GET, HEAD and PUT, not for " + o.Method
	case o.Expiry != 0 && (o.Expiry < time.Second || o.Expiry > maxURLExpiry):
		return "the expiry " + o.Expiry.String() + " does not lie between 1s and 168h"
	case o.Type != "" && (o.Type != bareType(o.Type) || o.Type != SafeServeType(o.Type)):
		return "a URL must not change the type to one that browsers run, or that is none, such as this"
	case o.Disposition == Inline && !InlineType(o.Type):
		return "a file is shown in a page's place only with a Type that is safe to show"
	case o.Disposition != "" && o.Disposition != Inline && o.Disposition != Attachment:
		return "the disposition is neither Inline nor Attachment"
	case o.Method == http.MethodPut && (o.Disposition != "" || o.Type != "" || o.VersionID != ""):
		return "a URL for PUT has no disposition, type or version"
	}
	return ""
}

// URL returns where a browser gets an object: a plain URL for a public bucket, a
// presigned one otherwise, at the external endpoint or the bucket's BaseURL where
// one is declared. It is computed and never asks storage; with rotating
// credentials, fetching those may block, and ctx bounds that. The object's
// existence is not checked.
//
// What has to be signed is signed, or refused: for a public bucket, options that
// a plain URL cannot have make a presigned one. ErrConfig for options that make
// no sense together, and for credentials that cannot sign.
func (b *Bucket) URL(ctx context.Context, key Key, options URLOptions) (string, error) {
	return b.url(ctx, key, options, urlDefaults{expiry: b.store.config.URLExpiry, window: b.store.config.URLWindow})
}

// URLs returns the URL of each key, in their order. On the first error it stops.
func (b *Bucket) URLs(ctx context.Context, keys []Key, options URLOptions) ([]string, error) {
	urls := make([]string, len(keys))
	for i, key := range keys {
		var err error
		if urls[i], err = b.URL(ctx, key, options); err != nil {
			return nil, err
		}
	}
	return urls, nil
}

// URLSigner signs the URLs of a CDN in front of a bucket.
type URLSigner interface {
	// SignURL returns raw with what lets its holder fetch it until expires. raw may
	// have a query. It is called at once for many URLs, and should not block.
	SignURL(ctx context.Context, raw string, expires time.Time) (string, error)
}

// urlDefaults are for options that are not given.
type urlDefaults struct {
	expiry, window time.Duration
	// keeps has browsers keep what they get for the window.
	keeps bool
}

func (b *Bucket) url(ctx context.Context, key Key, o URLOptions, defaults urlDefaults) (string, error) {
	if key.IsZero() {
		return "", errNoKey("url", b.name)
	}
	if why := o.fault(); why != "" {
		return "", b.urlError(key, why)
	}
	if b.public && o.plain() {
		return b.publicURL(ctx, key, o)
	}
	setDefault(&o.Method, http.MethodGet)
	setDefault(&o.Window, defaults.window)
	setDefault(&o.Expiry, defaults.expiry)
	if o.Method == http.MethodPut {
		o.Window = NoWindow
	}
	o.Expiry = (o.Expiry + time.Second - 1).Truncate(time.Second) // signatures know whole seconds, and the promise is "at least"
	life := lifeOf(key, b.store.config.Now(), o.Expiry, windowOf(o.Expiry, o.Window))
	if b.declared.Signer != nil && o.Method != http.MethodPut && !o.Internal {
		return b.signedByCDN(ctx, key, o, life)
	}
	life.keeps = defaults.keeps && life.window > 0 && o.Method == http.MethodGet
	return b.presigned(ctx, key, o, life)
}

func (b *Bucket) urlError(key Key, why string) error {
	return &Error{Kind: ErrConfig, Op: "url", Bucket: b.name, Key: key.String(), Detail: why}
}

// windowOf returns the window of an expiry: the one asked for, or a quarter of
// the expiry, at most an hour; never more than what signatures leave. 0: none.
func windowOf(expiry, asked time.Duration) time.Duration {
	if asked < 0 {
		return 0
	}
	if asked == 0 {
		asked = min(expiry/4, maxDefaultWindow)
	}
	return min(asked, maxURLExpiry-expiry).Truncate(time.Second)
}

// life is when a URL is signed and how long it lives.
type life struct {
	from    time.Time
	expires time.Duration
	window  time.Duration // for so long it is the same again; 0: not at all
	keeps   bool          // browsers are told to keep what they get for the window
}

// lifeOf rounds now down to the object's window, so that all instances of an app
// make the same URL in it. The life is longer by the window: even at its end,
// the promised expiry is left. Windows of objects do not end at the same moment:
// a page's URLs change one by one, not all at once.
func lifeOf(key Key, now time.Time, expiry, window time.Duration) life {
	if window <= 0 {
		return life{from: now.Truncate(time.Second), expires: expiry}
	}
	seconds := int64(window / time.Second)
	phase := int64(spread(key.s) % uint64(seconds))
	at := now.Unix()
	return life{from: time.Unix(at-(at+phase)%seconds, 0), expires: expiry + window, window: window}
}

// spread is FNV-1a: the same everywhere, as all instances have to agree.
func spread(s string) uint64 {
	sum := uint64(14695981039346656037)
	for i := range len(s) {
		sum = (sum ^ uint64(s[i])) * 1099511628211
	}
	return sum
}

// presigned signs a URL for storage itself, or finds it among those made before.
func (b *Bucket) presigned(ctx context.Context, key Key, o URLOptions, l life) (string, error) {
	s := b.store
	c, err := s.presigner.credentials(ctx)
	if err != nil {
		return "", s.mapError(ctx, b.at("url", key), err)
	}
	if !c.ends.IsZero() {
		if c.ends.Sub(s.config.Now()) < time.Second {
			return "", b.urlError(key, "the storage's temporary credentials have expired")
		}
		l.expires = min(l.expires, c.ends.Sub(l.from))
	}
	id := madeURL{bucket: b, key: key, options: o}
	if made, ok := s.urls.get(id, l, c.Credentials); ok {
		return made, nil
	}
	at, err := b.place(ctx, o)
	if err != nil {
		return "", s.mapError(ctx, b.at("url", key), err)
	}
	var room [8]sigv4.Param
	made := s.presigner.sign(c.Credentials, &sigv4.Request{
		Method: o.Method, Scheme: at.scheme, Host: at.host, Path: at.path + EscapeKeyV4(key.s),
		Query: s.overrides(o, l, room[:0]), Time: l.from, Expires: l.expires,
	})
	s.urls.put(id, l, c.Credentials, made)
	return made, nil
}

// overrides are the parameters that options add, sorted by name.
func (s *Store) overrides(o URLOptions, l life, to []sigv4.Param) []sigv4.Param {
	if l.keeps {
		// Without it, browsers guess by a file's age, and ask again for a new one.
		to = append(to, sigv4.Param{Name: "response-cache-control", Value: "private, max-age=" + strconv.FormatInt(int64(l.window/time.Second), 10)})
	}
	if o.Disposition != "" {
		if value := ContentDisposition(o.Disposition, ClientName(o.Name)); value != "" {
			to = append(to, sigv4.Param{Name: "response-content-disposition", Value: value})
		} else {
			to = append(to, sigv4.Param{Name: "response-content-disposition", Value: string(o.Disposition)})
		}
	}
	if o.Type != "" {
		to = append(to, sigv4.Param{Name: "response-content-type", Value: o.Type})
	}
	if o.VersionID != "" {
		to = append(to, sigv4.Param{Name: "versionId", Value: o.VersionID})
	}
	if o.Subject != "" {
		to = append(to, sigv4.Param{Name: subjectParam, Value: s.keys.pseudonym(o.Subject)})
	}
	return to
}

// signedByCDN has the bucket's own signer sign a URL below its BaseURL.
func (b *Bucket) signedByCDN(ctx context.Context, key Key, o URLOptions, l life) (string, error) {
	id := madeURL{bucket: b, key: key, options: o}
	if made, ok := b.store.urls.get(id, l, sigv4.Credentials{}); ok {
		return made, nil
	}
	raw, separator := b.declared.BaseURL+EscapePath(key.s), "?"
	var room [8]sigv4.Param
	for _, p := range b.store.overrides(o, l, room[:0]) {
		raw += separator + p.Name + "=" + escapeKey(p.Value, unreserved)
		separator = "&"
	}
	signed, err := b.declared.Signer.SignURL(ctx, raw, l.from.Add(l.expires))
	switch {
	case err != nil && ctx.Err() != nil:
		return "", b.store.mapError(ctx, b.at("url", key), err)
	case err == nil && (signed == raw || signed == ""):
		err = errors.New("it gave the URL back unsigned")
	}
	if err != nil {
		return "", &Error{Kind: ErrConfig, Op: "url", Bucket: b.name, Key: key.String(), Err: err, Advice: "see to the bucket's Signer"}
	}
	b.store.urls.put(id, l, sigv4.Credentials{}, signed)
	return signed, nil
}

// publicURL joins where the bucket is and the escaped key.
func (b *Bucket) publicURL(ctx context.Context, key Key, o URLOptions) (string, error) {
	path := EscapePath(key.s)
	if base := b.declared.BaseURL; base != "" && !o.Internal {
		return base + path, nil
	}
	at, err := b.place(ctx, o)
	if err != nil {
		return "", b.store.mapError(ctx, b.at("url", key), err)
	}
	var s strings.Builder
	s.Grow(len(at.scheme) + len("://") + len(at.host) + len(at.path) + len(path))
	s.WriteString(at.scheme)
	s.WriteString("://")
	s.WriteString(at.host)
	s.WriteString(at.path)
	s.WriteString(path)
	return s.String(), nil
}
