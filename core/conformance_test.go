package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// What every storage of a file field has to do, whatever is underneath: the
// behaviour of Django's storages, and what they get wrong put right.

// save stores content under a name and fails the test where that fails.
func save(t testing.TB, b *core.Bucket, name, content string) core.Object {
	t.Helper()
	o, err := b.Save(t.Context(), name, core.Upload{Body: strings.NewReader(content)})
	if err != nil {
		t.Fatalf("save %q: %v", name, err)
	}
	return o
}

// wantKind checks that an error is of a kind and of no other.
func wantKind(t testing.TB, what string, err error, kind core.Kind) {
	t.Helper()
	if core.KindOf(err) != kind {
		t.Errorf("%s: the error is %v (%s), want %s", what, err, core.KindOf(err).Code(), kind.Code())
	}
}

// recorded returns a Store whose requests go through a recorder, and a fresh bucket.
func recorded(t testing.TB, change ...func(*core.Config)) (*s3test.Recorder, *core.Store, string) {
	t.Helper()
	s := s3test.Start(t)
	r := s.Recorder(t)
	return r, openStoreOn(t, s, r.Endpoint(), change...), s.Bucket(t)
}

func TestAFileExistsFromItsSaveToItsDeletion(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b, key := store.Bucket(bucket), mustKey(t, "dir/a.txt")
	exists := func(want bool, when string) {
		t.Helper()
		if got, err := b.Exists(t.Context(), key); got != want || err != nil {
			t.Errorf("%s: Exists is %t, %v; want %t", when, got, err, want)
		}
	}
	exists(false, "before the save")
	save(t, b, "dir/a.txt", "content")
	exists(true, "after the save")
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	exists(false, "after the deletion")
	if err := b.Delete(t.Context(), key); err != nil {
		t.Errorf("a second deletion is %v, want nil", err)
	}
}

func TestAMissingFileIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	save(t, b, "dir/file.txt", "content")
	for _, name := range []string{"missing.txt", "dir", "dir/missing.txt"} {
		f, err := b.Open(t.Context(), mustKey(t, name), core.OpenOptions{})
		wantKind(t, "open "+name, err, core.ErrNotFound)
		if f != nil {
			t.Errorf("open %s gives a reader for what does not exist", name)
		}
		_, err = b.Stat(t.Context(), mustKey(t, name))
		wantKind(t, "stat "+name, err, core.ErrNotFound)
		if err := b.Delete(t.Context(), mustKey(t, name)); err != nil {
			t.Errorf("delete %s is %v, want nil", name, err)
		}
		_, err = b.Copy(t.Context(), mustKey(t, name), b, mustKey(t, "copy"), core.Replace)
		wantKind(t, "copy "+name, err, core.ErrNotFound)
	}
	if ok, err := b.Exists(t.Context(), mustKey(t, "dir/file.txt")); !ok || err != nil {
		t.Errorf("after deleting the folder's name its file exists: %t, %v; want true", ok, err)
	}
}

func TestTheZeroKeyNamesNothing(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b, none, some := store.Bucket(bucket), core.Key{}, mustKey(t, "a")
	_, err := b.Open(t.Context(), none, core.OpenOptions{})
	wantKind(t, "open", err, core.ErrName)
	_, err = b.Stat(t.Context(), none)
	wantKind(t, "stat", err, core.ErrName)
	_, err = b.Exists(t.Context(), none)
	wantKind(t, "exists", err, core.ErrName)
	_, err = b.URL(t.Context(), none, core.URLOptions{})
	wantKind(t, "url", err, core.ErrName)
	_, err = b.Copy(t.Context(), none, b, some, core.KeepExisting)
	wantKind(t, "copy", err, core.ErrName)
	_, err = b.Move(t.Context(), none, b, some, core.KeepExisting)
	wantKind(t, "move", err, core.ErrName)
	wantKind(t, "delete", b.Delete(t.Context(), none), core.ErrName)
	if n := recorder.Count(""); n != 0 {
		t.Errorf("%d requests were made for nothing", n)
	}
	save(t, b, "a", "content")
	_, err = b.Copy(t.Context(), some, b, none, core.KeepExisting)
	wantKind(t, "copy to nothing", err, core.ErrName)
}

