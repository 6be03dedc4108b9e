package core

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// documented are the rows of docs/configuration.md whose first cell has names.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := cutText(text, "\n## Settings\n")
	if !found {
		t.Fatal("docs/configuration.md has no part named Settings")
	}
	rows := map[string][]string{}
	name := regexp.MustCompile("`([A-Za-z_]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, match := range name.FindAllStringSubmatch(cells[0], -1) {
			if _, twice := rows[match[1]]; twice {
				t.Errorf("%s has two rows", match[1])
			}
			rows[match[1]] = cells
		}
	}
	return rows
}

func cutText(text []byte, at string) (before, after []byte, found bool) {
	b, a, found := strings.Cut(string(text), at)
	return []byte(b), []byte(a), found
}

func TestEveryNameOfTheCodeStandsInTheTableAndNoOther(t *testing.T) {
	t.Parallel()
	rows := documented(t)
	known := append(settingNames(), aliasesVariable, fileVariable)
	known = slices.AppendSeq(known, maps.Keys(refusedSettings))
	for _, name := range known {
		if rows[name] == nil {
			t.Errorf("%s is missing in docs/configuration.md", name)
		}
	}
	for name := range rows {
		if !slices.Contains(known, name) {
			t.Errorf("docs/configuration.md has %s, which the code does not know", name)
		}
	}
}

func TestTheTableHasTheTypesAndDefaultsOfTheCode(t *testing.T) {
	t.Parallel()
	rows := documented(t)
	types := map[reflect.Type]string{
		reflect.TypeFor[string](): "text", reflect.TypeFor[bool](): "boolean", reflect.TypeFor[*bool](): "boolean", reflect.TypeFor[[]string](): "list",
		reflect.TypeFor[int](): "number", reflect.TypeFor[size](): "size", reflect.TypeFor[hours](): "hours", reflect.TypeFor[time.Duration](): "duration",
		reflect.TypeFor[bucketPairs](): "hooks",
	}
	effective := func(v variables) Config {
		c := sources{env: v}.config(defaultAlias, "", nil).withDefaults()
		yes := true
		if c.CheckOnStart == nil {
			c.CheckOnStart = &yes
		}
		c.Now, c.Logger = nil, nil
		return c
	}
	for _, s := range knownSettings() {
		cells := rows[s.name]
		if len(cells) < 6 {
			t.Errorf("the row of %s has %d cells, want 6", s.name, len(cells))
			continue
		}
		if got := strings.TrimSpace(cells[1]); got != types[s.kind] {
			t.Errorf("%s is a %s in the table, want %s", s.name, got, types[s.kind])
		}
		value, ok := strings.CutPrefix(strings.TrimSpace(cells[2]), "`")
		if !ok {
			continue
		}
		value = strings.TrimSuffix(value, "`")
		if got, want := effective(variables{s.name: value}), effective(variables{}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s=%s, its default in the table, makes %+v, want what there is without it, %+v", s.name, value, got, want)
		}
	}
}

// The comments of Config name the variables; each must be one.
func TestTheFieldCommentsOfConfigNameSettings(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	_, source, _ = cutText(source, "type Config struct {")
	source, _, _ = cutText(source, "\n}\n")
	named := regexp.MustCompile(`\b(?:MINIO|FILEFIELD|SECRET_KEY)_?[A-Z_]*\b`).FindAllString(string(source), -1)
	if len(named) < 20 {
		t.Fatalf("only %q are named", named)
	}
	for _, name := range named {
		if name != "MINIO_" && !slices.Contains(settingNames(), name) {
			t.Errorf("a comment of Config names %s, which is no setting", name)
		}
	}
}
