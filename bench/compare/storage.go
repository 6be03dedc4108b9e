//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/bench/peers/serve"
	"github.com/filefield/filefield/bench/sink"
	"github.com/filefield/filefield/internal/s3test"
)

// engine is what plays the storage.
type engine struct {
	name    string // sink, minio or embedded
	program string
	certs   string // folder of the certificate, or empty for plain HTTP
	ca      string // file of the authority
}

// newEngine finds or builds the engine's program, and makes the certificates in
// dir. The sink is in dir already.
func newEngine(name, dir string, withTLS bool) (engine, error) {
	e := engine{name: name}
	var err error
	switch name {
	case "sink":
		e.program = filepath.Join(dir, "sink")
	case "minio":
		e.program, err = s3test.Program(s3test.MinIO)
	case "embedded":
		if withTLS {
			return e, errors.New("the embedded engine speaks no TLS: leave --tls out, or take --engine sink or minio")
		}
		e.program, err = s3test.Program(s3test.Embedded)
	default:
		return e, fmt.Errorf("engine %q: there are sink, minio and embedded", name)
	}
	if err != nil || !withTLS {
		return e, err
	}
	e.certs = filepath.Join(dir, "certificates")
	if err := os.Mkdir(e.certs, 0o700); err != nil {
		return e, err
	}
	e.ca, err = s3test.WriteCertificates(e.certs)
	return e, err
}

// storage is where the servers of one run put files.
type storage struct {
	serve.Storage

	process *process
	counts  bool // it is a sink
	client  *http.Client
}

const (
	accessKey = "bench-access"
	secretKey = "bench-secret-0123456789"
)

// start runs the engine with nothing in it but a bucket. Its data lies in dir.
func (e engine) start(ctx context.Context, dir string) (storage, error) {
	cmd, where, err := e.command(dir)
	if err != nil {
		return storage{}, err
	}
	p, err := start(ctx, cmd, where)
	if err != nil {
		return storage{}, err
	}
	s := storage{
		Storage: serve.Storage{Endpoint: p.host(), Bucket: "bench", AccessKey: accessKey, SecretKey: secretKey, CAFile: e.ca},
		process: p, counts: e.name == "sink",
	}
	if err := s.makeBucket(ctx); err != nil {
		s.stop()
		return storage{}, fmt.Errorf("%s: %w: %s", e.name, err, p.stderr.String())
	}
	return s, nil
}

// command is what runs the engine.
func (e engine) command(dir string) (*exec.Cmd, listening, error) {
	switch e.name {
	case "sink":
		var args []string
		if e.certs != "" {
			args = []string{"-tls", e.certs}
		}
		return exec.Command(e.program, args...), listening{find: saysURL}, nil
	case "embedded":
		cmd := exec.Command(e.program, "-dir", dir)
		cmd.Env = append(os.Environ(), "S3_ACCESS_KEY="+accessKey, "S3_SECRET_KEY="+secretKey)
		return cmd, listening{find: saysEndpoint}, nil
	}
	// MinIO does not say a port that it chose: it is told one.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, listening{}, err
	}
	defer listener.Close()
	address, scheme := listener.Addr().String(), "http://"
	args := []string{"server", filepath.Join(dir, "data"), "--address", address, "--console-address", "127.0.0.1:0"}
	if e.certs != "" {
		args, scheme = append(args, "--certs-dir", e.certs), "https://"
	}
	cmd := exec.Command(e.program, args...)
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey, "MINIO_BROWSER=off",
		"MINIO_UPDATE=off", "MINIO_CI_CD=1", "MINIO_API_REQUESTS_MAX=2048", "HOME="+dir)
	return cmd, listening{known: scheme + address}, nil
}

// saysEndpoint reads the line of JSON that the embedded engine prints.
func saysEndpoint(line string) string {
	var ready struct {
		Endpoint string `json:"endpoint"`
	}
	if json.Unmarshal([]byte(line), &ready) != nil || ready.Endpoint == "" {
		return ""
	}
	return "http://" + ready.Endpoint
}

// makeBucket tries until the engine answers.
func (s *storage) makeBucket(ctx context.Context) error {
	transport, err := s.Transport()
	if err != nil {
		return err
	}
	s.client = &http.Client{Transport: transport}
	client, err := minio.New(s.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1",
		Secure: s.CAFile != "", Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := client.MakeBucket(ctx, s.Bucket, minio.MakeBucketOptions{})
		if err == nil || minio.ToErrorResponse(err).Code == minio.BucketAlreadyOwnedByYou {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.process.ended:
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return err
		}
	}
}

func (s *storage) stop() {
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	s.process.stop()
}

// used returns what the storage has used and how many requests it has had, which
// is 0 where it does not count them.
func (s *storage) used(ctx context.Context) (usage, int64, error) {
	used, err := s.process.used()
	if err != nil || !s.counts {
		return used, 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.process.url+sink.RequestsPath, http.NoBody)
	if err != nil {
		return used, 0, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return used, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return used, 0, err
	}
	requests, err := strconv.ParseInt(string(body), 10, 64)
	return used, requests, err
}
