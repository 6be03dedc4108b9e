package core_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// operations is every kind of request the Store makes, against one field.
func operations(t *testing.T, field *core.Field) map[string]func() error {
	key := mustKey(t, "some/key.txt")
	b := field.Bucket()
	return map[string]func() error{
		"save a small file": func() error {
			_, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("content"), Name: "a.txt"})
			return err
		},
		"save a long file": func() error {
			_, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(random(1, 6<<20)), Name: "a.bin"})
			return err
		},
		"open":   func() error { _, err := b.Open(t.Context(), key, core.OpenOptions{}); return err },
		"stat":   func() error { _, err := b.Stat(t.Context(), key); return err },
		"exists": func() error { _, err := b.Exists(t.Context(), key); return err },
		"delete": func() error { return b.Delete(t.Context(), key) },
		"list": func() error {
			for _, err := range b.Walk(t.Context(), "") {
				return err
			}
			return nil
		},
		"copy":  func() error { _, err := b.Copy(t.Context(), key, b, mustKey(t, "x"), core.Replace); return err },
		"check": func() error { return field.Store().Check(t.Context()).Err() },
	}
}

func TestO7WhatIsWrongWithStorageIsSaid(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	down := s3test.StartOwn(t, s3test.Options{})
	down.Kill()
	fast := func(c *core.Config) { c.Timeout = 500 * time.Millisecond; c.FinishTimeout = time.Second }
	cases := []struct {
		name  string
		store *core.Store
		kind  core.Kind
		not   map[string]bool // operations that cannot tell
	}{
		{"a server that is down", openStoreOn(t, s, down.Endpoint, fast), core.ErrUnavailable, nil},
		{"a server that accepts and never answers", openStoreOn(t, s, s3test.BlackHole(t), fast), core.ErrUnavailable, nil},
		{"a host that has no address", openStoreOn(t, s, "storage.invalid:9000", fast), core.ErrUnavailable, nil},
		{
			"a secret that is wrong", openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.SecretKey = "this is not the secret" }), core.ErrCredentials,
			map[string]bool{},
		},
		{
			"an access key that is unknown", openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.AccessKey = "nobody-we-know" }), core.ErrCredentials,
			map[string]bool{},
		},
		{"a clock that is wrong", openStoreOn(t, s, s.Endpoint, skewed(s, -time.Hour)), core.ErrClockSkew, map[string]bool{}},
		{"a bucket that does not exist", openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.Region = s.Region }), core.ErrBucketMissing, map[string]bool{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := bucket
			if c.kind == core.ErrBucketMissing {
				name = "there-is-no-such-bucket"
			}
			field := c.store.Field(core.FieldConfig{Name: "file", Bucket: name})
			for what, do := range operations(t, field) {
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					start := time.Now()
					err := do()
					if !errors.Is(err, c.kind) {
						t.Errorf("the error is %v (%s), want %s", err, core.KindOf(err).Code(), c.kind.Code())
					}
					if errors.Is(err, core.ErrNotFound) {
						t.Errorf("an outage was taken for a missing object: %v", err)
					}
					if took := time.Since(start); took > 15*time.Second {
						t.Errorf("it took %s", took)
					}
					if err != nil && strings.Contains(err.Error(), s.SecretKey) {
						t.Errorf("the error shows the secret: %v", err)
					}
				})
			}
		})
	}
}

// skewed makes every request reach the server as if this machine's clock were
// off: it signs each one anew with the wrong time.
func skewed(s *s3test.Server, off time.Duration) func(*core.Config) {
	return func(c *core.Config) { c.Transport = &skewedTransport{s, off} }
}

type skewedTransport struct {
	server *s3test.Server
	off    time.Duration
}

func (tr *skewedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	at := time.Now().Add(tr.off).UTC()
	r.Header.Set("X-Amz-Date", at.Format("20060102T150405Z"))
	signV4(r, tr.server, at)
	return http.DefaultTransport.RoundTrip(r)
}

// signV4 is AWS Signature Version 4 over the headers minio-go signed.
func signV4(r *http.Request, s *s3test.Server, at time.Time) {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ := strings.Cut(rest, ",")
	names := strings.Split(list, ";")
	sort.Strings(names)
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, r.URL.EscapedPath(), r.URL.Query().Encode())
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, strings.TrimSpace(value))
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", strings.Join(names, ";"), r.Header.Get("X-Amz-Content-Sha256"))
	scope := at.Format("20060102") + "/" + s.Region + "/s3/aws4_request"
	hash := sha256.Sum256([]byte(canonical.String()))
	toSign := "AWS4-HMAC-SHA256\n" + at.Format("20060102T150405Z") + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	key := []byte("AWS4" + s.SecretKey)
	for _, part := range []string{at.Format("20060102"), s.Region, "s3", "aws4_request", toSign} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.AccessKey+"/"+scope+
		", SignedHeaders="+strings.Join(names, ";")+", Signature="+hex.EncodeToString(key))
}

func TestAnOutageNeverOverwrites(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	recorder := s3test.Start(t).Recorder(t)
	b := store.Bucket(bucket)
	key := mustKey(t, "report.txt")
	if _, err := b.Save(t.Context(), "report.txt", core.Upload{Body: strings.NewReader("the first")}); err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		for _, method := range []string{http.MethodHead, http.MethodPut} {
			recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == method {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(status)
					return true
				}
				return false
			})
			through := openStoreOn(t, s3test.Start(t), recorder.Endpoint()).Bucket(bucket)
			o, err := through.Save(t.Context(), "report.txt", core.Upload{Body: strings.NewReader("the second")})
			if err == nil && o.Key == key {
				t.Errorf("with %s answered by %d the name was taken again", method, status)
			}
			if got := string(mustRead(t, b, key, core.OpenOptions{})); got != "the first" {
				t.Fatalf("with %s answered by %d the object holds %q", method, status, got)
			}
		}
	}
}

func TestAReaderThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	broken := errors.New("the disk is broken")
	for _, size := range []int64{0, 1000, 5 << 20, 7 << 20} {
		for _, name := range []string{"kept.bin", "dir/kept.bin"} {
			body := io.MultiReader(bytes.NewReader(random(1, size)), failing{broken})
			if _, err := b.Save(t.Context(), name, core.Upload{Body: body}); !errors.Is(err, broken) {
				t.Errorf("after %d bytes the error is %v, want the reader's", size, err)
			}
		}
	}
	objects, uploads := s3test.Leftovers(t, s3test.Start(t), bucket)
	if len(objects)+len(uploads) > 0 {
		t.Errorf("left behind: objects %q, multipart uploads %q", objects, uploads)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
