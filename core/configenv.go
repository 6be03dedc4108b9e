package core

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

const (
	// defaultAlias is the storage that the names without a prefix are of.
	defaultAlias = "default"
	// staticAlias is the storage of static files, as Django has it.
	staticAlias = "staticfiles"
	// aliasesVariable lists the storages of the environment.
	aliasesVariable = "FILEFIELD_STORAGES"
	// fileVariable names a configuration file.
	fileVariable = "FILEFIELD_CONFIG"
)

// ConfigFromEnv reads a Config from the environment, by the names in Config's
// field comments. With FILEFIELD_CONFIG it also reads the file named there, as
// ConfigFromFile does. It never fails: faults are kept in the Config and reported
// by Validate and Open together with all others.
//
// A secret may be in a file of its own: MINIO_SECRET_KEY_FILE=/run/secrets/minio,
// likewise MINIO_ACCESS_KEY_FILE, SECRET_KEY_FILE, SECRET_KEY_FALLBACKS_FILE and
// MINIO_POLICY_HOOKS_FILE. A variable that is set to nothing counts as unset. One
// that starts with MINIO_ or FILEFIELD_ and looks like a known name misspelt is a
// fault; another unknown one is a warning, since it may be somebody else's.
func ConfigFromEnv() Config {
	e := processEnvironment()
	return sources{e.file(), e}.config(defaultAlias, "", nil)
}

// ConfigFromEnvPrefix reads a Config from variables with a prefix: with "MEDIA_",
// from MEDIA_MINIO_ENDPOINT and so on. What has no such variable is taken from
// the name without the prefix, but for what belongs to the one storage or belongs
// together: buckets and policy hooks are never shared; a storage with an endpoint
// of its own shares nothing about the server or its credentials; and of access
// key and secret key, of the external endpoint and its scheme, and of the signing
// keys, one's own does not mix with the other's.
func ConfigFromEnvPrefix(prefix string) Config {
	e := processEnvironment()
	s := sources{e.file(), e}
	alias := strings.ToLower(strings.TrimSuffix(prefix, "_"))
	if prefix == "" {
		alias = defaultAlias
	}
	for known := range s.file.storages {
		if prefixOf(known) == prefix {
			alias = known
		}
	}
	return s.config(alias, prefix, nil)
}

// ConfigsFromEnv reads the configurations of all storages that
// FILEFIELD_STORAGES lists ("default,media"; default: the one named default). The
// storage default has the names without a prefix; the others have their alias in
// upper case before them, with '_' for '-', as ConfigFromEnvPrefix reads them.
// With FILEFIELD_CONFIG, those of the file come first, as ConfigsFromFile reads
// it.
func ConfigsFromEnv() Configs {
	e := processEnvironment()
	return configsFrom(e.file(), e)
}

// variables are those of an environment, by their whole names.
type variables map[string]string

func processEnvironment() variables { return env.ToMap(os.Environ()) }

// file is the one that the environment names, or none.
func (v variables) file() settingsFile {
	if path := v[fileVariable]; path != "" {
		return readSettingsFile(path, v)
	}
	return settingsFile{}
}

// aliases are the storages that the environment declares.
func (v variables) aliases() []string { return names(strings.Split(v[aliasesVariable], ",")) }

// prefixOf is what stands before a storage's names in the environment.
func prefixOf(alias string) string {
	if alias == defaultAlias {
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(alias, "-", "_")) + "_"
}

// layer reads the settings under a prefix.
func (v variables) layer(prefix string) layer {
	l := layer{values: map[string]value{}}
	for _, s := range knownSettings() {
		name := prefix + s.name
		text, file := v[name], ""
		if s.fromFile {
			file = v[name+fileSuffix]
		}
		switch {
		case text != "" && file != "":
			l.fault("%s and %s are both set: choose one", name, name+fileSuffix)
		case file != "":
			l.read(s, name+fileSuffix, file)
		case text != "":
			l.values[s.name] = value{text: s.split(text, ","), from: name}
		}
	}
	for name, why := range refusedSettings {
		if v[prefix+name] != "" {
			l.fault("%s cannot be set here: %s", prefix+name, why)
		}
	}
	return l
}

// read takes a setting's value from the file that holds it alone.
func (l *layer) read(s settingType, from, path string) {
	content, err := readLimited(path, maxSecretFile)
	if err != nil {
		l.fault("%s: %w", from, err)
		return
	}
	text := strings.TrimRight(string(content), "\r\n")
	if strings.ContainsRune(text, 0) {
		l.fault("%s: %s holds a NUL character", from, path)
		return
	}
	if text == "" {
		l.fault("%s: %s is empty", from, path)
		return
	}
	l.values[s.name] = value{text: s.split(text, "\n"), from: from}
}

// strangers reports variables under a prefix that are nobody's setting: as a fault
// where the name is a known one but for a slip, else as a warning.
func (v variables) strangers(prefix string) notes {
	var n notes
	for _, name := range slices.Sorted(maps.Keys(v)) {
		own, ok := strings.CutPrefix(name, prefix)
		ours := strings.HasPrefix(own, "MINIO_") || strings.HasPrefix(own, "FILEFIELD_")
		if !ok || v[name] == "" || !ours && !strings.HasPrefix(own, "SECRET_KEY") || isKnown(own, prefix) {
			continue
		}
		nearest, slips := nearestName(own, settingNames())
		slip, foreign := slips <= maxSlips, isForeign(own)
		switch {
		case slip && !foreign:
			n.fault("%s is not a setting: did you mean %s?", name, prefix+nearest)
		case slip || ours && !foreign:
			n.warn("%s is not a setting of this library and is ignored; the nearest is %s", name, prefix+nearest)
		}
	}
	return n
}

// isKnown says whether the environment may have a name, without its prefix.
func isKnown(name, prefix string) bool {
	if prefix == "" && (name == aliasesVariable || name == fileVariable) {
		return true
	}
	_, refused := refusedSettings[name]
	return refused || slices.Contains(settingNames(), name)
}

// names trims a list's entries and drops empty ones, so that a trailing comma is
// no fault.
func names(list []string) []string {
	var out []string
	for _, name := range list {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// parseFaults names the settings that could not be read, without their values: a
// secret may have been put into the wrong one.
func (l layer) parseFaults(err error) []error {
	var faults []error
	for _, one := range flatten(err) {
		parse, ok := one.(env.ParseError) //nolint:errorlint // flatten has unwrapped it
		if !ok {
			faults = append(faults, errors.New("a setting could not be read"))
			continue
		}
		from := l.values[settingOf(parse.Name).name].from
		if own, ok := parse.Err.(notA); ok { //nolint:errorlint // this package's UnmarshalText returns it bare
			faults = append(faults, fmt.Errorf("%s %s", from, string(own)))
			continue
		}
		faults = append(faults, fmt.Errorf("%s is not a %s", from, parse.Type))
	}
	return faults
}
