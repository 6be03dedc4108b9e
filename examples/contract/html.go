package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// browser is the header by which a page is asked for.
var browser = []string{"Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}

// page is an answer as a browser has it.
type page struct {
	answer
	root *html.Node
}

// webForm is a form of a page.
type webForm struct {
	action string
	inputs []webInput
}

type webInput struct {
	kind, name, value string
	ticked, required  bool
}

// wantPage checks that the answer is a page of that status and reads it.
func (r answer) wantPage(t *testing.T, status int) page {
	t.Helper()
	if kind := r.header.Get("Content-Type"); r.status != status || kind != "text/html; charset=utf-8" {
		t.Fatalf("answer is %d %s %s, want %d as a page", r.status, kind, r.body, status)
	}
	root, err := html.Parse(bytes.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	return page{answer: r, root: root}
}

// wantRedirect checks that the answer sends the browser to target.
func (r answer) wantRedirect(t *testing.T, target string) {
	t.Helper()
	if got := r.header.Get("Location"); r.status != 303 || got != target {
		t.Fatalf("answer is %d to %q %s, want 303 to %q", r.status, got, r.body, target)
	}
}

// open gets a page.
func (a *App) open(t *testing.T, path string) page {
	t.Helper()
	return a.get(t, path, browser...).wantPage(t, 200)
}

// submit sends a form as a browser does.
func (a *App) submit(t *testing.T, path string, b body) answer {
	t.Helper()
	return a.send(t, "POST", path, b, browser...)
}

// nodes are the elements of that name, in order.
func (p page) nodes(name string) (found []*html.Node) {
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

// byID returns the element with that id, or nil.
func (p page) byID(id string) *html.Node {
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

// says tells whether the page's text, as a reader sees it, has these words.
func (p page) says(words string) bool { return strings.Contains(content(p.root), words) }

func (p page) wantWords(t *testing.T, words ...string) {
	t.Helper()
	for _, w := range words {
		if !p.says(w) {
			t.Errorf("the page is\n%s\nwant %q among its words", p.body, w)
		}
	}
}

// form returns the form that is sent to action.
func (p page) form(t *testing.T, action string) webForm {
	t.Helper()
	for _, n := range p.nodes("form") {
		if attribute(n, "action") != action {
			continue
		}
		f := webForm{action: action}
		for in := range n.Descendants() {
			if in.Type == html.ElementNode && in.Data == "input" {
				f.inputs = append(f.inputs, webInput{
					kind: attribute(in, "type"), name: attribute(in, "name"), value: attribute(in, "value"),
					ticked: has(in, "checked"), required: has(in, "required"),
				})
			}
		}
		return f
	}
	t.Fatalf("the page has no form for %s:\n%s", action, p.body)
	return webForm{}
}

// tokens are the values of the hidden inputs of that name.
func (f webForm) tokens(name string) (tokens []string) {
	for _, in := range f.inputs {
		if in.kind == "hidden" && in.name == name {
			tokens = append(tokens, in.value)
		}
	}
	return tokens
}

// input returns the visible input of that name; its zero value if there is none.
func (f webForm) input(name string) webInput {
	for _, in := range f.inputs {
		if in.kind != "hidden" && in.name == name {
			return in
		}
	}
	return webInput{}
}

// filled is what a browser sends when its user has changed nothing but changes:
// typed text, chosen files, boxes ticked ("on") and unticked ("").
func (f webForm) filled(changes ...part) body {
	var parts []part
	for _, in := range f.inputs {
		var changed []part
		for _, c := range changes {
			if c.name == in.name && in.kind != "hidden" {
				changed = append(changed, c)
			}
		}
		switch {
		case in.kind == "checkbox" && len(changed) > 0:
			if len(changed[0].data) > 0 {
				parts = append(parts, changed...)
			}
		case len(changed) > 0:
			parts = append(parts, changed...)
		case in.kind == "checkbox":
			if in.ticked {
				parts = append(parts, text(in.name, "on"))
			}
		case in.kind == "file":
			parts = append(parts, upload(in.name, "", nil))
		default:
			parts = append(parts, text(in.name, in.value))
		}
	}
	return form(parts...)
}

// wantAccessible checks what a page owes to people who do not see it, to browsers
// without JavaScript, and to its security policy.
func (p page) wantAccessible(t *testing.T) {
	t.Helper()
	labelled := map[string]bool{}
	for _, n := range p.nodes("label") {
		labelled[attribute(n, "for")] = true
	}
	for _, n := range p.nodes("input") {
		inLabel := slices.ContainsFunc(slices.Collect(n.Ancestors()), func(a *html.Node) bool { return a.Data == "label" })
		if attribute(n, "type") != "hidden" && !inLabel && !labelled[attribute(n, "id")] {
			t.Errorf("the input %q has no label", attribute(n, "name"))
		}
		describedBy := strings.Fields(attribute(n, "aria-describedby"))
		for _, id := range describedBy {
			if p.byID(id) == nil {
				t.Errorf("the input %q is described by %q, which is not there", attribute(n, "name"), id)
			}
		}
		if attribute(n, "aria-invalid") == "true" && len(describedBy) == 0 {
			t.Errorf("the input %q is invalid, and nothing says why", attribute(n, "name"))
		}
	}
	for n := range p.root.Descendants() {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("<%s> has the attribute %s, want none the security policy forbids", n.Data, a.Key)
			}
		}
	}
	if len(p.nodes("script")) > 0 {
		t.Error("the page has a script, want none")
	}
	policy := p.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", hashOf(p.nodes("style"))} {
		if !strings.Contains(policy, want) {
			t.Errorf("the security policy is %q, want %q in it", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the security policy is %q, want nothing unsafe in it", policy)
	}
}

// wantAlert checks that the page says at once what is wrong, where focus can go,
// and marks the inputs.
func (p page) wantAlert(t *testing.T, inputs ...string) {
	t.Helper()
	var alert *html.Node
	for n := range p.root.Descendants() {
		if attribute(n, "role") == "alert" {
			alert = n
		}
	}
	if alert == nil || attribute(alert, "tabindex") != "-1" {
		t.Fatalf("the page is\n%s\nwant an alert that can have the focus", p.body)
	}
	for _, name := range inputs {
		if n := p.byID(name); n == nil || attribute(n, "aria-invalid") != "true" {
			t.Errorf("the input %q is not marked as invalid", name)
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// content is the text of an element.
func content(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// hashOf is how a policy names the page's one style sheet.
func hashOf(styles []*html.Node) string {
	if len(styles) != 1 {
		return "exactly one style sheet"
	}
	sum := sha256.Sum256([]byte(content(styles[0])))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
