package core_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestOpenReadsRanges(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	o := save(t, b, "digits.txt", "0123456789")
	for _, c := range []struct {
		name           string
		options        core.OpenOptions
		want           string
		offset, length int64
		kind           core.Kind
	}{
		{"all of it", core.OpenOptions{}, "0123456789", 0, 10, 0},
		{"the first bytes", core.OpenOptions{Length: 4}, "0123", 0, 4, 0},
		{"the first byte", core.OpenOptions{Length: 1}, "0", 0, 1, 0},
		{"from an offset to the end", core.OpenOptions{Offset: 7}, "789", 7, 3, 0},
		{"some in the middle", core.OpenOptions{Offset: 3, Length: 2}, "34", 3, 2, 0},
		{"one in the middle", core.OpenOptions{Offset: 5, Length: 1}, "5", 5, 1, 0},
		{"the last byte", core.OpenOptions{Offset: 9}, "9", 9, 1, 0},
		{"more than there is", core.OpenOptions{Offset: 8, Length: 100}, "89", 8, 2, 0},
		{"exactly all", core.OpenOptions{Length: 10}, "0123456789", 0, 10, 0},
		{"the last three", core.OpenOptions{Offset: -3}, "789", 7, 3, 0},
		{"the last one", core.OpenOptions{Offset: -1}, "9", 9, 1, 0},
		{"more from the end than there is", core.OpenOptions{Offset: -100}, "0123456789", 0, 10, 0},
		{"from the very end", core.OpenOptions{Offset: 10}, "", 0, 0, core.ErrRange},
		{"far beyond the end", core.OpenOptions{Offset: 1 << 40, Length: 5}, "", 0, 0, core.ErrRange},
		{"a negative length", core.OpenOptions{Length: -1}, "", 0, 0, core.ErrRange},
		{"an end that overflows", core.OpenOptions{Offset: 1<<63 - 1, Length: 1<<63 - 1}, "", 0, 0, core.ErrRange},
		{"a negative offset with a length", core.OpenOptions{Offset: -5, Length: 2}, "", 0, 0, core.ErrRange},
	} {
		recorder.Reset()
		f, err := b.Open(t.Context(), o.Key, c.options)
		if n := recorder.Count(""); n > 1 {
			t.Errorf("%s: %d requests, want one at most", c.name, n)
		}
		if c.kind != 0 {
			wantKind(t, c.name, err, c.kind)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := io.ReadAll(f)
		if string(got) != c.want || err != nil {
			t.Errorf("%s: read %q, %v; want %q", c.name, got, err, c.want)
		}
		if f.Offset != c.offset || f.Length != c.length || f.Size != 10 {
			t.Errorf("%s: offset %d, length %d of %d; want %d, %d of 10", c.name, f.Offset, f.Length, f.Size, c.offset, c.length)
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: close: %v", c.name, err)
		}
	}
}

func TestConditionalReadsAreOneRequest(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	o, err := b.Stat(t.Context(), save(t, b, "a.txt", "content").Key)
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Hour
	for _, c := range []struct {
		name    string
		options core.OpenOptions
		kind    core.Kind
	}{
		{"the copy at hand is current", core.OpenOptions{IfNoneMatch: o.ETag}, core.ErrNotModified},
		{"the copy at hand is old", core.OpenOptions{IfNoneMatch: "0123456789abcdef0123456789abcdef"}, 0},
		{"the object is the one meant", core.OpenOptions{IfMatch: o.ETag}, 0},
		{"the object is another one", core.OpenOptions{IfMatch: "0123456789abcdef0123456789abcdef"}, core.ErrPrecondition},
		{"changed since", core.OpenOptions{IfModifiedSince: o.Modified.Add(-hour)}, 0},
		{"should not have changed, and has not", core.OpenOptions{IfUnmodifiedSince: o.Modified.Add(hour)}, 0},
		{"should not have changed, but has", core.OpenOptions{IfUnmodifiedSince: o.Modified.Add(-hour)}, core.ErrPrecondition},
	} {
		recorder.Reset()
		f, err := b.Open(t.Context(), o.Key, c.options)
		if c.kind != 0 {
			wantKind(t, c.name, err, c.kind)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if f != nil {
			if got, err := io.ReadAll(f); string(got) != "content" || err != nil {
				t.Errorf("%s: read %q, %v", c.name, got, err)
			}
			_ = f.Close()
		}
		if n := recorder.Count(""); n != 1 {
			t.Errorf("%s: %d requests, want 1", c.name, n)
		}
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	o := save(t, b, "a.txt", "content")
	// Servers ignore a time that is still to come, and some compare fractions of
	// a second that no header shows.
	since := o.Modified.Add(time.Second)
	for deadline := time.Now().Add(10 * time.Second); ; {
		f, err := b.Open(t.Context(), o.Key, core.OpenOptions{IfModifiedSince: since})
		if errors.Is(err, core.ErrNotModified) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("asked with If-Modified-Since %s, the answer is %v; want not modified", since, err)
		}
		_ = f.Close()
	}
}

func TestSmallFilesAreStoredWithOneRequest(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: core.KeepName})
	o, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("content"), Name: "a.txt"})
	if err != nil {
		t.Fatal(err)
	}
	if requests := recorder.Requests(); len(requests) != 1 || requests[0].Method != http.MethodPut || requests[0].ContentLength != 7 {
		t.Errorf("the requests are %+v, want one PUT of 7 bytes", requests)
	}
	recorder.Reset()
	if _, err := field.Bucket().Stat(t.Context(), o.Key); err != nil {
		t.Fatal(err)
	}
	if ok, err := field.Bucket().Exists(t.Context(), o.Key); !ok || err != nil {
		t.Errorf("exists: %t, %v", ok, err)
	}
	if n := recorder.Count(""); n != 2 {
		t.Errorf("stat and exists made %d requests, want 2", n)
	}
}

