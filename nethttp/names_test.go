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

// named is what a raw file name comes to.
type named struct {
	test        string
	disposition string // behind `form-data; `
	status      int    // 0: 201
	kind        core.Kind
	name        string // the original name kept; "" with status 0: no file was chosen
	key         string // below some/folder/, by KeepName; "": the name itself
}

// quoted is the disposition of a browser, the file name put in as it is.
func quoted(fileName string) string { return `name="file"; filename="` + fileName + `"` }

// keepingApp names files as their senders did.
func keepingApp(t testing.TB) *app {
	t.Helper()
	return newApp(t, appConfig{field: func(c *core.FieldConfig) {
		c.UploadTo = core.Prefix("some/folder/", core.KeepName)
	}})
}

// check posts a file under the row's name and compares what became of it. It
// removes the object, so that every row finds its name free.
func (n named) check(t *testing.T, a *app) {
	t.Helper()
	res := newBody().text("title", "x").raw("form-data; "+n.disposition, []byte("content")).post(t, a)
	if n.status != 0 {
		res.want(t, n.status, n.kind)
		a.leftovers(t)
		return
	}
	res.want(t, http.StatusCreated, 0)
	if n.name == "" {
		if form := <-a.form; len(form["file"]) != 0 || form.Get("title") != "x" {
			t.Errorf("the handler saw %v, want the title alone", form)
		}
		a.leftovers(t)
		return
	}
	got := a.stored(t)
	want := n.key
	if want == "" {
		want = n.name
	}
	if got.Name != n.name || got.Key.String() != "some/folder/"+want {
		t.Errorf("name %q under key %q, want %q under %q", got.Name, got.Key, n.name, "some/folder/"+want)
	}
	object, err := a.field.Bucket().Stat(t.Context(), got.Key)
	if err != nil {
		t.Fatal(err)
	}
	if object.Name != n.name {
		t.Errorf("storage knows the name %q, want %q", object.Name, n.name)
	}
	if err := a.field.Delete(t.Context(), got.Key); err != nil {
		t.Fatal(err)
	}
}

// extended escapes every byte of a name for filename*.
func extended(name string) string {
	var b strings.Builder
	for i := range len(name) {
		fmt.Fprintf(&b, "%%%02X", name[i])
	}
	return "UTF-8''" + b.String()
}

