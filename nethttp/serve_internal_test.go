package nethttp

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec           string
		offset, length int64
		ok, fails      bool
	}{
		{"bytes=0-0", 0, 1, true, false},
		{"bytes=0-99", 0, 100, true, false},
		{"bytes=100-", 100, 0, true, false},
		{"bytes=0-", 0, 0, true, false},
		{"bytes=-50", -50, 0, true, false},
		{"bytes= 5-9", 5, 5, true, false},
		{"bytes=0-4611686018427387903", 0, 1 << 62, true, false},
		{"pages=1-2", 0, 0, false, false},
		{"bytes", 0, 0, false, false},
		{"", 0, 0, false, false},
		{"bytes=", 0, 0, false, true},
		{"bytes=-", 0, 0, false, true},
		{"bytes=-0", 0, 0, false, true},
		{"bytes=5-4", 0, 0, false, true},
		{"bytes=a-b", 0, 0, false, true},
		{"bytes=+1-2", 0, 0, false, true},
		{"bytes=--1", 0, 0, false, true},
		{"bytes=1-2-3", 0, 0, false, true},
		{"bytes=0-1,5-6", 0, 0, false, true},
		{"bytes=0-,0-,0-", 0, 0, false, true},
		{"bytes=0-9223372036854775808", 0, 0, false, true},
		{"bytes=99999999999999999999-", 0, 0, false, true},
	} {
		offset, length, ok, err := parseRange(c.spec)
		if offset != c.offset || length != c.length || ok != c.ok || (err != nil) != c.fails {
			t.Errorf("%q: got %d, %d, %v, %v; want %d, %d, %v, an error %v", c.spec, offset, length, ok, err, c.offset, c.length, c.ok, c.fails)
		}
	}
}

func TestTagsOfAHeader(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]string{
		`"abc"`: {"abc"}, `W/"abc"`: {"abc"}, ` "abc" `: {"abc"}, `"abc-12"`: {"abc-12"}, `"a,b"`: {"a,b"},
		`"a", "b"`: {"a", "b"}, `W/"a" ,,W/"b"`: {"a", "b"}, `"a" nonsense "b"`: {"a"},
		`*`: nil, ``: nil, `"`: nil, `""`: nil, `abc`: nil, `"a`: nil, `w/"a"`: nil, `W/`: nil,
		"\"a b\"": nil, "\"a\tb\"": nil, "\"é\", \"c\"": {"c"}, `"` + strings.Repeat("x", maxTag+1) + `"`: nil,
	} {
		got := tagsOf([]string{header})
		if !slices.Equal(got.list, want) || got.any != (header == "*") || got.set != (header != "") {
			t.Errorf("%q: got %+v, want %q", header, got, want)
		}
	}
	if many := tagsOf(slices.Repeat([]string{`"a"`}, 10*maxTags)); len(many.list) != maxTags {
		t.Errorf("of 640 tags %d are read, want %d", len(many.list), maxTags)
	}
}

// FuzzParseRange checks that a range is one that a storage request can carry,
// and the one that was asked for.
func FuzzParseRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-0", "bytes=-1", "bytes=1-", "bytes=0-1,2-3", "bytes=9-1", "items=0-1", "bytes= 0 - 1 "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		offset, length, ok, err := parseRange(spec)
		if (!ok || err != nil) && (offset != 0 || length != 0 || ok) {
			t.Errorf("%q: %d and %d beside ok %v and error %v", spec, offset, length, ok, err)
		}
		if !ok {
			return
		}
		if length < 0 || offset < 0 && length != 0 || offset+length < offset {
			t.Fatalf("%q: the range %d, %d cannot be", spec, offset, length)
		}
		again := "bytes=" + strconv.FormatInt(offset, 10)
		if offset >= 0 {
			again += "-"
		}
		if length > 0 {
			again += strconv.FormatInt(offset+length-1, 10)
		}
		o, l, ok, err := parseRange(again)
		if o != offset || l != length || !ok || err != nil {
			t.Errorf("%q means %d, %d; written as %q it means %d, %d (%v)", spec, offset, length, again, o, l, err)
		}
	})
}

// FuzzTags checks that each tag can stand in a signed header of its own.
func FuzzTags(f *testing.F) {
	for _, seed := range []string{`"abc"`, `W/"abc"`, `"a", "b"`, `*`, `"a b"`, "\"a\x00\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, tag := range tagsOf([]string{header}).list {
			if len(tag) > maxTag || strings.ContainsAny(tag, "\" \t\r\n\x00\x7f") || !strings.Contains(header, `"`+tag+`"`) {
				t.Errorf("%q gives the tag %q", header, tag)
			}
			if again := tagsOf([]string{`"` + tag + `"`}); again.single() != tag {
				t.Errorf("the tag %q is %q when it is read again", tag, again.list)
			}
		}
		r := &http.Request{Header: http.Header{"If-None-Match": {header}, "If-Modified-Since": {"Sun, 01 Mar 2026 12:00:00 GMT"}}}
		if c := conditionsOf(r); header != "" && !c.modified.IsZero() {
			t.Errorf("beside %q a time counts", header)
		}
	})
}
