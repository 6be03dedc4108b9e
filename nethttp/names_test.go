package nethttp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// extended escapes every byte of a name for filename*.
func extended(name string) string {
	var b strings.Builder
	for i := range len(name) {
		fmt.Fprintf(&b, "%%%02X", name[i])
	}
	return "UTF-8''" + b.String()
}

// keepingApp names files as their senders did.
func keepingApp(t testing.TB) *app {
	t.Helper()
	return newApp(t, appConfig{field: func(c *core.FieldConfig) {
		c.UploadTo = core.Prefix("some/folder/", core.KeepName)
	}})
}

func TestARandomKeyTellsNothingOfTheName(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	gzip := []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00")
	for _, row := range []struct {
		name    string
		content []byte
		ext     string
	}{
		{"secret report.txt", []byte("text"), ".txt"},
		{"secret.PNG", png, ".png"},
		{"secret.php", png, ".png"},
		{"secret.png", []byte("text"), ".txt"},
		{"secret.php", []byte("text"), ".txt"},
		{"secret.html", []byte("<html><script>"), ""},
		{"secret.svg", []byte("<svg onload=alert(1)>"), ""},
		{"secret.js", []byte("alert(1)"), ".txt"},
		{"secret.exe", []byte("\x00\x01\x02\x03"), ""},
		{"secret.tar.gz", gzip, ".tar.gz"},
		{"secret." + strings.Repeat("x", 30), []byte("\x00\x01\x02\x03"), ""},
		{"secret", []byte("\x00\x01\x02\x03"), ""},
	} {
		t.Run(row.name+" with "+fmt.Sprintf("%.8q", row.content), func(t *testing.T) {
			newBody().file("file", row.name, row.content).post(t, a).want(t, http.StatusCreated, 0)
			got := a.stored(t)
			random, ok := strings.CutSuffix(got.Key.String(), row.ext)
			if !ok || !regexp.MustCompile(`^[a-z2-7]{26}$`).MatchString(random) {
				t.Errorf("the key is %q, want 26 random characters and %q", got.Key, row.ext)
			}
			if got.Name != row.name {
				t.Errorf("the name kept is %q, want %q", got.Name, row.name)
			}
		})
	}
}

func TestK1AnUploadToCannotLeaveItsPlace(t *testing.T) {
	t.Parallel()
	a, recorder := recordedApp(t, appConfig{field: func(c *core.FieldConfig) {
		c.UploadTo = func(n core.Naming) (string, error) { return n.Form.Get("key"), nil }
	}})
	for _, made := range []string{
		"../x", "a/../x", "a/..", "..", ".", "/abs", "/tmp/path", "/tmp/../path", `\abs`, `C:\x`, `c:/x`, `a\..\b`, `tmp\..\path`,
		"", "a/", "some/folder/", "a//b", "a/./b", "./a", "a\nb", "a\r\nX: y", "a\x7fb", "a\u0085b",
		strings.Repeat("x", 256), strings.Repeat("x/", 1000) + "x", strings.Repeat("x", 2000), "a\xffb",
	} {
		t.Run(fmt.Sprintf("%.40q", made), func(t *testing.T) {
			res := newBody().text("key", made).file("file", "a.txt", []byte("content")).post(t, a)
			res.want(t, http.StatusBadRequest, core.ErrName)
			if len(res.problem.Errors) != 1 || res.problem.Errors[0].Field != "file" {
				t.Errorf("the problem's errors are %+v, want one of the field file", res.problem.Errors)
			}
		})
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("storage saw %d requests, want none: %+v", n, recorder.Requests())
	}
}

func TestAnUploadToThatKeepsNamesRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	a, recorder := recordedApp(t, appConfig{})
	declare := func(model string, upload core.UploadTo) *core.Field {
		return a.store.Field(core.FieldConfig{Name: "file", Model: model, Bucket: a.bucket, UploadTo: upload})
	}
	save := func(field *core.Field, name string) error {
		_, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("content"), Name: name})
		return err
	}
	folder := declare("folder", core.Prefix("some/folder/", core.KeepName))
	absolute := declare("absolute", func(n core.Naming) (string, error) { return "/tmp/" + n.Name, nil })
	for _, name := range []string{
		"../path", "/tmp/path", "/tmp/../path", "tmp/../path", `tmp\..\path`, `\tmp\..\path`, "/tmp/..", "/tmp/.", "",
		"..", ".", "???", "$.$.$", "a/..", `a\..\b`, `\abs`, `C:\x`,
	} {
		if err := save(folder, name); core.KindOf(err) != core.ErrName {
			t.Errorf("saving %q below some/folder/: got %v, want a bad name", name, err)
		}
	}
	for _, name := range []string{"path", "../path", "???", "$.$.$", "..", ".", ""} {
		if err := save(absolute, name); core.KindOf(err) != core.ErrName {
			t.Errorf("saving %q at an absolute place: got %v, want a bad name", name, err)
		}
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("storage saw %d requests, want none", n)
	}
}

