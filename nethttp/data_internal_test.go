package nethttp

import (
	"bytes"
	"encoding/json"
	"io"
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
