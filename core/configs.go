package core

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Configs are the configurations of an app's storages by their aliases, as
// Django's STORAGES has them: from ConfigsFromEnv or ConfigsFromFile. The zero
// value has none. It does not change, and prints no secret. Safe for concurrent
// use.
type Configs struct {
	names  []string
	config func(alias string) Config // in a function, where no printing reaches it
}

// Aliases returns the storages' aliases, sorted. There is at least one, unless
// nothing was read.
func (c Configs) Aliases() []string { return slices.Clone(c.names) }

// Alias returns the configuration of one storage, for Open or MustOpen. A storage
// that is not declared, and what was wrong with the file or the environment, are
// faults that Open reports.
func (c Configs) Alias(name string) Config {
	if c.config == nil {
		return Config{alias: name, faults: []error{errors.New("no storage is configured")}}
	}
	return c.config(name)
}

// Open opens all storages. It uses no network. The faults of all configurations
// are reported at once, in one error of kind ErrConfig.
//
//	stores, err := core.ConfigsFromFile("storage.yaml").Open()
//	media, static := stores["media"], stores["staticfiles"]
func (c Configs) Open() (map[string]*Store, error) {
	stores := make(map[string]*Store, len(c.names))
	var faults []error
	seen := map[string]bool{}
	said := func(text string) bool { // what concerns several storages is said once
		again := seen[text]
		seen[text] = true
		return again
	}
	for _, alias := range c.names {
		config := c.Alias(alias)
		config.faults = slices.DeleteFunc(config.faults, func(err error) bool { return said(err.Error()) })
		config.warnings = slices.DeleteFunc(config.warnings, said)
		store, err := Open(config)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		stores[alias] = store
	}
	if len(c.names) == 0 {
		faults = append(faults, c.Alias(defaultAlias).Validate())
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return stores, nil
}

// Format writes the aliases, whatever the verb.
func (c Configs) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "Configs(%s)", strings.Join(c.names, ", "))
}

// sources are where the configurations of storages come from.
type sources struct {
	file settingsFile
	env  variables
}

func configsFrom(file settingsFile, env variables) Configs {
	s := sources{file, env}
	declared := slices.Concat(slices.Collect(maps.Keys(file.storages)), env.aliases())
	if len(declared) == 0 && len(file.skipped) == 0 {
		declared = []string{defaultAlias}
	}
	slices.Sort(declared)
	declared = slices.Compact(declared)
	wrong := aliasFaults(declared)
	return Configs{names: declared, config: func(alias string) Config {
		var c Config
		if slices.Contains(declared, alias) {
			c = s.config(alias, prefixOf(alias), declared)
		} else {
			c = Config{alias: alias, faults: slices.Clone(file.faults)}
			c.faults = append(c.faults, s.missing(alias, declared))
		}
		c.faults = append(c.faults, wrong...)
		return c
	}}
}

// missing says that a storage is not declared, and which one may be meant.
func (s sources) missing(alias string, declared []string) error {
	if why, ok := s.file.skipped[alias]; ok {
		return fmt.Errorf("the storage %q is not of this library: %s", alias, why)
	}
	if nearest, slips := nearestName(alias, declared); len(declared) > 0 && slips <= maxSlips {
		return fmt.Errorf("no storage %q is declared: did you mean %q?", alias, nearest)
	}
	return fmt.Errorf("no storage %q is declared: there are %q; FILEFIELD_STORAGES or the file declares more", alias, declared)
}

// config reads one storage's configuration. From the strongest to the weakest: its
// variables, its part of the file, the variables without a prefix, the file's top.
func (s sources) config(alias, prefix string, declared []string) Config {
	plain := s.env.layer("")
	in := s.file.storages[alias]
	own, shared := in.layer, s.file.shared
	var l layer
	if prefix == "" {
		l = own.fill(shared).under(plain)
		l.add(s.env.strangers(""))
	} else {
		l = own.under(s.env.layer(prefix)).fill(shared.under(plain))
		l.add(s.env.strangers(prefix))
		if !slices.Contains(declared, defaultAlias) { // else the storage default reports them
			l.add(s.env.strangers(""))
		}
	}
	l.add(s.file.notes)
	b := in.backend
	b.static = b.static || alias == staticAlias && !b.reference
	return l.config(alias, b)
}

var aliasForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)

// aliasFaults reports aliases that cannot stand before a variable's name, and two
// that would stand there alike.
func aliasFaults(aliases []string) []error {
	var faults []error
	of := map[string]string{}
	for _, alias := range aliases {
		if !aliasForm.MatchString(alias) {
			faults = append(faults, fmt.Errorf("the storage %q cannot be named so: an alias has letters, digits, '_' and '-', and begins with a letter", alias))
		}
		p := prefixOf(alias)
		if other, taken := of[p]; taken {
			faults = append(faults, fmt.Errorf("the storages %q and %q have the same prefix in the environment, %s: rename one", other, alias, p))
		}
		of[p] = alias
	}
	return faults
}
