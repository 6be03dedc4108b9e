package s3test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Server is a running S3 server. Its methods may be called concurrently, but
// for Kill, Stop and Restart. Make one with Start or StartOwn.
type Server struct {
	// Engine is the kind of server.
	Engine Engine
	// Endpoint is "127.0.0.1:port".
	Endpoint string
	// AccessKey, SecretKey and Region are what requests are signed with.
	AccessKey, SecretKey, Region string
	// PID is the id of the server's process.
	PID int
	// CAFile is the PEM file of the certificate authority a client must trust, or
	// empty where the server speaks plain HTTP.
	CAFile string

	certs   string
	starter starter
	dir     string
	addr    string // of the process, which is Endpoint but for a TLS front
	process *process
	own     testing.TB // nil for the shared server
}

// Options are what StartOwn takes. The zero value is a server like Start's.
type Options struct {
	// Engine overrides the environment's choice.
	Engine Engine
	// TLS makes the server speak HTTPS with a certificate of its own authority,
	// which Server.CAFile names. The embedded engine gets it from a proxy in this
	// process.
	TLS bool
}

// shared is the server of this test binary.
type shared struct {
	mu     sync.Mutex
	server *Server
	err    error
}

var binary shared

// Start returns the server of this test binary, and starts it at the first
// call. It lives until Main or Run stops it, or the test binary ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := binary.start()
	if err != nil {
		t.Fatalf("s3test: no S3 server: %v", err)
	}
	return s
}

func (b *shared) start() (*Server, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server == nil && b.err == nil {
		b.server, b.err = startShared()
	}
	return b.server, b.err
}

func (b *shared) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server != nil {
		b.server.process.stop()
		b.server, b.err = nil, errors.New("the tests are over")
	}
}

func startShared() (*Server, error) {
	s, err := newServer(Options{})
	if err != nil {
		return nil, err
	}
	if s.Engine == MinIO {
		if s.dir, err = os.MkdirTemp("", "s3test-"); err != nil {
			return nil, err
		}
	}
	return s, s.launch("", true)
}

// StartOwn starts a server for this test alone, which the test may stop, kill
// and restart. It keeps its data in a folder of the test and ends with it.
func StartOwn(t testing.TB, opts Options) *Server {
	t.Helper()
	s, err := newServer(opts)
	if err != nil {
		t.Fatalf("s3test: no S3 server: %v", err)
	}
	s.own, s.dir = t, t.TempDir()
	if opts.TLS {
		s.certs = t.TempDir()
		if s.CAFile, err = writeCertificates(s.certs); err != nil {
			t.Fatalf("s3test: make certificates: %v", err)
		}
	}
	if s.Engine == MinIO {
		// It reads its certificates itself.
		if s.starter, err = newStarter(s.Engine, s.certs); err != nil {
			t.Fatalf("s3test: no S3 server: %v", err)
		}
	}
	if err := s.launch("", false); err != nil {
		t.Fatalf("s3test: start: %v", err)
	}
	t.Cleanup(func() { s.process.kill() }) // its data goes with the test
	if opts.TLS && s.Engine == Embedded {
		s.Endpoint = tlsFront(t, s.certs, s.addr)
	}
	return s
}

func newServer(opts Options) (*Server, error) {
	engine := opts.Engine
	if engine == "" {
		var err error
		if engine, err = engineFromEnv(); err != nil {
			return nil, err
		}
	}
	st, err := newStarter(engine, "")
	if err != nil {
		return nil, err
	}
	return &Server{Engine: engine, AccessKey: accessKey, SecretKey: secretKey, Region: region, starter: st}, nil
}

// launch starts the process and returns when a signed request works.
func (s *Server) launch(addr string, removeDir bool) error {
	p, err := s.starter.start(s.dir, addr, removeDir)
	if err != nil {
		return err
	}
	s.process, s.PID, s.addr = p, p.pid, p.endpoint
	if s.Endpoint == "" {
		s.Endpoint = p.endpoint
	}
	if err := s.waitReady(); err != nil {
		p.kill()
		return fmt.Errorf("%s answers, but not to a signed request: %w", s.Engine, err)
	}
	return nil
}

func (s *Server) waitReady() error {
	certs := s.certs
	if s.Engine == Embedded {
		certs = "" // its own port speaks plain HTTP
	}
	tr, scheme, err := transport(certs)
	if err != nil {
		return err
	}
	defer tr.CloseIdleConnections()
	client, err := minio.New(s.addr, &minio.Options{
		Creds:  credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Region: s.Region, Secure: scheme == "https", Transport: tr, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return poll(ctx, func() error {
		_, err := client.ListBuckets(ctx)
		return err
	})
}

// URL returns the endpoint with its scheme.
func (s *Server) URL() string { return s.scheme() + "://" + s.Endpoint }

func (s *Server) scheme() string {
	if s.CAFile != "" {
		return "https"
	}
	return "http"
}

// Kill ends the server's process at once, as a crash would. Only for servers of
// StartOwn.
func (s *Server) Kill() {
	s.mustOwn("Kill")
	s.process.kill()
}

// Stop ends the server's process in good order. Only for servers of StartOwn.
func (s *Server) Stop() {
	s.mustOwn("Stop")
	s.process.stop()
}

// Restart starts the server again, on the same port and with the same data,
// stopping it first where it still runs; PID is a new one afterwards. Only for
// servers of StartOwn.
func (s *Server) Restart() {
	s.mustOwn("Restart")
	s.own.Helper()
	s.process.stop()
	if err := s.launch(s.addr, false); err != nil {
		s.own.Fatalf("s3test: restart on %s: %v", s.addr, err)
	}
}

func (s *Server) mustOwn(method string) {
	if s.own == nil {
		panic("s3test: " + method + " would take the server from under other tests: use StartOwn")
	}
}

// Client returns a client of the server, whose connections the test's end
// closes.
func (s *Server) Client(t testing.TB) *minio.Client {
	t.Helper()
	return s.client(t, 0)
}

func (s *Server) client(t testing.TB, maxRetries int) *minio.Client {
	t.Helper()
	tr, _, err := transport(s.certs)
	if err != nil {
		t.Fatalf("s3test: %v", err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	c, err := minio.New(s.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Region: s.Region, Secure: s.CAFile != "", Transport: tr, MaxRetries: maxRetries,
	})
	if err != nil {
		t.Fatalf("s3test: client of %s: %v", s.Endpoint, err)
	}
	return c
}

// randomName returns 12 characters that fit into bucket names and keys.
func randomName() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x", b)
}
