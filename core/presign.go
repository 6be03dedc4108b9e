package core

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/internal/sigv4"
)

// presigner signs URLs and requests with the Store's credentials, whichever they are
// at the time.
type presigner struct {
	source  *credentials.Credentials
	context *credentials.CredContext
	signer  *sigv4.Signer
	// internal and external know where buckets are, and sign nothing that is used.
	internal, external *minio.Client
}

func newPresigner(c Config, client *minio.Client, source *credentials.Credentials) (*presigner, error) {
	p := &presigner{source: source, context: client.CredContext(), signer: sigv4.New(c.Region)}
	var err error
	if p.internal, err = locator(c.Endpoint, c.UseHTTPS, c); err != nil {
		return nil, err
	}
	p.external = p.internal
	if c.ExternalEndpoint != "" {
		p.external, err = locator(c.ExternalEndpoint, *c.ExternalUseHTTPS, c)
	}
	return p, err
}

// locator makes a client that is asked where a bucket is, and never sends
// anything.
func locator(endpoint string, secure bool, c Config) (*minio.Client, error) {
	return minio.New(endpoint, &minio.Options{
		Creds: credentials.NewStaticV4("nobody", "nothing", ""), Secure: secure, Region: c.Region, BucketLookup: c.Addressing.lookup(),
	})
}

// signing are credentials and when they end: the zero time for never.
type signing struct {
	sigv4.Credentials
	ends time.Time
}

// credentials returns those to sign a URL with now, as value does.
func (p *presigner) credentials(ctx context.Context) (signing, error) {
	v, err := p.value(ctx)
	switch {
	case err != nil:
		return signing{}, err
	case v.AccessKeyID == "" || v.SecretAccessKey == "" || v.SignerType.IsAnonymous() || v.SignerType.IsV2():
		// The URL would be unsigned, and nobody would notice until it is refused.
		return signing{}, &Error{Kind: ErrConfig, Op: "url", Detail: "the credentials cannot sign a URL: they are anonymous, or of signature version 2"}
	}
	return signing{sigv4.Credentials{AccessKey: v.AccessKeyID, SecretKey: v.SecretAccessKey, SessionToken: v.SessionToken}, v.Expiration}, nil
}

// sign makes one URL.
func (p *presigner) sign(c sigv4.Credentials, r *sigv4.Request) string {
	var room [1024]byte
	return string(p.signer.AppendPresigned(room[:0], c, r))
}

// Addressing is how URLs and requests name a bucket.
type Addressing string

const (
	// AddressingAuto is virtual-host style for the clouds that want it (AWS,
	// Google, Alibaba), path style for all others. The default.
	AddressingAuto Addressing = ""
	// AddressingPath puts the bucket into the path: https://s3.example.org/bucket/key.
	AddressingPath Addressing = "path"
	// AddressingVirtualHost puts it before the host: https://bucket.s3.example.org/key.
	AddressingVirtualHost Addressing = "virtual-host"
)

func (a Addressing) lookup() minio.BucketLookupType {
	switch a {
	case AddressingPath:
		return minio.BucketLookupPath
	case AddressingVirtualHost:
		return minio.BucketLookupDNS
	default:
		return minio.BucketLookupAuto
	}
}

// place is where a bucket's objects are: below its path, which ends in "/".
type place struct{ scheme, host, path string }

// place returns where the bucket is at the external or, if the options say so, the
// internal endpoint.
// minio-go knows: below the endpoint, or on a host of its own as with AWS.
func (b *Bucket) place(ctx context.Context, options URLOptions) (*place, error) {
	known, client := &b.outside, b.store.presigner.external
	if options.Internal {
		known, client = &b.inside, b.store.presigner.internal
	}
	if at := known.Load(); at != nil {
		return at, nil
	}
	u, err := client.Presign(ctx, http.MethodGet, b.name, "", time.Minute, nil)
	if err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, errors.New("the endpoint has no host")
	}
	at := &place{u.Scheme, u.Host, u.Path}
	known.Store(at)
	return at, nil
}
