package formdata

import (
	"errors"
	"mime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The names a client may give a file, and what of them is delivered: everything.
func TestFileNamesArriveAsTheClientGaveThem(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`/tmp/hax0rd.txt`, `C:\Windows\hax0rd.txt`, `C:/Windows/hax0rd.txt`, `\tmp\hax0rd.txt`,
		`/tmp\hax0rd.txt`, `subdir/hax0rd.txt`, `subdir\hax0rd.txt`, `sub/dir\hax0rd.txt`,
		`../../hax0rd.txt`, `..\..\hax0rd.txt`, `../..\hax0rd.txt`, `..&#x2F;hax0rd.txt`,
		`..&sol;hax0rd.txt`, `/tmp/`, `c:\tmp\`, `/tmp/.`, `c:\tmp\.`, `/tmp/..`, `c:\tmp\..`, ``,
		`C:\Windows\`, `/`, `ends-with-slash/`, "a\u202egpj.exe", "test-0123456789_中文_Orléans.jpg",
		`MiXeD_cAsE.txt`, `with space; and semicolon=1.txt`, `100%.txt`, `a%20b.txt`, `a%0D%0Ab.txt`,
		"\xe4 in Latin-1.txt", strings.Repeat("f", 300) + ".txt", "tab\there.txt", `it's.txt`,
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			d, err := readDisposition(`form-data; name="f"; filename="` + raw + `"`)
			if want := (disposition{"f", raw, true}); err != nil || d != want {
				t.Errorf("got %#v, %v; want %#v", d, err, want)
			}
		})
	}
}

