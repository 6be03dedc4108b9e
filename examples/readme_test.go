package examples

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const declarations = "var store = "

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// programs are the quick starts, by their folders.
func programs(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("quickstart/*/main.go")
	if err != nil || len(paths) != 3 {
		t.Fatalf("the quick starts are %q, %v; want three", paths, err)
	}
	all := map[string]string{}
	for _, path := range paths {
		all[filepath.Base(filepath.Dir(path))] = read(t, path)
	}
	return all
}

func TestTheReadmeShowsTheQuickStarts(t *testing.T) {
	t.Parallel()
	all := programs(t)
	var shown []string
	for _, block := range strings.Split(read(t, "../README.md"), "```go\n")[1:] {
		snippet, _, _ := strings.Cut(block, "```")
		found := strings.HasSuffix(read(t, "rows/rows.go"), "\n"+snippet)
		for name, program := range all {
			if strings.HasSuffix(program, "\n"+snippet) {
				shown, found = append(shown, name), true
			}
		}
		if !found {
			t.Errorf("README.md shows\n%s\nwhich is not how an example ends", snippet)
		}
	}
	slices.Sort(shown)
	if want := []string{"echo", "gin", "nethttp"}; !slices.Equal(shown, want) {
		t.Errorf("README.md shows the quick starts %q, want each of %q once", shown, want)
	}
}

// The README shows the field once, for all three.
func TestTheQuickStartsDeclareTheSameField(t *testing.T) {
	t.Parallel()
	all := programs(t)
	declared := func(program string) string {
		_, after, _ := strings.Cut(program, declarations)
		field, _, _ := strings.Cut(after, "// Profile is")
		return field
	}
	for name, program := range all {
		if got, want := declared(program), declared(all["nethttp"]); got != want || got == "" {
			t.Errorf("%s declares\n%s\nwant what nethttp declares:\n%s", name, got, want)
		}
	}
}
