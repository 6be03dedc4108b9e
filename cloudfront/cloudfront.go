package cloudfront

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/cloudfront/sign"

	"github.com/filefield/filefield/core"
)

// Config is one key of a trusted key group. Both fields are required.
type Config struct {
	// KeyPairID is the public key's ID at CloudFront.
	KeyPairID string
	// PrivateKey is the private key in PEM: RSA of 2048 bits, or ECDSA P-256. An RSA
	// key gives the same URL for the same object on every instance of an app; an
	// ECDSA key signs faster, and another URL each time, so that each instance has
	// its own.
	PrivateKey core.Secret
}

// Signer signs for the distributions that trust its key. It is a core.URLSigner.
// Safe for concurrent use.
type Signer struct {
	id   string
	key  crypto.Signer
	urls *sign.URLSigner
}

var _ core.URLSigner = (*Signer)(nil)

// New returns a Signer. It uses no network. All faults are reported at once, as
// one error of kind core.ErrConfig, which does not hold the key.
func New(config Config) (*Signer, error) {
	var faults []error
	if config.KeyPairID == "" {
		faults = append(faults, errors.New("KeyPairID is missing: it is the public key's ID at CloudFront"))
	}
	key, err := parseKey(string(config.PrivateKey))
	if err != nil {
		faults = append(faults, fmt.Errorf("PrivateKey: %w", err))
	}
	if len(faults) > 0 {
		return nil, &core.Error{Kind: core.ErrConfig, Op: "cloudfront signer", Err: errors.Join(faults...)}
	}
	return &Signer{id: config.KeyPairID, key: key, urls: sign.NewURLSigner(config.KeyPairID, key)}, nil
}

// parseKey reads the forms that OpenSSL writes.
func parseKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not in PEM form")
	}
	var key crypto.Signer
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = sign.LoadPEMPrivKey(strings.NewReader(text))
	case "PRIVATE KEY":
		key, err = sign.LoadPEMPrivKeyPKCS8AsSigner(strings.NewReader(text))
	default:
		return nil, fmt.Errorf("a %q is no private key in PKCS#1 or PKCS#8", block.Type)
	}
	if err != nil {
		return nil, errors.New("not a private key that can be read") // what it says might show the key
	}
	return key, nil
}

// SignURL returns raw for use until expires, with a canned policy. It blocks on
// nothing; an RSA signature takes about a millisecond, which the Store spends
// once for each object and window.
func (s *Signer) SignURL(_ context.Context, raw string, expires time.Time) (string, error) {
	return s.urls.Sign(raw, expires)
}

// Cookies returns the cookies that open a resource until expires: a URL in which
// "*" stands for anything, as in "https://files.example.org/albums/42/*". They
// are for the resource's host, Secure, HttpOnly and SameSite=Lax; set Domain and
// Path, and another SameSite where other sites embed the files, before they are
// sent.
func (s *Signer) Cookies(resource string, expires time.Time) ([]*http.Cookie, error) {
	signature, policy, err := sign.NewCannedPolicy(resource, expires).Sign(s.key)
	if err != nil {
		return nil, &core.Error{Kind: core.ErrConfig, Op: "sign cookies", Err: err}
	}
	cookie := func(name, value string) *http.Cookie {
		return &http.Cookie{Name: "CloudFront-" + name, Value: value, Expires: expires, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	}
	return []*http.Cookie{cookie("Policy", string(policy)), cookie("Signature", string(signature)), cookie("Key-Pair-Id", s.id)}, nil
}
