package static_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/static"
)

// offline returns a Store that no test sends anything with.
func offline(t testing.TB, change ...func(*core.Config)) *core.Store {
	t.Helper()
	yes := true
	c := core.Config{
		Endpoint: "127.0.0.1:1", AccessKey: "a", SecretKey: "b", SigningKeys: []core.Secret{"a key for tests, long enough"},
		ExternalEndpoint: "cdn.example.org", ExternalUseHTTPS: &yes,
	}
	for _, f := range change {
		f(&c)
	}
	store, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// local returns files that are served by their Handler alone.
func local(t testing.TB, files map[string]string, change ...func(*static.Config)) *static.Files {
	t.Helper()
	c := static.Config{Sources: []fs.FS{tree(files)}, BaseURL: "/static/"}
	for _, f := range change {
		f(&c)
	}
	return mustNew(t, offline(t), c)
}

// serve asks the Handler.
func serve(t testing.TB, files *static.Files, method, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	http.StripPrefix("/static/", files.Handler()).ServeHTTP(w, r)
	return w.Result()
}

// content is what is published under a name.
func content(t testing.TB, files *static.Files, name string) string {
	t.Helper()
	body, err := io.ReadAll(serve(t, files, http.MethodGet, mustURL(t, files, name), nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// hashes are what stands for a hash in expectations.
var hashes = regexp.MustCompile(`\.[0-9a-f]{12}\b`)

func TestReferencesLeadToHashedNames(t *testing.T) {
	t.Parallel()
	others := map[string]string{
		"img/a.png": "a", "img/b c.png": "bc", "img/ü.png": "u", "img/o'brien(1).png": "o", "css/base.css": "p{}", "css/font.eot": "f",
		"css/app.css.map": "{}", "js/b.js": "", "js/lib/c.mjs": "", "js/app.js.map": "{}", "css/plain.txt": "",
	}
	for _, c := range []struct{ name, file, in, want string }{
		{"url without quotes", "css/app.css", `a{b:url(../img/a.png)}`, `a{b:url(../img/a.#.png)}`},
		{"url in double quotes", "css/app.css", `a{b:url("../img/a.png")}`, `a{b:url("../img/a.#.png")}`},
		{"url in single quotes, with spaces", "css/app.css", `a{b:URL(  '../img/a.png'  )}`, `a{b:URL(  '../img/a.#.png'  )}`},
		{"url without quotes, with spaces", "css/app.css", "a{b:url(\n ../img/a.png )}", "a{b:url(\n ../img/a.#.png )}"},
		{"a name with a space", "css/app.css", `a{b:url("../img/b c.png")}`, `a{b:url("../img/b%20c.#.png")}`},
		{"a percent-encoded name", "css/app.css", `a{b:url(../img/b%20c.png)}`, `a{b:url(../img/b%20c.#.png)}`},
		{"a name with an escape of CSS", "css/app.css", `a{b:url(../img/b\20 c.png)}`, `a{b:url(../img/b%20c.#.png)}`},
		{"a name with a quote and brackets", "css/app.css", `a{b:url("../img/o'brien(1).png")}`, `a{b:url("../img/o%27brien%281%29.#.png")}`},
		{"a name of another script", "css/app.css", `a{b:url(../img/ü.png)}`, `a{b:url(../img/%C3%BC.#.png)}`},
		{"a fragment", "css/app.css", `a{b:url(../img/a.png#x)}`, `a{b:url(../img/a.#.png#x)}`},
		{"a query", "css/app.css", `a{b:url(../img/a.png?v=1)}`, `a{b:url(../img/a.#.png?v=1)}`},
		{"the font trick of old browsers", "css/app.css", `a{src:url("font.eot?#iefix")}`, `a{src:url("font.#.eot?#iefix")}`},
		{"several in a line", "css/app.css", `a{b:url(../img/a.png),url(./../img/a.png)}`, `a{b:url(../img/a.#.png),url(./../img/a.#.png)}`},
		{"import of a string", "css/app.css", `@import "base.css" screen;`, `@import "base.#.css" screen;`},
		{"import of a url", "css/app.css", `@IMPORT/**/url('base.css');`, `@IMPORT/**/url('base.#.css');`},
		{"image-set", "css/app.css", `a{b:image-set("../img/a.png" 1x, url(../img/a.png) 2x type("image/png"))}`, `a{b:image-set("../img/a.#.png" 1x, url(../img/a.#.png) 2x type("image/png"))}`},
		{"source map of a style sheet", "css/app.css", "a{}\n/*# sourceMappingURL=app.css.map */", "a{}\n/*# sourceMappingURL=app.css.#.map */"},
		{"a comment", "css/app.css", `/* url(nothing.png) */`, `/* url(nothing.png) */`},
		{"a string", "css/app.css", `a::after{content:"url(nothing.png)"}`, `a::after{content:"url(nothing.png)"}`},
		{"data", "css/app.css", `a{b:url(data:image/png;base64,AA==)}`, `a{b:url(data:image/png;base64,AA==)}`},
		{"absolute URLs", "css/app.css", `@import "https://e.org/a.css"; a{b:url(//e.org/a.png) url(/a.png) url(#f)}`, `@import "https://e.org/a.css"; a{b:url(//e.org/a.png) url(/a.png) url(#f)}`},
		{"a namespace", "css/app.css", `@namespace svg url(foo);@namespace url(bar);`, `@namespace svg url(foo);@namespace url(bar);`},
		{"nothing", "css/app.css", `a{b:url()} @import "";`, `a{b:url()} @import "";`},

		{"import for effect", "js/app.js", `import "./b.js"`, `import "./b.#.js"`},
		{"import of names", "js/app.js", "import a, {b as c, default as d} from './b.js';", "import a, {b as c, default as d} from './b.#.js';"},
		{"minified import", "js/app.js", `import{a}from"./b.js";import*as x from"./lib/c.mjs"`, `import{a}from"./b.#.js";import*as x from"./lib/c.#.mjs"`},
		{"import of a name called from", "js/app.js", `import from from "./b.js"; import {from} from "./b.js"`, `import from from "./b.#.js"; import {from} from "./b.#.js"`},
		{"import over lines, with comments", "js/app.js", "import {\n a, // from './x.js'\n} /* y */ from\n './b.js'", "import {\n a, // from './x.js'\n} /* y */ from\n './b.#.js'"},
		{"export from", "js/app.js", `export * from "./b.js"; export {a} from "./b.js"; export * as n from "./b.js"`, `export * from "./b.#.js"; export {a} from "./b.#.js"; export * as n from "./b.#.js"`},
		{"import()", "js/app.js", `const m = await import("./b.js")`, `const m = await import("./b.#.js")`},
		{"import() with options", "js/app.js", "import(/* x */ './b.js', {with: {}})", "import(/* x */ './b.#.js', {with: {}})"},
		{"import() of a template without a value", "js/app.js", "import(`./b.js`)", "import(`./b.#.js`)"},
		{"a module in a parent folder", "js/lib/d.js", `import "../b.js"; import "./c.mjs?x=1"`, `import "../b.#.js"; import "./c.#.mjs?x=1"`},
		{"source map of a script", "js/app.js", "a()\n//# sourceMappingURL=app.js.map\n", "a()\n//# sourceMappingURL=app.js.#.map\n"},
		{"after a regular expression with quotes", "js/app.js", `x = /["'/*]/g; import("./b.js")`, `x = /["'/*]/g; import("./b.#.js")`},
		{"after a regular expression behind a condition", "js/app.js", `if (x) /"/.test(y); import("./b.js")`, `if (x) /"/.test(y); import("./b.#.js")`},
		{"after a regular expression behind a block", "js/app.js", "function f() {}\n/'/.test(y); import('./b.js')", "function f() {}\n/'/.test(y); import('./b.#.js')"},
		{"after divisions", "js/app.js", `a = b / c; d = (e) / f; g = h[0] / i; j = {}.k / l; import("./b.js")`, `a = b / c; d = (e) / f; g = h[0] / i; j = {}.k / l; import("./b.#.js")`},
		{"within a template", "js/app.js", "x = `import './no.js' ${await import('./b.js')} ${`${1}`}`; import './b.js'", "x = `import './no.js' ${await import('./b.#.js')} ${`${1}`}`; import './b.#.js'"},
		{"strings and comments", "js/app.js", `a = "import './no.js'"; // import './no.js'` + "\n/* import './no.js' */", `a = "import './no.js'"; // import './no.js'` + "\n/* import './no.js' */"},
		{"bare and absolute specifiers", "js/app.js", `import "lit"; import "/x.js"; import "https://e.org/x.js"; import(x); import.meta.url`, `import "lit"; import "/x.js"; import "https://e.org/x.js"; import(x); import.meta.url`},
		{"a computed specifier", "js/app.js", "import('./no' + x); import(`./${x}.js`)", "import('./no' + x); import(`./${x}.js`)"},
		{"methods and properties called import", "js/app.js", `a.import("./no.js"); a?.import("./no.js"); b = {import: "./no.js", export: "./no.js"}`, `a.import("./no.js"); a?.import("./no.js"); b = {import: "./no.js", export: "./no.js"}`},
		{"exports of values", "js/app.js", `export const a = "./no.js"; export default "./no.js"; export {a}; "./no.js"`, `export const a = "./no.js"; export default "./no.js"; export {a}; "./no.js"`},
		{"text that is no script", "css/plain.txt", `url(no.png) import "./no.js"`, `url(no.png) import "./no.js"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := map[string]string{c.file: c.in}
			for name, content := range others {
				if name != c.file {
					all[name] = content
				}
			}
			files := local(t, all)
			got := content(t, files, c.file)
			if plain := hashes.ReplaceAllString(got, ".#"); plain != c.want {
				t.Errorf("%s\nbecame %s\n  want %s", c.in, plain, c.want)
			}
		})
	}
}

func TestMissingReferencesAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := static.New(offline(t), static.Config{Exclude: []string{"*.scss"}, Sources: []fs.FS{tree(map[string]string{
		"a.css": "a{}\nb{c:url(img/gone.png)}\n@import 'x.scss';", "x.scss": "", "js/b.js": "import './c'\nimport '../../out.js'",
	})}})
	if core.KindOf(err) != core.ErrConfig {
		t.Fatalf("the error is %v", err)
	}
	for _, want := range []string{
		`a.css:2 refers to "img/gone.png": there is no img/gone.png`, `a.css:3 refers to "x.scss": x.scss is excluded`,
		`js/b.js:1 refers to "./c": there is no js/c`, `js/b.js:2 refers to "../../out.js": it leads out of the sources`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	allowed := local(t, map[string]string{"a.js": "//# sourceMappingURL=a.js.map"}, func(c *static.Config) { c.AllowMissing = []string{"*.map"} })
	if got := content(t, allowed, "a.js"); got != "//# sourceMappingURL=a.js.map" {
		t.Errorf("an allowed one became %s", got)
	}
}

func TestAChangeReachesEveryNameThatDependsOnIt(t *testing.T) {
	t.Parallel()
	with := func(leaf string) *static.Files {
		return local(t, map[string]string{
			"app.css": `@import "b.css"`, "b.css": "a{b:url(c.svg)}", "c.svg": leaf, "other.css": "a{}",
			// A circle, one that leads into it, and one it leads to.
			"main.js": `import "./x.js"`, "x.js": `import "./y.js"`, "y.js": `import "./x.js"; import "./leaf.js"; import "./y.js"`, "leaf.js": leaf,
			"sw.js": `import "./y.js"`,
		}, func(c *static.Config) { c.Unhashed = []string{"sw.js"} })
	}
	one, same, two := with("1"), with("1"), with("2")
	for _, name := range one.Names() {
		a, b, c := mustURL(t, one, name), mustURL(t, same, name), mustURL(t, two, name)
		if a != b {
			t.Errorf("%s has two names for one content: %s, %s", name, a, b)
		}
		if changes := name != "other.css" && name != "sw.js"; (a != c) != changes {
			t.Errorf("%s was %s and is %s", name, a, c)
		}
	}
	for _, name := range []string{"x.js", "y.js", "main.js", "sw.js"} {
		for _, quoted := range regexp.MustCompile(`"\./(.*?)"`).FindAllStringSubmatch(content(t, one, name), -1) {
			if response := serve(t, one, http.MethodGet, "/static/"+quoted[1], nil); !hashes.MatchString(quoted[1]) || response.StatusCode != http.StatusOK {
				t.Errorf("%s refers to %s: %s", name, quoted[1], response.Status)
			}
		}
	}
}

func TestURLsAreComputedAtTheExternalEndpoint(t *testing.T) {
	t.Parallel()
	files := mustNew(t, offline(t), static.Config{
		Sources: []fs.FS{tree(map[string]string{"a b/ü#1.txt": "a", "robots.txt": ""})}, Prefix: "v 1", Unhashed: []string{"robots.txt"},
	})
	const base = "https://cdn.example.org/" + static.DefaultBucket + "/v%201/"
	if got := hashes.ReplaceAllString(mustURL(t, files, "a b/ü#1.txt"), ".#"); got != base+"a%20b/%C3%BC%231.#.txt" {
		t.Error(got)
	}
	if got := mustURL(t, files, "robots.txt"); got != base+"robots.txt" {
		t.Error(got)
	}
}

func TestAnUnknownNameTellsTheNearest(t *testing.T) {
	t.Parallel()
	files := local(t, map[string]string{"css/app.css": "", "js/app.js": "", "img/logo.svg": ""})
	for name, nearest := range map[string]string{"css/ap.css": "css/app.css", "app.js": "js/app.js", "image/logo.svg": "img/logo.svg", "/css/app.css": "css/app.css", "CSS/App.css": "css/app.css"} {
		_, err := files.URL(name)
		if core.KindOf(err) != core.ErrConfig || !strings.Contains(err.Error(), fmt.Sprintf("did you mean %q?", nearest)) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := files.Integrity(name); err == nil {
			t.Errorf("%s has an integrity value", name)
		}
	}
	if _, err := local(t, nil).URL("a"); core.KindOf(err) != core.ErrConfig {
		t.Errorf("without files: %v", err)
	}
}

func TestTemplatesResolveNames(t *testing.T) {
	t.Parallel()
	script := "a()" + strings.Repeat(";b()", 400)
	files := local(t, map[string]string{"app.js": script}, func(c *static.Config) { c.Encodings = []static.Encoding{static.Gzip} })
	const text = `<script src="{{static "app.js"}}" integrity="{{integrity "app.js"}}"></script>`
	sum := sha512.Sum384([]byte(script))
	integrity := template.HTMLEscapeString("sha384-" + base64.StdEncoding.EncodeToString(sum[:]))
	for name, c := range map[string]struct {
		functions template.FuncMap
		end       string
	}{
		"for every request": {files.FuncMap(), ".#.js"},
		"for one request":   {files.FuncMapFor("gzip"), ".#.js.gz"},
	} {
		page := template.Must(template.New("").Funcs(c.functions).Parse(text))
		var b bytes.Buffer
		if err := page.Execute(&b, nil); err != nil {
			t.Fatal(err)
		}
		want := `<script src="/static/app` + c.end + `" integrity="` + integrity + `"></script>`
		if got := strings.ReplaceAll(hashes.ReplaceAllString(b.String(), ".#"), "&#43;", "+"); got != strings.ReplaceAll(want, "&#43;", "+") {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	wrong := template.Must(template.New("").Funcs(files.FuncMap()).Parse(`{{static "ap.js"}}`))
	if err := wrong.Execute(io.Discard, nil); core.KindOf(err) != core.ErrConfig {
		t.Errorf("an unknown name in a template: %v", err)
	}
}

func TestTheHandlerServesWithoutStorage(t *testing.T) {
	t.Parallel()
	files := local(t, site(), func(c *static.Config) {
		c.Unhashed, c.Encodings = []string{"robots.txt"}, []static.Encoding{static.Gzip}
	})
	gz, err := files.URLFor("gzip", "css/base.css")
	if err != nil {
		t.Fatal(err)
	}
	hashed := mustURL(t, files, "js/lib/b.js")
	etag := serve(t, files, http.MethodGet, hashed, nil).Header.Get("ETag")
	for _, c := range []struct {
		name, method, path string
		header             http.Header
		status             int
		want               map[string]string
	}{
		{"a hashed name", http.MethodGet, hashed, nil, 200, map[string]string{"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": "text/javascript; charset=utf-8"}},
		{"a plain name", http.MethodGet, "/static/js/lib/b.js", nil, 200, map[string]string{"Cache-Control": "no-cache"}},
		{"an unhashed name", http.MethodGet, "/static/robots.txt", nil, 200, map[string]string{"Cache-Control": "no-cache"}},
		{"a variant", http.MethodGet, gz, nil, 200, map[string]string{"Content-Encoding": "gzip", "Content-Type": "text/css; charset=utf-8"}},
		{"the copy a browser has", http.MethodGet, hashed, http.Header{"If-None-Match": {etag}}, 304, nil},
		{"a range", http.MethodGet, hashed, http.Header{"Range": {"bytes=0-5"}}, 206, map[string]string{"Content-Length": "6"}},
		{"HEAD", http.MethodHead, hashed, nil, 200, map[string]string{"Content-Length": "22"}},
		{"a file that is excluded", http.MethodGet, "/static/.env", nil, 404, nil},
		{"a folder", http.MethodGet, "/static/js/", nil, 404, nil},
		{"another method", http.MethodPost, hashed, nil, 405, map[string]string{"Allow": "GET, HEAD"}},
	} {
		response := serve(t, files, c.method, c.path, c.header)
		if response.StatusCode != c.status || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, %v", c.name, response.Status, response.Header)
		}
		for name, want := range c.want {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
			}
		}
	}
}

func TestReloadSeesAChangedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "a.css"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a{}")
	files := mustNew(t, offline(t), static.Config{Sources: []fs.FS{os.DirFS(dir)}, BaseURL: "/static/", Reload: true})
	before := mustURL(t, files, "a.css")
	write("a{b:c}")
	after := mustURL(t, files, "a.css")
	if got := content(t, files, "a.css"); before == after || got != "a{b:c}" {
		t.Errorf("it was %s and is %s: %s", before, after, got)
	}
	write("a{b:url(gone.png)}")
	if _, err := files.URL("a.css"); core.KindOf(err) != core.ErrConfig || !strings.Contains(err.Error(), "gone.png") {
		t.Errorf("a reference to nothing: %v", err)
	}
	if response := serve(t, files, http.MethodGet, after, nil); response.StatusCode != http.StatusInternalServerError {
		t.Errorf("it is served as %s", response.Status)
	}
	write("a{b:d}")
	if got := content(t, files, "a.css"); got != "a{b:d}" {
		t.Errorf("mended, it is %s", got)
	}
}

func TestWhichFilesThereAre(t *testing.T) {
	t.Parallel()
	app := tree(map[string]string{"a.css": "app", "src/a.scss": "", ".git/config": "", "x~": "", "CVS/x": "", ".well-known/security.txt": "", "vendor/old/b.js": ""})
	admin := tree(map[string]string{"a.css": "admin", "admin/b.css": ""})
	files := mustNew(t, offline(t), static.Config{
		Sources: []fs.FS{app, admin}, BaseURL: "/static/", Exclude: []string{"*.scss", "vendor/old"}, Include: []string{".well-known"},
	})
	if want := []string{".well-known/security.txt", "a.css", "admin/b.css"}; !slices.Equal(files.Names(), want) {
		t.Errorf("the files are %v, want %v", files.Names(), want)
	}
	if got := content(t, files, "a.css"); got != "app" {
		t.Errorf("of two files of a name the first source's is taken, not %q", got)
	}
}

func TestFaultsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := static.New(offline(t), static.Config{
		Prefix: "/a/../b", Exclude: []string{"["}, Encodings: []static.Encoding{"lzma", static.Gzip, static.Gzip}, Types: map[string]string{"css": "text/css"},
	})
	if core.KindOf(err) != core.ErrConfig {
		t.Fatalf("the error is %v", err)
	}
	for _, want := range []string{"Sources", "Prefix", "Exclude", `"lzma" is unknown`, `"gzip" is listed twice`, "Types"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	for name, files := range map[string]map[string]string{
		"a file called as the manifest": {"staticfiles.json": ""},
		"a name that is no key":         {strings.Repeat("a", 250) + ".css": ""},
	} {
		_, err := static.New(offline(t), static.Config{Sources: []fs.FS{tree(files)}, Unhashed: []string{"*.json"}})
		if core.KindOf(err) != core.ErrConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheBucketIsPublic(t *testing.T) {
	t.Parallel()
	sources := []fs.FS{fstest.MapFS{}}
	for _, c := range []struct {
		name    string
		config  func(*core.Config)
		declare *core.BucketConfig
		bucket  string // in static.Config
		want    string
		cors    bool // declared here
		fault   bool
	}{
		{name: "the reference's, where nothing is said", want: static.DefaultBucket, cors: true},
		{name: "the configuration's", config: func(c *core.Config) { c.StaticBucket = "from-env" }, want: "from-env", cors: true},
		{name: "a declared one, as declared", declare: &core.BucketConfig{Name: "own-bucket", Public: true}, bucket: "own-bucket", want: "own-bucket"},
		{name: "a public one of the configuration", config: func(c *core.Config) { c.PublicBuckets = []string{"pub"} }, bucket: "pub", want: "pub", cors: true},
		{name: "one the configuration says is private", config: func(c *core.Config) { c.PrivateBuckets = []string{"private"} }, bucket: "private", fault: true},
		{name: "one declared private", declare: &core.BucketConfig{Name: "private"}, bucket: "private", fault: true},
		{name: "the bucket of uploads", config: func(c *core.Config) { c.DefaultBucket = "media" }, bucket: "media", fault: true},
		{name: "the reference's, on Amazon S3, where it may be a stranger's", config: func(c *core.Config) { c.Endpoint = "s3.eu-central-1.amazonaws.com" }, fault: true},
		{name: "a name that no bucket has", bucket: "Not_A_Bucket", fault: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var change []func(*core.Config)
			if c.config != nil {
				change = append(change, c.config)
			}
			store := offline(t, change...)
			if c.declare != nil {
				store.Declare(*c.declare)
			}
			files, err := static.New(store, static.Config{Sources: sources, Bucket: c.bucket})
			if c.fault {
				if core.KindOf(err) != core.ErrConfig {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b := files.Bucket()
			if b.Name() != c.want || !b.Public() || (len(b.Declaration().CORS) > 0) != c.cors || store.Faults() != nil {
				t.Errorf("the bucket is %s, %+v, %v", b.Name(), b.Declaration(), store.Faults())
			}
			if _, err := static.New(store, static.Config{Sources: sources, Bucket: c.bucket, Prefix: "second"}); err != nil || store.Faults() != nil {
				t.Errorf("a second set in one bucket: %v, %v", err, store.Faults())
			}
		})
	}
}

func TestTypesByExtension(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.css": "text/css; charset=utf-8", "a.JS": "text/javascript; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8",
		"a.js.map": "application/json", "a.unknown": "application/octet-stream", "noextension": "application/octet-stream",
		"a.woff2": "font/woff2", "a.html": "text/html; charset=utf-8", "latin1.txt": "text/plain", "a.glsl": "text/plain; charset=utf-8",
	} {
		body := "ü"
		if name == "latin1.txt" {
			body = "\xfc"
		}
		files := local(t, map[string]string{name: body}, func(c *static.Config) { c.Types = map[string]string{".glsl": "text/plain"} })
		if got := serve(t, files, http.MethodGet, "/static/"+name, nil).Header.Get("Content-Type"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
