package core_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// sizes are one for each way an object is stored.
var sizes = map[string]int64{"one request": 1000, "parts": 5<<20 + 1000}

func TestOptionsOfFieldAndSaveComeTogether(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: core.GiB, Options: core.ObjectOptions{
		Metadata: map[string]string{"owner": "field", "kept": "ünïcode % +"}, Tags: map[string]string{"a": "field", "b": "field + more"}, CacheControl: "max-age=60",
	}})
	for how, size := range sizes {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			own := core.ObjectOptions{Metadata: map[string]string{"owner": "save"}, Tags: map[string]string{"a": "save"}, CacheControl: "private, no-cache"}
			o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(random(1, size)), Name: "a.bin", Options: own})
			if err != nil {
				t.Fatal(err)
			}
			info, err := s.Client(t).StatObject(t.Context(), bucket, o.Key.String(), minio.StatObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Metadata.Get("Cache-Control"); got != "private, no-cache" {
				t.Errorf("Cache-Control is %q", got)
			}
			tags, err := s.Client(t).GetObjectTagging(t.Context(), bucket, o.Key.String(), minio.GetObjectTaggingOptions{})
			if want := map[string]string{"a": "save", "b": "field + more"}; err != nil || !maps.Equal(tags.ToMap(), want) {
				t.Errorf("the tags are %v, %v; want %v", tags, err, want)
			}
			stored, err := field.Bucket().Stat(t.Context(), o.Key)
			if want := map[string]string{"owner": "save", "kept": "ünïcode % +"}; err != nil || !maps.Equal(stored.Metadata, want) {
				t.Errorf("the metadata is %v, %v; want %v", stored.Metadata, err, want)
			}
			if len(own.Metadata) != 1 || len(own.Tags) != 1 {
				t.Errorf("the caller's maps were changed: %v, %v", own.Metadata, own.Tags)
			}
		})
	}
	if declared := field.Config().Options; declared.Metadata["owner"] != "field" || len(declared.Tags) != 2 {
		t.Errorf("the declaration was changed: %+v", declared)
	}
}

func TestTheStorageClassIsPassedOn(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	classes := []string{"STANDARD"}
	if s3test.Start(t).Engine == s3test.MinIO {
		classes = append(classes, "REDUCED_REDUNDANCY")
	}
	for _, class := range classes {
		for how, size := range sizes {
			recorder.Reset()
			o, err := store.Bucket(bucket).Save(t.Context(), class+how, core.Upload{
				Body: bytes.NewReader(random(1, size)), Options: core.ObjectOptions{StorageClass: class},
			})
			if err != nil || o.Size != size {
				t.Errorf("%s in %s: %v", class, how, err)
			}
			passed := slices.ContainsFunc(recorder.Requests(), func(r s3test.Request) bool {
				return r.Header.Get("X-Amz-Storage-Class") == class
			})
			if !passed {
				t.Errorf("%s in %s: no request named the class", class, how)
			}
		}
	}
}

// The embedded engine has no keys to encrypt with: there it must say so, or
// store the file, but nothing between.
func TestEncryptionByTheStoragesOwnKey(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	for how, size := range sizes {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			content := random(2, size)
			o, err := b.Save(t.Context(), how, core.Upload{Body: bytes.NewReader(content), Options: core.ObjectOptions{Encryption: encrypt.NewSSE()}})
			if err != nil && s.Engine == s3test.Embedded {
				wantKind(t, "save", err, core.ErrUnsupported)
				wantLeft(t, bucket)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
				t.Error("it does not hold the content")
			}
			info, err := s.Client(t).StatObject(t.Context(), bucket, o.Key.String(), minio.StatObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Metadata.Get("X-Amz-Server-Side-Encryption"); s.Engine == s3test.MinIO && got != "AES256" {
				t.Errorf("it is encrypted by %q, want AES256", got)
			}
		})
	}
}

