package core

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestClientName(t *testing.T) {
	t.Parallel()
	f := func(n int) string { return strings.Repeat("f", n) }
	for _, test := range []struct{ name, raw, want string }{
		{"folder of a Unix path goes", "/tmp/hax0rd.txt", "hax0rd.txt"},
		{"folder of a Windows path goes", `C:\Windows\hax0rd.txt`, "hax0rd.txt"},
		{"folder of a Windows path with slashes goes", "C:/Windows/hax0rd.txt", "hax0rd.txt"},
		{"folder after a backslash goes", `\tmp\hax0rd.txt`, "hax0rd.txt"},
		{"folder with mixed separators goes", `/tmp\hax0rd.txt`, "hax0rd.txt"},
		{"a subfolder goes", "subdir/hax0rd.txt", "hax0rd.txt"},
		{"a Windows subfolder goes", `subdir\hax0rd.txt`, "hax0rd.txt"},
		{"mixed subfolders go", `sub/dir\hax0rd.txt`, "hax0rd.txt"},
		{"steps up go", "../../hax0rd.txt", "hax0rd.txt"},
		{"Windows steps up go", `..\..\hax0rd.txt`, "hax0rd.txt"},
		{"mixed steps up go", `../..\hax0rd.txt`, "hax0rd.txt"},
		{"a numeric character reference is decoded first", "..&#x2F;hax0rd.txt", "hax0rd.txt"},
		{"a named character reference is decoded first", "..&sol;hax0rd.txt", "hax0rd.txt"},
		{"a Unix folder is no file", "/tmp/", ""},
		{"a Windows folder is no file", `c:\tmp\`, ""},
		{"a dot in a folder is no file", "/tmp/.", ""},
		{"a dot in a Windows folder is no file", `c:\tmp\.`, ""},
		{"two dots in a folder are no file", "/tmp/..", ""},
		{"two dots in a Windows folder are no file", `c:\tmp\..`, ""},
		{"an empty name is no file", "", ""},
		{"a longer Windows folder is no file", `C:\Windows\`, ""},
		{"a slash is no file", "/", ""},
		{"a name that ends with a slash is no file", "ends-with-slash/", ""},
		{"dots hidden by invisible characters are no file", ".\u200b.", ""},
		{"control characters go", "non-\x00printable\x00\n_chars.txt\x00", "non-printable_chars.txt"},
		{"a bidirectional override goes", "a\u202egpj.exe", "agpj.exe"},
		{"isolates and marks of direction go", "a\u2066b\u2069c\u200ed\u200f.txt", "abcd.txt"},
		{"byte order mark, zero width space and soft hyphen go", "\ufeffa\u200bb\u00adc.txt", "abc.txt"},
		{"other scripts stay", "test-0123456789_中文_Orléans.jpg", "test-0123456789_中文_Orléans.jpg"},
		{"case stays", "MiXeD_cAsE.txt", "MiXeD_cAsE.txt"},
		{"a decomposed name is composed", "cafe\u0301.txt", "café.txt"},
		{"what an override parted is composed", "e\u202e\u0301.txt", "é.txt"},
		{"an encoded path from filename* goes", `..\..\etc\passwd`, "passwd"},
		{"header injection from filename* goes", "a\x00\r\nb.txt", "ab.txt"},
		{"line ends cannot make a header", "evil\r\nX: y.txt", "evilX: y.txt"},
		{"a tab goes", "tab\tname.txt", "tabname.txt"},
		{"spaces stay", "  spaced  name .txt ", "  spaced  name .txt "},
		{"nothing is URL-decoded", "%2e%2e%2fetc%2fpasswd", "%2e%2e%2fetc%2fpasswd"},
		{"homoglyphs of a slash are no separators", "a\u2044b\uff0fc\u29f8d.txt", "a\u2044b\uff0fc\u29f8d.txt"},
		{"invalid UTF-8 is replaced", "a\xff\xfeb.txt", "a\ufffdb.txt"},
		{"overlong UTF-8 makes no slash", "..\xc0\xafetc", "..\ufffdetc"},
		{"a character reference is a separator inside a name too", "a&#x2F;b.txt", "b.txt"},
		{"a character reference cannot smuggle NUL", "a&#0;b.txt", "a\ufffdb.txt"},
		{"an emoji of several parts is simplified", "👩\u200d💻.png", "👩💻.png"},
		{"a long stem is cut before its extension", f(300) + ".txt", f(251) + ".txt"},
		{"a long extension is cut", "foo." + f(300), "." + f(254)},
		{"a long name without extension is cut", f(300), f(255)},
		{"a long hidden name is cut", "." + f(300), "." + f(254)},
		{"a long stem with a long extension", f(300) + "." + f(300), "." + f(254)},
		{"a long name is cut between characters", strings.Repeat("字", 300) + ".txt", strings.Repeat("字", 83) + ".txt"},
		{"a long archive keeps both extensions", f(300) + ".tar.gz", f(248) + ".tar.gz"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := ClientName(test.raw); got != test.want {
				t.Errorf("ClientName(%q) = %q (%d bytes); want %q", test.raw, got, len(got), test.want)
			}
		})
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"the example of Django's documentation", "john's portrait in 2004.jpg", "johns_portrait_in_2004.jpg"},
		{"Django's own test", "^&'@{}[],$=!-#()%+~_123.txt", "-_123.txt"},
		{"outer spaces go, inner ones are underscores", "  spaced  name .txt ", "spaced__name_.txt"},
		{"a tab goes", "tab\tname.txt", "tabname.txt"},
		{"Cyrillic stays", "новый файл.pdf", "новый_файл.pdf"},
		{"Japanese stays", "日本語 ファイル.png", "日本語_ファイル.png"},
		{"a decomposed accent is composed", "cafe\u0301.txt", "café.txt"},
		{"vowel signs stay", "मेरी नाव.txt", "मेरी_नाव.txt"},
		{"an emoji alone becomes file", "😀.png", "file.png"},
		{"an emoji with a variation selector becomes file", "❤\ufe0f.png", "file.png"},
		{"a fullwidth asterisk becomes file", "＊.txt", "file.txt"},
		{"an emoji archive becomes file", "😀.tar.gz", "file.tar.gz"},
		{"a keycap keeps its digit", "1\ufe0f\u20e3.png", "1.png"},
		{"line ends and a colon go", "evilX: y.txt", "evilX_y.txt"},
		{"a quote goes", `q"uote.txt`, "quote.txt"},
		{"a semicolon goes", "semi;colon.txt", "semicolon.txt"},
		{"a colon goes", "a:b.txt", "ab.txt"},
		{"an NTFS stream goes", "file.txt::$DATA", "file.txtDATA"},
		{"a short name's tilde goes", "PROGRA~1", "PROGRA1"},
		{"leading dots go", "..hidden", "hidden"},
		{"a server's file is no such file", ".htaccess", "htaccess"},
		{"inner dots stay", "a..b.txt", "a..b.txt"},
		{"a trailing dot goes", "trailing.", "trailing"},
		{"trailing dots and spaces go", "a.txt. .", "a.txt"},
		{"what hid a trailing dot goes with it", "a.jpg.?", "a.jpg"},
		{"an option loses its dash", "-rf", "rf"},
		{"a long option loses its dashes", "--help.txt", "help.txt"},
		{"an option behind a quote loses its dash", `"-rf`, "rf"},
		{"dashes before an extension become file", "--.txt", "file.txt"},
		{"inner dashes stay", "a-b--c.txt", "a-b--c.txt"},
		{"a device of Windows is prefixed", "CON", "_CON"},
		{"a device with an extension is prefixed", "con.txt", "_con.txt"},
		{"a device with two extensions is prefixed", "NUL.tar.gz", "_NUL.tar.gz"},
		{"a port is prefixed", "COM1", "_COM1"},
		{"a printer port is prefixed", "lpt9.txt", "_lpt9.txt"},
		{"a superscript port is prefixed", "COM¹.txt", "_COM¹.txt"},
		{"a device with a trailing dot is prefixed", "Aux. ", "_Aux"},
		{"the console's input is prefixed", "CONIN$", "_CONIN"},
		{"the printer is prefixed", "prn.log", "_prn.log"},
		{"a name that only starts like a device stays", "console.log", "console.log"},
		{"port nought stays", "COM0", "COM0"},
		{"a server's configuration is prefixed", "web.config", "_web.config"},
		{"PHP's configuration is prefixed", ".user.ini", "_user.ini"},
		{"a service worker is prefixed", "sw.js", "_sw.js"},
		{"orders to robots are prefixed", "robots.txt", "_robots.txt"},
		{"orders to plug-ins are prefixed", "crossdomain.xml", "_crossdomain.xml"},
		{"percent signs go, undecoded", "%2e%2e%2fetc%2fpasswd", "2e2e2fetc2fpasswd"},
		{"leading dots of an encoded path go too", "..%2fetc", "2fetc"},
		{"a fraction slash is no separator", "a\u2044b.txt", "ab.txt"},
		{"a fullwidth slash is no separator", "a\uff0fb.txt", "ab.txt"},
		{"a tag loses its brackets", "<script>.svg", "script.svg"},
		{"a command loses its sigils", "$(id).txt", "id.txt"},
		{"a command loses its backticks", "`id`.txt", "id.txt"},
		{"all extensions stay to be looked at", "a.jpg.php", "a.jpg.php"},
		{"a semicolon hides no extension", "a.php;.jpg", "a.php.jpg"},
		{"an encoded NUL hides no extension", "a.php%00.jpg", "a.php00.jpg"},
		{"an encoded space joins the extension", "a.jpg%20", "a.jpg20"},
		{"separators go", `a/b\c.txt`, "abc.txt"},
		{"a long name is cut before its extension", strings.Repeat("x", 300) + ".txt", strings.Repeat("x", 251) + ".txt"},
		{"a long name is cut between characters", strings.Repeat("字", 300) + ".txt", strings.Repeat("字", 83) + ".txt"},
		{"an extension without end is no extension", "a." + strings.Repeat("x", 300), "a." + strings.Repeat("x", 253)},
		{"piled up marks are cut", "a" + strings.Repeat("\u0316", 50), "a" + strings.Repeat("\u0316", 10)},
		{"a filler without shape goes", "a\u3164\u115fb.txt", "ab.txt"},
		{"a mark goes with what bore it", "a*\u0316b", "ab"},
		{"invalid UTF-8 goes", "a\xffb.txt", "ab.txt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, err := ValidName(test.in); err != nil || got != test.want {
				t.Errorf("ValidName(%q) = %q, %v; want %q", test.in, got, err, test.want)
			}
		})
	}
	for _, nothing := range []string{"", ".", "..", "...", "???", "$.$.$", "😀", "😀.😀", " ", "-", "---", "\u200b"} {
		t.Run("nothing remains of "+quoteName(nothing), func(t *testing.T) {
			t.Parallel()
			got, err := ValidName(nothing)
			wantNameError(t, err, "could not derive a file name from "+quoteName(nothing))
			if got != "" {
				t.Errorf("ValidName(%q) = %q beside its error", nothing, got)
			}
		})
	}
}

