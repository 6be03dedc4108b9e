package embeds3_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/embeds3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/cors"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// TestOperations runs what an app does with S3, over both ways to keep metadata.
func TestOperations(t *testing.T) {
	for _, sidecar := range []bool{false, true} {
		name := "metadata in extended attributes"
		dir := t.TempDir()
		if sidecar {
			name = "metadata in sidecar files"
			if err := os.Mkdir(filepath.Join(dir, "metadata"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(name, func(t *testing.T) {
			c := client(t, start(t, embeds3.Config{Dir: dir}))
			ops := map[string]func(*testing.T, *minio.Client, string){
				"put, get and list":                         putGetList,
				"copy with metadata and tags":               copying,
				"copy onto itself changes metadata":         copyOntoItself,
				"copy of an earlier version":                copyVersion,
				"parts copied from an object":               composing,
				"a copy's faults are told apart":            copyFaults,
				"multipart of several parts":                multipart,
				"versions":                                  versions,
				"one of many writers of a new key wins":     ifNoneMatch,
				"an overwritten object keeps nothing":       overwriting,
				"a removed object comes back without state": reappearing,
				"policy, cors and tags of a bucket":         bucketState,
				"buckets are listed, in pages":              listBuckets,
				"errors name the bucket and not its folder": bucketErrors,
				"512 uploads at once":                       manyUploads,
				"the signature's encoding is not kept":      encoding,
			}
			if sidecar {
				delete(ops, "versions")
				delete(ops, "copy of an earlier version")
				ops["versioning is refused"] = versioningRefused
			} else {
				ops["a deletion among versions is undone"] = undeleting
			}
			for name, op := range ops {
				t.Run(name, func(t *testing.T) {
					bucket := "b" + strings.ToLower(strings.Map(letters, name))
					bucket = bucket[:min(len(bucket), 50)]
					if err := c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
						t.Fatal(err)
					}
					op(t, c, bucket)
				})
			}
		})
	}
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}

func putGetList(t *testing.T, c *minio.Client, bucket string) {
	keys := []string{"2026/11/a b.txt", "2026/11/ü+&%2F.txt", "z"}
	for _, k := range keys {
		put(t, c, bucket, k, "content of "+k, minio.PutObjectOptions{})
		if got := get(t, c, bucket, k, minio.GetObjectOptions{}); got != "content of "+k {
			t.Errorf("content of %q is %q", k, got)
		}
	}
	var listed []string
	for o := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		listed = append(listed, o.Key)
	}
	if !slices.Equal(listed, keys) {
		t.Errorf("listed %q, want %q", listed, keys)
	}
	if err := c.RemoveObject(t.Context(), bucket, keys[0], minio.RemoveObjectOptions{}); err != nil {
		t.Errorf("remove: %v, want no error", err)
	}
	if _, err := c.StatObject(t.Context(), bucket, keys[0], minio.StatObjectOptions{}); minio.ToErrorResponse(err).StatusCode != http.StatusNotFound {
		t.Errorf("stat of a removed object: %v, want 404", err)
	}
}

func copyObject(t *testing.T, c *minio.Client, dst minio.CopyDestOptions, src minio.CopySrcOptions) {
	t.Helper()
	if _, err := c.CopyObject(t.Context(), dst, src); err != nil {
		t.Fatalf("copy %s/%s to %s/%s: %v, want no error", src.Bucket, src.Object, dst.Bucket, dst.Object, err)
	}
}

func copying(t *testing.T, c *minio.Client, bucket string) {
	const from, to = "a b/ü+%2F.txt", "copy/ü.txt"
	put(t, c, bucket, from, "content", minio.PutObjectOptions{
		ContentType: "text/x-a", UserMetadata: map[string]string{"Name": "x"}, UserTags: map[string]string{"k": "v"},
	})
	other := bucket + "-other"
	if err := c.MakeBucket(t.Context(), other, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	copyObject(t, c, minio.CopyDestOptions{Bucket: other, Object: to}, minio.CopySrcOptions{Bucket: bucket, Object: from})
	if got := get(t, c, other, to, minio.GetObjectOptions{}); got != "content" {
		t.Errorf("content is %q, want %q", got, "content")
	}
	wantState(t, c, other, to, "text/x-a", "x", "v")
}

func copyOntoItself(t *testing.T, c *minio.Client, bucket string) {
	const key = "deep/k"
	put(t, c, bucket, key, "content", minio.PutObjectOptions{ContentType: "text/x-a", UserMetadata: map[string]string{"Name": "x"}, UserTags: map[string]string{"k": "v"}})
	src := minio.CopySrcOptions{Bucket: bucket, Object: key}
	if _, err := c.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: key}, src); minio.ToErrorResponse(err).Code != "InvalidRequest" {
		t.Errorf("copy that changes nothing: %v, want InvalidRequest", err)
	}
	copyObject(t, c, minio.CopyDestOptions{
		Bucket: bucket, Object: key, ReplaceMetadata: true,
		ContentType: "text/x-b", UserMetadata: map[string]string{"Name": "y"},
	}, src)
	if got := get(t, c, bucket, key, minio.GetObjectOptions{}); got != "content" {
		t.Errorf("content is %q, want %q", got, "content")
	}
	wantState(t, c, bucket, key, "text/x-b", "y", "v")
}

