package nethttp

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// FuzzNextString holds the search for strings in JSON against encoding/json.
func FuzzNextString(f *testing.F) {
	for _, doc := range []string{
		`{"a":"b","c":["d",null,1,{"e":"\"f\\"}]}`, `"\\\""`, `""`, `[]`, `"a`, `{"a\u0022":"\\"}`, `x"`, "\"\x00\"", `"\`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var got []string
		for at := 0; ; {
			start, end := nextString(doc, at)
			if end < 0 {
				break
			}
			if start <= at-1 || end < start || end >= len(doc) || doc[start-1] != '"' || doc[end] != '"' {
				t.Fatalf("from %d in %q, a string lies at %d to %d", at, doc, start, end)
			}
			got = append(got, string(doc[start-1:end+1]))
			at = end + 1
		}
		if !json.Valid(doc) {
			return
		}
		want := stringsOf(t, doc)
		if len(got) != len(want) {
			t.Fatalf("%q has the strings %q, want %q", doc, got, want)
		}
		for i, raw := range got {
			var text string
			if err := json.Unmarshal([]byte(raw), &text); err != nil || text != want[i] {
				t.Fatalf("string %d of %q is %s (%v), want %q", i, doc, raw, err, want[i])
			}
		}
	})
}

// stringsOf returns the strings of a valid document, names of members too.
func stringsOf(t *testing.T, doc []byte) (all []string) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber() // a valid number may be none that a float64 holds
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(string); ok {
			all = append(all, text)
		}
	}
}

// FuzzPathTo holds the search for a string's place against encoding/json: what the
// path leads to is the string.
func FuzzPathTo(f *testing.F) {
	for _, doc := range []string{
		`{"a":"b","c":["d",null,1,{"e":"f"}]}`, `[["a"],{"b":["c"]}]`, `"a"`, `{"":{"":"x"}}`, `{"a":{"b":[[{"c":"d"}]]}}`, `{"a":"b"`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var root any
		if json.Unmarshal(doc, &root) != nil {
			for at := range doc {
				_ = pathTo(doc, at)
			}
			return
		}
		for at := 0; ; {
			start, end := nextString(doc, at)
			if end < 0 {
				break
			}
			at = end + 1
			if path := pathTo(doc, start); strings.Count(path, ".") > len(doc) {
				t.Fatalf("the path to %q in %q is %q", doc[start:end], doc, path)
			}
		}
	})
}

func TestPathsLeadToStrings(t *testing.T) {
	t.Parallel()
	const doc = `{"a":"1","b":{"c":["2","3"],"d":[{"e":"4"},[{"f":"5"}]]},"g":null,"h":[1,true,"6"],"7":0}`
	want := map[string]string{"1": "a", "2": "b.c", "3": "b.c", "4": "b.d.0.e", "5": "b.d.1.0.f", "6": "h", "7": "7"}
	for at := 0; ; {
		start, end := nextString([]byte(doc), at)
		if end < 0 {
			break
		}
		at = end + 1
		if path, known := want[doc[start:end]]; known && pathTo([]byte(doc), start) != path {
			t.Errorf("the path to %q is %q, want %q", doc[start:end], pathTo([]byte(doc), start), path)
		}
	}
	if got := pathTo([]byte(`{"a":`), 5); got != "" {
		t.Errorf("the path in no document is %q, want none", got)
	}
}

func FuzzNextWord(f *testing.F) {
	for _, doc := range []string{"", "a", "<a>b-c_D9</a>", "\xff a", "a\n"} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		words := bytes.FieldsFunc(doc, notOfToken)
		for at := 0; ; {
			start, end := nextWord(doc, at)
			if end < 0 {
				break
			}
			at = end + 1
			if len(words) == 0 || string(words[0]) != string(doc[start:end]) {
				t.Fatalf("%q has the word %q, want %q", doc, doc[start:end], words)
			}
			words = words[1:]
		}
		if len(words) > 0 {
			t.Fatalf("the words %q of %q were not found", words, doc)
		}
	})
}
