package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"

	"github.com/minio/minio-go/v7"
)

// Idle connections to the storage that a server keeps, as core does. minio-go
// keeps 16 and connects again and again above that, so what is measured would be
// the pool's size and not the way.
const (
	idlePerHost = 64
	idleInAll   = 4 * idlePerHost
)

// Transport returns minio-go's default transport with the pool of idle connections
// that every server here has, and with trust in CAFile.
func (s Storage) Transport() (*http.Transport, error) {
	transport, err := minio.DefaultTransport(s.CAFile != "")
	if err != nil {
		return nil, err
	}
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = idleInAll, idlePerHost
	if s.CAFile == "" {
		return transport, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", s.CAFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// FilePart returns the part "file" of a form, which is to be read before another.
func FilePart(r *http.Request) (*multipart.Part, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, fmt.Errorf("find the part file: %w", err)
		}
		if part.FormName() == "file" {
			return part, nil
		}
	}
}