func wantState(t *testing.T, c *minio.Client, bucket, key, contentType, name, tag string) {
	t.Helper()
	info, err := c.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{})
	if err != nil || info.ContentType != contentType || info.UserMetadata["Name"] != name {
		t.Errorf("%s has type %q, name %q, error %v; want %q, %q, none", key, info.ContentType, info.UserMetadata["Name"], err, contentType, name)
	}
	got, err := c.GetObjectTagging(t.Context(), bucket, key, minio.GetObjectTaggingOptions{})
	if err != nil || got.ToMap()["k"] != tag {
		t.Errorf("%s has tags %v, error %v; want k=%s", key, got, err, tag)
	}
}

func copyVersion(t *testing.T, c *minio.Client, bucket string) {
	if err := c.EnableVersioning(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	first := put(t, c, bucket, "a/k", "first", minio.PutObjectOptions{UserMetadata: map[string]string{"Name": "one"}})
	second := put(t, c, bucket, "a/k", "second", minio.PutObjectOptions{UserMetadata: map[string]string{"Name": "two"}})
	for _, tt := range []struct{ version, content, name string }{
		{first.VersionID, "first", "one"},
		{second.VersionID, "second", "two"},
		{"", "second", "two"},
	} {
		copyObject(t, c, minio.CopyDestOptions{Bucket: bucket, Object: "copy"}, minio.CopySrcOptions{Bucket: bucket, Object: "a/k", VersionID: tt.version})
		info, err := c.StatObject(t.Context(), bucket, "copy", minio.StatObjectOptions{})
		if got := get(t, c, bucket, "copy", minio.GetObjectOptions{}); err != nil || got != tt.content || info.UserMetadata["Name"] != tt.name {
			t.Errorf("copy of version %q is %q with name %q (%v), want %q with %q", tt.version, got, info.UserMetadata["Name"], err, tt.content, tt.name)
		}
	}
	if err := c.RemoveObject(t.Context(), bucket, "a/k", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	// Undoing a deletion is copying an earlier version over it.
	copyObject(t, c, minio.CopyDestOptions{Bucket: bucket, Object: "a/k"}, minio.CopySrcOptions{Bucket: bucket, Object: "a/k", VersionID: first.VersionID})
	if got := get(t, c, bucket, "a/k", minio.GetObjectOptions{}); got != "first" {
		t.Errorf("after undoing a deletion, content is %q, want %q", got, "first")
	}
}

func composing(t *testing.T, c *minio.Client, bucket string) {
	big := strings.Repeat("0123456789abcdef", 5<<20/16)
	put(t, c, bucket, "src/big", big, minio.PutObjectOptions{DisableMultipart: true})
	_, err := c.ComposeObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "composed"},
		minio.CopySrcOptions{Bucket: bucket, Object: "src/big"},
		minio.CopySrcOptions{Bucket: bucket, Object: "src/big", MatchRange: true, Start: 0, End: 99},
	)
	if err != nil {
		t.Fatalf("compose: %v, want no error", err)
	}
	if got := get(t, c, bucket, "composed", minio.GetObjectOptions{}); got != big+big[:100] {
		t.Errorf("composed object has %d bytes, want the %d of both sources", len(got), len(big)+100)
	}
}

