package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// ConfigFromFile reads the configuration of the storage default from a YAML or
// JSON file, which its name tells (.yaml, .yml, .json), and the environment, which
// wins. Use ConfigsFromFile for a file that declares several.
//
// It never fails: an unreadable file, unknown and doubled names and values of a
// wrong type are kept in the Config, with their lines, and reported by Validate and
// Open together with all other faults. No fault shows a value.
func ConfigFromFile(path string) Config { return ConfigsFromFile(path).Alias(defaultAlias) }

// ConfigsFromFile reads the configurations of all storages of a file. Its shape is
// Django's STORAGES with the reference's names, so that a settings export is read
// as it is:
//
//	STORAGES:
//	  default:
//	    OPTIONS:
//	      MINIO_ENDPOINT: minio:9000
//	      MINIO_ACCESS_KEY: app
//	      MINIO_SECRET_KEY: ${STORAGE_SECRET}
//	      MINIO_PRIVATE_BUCKETS: [media]
//	  staticfiles:
//	    OPTIONS: …
//
// The aliases may also stand at the top, without STORAGES; or the settings may,
// and the file then declares the storage default. Beside aliases, settings at the
// top hold for all storages, by the rules of ConfigFromEnvPrefix.
//
// In a text, ${NAME} is the variable of that name, which must be set, and $${ the
// characters themselves; MINIO_SECRET_KEY_FILE and its like name a file with the
// value, relative to the working directory. YAML's anchors, aliases and merge keys
// are refused.
//
// The environment wins over the file: a storage's own variables over its part of
// the file, those without a prefix over the file's top. FILEFIELD_STORAGES adds
// storages. A storage whose BACKEND is not of the reference, and that has no
// setting of it, is left out with a warning.
func ConfigsFromFile(path string) Configs {
	e := processEnvironment()
	return configsFrom(readSettingsFile(path, e), e)
}

// settingsFile is what a file says.
type settingsFile struct {
	notes          // about the whole file
	shared   layer // what stands at the top
	storages map[string]fileStorage
	skipped  map[string]string // storages of other libraries, and why they are taken for such
}

// fileStorage is what a file says about one storage.
type fileStorage struct {
	layer
	backend backend
}

// backend is what a storage's BACKEND says about it.
type backend struct {
	reference bool // it is django-minio-backend's
	static    bool // it is for static files
}

func readSettingsFile(path string, env variables) settingsFile {
	f := settingsFile{storages: map[string]fileStorage{}, skipped: map[string]string{}}
	content, err := readLimited(path, maxSettingsFile)
	if err != nil {
		f.fault("the configuration file: %w", err)
		return f
	}
	return parseSettingsFile(path, content, env)
}

func parseSettingsFile(path string, content []byte, env variables) settingsFile {
	f := settingsFile{storages: map[string]fileStorage{}, skipped: map[string]string{}}
	var root *yaml.Node
	var err error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".yaml", ".yml":
		root, err = parseYAML(content)
	case ".json":
		root, err = parseJSON(content)
	default:
		err = errors.New("its name must end in .yaml, .yml or .json")
	}
	if err != nil {
		f.fault("%s: %w", path, err)
		return f
	}
	r := settingsReader{path: filepath.Base(path), env: env}
	r.file(&f, root)
	return f
}

// settingsReader turns a file's nodes into settings.
type settingsReader struct {
	path string // as faults name it
	env  variables
}

// at is where a node stands, for a fault's beginning.
func (r settingsReader) at(n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", r.path, n.Line, n.Column)
}

// entry is a key and what stands under it.
type entry struct{ key, value *yaml.Node }

// entries returns a mapping's entries, without those whose key is doubled or no text.
func (r settingsReader) entries(n *yaml.Node, what string, notes *notes) []entry {
	if n.Kind != yaml.MappingNode {
		notes.fault("%s: %s must be a mapping of names to values", r.at(n), what)
		return nil
	}
	var out []entry
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		line, doubled := lines[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			notes.fault("%s: a name must be a plain text", r.at(key))
		case doubled:
			notes.fault("%s: %s stands here and in line %d already", r.at(key), shownName(key.Value), line)
		default:
			lines[key.Value] = key.Line
			out = append(out, entry{key, n.Content[i+1]})
		}
	}
	return out
}

// file reads the top of the file.
func (r settingsReader) file(f *settingsFile, root *yaml.Node) {
	var settings []entry
	aliases := 0
	for _, e := range r.entries(root, "the file", &f.notes) {
		switch {
		case e.key.Value == "STORAGES":
			for _, s := range r.entries(e.value, "STORAGES", &f.notes) {
				aliases++
				r.storage(f, s)
			}
		case isStorage(e):
			aliases++
			r.storage(f, e)
		default:
			settings = append(settings, e)
		}
	}
	top := r.settings(settings)
	if aliases == 0 {
		f.storages[defaultAlias] = fileStorage{layer: top}
		return
	}
	for name, v := range top.values {
		if s, _ := settingNamed(name); s.scope == "buckets" {
			top.fault("%s stands beside the storages: buckets belong to one, under its OPTIONS", v.from)
			delete(top.values, name)
		}
	}
	f.shared = top
	if len(f.storages) == 0 && len(f.faults) == 0 {
		f.fault("%s: none of its storages is of this library", r.path)
	}
}