func TestAReplacementInATransactionKeepsItsEncryption(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	if s.Engine == s3test.Embedded {
		return // it encrypts nothing
	}
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn := begin(t)
	o, err := b.Save(ctx, "a.txt", core.Upload{Body: strings.NewReader("x"), Replace: true, Options: core.ObjectOptions{Encryption: encrypt.NewSSE()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	info, err := s.Client(t).StatObject(t.Context(), bucket, o.Key.String(), minio.StatObjectOptions{})
	if err != nil || info.Metadata.Get("X-Amz-Server-Side-Encryption") != "AES256" {
		t.Errorf("it is encrypted by %q, %v", info.Metadata.Get("X-Amz-Server-Side-Encryption"), err)
	}
}

// The embedded engine takes no notice of a customer's key; with one, too, what
// was stored must come back.
func TestEncryptionByACustomersKey(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{TLS: true})
	bucket := s.Bucket(t)
	store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.UseHTTPS, c.CAFile = true, s.CAFile })
	key, err := encrypt.NewSSEC([]byte("a customer's key of 32 bytes now"))
	if err != nil {
		t.Fatal(err)
	}
	field := store.Field(core.FieldConfig{
		Name: "file", Bucket: bucket, MaxSize: core.GiB, Options: core.ObjectOptions{Encryption: key},
		UploadTo: func(n core.Naming) (string, error) { return n.Name, nil },
	})
	for name, size := range map[string]int64{"small.bin": 1000, "large.bin": 5<<20 + 1000} {
		content := random(3, size)
		o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(content), Name: name})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		encrypts := s.Engine == s3test.MinIO
		if _, err := field.Bucket().Open(t.Context(), o.Key, core.OpenOptions{}); err == nil && encrypts {
			t.Errorf("%s: it was read without its key", name)
		}
		other, err := encrypt.NewSSEC([]byte("another customer's key, 32 bytes"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := field.Bucket().Open(t.Context(), o.Key, core.OpenOptions{Encryption: other}); err == nil && encrypts {
			t.Errorf("%s: it was read with another key", name)
		}
		if stat, err := field.Stat(t.Context(), o.Key); err != nil || stat.Size != size || stat.Name != name {
			t.Errorf("%s: it is %+v, %v", name, stat, err)
		}
		f, err := field.Open(t.Context(), o.Key, core.OpenOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(f); err != nil || !bytes.Equal(got.Bytes(), content) || f.Size != size {
			t.Errorf("%s: read %d of %d bytes, %v", name, got.Len(), f.Size, err)
		}
		_ = f.Close()

		ctx, txn := begin(t)
		if _, err := field.Save(ctx, core.Upload{Body: strings.NewReader("new"), Name: name, Replace: true}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := txn.Commit(ctx); err != nil {
			t.Errorf("%s: a replacement in a transaction: %v", name, err)
		}
		if got := string(mustRead(t, field.Bucket(), o.Key, core.OpenOptions{Encryption: key})); got != "new" {
			t.Errorf("%s: after the replacement it holds %d bytes", name, len(got))
		}
	}
}

func TestLocksKeepAnObject(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{}) // its objects cannot be removed for a while
	client := s.Client(t)
	const bucket = "locked-bucket"
	if err := client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: s.Region, ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	b := openStoreOn(t, s, s.Endpoint).Bucket(bucket)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	options := core.ObjectOptions{Retention: core.Retention{Mode: minio.Governance, Until: until}, LegalHold: true}
	for how, size := range sizes {
		o, err := b.Save(t.Context(), how, core.Upload{Body: bytes.NewReader(random(4, size)), Options: options})
		if err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		mode, at := retention(t, client, bucket, o)
		if mode != "GOVERNANCE" || !at.Equal(until) {
			t.Errorf("%s: it is kept by %q until %s; want GOVERNANCE until %s", how, mode, at, until)
		}
		hold, err := client.GetObjectLegalHold(t.Context(), bucket, o.Key.String(), minio.GetObjectLegalHoldOptions{VersionID: o.VersionID})
		if err != nil || *hold != minio.LegalHoldEnabled {
			t.Errorf("%s: the legal hold is %v, %v", how, hold, err)
		}
		if err := client.RemoveObject(t.Context(), bucket, o.Key.String(), minio.RemoveObjectOptions{VersionID: o.VersionID}); err == nil {
			t.Errorf("%s: a locked version was removed", how)
		}
	}
	ctx, txn := begin(t)
	o, err := b.Save(ctx, "replaced", core.Upload{Body: strings.NewReader("x"), Replace: true, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(ctx); err != nil {
		t.Errorf("a replacement in a transaction: %v", err)
	}
	stat, err := b.Stat(t.Context(), o.Key)
	if err != nil {
		t.Fatal(err)
	}
	if mode, at := retention(t, client, bucket, stat); mode != "GOVERNANCE" || !at.Equal(until) {
		t.Errorf("the replacement is kept by %q until %s, want GOVERNANCE until %s", mode, at, until)
	}
}

// retention returns the lock of an object as its headers have it.
func retention(t *testing.T, client *minio.Client, bucket string, o core.Object) (mode string, until time.Time) {
	t.Helper()
	info, err := client.StatObject(t.Context(), bucket, o.Key.String(), minio.StatObjectOptions{VersionID: o.VersionID})
	if err != nil {
		t.Fatal(err)
	}
	until, err = time.Parse(time.RFC3339, info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if err != nil {
		t.Errorf("%s is kept until %v", o.Key, err)
	}
	return info.Metadata.Get("X-Amz-Object-Lock-Mode"), until
}

func TestO13AVersionedBucketKeepsWhatWasReplaced(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	if err := s.Client(t).EnableVersioning(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	first := save(t, b, "a.txt", "first")
	second := saveIn(t.Context(), t, b, "a.txt", "second", true)
	if first.VersionID == "" || first.VersionID == second.VersionID {
		t.Fatalf("the versions are %q and %q", first.VersionID, second.VersionID)
	}
	if err := b.Delete(t.Context(), first.Key); err != nil {
		t.Fatal(err)
	}
	if ok, err := b.Exists(t.Context(), first.Key); ok || err != nil {
		t.Errorf("after its deletion it exists: %t, %v", ok, err)
	}
	for version, want := range map[string]string{first.VersionID: "first", second.VersionID: "second"} {
		if got := string(mustRead(t, b, first.Key, core.OpenOptions{VersionID: version})); got != want {
			t.Errorf("version %s holds %q, want %q", version, got, want)
		}
		if _, body := fetch(t, mustURL(t, b, first.Key, core.URLOptions{VersionID: version})); body != want {
			t.Errorf("the URL of version %s gives %.100q, want %q", version, body, want)
		}
	}
	_, err := b.Open(t.Context(), first.Key, core.OpenOptions{})
	wantKind(t, "open without a version", err, core.ErrNotFound)
	// The embedded engine takes a delete marker for an object.
	if again := save(t, b, "a.txt", "third"); again.Key != first.Key && s.Engine == s3test.MinIO {
		t.Errorf("the freed name became %s", again.Key)
	}
}

func TestProgressGrowsUpToTheSize(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	for how, size := range sizes {
		var told []int64
		_, err := store.Bucket(bucket).Save(t.Context(), how, core.Upload{
			Body: bytes.NewReader(random(5, size)), Options: core.ObjectOptions{Progress: func(n int64) { told = append(told, n) }},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(told) == 0 || told[len(told)-1] != size {
			t.Errorf("%s: the last of %d reports is not %d", how, len(told), size)
		}
		for i := 1; i < len(told); i++ {
			if told[i] <= told[i-1] {
				t.Errorf("%s: after %d bytes it reported %d", how, told[i-1], told[i])
			}
		}
	}
}
