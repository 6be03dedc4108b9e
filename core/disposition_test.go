package core

import (
	"fmt"
	"mime"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

func TestContentDisposition(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		disposition Disposition
		file, want  string
	}{
		{"to show, without a name", Inline, "", ""},
		{"to save, without a name", Attachment, "", "attachment"},
		{"to show, with a name", Inline, "example", `inline; filename="example"`},
		{"to save, with a name", Attachment, "example", `attachment; filename="example"`},
		{"quotes and backslashes are escaped", Attachment, `"example" file\name`, `attachment; filename="\"example\" file\\name"`},
		{"a semicolon stays within the quotes", Attachment, "a;b.txt", `attachment; filename="a;b.txt"`},
		{"an accent is dropped for old clients", Attachment, "espécimen", `attachment; filename="especimen"; filename*=UTF-8''esp%C3%A9cimen`},
		{"quotes beside an accent", Attachment, `"espécimen" filename`, `attachment; filename="_especimen_ filename"; filename*=UTF-8''%22esp%C3%A9cimen%22%20filename`},
		{"another script is underscores for old clients", Attachment, "祝您平安.odt", `attachment; filename="____.odt"; filename*=UTF-8''%E7%A5%9D%E6%82%A8%E5%B9%B3%E5%AE%89.odt`},
		{"a percent sign is sent exactly too", Attachment, "100%41.txt", `attachment; filename="100_41.txt"; filename*=UTF-8''100%2541.txt`},
		{"CR, LF and NUL go", Attachment, "a\r\nX-Evil: 1\x00.txt", `attachment; filename="aX-Evil: 1.txt"`},
		{"a bidirectional override goes", Attachment, "a\u202efdp.exe", `attachment; filename="afdp.exe"`},
		{"other spaces become plain ones", Attachment, "a\u00a0b\u3000c", `attachment; filename="a b c"`},
		{"invalid UTF-8 is replaced", Attachment, "a\xffb", `attachment; filename="a_b"; filename*=UTF-8''a%EF%BF%BDb`},
		{"only unprintable characters are no name", Attachment, "\r\n\u202e", "attachment"},
		{"dots are no name", Inline, "..", ""},
		{"marks alone leave an underscore", Attachment, "\u0301", `attachment; filename="_"; filename*=UTF-8''%CC%81`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := ContentDisposition(test.disposition, test.file); got != test.want {
				t.Errorf("ContentDisposition(%s, %q)\n got %s\nwant %s", test.disposition, test.file, got, test.want)
			}
		})
	}
}

func TestN4ContentDispositionIsBounded(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		strings.Repeat("x", 10_000) + ".txt",
		strings.Repeat("祝", 10_000) + ".txt",
		strings.Repeat(`"`, 10_000) + ".txt",
	} {
		got := ContentDisposition(Attachment, name)
		if len(got) > 1200 || !strings.Contains(got, ".txt") {
			t.Errorf("a name of %d bytes made a header of %d: %.80s…; want it short, with the extension", len(name), len(got), got)
		}
	}
}

func FuzzContentDisposition(f *testing.F) {
	for _, seed := range []string{"", "example", `"a" \b`, "espécimen", "a\r\nX: y", "100%", "祝.odt", "\u202e", "a\xff", " .txt", "%\"'", strings.Repeat("é", 200)} {
		f.Add(true, seed)
	}
	header := regexp.MustCompile(`^(inline|attachment)(; filename="([ !#-\[\]-~]|\\["\\])*"(; filename\*=UTF-8''([A-Za-z0-9._~-]|%[0-9A-F]{2})*)?)?$`)
	f.Fuzz(func(t *testing.T, attachment bool, name string) {
		disposition := Inline
		if attachment {
			disposition = Attachment
		}
		got := ContentDisposition(disposition, name)
		want := headerName(name)
		if got == "" && !attachment && want == "" {
			return
		}
		if !header.MatchString(got) || len(got) > 1200 {
			t.Fatalf("ContentDisposition(%s, %q) = %q", disposition, name, got)
		}
		_, params, err := mime.ParseMediaType(got)
		if err != nil || params["filename"] != want {
			t.Fatalf("ContentDisposition(%s, %q) = %q, read as %q, %v; want %q", disposition, name, got, params["filename"], err, want)
		}
		if len(want) > 255 || strings.ContainsFunc(want, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is sent as %q", name, want)
		}
	})
}

func ExampleContentDisposition() {
	fmt.Println(ContentDisposition(Attachment, "report.pdf"))
	fmt.Println(ContentDisposition(Inline, "Übersicht.pdf"))
	// Output:
	// attachment; filename="report.pdf"
	// inline; filename="Ubersicht.pdf"; filename*=UTF-8''%C3%9Cbersicht.pdf
}