// isStorage tells an alias from a setting at the file's top.
func isStorage(e entry) bool {
	if _, known := settingNamed(e.key.Value); known || e.value.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(e.value.Content); i += 2 {
		if name := e.value.Content[i].Value; name == "OPTIONS" || name == "BACKEND" {
			return true
		}
	}
	return false
}

// storage reads what stands under an alias.
func (r settingsReader) storage(f *settingsFile, e entry) {
	var s fileStorage
	var found notes
	var options []entry
	var name string
	for _, part := range r.entries(e.value, "a storage", &found) {
		switch part.key.Value {
		case "BACKEND":
			if name = part.value.Value; !isText(part.value) {
				found.fault("%s: BACKEND must be a text", r.at(part.value))
			}
		case "OPTIONS":
			if !isNull(part.value) {
				options = r.entries(part.value, "OPTIONS", &found)
			}
		default:
			found.fault("%s: a storage has BACKEND and OPTIONS; settings stand under OPTIONS", r.at(part.key))
		}
	}
	alias := e.key.Value
	s.backend.reference = strings.HasPrefix(name, "django_minio_backend.")
	s.backend.static = s.backend.reference && strings.HasSuffix(name, ".MinioBackendStatic")
	if name != "" && !s.backend.reference && !slices.ContainsFunc(options, ofReference) {
		why := r.at(e.key) + " names another BACKEND and none of the reference's settings"
		f.skipped[alias] = why
		f.warn("the storage %s is left out: %s", shownName(alias), why)
		return
	}
	s.layer = r.settings(options)
	s.add(found)
	f.storages[alias] = s
}

func ofReference(e entry) bool { return strings.HasPrefix(e.key.Value, "MINIO_") }

// settings reads settings by their names.
func (r settingsReader) settings(entries []entry) layer {
	l := layer{values: map[string]value{}}
	for _, e := range entries {
		name := e.key.Value
		at := r.at(e.key)
		if why, refused := refusedSettings[name]; refused {
			if !isNull(e.value) {
				l.fault("%s: %s cannot be set here: %s", at, name, why)
			}
			continue
		}
		s, known := settingNamed(name)
		if base, ok := strings.CutSuffix(name, fileSuffix); !known && ok {
			if s, known = settingNamed(base); known && s.fromFile {
				r.fromFile(&l, s, e)
				continue
			}
			known = false
		}
		if !known {
			l.add(r.unknown(e.key))
			continue
		}
		if isNull(e.value) {
			continue
		}
		text, err := r.text(s, e.value)
		if err != nil {
			l.fault("%s: %s %w", r.at(e.value), name, err)
			continue
		}
		l.set(s, value{text, at + ": " + name})
	}
	return l
}

// set keeps a value, but for a second one of the same setting.
func (l *layer) set(s settingType, v value) {
	if _, twice := l.values[s.name]; twice {
		l.fault("%s: %s and %s are both set: choose one", v.from, s.name, s.name+fileSuffix)
		return
	}
	if v.text != "" {
		l.values[s.name] = v
	}
}

// fromFile reads the setting whose value is in a file of its own.
func (r settingsReader) fromFile(l *layer, s settingType, e entry) {
	from := r.at(e.key) + ": " + e.key.Value
	if isNull(e.value) {
		return
	}
	path, err := r.expand(e.value)
	if err != nil {
		l.fault("%s %w", from, err)
		return
	}
	if _, twice := l.values[s.name]; twice {
		l.set(s, value{from: from})
		return
	}
	l.read(s, from, path)
}

// unknown reports a name that is no setting, with the one that may be meant.
func (r settingsReader) unknown(key *yaml.Node) (n notes) {
	known := append(settingNames(), "STORAGES")
	for name := range refusedSettings {
		known = append(known, name)
	}
	slices.Sort(known)
	if key.Value == aliasesVariable || key.Value == fileVariable {
		n.fault("%s: %s belongs into the environment", r.at(key), key.Value)
		return n
	}
	nearest, _ := nearestName(key.Value, known)
	n.fault("%s: %s is not a setting: the nearest is %s", r.at(key), shownName(key.Value), nearest)
	return n
}

var nameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,62}$`)

// shownName is a name from a file as faults show it: as it is, if it looks like one.
func shownName(name string) string {
	if nameForm.MatchString(name) {
		return name
	}
	return "this name"
}

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
		err = errors.New("more follows after its end")
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
