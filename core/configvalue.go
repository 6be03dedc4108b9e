package core

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// text returns a value as the environment would have it.
func (r settingsReader) text(s settingType, n *yaml.Node) (string, error) {
	switch kind := s.kind; {
	case kind == reflect.TypeFor[bucketPairs]():
		return r.document(n)
	case s.isList():
		return r.list(n)
	case isText(n):
		text, err := r.expand(n)
		if err == nil && text == n.Value && slices.Contains([]reflect.Type{reflect.TypeFor[bool](), reflect.TypeFor[*bool](), reflect.TypeFor[int]()}, kind) {
			return "", notA("must be a " + s.want() + ", without quotes") // a variable's text is read as one
		}
		return text, err
	case n.Kind == yaml.ScalarNode && slices.Contains(s.tags(), n.ShortTag()):
		return n.Value, nil
	}
	return "", notA("must be a " + s.want())
}

// tags are the types of plain values that a setting takes beside texts.
func (s settingType) tags() []string {
	switch kind := s.kind; {
	case kind == reflect.TypeFor[bool](), kind == reflect.TypeFor[*bool]():
		return []string{"!!bool"}
	case kind == reflect.TypeFor[hours]():
		return []string{"!!int", "!!float"}
	case kind == reflect.TypeFor[int](), kind == reflect.TypeFor[size]():
		return []string{"!!int"}
	}
	return nil
}

// want says what a setting's value has to be.
func (s settingType) want() string {
	switch kind := s.kind; {
	case kind == reflect.TypeFor[bool](), kind == reflect.TypeFor[*bool]():
		return "boolean, true or false"
	case kind == reflect.TypeFor[hours]():
		return "number of hours, or a text such as 36h"
	case kind == reflect.TypeFor[size]():
		return "number of bytes, or a text such as 64MiB"
	case kind == reflect.TypeFor[int]():
		return "number"
	case kind == reflect.TypeFor[time.Duration]():
		return "text such as 5s"
	}
	return "text; put it in quotes if it looks like something else"
}

// list reads a list of texts; one text that names a variable is split at commas.
func (r settingsReader) list(n *yaml.Node) (string, error) {
	const want = notA("must be a list of texts")
	if isText(n) {
		text, err := r.expand(n)
		if err == nil && text == n.Value {
			err = want
		}
		return strings.Join(names(strings.Split(text, ",")), listSeparator), err
	}
	if n.Kind != yaml.SequenceNode {
		return "", want
	}
	all := make([]string, 0, len(n.Content))
	for i, one := range n.Content {
		if !isText(one) {
			return "", notA(fmt.Sprintf("must be a list of texts, which entry %d is not", i+1))
		}
		text, err := r.expand(one)
		if err != nil {
			return "", err
		}
		all = append(all, text)
	}
	return strings.Join(all, listSeparator), nil
}

// document reads what is JSON in the environment. Variables in it are the policy's
// own (${aws:username}) and stay.
func (r settingsReader) document(n *yaml.Node) (string, error) {
	const want = notA("must be a list of pairs of a bucket and its policy")
	if n.Kind != yaml.SequenceNode {
		return "", want
	}
	content, err := jsonOf(n)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(content)
	if err != nil {
		return "", want
	}
	return string(text), nil
}

// jsonOf returns what a node is in JSON. A policy's Version is a text there, even
// where YAML sees a date.
func jsonOf(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			var err error
			if list[i], err = jsonOf(c); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if _, doubled := m[key]; doubled {
				return nil, notA(fmt.Sprintf("holds a name twice, the second time in line %d", n.Content[i].Line))
			}
			var err error
			if m[key], err = jsonOf(n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	if tag := n.ShortTag(); tag == "!!str" || tag == "!!timestamp" || tag == "!!binary" {
		return n.Value, nil
	}
	var plain any
	if err := n.Decode(&plain); err != nil {
		return nil, notA(fmt.Sprintf("holds a value that cannot be read, in line %d", n.Line))
	}
	return plain, nil
}

var references = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

// expand returns a text with its variables.
func (r settingsReader) expand(n *yaml.Node) (string, error) {
	if !isText(n) {
		return "", notA("must be a text")
	}
	var err error
	text := references.ReplaceAllStringFunc(n.Value, func(found string) string {
		if strings.HasPrefix(found, "$${") {
			return found[1:]
		}
		name, closed := strings.CutSuffix(found[2:], "}")
		switch v := r.env[name]; {
		case !closed || !variableForm.MatchString(name):
			err = notA("holds ${ and no variable's name: write $${ for the characters themselves")
		case v == "":
			err = notA("names a variable with ${} that is not set") // which, might show a secret's letters
		default:
			return v
		}
		return ""
	})
	if strings.ContainsRune(text, 0) {
		err = notA("holds a NUL character")
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