func TestACopyKeepsContentAndWhatIsKnown(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	s := s3test.Start(t)
	from, other := store.Bucket(bucket), store.Bucket(s.Bucket(t))
	o, err := from.Save(t.Context(), "dir/ü &+%.txt", core.Upload{
		Body: strings.NewReader("content"), Name: "its own name.txt",
		Options: core.ObjectOptions{Metadata: map[string]string{"owner": "Zoë"}, Tags: map[string]string{"a": "b"}, CacheControl: "no-cache"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []*core.Bucket{from, other} {
		copied, err := from.Copy(t.Context(), o.Key, to, mustKey(t, "copies/+ü.txt"), core.KeepExisting)
		if err != nil {
			t.Fatal(err)
		}
		if copied.Bucket != to.Name() || copied.Key.String() != "copies/+ü.txt" {
			t.Errorf("the copy is %s/%s", copied.Bucket, copied.Key)
		}
		if copied.Name != o.Name || copied.Type != o.Type || copied.Size != o.Size || copied.Metadata["owner"] != "Zoë" {
			t.Errorf("the copy is %+v, want what is known of %+v", copied, o)
		}
		if got := string(mustRead(t, to, copied.Key, core.OpenOptions{})); got != "content" {
			t.Errorf("the copy holds %q", got)
		}
		if got := string(mustRead(t, from, o.Key, core.OpenOptions{})); got != "content" {
			t.Errorf("the source then holds %q", got)
		}
	}
}

func TestCopyAndMoveRespectWhatIsThere(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	move := map[string]bool{"copy": false, "move": true}
	for what, moves := range move {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			do := b.Copy
			if moves {
				do = b.Move
			}
			from, to := save(t, b, what+"/from", "source").Key, save(t, b, what+"/to", "target").Key
			_, err := do(t.Context(), from, b, to, core.KeepExisting)
			wantKind(t, "onto a taken key", err, core.ErrTaken)
			if got := string(mustRead(t, b, to, core.OpenOptions{})) + string(mustRead(t, b, from, core.OpenOptions{})); got != "targetsource" {
				t.Errorf("after a refusal target and source hold %q", got)
			}
			if _, err := do(t.Context(), from, b, to, core.Replace); err != nil {
				t.Fatalf("replacing: %v", err)
			}
			if got := string(mustRead(t, b, to, core.OpenOptions{})); got != "source" {
				t.Errorf("the target holds %q, want the source's content", got)
			}
			if there, err := b.Exists(t.Context(), from); there == moves || err != nil {
				t.Errorf("the source exists: %t, %v", there, err)
			}
			_, err = do(t.Context(), mustKey(t, "missing"), b, mustKey(t, what+"/free"), core.KeepExisting)
			wantKind(t, "what is missing", err, core.ErrNotFound)
			if there, err := b.Exists(t.Context(), mustKey(t, what+"/free")); there || err != nil {
				t.Errorf("a failed %s left something behind: %t, %v", what, there, err)
			}
		})
	}
}

func TestAMoveOntoItselfKeepsTheFile(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	o := save(t, b, "a", "content")
	for _, mode := range []core.ReplaceMode{core.KeepExisting, core.Replace} {
		if moved, err := b.Move(t.Context(), o.Key, b, o.Key, mode); err != nil || moved.Key != o.Key {
			t.Errorf("moved to %s, %v", moved.Key, err)
		}
	}
	_, err := b.Copy(t.Context(), o.Key, b, o.Key, core.KeepExisting)
	wantKind(t, "a copy onto itself", err, core.ErrTaken)
	if got := string(mustRead(t, b, o.Key, core.OpenOptions{})); got != "content" {
		t.Errorf("it holds %q", got)
	}
}

func TestAFailedMoveKeepsTheSource(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t, func(c *core.Config) { c.Attempts = 1 })
	b := store.Bucket(bucket)
	o := save(t, b, "from", "content")
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Amz-Copy-Source") == "" {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	for _, mode := range []core.ReplaceMode{core.KeepExisting, core.Replace} {
		_, err := b.Move(t.Context(), o.Key, b, mustKey(t, "to"), mode)
		wantKind(t, "move", err, core.ErrUnavailable)
	}
	if objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(objects) != 1 || objects[0] != "from" {
		t.Errorf("the bucket holds %q, want the source alone", objects)
	}
}

