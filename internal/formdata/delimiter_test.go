package formdata

import (
	"bytes"
	"strings"
	"testing"
)

func TestADelimiterIsFoundWhereverItIs(t *testing.T) {
	t.Parallel()
	for _, boundary := range []string{"B", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "---------------------------9051914041544843365972754266", strings.Repeat("-", 70), strings.Repeat("ab", 35)} {
		d := newDelimiter("\r\n", boundary)
		for at := range 200 {
			for _, filler := range []string{"x", "-", "\r", "\r\n--", "\r\n--" + boundary[:len(boundary)-1] + "#"} {
				content := strings.Repeat(filler, 200/len(filler)+1)[:at]
				for _, behind := range []string{"\r\n", "--", " \t\r\n"} {
					got, ended := d.scan([]byte(content + string(d.text) + behind + content))
					if got != at || !ended {
						t.Fatalf("%q behind %d bytes of %q: found at %d, %t", boundary, at, filler, got, ended)
					}
				}
				if got, ended := d.scan([]byte(content + string(d.text) + "x" + content)); ended || got <= at {
					t.Fatalf("%q with more behind it, at %d of %q: %d bytes of content, ended: %t", boundary, at, filler, got, ended)
				}
				for cut := range d.text {
					part := []byte(content + string(d.text[:cut]))
					got, ended := d.scan(part)
					if ended || got > at {
						t.Fatalf("%d bytes of %q at %d of %q: %d bytes of content, ended: %t", cut, boundary, at, filler, got, ended)
					}
				}
			}
		}
	}
}

// FuzzDelimiter holds the search against the standard library's.
func FuzzDelimiter(f *testing.F) {
	f.Add("a\r\n--BBBBBBBBBBBBBBBB--", "BBBBBBBBBBBBBBBB")
	f.Add("\r\n\r\n--\r\n------------------------x", "----------------------x")
	f.Fuzz(func(t *testing.T, content, boundary string) {
		if boundary == "" || !isBoundary(boundary) {
			return
		}
		d := newDelimiter("\r\n", boundary)
		for _, b := range []string{content, content + string(d.text), content + string(d.text) + content} {
			if got, want := d.index([]byte(b)), bytes.Index([]byte(b), d.text); got != want {
				t.Errorf("index(%q) of %q = %d, want %d", b, boundary, got, want)
			}
		}
	})
}