func TestK1DangerousNamesAreRefusedWithoutARequest(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	for _, name := range []string{
		"", ".", "..", "a/", "a/..", "../a", "a/../b", `a\..\b`, "/etc/passwd", `\etc\passwd`, `C:\x`, "nul\x00.txt", "a\nb",
		"bad\xff.txt", strings.Repeat("x", 256), strings.Repeat("x/", 600) + "y",
	} {
		_, err := b.Save(t.Context(), name, core.Upload{Body: strings.NewReader("x")})
		wantKind(t, fmt.Sprintf("save %.20q", name), err, core.ErrName)
	}
	for _, dir := range []string{"..", "../a", "a/..", "/etc", `\etc`, `a\..\..`, "C:/", "a\x00"} {
		for _, err := range b.List(t.Context(), dir) {
			wantKind(t, fmt.Sprintf("list %q", dir), err, core.ErrName)
		}
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("%d requests were made for names that are refused", n)
	}
}

func TestNamesAreNormalisedAndKeepTheirCase(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	for name, want := range map[string]string{
		"a//b.txt": "a/b.txt", "./c.txt": "c.txt", "d/./e.txt": "d/e.txt", `f\g.txt`: "f/g.txt",
		"MiXeD_cAsE.txt": "MiXeD_cAsE.txt", "mixed_case.txt": "mixed_case.txt", "Dir/A": "Dir/A", "dir/a": "dir/a",
		"very/deeply/nested/name.txt": "very/deeply/nested/name.txt", "ãlöhâ.jpg": "ãlöhâ.jpg",
	} {
		o := save(t, b, name, "content of "+want)
		if o.Key.String() != want {
			t.Errorf("%q is stored as %q, want %q", name, o.Key, want)
		}
		if got := string(mustRead(t, b, o.Key, core.OpenOptions{})); got != "content of "+want {
			t.Errorf("%q holds %q, want its own content", want, got)
		}
	}
}

