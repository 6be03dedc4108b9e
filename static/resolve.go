package static

import (
	"net/url"
	"path"
	"strings"

	"github.com/filefield/filefield/core"
)

// localName returns the name of the file that a URL in the file from leads to. It
// is false for what leads elsewhere: absolute URLs and paths, data, fragments,
// folders.
func localName(from, ref string) (name string, ok bool) {
	where, _ := splitURL(ref)
	if where == "" || where[0] == '/' || strings.HasSuffix(where, "/") || hasScheme(where) {
		return "", false
	}
	plain, err := url.PathUnescape(where)
	if err != nil {
		plain = where
	}
	return path.Join(path.Dir(from), plain), true
}

// hasScheme tells whether a URL starts with one (RFC 3986, 3.1).
func hasScheme(s string) bool {
	scheme, _, found := strings.Cut(s, ":")
	return found && scheme != "" && !strings.ContainsFunc(scheme, func(r rune) bool {
		return !('a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("+-.", r))
	})
}

// splitURL parts a URL from its query and fragment, "?#iefix" too.
func splitURL(ref string) (where, rest string) {
	if i := strings.IndexAny(ref, "?#"); i >= 0 {
		return ref[:i], ref[i:]
	}
	return ref, ""
}

// rewriteURL returns the URL with another last segment. The result needs no
// escapes and can stand in quotes of any kind, or none.
func rewriteURL(ref, base string) string {
	where, rest := splitURL(ref)
	dir, _ := path.Split(where)
	if plain, err := url.PathUnescape(dir); err == nil {
		dir = plain
	}
	return core.EscapeKeyV4(dir) + core.EscapeKeyV4(base) + escapeRest(rest)
}

// escapeRest percent-encodes what would end a quoted or bare URL. What is encoded
// already stays.
func escapeRest(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"'()\\<>`{}$", c) >= 0 {
			b.WriteString(string([]byte{'%', digits[c>>4], digits[c&15]}))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// components returns the files in groups that refer to each other in a circle,
// each group behind those it refers to (Tarjan, 1972). A file that keeps its name
// is never part of a circle: what refers to it needs to know nothing else.
func components(files []*file) [][]*file {
	t := tarjan{index: map[*file]int{}, low: map[*file]int{}, open: map[*file]bool{}}
	for _, f := range files {
		if t.index[f] == 0 {
			t.visit(f)
		}
	}
	return t.groups
}

type tarjan struct {
	index, low map[*file]int
	open       map[*file]bool // on the stack
	stack      []*file
	groups     [][]*file
}

func (t *tarjan) visit(f *file) {
	t.index[f] = len(t.index) + 1
	t.low[f] = t.index[f]
	t.stack, t.open[f] = append(t.stack, f), true
	for _, next := range f.target {
		switch {
		case next == nil || !next.hashed():
		case t.index[next] == 0:
			t.visit(next)
			t.low[f] = min(t.low[f], t.low[next])
		case t.open[next]:
			t.low[f] = min(t.low[f], t.index[next])
		}
	}
	if t.low[f] != t.index[f] {
		return
	}
	for i := len(t.stack) - 1; ; i-- {
		t.open[t.stack[i]] = false
		if t.stack[i] == f {
			t.groups = append(t.groups, append([]*file(nil), t.stack[i:]...))
			t.stack = t.stack[:i]
			return
		}
	}
}

// circular tells whether the names of a group depend on each other.
func circular(group []*file) bool {
	if len(group) > 1 {
		return true
	}
	f := group[0]
	for _, target := range f.target {
		if target == f && f.hashed() {
			return true
		}
	}
	return false
}
