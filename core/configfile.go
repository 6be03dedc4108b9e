package core

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

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
		case key.Kind != yaml.ScalarNode:
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
	f.add(top.notes)
	f.shared = layer{values: top.values}
	if aliases == 0 {
		f.storages[defaultAlias] = fileStorage{layer: f.shared}
		return
	}
	for name, v := range top.values {
		if s, _ := settingNamed(name); s.scope == "buckets" {
			f.fault("%s stands beside the storages: buckets belong to one, under its OPTIONS", v.from)
			delete(top.values, name)
		}
	}
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
	if name != "" && len(found.faults) == 0 && !s.backend.reference && !slices.ContainsFunc(options, ofReference) {
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
