package core

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

var uploadTime = time.Date(2026, 1, 2, 1, 4, 5, 0, time.FixedZone("", 3*60*60)) // 1 January in UTC

func TestUploadToValues(t *testing.T) {
	t.Parallel()
	text := func(name string) Naming {
		return Naming{Field: "doc", Name: name, Type: "text/plain", Now: uploadTime, Form: url.Values{"team": {"blue"}}}
	}
	for _, test := range []struct {
		name   string
		f      UploadTo
		in     Naming
		want   string // a regular expression
		unique bool
	}{
		{"nil is a random name", nil, text("secret plan.txt"), `[a-z2-7]{26}\.txt`, true},
		{"a random name takes the extension of the content", RandomName, Naming{Name: "a.exe", Type: "image/jpeg"}, `[a-z2-7]{26}\.jpg`, true},
		{"a random name needs no name", RandomName, Naming{Type: "application/octet-stream"}, `[a-z2-7]{26}`, true},
		{"a kept name", KeepName, text("django_test.txt"), `django_test\.txt`, false},
		{"a kept name below a prefix", Prefix("some/folder/", KeepName), text("test with space.txt"), `some/folder/test_with_space\.txt`, false},
		{"a prefix without slash", Prefix("some/folder", KeepName), text("a.txt"), `some/folder/a\.txt`, false},
		{"a prefix with too many slashes", Prefix("some//", KeepName), text("a.txt"), `some/a\.txt`, false},
		{"an empty prefix", Prefix("", KeepName), text("a.txt"), `a\.txt`, false},
		{"a prefix above a random name", Prefix("avatars", nil), text("a.txt"), `avatars/[a-z2-7]{26}\.txt`, true},
		{"prefixes above each other", Prefix("a", Prefix("b", RandomName)), text("a.txt"), `a/b/[a-z2-7]{26}\.txt`, true},
		{"the date in UTC", ISODatePrefix, text("a b.txt"), `2026-01-01/a_b\.txt`, false},
		{"a pattern in UTC", Strftime("avatars/%Y/%m/", nil), text("a.txt"), `avatars/2026/01/[a-z2-7]{26}\.txt`, true},
		{"a pattern without slash", Strftime("%Y-%j", KeepName), text("a.txt"), `2026-001/a\.txt`, false},
		{"a percent sign in a pattern", Strftime("100%%/%-d", KeepName), text("a.txt"), `100%/1/a\.txt`, false},
		{"a function of the app", func(n Naming) (string, error) { return n.Form.Get("team") + "/x" + n.Ext(), nil }, text("a.csv"), `blue/x\.csv`, false},
		{"a function's own name stays byte for byte", func(Naming) (string, error) { return `not/a/folder/my-key\with odd characters@2x`, nil }, text("a.txt"), `not/a/folder/my-key\\with odd characters@2x`, false},
		{"a client's name in a function's key is made valid", func(n Naming) (string, error) { return "bar/some " + n.Name, nil }, text("my file$.txt"), `bar/some_my_file\.txt`, false},
		{"a long name is made to fit", Prefix("tests", KeepName), text("abcdefghijklmnop.txt"), `tests/ab_[A-Za-z0-9]{7}\.txt`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			max := 0
			if strings.Contains(test.name, "made to fit") {
				max = 20
			}
			key, unique, err := test.f.makeKey(test.in, max)
			if err != nil || !regexp.MustCompile("^"+test.want+"$").MatchString(key.String()) || unique != test.unique {
				t.Errorf("made %q, unique %t, %v; want %s, %t", key, unique, err, test.want, test.unique)
			}
		})
	}
}