func TestABucketsNamesAreNormalised(t *testing.T) {
	t.Parallel()
	a, recorder := recordedApp(t, appConfig{})
	save := func(name string) (core.Object, error) {
		return a.field.Bucket().Save(t.Context(), name, core.Upload{Body: strings.NewReader("content")})
	}
	for _, name := range []string{
		"path/to/../test.file", "/path/to/test.file", "tmp/../path", `tmp\..\path`, "/tmp/../path", `\tmp\..\path`,
		"/tmp/..", "/tmp/.", "", "a/..", "a/.", "..", ".", `a\..\b`, `\abs`, `C:\x`, "nul\x00.txt",
	} {
		if _, err := save(name); core.KindOf(err) != core.ErrName {
			t.Errorf("saving %q: got %v, want a bad name", name, err)
		}
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("storage saw %d requests, want none", n)
	}
	for name, key := range map[string]string{
		"a//b.txt": "a/b.txt", "./a.txt": "a.txt", "c/./b.txt": "c/b.txt", `d\b.txt`: "d/b.txt", "with space.txt": "with space.txt",
	} {
		if got, err := save(name); err != nil || got.Key.String() != key {
			t.Errorf("saving %q: got key %q and %v, want %q", name, got.Key, err, key)
		}
	}
}

func TestAnUploadToMayIgnoreADangerousName(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{field: func(c *core.FieldConfig) {
		c.UploadTo = func(core.Naming) (string, error) { return "test.txt", nil }
	}})
	for _, name := range []string{
		"/tmp/.", "/tmp/..", "/tmp/../path", "/tmp/path", "some/folder/", "some/folder/.", "some/folder/..",
		"some/folder/???", "some/folder/$.$.$", "some/../test.txt", "",
	} {
		o, err := a.field.Save(t.Context(), core.Upload{Body: strings.NewReader("x"), Name: name, Replace: true})
		if err != nil || o.Key.String() != "test.txt" {
			t.Errorf("saving %q: got key %q and %v, want test.txt", name, o.Key, err)
		}
	}
}

func TestAnUploadToDecidesOnceAndExactly(t *testing.T) {
	t.Parallel()
	const odd = `mys3folder/not/a/folder/my-file-key\with odd characters`
	var calls atomic.Int32
	a := newApp(t, appConfig{field: func(c *core.FieldConfig) {
		c.UploadTo = func(n core.Naming) (string, error) {
			calls.Add(1)
			if n.Name == "plain.txt" {
				return odd, nil
			}
			return "some/folder/" + n.Name, nil
		}
	}})
	newBody().file("file", "plain.txt", []byte("x")).post(t, a).want(t, http.StatusCreated, 0)
	if got := a.stored(t); got.Key.String() != odd {
		t.Errorf("the key is %q, want %q", got.Key, odd)
	}
	newBody().file("file", "test with space.txt", []byte("x")).post(t, a).want(t, http.StatusCreated, 0)
	if got := a.stored(t); got.Key.String() != "some/folder/test_with_space.txt" {
		t.Errorf("the key is %q, want some/folder/test_with_space.txt", got.Key)
	}
	if calls.Load() != 2 {
		t.Errorf("UploadTo was called %d times for two files, want 2", calls.Load())
	}
}

