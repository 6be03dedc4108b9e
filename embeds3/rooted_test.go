package embeds3

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
)

// A path must come back from what the backend makes of a copy's source.
func FuzzClimbLeadsBackToThePath(f *testing.F) {
	for _, s := range []string{"/data/objects/b/k", "/d/b/a b/ü+&%2F?versionId.txt", "/x", "/a/..b/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		path = filepath.Clean("/" + path)
		if path == "/" || strings.Contains(path, "?versionId=") {
			return // the root is no object; the other is S3's own syntax
		}
		s := source{path: path}
		bucket, key, version, err := backend.ParseCopySource(*s.header())
		if err != nil || bucket != climbBucket || version != "" {
			t.Fatalf("header of %q parses as %q, %q, version %q, %v; want bucket %q", path, bucket, key, version, err, climbBucket)
		}
		if got := filepath.Clean(unclimb(filepath.Join(bucket, key))); got != path {
			t.Errorf("%q comes back as %q", path, got)
		}
		b, o, ok := attributes{}.place(bucket, key)
		if got := filepath.Join(b, o); !ok || got != path {
			t.Errorf("attributes of %q are at %q, %v; want the same path", path, got, ok)
		}
	})
}

func FuzzBucketNamesStayInTheirFolder(f *testing.F) {
	for _, s := range []string{"avatars", "a.b-c", "..", "../x", "a/b", "a\\b", "", "a..b", ".vgwlocks", "AB", "a-", strings.Repeat("a", 64)} {
		f.Add(s)
	}
	r := rooted{objects: "/data/objects"}
	f.Fuzz(func(t *testing.T, name string) {
		got := r.path(name)
		if filepath.Dir(got) != r.objects || filepath.Clean(got) != got {
			t.Errorf("bucket %q lies in %q, want a folder right in %s", name, got, r.objects)
		}
		if isBucketName(name) && filepath.Base(got) != name {
			t.Errorf("bucket %q lies in %q, want its own name", name, got)
		}
	})
}

func TestContentEncoding(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"aws-chunked":         "",
		"gzip":                "gzip",
		"gzip,aws-chunked":    "gzip",
		"aws-chunked , br, x": "br, x",
		"":                    "",
	} {
		if got := contentEncoding(&header); *got != want {
			t.Errorf("contentEncoding(%q) = %q, want %q", header, *got, want)
		}
	}
	if got := contentEncoding(nil); got != nil {
		t.Errorf("contentEncoding(nil) = %q, want nil", *got)
	}
}

func TestNamedPutsTheBucketsNameBack(t *testing.T) {
	t.Parallel()
	got, ok := named(s3err.GetBucketErr(s3err.ErrNoSuchBucket, "/data/objects/avatars")).(s3err.BucketError) //nolint:errorlint // what the engine itself looks at
	if !ok || got.BucketName != "avatars" || got.Code != "NoSuchBucket" {
		t.Errorf("named error is %+v, want NoSuchBucket of avatars", got)
	}
	if err := named(nil); err != nil {
		t.Errorf("named(nil) = %v, want nil", err)
	}
}
