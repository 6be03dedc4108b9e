package core

import (
	"context"
	"net/url"
	"slices"
)

// Origins returns the origins of storage, as "https://media.example.org", that a page
// has to allow in its Content-Security-Policy to show the field's files (img-src,
// media-src) and to send files straight to its bucket (connect-src, form-action): that
// of its URLs, which may be a CDN's, and then that of the bucket, where it is another.
// Never put them into script-src. It asks storage nothing. ErrConfig for a faulty
// declaration; ErrCredentials where there is nothing to sign with.
func (f *Field) Origins(ctx context.Context) ([]string, error) {
	if f.fault != nil {
		return nil, f.fault
	}
	shown, err := f.URL(ctx, Key{s: "any"}, URLOptions{})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(shown)
	if err != nil {
		return nil, f.bucket.urlError(Key{}, "its URL cannot be parsed: "+err.Error())
	}
	at, err := f.bucket.place(ctx, URLOptions{})
	if err != nil {
		return nil, f.store.mapError(ctx, f.bucket.at("origins", Key{}), err)
	}
	return slices.Compact([]string{u.Scheme + "://" + u.Host, at.scheme + "://" + at.host}), nil
}
