package core_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestAWalkGoesOnBehindAKey(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	for _, name := range []string{"a/1", "a/2", "a/3", "a/4", "b/1"} {
		save(t, b, name, "x")
	}
	for _, c := range []struct {
		name    string
		options core.WalkOptions
		want    []string
	}{
		{"from the beginning", core.WalkOptions{}, []string{"a/1", "a/2", "a/3", "a/4", "b/1"}},
		{"behind an object", core.WalkOptions{After: "a/2"}, []string{"a/3", "a/4", "b/1"}},
		{"behind what is no object", core.WalkOptions{After: "a/2x"}, []string{"a/3", "a/4", "b/1"}},
		{"below a prefix", core.WalkOptions{Prefix: "a/", After: "a/3"}, []string{"a/4"}},
		{"behind all", core.WalkOptions{After: "c"}, nil},
		{"behind all of a prefix", core.WalkOptions{Prefix: "a/", After: "b"}, nil},
		{"before a prefix", core.WalkOptions{Prefix: "b/", After: "a/1"}, []string{"b/1"}},
		{"two at a time", core.WalkOptions{Page: 2}, []string{"a/1", "a/2", "a/3", "a/4", "b/1"}},
	} {
		recorder.Reset()
		var got []string
		for o, err := range b.WalkFrom(t.Context(), c.options) {
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got = append(got, o.Key.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if n := recorder.Count("GET"); c.options.Page == 2 && n != 4 { // the fourth sees that nothing comes behind
			t.Errorf("%s: %d requests, want 4", c.name, n)
		}
	}
}

func TestIncompleteUploadsAreListedAndAborted(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	client := minio.Core{Client: s.Client(t)}
	for _, key := range []string{"a/one.bin", "b/two.bin", "b/two.bin"} {
		if _, err := client.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for u, err := range b.IncompleteUploads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, u.Key.String())
		if age := time.Since(u.Started); age < -time.Minute || age > time.Minute {
			t.Errorf("%s was started %s ago", u.Key, age)
		}
		for range 2 { // the second time it is gone already
			if err := b.AbortUpload(t.Context(), u); err != nil {
				t.Errorf("abort %s: %v", u.Key, err)
			}
		}
	}
	if slices.Sort(keys); !slices.Equal(keys, []string{"a/one.bin", "b/two.bin", "b/two.bin"}) {
		t.Errorf("listed %q", keys)
	}
	if _, uploads := s3test.Leftovers(t, s, bucket); len(uploads) > 0 {
		t.Errorf("left behind: %q", uploads)
	}
}

func TestTagsAreReplacedAndReadBack(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	key := save(t, b, "a.txt", "x").Key
	for _, want := range []map[string]string{{"team": "a", "since": "2026-11-25T17:00:00Z"}, {"team": "b"}, {}} {
		if err := b.SetTags(t.Context(), key, want); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Tags(t.Context(), key); !maps.Equal(got, want) || err != nil {
			t.Errorf("tags are %v, %v; want %v", got, err, want)
		}
	}
	_, err := b.Tags(t.Context(), mustKey(t, "not-there"))
	wantKind(t, "tags of nothing", err, core.ErrNotFound)
	wantKind(t, "eleven tags", b.SetTags(t.Context(), key, manyTags(11)), core.ErrConfig)
	wantKind(t, "no key", b.SetTags(t.Context(), core.Key{}, nil), core.ErrName)
}

func manyTags(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprintf("tag-%d", i)] = "x"
	}
	return tags
}

// listed returns an object as a listing has it.
func listed(t *testing.T, b *core.Bucket, key core.Key) core.Object {
	t.Helper()
	for o, err := range b.Walk(t.Context(), key.String()) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Key == key {
			return o
		}
	}
	t.Fatalf("%s is not listed", key)
	return core.Object{}
}

func TestOnlyAnObjectThatIsUnchangedIsDeleted(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	for _, name := range []string{"a.txt", "ü ö/100% [1]+?.txt", "dir/with space"} {
		seen := listed(t, b, save(t, b, name, "first").Key)
		if seen.SavedHere() {
			t.Errorf("%s: a listing cannot tell who wrote it", name)
		}
		if o, err := b.Stat(t.Context(), seen.Key); err != nil || !o.SavedHere() {
			t.Errorf("%s: SavedHere is %t, %v; want true", name, o.SavedHere(), err)
		}
		if same, err := b.Unchanged(t.Context(), seen); !same || err != nil {
			t.Errorf("%s: Unchanged is %t, %v; want true", name, same, err)
		}
		if _, err := b.Save(t.Context(), name, core.Upload{Body: strings.NewReader("second"), Replace: true}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, name+", replaced", b.DeleteUnchanged(t.Context(), seen), core.ErrPrecondition)
		if got := string(mustRead(t, b, seen.Key, core.OpenOptions{})); got != "second" {
			t.Errorf("%s holds %q", name, got)
		}
		if err := b.DeleteUnchanged(t.Context(), listed(t, b, seen.Key)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if exists, err := b.Exists(t.Context(), seen.Key); exists || err != nil {
			t.Errorf("%s: it exists: %t, %v", name, exists, err)
		}
		wantKind(t, name+", gone", b.DeleteUnchanged(t.Context(), seen), core.ErrPrecondition)
	}
}

func TestABucketTellsItsTimeAndItsVersioning(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	now, err := b.Clock(t.Context())
	if off := time.Since(now); err != nil || off < -2*time.Second || off > 5*time.Second {
		t.Errorf("the storage's clock is off by %s, %v", off, err)
	}
	if v, err := b.Versioning(t.Context()); v != core.VersioningOff || err != nil {
		t.Errorf("versioning is %q, %v; want off", v, err)
	}
	if err := s.Client(t).EnableVersioning(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Versioning(t.Context()); v != core.VersioningOn || err != nil {
		t.Errorf("versioning is %q, %v; want on", v, err)
	}
	_, err = store.Bucket("no-such-bucket").Clock(t.Context())
	wantKind(t, "the clock of no bucket", err, core.ErrBucketMissing)
}

func TestFieldsAreListedInOrder(t *testing.T) {
	t.Parallel()
	store := offlineStore(t)
	for _, c := range []core.FieldConfig{{Name: "b", Bucket: "photos"}, {Name: "a", Bucket: "photos"}, {Name: "z", Model: "m", Bucket: "avatars"}} {
		store.Field(c)
	}
	var names []string
	for _, f := range store.Fields() {
		names = append(names, f.Name())
	}
	if want := []string{"z", "a", "b"}; !slices.Equal(names, want) {
		t.Errorf("the fields are %q, want %q", names, want)
	}
	if got := store.TokenExpiry(); got != 24*time.Hour {
		t.Errorf("tokens live for %s, want 24h", got)
	}
}