func copyFaults(t *testing.T, c *minio.Client, bucket string) {
	put(t, c, bucket, "k", "content", minio.PutObjectOptions{})
	dst := minio.CopyDestOptions{Bucket: bucket, Object: "copy"}
	for _, tt := range []struct {
		name string
		dst  minio.CopyDestOptions
		src  minio.CopySrcOptions
		want string
	}{
		{"no such source", dst, minio.CopySrcOptions{Bucket: bucket, Object: "none"}, "NoSuchKey"},
		{"no such source bucket", dst, minio.CopySrcOptions{Bucket: "none", Object: "k"}, "NoSuchBucket"},
		{"no such destination bucket", minio.CopyDestOptions{Bucket: "none", Object: "k"}, minio.CopySrcOptions{Bucket: bucket, Object: "k"}, "NoSuchBucket"},
		{"another ETag", dst, minio.CopySrcOptions{Bucket: bucket, Object: "k", MatchETag: "0123456789abcdef0123456789abcdef"}, "PreconditionFailed"},
	} {
		if _, err := c.CopyObject(t.Context(), tt.dst, tt.src); minio.ToErrorResponse(err).Code != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	for _, escape := range []string{"../../versions", "../../../etc/passwd", "a/../../x"} {
		if _, err := c.CopyObject(t.Context(), dst, minio.CopySrcOptions{Bucket: bucket, Object: escape}); err == nil {
			t.Errorf("copy from %q succeeded, want an error", escape)
		}
	}
}

func multipart(t *testing.T, c *minio.Client, bucket string) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 11<<20/16)
	// Of unknown length, as an upload from a browser is.
	_, err := c.PutObject(t.Context(), bucket, "deep/big", io.MultiReader(bytes.NewReader(content)), -1, minio.PutObjectOptions{PartSize: 5 << 20})
	if err != nil {
		t.Fatalf("put: %v, want no error", err)
	}
	if got := get(t, c, bucket, "deep/big", minio.GetObjectOptions{}); got != string(content) {
		t.Errorf("content has %d bytes, want %d like those sent", len(got), len(content))
	}
	for u := range c.ListIncompleteUploads(t.Context(), bucket, "", true) {
		t.Errorf("upload %v is left open, want none", u)
	}
	core := minio.Core{Client: c}
	id, err := core.NewMultipartUpload(t.Context(), bucket, "deep/other", minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	uploads, err := core.ListMultipartUploads(t.Context(), bucket, "", "", "", "", 10)
	if err != nil || len(uploads.Uploads) != 1 || uploads.Uploads[0].Key != "deep/other" || uploads.Bucket != bucket {
		t.Errorf("uploads are %+v, %v; want the one just begun", uploads, err)
	}
	if err := core.AbortMultipartUpload(t.Context(), bucket, "deep/other", id); err != nil {
		t.Errorf("abort: %v, want no error", err)
	}
}

func versions(t *testing.T, c *minio.Client, bucket string) {
	if err := c.EnableVersioning(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	first := put(t, c, bucket, "a/k", "first", minio.PutObjectOptions{})
	put(t, c, bucket, "a/k", "second", minio.PutObjectOptions{})
	if got := get(t, c, bucket, "a/k", minio.GetObjectOptions{VersionID: first.VersionID}); got != "first" {
		t.Errorf("first version is %q, want %q", got, "first")
	}
	if err := c.RemoveObject(t.Context(), bucket, "a/k", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	n, markers := 0, 0
	for o := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		n++
		if o.IsDeleteMarker {
			markers++
		}
		if err := c.RemoveObject(t.Context(), bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID}); err != nil {
			t.Errorf("remove version %s: %v, want no error", o.VersionID, err)
		}
	}
	if n != 3 || markers != 1 {
		t.Errorf("listed %d versions, %d of them deletions; want 3 and 1", n, markers)
	}
	if err := c.RemoveBucket(t.Context(), bucket); err != nil {
		t.Errorf("remove the emptied bucket: %v, want no error", err)
	}
}

