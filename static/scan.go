package static

import (
	"bytes"
	"path"
	"strings"
)

// reference is a place in a style sheet or script that names another file.
type reference struct {
	start, end int    // of the URL in the content, within its quotes
	url        string // the URL, its language's escapes undone
}

// scanner returns what finds references in files of the name's extension, or
// nil where none are looked for.
func scanner(name string) func(content []byte) []reference {
	switch strings.ToLower(path.Ext(name)) {
	case ".css":
		return scanCSS
	case ".js", ".mjs":
		return scanJS
	}
	return nil
}

// sourceMap finds the URL of a source map in a comment that starts at offset:
// "//# sourceMappingURL=app.js.map", "/*# sourceMappingURL=app.css.map */"
// (ECMA-426, which takes "@" in place of "#" too).
func sourceMap(comment string, offset int) (reference, bool) {
	body := strings.TrimSuffix(comment, "*/")
	if len(body) < 3 || body[2] != '#' && body[2] != '@' {
		return reference{}, false
	}
	rest := strings.TrimLeft(body[3:], " \t")
	found, ok := strings.CutPrefix(rest, "sourceMappingURL=")
	if !ok {
		return reference{}, false
	}
	start := offset + len(body) - len(found)
	url := strings.TrimRight(found, " \t\r\n")
	if url == "" || strings.ContainsAny(url, " \t\r\n'\"") {
		return reference{}, false
	}
	return reference{start, start + len(url), url}, true
}

// unquote returns the content of a quoted string and where it lies in the token.
// The closing quote may be missing, as at the end of a file.
func unquote(token string) (inside string, from int) {
	if token == "" {
		return "", 0
	}
	inside = token[1:]
	if inside != "" && inside[len(inside)-1] == token[0] {
		inside = inside[:len(inside)-1]
	}
	return inside, 1
}

// lineOf counts the lines up to an offset, from 1.
func lineOf(content []byte, offset int) int {
	return 1 + bytes.Count(content[:offset], []byte{'\n'})
}
