package s3test

import (
	"os"
	"path/filepath"
)

// Program returns the path of the engine's program, and builds it where that has
// not been done yet, for a benchmark that runs the engine itself.
func Program(e Engine) (string, error) {
	if e != MinIO {
		st, err := newEmbedded()
		if err != nil {
			return "", err
		}
		return st.(embedded).program, nil
	}
	if program := os.Getenv(minioVar); program != "" {
		return program, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	return buildMinIO(filepath.Join(root, "internal", "tools", "minio"))
}

// WriteCertificates makes a certificate authority and a certificate by it for the
// loopback interface. Into the folder dir it writes public.crt and private.key,
// which are the server's and valid for a day, and ca.pem, whose path it returns.
func WriteCertificates(dir string) (ca string, err error) { return writeCertificates(dir) }
