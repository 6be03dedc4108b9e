package embeds3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/filefield/filefield/embeds3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// There is one engine per process, so none of these tests is parallel.

func start(t *testing.T, cfg embeds3.Config) *embeds3.Server {
	t.Helper()
	s, err := embeds3.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Start(%v): %v, want no error", cfg, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v, want no error", err)
		}
	})
	return s
}

func client(t *testing.T, s *embeds3.Server) *minio.Client {
	t.Helper()
	tr, err := minio.DefaultTransport(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	c, err := minio.New(s.Endpoint(), &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey(), s.SecretKey(), ""), Region: s.Region(), Transport: tr, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t *testing.T, c *minio.Client, bucket, key, content string, opts minio.PutObjectOptions) minio.UploadInfo {
	t.Helper()
	info, err := c.PutObject(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)), opts)
	if err != nil {
		t.Fatalf("put %s/%s: %v", bucket, key, err)
	}
	return info
}

func get(t *testing.T, c *minio.Client, bucket, key string, opts minio.GetObjectOptions) string {
	t.Helper()
	o, err := c.GetObject(t.Context(), bucket, key, opts)
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

func TestTemporaryFolderGoesWithTheServer(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*embeds3.Server, context.CancelFunc)
	}{
		{"when it is closed", func(s *embeds3.Server, _ context.CancelFunc) { s.Close() }},
		{"when its context ends", func(s *embeds3.Server, cancel context.CancelFunc) { cancel(); <-s.Done() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := embeds3.Start(ctx, embeds3.Config{Buckets: []string{"one"}})
			if err != nil {
				t.Fatal(err)
			}
			put(t, client(t, s), "one", "a/b", "content", minio.PutObjectOptions{})
			if entries, _ := os.ReadDir(tmp); len(entries) != 1 {
				t.Errorf("while it runs, there are %d temporary folders, want 1", len(entries))
			}
			tt.end(s, cancel)
			if entries, _ := os.ReadDir(tmp); len(entries) != 0 {
				t.Errorf("after its end, %v is left, want nothing", entries)
			}
			if c, err := net.DialTimeout("tcp", s.Endpoint(), time.Second); err == nil {
				c.Close()
				t.Errorf("after its end, %s accepts a connection, want it refused", s.Endpoint())
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close after the end: %v, want no error", err)
			}
		})
	}
}

func TestCloseIsQuickBesideIdleConnections(t *testing.T) {
	s := start(t, embeds3.Config{Buckets: []string{"one"}})
	put(t, client(t, s), "one", "k", "x", minio.PutObjectOptions{}) // the connection stays open
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v, want no error", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %v, want less than 3 s", took)
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	for _, metadata := range []string{"extended attributes, where there are any", "sidecar files"} {
		t.Run("with metadata in "+metadata, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "folder")
			if metadata == "sidecar files" {
				if err := os.MkdirAll(filepath.Join(dir, "metadata"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			opts := minio.PutObjectOptions{ContentType: "text/x-test", UserMetadata: map[string]string{"Name": "ü"}, UserTags: map[string]string{"state": "pending"}}

			s := start(t, embeds3.Config{Dir: dir, Buckets: []string{"kept"}})
			first := s.SecretKey()
			put(t, client(t, s), "kept", "a/b c", "content", opts)
			s.Close()

			s = start(t, embeds3.Config{Dir: dir, Buckets: []string{"kept"}})
			if s.SecretKey() == first {
				t.Error("the secret is the same after a restart, want a new random one")
			}
			c := client(t, s)
			if got := get(t, c, "kept", "a/b c", minio.GetObjectOptions{}); got != "content" {
				t.Errorf("content is %q, want %q", got, "content")
			}
			info, err := c.StatObject(t.Context(), "kept", "a/b c", minio.StatObjectOptions{})
			if err != nil || info.ContentType != "text/x-test" || info.UserMetadata["Name"] != "ü" {
				t.Errorf("stat is type %q, metadata %v, error %v; want what was stored", info.ContentType, info.UserMetadata, err)
			}
			// The account's name has stayed, so the bucket is still one's own.
			if err := c.MakeBucket(t.Context(), "kept", minio.MakeBucketOptions{}); minio.ToErrorResponse(err).Code != "BucketAlreadyOwnedByYou" {
				t.Errorf("making the bucket again: %v, want BucketAlreadyOwnedByYou", err)
			}
		})
	}
}

func TestVersionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embeds3.Config{Dir: dir, Buckets: []string{"versioned"}})
	c := client(t, s)
	if err := c.EnableVersioning(t.Context(), "versioned"); err != nil {
		t.Fatal(err)
	}
	old := put(t, c, "versioned", "k", "old", minio.PutObjectOptions{})
	put(t, c, "versioned", "k", "new", minio.PutObjectOptions{})
	s.Close()

	c = client(t, start(t, embeds3.Config{Dir: dir}))
	if got := get(t, c, "versioned", "k", minio.GetObjectOptions{VersionID: old.VersionID}); got != "old" {
		t.Errorf("the earlier version is %q, want %q", got, "old")
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	for _, tt := range []struct {
		name string
		ctx  context.Context
		cfg  embeds3.Config
		want string
	}{
		{"a port in use, and says what to do", t.Context(), embeds3.Config{Addr: taken.Addr().String()}, "port 0 picks a free one"},
		{"a folder it cannot write to", t.Context(), embeds3.Config{Dir: filepath.Join(file, "sub")}, "choose a folder this user may write to"},
		{"an address others can reach", t.Context(), embeds3.Config{Addr: "0.0.0.0:0"}, "AllowRemote"},
		{"an address without a host", t.Context(), embeds3.Config{Addr: ":0"}, "AllowRemote"},
		{"an address that is none", t.Context(), embeds3.Config{Addr: "127.0.0.1"}, `not "host:port"`},
		{"a port that is no number", t.Context(), embeds3.Config{Addr: "127.0.0.1:http"}, "must be a number"},
		{"a bucket name that climbs", t.Context(), embeds3.Config{Buckets: []string{"../x"}}, "not a bucket name"},
		{"a short secret", t.Context(), embeds3.Config{SecretKey: "short"}, "at least 8"},
		{"a context that has ended", ended, embeds3.Config{}, "context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			s, err := embeds3.Start(tt.ctx, tt.cfg)
			if err == nil {
				s.Close()
				t.Fatal("Start succeeded, want an error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %q, want it to contain %q", err, tt.want)
			}
			if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
				t.Errorf("%v is left in the temporary folder, want nothing", left)
			}
		})
	}
	start(t, embeds3.Config{}) // a failed start does not count as running
}

func TestSecondStartIsRefusedWhileOneRuns(t *testing.T) {
	s := start(t, embeds3.Config{})
	if _, err := embeds3.Start(t.Context(), embeds3.Config{}); !errors.Is(err, embeds3.ErrRunning) {
		t.Errorf("second Start: %v, want ErrRunning", err)
	}
	if _, err := client(t, s).ListBuckets(t.Context()); err != nil {
		t.Errorf("the first engine answers %v, want no error", err)
	}
	s.Close()
	start(t, embeds3.Config{})
}

func TestAllowRemotePermitsEveryAddress(t *testing.T) {
	// Another loopback address stands for a remote one: the check is on the text.
	if s := start(t, embeds3.Config{Addr: "127.0.0.2:0", AllowRemote: true}); !strings.HasPrefix(s.Endpoint(), "127.0.0.2:") {
		t.Errorf("endpoint is %s, want 127.0.0.2", s.Endpoint())
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	const secret = "do-not-print-me"
	cfg := embeds3.Config{SecretKey: secret}
	s := start(t, cfg)
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "server", s, "config", cfg)
	printed := map[string]string{"slog": logged.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%t"} {
		printed[verb] = fmt.Sprintf(verb+" "+verb+" "+verb, s, cfg, &cfg)
	}
	for name, got := range printed {
		if strings.Contains(got, secret) || strings.Contains(got, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s prints %q, want it without the secret", name, got)
		}
	}
	if s.SecretKey() != secret {
		t.Errorf("SecretKey() = %q, want %q", s.SecretKey(), secret)
	}
}

// An app must not notice that a server runs inside it.
func TestTheProcessIsLeftAlone(t *testing.T) {
	stdout, stderr, cwd := os.Stdout, os.Stderr, t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout, os.Stderr = w, w
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	t.Chdir(cwd)

	s := start(t, embeds3.Config{Buckets: []string{"one"}})
	c := client(t, s)
	put(t, c, "one", "k", "x", minio.PutObjectOptions{})
	during, _ := os.Getwd()
	t.Chdir(t.TempDir()) // and the app may go where it likes
	if got := get(t, c, "one", "k", minio.GetObjectOptions{}); got != "x" {
		t.Errorf("after a change of the working directory, content is %q, want %q", got, "x")
	}
	copyObject(t, c, minio.CopyDestOptions{Bucket: "one", Object: "copy"}, minio.CopySrcOptions{Bucket: "one", Object: "k"})
	abortedUpload(t, c)
	s.Close()

	os.Stdout, os.Stderr = stdout, stderr
	w.Close()
	if printed, _ := io.ReadAll(r); len(printed) != 0 {
		t.Errorf("it printed %q, want nothing", printed)
	}
	if during != cwd {
		t.Errorf("while it ran, the working directory was %q, want %q", during, cwd)
	}
	if entries, _ := os.ReadDir(cwd); len(entries) != 0 {
		t.Errorf("the working directory has %v, want nothing", entries)
	}
}

// abortedUpload breaks off in the middle of a body.
func abortedUpload(t *testing.T, c *minio.Client) {
	t.Helper()
	half := io.MultiReader(bytes.NewReader(make([]byte, 2<<20)), iotest.ErrReader(errors.New("broken off")))
	_, err := c.PutObject(t.Context(), "one", "broken", half, 4<<20, minio.PutObjectOptions{})
	if err == nil {
		t.Error("half an upload succeeded, want an error")
	}
	if _, err := c.StatObject(t.Context(), "one", "broken", minio.StatObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Errorf("after half an upload, stat is %v, want NoSuchKey", err)
	}
}
