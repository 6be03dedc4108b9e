package s3test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

func TestOwnServerComesBackWithItsData(t *testing.T) {
	t.Parallel()
	s := StartOwn(t, Options{})
	if shared := Start(t); shared.PID == s.PID || shared.Endpoint == s.Endpoint {
		t.Fatalf("own server has process %d at %s, as has the shared one", s.PID, s.Endpoint)
	}
	c := s.client(t, 1)
	const bucket = "lasting"
	if err := c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, c, bucket, "k", "survives")

	for name, stop := range map[string]func(){"stop": s.Stop, "kill": s.Kill} {
		endpoint, pid := s.Endpoint, s.PID
		stop()
		if _, err := net.DialTimeout("tcp", endpoint, time.Second); err == nil {
			t.Errorf("after %s, %s accepts a connection, want it refused", name, endpoint)
		}
		s.Restart()
		if s.Endpoint != endpoint || s.PID == pid {
			t.Errorf("after %s and restart, process is %d at %s; want another process than %d at %s", name, s.PID, s.Endpoint, pid, endpoint)
		}
		if got := get(t, c, bucket, "k"); got != "survives" {
			t.Errorf("after %s and restart, content is %q, want %q", name, got, "survives")
		}
	}
}

func TestOwnServerWithTLS(t *testing.T) {
	t.Parallel()
	s := StartOwn(t, Options{TLS: true})
	if s.URL() != "https://"+s.Endpoint {
		t.Errorf("URL is %q, want https://%s", s.URL(), s.Endpoint)
	}
	c, bucket := s.Client(t), s.Bucket(t)
	put(t, c, bucket, "k", "over TLS")
	if got := get(t, c, bucket, "k"); got != "over TLS" {
		t.Errorf("content is %q, want %q", got, "over TLS")
	}
	if s.Engine == MinIO {
		sse := encrypt.DefaultPBKDF([]byte("password"), []byte(bucket+"c"))
		if _, err := c.PutObject(t.Context(), bucket, "c", http.NoBody, 0, minio.PutObjectOptions{ServerSideEncryption: sse}); err != nil {
			t.Errorf("put with a key of the client: %v, want no error", err)
		}
		if _, err := c.PutObject(t.Context(), bucket, "s", http.NoBody, 0, minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()}); err != nil {
			t.Errorf("put with a key of the server: %v, want no error", err)
		}
	}

	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	for _, tt := range []struct {
		name    string
		roots   *x509.CertPool
		wantErr bool
	}{
		{"a client with the authority's certificate trusts it", pool, false},
		{"a client without does not", x509.NewCertPool(), true},
	} {
		conn, err := tls.Dial("tcp", s.Endpoint, &tls.Config{RootCAs: tt.roots})
		if (err != nil) != tt.wantErr {
			t.Errorf("%s: error is %v, want one: %v", tt.name, err, tt.wantErr)
		}
		if err == nil {
			conn.Close()
		}
	}
	rec := s.Recorder(t)
	if _, err := clientOf(t, s, rec.Endpoint()).ListBuckets(t.Context()); err != nil || rec.Count("") != 1 {
		t.Errorf("through a recorder: %v and %d requests, want no error and 1", err, rec.Count(""))
	}
}

func TestServerEndsWhenItsInputEnds(t *testing.T) {
	t.Parallel()
	s := StartOwn(t, Options{})
	began := time.Now()
	s.process.stdin.Close() // what the kernel does when the test binary dies
	s.process.cmd.Wait()
	if took := time.Since(began); took > stopTimeout {
		t.Errorf("the server took %v to end, want less than %v", took, stopTimeout)
	}
	if _, err := net.DialTimeout("tcp", s.Endpoint, time.Second); err == nil {
		t.Errorf("%s still accepts a connection, want it refused", s.Endpoint)
	}
}

func TestBlackHoleAcceptsAndNeverAnswers(t *testing.T) {
	t.Parallel()
	conn, err := net.Dial("tcp", BlackHole(t))
	if err != nil {
		t.Fatalf("dial: %v, want a connection", err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatalf("write: %v, want no error", err)
	}
	conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := conn.Read(make([]byte, 1))
	var ne net.Error
	if ok := errors.As(err, &ne); n != 0 || !ok || !ne.Timeout() {
		t.Errorf("read %d bytes, error %v; want none and a timeout", n, err)
	}
}

func get(t *testing.T, c *minio.Client, bucket, key string) string {
	t.Helper()
	o, err := c.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatalf("get %s/%s: %v", bucket, key, err)
	}
	defer o.Close()
	b, err := io.ReadAll(o)
	if err != nil {
		t.Fatalf("read %s/%s: %v", bucket, key, err)
	}
	return string(b)
}
