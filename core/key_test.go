package core

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 255)
	kilobyte := strings.Repeat(long+"/", 4)
	accepted := []struct{ name, key string }{
		{"a plain name", "a.txt"},
		{"folders", "docs/2026/a.txt"},
		{"spaces and punctuation", " a b/c?d#e%2F+*&.txt "},
		{"a backslash inside a name", `mys3folder/not/a/folder/my-file-key\with odd characters`},
		{"any script", "日本語/नाव 😀.png"},
		{"dots that are no segment", "a..b/...c/.hidden/d."},
		{"a colon after one letter", "c:file"},
		{"a segment of 255 bytes", long},
		{"a key of 1024 bytes", kilobyte},
	}
	for _, test := range accepted {
		t.Run("accepts "+test.name, func(t *testing.T) {
			t.Parallel()
			in := strings.TrimSuffix(test.key, "/")
			key, err := ParseKey(in)
			if err != nil || key.String() != in {
				t.Errorf("ParseKey(%q) = %q, %v; want it unchanged", in, key, err)
			}
		})
	}
	refused := []struct{ name, key, text string }{
		{"an empty key", "", "could not derive a file name from"},
		{"a leading slash", "/abs", "path traversal"},
		{"a leading backslash", `\abs`, "path traversal"},
		{"a drive letter", `C:\x`, "path traversal"},
		{"a drive letter with a slash", "c:/x", "path traversal"},
		{"a step up", "../x", "path traversal"},
		{"a step up inside", "a/../b", "path traversal"},
		{"a step up between backslashes", `a\..\b`, "path traversal"},
		{"a step up at the end", "a/..", "could not derive"},
		{"a dot", ".", "could not derive"},
		{"two dots", "..", "could not derive"},
		{"a trailing slash", "a/", "could not derive"},
		{"a dot segment", "a/./b", "segments"},
		{"a leading dot segment", "./b", "segments"},
		{"an empty segment", "a//b", "segments"},
		{"NUL", "a\x00b", "control characters"},
		{"a line end", "a\r\nb", "control characters"},
		{"a C1 control", "a\u0085b", "control characters"},
		{"bytes that are not UTF-8", "a\xffb", "UTF-8"},
		{"overlong UTF-8", "..\xc0\xafetc", "UTF-8"},
		{"a segment of 256 bytes", long + "a", "255 bytes"},
		{"more than 1024 bytes", kilobyte + "ab", "1024 bytes"},
	}
	for _, test := range refused {
		t.Run("refuses "+test.name, func(t *testing.T) {
			t.Parallel()
			key, err := ParseKey(test.key)
			wantNameError(t, err, test.text)
			if !key.IsZero() {
				t.Errorf("ParseKey(%q) = %q beside its error; want the zero Key", test.key, key)
			}
		})
	}
}

func TestKeyParts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ key, dir, base string }{
		{"a.txt", "", "a.txt"},
		{"docs/a.txt", "docs", "a.txt"},
		{`a/b/c\d`, "a/b", `c\d`},
		{"", "", ""},
	} {
		key := Key{test.key}
		if key.Dir() != test.dir || key.Base() != test.base {
			t.Errorf("%q: Dir %q, Base %q; want %q, %q", test.key, key.Dir(), key.Base(), test.dir, test.base)
		}
	}
}

func TestKeyAsText(t *testing.T) {
	t.Parallel()
	type row struct{ Key Key }
	key, err := ParseKey("a b/ü.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []row{{key}, {}} {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := row{Key{"before"}}
		if err := json.Unmarshal(data, &got); err != nil || got != want {
			t.Errorf("%s came back as %+v, %v; want %+v", data, got, err, want)
		}
	}
	got := row{key}
	err = json.Unmarshal([]byte(`{"Key":"../x"}`), &got)
	wantNameError(t, err, "path traversal")
	if got.Key != key {
		t.Errorf("a refused text changed the key to %q", got.Key)
	}
}

