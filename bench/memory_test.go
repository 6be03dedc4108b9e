//go:build linux

package bench

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/internal/s3test"
)

const (
	uploads    = 64
	uploadSize = 32 << 20
	maxRSS     = 300 << 20

	downloads = 64
	// maxDownloadGrowth is how much more memory the server may take for all of them.
	maxDownloadGrowth = 16 << 20
)

// TestMemory sends many large files of unsaid length at once to a server of its
// own process, and holds the most memory that had against a limit.
func TestMemory(t *testing.T) {
	s3 := s3test.Start(t)
	bucket := s3.Bucket(t)
	server, url := startUploadServer(t, s3, bucket)
	idle := peakRSS(t, server.Process.Pid)

	began := time.Now()
	var keys [uploads]string
	var wait sync.WaitGroup
	for i := range uploads {
		wait.Go(func() {
			var err error
			if keys[i], err = send(t.Context(), url, i); err != nil {
				t.Errorf("upload %d: %v", i, err)
			}
		})
	}
	wait.Wait()
	took, peak := time.Since(began), peakRSS(t, server.Process.Pid)
	t.Logf("%d uploads of %d MiB at once: %.1f s, %.0f MiB/s, peak RSS %d MiB (%d MiB before)",
		uploads, uploadSize>>20, took.Seconds(), float64(uploads*uploadSize>>20)/took.Seconds(), peak>>20, idle>>20)
	if peak > maxRSS {
		t.Errorf("peak RSS is %d MiB, want at most %d", peak>>20, maxRSS>>20)
	}
	if t.Failed() {
		return
	}
	client := s3.Client(t)
	for i, key := range keys {
		verify(t, client, bucket, key, i)
	}
	if objects, open := s3test.Leftovers(t, s3, bucket); len(objects) != uploads || len(open) != 0 {
		t.Errorf("the bucket holds %d objects and unfinished uploads %q, want %d and none", len(objects), open, uploads)
	}
}

// TestMemoryOfDownloads has many clients begin to read a large file at once, so
// that all are served at the same time, then read it to its end, and holds the
// memory that took in the server against a limit.
func TestMemoryOfDownloads(t *testing.T) {
	s3 := s3test.Start(t)
	bucket := s3.Bucket(t)
	server, url := startUploadServer(t, s3, bucket)
	if _, err := s3.Client(t).PutObject(t.Context(), bucket, "large.bin", content(1), uploadSize, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	url = strings.TrimSuffix(url, "/upload") + "/files/large.bin"
	one, err := http.Get(url + "?first")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, one.Body)
	one.Body.Close()
	idle := peakRSS(t, server.Process.Pid)

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	var begun, wait sync.WaitGroup
	begun.Add(downloads)
	for i := range downloads {
		wait.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
			var resp *http.Response
			if err == nil {
				resp, err = client.Do(r)
			}
			var first int64
			if err == nil {
				defer resp.Body.Close()
				first, err = io.CopyN(io.Discard, resp.Body, 1<<20)
			}
			begun.Done()
			begun.Wait()
			if err != nil {
				t.Errorf("download %d: %v", i, err)
				return
			}
			rest, err := io.Copy(io.Discard, resp.Body)
			if err != nil || first+rest != uploadSize || resp.StatusCode != http.StatusOK {
				t.Errorf("download %d: %s, %d bytes, %v; want 200 and %d", i, resp.Status, first+rest, err, uploadSize)
			}
		})
	}
	wait.Wait()
	took, peak := time.Since(began), peakRSS(t, server.Process.Pid)
	t.Logf("%d downloads of %d MiB at once: %.1f s, %.0f MiB/s, peak RSS %d MiB (%d MiB before)",
		downloads, uploadSize>>20, took.Seconds(), float64(downloads*uploadSize>>20)/took.Seconds(), peak>>20, idle>>20)
	if peak-idle > maxDownloadGrowth {
		t.Errorf("the downloads took %d MiB, want at most %d", (peak-idle)>>20, maxDownloadGrowth>>20)
	}
}

func startUploadServer(t *testing.T, s3 *s3test.Server, bucket string) (*exec.Cmd, string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "uploadserver")
	if out, err := exec.Command("go", "build", "-o", program, "./uploadserver/nethttp").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "127.0.0.1:0", s3.Endpoint, bucket)
	cmd.Env = append(os.Environ(), "AK="+s3.AccessKey, "SK="+s3.SecretKey)
	line := startProcess(t, cmd)
	_, url, found := strings.Cut(line, " listens on ")
	if !found {
		t.Fatalf("uploadserver said %q, want where it listens", line)
	}
	return cmd, url + "/upload"
}

// content is the file of the upload i: random bytes, made while they are sent.
func content(i int) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(i), 1}), uploadSize)
}

// send uploads the file i in a chunked body and returns its key.
func send(ctx context.Context, url string, i int) (string, error) {
	reader, writer := io.Pipe()
	m := multipart.NewWriter(writer)
	go func() {
		w, err := m.CreateFormFile("file", fmt.Sprintf("%d.bin", i))
		if err == nil {
			_, err = io.CopyBuffer(w, content(i), make([]byte, 64<<10))
		}
		if err == nil {
			err = m.Close()
		}
		writer.CloseWithError(err)
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, reader)
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("answer %d %s (%v), want 201", resp.StatusCode, body, err) //nolint:errorlint // it may be nil
	}
	var stored struct {
		Key  string
		Size int64
	}
	if err := json.Unmarshal(body, &stored); err != nil || stored.Size != uploadSize {
		return "", fmt.Errorf("answer %s (%v), want a size of %d", body, err, uploadSize) //nolint:errorlint // it may be nil
	}
	return stored.Key, nil
}

// verify reads an object back.
func verify(t *testing.T, client *minio.Client, bucket, key string, i int) {
	t.Helper()
	got, want := sha256.New(), sha256.New()
	o, err := client.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if err == nil {
		_, err = io.Copy(got, o)
		o.Close()
	}
	if err != nil {
		t.Errorf("read %s: %v", key, err)
		return
	}
	io.Copy(want, content(i))
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("object %s of upload %d differs from what was sent", key, i)
	}
}

// peakRSS returns the most memory a process has had resident, in bytes.
func peakRSS(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		t.Fatalf("no VmHWM in /proc/%d/status", pid)
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
