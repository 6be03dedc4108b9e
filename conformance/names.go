package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

// named is what a raw file name comes to.
type named struct {
	test        string
	disposition string // behind `form-data; `
	status      int    // 0: 201
	kind        core.Kind
	name        string // the original name kept; "" with status 0: no file was chosen
	key         string // by KeepName; "": the name itself
}

// quoted is the disposition of a browser, the file name put in as it is.
func quoted(fileName string) string { return `name="file"; filename="` + fileName + `"` }

// extended escapes every byte of a name for filename*.
func extended(name string) string {
	var b strings.Builder
	for i := range len(name) {
		fmt.Fprintf(&b, "%%%02X", name[i])
	}
	return "UTF-8''" + b.String()
}

func repeated(n int) string { return strings.Repeat("f", n) }

const longName = "test-0123456789_中文_Orléans.jpg"

// clientNames are the names browsers and worse send.
var clientNames = []named{
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

	{test: "U17 no file chosen", disposition: quoted("")},
	{test: "a folder", disposition: quoted("/tmp/")},
	{test: "a Windows folder", disposition: quoted(`c:\tmp\`)},
	{test: "a folder's dot", disposition: quoted("/tmp/.")},
	{test: "a Windows folder's dot", disposition: quoted(`c:\tmp\.`)},
	{test: "a folder's two dots", disposition: quoted("/tmp/..")},
	{test: "a Windows folder's two dots", disposition: quoted(`c:\tmp\..`)},
	{test: "Windows' own folder", disposition: quoted(`C:\Windows\`)},
	{test: "a slash alone", disposition: quoted("/")},
	{test: "a slash at the end", disposition: quoted("ends-with-slash/")},
	{test: "N12 a slash behind an extension", disposition: quoted("a.jpg/")},
	{test: "N5 nothing printable", disposition: `name="file"; filename*=UTF-8''%00%E2%80%AE`},

	{test: "N2 control characters", disposition: quoted("non-\x00printable\x00\n_chars.txt\x00"), status: 400, kind: core.ErrMalformed},
	{test: "N2 a NUL", disposition: quoted("a\x00b.txt"), status: 400, kind: core.ErrMalformed},
	{test: "N2 an encoded NUL", disposition: `name="file"; filename*=UTF-8''a%00b.txt`, name: "ab.txt"},
	{test: "N3 encoded line ends", disposition: `name="file"; filename*=UTF-8''a%00%0D%0Ab.txt`, name: "ab.txt"},
	{test: "N3 an encoded header", disposition: `name="file"; filename*=` + extended("evil\r\nX-Evil: y.txt"), name: "evilX-Evil: y.txt", key: "evilX-Evil_y.txt"},
	{test: "N5 a right-to-left override", disposition: quoted("a\u202egpj.exe"), name: "agpj.exe"},
	{test: "N5 invisible characters", disposition: quoted("\ufeffa\u200bb\u00ad\u2066c\u200e.txt"), name: "abc.txt"},
	{test: "N8 bytes that are not UTF-8", disposition: quoted("a\xff\xc0\xafb.txt"), name: "a\uFFFDb.txt", key: "ab.txt"},

	{test: "a name of any script", disposition: quoted(longName), name: longName},
	{test: "filename*", disposition: `name="file"; filename*=UTF-8''test-0123456789_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg`, name: longName},
	{test: "filename* in quotes", disposition: `name="file"; filename*="UTF-8''test-0123456789_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg"`, name: longName},
	{test: "name* and filename*", disposition: `name*=UTF-8''file; filename*=UTF-8''test-0123456789_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg`, name: longName},
	{test: "filename* in ISO-8859-1", disposition: `name="file"; filename*=iso-8859-1''foo-%E4.html`, name: "foo-ä.html"},
	{test: "filename* with a language", disposition: `name="file"; filename*=utf-8'en'caf%C3%A9.txt`, name: "café.txt"},
	{test: "filename* in an unknown charset", disposition: `name="file"; filename*=koi8-r''a.txt`, status: 400, kind: core.ErrMalformed},
	{test: "U4 a fallback beside filename*", disposition: `name="file"; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt`, name: "naïve.txt"},
	{test: "U4 a filename* of another type", disposition: `name="file"; filename="safe.txt"; filename*=UTF-8''evil.php`, status: 400, kind: core.ErrMalformed},
	{test: "a path in filename*", disposition: `name="file"; filename*=UTF-8''..%5C..%5Cetc%5Cpasswd`, name: "passwd"},
	{test: "U4 a file name in pieces", disposition: `name="file"; filename*0="evil"; filename*1=".php"`, status: 400, kind: core.ErrMalformed},
	{test: "U4 two file names", disposition: `name="file"; filename="a.txt"; filename="b.php"`, status: 400, kind: core.ErrMalformed},
	{test: "a file name without a value", disposition: `name="file"; filename=`, status: 400, kind: core.ErrMalformed},
	{test: "a broken parameter beside", disposition: `name="file"; filename="a.txt"; title*='foo.html`, name: "a.txt"},
	{test: "another broken parameter beside", disposition: `name="file"; filename="a.txt"; title*=bar.html`, name: "a.txt"},
	{test: "letters of both cases", disposition: quoted("MiXeD_cAsE.txt"), name: "MiXeD_cAsE.txt"},

	{test: "N9 a long name with an extension", disposition: quoted(repeated(300) + ".txt"), name: repeated(251) + ".txt"},
	{test: "N9 a long extension", disposition: quoted("foo." + repeated(300)), name: "." + repeated(254), key: repeated(254)},
	{test: "a long name without an extension", disposition: quoted(repeated(300)), name: repeated(255)},
	{test: "a long name behind a dot", disposition: quoted("." + repeated(300)), name: "." + repeated(254), key: repeated(254)},
	{test: "a long name with a long extension", disposition: quoted(repeated(300) + "." + repeated(300)), name: "." + repeated(254), key: repeated(254)},
	{test: "N9 a long name of wide characters", disposition: quoted(strings.Repeat("字", 300) + ".txt"), name: strings.Repeat("字", 83) + ".txt"},
	{test: "N9 a name of 10,000 characters", disposition: quoted(repeated(10_000) + ".txt"), name: repeated(251) + ".txt"},

	{test: "a tab", disposition: quoted("tab\tname.txt"), name: "tabname.txt"},
	{test: "decomposed letters", disposition: quoted("cafe\u0301.txt"), name: "caf\u00e9.txt"},
	{test: "an escaped quote", disposition: quoted(`q\"uote.txt`), name: `q"uote.txt`, key: "quote.txt"},
	{test: "a percent-encoded quote", disposition: quoted(`q%22uote.txt`), name: `q"uote.txt`, key: "quote.txt"},
	{test: "a character reference to a slash", disposition: quoted("a&#x2F;b.txt"), name: "b.txt"},
	{test: "N11 a repository's file", disposition: quoted(".git/config"), name: "config"},
	{test: "an attribute of a page", disposition: quoted(`something<div onclick='alert(1)'>.jpg`), name: `something<div onclick='alert(1)'>.jpg`, key: "somethingdiv_onclickalert1.jpg"},
}

// keptNames are names, behind the id of their case if they have one, and the keys
// KeepName makes of them; "": refused.
var keptNames = []struct{ id, name, key string }{
	{"", "john's portrait in 2004.jpg", "johns_portrait_in_2004.jpg"},
	{"", "^&'@{}[],$=!-#()%+~_123.txt", "-_123.txt"},
	{"", "???", ""},
	{"", "$.$.$", ""},
	{"", "  spaced  name .txt ", "spaced__name_.txt"},
	{"", "новый файл.pdf", "новый_файл.pdf"},
	{"", "日本語 ファイル.png", "日本語_ファイル.png"},
	{"", "मेरी नाव.txt", "मेरी_नाव.txt"},
	{"", "😀.png", "file.png"},
	{"", "＊.txt", "file.txt"},
	{"", "semi;colon.txt", "semicolon.txt"},
	{"N7", "a:b.txt", "ab.txt"},
	{"N7", "file.txt::$DATA", "file.txtDATA"},
	{"N7", "PROGRA~1", "PROGRA1"},
	{"", "..hidden", "hidden"},
	{"N11", ".htaccess", "htaccess"},
	{"", "a..b.txt", "a..b.txt"},
	{"", "trailing.", "trailing"},
	{"N12", "a.jpg.", "a.jpg"},
	{"N12", "a.jpg%20", "a.jpg20"},
	{"", "-rf", "rf"},
	{"", "--help.txt", "help.txt"},
	{"N6", "CON", "_CON"},
	{"N6", "con.txt", "_con.txt"},
	{"N6", "con ", "_con"},
	{"N6", "AUX.", "_AUX"},
	{"N6", "NUL.tar.gz", "_NUL.tar.gz"},
	{"N6", "COM1", "_COM1"},
	{"N6", "COM¹.txt", "_COM¹.txt"},
	{"N6", "LPT9.log", "_LPT9.log"},
	{"N6", "CONIN$", "_CONIN"},
	{"N11", "web.config", "_web.config"},
	{"N11", ".user.ini", "_user.ini"},
	{"N11", "robots.txt", "_robots.txt"},
	{"N11", "crossdomain.xml", "_crossdomain.xml"},
	{"N11", "sw.js", "_sw.js"},
	{"", "%2e%2e%2fetc%2fpasswd", "2e2e2fetc2fpasswd"},
	{"N8", "..%2fetc", "2fetc"},
	{"N8", "a⁄b.txt", "ab.txt"},
	{"N8", "a／b.txt", "ab.txt"},
	{"N8", "a⧹b.txt", "ab.txt"},
	{"", "<script>.svg", "script.svg"},
	{"", "$(id).txt", "id.txt"},
	{"", "`id`.txt", "id.txt"},
	{"N12", "a.jpg.php", ""},
	{"N12", "shell.php.jpg", ""},
	{"N12", "a.php;.jpg", ""},
	{"N12", "a.php%00.jpg", ""},
	{"N12", "a.pHTml", ""},
	{"N12", "report.jsp", ""},
}

func names(t *testing.T, s *suite) {
	a := s.app(t, options{file: core.FieldConfig{UploadTo: core.KeepName}})
	for _, row := range clientNames {
		t.Run(row.test, func(t *testing.T) { row.check(t, a) })
	}
	for _, row := range keptNames {
		n := named{disposition: quoted(row.name), name: row.name, key: row.key}
		if row.key == "" {
			n.status, n.kind = http.StatusBadRequest, core.ErrName
		}
		t.Run(strings.TrimSpace(fmt.Sprintf("%s %q", row.id, row.name)), func(t *testing.T) { n.check(t, a) })
	}
	t.Run("N10 names that differ in case are two", func(t *testing.T) {
		a := s.app(t, options{file: core.FieldConfig{UploadTo: core.KeepName}})
		for _, name := range []string{"A.txt", "a.txt"} {
			newBody().upload("file", name, name).post(t, a).want(t, http.StatusCreated, 0)
			if got := a.stored(t); got.Key.String() != a.prefix+name || a.read(t, got.Key) != name {
				t.Errorf("key %s holds %q, want %s to hold its own name", got.Key, a.read(t, got.Key), a.prefix+name)
			}
		}
	})
	t.Run("N10 a name in two normalization forms is one, and neither file is lost", func(t *testing.T) {
		a := s.app(t, options{file: core.FieldConfig{UploadTo: core.KeepName}})
		for _, name := range []string{"caf\u00e9.txt", "cafe\u0301.txt"} {
			newBody().upload("file", name, name).post(t, a).want(t, http.StatusCreated, 0)
			if got := a.stored(t); got.Name != "caf\u00e9.txt" || a.read(t, got.Key) != name {
				t.Errorf("%+q is kept as %+q and its key holds %+q", name, got.Name, a.read(t, got.Key))
			}
		}
		a.holds(t, 2)
	})
}

// check posts a file under the row's name and compares what became of it. It
// removes the object, so that every row finds its name free.
func (n named) check(t *testing.T, a *app) {
	t.Helper()
	res := newBody().text("title", "x").raw("form-data; "+n.disposition, "content").post(t, a)
	if n.status != 0 {
		res.want(t, n.status, n.kind)
		a.holds(t, 0)
		return
	}
	res.want(t, http.StatusCreated, 0)
	if n.name == "" {
		if s := a.saw(t); len(s.form["file"]) != 0 || s.bound.Title != "x" || !s.bound.File.IsZero() {
			t.Errorf("the handler saw %v and bound %+v, want the title alone", s.form, s.bound)
		}
		a.holds(t, 0)
		return
	}
	want := n.key
	if want == "" {
		want = n.name
	}
	got := a.stored(t)
	if got.Name != n.name || got.Key.String() != a.prefix+want {
		t.Errorf("name %q under key %q, want %q under %q", got.Name, got.Key, n.name, a.prefix+want)
	}
	object, err := a.file.Stat(t.Context(), got.Key)
	if err != nil {
		t.Fatal(err)
	}
	if object.Name != n.name {
		t.Errorf("storage knows the name %q, want %q", object.Name, n.name)
	}
	if err := a.file.Delete(t.Context(), got.Key); err != nil {
		t.Fatal(err)
	}
}