func TestMetadataNamesNeverStandForHeaders(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	given := map[string]string{"content-type": "text/html", "cache-control": "public", "x-amz-acl": "public-read", "expires": "never"}
	for what, size := range map[string]int{"one request": 10, "parts": 5<<20 + 1} {
		o, err := b.Save(t.Context(), what, core.Upload{
			Body: strings.NewReader(strings.Repeat("x", size)), Options: core.ObjectOptions{Metadata: given},
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := b.Stat(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		if got.Type != "text/plain" || !maps.Equal(got.Metadata, given) {
			t.Errorf("%s: type %q and metadata %q, want text/plain and %q", what, got.Type, got.Metadata, given)
		}
	}
}

func TestOptionsOfOneSaveAreChecked(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	many := map[string]string{}
	for _, r := range "abcdefghijk" {
		many[string(r)] = "x"
	}
	for what, options := range map[string]core.ObjectOptions{
		"a part size below S3's":      {PartSize: 1 << 20},
		"a part size above S3's":      {PartSize: 6 << 30},
		"less than no parallel parts": {ParallelParts: -1},
		"eleven tags":                 {Tags: many},
		"a tag S3 does not take":      {Tags: map[string]string{"a": "b & c"}},
		"a tag without a name":        {Tags: map[string]string{"": "b"}},
		"the library's own metadata":  {Metadata: map[string]string{"Filefield-Name": "x"}},
		"a name that is no header's":  {Metadata: map[string]string{"a b": "x"}},
		"a name with a line break":    {Metadata: map[string]string{"a\r\nb": "x"}},
		"an empty name":               {Metadata: map[string]string{"": "x"}},
	} {
		_, err := b.Save(t.Context(), "a", core.Upload{Body: strings.NewReader("x"), Options: options})
		wantKind(t, what, err, core.ErrConfig)
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestABodyLongerThanItsAnnouncedLimitIsRefused(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	if _, err := b.Save(t.Context(), "exact", core.Upload{Body: strings.NewReader("12345"), Limit: 5}); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	_, err := b.Save(t.Context(), "long", core.Upload{Body: strings.NewReader("123456"), Limit: 5})
	wantKind(t, "one byte more", err, core.ErrTooLarge)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: 5})
	_, err = field.Save(t.Context(), core.Upload{Body: strings.NewReader("123456"), Limit: 100})
	wantKind(t, "over the field's limit", err, core.ErrTooLarge)
	if objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(objects) != 1 {
		t.Errorf("the bucket holds %q, want the one that fits", objects)
	}
}

func TestAReaderThatGivesNothingForEverIsGivenUp(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	_, err := store.Bucket(bucket).Save(t.Context(), "a", core.Upload{Body: idle{}})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("the error is %v, want io.ErrNoProgress", err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }
