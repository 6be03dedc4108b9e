package core

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestJoinURL(t *testing.T) {
	t.Parallel()
	const base = "/test_media_url/"
	for _, test := range []struct{ name, base, in, want string }{
		{"a plain name", base, "test.file", "/test_media_url/test.file"},
		{"punctuation", base, "~!*()'@#$%^&*abc`+ =.file", "/test_media_url/~!*()'%40%23%24%25%5E%26*abc%60%2B%20%3D.file"},
		{"NUL", base, "ab\x00c", "/test_media_url/ab%00c"},
		{"a backslash is a slash", base, `a/b\c.file`, "/test_media_url/a/b/c.file"},
		{"a leading slash goes", base, "/evil.com", "/test_media_url/evil.com"},
		{"a leading backslash goes", base, `\evil.com`, "/test_media_url/evil.com"},
		{"all leading slashes go", base, "///evil.com", "/test_media_url/evil.com"},
		{"all leading backslashes go", base, `\\\evil.com`, "/test_media_url/evil.com"},
		{"nothing", base, "", "/test_media_url/"},
		{"only slashes", base, `/\/`, "/test_media_url/"},
		{"space, non-ASCII, query and fragment", base, "a b/ü?x#y.png", "/test_media_url/a%20b/%C3%BC%3Fx%23y.png"},
		{"a URL is a path", base, "http://evil.com/x", "/test_media_url/http%3A//evil.com/x"},
		{"a script is a path", base, "javascript:alert(1)", "/test_media_url/javascript%3Aalert(1)"},
		{"an encoded slash stays what it is", base, "a%2Fb+c", "/test_media_url/a%252Fb%2Bc"},
		{"encoded dots are no step up", base, "%2e%2e/x", "/test_media_url/%252e%252e/x"},
		{"dots inside a name", base, "a..b/...", "/test_media_url/a..b/..."},
		{"a base without slash gets one", "/media", "a.txt", "/media/a.txt"},
		{"a base without slash gets one for nothing too", "/media", "", "/media/"},
		{"an absolute base", "https://cdn.example.com", "//evil.com/a", "https://cdn.example.com/evil.com/a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, err := JoinURL(test.base, test.in); err != nil || got != test.want {
				t.Errorf("JoinURL(%q, %q) = %q, %v; want %q", test.base, test.in, got, err, test.want)
			}
		})
	}
	for _, up := range []string{"../../x", "..", "a/../b", `a\..\..\b`, "/../x"} {
		_, err := JoinURL(base, up)
		wantNameError(t, err, "path traversal")
	}
	_, err := JoinURL("", "a.txt")
	if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "This file is not accessible via a URL.") {
		t.Errorf("without a base: %v; want kind %v", err, ErrConfig)
	}
}

func TestJoinURLAllocatesLittle(t *testing.T) {
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := JoinURL("https://cdn.example.com/media/", "a b/ü?x#y.png"); err != nil {
			t.Error(err)
		}
	})
	if allocs > 2 {
		t.Errorf("JoinURL allocates %v times; want at most 2", allocs)
	}
}

func TestEscapePath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ key, want, wantV4 string }{
		{"a/b-c_d.e~f", "a/b-c_d.e~f", "a/b-c_d.e~f"},
		{"a b", "a%20b", "a%20b"},
		{"!*'()", "!*'()", "%21%2A%27%28%29"},
		{`a\b`, "a%5Cb", "a%5Cb"},
		{"ü?#%+&=:@;,$[]", "%C3%BC%3F%23%25%2B%26%3D%3A%40%3B%2C%24%5B%5D", "%C3%BC%3F%23%25%2B%26%3D%3A%40%3B%2C%24%5B%5D"},
		{"", "", ""},
		{"\x00\xff", "%00%FF", "%00%FF"},
	} {
		if got := EscapePath(test.key); got != test.want {
			t.Errorf("EscapePath(%q) = %q; want %q", test.key, got, test.want)
		}
		if got := EscapeKeyV4(test.key); got != test.wantV4 {
			t.Errorf("EscapeKeyV4(%q) = %q; want %q", test.key, got, test.wantV4)
		}
	}
}

func FuzzEscapePath(f *testing.F) {
	for _, seed := range []string{"a b/ü?x#y.png", `a\b`, "%2e%2e/x", "//evil.com", "a\x00\xff", "!*'()", "../x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, escaped := range []string{EscapePath(key), EscapeKeyV4(key)} {
			back, err := url.PathUnescape(escaped)
			if err != nil || back != key {
				t.Fatalf("%q was escaped to %q, which reads %q, %v", key, escaped, back, err)
			}
			if strings.ContainsAny(escaped, "?#<>\"\\ ") {
				t.Fatalf("%q was escaped to %q", key, escaped)
			}
		}
		joined, err := JoinURL("https://media.example/files", key)
		if err != nil {
			return
		}
		u, err := url.Parse(joined)
		if err != nil || u.Host != "media.example" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			t.Fatalf("JoinURL of %q is %q, read as %+v, %v", key, joined, u, err)
		}
		if clean := u.JoinPath().Path; !strings.HasPrefix(clean, "/files") || strings.HasPrefix(u.Path, "/files//") {
			t.Fatalf("JoinURL of %q is %q, which leads to %q", key, joined, clean)
		}
	})
}

func BenchmarkJoinURL(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := JoinURL("https://cdn.example.com/media/", "avatars/2026/11/h5zl3x7qk2mmb6ycf1o8tq4w4e.png"); err != nil {
			b.Fatal(err)
		}
	}
}
