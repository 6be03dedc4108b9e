package s3test

import (
	"fmt"
	"os"
)

// Engine names a kind of S3 server.
type Engine string

// The engines.
const (
	// Embedded is the engine of the module embeds3. It starts in milliseconds.
	Embedded Engine = "embedded"
	// MinIO is MinIO's server. It starts in about a second, and knows lifecycle
	// rules and encryption, which Embedded does not.
	MinIO Engine = "minio"
)

const (
	// engineVar chooses the engine.
	engineVar = "FILEFIELD_TEST_ENGINE"
	// minioVar names a MinIO program to run instead of building one.
	minioVar = "FILEFIELD_TEST_MINIO"
)

const (
	region    = "us-east-1"
	accessKey = "s3test-access"
	secretKey = "s3test-secret-0123456789"
)

// engineFromEnv returns the engine the environment asks for.
func engineFromEnv() (Engine, error) {
	switch e := Engine(os.Getenv(engineVar)); e {
	case "":
		return Embedded, nil
	case Embedded, MinIO:
		return e, nil
	default:
		return "", fmt.Errorf("%s is %q; it may be %q or %q", engineVar, e, Embedded, MinIO)
	}
}

// starter starts one kind of server in dir. An empty addr means a free loopback
// port; removeDir makes the process, not this one, remove dir at its end, since
// this one may be killed.
type starter interface {
	start(dir, addr string, removeDir bool) (*process, error)
}

// newStarter builds the engine's program where that has not been done yet.
func newStarter(e Engine, certs string) (starter, error) {
	if e == MinIO {
		return newMinIO(certs)
	}
	return newEmbedded()
}
