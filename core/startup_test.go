package core_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// bucketNames returns n free names of buckets, which the test's end removes.
func bucketNames(t *testing.T, s *s3test.Server, n int) []string {
	t.Helper()
	base := s.Bucket(t)
	names := make([]string, n)
	client := s.Client(t)
	for i := range names {
		name := fmt.Sprintf("%s-%d", base, i)
		names[i] = name
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			for o := range client.ListObjectsIter(ctx, name, minio.ListObjectsOptions{Recursive: true}) {
				_ = client.RemoveObject(ctx, name, o.Key, minio.RemoveObjectOptions{})
			}
			_ = client.RemoveBucket(ctx, name)
		})
	}
	return names
}

// writes counts the requests that could change something.
func writes(r *s3test.Recorder) int {
	return r.Count("") - r.Count(http.MethodGet) - r.Count(http.MethodHead)
}

func TestStartBringsTheDeclaredBucketsIntoBeing(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 4)
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) {
		c.PrivateBuckets, c.PublicBuckets, c.DefaultBucket = names[:1], names[1:2], names[2]
	})
	store.Field(core.FieldConfig{Name: "file", Bucket: names[3]})
	wantKind(t, "check before the start", store.Check(t.Context()).Err(), core.ErrBucketMissing)
	if n := writes(recorder); n != 0 {
		t.Errorf("a check made %d requests that write", n)
	}
	hook := store.Startup(core.StartupConfig{})
	if err := hook.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()).Err(); err != nil {
		t.Errorf("check after the start: %v", err)
	}
	for _, name := range names {
		if ok, err := s.Client(t).BucketExists(t.Context(), name); !ok || err != nil {
			t.Errorf("the bucket %s exists: %t, %v", name, ok, err)
		}
	}
	recorder.Reset()
	if err := hook.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := writes(recorder); n != 0 {
		t.Errorf("a second start made %d requests that write: %+v", n, recorder.Requests())
	}
	if err := hook.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// anonymous makes a request as a stranger does, and returns its status.
func anonymous(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	var content io.Reader = http.NoBody
	if method == http.MethodPut {
		content = bytes.NewReader([]byte("<script>"))
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestO9PublicMeansThatAnyoneMayReadObjectsAndNoMore(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 2)
	store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PublicBuckets, c.PrivateBuckets = names[:1], names[1:] })
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		save(t, store.Bucket(name), "dir/a.txt", "content")
	}
	public, private := s.URL()+"/"+names[0], s.URL()+"/"+names[1]
	for _, c := range []struct {
		name, method, url string
		want              int
	}{
		{"read a public object", http.MethodGet, public + "/dir/a.txt", 200},
		{"look at a public object", http.MethodHead, public + "/dir/a.txt", 200},
		{"list a public bucket", http.MethodGet, public, 403},
		{"list a public bucket, version 2", http.MethodGet, public + "?list-type=2", 403},
		{"list the versions of a public bucket", http.MethodGet, public + "?versions", 403},
		{"list the uploads of a public bucket", http.MethodGet, public + "?uploads", 403},
		{"ask for a public bucket's policy", http.MethodGet, public + "?policy", 403},
		{"overwrite a public object", http.MethodPut, public + "/dir/a.txt", 403},
		{"add a public object", http.MethodPut, public + "/b.html", 403},
		{"delete a public object", http.MethodDelete, public + "/dir/a.txt", 403},
		{"start a multipart upload", http.MethodPost, public + "/c.html?uploads", 403},
		{"delete a public bucket", http.MethodDelete, public, 403},
		{"read a private object", http.MethodGet, private + "/dir/a.txt", 403},
		{"look at a private object", http.MethodHead, private + "/dir/a.txt", 403},
		{"list a private bucket", http.MethodGet, private, 403},
		{"overwrite a private object", http.MethodPut, private + "/dir/a.txt", 403},
		{"delete a private object", http.MethodDelete, private + "/dir/a.txt", 403},
	} {
		if got, body := anonymous(t, c.method, c.url); got != c.want {
			t.Errorf("a stranger may %s: the status is %d, want %d; %.200s", c.name, got, c.want, body)
		}
	}
	for _, name := range names {
		if got := string(mustRead(t, store.Bucket(name), mustKey(t, "dir/a.txt"), core.OpenOptions{})); got != "content" {
			t.Errorf("after that %s holds %q", name, got)
		}
	}
}

func TestManyProcessesStartAtOnce(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 4)
	var all sync.WaitGroup
	for range 8 {
		store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PublicBuckets, c.PrivateBuckets = names[:2], names[2:] })
		all.Go(func() {
			if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
				t.Errorf("one of eight starts: %v", err)
			}
		})
	}
	all.Wait()
	for _, name := range names {
		if ok, err := s.Client(t).BucketExists(t.Context(), name); !ok || err != nil {
			t.Errorf("the bucket %s exists: %t, %v", name, ok, err)
		}
	}
}

