package cloudfront_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // what CloudFront signs with
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/cloudfront"
	"github.com/filefield/filefield/core"
)

// keys are made once: an RSA key takes a while.
type keys struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newKeys(t *testing.T) keys {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keys{r, e}
}

func encode(t *testing.T, kind string, der []byte, err error) core.Secret {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return core.Secret(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key any) core.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return encode(t, "PRIVATE KEY", der, err)
}

// signature decodes CloudFront's form of base64.
func signature(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "=", "~", "/").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestABucketsURLsAreSignedForItsDistribution(t *testing.T) {
	t.Parallel()
	k := newKeys(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		key    core.Secret
		verify func(digest, sum []byte) bool
		stable bool
	}{
		"RSA, PKCS#1": {encode(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa), nil), func(digest, sum []byte) bool {
			return rsa.VerifyPKCS1v15(&k.rsa.PublicKey, crypto.SHA1, digest, sum) == nil
		}, true},
		"RSA, PKCS#8": {pkcs8(t, k.rsa), func(digest, sum []byte) bool {
			return rsa.VerifyPKCS1v15(&k.rsa.PublicKey, crypto.SHA1, digest, sum) == nil
		}, true},
		"ECDSA": {pkcs8(t, k.ec), func(digest, sum []byte) bool { return ecdsa.VerifyASN1(&k.ec.PublicKey, digest, sum) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := func() *core.Bucket {
				signer, err := cloudfront.New(cloudfront.Config{KeyPairID: "KID", PrivateKey: c.key})
				if err != nil {
					t.Fatal(err)
				}
				store, err := core.Open(core.Config{Endpoint: "127.0.0.1:1", AccessKey: "a", SecretKey: "s", SigningKeys: []core.Secret{"a key for tests, long enough"}, Now: func() time.Time { return now }})
				if err != nil {
					t.Fatal(err)
				}
				return store.Declare(core.BucketConfig{Name: "media", BaseURL: "https://files.example.org", Signer: signer})
			}
			key, err := core.ParseKey("2026-03-01/ü b.png")
			if err != nil {
				t.Fatal(err)
			}
			b := open()
			link, err := b.URL(t.Context(), key, core.URLOptions{Expiry: time.Hour, Disposition: core.Attachment, Name: "b.png"})
			if err != nil {
				t.Fatal(err)
			}
			raw, _, _ := strings.Cut(link, "&Expires=")
			u, err := url.Parse(link)
			if err != nil || u.Path != "/2026-03-01/ü b.png" || u.Query().Get("Key-Pair-Id") != "KID" || u.Query().Get("response-content-disposition") == "" {
				t.Fatalf("the URL is %s, %v", link, err)
			}
			policy := fmt.Sprintf(`{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%s}}}]}`, raw, u.Query().Get("Expires"))
			digest := sha1.Sum([]byte(policy))
			if !c.verify(digest[:], signature(t, u.Query().Get("Signature"))) {
				t.Errorf("the signature of %s is not one of %s", link, policy)
			}
			for _, bucket := range map[string]*core.Bucket{"this instance": b, "another instance": open()} {
				again, err := bucket.URL(t.Context(), key, core.URLOptions{Expiry: time.Hour, Disposition: core.Attachment, Name: "b.png"})
				if err != nil || (again != link && (c.stable || bucket == b)) {
					t.Errorf("once more it is %s, %v; it was %s", again, err, link)
				}
			}
		})
	}
}

func TestCookiesOpenAResource(t *testing.T) {
	t.Parallel()
	signer, err := cloudfront.New(cloudfront.Config{KeyPairID: "KID", PrivateKey: pkcs8(t, newKeys(t).ec)})
	if err != nil {
		t.Fatal(err)
	}
	cookies, err := signer.Cookies("https://files.example.org/albums/42/*", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range cookies {
		names[c.Name] = c.Secure && c.HttpOnly && c.Value != ""
	}
	for _, name := range []string{"CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id"} {
		if !names[name] {
			t.Errorf("%s is missing, or open to scripts or plain HTTP: %v", name, cookies)
		}
	}
	if _, err := signer.Cookies("", time.Now()); !errors.Is(err, core.ErrConfig) {
		t.Errorf("cookies for nothing give %v", err)
	}
}

func TestFaultsAreReportedAtOnceAndWithoutTheKey(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]core.Secret{
		"no key": "", "no PEM": "secret", "a certificate": encode(t, "CERTIFICATE", []byte("secret"), nil), "nonsense": encode(t, "PRIVATE KEY", []byte("secret"), nil),
	} {
		_, err := cloudfront.New(cloudfront.Config{PrivateKey: key})
		if !errors.Is(err, core.ErrConfig) || !strings.Contains(err.Error(), "KeyPairID") || !strings.Contains(err.Error(), "PrivateKey") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the fault is %v", name, err)
		}
	}
}

func TestNoWayOfPrintingShowsThePrivateKey(t *testing.T) {
	t.Parallel()
	k := newKeys(t)
	der := func(key any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	scalar, err := k.ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key     any
		private *big.Int
	}{"RSA": {k.rsa, k.rsa.D}, "ECDSA": {k.ec, new(big.Int).SetBytes(scalar)}} {
		config := cloudfront.Config{KeyPairID: "KID", PrivateKey: pkcs8(t, c.key)}
		signer, err := cloudfront.New(config)
		if err != nil {
			t.Fatal(err)
		}
		text := base64.StdEncoding.EncodeToString(der(c.key))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%t"} {
			for what, value := range map[string]any{
				"a signer": signer, "its value": *signer, "a configuration": config, "a pointer to it": &config, "a struct that hides a signer": struct{ s *cloudfront.Signer }{signer},
			} {
				got := fmt.Sprintf(verb, value)
				if strings.Contains(got, text[40:64]) || strings.Contains(got, c.private.String()) || strings.Contains(strings.ToLower(got), c.private.Text(16)) {
					t.Errorf("%s: %s with %s shows the private key", name, what, verb)
				}
			}
		}
	}
}