func TestReadDisposition(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, header string
		want         disposition
		err          error
	}{
		{"a field", `form-data; name="a"`, disposition{name: "a"}, nil},
		{"a field without quotes, in any case", `Form-Data;NAME=a`, disposition{name: "a"}, nil},
		{"white space around the equals sign", "form-data; name =\t\"a\" ; filename = b ;", disposition{"a", "b", true}, nil},
		{"empty parameters", `form-data;; name="a";`, disposition{name: "a"}, nil},
		{"no name", `form-data`, disposition{}, nil},
		{"an empty name", `form-data; name=""; filename="a.txt"`, disposition{"", "a.txt", true}, nil},
		{"no file chosen", `form-data; name="f"; filename=""`, disposition{"f", "", true}, nil},
		{"brackets and dots in a name", `form-data; name="a[../b]"`, disposition{name: "a[../b]"}, nil},
		{"an unknown parameter", `form-data; name="a"; size=3`, disposition{name: "a"}, nil},
		{"a name of 1000 bytes", `form-data; name=` + strings.Repeat("n", 1000), disposition{name: strings.Repeat("n", 1000)}, nil},
		{"a file name without quotes", `form-data; name=f; filename=C:\tmp\中文.txt`, disposition{"f", `C:\tmp\中文.txt`, true}, nil},

		{"an escaped quote", `form-data; name="f"; filename="a\"b.txt"`, disposition{"f", `a"b.txt`, true}, nil},
		{"an escaped quote at the end", `form-data; name="f"; filename="a\""`, disposition{"f", `a"`, true}, nil},
		{"an escaped backslash", `form-data; name="f"; filename="a\\b.txt"`, disposition{"f", `a\b.txt`, true}, nil},
		{"an escaped backslash at the end", `form-data; name="f"; filename="a\\"`, disposition{"f", `a\`, true}, nil},
		{"a backslash before the last quote", `form-data; filename="c:\tmp\"`, disposition{"", `c:\tmp\`, true}, nil},
		{"a backslash before the last quote, more parameters", `form-data; filename="c:\tmp\"; name=f`, disposition{"f", `c:\tmp\`, true}, nil},
		{"a browser's quote", `form-data; name="a%22b"; filename="c%22d.txt"`, disposition{`a"b`, `c"d.txt`, true}, nil},
		{"a browser's line break", `form-data; name="f"; filename="a%0D%0Ab.txt"`, disposition{"f", "a%0D%0Ab.txt", true}, nil},

		{"UTF-8", `form-data; name="f"; filename*=UTF-8''test_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg`, disposition{"f", "test_中文_Orléans.jpg", true}, nil},
		{"UTF-8 in quotes", `form-data; name="f"; filename*="UTF-8''test_%E4%B8%AD%E6%96%87_Orl%C3%A9ans.jpg"`, disposition{"f", "test_中文_Orléans.jpg", true}, nil},
		{"a language", `form-data; name="f"; filename*=utf-8'fr'Orl%C3%A9ans.jpg`, disposition{"f", "Orléans.jpg", true}, nil},
		{"an encoded field name", `form-data; name*=UTF-8''%E4%B8%AD; filename*=UTF-8''a%22b`, disposition{"中", `a"b`, true}, nil},
		{"ISO-8859-1", `form-data; name="f"; filename*=iso-8859-1''foo-%E4.html`, disposition{"f", "foo-ä.html", true}, nil},
		{"US-ASCII", `form-data; name="f"; filename*=us-ascii''This%20is%20it`, disposition{"f", "This is it", true}, nil},
		{"an apostrophe in the text", `form-data; name="f"; filename*=UTF-8''it's`, disposition{"f", "it's", true}, nil},
		{"encoded backslashes", `form-data; name="f"; filename*=UTF-8''..%5C..%5Cetc%5Cpasswd`, disposition{"f", `..\..\etc\passwd`, true}, nil},
		{"encoded NUL and line break, for the caller to refuse", `form-data; name="f"; filename*=UTF-8''a%00%0D%0Ab.txt`, disposition{"f", "a\x00\r\nb.txt", true}, nil},
		{"an unknown broken extended parameter", `form-data; name="a"; title*='foo.html`, disposition{name: "a"}, nil},
		{"an unknown plain extended parameter", `form-data; name="a"; title*=bar.html`, disposition{name: "a"}, nil},

		{"both, equal", `form-data; name="f"; filename="é.txt"; filename*=UTF-8''%C3%A9.txt`, disposition{"f", "é.txt", true}, nil},
		{"both, an ASCII fallback", `form-data; name="f"; filename="e.TXT"; filename*=UTF-8''%C3%A9.txt`, disposition{"f", "é.txt", true}, nil},
		{"both, in the other order", `form-data; name="f"; filename*=UTF-8''%C3%A9.txt; filename="e.txt"`, disposition{"f", "é.txt", true}, nil},
		{"both, an encoded word", `form-data; name="f"; filename="=?UTF-8?Q?=C3=A9.txt?="; filename*=UTF-8''%C3%A9.txt`, disposition{"f", "é.txt", true}, nil},
		{"both, the extended one broken", `form-data; name="f"; filename="a.txt"; filename*=UTF-8'b.php`, disposition{"f", "a.txt", true}, nil},
		{"both, another extension", `form-data; name="f"; filename="safe.txt"; filename*=UTF-8''evil.php`, disposition{}, errFileNames},
		{"both, one without an extension", `form-data; name="f"; filename="safe"; filename*=UTF-8''evil.php`, disposition{}, errFileNames},
		{"both, an extension in a directory", `form-data; name="f"; filename="a.php/safe"; filename*=UTF-8''evil.php`, disposition{}, errFileNames},
		{"both, another name that is not ASCII", `form-data; name="f"; filename="ä.txt"; filename*=UTF-8''%C3%A9.txt`, disposition{}, errFileNames},
		{"both, one of them empty", `form-data; name="f"; filename=""; filename*=UTF-8''a.txt`, disposition{}, errFileNames},
		{"both names, equal", `form-data; name="f"; name*=UTF-8''f`, disposition{name: "f"}, nil},
		{"both names, different", `form-data; name="f"; name*=UTF-8''g`, disposition{}, errNames},

		{"an unknown charset", `form-data; name="f"; filename*=utf-7''a`, disposition{}, errCharset},
		{"an unknown charset beside a plain name", `form-data; name="f"; filename="a"; filename*=utf-7''a`, disposition{}, errCharset},
		{"no charset", `form-data; name="f"; filename*=''a`, disposition{}, errExtended},
		{"one apostrophe", `form-data; name="f"; filename*='a`, disposition{}, errExtended},
		{"a broken escape", `form-data; name="f"; filename*=UTF-8''a%4`, disposition{}, errExtended},
		{"no hexadecimal digits", `form-data; name="f"; filename*=UTF-8''a%zz`, disposition{}, errExtended},
		{"invalid UTF-8", `form-data; name="f"; filename*=UTF-8''a%E4`, disposition{}, errExtended},
		{"US-ASCII that is not", `form-data; name="f"; filename*=us-ascii''a%E4`, disposition{}, errExtended},

		{"filename twice", `form-data; name="f"; filename="a.txt"; filename="b.php"`, disposition{}, errParamTwice},
		{"the same filename twice", `form-data; name="f"; filename="a.txt"; FileName="a.txt"`, disposition{}, errParamTwice},
		{"filename* twice", `form-data; name="f"; filename*=UTF-8''a; filename*=UTF-8''b`, disposition{}, errParamTwice},
		{"name twice", `form-data; name="f"; name="g"`, disposition{}, errParamTwice},
		{"continuations", `form-data; name="f"; filename*0="evil"; filename*1=".php"`, disposition{}, errParamStarred},
		{"encoded continuations", `form-data; name="f"; filename*0*=UTF-8''evil; filename*1=".php"`, disposition{}, errParamStarred},
		{"17 parameters", `form-data; a=1; b=1; c=1; d=1; e=1; f=1; g=1; h=1; i=1; j=1; k=1; l=1; m=1; n=1; o=1; p=1; q=1`, disposition{}, errParamMany},
		{"a parameter without a value", `form-data; name="f"; filename`, disposition{}, errParamSyntax},
		{"an empty value without quotes", `form-data; name="f"; filename=`, disposition{}, errParamSyntax},
		{"text behind a quoted value", `form-data; name="f"x`, disposition{}, errParamSyntax},
		{"a space in a value without quotes", `form-data; name=f; filename=my file.txt`, disposition{}, errParamSyntax},
		{"an open quote", `form-data; name="f`, disposition{}, errParamSyntax},
		{"an escape that hides a parameter", `form-data; name="f\"; filename="a.txt"`, disposition{}, errParamSyntax},
		{"a parameter without a name", `form-data; ="f"`, disposition{}, errParamSyntax},

		{"another disposition", `attachment; name="f"; filename="a.txt"`, disposition{}, errDisposition},
		{"an empty disposition", `; name="f"`, disposition{}, errDisposition},
		{"an empty header", ``, disposition{}, errDisposition},
		{"a name of 1001 bytes", `form-data; name=` + strings.Repeat("n", 1001), disposition{}, errName},
		{"a tab in a name", "form-data; name=\"a\tb\"", disposition{}, errName},
		{"an encoded NUL in a name", `form-data; name*=UTF-8''a%00b`, disposition{}, errName},
		{"an encoded line break in a name", `form-data; name*=UTF-8''a%0D%0Ab`, disposition{}, errName},
		{"a C1 control character in a name", "form-data; name=\"a\u0085b\"", disposition{}, errName},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := readDisposition(tc.header)
			if !errors.Is(err, tc.err) || err == nil && got != tc.want {
				t.Errorf("readDisposition(%q) = %#v, %v; want %#v, %v", tc.header, got, err, tc.want, tc.err)
			}
		})
	}
}

// FuzzDisposition reads any header without a panic, and reads what mime writes
// as mime meant it.
func FuzzDisposition(f *testing.F) {
	for _, s := range []string{
		`a.txt`, `C:\tmp\`, `a"b\`, `a%22b`, "中文.txt", "a\r\nb", `it's 100%.txt`, `\"`, ``, `;name=x`,
		`form-data; name="f\"; filename="a.txt"`, `form-data; filename*=iso-8859-1''%E4; filename="a"`,
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, fileName string) {
		if d, err := readDisposition(name); err == nil && strings.IndexFunc(d.name, unicode.IsControl) >= 0 {
			t.Errorf("readDisposition(%q) let the name %q through", name, d.name)
		}
		header := mime.FormatMediaType("form-data", map[string]string{"name": name, "filename": fileName})
		if !utf8.ValidString(name) || !utf8.ValidString(fileName) {
			return // mime writes it as UTF-8, which it is not
		}
		got, err := readDisposition(header)
		if len(name) > maxName || strings.IndexFunc(name, unicode.IsControl) >= 0 {
			if !errors.Is(err, errName) {
				t.Errorf("readDisposition(%q): got %#v, %v; want %v", header, got, err, errName)
			}
			return
		}
		if want := (disposition{browserQuotes(header, name), browserQuotes(header, fileName), true}); err != nil || got != want {
			t.Errorf("readDisposition(%q): got %#v, %v; want %#v", header, got, err, want)
		}
	})
}

// browserQuotes returns what becomes of a value that mime wrote: where it stands
// in quotes, %22 is a quote.
func browserQuotes(header, value string) string {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	if strings.Contains(header, "="+quoted) {
		return strings.ReplaceAll(value, "%22", `"`)
	}
	return value
}
