package fieldtype

import (
	"encoding/json"
	"testing"
)

// FuzzShowable holds what is written by hand against encoding/json.
func FuzzShowable(f *testing.F) {
	for _, seed := range []string{"", "a", "&", "<b>&\"\\", "https://a.example/b?c=d&e=f&g", "\x00\x1f\x7f", "\xff\xc3", "\u2028\u2029", "&&&&", "ü字😀&"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendShowable([]byte("before"), s); string(got) != "before"+string(want) {
			t.Errorf("%q is written as %s, want %s", s, got, want)
		}
	})
}