func TestAClientsFileNameIsReadAsBrowsersMeanIt(t *testing.T) {
	t.Parallel()
	const long = "test-0123456789_中文_Orléans.jpg"
	f := func(n int) string { return strings.Repeat("f", n) }
	rows := []named{
		{test: "an absolute path", disposition: quoted("/tmp/hax0rd.txt"), name: "hax0rd.txt"},
		{test: "an absolute Windows path", disposition: quoted(`C:\Windows\hax0rd.txt`), name: "hax0rd.txt"},
		{test: "a Windows path with slashes", disposition: quoted("C:/Windows/hax0rd.txt"), name: "hax0rd.txt"},
		{test: "an absolute path of backslashes", disposition: quoted(`\tmp\hax0rd.txt`), name: "hax0rd.txt"},
		{test: "an absolute mixed path", disposition: quoted(`/tmp\hax0rd.txt`), name: "hax0rd.txt"},
		{test: "a relative path", disposition: quoted("subdir/hax0rd.txt"), name: "hax0rd.txt"},
		{test: "a relative path of backslashes", disposition: quoted(`subdir\hax0rd.txt`), name: "hax0rd.txt"},
		{test: "a relative mixed path", disposition: quoted(`sub/dir\hax0rd.txt`), name: "hax0rd.txt"},
		{test: "a path upwards", disposition: quoted("../../hax0rd.txt"), name: "hax0rd.txt"},
		{test: "a path upwards of backslashes", disposition: quoted(`..\..\hax0rd.txt`), name: "hax0rd.txt"},
		{test: "a mixed path upwards", disposition: quoted(`../..\hax0rd.txt`), name: "hax0rd.txt"},
		{test: "a numeric character reference", disposition: quoted("..&#x2F;hax0rd.txt"), name: "hax0rd.txt"},
		{test: "a named character reference", disposition: quoted("..&sol;hax0rd.txt"), name: "hax0rd.txt"},
		{test: "no quotes", disposition: "name=file; filename=hax0rd.txt", name: "hax0rd.txt"},
		{test: "parameters in capitals", disposition: `NAME="file"; FILENAME="hax0rd.txt"`, name: "hax0rd.txt"},

		{test: "no file chosen", disposition: quoted("")},
		{test: "a folder", disposition: quoted("/tmp/")},
		{test: "a Windows folder", disposition: quoted(`c:\tmp\`)},
		{test: "a folder's dot", disposition: quoted("/tmp/.")},
		{test: "a Windows folder's dot", disposition: quoted(`c:\tmp\.`)},
		{test: "a folder's two dots", disposition: quoted("/tmp/..")},
		{test: "a Windows folder's two dots", disposition: quoted(`c:\tmp\..`)},
		{test: "Windows' own folder", disposition: quoted(`C:\Windows\`)},
		{test: "a slash alone", disposition: quoted("/")},
		{test: "a slash at the end", disposition: quoted("ends-with-slash/")},
		{test: "a slash behind an extension", disposition: quoted("a.jpg/")},
		{test: "nothing printable", disposition: `name="file"; filename*=UTF-8''%00%E2%80%AE`},

		{test: "control characters", disposition: quoted("non-\x00printable\x00\n_chars.txt\x00"), status: 400, kind: core.ErrMalformed},
		{test: "a NUL", disposition: quoted("a\x00b.txt"), status: 400, kind: core.ErrMalformed},
		{test: "an encoded NUL", disposition: `name="file"; filename*=UTF-8''a%00b.txt`, name: "ab.txt"},
		{test: "encoded line ends", disposition: `name="file"; filename*=UTF-8''a%00%0D%0Ab.txt`, name: "ab.txt"},
		{test: "an encoded header", disposition: `name="file"; filename*=` + extended("evil\r\nX-Evil: y.txt"), name: "evilX-Evil: y.txt", key: "evilX-Evil_y.txt"},
		{test: "a right-to-left override", disposition: quoted("a\u202egpj.exe"), name: "agpj.exe"},
		{test: "invisible characters", disposition: quoted("\ufeffa\u200bb\u00ad\u2066c\u200e.txt"), name: "abc.txt"},
		{test: "bytes that are not UTF-8", disposition: quoted("a\xff\xc0\xafb.txt"), name: "a\uFFFDb.txt", key: "ab.txt"},

		{test: "a name of any script", disposition: quoted(long), name: long},
		{test: "filename*", disposition: `name="file"; filename*=UTF-8''test-0123456789_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg`, name: long},
		{test: "filename* in quotes", disposition: `name="file"; filename*="UTF-8''test-0123456789_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg"`, name: long},
		{test: "name* and filename*", disposition: `name*=UTF-8''file; filename*=UTF-8''test-0123456789_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg`, name: long},
		{test: "filename* in ISO-8859-1", disposition: `name="file"; filename*=iso-8859-1''foo-%E4.html`, name: "foo-ä.html"},
		{test: "filename* with a language", disposition: `name="file"; filename*=utf-8'en'caf%C3%A9.txt`, name: "café.txt"},
		{test: "filename* in an unknown charset", disposition: `name="file"; filename*=koi8-r''a.txt`, status: 400, kind: core.ErrMalformed},
		{test: "a fallback beside filename*", disposition: `name="file"; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt`, name: "naïve.txt"},
		{test: "a filename* of another type", disposition: `name="file"; filename="safe.txt"; filename*=UTF-8''evil.php`, status: 400, kind: core.ErrMalformed},
		{test: "a path in filename*", disposition: `name="file"; filename*=UTF-8''..%5C..%5Cetc%5Cpasswd`, name: "passwd"},
		{test: "a file name in pieces", disposition: `name="file"; filename*0="evil"; filename*1=".php"`, status: 400, kind: core.ErrMalformed},
		{test: "two file names", disposition: `name="file"; filename="a.txt"; filename="b.php"`, status: 400, kind: core.ErrMalformed},
		{test: "a file name without a value", disposition: `name="file"; filename=`, status: 400, kind: core.ErrMalformed},
		{test: "a broken parameter beside", disposition: `name="file"; filename="a.txt"; title*='foo.html`, name: "a.txt"},
		{test: "another broken parameter beside", disposition: `name="file"; filename="a.txt"; title*=bar.html`, name: "a.txt"},
		{test: "letters of both cases", disposition: quoted("MiXeD_cAsE.txt"), name: "MiXeD_cAsE.txt"},

		{test: "a long name with an extension", disposition: quoted(f(300) + ".txt"), name: f(251) + ".txt"},
		{test: "a long extension", disposition: quoted("foo." + f(300)), name: "." + f(254), key: f(254)},
		{test: "a long name without an extension", disposition: quoted(f(300)), name: f(255)},
		{test: "a long name behind a dot", disposition: quoted("." + f(300)), name: "." + f(254), key: f(254)},
		{test: "a long name with a long extension", disposition: quoted(f(300) + "." + f(300)), name: "." + f(254), key: f(254)},
		{test: "a long name of wide characters", disposition: quoted(strings.Repeat("字", 300) + ".txt"), name: strings.Repeat("字", 83) + ".txt"},
	}
	a := keepingApp(t)
	for _, row := range rows {
		t.Run(row.test, func(t *testing.T) { row.check(t, a) })
	}
}

func TestAKeptNameIsMadeSafe(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, key string }{ // an empty key: refused
		{"john's portrait in 2004.jpg", "johns_portrait_in_2004.jpg"},
		{"^&'@{}[],$=!-#()%+~_123.txt", "-_123.txt"},
		{"???", ""},
		{"$.$.$", ""},
		{"  spaced  name .txt ", "spaced__name_.txt"},
		{"новый файл.pdf", "новый_файл.pdf"},
		{"日本語 ファイル.png", "日本語_ファイル.png"},
		{"मेरी नाव.txt", "मेरी_नाव.txt"},
		{"😀.png", "file.png"},
		{"＊.txt", "file.txt"},
		{"semi;colon.txt", "semicolon.txt"},
		{"a:b.txt", "ab.txt"},
		{"file.txt::$DATA", "file.txtDATA"},
		{"PROGRA~1", "PROGRA1"},
		{"..hidden", "hidden"},
		{".htaccess", "htaccess"},
		{"a..b.txt", "a..b.txt"},
		{"trailing.", "trailing"},
		{"a.jpg.", "a.jpg"},
		{"a.jpg%20", "a.jpg20"},
		{"-rf", "rf"},
		{"--help.txt", "help.txt"},
		{"CON", "_CON"},
		{"con.txt", "_con.txt"},
		{"con ", "_con"},
		{"AUX.", "_AUX"},
		{"NUL.tar.gz", "_NUL.tar.gz"},
		{"COM1", "_COM1"},
		{"COM¹.txt", "_COM¹.txt"},
		{"CONIN$", "_CONIN"},
		{"web.config", "_web.config"},
		{".user.ini", "_user.ini"},
		{"robots.txt", "_robots.txt"},
		{"crossdomain.xml", "_crossdomain.xml"},
		{"sw.js", "_sw.js"},
		{"%2e%2e%2fetc%2fpasswd", "2e2e2fetc2fpasswd"},
		{"..%2fetc", "2fetc"},
		{"a⁄b.txt", "ab.txt"},
		{"a／b.txt", "ab.txt"},
		{"a⧹b.txt", "ab.txt"},
		{"<script>.svg", "script.svg"},
		{"$(id).txt", "id.txt"},
		{"`id`.txt", "id.txt"},
		{"a.jpg.php", ""},
		{"shell.php.jpg", ""},
		{"a.php;.jpg", ""},
		{"a.php%00.jpg", ""},
		{"a.pHTml", ""},
		{"report.jsp", ""},
	}
	a := keepingApp(t)
	for _, row := range rows {
		n := named{disposition: quoted(row.name), name: row.name, key: row.key}
		if row.key == "" {
			n.status, n.kind = http.StatusBadRequest, core.ErrName
		}
		t.Run(fmt.Sprintf("%q", row.name), func(t *testing.T) { n.check(t, a) })
	}
	for _, n := range []named{
		{test: "a tab", disposition: quoted("tab\tname.txt"), name: "tabname.txt"},
		{test: "decomposed letters", disposition: quoted("cafe\u0301.txt"), name: "caf\u00e9.txt"},
		{test: "an escaped quote", disposition: quoted(`q\"uote.txt`), name: `q"uote.txt`, key: "quote.txt"},
		{test: "a percent-encoded quote", disposition: quoted(`q%22uote.txt`), name: `q"uote.txt`, key: "quote.txt"},
		{test: "a character reference to a slash", disposition: quoted("a&#x2F;b.txt"), name: "b.txt"},
		{test: "a name too long for a segment", disposition: quoted(strings.Repeat("x", 300) + ".txt"), name: strings.Repeat("x", 251) + ".txt"},
		{test: "a repository's file", disposition: quoted(".git/config"), name: "config"},
	} {
		t.Run(n.test, func(t *testing.T) { n.check(t, a) })
	}
}

func TestNamesThatDifferInCaseAreTwo(t *testing.T) {
	t.Parallel()
	a := keepingApp(t)
	for _, name := range []string{"A.txt", "a.txt"} {
		newBody().file("file", name, []byte(name)).post(t, a).want(t, http.StatusCreated, 0)
		if got := a.stored(t); got.Key.String() != "some/folder/"+name || read(t, a, got.Key) != name {
			t.Errorf("key %s holds %q, want some/folder/%s to hold its own name", got.Key, read(t, a, got.Key), name)
		}
	}
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

func TestAnUploadToCannotLeaveItsPlace(t *testing.T) {
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

func TestAFreedNameIsUsedAgain(t *testing.T) {
	t.Parallel()
	a := keepingApp(t)
	for range 2 {
		newBody().file("file", "a.txt", []byte("x")).post(t, a).want(t, http.StatusCreated, 0)
		got := a.stored(t)
		if got.Key.String() != "some/folder/a.txt" {
			t.Errorf("the key is %s, want some/folder/a.txt", got.Key)
		}
		if err := a.field.Delete(t.Context(), got.Key); err != nil {
			t.Fatal(err)
		}
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