func TestClientNameThenValidName(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"evil\r\nX: y.txt":               "evilX_y.txt",
		"a&#x2F;b.txt":                   "b.txt",
		"\ufeffa\u200bb\u00adc\u202e.md": "abc.md",
		`C:\temp\john's 1st.jpg`:         "johns_1st.jpg",
	} {
		if got, err := ValidName(ClientName(raw)); err != nil || got != want {
			t.Errorf("%q became %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestSplitExt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, stem, ext string }{
		{"a.txt", "a", ".txt"},
		{"a", "a", ""},
		{"", "", ""},
		{"a.", "a.", ""},
		{".test", ".test", ""},
		{"...test", "...test", ""},
		{".test.txt", ".test", ".txt"},
		{"dotted.path/test", "dotted.path/test", ""},
		{"dotted.path/.test", "dotted.path/.test", ""},
		{"a.tar.gz", "a", ".tar.gz"},
		{"a.TAR.BZ2", "a", ".TAR.BZ2"},
		{"a.tar.xz", "a", ".tar.xz"},
		{"a.tar.zst", "a", ".tar.zst"},
		{".tar.gz", ".tar", ".gz"},
		{"tar.gz", "tar", ".gz"},
		{"x/.tar.gz", "x/.tar", ".gz"},
		{"a.jpg.gz", "a.jpg", ".gz"},
		{"report v1.2 final.pdf", "report v1.2 final", ".pdf"},
		{"report v1.2 final", "report v1.2 final", ""},
		{"2024.01.15.meeting.notes.docx", "2024.01.15.meeting.notes", ".docx"},
		{"a.1234567890123456789", "a", ".1234567890123456789"},
		{"a.12345678901234567890", "a.12345678901234567890", ""},
	} {
		if stem, ext := SplitExt(test.name); stem != test.stem || ext != test.ext {
			t.Errorf("SplitExt(%q) = %q, %q; want %q, %q", test.name, stem, ext, test.stem, test.ext)
		}
	}
}

func TestAlternative(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, key string
		max       int
		want      string
	}{
		{"goes before the extension", "tests/multiple_files.txt", 0, "tests/multiple_files_RaNd0m7.txt"},
		{"goes before a double extension", "tests/multiple_files_many_extensions.tar.gz", 0, "tests/multiple_files_many_extensions_RaNd0m7.tar.gz"},
		{"takes no dot of a folder for an extension", "dotted.path/test", 0, "dotted.path/test_RaNd0m7"},
		{"takes no leading dot for an extension", "dotted.path/.test", 0, "dotted.path/.test_RaNd0m7"},
		{"cuts the stem to fit", "tests/filename.ext", 20, "tests/fi_RaNd0m7.ext"},
		{"cuts the stem of a name that was too long", "tests/abcdefghijklmnop.txt", 20, "tests/ab_RaNd0m7.txt"},
		{"looks at the last extension only", "report v1.2 final.pdf", 0, "report v1.2 final_RaNd0m7.pdf"},
		{"looks at the last of many dots", "2024.01.15.meeting.notes.docx", 0, "2024.01.15.meeting.notes_RaNd0m7.docx"},
		{"works without extension", "conflict", 0, "conflict_RaNd0m7"},
		{"cuts between characters", "字字字.txt", 16, "字_RaNd0m7.txt"},
		{"keeps a segment within 255 bytes", strings.Repeat("x", 255), 0, strings.Repeat("x", 247) + "_RaNd0m7"},
		{"keeps backslashes", `a\b.c\d e`, 0, `a\b.c\d e_RaNd0m7`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Alternative(test.key, test.max, "RaNd0m7")
			if err != nil || got != test.want {
				t.Errorf("Alternative(%q, %d) = %q, %v; want %q", test.key, test.max, got, err, test.want)
			}
			if test.max > 0 && len(got) > test.max {
				t.Errorf("%q has %d bytes; want at most %d", got, len(got), test.max)
			}
		})
	}
	_, err := Alternative("tests/short.longext", 20, "RaNd0m7")
	wantNameError(t, err, "can not find an available file name")
	_, err = Alternative("字.txt", 14, "RaNd0m7")
	wantNameError(t, err, "can not find an available file name")
	_, err = Alternative("tmp/../path", 0, "RaNd0m7")
	wantNameError(t, err, "path traversal")
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	child := "parent/child.txt"
	for _, test := range []struct {
		key  string
		max  int
		want string
	}{
		{"test_long_file_name.txt", 10, "test_l.txt"},
		{child, len(child) - 1, "parent/chil.txt"},
		{child, len(child), child},
		{child, 0, child},
		{"字字.txt", 8, "字.txt"},
		{strings.Repeat("x", 300) + ".txt", 0, strings.Repeat("x", 251) + ".txt"},
		{strings.Repeat("x", 255), 300, strings.Repeat("x", 255)},
	} {
		if got, err := Truncate(test.key, test.max); err != nil || got != test.want {
			t.Errorf("Truncate(%q, %d) = %q, %v; want %q", test.key, test.max, got, err, test.want)
		}
	}
	for _, test := range []struct {
		key string
		max int
		why string
	}{
		{"file_name.longext", 5, "can not find an available file name"},
		{child, len(child) - 5, "can not find an available file name"},
		{"folder/a", 3, "can not find an available file name"},
		{"..a", 2, "can not find an available file name"},
		{"superlong/file/with/../path.txt", 30, "path traversal"},
	} {
		got, err := Truncate(test.key, test.max)
		wantNameError(t, err, test.why)
		if got != "" {
			t.Errorf("Truncate(%q, %d) = %q beside its error", test.key, test.max, got)
		}
	}
}