func TestATakenNameGetsAnAlternative(t *testing.T) {
	t.Parallel()
	const x = `_[A-Za-z0-9]{7}`
	for _, row := range []struct {
		wanted string
		taken  bool
		max    int
		want   string // a pattern; "": refused
	}{
		{"a.txt", false, 0, `a\.txt`},
		{"tests/multiple_files.txt", true, 0, `tests/multiple_files` + x + `\.txt`},
		{"tests/multiple_files_many_extensions.tar.gz", true, 0, `tests/multiple_files_many_extensions` + x + `\.tar\.gz`},
		{"dotted.path/test", true, 0, `dotted\.path/test` + x},
		{"dotted.path/.test", true, 0, `dotted\.path/\.test` + x},
		{"tests/filename.ext", true, 20, `tests/fi` + x + `\.ext`},
		{"tests/short.longext", true, 20, ""},
		{"tests/abcdefghijklmnop.txt", false, 20, `tests/ab` + x + `\.txt`},
		{"report v1.2 final.pdf", true, 0, `report v1\.2 final` + x + `\.pdf`},
		{"2024.01.15.meeting.notes.docx", true, 0, `2024\.01\.15\.meeting\.notes` + x + `\.docx`},
		{strings.Repeat("n", 251) + ".txt", false, 1000, strings.Repeat("n", 251) + `\.txt`},
		{strings.Repeat("m", 251) + ".txt", true, 1000, strings.Repeat("m", 243) + x + `\.txt`},
	} {
		t.Run(fmt.Sprintf("%.50s of at most %d bytes, taken %v", row.wanted, row.max, row.taken), func(t *testing.T) {
			t.Parallel()
			a := newApp(t, constantKey(row.wanted, row.max))
			if row.taken {
				take(t, a, row.wanted, "the first")
			}
			res := newBody().file("file", "x", []byte("the second")).post(t, a)
			if row.want == "" {
				res.want(t, http.StatusBadRequest, core.ErrName)
				return
			}
			res.want(t, http.StatusCreated, 0)
			got := a.stored(t).Key
			if !regexp.MustCompile("^" + row.want + "$").MatchString(got.String()) {
				t.Errorf("the key is %q, want %s", got, row.want)
			}
			if content := read(t, a, got); content != "the second" {
				t.Errorf("%s holds %q, want the second", got, content)
			}
			if row.taken {
				if content := read(t, a, mustKey(t, row.wanted)); content != "the first" {
					t.Errorf("%s holds %q now, want the first", row.wanted, content)
				}
			}
		})
	}
}

func TestAReplacementIsWhole(t *testing.T) {
	t.Parallel()
	a := newApp(t, constantKey("test_long_file_name.txt", 10))
	replace := func(a *app, content string) (core.Object, error) {
		return a.field.Save(t.Context(), core.Upload{Body: strings.NewReader(content), Name: "x", Replace: true})
	}
	for _, content := range []string{"a long first content", "short"} {
		got, err := replace(a, content)
		if err != nil || got.Key.String() != "test_l.txt" {
			t.Fatalf("got key %q and %v, want test_l.txt", got.Key, err)
		}
		if stored := read(t, a, got.Key); stored != content {
			t.Errorf("stored %q, want %q", stored, content)
		}
	}
	if got, err := replace(newApp(t, constantKey("file_name.longext", 5)), "x"); core.KindOf(err) != core.ErrName {
		t.Errorf("got key %q and %v, want a bad name", got.Key, err)
	}
}

func TestTwoWhoWantOneNameBothGetTheirs(t *testing.T) {
	t.Parallel()
	a := keepingApp(t)
	var wg sync.WaitGroup
	for _, content := range []string{"first", "second"} {
		wg.Go(func() {
			newBody().file("file", "conflict", []byte(content)).post(t, a).want(t, http.StatusCreated, 0)
		})
	}
	wg.Wait()
	objects, _ := s3test.Leftovers(t, a.engine, a.bucket)
	pattern := regexp.MustCompile(`^some/folder/conflict,some/folder/conflict_[A-Za-z0-9]{7}$`)
	if !pattern.MatchString(strings.Join(objects, ",")) {
		t.Fatalf("the bucket holds %q, want conflict and one alternative", objects)
	}
	contents := read(t, a, mustKey(t, objects[0])) + read(t, a, mustKey(t, objects[1]))
	if contents != "firstsecond" && contents != "secondfirst" {
		t.Errorf("the two hold %q, want both contents", contents)
	}
}

// recordedApp is an app whose requests to storage are recorded.
func recordedApp(t testing.TB, c appConfig) (*app, *s3test.Recorder) {
	t.Helper()
	recorder := s3test.Start(t).Recorder(t)
	store := c.store
	c.store = func(config *core.Config) {
		config.Endpoint = recorder.Endpoint()
		if store != nil {
			store(config)
		}
	}
	return newApp(t, c), recorder
}

// constantKey is an app whose files all want one key, of at most max bytes.
func constantKey(key string, max int) appConfig {
	return appConfig{field: func(c *core.FieldConfig) {
		c.MaxKeyLength = max
		c.UploadTo = func(core.Naming) (string, error) { return key, nil }
	}}
}

func mustKey(t testing.TB, s string) core.Key {
	t.Helper()
	key, err := core.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func take(t testing.TB, a *app, key, content string) {
	t.Helper()
	_, err := a.engine.Client(t).PutObject(t.Context(), a.bucket, key, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, a *app, key core.Key) string {
	t.Helper()
	f, err := a.field.Open(context.WithoutCancel(t.Context()), key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
