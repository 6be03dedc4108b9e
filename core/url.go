package core

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// URLOptions shape a URL. The zero value is the bucket's plain URL: public, or
// presigned for the configured time.
type URLOptions struct {
	// Expiry is how long a presigned URL lives: 1 second to 7 days. Default: the
	// field's or the configuration's.
	Expiry time.Duration
	// Download makes browsers save the file under Name instead of showing it.
	Download bool
	// Name is the file name for Download. Default: the browser's choice, which is
	// the key's last segment.
	Name string
	// VersionID names a version of a versioned bucket.
	VersionID string
}

// URL returns where a browser gets an object: a plain URL for a public bucket,
// a presigned one otherwise, at the external endpoint where one is configured.
// It is computed and never asks storage; with rotating credentials, fetching
// those may block, and ctx bounds that. The object's existence is not checked.
func (b *Bucket) URL(ctx context.Context, key Key, options URLOptions) (string, error) {
	if key.IsZero() {
		return "", errNoKey("url", b.name)
	}
	if b.public && !options.Download && options.VersionID == "" {
		return b.publicURL(key), nil
	}
	setDefault(&options.Expiry, b.store.config.URLExpiry)
	if options.Expiry < time.Second || options.Expiry > maxURLExpiry {
		return "", &Error{
			Kind: ErrConfig, Op: "url", Bucket: b.name, Key: key.String(),
			Detail: "the expiry " + options.Expiry.String() + " does not lie between 1s and 168h",
		}
	}
	query := url.Values{}
	if options.Download {
		query.Set("response-content-disposition", ContentDisposition(Attachment, ClientName(options.Name)))
	}
	if options.VersionID != "" {
		query.Set("versionId", options.VersionID)
	}
	signed, err := b.store.external.PresignedGetObject(ctx, b.name, key.String(), options.Expiry, query)
	if err != nil {
		return "", b.store.mapError(ctx, b.at("url", key), err)
	}
	return signed.String(), nil
}

// publicURL joins the endpoint, the bucket and the escaped key.
func (b *Bucket) publicURL(key Key) string {
	base := b.store.publicBase
	path := EscapePath(key.String())
	var s strings.Builder
	s.Grow(len(base) + len(b.name) + len(path) + 2)
	s.WriteString(base)
	s.WriteByte('/')
	s.WriteString(b.name)
	s.WriteByte('/')
	s.WriteString(path)
	return s.String()
}

// externalBase returns the scheme and host of public URLs, without the scheme's
// own port, as browsers and signatures have it.
func externalBase(c *minio.Client) string {
	u := c.EndpointURL()
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.Scheme + "://" + u.Host
}
