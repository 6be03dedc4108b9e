package validation

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/filefield/filefield/fieldtype"
)

func TestASizeIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1": 1, "0.9KB": 900, "1b": 1, "1K": 1e3, "1k": 1e3, "1KB": 1e3, "1kb": 1e3, "1 KB ": 1e3, "1Ki": 1 << 10, "1KiB": 1 << 10,
		"1M": 1e6, "1MB": 1e6, "1mib": 1 << 20, "1GB": 1e9, "1GiB": 1 << 30, "1TB": 1e12, "1TiB": 1 << 40,
		"1PB": 1e15, "1PiB": 1 << 50, "9EB": 9e18, "7EiB": 7 << 60, "1.5MiB": 3 << 19, "9223372036854775807": 1<<63 - 1,
	} {
		if got, _, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d and error %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "MB", "5 apples", "-5MB", "+5MB", "5,5MB", "5,000", "1e3", "0x10", "0", "0.5", "0MB", "5..5MB", "5 5MB", "5MBs", "٥MB",
		"8EiB", "9223372036854775808", "99999999999999999999999", "NaN", "Inf", "5Mb/s", "5bits",
	} {
		if got, _, err := parseSize(text); err == nil || !strings.Contains(err.Error(), "write 800KB or 5MB") {
			t.Errorf("%q: got %d and error %v, want an error that says what to write", text, got, err)
		}
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, params := range map[string][]string{
		"file_max":     {"", "5 apples", "0"},
		"file_min":     {"", "one", "0"},
		"file_type":    {"", " ", "image", "pdf", ".pdf", "*/png", "image/", "image/png image", "image/pngg"},
		"file_ext":     {"", " ", ".", "png .", "tar.gz", "*.png", "image/png", `a\b`},
		"image_max":    {"", "4096", "4096x", "x4096", "0x5", "-1x5", "5x5x5", "4096 by 4096", "1.5x1", "99999999999x1"},
		"image_min":    {"", "16"},
		"image_pixels": {"", "MP", "16 apples", "0", "-1", "16MPP", "1e9", "9999999999999MP", "1,5MP"},
		"image_aspect": {"", "16", "16:", ":9", "16:0", "0:9", "-16:9", "16:9:1", "16:9-", "-", "16:9-4:5", "16x9", "a:b", "16px:9", "99999999:1"},
		"files_max":    {"", "0", "-1", "three", "1.5", "99999999999"},
		"files_min":    {"", "0"},
		"files_total":  {"", "20 files", "0"},
	} {
		for _, param := range params {
			if _, err := rules[name](param); err == nil || err.Error() == "" {
				t.Errorf("%s=%s: got no error, want one", name, param)
			}
		}
	}
	if len(rules) != 11 {
		t.Errorf("got %d rules, want every one in this test", len(rules))
	}
}

func TestParametersThatAreTaken(t *testing.T) {
	t.Parallel()
	for name, params := range map[string][]string{
		"file_type":    {"image/*", "IMAGE/PNG,application/pdf", "*/*", "image/jpg", "text/markdown"},
		"file_ext":     {"png", ".png JPG", "none", ".none", "png,jpg", "7z"},
		"image_max":    {"4096x4096", "4096X4096", "4096 x 4096", "4096×4096"},
		"image_pixels": {"16MP", "16 mp", "0.5MP", "1"},
		"image_aspect": {"16:9", "1.91:1", "1:1-16:9", "4:5 - 16:9", "1:1-1:1"},
	} {
		for _, param := range params {
			if _, err := rules[name](param); err != nil {
				t.Errorf("%s=%s: got error %v", name, param, err)
			}
		}
	}
}

// FuzzParameters sees to it that no parameter panics, now or when files are held
// against it, and that each that is taken has a message.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{
		"5MB", "1.5 GiB", "5 apples", "image/* application/pdf", "png jpg none", "a.tar.gz", "4096x4096", "16MP", "16:9", "1:1-16:9", "3", "{0}", "é٥", "0x2C|",
	} {
		f.Add(seed, "cat.png", "image/png", int64(1), 1, 1)
	}
	f.Add("1:1", "", "", int64(-1), 0, -1)
	f.Fuzz(func(t *testing.T, param, name, typ string, size int64, width, height int) {
		file := fieldtype.Info{Name: name, Type: typ, Size: size, Width: width, Height: height}
		for rule, parse := range rules {
			c, err := parse(param)
			if err != nil {
				continue
			}
			c.holds(nil)
			c.holds([]fieldtype.Info{file, file})
			if got := c.say(speaker{englishTexts()}, file); got == "" || utf8.ValidString(param+name) && !utf8.ValidString(got) {
				t.Errorf("%s=%s: got the message %q", rule, param, got)
			}
		}
	})
}
