package browser

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

// marker is a script that leaves marks wherever it is run: at the app, in the
// storage of its origin, and in the page that embeds it.
func marker(app string) string {
	return fmt.Sprintf(`try { fetch('%s/ran?' + origin) } catch (e) {} try { localStorage.ran = 'yes' } catch (e) {} `+
		`try { document.cookie = 'ran=yes' } catch (e) {} try { parent.ran = 'yes' } catch (e) {}`, app)
}

// TestAFilesScriptsDoNotRun opens files that are pages in every way they are
// served, and embeds them in a page of the app.
func TestAFilesScriptsDoNotRun(t *testing.T) {
	t.Parallel()
	a := newApp(t, core.FieldConfig{})
	script := marker(a.URL)
	for id, c := range map[string]struct{ name, content string }{
		"html":             {"a.html", "<!DOCTYPE html><script>" + script + "</script>"},
		"svg":              {"a.svg", `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>` + script + `</script></svg>`},
		"xhtml":            {"a.xhtml", `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><script>` + script + `</script></head></html>`},
		"html as an image": {"a.png", "<html><script>" + script + "</script>"},
		"script":           {"a.js", script},
		"text":             {"a.txt", "plain\n<script>" + script + "</script>"},
		"image":            {"a.gif", "GIF89a/*\x00\x00*/=0;" + script},
	} {
		a.put(t, id, c.name, []byte(c.content))
	}
	// Storage says no nosniff. What a page takes for a script from there, it runs:
	// so a policy of the app must never name storage among script-src.
	scripts := map[string]string{"through the app": "&script=1", "by link": "&script=1"}
	ways := map[string]func(id string) string{
		"through the app": func(id string) string { return a.URL + "/files/" + strings.ReplaceAll(id, " ", "%20") },
		"by redirect":     func(id string) string { return a.URL + "/away/" + strings.ReplaceAll(id, " ", "%20") },
		"by link":         func(id string) string { return a.URL + a.link(t, id) },
		"by link, redirected": func(id string) string {
			return a.URL + strings.Replace(a.link(t, id), "/links/", "/links-away/", 1)
		},
		"from storage": func(id string) string {
			link, err := a.field.URL(t.Context(), a.rows[id].Key, core.URLOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return link
		},
	}
	for way, address := range ways {
		t.Run(way, func(t *testing.T) {
			b := newTab(t)
			for id := range a.rows {
				if shown := b.visit(address(id)); shown != (id == "image") {
					t.Errorf("%s: shown is %t, want it saved unless it is an image", id, shown)
				}
				b.open(a.URL + "/embed?src=" + template.URLQueryEscaper(address(id)) + scripts[way])
				if n := eval[int](b, `document.querySelectorAll('iframe, object, embed, img').length`); n != 4 {
					t.Fatalf("%s is embedded %d times", id, n)
				}
				unmarked(t, b, id)
			}
			b.open(a.URL + "/page")
			unmarked(t, b, "the app's origin")
			b.open("http://" + a.outside.Endpoint() + "/")
			unmarked(t, b, "storage's origin")
		})
	}
	if n := a.scripts.Load(); n != 0 {
		t.Errorf("%d scripts ran, the last on %v", n, a.scriptsOrigin.Load())
	}
}

// unmarked checks that no script has marked what the tab shows.
func unmarked(t *testing.T, b *tab, where string) {
	t.Helper()
	if mark := eval[string](b, marks); mark != "" {
		t.Errorf("%s: a script ran and left %s", where, mark)
	}
}

const marks = `[window.ran && 'a variable', (() => { try { return localStorage.ran && 'storage' } catch (e) {} })(), ` +
	`(() => { try { return document.cookie.includes('ran') && 'a cookie' } catch (e) {} })()].filter(Boolean).join(', ')`

// TestAScriptThatRunsIsNoticed holds the test above against a page that is one.
func TestAScriptThatRunsIsNoticed(t *testing.T) {
	t.Parallel()
	a := newApp(t, core.FieldConfig{})
	b := newTab(t)
	b.open(a.URL + "/embed?src=/control")
	b.wait("window.ran")
	if got := eval[string](b, marks); got != "a variable, storage, a cookie" || a.scripts.Load() == 0 {
		t.Errorf("the marks are %q, and %d requests at the app", got, a.scripts.Load())
	}
}

func (a *app) embed(w http.ResponseWriter, r *http.Request) {
	src := template.HTMLEscapeString(r.FormValue("src"))
	fmt.Fprintf(w, `<!DOCTYPE html><iframe src="%[1]s"></iframe><object data="%[1]s"></object><embed src="%[1]s"><img src="%[1]s"><link rel="stylesheet" href="%[1]s">`, src)
	if r.FormValue("script") != "" {
		fmt.Fprintf(w, `<script src="%s"></script>`, src)
	}
}

func (a *app) control(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "<!DOCTYPE html><script>%s</script>", marker(a.URL))
}

func TestAPDFIsShown(t *testing.T) {
	t.Parallel()
	a := newApp(t, core.FieldConfig{})
	a.put(t, "pdf", "a.pdf", []byte(pdf))
	for way, address := range map[string]string{"through the app": "/files/pdf", "by redirect": "/away/pdf", "by link": a.link(t, "pdf")} {
		t.Run(way, func(t *testing.T) {
			b := newTab(t)
			if !b.visit(a.URL + address) {
				t.Fatal("it is saved")
			}
			if got := b.contentType(); got != "application/pdf" {
				t.Errorf("what is shown is %s", got)
			}
		})
	}
}

// pdf is one empty page. Its table of references is left out, which readers make
// up for.
const pdf = `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj
trailer<</Root 1 0 R/Size 4>>
%%EOF
`
