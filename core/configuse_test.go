package core_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestPolicyHooksOfAConfigurationAreApplied(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket, declared := s.Bucket(t), s.Bucket(t)
	public := func(name string) string {
		return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::` + name + `/open/*"]}]}`
	}
	store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) {
		c.PolicyHooks = []core.BucketPolicy{{Bucket: bucket, Document: public(bucket)}, {Bucket: declared, Document: public(declared)}}
	})
	store.Declare(core.BucketConfig{Name: declared, Lifecycle: core.Lifecycle{PendingDays: 2}})
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{bucket, declared} {
		for file, want := range map[string]int{"open/a.txt": http.StatusOK, "closed/a.txt": http.StatusForbidden} {
			save(t, store.Bucket(name), file, "content")
			r, err := http.Get("http://" + s.Endpoint + "/" + name + "/" + file)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("%s of a bucket with a hook is answered with %d, want %d", file, r.StatusCode, want)
			}
		}
	}
	plan, err := store.Plan(t.Context())
	if err != nil || plan.Changes() {
		t.Errorf("a second start would change %+v, %v", plan, err)
	}
}

func TestThePartSizeOfAConfiguration(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
	for _, c := range []struct {
		name       string
		configured int64
		ofSave     int64
		parts      int
	}{
		{"none: parts of 5 MiB", 0, 0, 4},
		{"8 MiB", 8 * core.MiB, 0, 2},
		{"16 MiB: one request", 16 * core.MiB, 0, 1},
		{"8 MiB, and the save's own", 8 * core.MiB, 6 * core.MiB, 3},
	} {
		recorder, store, bucket := recorded(t, func(config *core.Config) { config.PartSize = c.configured })
		if _, err := store.Bucket(bucket).Save(t.Context(), "a", core.Upload{Body: bytes.NewReader(content), Options: core.ObjectOptions{PartSize: c.ofSave}}); err != nil {
			t.Fatal(err)
		}
		parts := 0
		for _, r := range recorder.Requests() {
			if r.Method == http.MethodPut && (c.parts == 1 || strings.Contains(r.RawQuery, "partNumber=")) { // else it reserves the key
				parts++
			}
		}
		if parts != c.parts {
			t.Errorf("%s: %d parts, want %d", c.name, parts, c.parts)
		}
	}
}

func TestConfigurationsFromAFileAndTheEnvironment(t *testing.T) { // not parallel: it sets the environment
	s := s3test.Start(t)
	documents, avatars := s.Bucket(t), s.Bucket(t)
	path := filepath.Join(t.TempDir(), "storage.yaml")
	content := "MINIO_ENDPOINT: " + s.Endpoint + "\nMINIO_ACCESS_KEY: ${STORAGE_USER}\nMINIO_REGION: '" + s.Region + "'\n" +
		"STORAGES:\n  default: {OPTIONS: {MINIO_DEFAULT_BUCKET: " + documents + "}}\n  media: {OPTIONS: {MINIO_DEFAULT_BUCKET: " + avatars + "}}\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"STORAGE_USER": s.AccessKey, "MINIO_SECRET_KEY": s.SecretKey, "SECRET_KEY": "a key for tests, long enough"}
	setEnv(t, variables)
	stores, err := core.ConfigsFromFile(path).Open()
	if err != nil {
		t.Fatal(err)
	}
	for alias, bucket := range map[string]string{"default": documents, "media": avatars} {
		f := stores[alias].Field(core.FieldConfig{Name: "file"})
		if o, err := f.Save(t.Context(), core.Upload{Body: bytes.NewReader([]byte("x")), Name: "x.txt"}); err != nil || o.Bucket != bucket {
			t.Errorf("a file of %s is saved as %+v, %v", alias, o, err)
		}
	}
	t.Setenv("FILEFIELD_CONFIG", path)
	for name, got := range map[string]core.Config{
		"ConfigFromFile": core.ConfigFromFile(path), "ConfigFromEnv": core.ConfigFromEnv(), "ConfigsFromEnv": core.ConfigsFromEnv().Alias("default"),
		"ConfigFromEnvPrefix without one": core.ConfigFromEnvPrefix(""),
	} {
		if got.DefaultBucket != documents || got.AccessKey != s.AccessKey || string(got.SecretKey) != s.SecretKey || got.Validate() != nil {
			t.Errorf("%s: it is %+v, %v", name, got, got.Validate())
		}
	}
	if got := core.ConfigFromEnvPrefix("MEDIA_"); got.DefaultBucket != avatars || got.Validate() != nil {
		t.Errorf("ConfigFromEnvPrefix: it is %+v, %v", got, got.Validate())
	}
}

func TestAConfigurationOfAPrefix(t *testing.T) { // not parallel: it sets the environment
	setEnv(t, map[string]string{
		"MINIO_ENDPOINT": "minio:9000", "MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "b", "MINIO_DEFAULT_BUCKET": "documents",
		"MEDIA_MINIO_DEFAULT_BUCKET": "media", "MEDIA_FILEFIELD_TIMEOUTS": "5s", "MINIO_REGIN": "x",
	})
	c := core.ConfigFromEnvPrefix("MEDIA_")
	if c.Endpoint != "minio:9000" || c.DefaultBucket != "media" {
		t.Errorf("it is %+v", c)
	}
	wantFaults(t, "validate", c.Validate(), `the storage "media"`, "did you mean MEDIA_FILEFIELD_TIMEOUT?", "did you mean MINIO_REGION?")
}