func overwriting(t *testing.T, c *minio.Client, bucket string) {
	full := minio.PutObjectOptions{
		ContentType: "text/x-a", CacheControl: "no-store", ContentDisposition: "attachment",
		UserMetadata: map[string]string{"Name": "x"}, UserTags: map[string]string{"k": "v"},
	}
	big := strings.Repeat("x", 5<<20+1)
	for key, overwrite := range map[string]func(string){
		"put":       func(key string) { put(t, c, bucket, key, "second", minio.PutObjectOptions{}) },
		"multipart": func(key string) { put(t, c, bucket, key, big, minio.PutObjectOptions{PartSize: 5 << 20}) },
		"copy": func(key string) {
			put(t, c, bucket, "plain", "second", minio.PutObjectOptions{})
			copyObject(t, c, minio.CopyDestOptions{Bucket: bucket, Object: key}, minio.CopySrcOptions{Bucket: bucket, Object: "plain"})
		},
	} {
		put(t, c, bucket, key, "first", full)
		overwrite(key)
		wantNoState(t, c, bucket, key)
	}
}

func reappearing(t *testing.T, c *minio.Client, bucket string) {
	put(t, c, bucket, "k", "first", minio.PutObjectOptions{UserMetadata: map[string]string{"Name": "x"}, UserTags: map[string]string{"k": "v"}})
	if err := c.RemoveObject(t.Context(), bucket, "k", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, c, bucket, "k", "second", minio.PutObjectOptions{})
	wantNoState(t, c, bucket, "k")
}

func undeleting(t *testing.T, c *minio.Client, bucket string) {
	put(t, c, bucket, "k", "first", minio.PutObjectOptions{})
	if err := c.EnableVersioning(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	if err := c.RemoveObject(t.Context(), bucket, "k", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, c, bucket, "k", "third", minio.PutObjectOptions{})
	if got := get(t, c, bucket, "k", minio.GetObjectOptions{}); got != "third" {
		t.Errorf("after a deletion in a versioned bucket, content is %q, want %q", got, "third")
	}
}

func versioningRefused(t *testing.T, c *minio.Client, bucket string) {
	if err := c.EnableVersioning(t.Context(), bucket); err == nil {
		t.Error("versioning was enabled, want it refused")
	}
}

func encoding(t *testing.T, c *minio.Client, bucket string) {
	put(t, c, bucket, "plain", "x", minio.PutObjectOptions{})
	put(t, c, bucket, "gzip", "x", minio.PutObjectOptions{ContentEncoding: "gzip"})
	put(t, c, bucket, "parts", strings.Repeat("x", 5<<20+1), minio.PutObjectOptions{PartSize: 5 << 20, ContentEncoding: "gzip"})
	for key, want := range map[string]string{"plain": "", "gzip": "gzip", "parts": "gzip"} {
		info, err := c.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{})
		if got := info.Metadata.Get("Content-Encoding"); err != nil || got != want {
			t.Errorf("%s has content encoding %q, error %v; want %q", key, got, err, want)
		}
	}
}

func wantNoState(t *testing.T, c *minio.Client, bucket, key string) {
	t.Helper()
	info, err := c.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{})
	if err != nil || info.ContentType == "text/x-a" || len(info.UserMetadata) != 0 || info.UserTagCount != 0 ||
		info.Metadata.Get("Cache-Control") != "" || info.Metadata.Get("Content-Disposition") != "" {
		t.Errorf("%s has type %q, metadata %v, %d tags, headers %v, error %v; want none of what was there before", key, info.ContentType, info.UserMetadata, info.UserTagCount, info.Metadata, err)
	}
}