func TestAStartWithoutChecksMakesNoRequest(t *testing.T) {
	t.Parallel()
	no := false
	for name, c := range map[string]struct {
		config  core.StartupConfig
		onStart *bool
	}{"turned off by the configuration": {core.StartupConfig{}, &no}, "turned off by the caller": {core.StartupConfig{Mode: core.Off}, nil}} {
		recorder, store, bucket := recorded(t, func(config *core.Config) { config.CheckOnStart = c.onStart })
		store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
		if err := store.Startup(c.config).Start(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := recorder.Count(""); n != 0 {
			t.Errorf("%s: %d requests were made", name, n)
		}
		store.Field(core.FieldConfig{Name: "", Bucket: bucket})
		wantKind(t, name+", with a faulty field", store.Startup(c.config).Start(t.Context()), core.ErrConfig)
	}
}

func TestAStartReportsEveryBucketThatFails(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 12)
	for _, status := range []int{http.StatusForbidden, http.StatusServiceUnavailable} {
		store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PrivateBuckets, c.Attempts = names, 1 })
		recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			// Every other bucket fails.
			if at := strings.Trim(r.URL.Path, "/"); at[len(at)-1]%2 == 0 {
				w.WriteHeader(status)
				return true
			}
			return false
		})
		for what, err := range map[string]error{"start": store.Startup(core.StartupConfig{}).Start(t.Context()), "check": store.Check(t.Context()).Err()} {
			if err == nil {
				t.Errorf("%s succeeded although storage answers %d", what, status)
				continue
			}
			for i, name := range names {
				last := name[len(name)-1]
				if fails := last%2 == 0; strings.Contains(err.Error()+"\n", name+":") != fails {
					t.Errorf("%s with status %d: bucket %d fails is %t, the error is %v", what, status, i, fails, err)
				}
			}
		}
	}
}

func TestAStartFailsInTimeWhereStorageDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store := openStoreOn(t, s, s3test.BlackHole(t), func(c *core.Config) {
		c.Timeout, c.PrivateBuckets = 300*time.Millisecond, []string{"one-bucket", "two-bucket"}
	})
	for what, do := range map[string]func(context.Context) error{"start": store.Startup(core.StartupConfig{}).Start, "check": func(ctx context.Context) error { return store.Check(ctx).Err() }} {
		start := time.Now()
		wantKind(t, what, do(t.Context()), core.ErrUnavailable)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %s with a limit of 300ms", what, took)
		}
	}
}

func TestDefaultAndStaticBucketsAreWhatTheyAreForTheReference(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 3)
	shared := []string{names[2]}
	declare := func(change func(*core.Config)) *core.Store {
		return openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PrivateBuckets = shared }, change)
	}
	store := declare(func(c *core.Config) { c.DefaultBucket, c.StaticBucket = names[0], names[1] })
	plain := declare(func(*core.Config) {})
	if got := plain.Buckets(); len(got) != 1 || len(shared) != 1 {
		t.Errorf("buckets of one storage are in another's settings: %d, %q", len(got), shared)
	}
	must(t, "start", store.Startup(core.StartupConfig{}).Start(t.Context()))
	field := store.Field(core.FieldConfig{Name: "file"})
	if field.Bucket().Name() != names[0] || store.Faults() != nil {
		t.Errorf("a field that names no bucket is in %s, %v", field.Bucket().Name(), store.Faults())
	}
	for i, want := range map[int]int{0: http.StatusForbidden, 1: http.StatusOK, 2: http.StatusForbidden} {
		save(t, store.Bucket(names[i]), "a.css", "content")
		if got, _ := anonymous(t, http.MethodGet, s.URL()+"/"+names[i]+"/a.css"); got != want {
			t.Errorf("an object of bucket %d is %d to a stranger, want %d", i, got, want)
		}
		if got, _ := anonymous(t, http.MethodGet, s.URL()+"/"+names[i]); got != http.StatusForbidden {
			t.Errorf("the listing of bucket %d is %d to a stranger, want 403", i, got)
		}
	}
	if d := store.Diagnose(t.Context(), core.DiagnoseOptions{Scope: core.IAMSetup}); !d.OK {
		t.Error(report(d))
	}
	policy := mustPolicy(t, store, core.IAMRun)
	if !policy.allows("s3:PutObject", "arn:aws:s3:::"+names[1]+"/a.css") || policy.allows("s3:GetBucketPolicy", "arn:aws:s3:::"+names[1]) {
		t.Errorf("the policy is %s", policy.text(t))
	}
}
