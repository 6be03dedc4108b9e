package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads a document of YAML, without its anchors and tags.
func parseYAML(content []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, yamlFault(err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file must hold one document")
	}
	if len(document.Content) == 0 {
		return nil, errors.New("the file is empty")
	}
	root := document.Content[0]
	return root, plainYAML(root, 0)
}

// yamlFault says what is wrong without any of the file's text, which the parser
// shows where it does not know an anchor.
func yamlFault(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if before, _, found := strings.Cut(text, "anchor"); found {
		text = strings.TrimSuffix(before, " unknown ") + " an alias (a value that begins with * must be in quotes)"
		text = "not understood:" + text[strings.LastIndex(text, " an alias"):]
	}
	return fmt.Errorf("it is not YAML: %s", text)
}

// plainYAML refuses what makes a file mean something else than it says.
func plainYAML(n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("line %d: lists and mappings lie too deep in each other", n.Line)
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge":
		return fmt.Errorf("line %d: anchors, aliases and merge keys are not used here: settings at the file's top hold for all storages", n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("line %d: tags are not used here: put a value that begins with ! in quotes", n.Line)
	}
	for _, c := range n.Content {
		if err := plainYAML(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// parseJSON reads JSON into the nodes of YAML, with their lines.
func parseJSON(content []byte) (*yaml.Node, error) {
	p := jsonReader{content: content, decoder: json.NewDecoder(bytes.NewReader(content)), line: 1}
	p.decoder.UseNumber()
	root, err := p.value(0)
	if err == nil {
		if _, err = p.decoder.Token(); errors.Is(err, io.EOF) {
			return root, nil
		}
	}
	p.locate()
	return nil, fmt.Errorf("it is not JSON: it goes wrong in line %d", p.line)
}

// maxDepth is how deep lists and mappings may lie in each other.
const maxDepth = 100

type jsonReader struct {
	content     []byte
	decoder     *json.Decoder
	seen        int // bytes up to which lines are counted
	line, start int // the line there, and where it begins
}

// locate counts the lines up to the next token.
func (p *jsonReader) locate() {
	at := int(p.decoder.InputOffset())
	for at < len(p.content) && strings.IndexByte(" \t\r\n,:", p.content[at]) >= 0 {
		at++
	}
	for ; p.seen < at; p.seen++ {
		if p.content[p.seen] == '\n' {
			p.line, p.start = p.line+1, p.seen+1
		}
	}
}

func (p *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, errors.New("too deep")
	}
	p.locate()
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: p.line, Column: p.seen - p.start + 1}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		n.Tag, n.Value, n.Style = "!!str", t, yaml.DoubleQuotedStyle
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case json.Number:
		n.Tag, n.Value = "!!int", t.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case json.Delim:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if t == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for p.decoder.More() {
			child, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err = p.decoder.Token() // the closing one
	}
	return n, err
}