func TestUploadToRefusesClientNames(t *testing.T) {
	t.Parallel()
	const underivable, traversal = "could not derive a file name from", "path traversal"
	folder := Prefix("some/folder/", KeepName)
	tmp := UploadTo(func(n Naming) (string, error) { return "/tmp/" + n.Name, nil })
	for _, test := range []struct {
		name string
		f    UploadTo
		in   string
		text string
	}{
		{"two dots below a prefix", folder, "..", underivable},
		{"a dot below a prefix", folder, ".", underivable},
		{"nothing below a prefix", folder, "", underivable},
		{"question marks below a prefix", folder, "???", underivable},
		{"dollars and dots below a prefix", folder, "$.$.$", underivable},
		{"a step up below a prefix", folder, "../path", traversal},
		{"an absolute path below a prefix", folder, "/tmp/path", traversal},
		{"an absolute path with a step up", folder, "/tmp/../path", traversal},
		{"a Windows path below a prefix", folder, `C:\tmp\path`, traversal},
		{"a folder below a prefix", folder, "sub/x.txt", traversal},
		{"a step up in a kept name", KeepName, `..\x`, traversal},
		{"a step up below the date", ISODatePrefix, "../x", traversal},
		{"a function with a root", tmp, "path", traversal},
		{"a function with a root and a step up", tmp, "../path", traversal},
		{"a function with a root and question marks", tmp, "???", traversal},
		{"a function with a root and dollars", tmp, "$.$.$", traversal},
		{"a function with a root and two dots", tmp, "..", underivable},
		{"a function with a root and a dot", tmp, ".", underivable},
		{"a function with a root and nothing", tmp, "", underivable},
		{"question marks in a function's folder", func(n Naming) (string, error) { return "x/" + n.Name, nil }, "???", underivable},
		{"an absolute name by a function below a prefix", Prefix("a", tmp), "x", traversal},
		{"a program of a web server", KeepName, "shell.php", "not accepted"},
		{"a program hidden by an image's extension", KeepName, "shell.php.jpg", "not accepted"},
		{"a program hidden by a semicolon", KeepName, "a.php;.jpg", "not accepted"},
		{"a program of an older name", KeepName, "a.PHTML", "not accepted"},
		{"a program of a numbered name", KeepName, "a.php7.png", "not accepted"},
		{"a Perl program", KeepName, "a.pl", "not accepted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, _, err := test.f.makeKey(Naming{Field: "doc", Name: test.in, Now: uploadTime}, 0)
			wantNameError(t, err, test.text)
			if !key.IsZero() || err == nil || !strings.Contains(err.Error(), "doc") {
				t.Errorf("key %q, error %v; want none, and the field's name in the error", key, err)
			}
		})
	}
}

func TestUploadToMayIgnoreDangerousClientNames(t *testing.T) {
	t.Parallel()
	constant := UploadTo(func(Naming) (string, error) { return "test.txt", nil })
	for _, name := range []string{
		"/tmp/.", "/tmp/..", "/tmp/../path", "/tmp/path", "some/folder/", "some/folder/.", "some/folder/..",
		"some/folder/???", "some/folder/$.$.$", "some/../test.txt", "",
	} {
		key, _, err := constant.makeKey(Naming{Name: name}, 0)
		if err != nil || key.String() != "test.txt" {
			t.Errorf("client name %q: key %q, %v; want test.txt", name, key, err)
		}
	}
}

func TestK1UploadToResultsAreChecked(t *testing.T) {
	t.Parallel()
	for name, made := range map[string]string{
		"a step up":                "../x",
		"a root":                   "/abs",
		"a drive letter":           `C:\x`,
		"nothing":                  "",
		"an empty segment":         "a//b",
		"a dot segment":            "a/./b",
		"2000 bytes":               strings.Repeat("0123456789/", 181) + "012345678",
		"a segment of 256 bytes":   strings.Repeat("x", 256),
		"a control character":      "a\x7fb",
		"a line end":               "a\r\nb",
		"a folder":                 "a/",
		"invalid UTF-8":            "a\xff",
		"steps with a backslash":   `a\..\..\b`,
		"a leading backslash":      `\a`,
		"a pattern with a newline": "a\n/b",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			f := UploadTo(func(Naming) (string, error) { calls++; return made, nil })
			key, unique, err := f.makeKey(Naming{Field: "photo", Name: "x.txt"}, 0)
			wantNameError(t, err, quoteName(made))
			if !strings.Contains(err.Error(), "field photo") || !key.IsZero() || unique || calls != 1 {
				t.Errorf("key %q, unique %t, %d calls, error %v", key, unique, calls, err)
			}
		})
	}
}

func TestUploadToIsCalledOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	f := UploadTo(func(n Naming) (string, error) { calls++; return n.Random() + "/" + strings.Repeat("x", 100), nil })
	key, unique, err := f.makeKey(Naming{}, 60)
	if err != nil || calls != 1 || len(key.String()) != 60 || unique {
		t.Errorf("key %q of %d bytes, unique %t, %d calls, %v; want 60 bytes, not unique, 1 call", key, len(key.String()), unique, calls, err)
	}
}

func TestOverwrittenKeysAreCutTheSameWayEachTime(t *testing.T) {
	t.Parallel()
	key, _, err := UploadTo(KeepName).makeKey(Naming{Name: "test_long_file_name.txt", replaces: true}, 10)
	if err != nil || key.String() != "test_l.txt" {
		t.Errorf("key %q, %v; want test_l.txt", key, err)
	}
	_, _, err = UploadTo(KeepName).makeKey(Naming{Name: "file_name.longext", replaces: true}, 5)
	wantNameError(t, err, "can not find an available file name")
}

func TestUploadToErrorsComeThrough(t *testing.T) {
	t.Parallel()
	down := errors.New("database is down")
	_, _, err := UploadTo(func(Naming) (string, error) { return "", down }).makeKey(Naming{Field: "doc"}, 0)
	if !errors.Is(err, down) || !strings.Contains(err.Error(), "doc") {
		t.Errorf("error is %v; want the function's own and the field's name", err)
	}
	_, _, err = UploadTo(func(n Naming) (string, error) {
		_, err := n.ValidName()
		return "", fmt.Errorf("name of the report: %w", err)
	}).makeKey(Naming{Field: "doc", Name: "???"}, 0)
	wantNameError(t, err, "name of the report")
}

func TestStrftimePatternsAreChecked(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"%", "a/%q", "100%", "%E", "%-", "%é"} {
		_, _, err := Strftime(pattern, nil).makeKey(Naming{Field: "doc"}, 0)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "unknown directive") {
			t.Errorf("pattern %q: %v; want kind %v", pattern, err, ErrConfig)
		}
	}
	_, _, err := Strftime("/media/%Y", nil).makeKey(Naming{}, 0)
	wantNameError(t, err, "path traversal")
}

func TestK6RandomNamesAreNotRepeated(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100_000 {
		seen[Naming{}.Random()] = true
	}
	if len(seen) != 100_000 {
		t.Errorf("%d different names of 100000", len(seen))
	}
}

func BenchmarkMakeKey(b *testing.B) {
	for name, f := range map[string]UploadTo{
		"random": RandomName, "keep": KeepName, "date": ISODatePrefix, "strftime": Strftime("avatars/%Y/%m/", nil),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := Naming{Field: "avatar", Name: "my portrait.jpeg", Type: "image/jpeg", Now: uploadTime}
			for b.Loop() {
				if _, _, err := f.makeKey(n, 1024); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// exampleUpload stands for an upload that a store is about to save.
var exampleUpload = Naming{
	Field: "report", Name: "Q3 report.pdf", Type: "application/pdf",
	Now: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), Form: url.Values{"team": {"blue"}},
}

func ExampleKeepName() {
	fmt.Println(KeepName(exampleUpload))
	// Output: Q3_report.pdf <nil>
}

func ExampleISODatePrefix() {
	fmt.Println(ISODatePrefix(exampleUpload))
	// Output: 2026-11-22/Q3_report.pdf <nil>
}

func ExampleStrftime() {
	uploadTo := Strftime("reports/%Y/%m/", KeepName)
	fmt.Println(uploadTo(exampleUpload))
	// Output: reports/2026/11/Q3_report.pdf <nil>
}

func ExamplePrefix() {
	uploadTo := Prefix("reports", nil) // nil: a random name
	key, _ := uploadTo(exampleUpload)
	fmt.Println(len(key), strings.HasPrefix(key, "reports/"), strings.HasSuffix(key, ".pdf"))
	// Output: 38 true true
}

func ExampleUploadTo() {
	byTeam := UploadTo(func(n Naming) (string, error) {
		team, err := ValidName(n.Form.Get("team"))
		if err != nil {
			return "", err
		}
		return team + "/report" + n.Ext(), nil
	})
	fmt.Println(byTeam(exampleUpload))
	// Output: blue/report.pdf <nil>
}
