package s3test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// clientOf is a client of another endpoint in front of s.
func clientOf(t *testing.T, s *Server, endpoint string) *minio.Client {
	t.Helper()
	tr, _, _ := transport("")
	t.Cleanup(tr.CloseIdleConnections)
	c, err := minio.New(endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: s.Region, Transport: tr, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	s := Start(t)
	rec, bucket := s.Recorder(t), s.Bucket(t)
	c := clientOf(t, s, rec.Endpoint())

	const key = "a b/ü%2F+&=?.txt"
	put(t, c, bucket, key, "content")
	if got := get(t, c, bucket, key); got != "content" {
		t.Errorf("content is %q, want %q", got, "content")
	}
	if _, err := c.StatObject(t.Context(), bucket, "missing", minio.StatObjectOptions{}); err == nil {
		t.Error("stat of a missing object succeeded, want an error")
	}

	reqs := rec.Requests()
	for i, want := range []struct {
		method, path string
		status       int
	}{
		{http.MethodPut, "/" + bucket + "/a%20b/%C3%BC%252F%2B%26%3D%3F.txt", 200},
		{http.MethodGet, "/" + bucket + "/a%20b/%C3%BC%252F%2B%26%3D%3F.txt", 200},
		{http.MethodHead, "/" + bucket + "/missing", 404},
	} {
		if i >= len(reqs) {
			t.Fatalf("recorded %d requests, want 3", len(reqs))
		}
		if got := reqs[i]; got.Method != want.method || got.Path != want.path || got.Status != want.status {
			t.Errorf("request %d is %s %s with status %d, want %s %s with %d", i, got.Method, got.Path, got.Status, want.method, want.path, want.status)
		}
	}
	if got := reqs[0]; got.ContentLength <= 0 || got.Header.Get("X-Amz-Date") == "" || got.Header.Get("Authorization") != "" {
		t.Errorf("the PUT has length %d, date %q and authorization %q; want a length, a date and no authorization",
			got.ContentLength, got.Header.Get("X-Amz-Date"), got.Header.Get("Authorization"))
	}
	if rec.Count(http.MethodPut) != 1 || rec.Count("") != 3 {
		t.Errorf("counted %d PUTs of %d requests, want 1 of 3", rec.Count(http.MethodPut), rec.Count(""))
	}
	rec.Reset()
	if rec.Count("") != 0 {
		t.Errorf("counted %d requests after Reset, want 0", rec.Count(""))
	}
}

func TestRecorderPassesPresignedRequests(t *testing.T) {
	t.Parallel()
	s := Start(t)
	rec, bucket := s.Recorder(t), s.Bucket(t)
	put(t, s.Client(t), bucket, "k", "content")
	u, err := clientOf(t, s, rec.Endpoint()).PresignedGetObject(t.Context(), bucket, "k", 3600e9, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, _, _ := transport("")
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || string(body) != "content" {
		t.Errorf("got %s, %q; want 200 and the content", resp.Status, body)
	}
	if got := rec.Requests()[0].RawQuery; got != u.RawQuery {
		t.Errorf("recorded query %q, want %q", got, u.RawQuery)
	}
}

func TestRecorderInterceptAnswersInTheServersPlace(t *testing.T) {
	t.Parallel()
	s := Start(t)
	rec, bucket := s.Recorder(t), s.Bucket(t)
	rec.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	c := clientOf(t, s, rec.Endpoint())
	_, err := c.PutObject(t.Context(), bucket, "k", strings.NewReader("x"), 1, minio.PutObjectOptions{})
	if got := minio.ToErrorResponse(err).StatusCode; got != http.StatusServiceUnavailable {
		t.Errorf("put through the intercept: %v with status %d, want status 503", err, got)
	}
	if reqs := rec.Requests(); len(reqs) != 1 || reqs[0].Status != http.StatusServiceUnavailable {
		t.Errorf("recorded %+v, want one request with status 503", reqs)
	}
	rec.Intercept(nil)
	put(t, c, bucket, "k", "x")
}

// A body must leave the proxy while more of it is still to come.
func TestPassThroughStreams(t *testing.T) {
	t.Parallel()
	arrived := make(chan string)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 4)
		io.ReadFull(r.Body, first)
		arrived <- r.Host + " " + string(first)
		io.Copy(w, r.Body)
	}))
	defer back.Close()
	tr, scheme, _ := transport("")
	defer tr.CloseIdleConnections()
	rec := &Recorder{}
	front := httptest.NewServer(rec.handler(scheme, strings.TrimPrefix(back.URL, "http://"), tr))
	defer front.Close()

	body, w := io.Pipe()
	go func() {
		io.WriteString(w, "half")
		want := strings.TrimPrefix(front.URL, "http://") + " half"
		if got := <-arrived; got != want {
			t.Errorf("behind the proxy, Host and first bytes are %q, want %q", got, want)
		}
		io.WriteString(w, "rest")
		w.Close()
	}()
	resp, err := http.Post(front.URL, "application/octet-stream", body)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != "rest" {
		t.Errorf("answer is %q, want %q", got, "rest")
	}
	if got := rec.Requests()[0].ContentLength; got != -1 {
		t.Errorf("recorded length %d of a chunked body, want -1", got)
	}
}
