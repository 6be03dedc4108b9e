package s3test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Files in a folder of certificates, named as MinIO expects them.
const (
	certFile = "public.crt"
	keyFile  = "private.key"
	caFile   = "ca.pem"
)

// writeCertificates makes a certificate authority and a certificate by it for
// the loopback interface, and returns the path of the authority's.
func writeCertificates(dir string) (ca string, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "s3test authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "s3test server"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &caKey.PublicKey, caKey)
	if err != nil {
		return "", err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, caKey)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	ca = filepath.Join(dir, caFile)
	return ca, errors.Join(
		writePEM(ca, "CERTIFICATE", rootDER),
		writePEM(filepath.Join(dir, certFile), "CERTIFICATE", leafDER),
		writePEM(filepath.Join(dir, keyFile), "PRIVATE KEY", keyDER),
	)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// transport returns a transport of its own for a server with the certificates in
// certs, or for one without TLS where certs is empty. It neither asks for
// compression nor undoes it, so that bytes pass as they are.
func transport(certs string) (tr *http.Transport, scheme string, err error) {
	tr = &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1024,
	}
	if certs == "" {
		return tr, "http", nil
	}
	ca, err := os.ReadFile(filepath.Join(certs, caFile))
	if err != nil {
		return nil, "", err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, "", fmt.Errorf("no certificate in %s/%s", certs, caFile)
	}
	tr.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return tr, "https", nil
}

// tlsFront puts a TLS endpoint before a server that has none, for as long as the
// test lasts.
func tlsFront(t testing.TB, certs, addr string) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(certs, certFile), filepath.Join(certs, keyFile))
	if err != nil {
		t.Fatalf("s3test: load certificate: %v", err)
	}
	tr, scheme, _ := transport("")
	front := httptest.NewUnstartedServer(passThrough(scheme, addr, tr))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that distrust us, on purpose
	front.StartTLS()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		tr.CloseIdleConnections()
	})
	return strings.TrimPrefix(front.URL, "https://")
}