func TestRandomSuffix(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[A-Za-z0-9]{7}$`)
	seen := map[string]bool{}
	count := map[rune]int{}
	const draws = 10_000
	for range draws {
		suffix := RandomSuffix()
		if !form.MatchString(suffix) {
			t.Fatalf("RandomSuffix() = %q; want 7 of A-Z, a-z, 0-9", suffix)
		}
		seen[suffix] = true
		for _, r := range suffix {
			count[r]++
		}
	}
	if len(seen) < draws-2 {
		t.Errorf("%d different suffixes of %d; want them not to repeat", len(seen), draws)
	}
	// 70,000 letters, about 1129 of each: a letter favoured by a modulo would
	// come a quarter more often.
	for r, n := range count {
		if n < 950 || n > 1310 {
			t.Errorf("%q came %d times of %d; want about %d", r, n, 7*draws, 7*draws/62)
		}
	}
	if len(count) != 62 {
		t.Errorf("%d different characters; want 62", len(count))
	}
}

func nameSeeds(f *testing.F) {
	for _, seed := range []string{
		"a.txt", `C:\x\y.tar.gz`, "..&#x2F;a", "a\x00\r\n", "cafe\u0301", "मेरी", "😀.png", "\u202e.", "CON.txt", "-rf",
		"^&-_1", "...a", strings.Repeat("字", 100) + ".txt", "a." + strings.Repeat("b", 300), "a\xff", "a\u0316\u034f\u0301",
		"a" + strings.Repeat("\u0316", 40), "com¹", "&amp;sol;", "＊.txt", "a .", "1\ufe0f\u20e3",
	} {
		f.Add(seed)
	}
}

func FuzzClientName(f *testing.F) {
	nameSeeds(f)
	f.Fuzz(func(t *testing.T, raw string) {
		got := ClientName(raw)
		if got == "." || got == ".." || strings.ContainsAny(got, `/\`) || len(got) > 255 || !utf8.ValidString(got) {
			t.Fatalf("ClientName(%q) = %q (%d bytes)", raw, got, len(got))
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("ClientName(%q) = %q holds %U", raw, got, r)
			}
		}
		if !norm.NFC.IsNormalString(got) {
			t.Fatalf("ClientName(%q) = %+q is not in normalization form C", raw, got)
		}
		// Decoding character references is the one step that may go deeper.
		if again := ClientName(got); again != got && !strings.Contains(got, "&") {
			t.Fatalf("ClientName(%q) = %q, and of that %q", raw, got, again)
		}
	})
}

func FuzzValidName(f *testing.F) {
	nameSeeds(f)
	f.Fuzz(func(t *testing.T, name string) {
		got, err := ValidName(name)
		if err != nil {
			if !errors.Is(err, ErrName) || got != "" {
				t.Fatalf("ValidName(%q) = %q, %v; want kind ErrName", name, got, err)
			}
			return
		}
		if got == "" || len(got) > 255 || strings.HasPrefix(got, ".") || strings.HasSuffix(got, ".") || !norm.NFC.IsNormalString(got) {
			t.Fatalf("ValidName(%q) = %q (%d bytes)", name, got, len(got))
		}
		for _, r := range got {
			if r != '-' && r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.In(r, unicode.Mn, unicode.Mc) {
				t.Fatalf("ValidName(%q) = %q holds %U", name, got, r)
			}
		}
		if key, err := ParseKey(got); err != nil || key.Base() != got {
			t.Fatalf("ValidName(%q) = %q, which is no key: %v", name, got, err)
		}
		if again, err := ValidName(got); again != got || err != nil {
			t.Fatalf("ValidName(%q) = %+q, and of that %+q, %v", name, got, again, err)
		}
	})
}

func FuzzAlternative(f *testing.F) {
	f.Add("tests/filename.ext", 20)
	f.Add("a.tar.gz", 0)
	f.Add("字字.txt", 16)
	f.Add("..a", 2)
	f.Fuzz(func(t *testing.T, key string, max int) {
		for _, insert := range []string{"", "_abcdefg"} {
			got, err := shorten(key, insert, max)
			if err != nil {
				if !errors.Is(err, ErrName) {
					t.Fatalf("%q in %d bytes: %v; want kind ErrName", key, max, err)
				}
				continue
			}
			if max > 0 && len(got) > max || !strings.Contains(got, insert) {
				t.Fatalf("%q in %d bytes became %q (%d bytes)", key, max, got, len(got))
			}
			wantSafeSegments := got[strings.LastIndexByte(got, '/')+1:]
			wantSafeKey(t, wantSafeSegments)
		}
	})
}
