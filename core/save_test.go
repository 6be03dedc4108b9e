package core_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// openStore returns a Store on this test's engine and a fresh bucket.
func openStore(t testing.TB, change ...func(*core.Config)) (*core.Store, string) {
	t.Helper()
	s := s3test.Start(t)
	return openStoreOn(t, s, s.Endpoint, change...), s.Bucket(t)
}

func openStoreOn(t testing.TB, s *s3test.Server, endpoint string, change ...func(*core.Config)) *core.Store {
	t.Helper()
	c := core.Config{
		Endpoint: endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	}
	for _, f := range change {
		f(&c)
	}
	store, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// random returns n bytes that differ from test to test but not from run to run.
func random(seed uint64, n int64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func mustRead(t testing.TB, b *core.Bucket, key core.Key, options core.OpenOptions) []byte {
	t.Helper()
	f, err := b.Open(context.Background(), key, options)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return content
}

func TestASavedFileComesBackByteForByte(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: core.Unlimited})
	for _, size := range []int64{1, 511, 512, 513, 64<<10 - 1, 64 << 10, 64<<10 + 1, 5<<20 - 1, 5 << 20, 5<<20 + 1, 11<<20 + 7} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			t.Parallel()
			want := random(uint64(size), size)
			o, err := field.Save(t.Context(), core.Upload{Body: iotest.HalfReader(bytes.NewReader(want)), Name: "data.bin"})
			if err != nil {
				t.Fatal(err)
			}
			if o.Size != size {
				t.Errorf("size is %d, want %d", o.Size, size)
			}
			if got := mustRead(t, field.Bucket(), o.Key, core.OpenOptions{}); sha256.Sum256(got) != sha256.Sum256(want) {
				t.Errorf("content differs: got %d bytes", len(got))
			}
		})
	}
}

func TestAStoredObjectKeepsWhatIsKnownAboutIt(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, Options: core.ObjectOptions{
		Metadata: map[string]string{"owner": "Zoë 100%", "plain": "abc", "looks": "%C3%BC"}, CacheControl: "max-age=60",
		Tags: map[string]string{"kind": "note"},
	}})
	saved, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("hello, world"), Name: "grüße an \"alle\".txt"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := field.Bucket().Stat(t.Context(), saved.Key)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "grüße an \"alle\".txt" || got.Type != "text/plain" || got.Size != 12 || got.ETag != saved.ETag || got.CRC32C != saved.CRC32C {
		t.Errorf("stat gives %+v, want what Save gave: %+v", got, saved)
	}
	for name, want := range map[string]string{"owner": "Zoë 100%", "plain": "abc", "looks": "%C3%BC"} {
		if got.Metadata[name] != want {
			t.Errorf("metadata %s is %q, want %q", name, got.Metadata[name], want)
		}
	}
}

func TestSixteenUploadsOfOneNameKeepTheirOwnContent(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1 << 10, 5<<20 + 100<<10} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			t.Parallel()
			rounds := 50
			if size > 1<<20 {
				rounds = 2
			}
			store, bucket := openStore(t)
			field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: core.KeepName, MaxSize: core.GiB})
			for round := range rounds {
				name := fmt.Sprintf("report-%d.bin", round)
				var wait sync.WaitGroup
				objects := make([]core.Object, 16)
				errs := make([]error, 16)
				for i := range objects {
					wait.Go(func() {
						objects[i], errs[i] = field.Save(t.Context(), core.Upload{Body: bytes.NewReader(random(uint64(i), size)), Name: name})
					})
				}
				wait.Wait()
				seen := map[core.Key]bool{}
				for i, o := range objects {
					if errs[i] != nil {
						t.Fatalf("round %d, upload %d: %v", round, i, errs[i])
					}
					if seen[o.Key] {
						t.Fatalf("round %d: key %s was given twice", round, o.Key)
					}
					seen[o.Key] = true
					if !bytes.Equal(mustRead(t, field.Bucket(), o.Key, core.OpenOptions{}), random(uint64(i), size)) {
						t.Fatalf("round %d: %s holds another upload's content", round, o.Key)
					}
				}
				if !seen[mustKey(t, name)] {
					t.Errorf("round %d: nobody got the plain name", round)
				}
			}
		})
	}
}

func mustKey(t testing.TB, s string) core.Key {
	t.Helper()
	key, err := core.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSavesBesideDeletionsInOneFolderSucceed(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			for i := range 50 { // each is the folder's last object now and then
				name := fmt.Sprintf("folder/within/%d-%d", n, i)
				o, err := b.Save(t.Context(), name, core.Upload{Body: strings.NewReader("x")})
				if err == nil {
					err = b.Delete(t.Context(), o.Key)
				}
				// MinIO answers AccessDenied when, rarely, a folder goes just then; that
				// cannot be told from a policy's refusal, and is not tried again.
				if err != nil && core.KindOf(err) != core.ErrDenied {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	wait.Wait()
	wantLeft(t, bucket)
}