func TestNormalizeName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want, refusal string }{
		{"a plain name stays", "my file.txt", "my file.txt", ""},
		{"empty segments go", "a//b.txt", "a/b.txt", ""},
		{"a leading dot segment goes", "./a.txt", "a.txt", ""},
		{"an inner dot segment goes", "a/./b.txt", "a/b.txt", ""},
		{"backslashes become slashes", `a\b.txt`, "a/b.txt", ""},
		{"many at once", `.\a/.//b\\c.txt`, "a/b/c.txt", ""},
		{"a colon in a name stays", "a:b.txt", "a:b.txt", ""},
		{"a step up inside is refused", "path/to/../test.file", "", "path traversal"},
		{"an absolute path is refused", "/path/to/test.file", "", "path traversal"},
		{"a step up after a folder is refused", "tmp/../path", "", "path traversal"},
		{"so with backslashes", `tmp\..\path`, "", "path traversal"},
		{"an absolute path with a step up is refused", "/tmp/../path", "", "path traversal"},
		{"so with backslashes from a root", `\tmp\..\path`, "", "path traversal"},
		{"a backslash root is refused", `\abs`, "", "path traversal"},
		{"a drive letter is refused", `C:\x`, "", "path traversal"},
		{"a step up first is refused", "../x", "", "path traversal"},
		{"two dots below a root name nothing", "/tmp/..", "", "could not derive a file name from"},
		{"a dot below a root names nothing", "/tmp/.", "", "could not derive a file name from"},
		{"nothing names nothing", "", "", "could not derive a file name from"},
		{"two dots in a folder name nothing", "a/..", "", "could not derive a file name from"},
		{"a dot in a folder names nothing", "a/.", "", "could not derive a file name from"},
		{"two dots name nothing", "..", "", "could not derive a file name from"},
		{"a dot names nothing", ".", "", "could not derive a file name from"},
		{"a folder names nothing", "a/", "", "could not derive a file name from"},
		{"NUL is refused", "nul\x00.txt", "", "control characters"},
		{"a long segment is refused", strings.Repeat("x", 256), "", "255 bytes"},
		{"a long key is refused", strings.Repeat("x/", 512) + "x", "", "1024 bytes"},
		{"invalid UTF-8 is refused", "a\xff.txt", "", "UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := NormalizeName(test.in)
			if test.refusal != "" {
				wantNameError(t, err, test.refusal)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("NormalizeName(%q) = %q, %v; want %q", test.in, got, err, test.want)
			}
		})
	}
}

func TestNameErrorsCarryNoMarkup(t *testing.T) {
	t.Parallel()
	_, err := NormalizeName("/<script>alert('\u202e')</script>&\n" + strings.Repeat("x", 5000))
	var named *Error
	if !errors.As(err, &named) {
		t.Fatalf("got %v; want an *Error", err)
	}
	if strings.ContainsAny(named.Detail, "<>&\n\u202e") || len(named.Detail) > 300 {
		t.Errorf("detail is %d bytes: %q; want it short, without markup, line ends and overrides", len(named.Detail), named.Detail)
	}
}

// wantNameError fails the test unless err has kind ErrName and its text holds
// text.
func wantNameError(t *testing.T, err error, text string) {
	t.Helper()
	if !errors.Is(err, ErrName) || !strings.Contains(err.Error(), text) {
		t.Errorf("error is %v; want kind %v with %q", err, ErrName, text)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", `a\..\b`, "a//b", "C:/x", "a\x00b", "日本/語", "a\xff", "a/.", "..."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := ParseKey(s)
		if err != nil {
			if !errors.Is(err, ErrName) || !key.IsZero() {
				t.Fatalf("ParseKey(%q) = %q, %v; want the zero Key and kind ErrName", s, key, err)
			}
			return
		}
		if key.String() != s {
			t.Fatalf("ParseKey(%q) changed it to %q", s, key)
		}
		wantSafeKey(t, s)
		if joined := strings.TrimPrefix(key.Dir()+"/"+key.Base(), "/"); joined != s {
			t.Fatalf("Dir and Base of %q make %q", s, joined)
		}
	})
}

func FuzzNormalizeName(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", `a\..\b`, "a//b", "./a", "C:/x", "C:/", "/", "a/./b", `\\a`, "a\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, err := NormalizeName(name)
		if err != nil {
			if !errors.Is(err, ErrName) {
				t.Fatalf("NormalizeName(%q): %v; want kind ErrName", name, err)
			}
			return
		}
		wantSafeKey(t, key)
		if _, err := ParseKey(key); err != nil || strings.Contains(key, `\`) {
			t.Fatalf("NormalizeName(%q) = %q, which ParseKey answers with %v", name, key, err)
		}
		if again, err := NormalizeName(key); again != key || err != nil {
			t.Fatalf("NormalizeName(%q) = %q, and of that %q, %v", name, key, again, err)
		}
	})
}

// wantSafeKey checks a key by rules written another way than the code's.
func wantSafeKey(t *testing.T, key string) {
	t.Helper()
	if len(key) == 0 || len(key) > 1024 || !utf8.ValidString(key) {
		t.Fatalf("%q: empty, longer than 1024 bytes, or not UTF-8", key)
	}
	for _, r := range key {
		if unicode.Is(unicode.Cc, r) {
			t.Fatalf("%q holds control character %U", key, r)
		}
	}
	for _, segment := range strings.Split(key, "/") {
		if segment == "" || len(segment) > 255 {
			t.Fatalf("%q has a segment of %d bytes", key, len(segment))
		}
		for _, part := range strings.Split(segment, `\`) {
			if part == "." || part == ".." {
				t.Fatalf("%q has a dot segment", key)
			}
		}
	}
	if key[0] == '\\' {
		t.Fatalf("%q starts at a root", key)
	}
}

func BenchmarkParseKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseKey("avatars/2026/11/h5zl3x7qk2mmb6ycf1o8tq4w4e.png"); err != nil {
			b.Fatal(err)
		}
	}
}