// names collects a listing: folders with a slash, then it fails the test on an error.
func names(t testing.TB, entries iter.Seq2[core.Entry, error]) []string {
	t.Helper()
	var out []string
	for e, err := range entries {
		if err != nil {
			t.Fatal(err)
		}
		name := e.Name
		if e.Dir {
			name += "/"
		}
		if e.Dir == !e.Object.Key.IsZero() {
			t.Errorf("entry %q is a folder: %t, and has the object %+v", e.Name, e.Dir, e.Object)
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestAListingIsOneLevelDeep(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	for _, name := range []string{"top.txt", "a/one.txt", "a/two.txt", "a/b/deep.txt", "ab/other.txt", ".hidden/x", "dots../y"} {
		save(t, b, name, name)
	}
	client := s3test.Start(t).Client(t)
	if _, err := client.PutObject(t.Context(), bucket, "a/", http.NoBody, 0, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string][]string{
		"":        {".hidden/", "a/", "ab/", "dots../", "top.txt"},
		".":       {".hidden/", "a/", "ab/", "dots../", "top.txt"},
		"a":       {"b/", "one.txt", "two.txt"},
		"a/":      {"b/", "one.txt", "two.txt"},
		"./a/./.": {"b/", "one.txt", "two.txt"},
		"a//b/":   {"deep.txt"},
		".hidden": {"x"},
		"dots..":  {"y"},
		"hidden":  nil,
		"nowhere": nil,
		"top.txt": nil,
	} {
		if got := names(t, b.List(t.Context(), dir)); !slices.Equal(got, want) {
			t.Errorf("List(%q) has %q, want %q", dir, got, want)
		}
	}
	for e, err := range b.List(t.Context(), "a") {
		if err == nil && !e.Dir && (e.Object.Key.String() != "a/"+e.Name || e.Object.Size != int64(len("a/"+e.Name))) {
			t.Errorf("the entry %q has the object %+v", e.Name, e.Object)
		}
	}
	for o, err := range b.Walk(t.Context(), "") {
		if err != nil || strings.HasSuffix(o.Key.String(), "/") {
			t.Errorf("Walk yields %q, %v; a folder's marker is no file", o.Key, err)
		}
	}
}

func TestK4APrefixIsBytesAndNoPattern(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	all := []string{
		"a/a/a", "a/a/b", "a/aaa/a", "g/x*y", "g/xay", "g/q?", "g/qa", "g/[ab]", "g/a", "g/{a,b}", "g/b",
		`g/back\slash`, "g/percent%20", "g/plus+", "g/space key", "g/ü", "g/ampersand&eq=",
	}
	for _, key := range all {
		put(t, bucket, key)
	}
	for prefix, want := range map[string][]string{
		"a/a/": {"a/a/a", "a/a/b"}, "a/a": {"a/a/a", "a/a/b", "a/aaa/a"},
		"g/x*": {"g/x*y"}, "g/q?": {"g/q?"}, "g/[": {"g/[ab]"}, "g/[ab]": {"g/[ab]"}, "g/{": {"g/{a,b}"}, "*": nil, "g/?": nil,
		`g/back\`: {`g/back\slash`}, "g/percent%20": {"g/percent%20"}, "g/percent ": nil, "g/plus ": nil, "g/plus+": {"g/plus+"},
		"g/space ": {"g/space key"}, "g/ü": {"g/ü"}, "g/ampersand&": {"g/ampersand&eq="}, "nowhere": nil,
	} {
		var got []string
		for o, err := range b.Walk(t.Context(), prefix) {
			if err != nil {
				t.Fatalf("walk %q: %v", prefix, err)
			}
			got = append(got, o.Key.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("Walk(%q) yields %q, want %q", prefix, got, want)
		}
	}
}

// put stores an object by the plain client, under any key the engine takes.
func put(t testing.TB, bucket, key string) {
	t.Helper()
	_, err := s3test.Start(t).Client(t).PutObject(t.Context(), bucket, key, strings.NewReader("x"), 1, minio.PutObjectOptions{})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func TestALongListingComesPageByPage(t *testing.T) {
	t.Parallel()
	const files = 1003
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := worker; i < files; i += 8 {
				if _, err := b.Save(t.Context(), fmt.Sprintf("many/%04d", i), core.Upload{Body: strings.NewReader("x")}); err != nil {
					t.Errorf("save %d: %v", i, err)
				}
			}
		})
	}
	wait.Wait()
	recorder.Reset()
	want := 0
	for o, err := range b.Walk(t.Context(), "many/") {
		if err != nil || o.Key.String() != fmt.Sprintf("many/%04d", want) {
			t.Fatalf("at %d Walk yields %q, %v", want, o.Key, err)
		}
		want++
	}
	if n := recorder.Count(""); want != files || n != 3 { // the third sees that nothing comes behind
		t.Errorf("Walk yields %d objects in %d requests, want %d in 3", want, n, files)
	}
	if got := len(names(t, b.List(t.Context(), "many"))); got != files {
		t.Errorf("List yields %d entries, want %d", got, files)
	}
	recorder.Reset()
	for _, err := range b.Walk(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if n := recorder.Count(""); n != 1 {
		t.Errorf("a loop that ends in the first page made %d requests, want 1", n)
	}
}

func TestTimesAreInUTCAndGrow(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b, key := store.Bucket(bucket), mustKey(t, "a.txt")
	saved := save(t, b, "a.txt", "one")
	first, err := b.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for what, at := range map[string]time.Time{"Save": saved.Modified, "Stat": first.Modified} {
		if at.Location() != time.UTC || time.Since(at).Abs() > time.Minute {
			t.Errorf("%s says it was stored at %s, want about now, in UTC", what, at)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := b.Save(t.Context(), "a.txt", core.Upload{Body: strings.NewReader("two"), Replace: true}); err != nil {
			t.Fatal(err)
		}
		second, err := b.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if second.Modified.After(first.Modified) {
			break // a time has whole seconds
		}
		if time.Now().After(deadline) {
			t.Fatalf("rewritten for 10 seconds, the time stays %s", second.Modified)
		}
	}
}

func TestAnEmptyFileIsAFile(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	o := save(t, b, "empty.dat", "")
	if got := mustRead(t, b, o.Key, core.OpenOptions{}); len(got) != 0 {
		t.Errorf("it holds %q", got)
	}
	if o, err := b.Stat(t.Context(), o.Key); err != nil || o.Size != 0 {
		t.Errorf("it is %+v, %v; want no bytes", o, err)
	}
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
	_, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader(""), Name: "empty.txt"})
	wantKind(t, "a field that wants content", err, core.ErrEmpty)
}

func TestTheTypeIsSetByTheAppThenByContentThenByName(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
	for _, c := range []struct{ what, name, explicit, content, want string }{
		{"what the app says", "a.png", "application/x-own", png, "application/x-own"},
		{"what the content says, whatever the name", "a.txt", "", png, "image/png"},
		{"what the name says of text", "a.css", "", "body { color: red }", "text/css"},
		{"text", "a", "", "plain text", "text/plain"},
		{"nothing known", "a.unknown", "", "\x00\x01\x02\x03\xff\xfe", "application/octet-stream"},
	} {
		o, err := b.Save(t.Context(), c.name, core.Upload{Body: strings.NewReader(c.content), Type: c.explicit})
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		stored, err := b.Stat(t.Context(), o.Key)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if o.Type != c.want || stored.Type != c.want {
			t.Errorf("%s: the type is %q, stored %q; want %q", c.what, o.Type, stored.Type, c.want)
		}
	}
}

func TestABodyIsReadFromWhereItStandsAndStaysOpen(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	body := &closeCounter{Reader: strings.NewReader("already read, è")}
	if _, err := io.CopyN(io.Discard, body, 14); err != nil {
		t.Fatal(err)
	}
	o, err := b.Save(t.Context(), "rest.txt", core.Upload{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if o.Size != 2 || string(mustRead(t, b, o.Key, core.OpenOptions{})) != "è" {
		t.Errorf("stored are %d bytes, want the two of what was left", o.Size)
	}
	if body.closed != 0 {
		t.Errorf("Save closed the caller's body %d times", body.closed)
	}
	_, err = b.Save(t.Context(), "none.txt", core.Upload{})
	wantKind(t, "no body at all", err, core.ErrConfig)
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestO7ARefusalIsNoAbsence(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b, key := store.Bucket(bucket), mustKey(t, "a.txt")
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
		return true
	})
	_, err := b.Save(t.Context(), "a.txt", core.Upload{Body: strings.NewReader("x")})
	wantKind(t, "save", err, core.ErrDenied)
	wantKind(t, "delete", b.Delete(t.Context(), key), core.ErrDenied)
	_, err = b.Exists(t.Context(), key)
	wantKind(t, "exists", err, core.ErrDenied)
	_, err = b.Open(t.Context(), key, core.OpenOptions{})
	wantKind(t, "open", err, core.ErrDenied)
	for _, err := range b.Walk(t.Context(), "") {
		wantKind(t, "walk", err, core.ErrDenied)
	}
}

func TestTwoSavesOfOneNameAtOnceAreTwoFiles(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	alternative := regexp.MustCompile(`^conflict_[A-Za-z0-9]{7}$`)
	var wait sync.WaitGroup
	var objects [2]core.Object
	var errs [2]error
	for i := range objects {
		wait.Go(func() {
			content := strings.Repeat(fmt.Sprint(i), 1000)
			objects[i], errs[i] = b.Save(t.Context(), "conflict", core.Upload{Body: strings.NewReader(content)})
		})
	}
	wait.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for i, o := range objects {
		if got, want := string(mustRead(t, b, o.Key, core.OpenOptions{})), strings.Repeat(fmt.Sprint(i), 1000); got != want {
			t.Errorf("%s does not hold the content it was saved with", o.Key)
		}
	}
	plain, other := objects[0].Key.String(), objects[1].Key.String()
	if plain != "conflict" {
		plain, other = other, plain
	}
	if plain != "conflict" || !alternative.MatchString(other) {
		t.Errorf("the keys are %q and %q, want conflict and conflict_XXXXXXX", plain, other)
	}
	if all, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(all) != 2 {
		t.Errorf("the bucket holds %q, want two objects", all)
	}
}

func TestATakenNameGetsAnAlternativeWithItsExtension(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	for name, want := range map[string]string{
		"tests/multiple_files.txt":                    `^tests/multiple_files_[A-Za-z0-9]{7}\.txt$`,
		"tests/multiple_files_many_extensions.tar.gz": `^tests/multiple_files_many_extensions_[A-Za-z0-9]{7}\.tar\.gz$`,
		"dotted.path/test":                            `^dotted\.path/test_[A-Za-z0-9]{7}$`,
		"dotted.path/.test":                           `^dotted\.path/\.test_[A-Za-z0-9]{7}$`,
		"report v1.2 final.pdf":                       `^report v1\.2 final_[A-Za-z0-9]{7}\.pdf$`,
	} {
		if first := save(t, b, name, "first"); first.Key.String() != name {
			t.Errorf("the first %q is %q", name, first.Key)
		}
		second := save(t, b, name, "second")
		if !regexp.MustCompile(want).MatchString(second.Key.String()) {
			t.Errorf("the second %q is %q, want %s", name, second.Key, want)
		}
		if got := string(mustRead(t, b, mustKey(t, name), core.OpenOptions{})); got != "first" {
			t.Errorf("the first %q now holds %q", name, got)
		}
	}
}

func TestAReplacementIsTheNewContentAndNoMore(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	for _, content := range []string{strings.Repeat("a long content ", 5000), "short", strings.Repeat("x", 5<<20+1), "tail?"} {
		o, err := b.Save(t.Context(), "a.txt", core.Upload{Body: strings.NewReader(content), Replace: true})
		if err != nil || o.Key.String() != "a.txt" {
			t.Fatalf("replaced %q: %v", o.Key, err)
		}
		if got := string(mustRead(t, b, o.Key, core.OpenOptions{})); got != content {
			t.Errorf("after a replacement by %d bytes there are %d", len(content), len(got))
		}
	}
}

func TestADeletedNameIsFreeAgain(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	for range 3 {
		o := save(t, b, "dir/a.txt", "content")
		if o.Key.String() != "dir/a.txt" {
			t.Errorf("the key is %q, want the freed name", o.Key)
		}
		if err := b.Delete(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadersOfAReplacedFileSeeTheOldContentOrTheNew(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	contents := [][]byte{bytes.Repeat([]byte("a"), 10<<10), bytes.Repeat([]byte("b"), 200<<10), bytes.Repeat([]byte("c"), 5<<20+1)}
	key := mustKey(t, "a.bin")
	replace := func(i int) error {
		_, err := b.Save(t.Context(), "a.bin", core.Upload{Body: bytes.NewReader(contents[i%3]), Replace: true})
		return err
	}
	if err := replace(0); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				f, err := b.Open(t.Context(), key, core.OpenOptions{})
				if err != nil {
					t.Errorf("a reader got %v", err)
					return
				}
				got, err := io.ReadAll(f)
				_ = f.Close()
				if err != nil || !slices.ContainsFunc(contents, func(c []byte) bool { return bytes.Equal(c, got) }) {
					t.Errorf("a reader got %d bytes, %v; want one of the contents, whole", len(got), err)
					return
				}
			}
		})
	}
	for i := range 30 {
		if err := replace(i + 1); err != nil {
			t.Errorf("replacement %d: %v", i, err)
		}
	}
	close(done)
	readers.Wait()
}
