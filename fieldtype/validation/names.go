package validation

import (
	"reflect"
	"strings"
)

// clientName is the name by which a client knows a field: of its json tag, else
// its form tag, else the Go name. An embedded struct without one has no name in
// forms and JSON: it is in parentheses, for clientPath to leave out.
func clientName(f reflect.StructField) string {
	for _, key := range []string{"json", "form"} {
		if name, _, _ := strings.Cut(f.Tag.Get(key), ","); name != "" && name != "-" {
			return name
		}
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if f.Anonymous && t.Kind() == reflect.Struct {
		return "(" + f.Name + ")"
	}
	return f.Name
}

// clientPath turns a validator's name of a field ("Post.items[0].photo") into the
// one a client knows: "items.0.photo". structPath is the same in Go's names,
// which tell whether there is the name of a type before the first point: an
// unnamed struct has none.
func clientPath(path, structPath string) string {
	segments := splitPath(path)
	goNames := splitPath(structPath)
	if len(segments) > 1 && segments[0] == goNames[0] && !isElement(segments[0]) {
		segments = segments[1:]
	}
	var names []string
	for i, segment := range segments {
		name, index, isIndexed := strings.Cut(segment, "[")
		embedded := strings.HasPrefix(name, "(") && strings.HasSuffix(name, ")")
		switch {
		case embedded && i < len(segments)-1:
			continue
		case embedded:
			name = name[1 : len(name)-1]
		}
		if name != "" {
			names = append(names, name)
		}
		if isIndexed {
			names = append(names, strings.ReplaceAll(strings.TrimSuffix(index, "]"), "][", "."))
		}
	}
	return strings.Join(names, ".")
}

// splitPath splits at points that are not inside brackets: a type's arguments and
// a map's keys may have points.
func splitPath(path string) []string {
	var segments []string
	depth, start := 0, 0
	for i := range len(path) {
		switch path[i] {
		case '[':
			depth++
		case ']':
			depth--
		case '.':
			if depth <= 0 {
				segments = append(segments, path[start:i])
				start = i + 1
			}
		}
	}
	return append(segments, path[start:])
}

// isElement tells "items[0]", an element of a list, from "Page[Photo]", a type.
func isElement(segment string) bool {
	_, index, ok := strings.Cut(segment, "[")
	return ok && strings.Trim(index, "0123456789[]") == ""
}
