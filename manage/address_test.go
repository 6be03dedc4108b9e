package manage

import (
	"strings"
	"testing"
	"unicode"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		text, bucket, key, prefix string
		folder                    bool
	}{
		{"media", "media", "", "", true},
		{"media/", "media", "", "", true},
		{"media/a.txt", "media", "a.txt", "a.txt/", false},
		{"media/docs/", "media", "docs/", "docs/", true},
		{"s3://media/docs/a b.txt", "media", "docs/a b.txt", "docs/a b.txt/", false},
	}
	for _, c := range cases {
		a, err := parseAddress(c.text)
		if err != nil || a.bucket != c.bucket || a.key != c.key || a.folder() != c.folder || a.prefix() != c.prefix {
			t.Errorf("%q reads as bucket %q, key %q, folder %v, prefix %q, %v", c.text, a.bucket, a.key, a.folder(), a.prefix(), err)
		}
	}
	for _, text := range []string{"", "/", "/key", "s3://", "s3:///key", "https://host/media"} {
		if a, err := parseAddress(text); err == nil {
			t.Errorf("%q reads as %+v, want an error", text, a)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, text := range []string{"media", "media/a", "media/a/", "s3://media//a", "/", "s3://s3://x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if err != nil {
			return
		}
		if a.bucket == "" || strings.Contains(a.bucket, "/") {
			t.Errorf("%q names the bucket %q", text, a.bucket)
		}
		if again, err := parseAddress(a.String()); err != nil || again != a {
			t.Errorf("%q is written back as %q, which reads as %+v, %v", text, a, again, err)
		}
		if prefix := a.prefix(); prefix != "" && !strings.HasSuffix(prefix, "/") {
			t.Errorf("below %q is %q, which other names start with too", text, prefix)
		}
	})
}

func FuzzSpan(f *testing.F) {
	for _, text := range []string{"0-9", "5-", "-5", "-", "9-1", "--1", "1-2-3", "-0", "9223372036854775807-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSpan(text)
		if err != nil {
			return
		}
		if s.length < 0 || (s.offset < 0 && s.length != 0) {
			t.Errorf("%q reads as %+v, which is no range", text, s)
		}
	})
}

func FuzzShown(f *testing.F) {
	for _, text := range []string{"a.txt", "", "\x1b[2J", "\u202egpj.exe", "a\nb", "\xff", "नाव"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s := shown(text); s == "" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", text, s)
		}
	})
}
