package static

import (
	"path"
	"strings"
	"testing"
)

// rescan holds what is true of references in any content: they lie in it, in
// order and apart; and rewritten, they are found again and lead where they were
// to lead, with nothing else changed.
func rescan(t *testing.T, scan func([]byte) []reference, content []byte) {
	t.Helper()
	const base = "new (1)'\".0123456789ab.x"
	f := &file{content: content, found: scan(content)}
	at := 0
	for _, r := range f.found {
		if r.start < at || r.end < r.start || r.end > len(content) {
			t.Fatalf("%q: %+v does not lie behind %d", content, r, at)
		}
		at = r.end
		f.target = append(f.target, &file{stored: base})
	}
	again := f.rewrite(nil)
	found := scan(again)
	if len(found) != len(f.found) {
		t.Fatalf("%q has %d references, and rewritten %d: %q", content, len(f.found), len(found), again)
	}
	from, fromAgain := 0, 0
	for i, r := range found {
		where, _ := splitURL(r.url)
		if got := path.Base(where); got != "new%20%281%29%27%22.0123456789ab.x" {
			t.Fatalf("%q: %q became %q", content, f.found[i].url, r.url)
		}
		if string(content[from:f.found[i].start]) != string(again[fromAgain:r.start]) {
			t.Fatalf("%q became %q", content, again)
		}
		from, fromAgain = f.found[i].end, r.end
	}
	if string(content[from:]) != string(again[fromAgain:]) {
		t.Fatalf("%q became %q", content, again)
	}
}

func FuzzCSSReferences(f *testing.F) {
	for _, seed := range []string{
		`@import "a.css" screen; @import url( 'b.css' );`, `a{b:url(../c.png#d) url("e.eot?#iefix")}`, `a{b:image-set("a.png" 1x, type("x") 2x)}`,
		"/*# sourceMappingURL=a.css.map */", `a{b:url(a\)b\20 c.png)}`, `@namespace a url(b);`, `a{b:url(`, `a{b:url("`, `@import "a`, `url(a b)`, "a\x00{}", `url()`,
		`@import /* x */ url(a)`, `a{b:url(data:,x)}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) { rescan(t, scanCSS, content) })
}

func FuzzJSReferences(f *testing.F) {
	for _, seed := range []string{
		`import a, {b as c} from "./d.js"; import * as e from '../f.js'`, `export {a} from "./b.js"; export * from "./c.js"`, "import(`./a.js`)",
		"//# sourceMappingURL=a.js.map", "/*# sourceMappingURL=a.js.map */", "x = /[/'\"]/g / 2; import './a.js'", "`${`${import('./a.js')}`}`", `import("./\u0061.js")`,
		"import './a", "`${", "/a", "1a", "}})", "a\x00", "import './a.js?`${x}'", "<!-- a\n--> b", "import './a.js' with {type: 'json'}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) { rescan(t, scanJS, content) })
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br;q=0.9", "*;q=0", "identity;q=1, gzip;q=.5", "br;q=NaN", "", ";;,", "x-gzip", "gzip; Q=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		offered := []Encoding{Brotli, Gzip}
		got := choose(header, offered)
		if got != "" && got != Brotli && got != Gzip {
			t.Fatalf("%q chose %q", header, got)
		}
		lower := strings.ToLower(header)
		if got != "" && !strings.Contains(lower, string(got)) && !strings.Contains(lower, "*") {
			t.Fatalf("%q does not name %q", header, got)
		}
	})
}

func TestTheEncodingIsTheOneARequestLikesBest(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]Encoding{
		"": "", "gzip": Gzip, "GZIP": Gzip, "x-gzip": Gzip, "gzip, br": Brotli, "gzip;q=1, br;q=0.9": Gzip, "br;q=0, gzip": Gzip,
		"*": Brotli, "*, br;q=0": Gzip, "*;q=0": "", "deflate": "", "identity": "", "identity, br;q=0.5": "", "identity;q=0.1, gzip;q=0.5": Gzip,
		"br;q=2": "", "br;q=x": "", "br ; q=0.3 , gzip;q=0.2": Brotli,
	} {
		if got := choose(header, []Encoding{Brotli, Gzip}); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
