package core_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestAMissingBucketIsMadeByTheFirstSave(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 2)
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PublicBuckets, c.CheckOnSave = names, true })
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { save(t, store.Bucket(names[0]), fmt.Sprintf("%d.txt", i), "content") })
	}
	all.Wait()
	creations := 0
	for _, r := range recorder.Requests() {
		if r.Method == http.MethodPut && r.RawQuery == "" && strings.Trim(r.Path, "/") == names[0] {
			creations++
		}
	}
	if creations != 1 {
		t.Errorf("the bucket was created %d times, want once", creations)
	}
	if got, _ := anonymous(t, http.MethodGet, s.URL()+"/"+names[0]+"/3.txt"); got != http.StatusOK {
		t.Errorf("an object of the public bucket is %d to a stranger, want 200: all that is declared is to be made", got)
	}
	recorder.Reset()
	save(t, store.Bucket(names[0]), "later.txt", "content")
	if n := recorder.Count(""); n != 1 {
		t.Errorf("a later save made %d requests, want 1", n)
	}

	o, err := store.Bucket(names[1]).Save(t.Context(), "long.bin", core.Upload{Body: bytes.NewReader(random(3, 6<<20))})
	if err != nil || o.Size != 6<<20 {
		t.Errorf("a file of two parts into a missing bucket: %d bytes, %v", o.Size, err)
	}
}

func TestABucketThatVanishesIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	name := bucketNames(t, s, 1)[0]
	store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PrivateBuckets, c.CheckOnSave = []string{name}, true })
	for range 2 {
		o := save(t, store.Bucket(name), "a.txt", "content")
		if err := store.Bucket(name).Delete(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
		if err := s.Client(t).RemoveBucket(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutTheSettingNoSaveMakesABucket(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	name := bucketNames(t, s, 1)[0]
	for what, c := range map[string]struct {
		check    bool
		declared []string
		op       func(*core.Bucket) error
	}{
		"a save without the setting": {false, []string{name}, saveOne(t)},
		"an undeclared bucket":       {true, nil, saveOne(t)},
		"a read":                     {true, []string{name}, func(b *core.Bucket) error { _, err := b.Stat(t.Context(), mustKey(t, "a.txt")); return err }},
	} {
		recorder := s.Recorder(t)
		store := openStoreOn(t, s, recorder.Endpoint(), func(config *core.Config) { config.PrivateBuckets, config.CheckOnSave = c.declared, c.check })
		wantKind(t, what, c.op(store.Bucket(name)), core.ErrBucketMissing)
		for _, r := range recorder.Requests() {
			if r.Status < 300 {
				t.Errorf("%s: %s %s succeeded", what, r.Method, r.Path)
			}
		}
	}
}

func saveOne(t *testing.T) func(*core.Bucket) error {
	return func(b *core.Bucket) error {
		_, err := b.Save(t.Context(), "a.txt", core.Upload{Body: strings.NewReader("content")})
		return err
	}
}