func ifNoneMatch(t *testing.T, c *minio.Client, bucket string) {
	var wg sync.WaitGroup
	results := make([]int, 16)
	for i := range results {
		wg.Go(func() {
			opts := minio.PutObjectOptions{}
			opts.SetMatchETagExcept("*")
			_, err := c.PutObject(t.Context(), bucket, "k", strings.NewReader("x"), 1, opts)
			if err != nil {
				results[i] = minio.ToErrorResponse(err).StatusCode
			}
		})
	}
	wg.Wait()
	won := 0
	for _, status := range results {
		switch status {
		case 0:
			won++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("a writer got status %d, want success or 412", status)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d writers won, want 1", won, len(results))
	}
}

func bucketState(t *testing.T, c *minio.Client, bucket string) {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + bucket + `/*"]}]}`
	if err := c.SetBucketPolicy(t.Context(), bucket, policy); err != nil {
		t.Fatalf("set policy: %v, want no error", err)
	}
	put(t, c, bucket, "k", "public", minio.PutObjectOptions{})
	base := c.EndpointURL().String() + "/" + bucket
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for path, want := range map[string]int{"/k": 200, "/": 403} {
		resp, err := hc.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("anonymous GET %s is %d, want %d", path, resp.StatusCode, want)
		}
	}

	if err := c.SetBucketCors(t.Context(), bucket, cors.NewConfig([]cors.Rule{{AllowedMethod: []string{"PUT"}, AllowedOrigin: []string{"https://app.example"}}})); err != nil {
		t.Fatalf("set cors: %v, want no error", err)
	}
	if got, err := c.GetBucketCors(t.Context(), bucket); err != nil || len(got.CORSRules) != 1 {
		t.Errorf("cors is %+v, %v; want one rule", got, err)
	}
	set, _ := tags.NewTags(map[string]string{"app": "x"}, false)
	if err := c.SetBucketTagging(t.Context(), bucket, set); err != nil {
		t.Fatalf("set tags: %v, want no error", err)
	}
	if got, err := c.GetBucketTagging(t.Context(), bucket); err != nil || got.ToMap()["app"] != "x" {
		t.Errorf("tags are %v, %v; want app=x", got, err)
	}
}

func listBuckets(t *testing.T, c *minio.Client, bucket string) {
	for _, b := range []string{"page-3", "page-1", "page-2"} {
		if err := c.MakeBucket(t.Context(), b, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	buckets, err := c.ListBuckets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range buckets {
		names = append(names, b.Name)
		if time.Since(b.CreationDate) > time.Hour {
			t.Errorf("bucket %s was made %v, want just now", b.Name, b.CreationDate)
		}
	}
	if !slices.IsSorted(names) || !slices.Contains(names, bucket) || !slices.Contains(names, "page-2") {
		t.Errorf("buckets are %q, want them sorted, with %q and page-2 among them", names, bucket)
	}
	for _, b := range []string{"page-1", "page-2", "page-3"} {
		if err := c.RemoveBucket(t.Context(), b); err != nil {
			t.Errorf("remove %s: %v, want no error", b, err)
		}
	}
}

func bucketErrors(t *testing.T, c *minio.Client, bucket string) {
	put(t, c, bucket, "k", "x", minio.PutObjectOptions{})
	_, errGet := c.GetBucketPolicy(t.Context(), "not-there")
	for _, tt := range []struct {
		name       string
		err        error
		code, want string
	}{
		{"remove a bucket with content", c.RemoveBucket(t.Context(), bucket), "BucketNotEmpty", bucket},
		{"make a bucket again", c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}), "BucketAlreadyOwnedByYou", bucket},
		{"ask for the policy of none", errGet, "NoSuchBucket", "not-there"},
	} {
		got := minio.ToErrorResponse(tt.err)
		if got.Code != tt.code || got.BucketName != tt.want || strings.Contains(got.Message, "/") {
			t.Errorf("%s: code %q, bucket %q, message %q; want %q, %q and no path", tt.name, got.Code, got.BucketName, got.Message, tt.code, tt.want)
		}
	}
}

func manyUploads(t *testing.T, c *minio.Client, bucket string) {
	const n = 512
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			key := "k/" + string(rune('a'+i%26)) + "/" + strings.Repeat("x", i/26+1)
			if _, err := c.PutObject(t.Context(), bucket, key, strings.NewReader("content"), 7, minio.PutObjectOptions{}); err != nil {
				t.Errorf("upload %d: %v, want no error", i, err)
			}
		})
	}
	wg.Wait()
	listed := 0
	for range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		listed++
	}
	if listed != n {
		t.Errorf("listed %d objects, want %d", listed, n)
	}
}
