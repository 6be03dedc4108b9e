package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestEveryFlagOfTheProgramIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The program\n")
	section, _, _ = strings.Cut(section, "\n## ")
	root := &cobra.Command{}
	(&program{}).flags(root)
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(section, "`--"+f.Name+"`") && !strings.Contains(section, "`--"+f.Name+" ") {
			t.Errorf("--%s is not described", f.Name)
		}
		// What a flag goes before is said in its help and in the documentation.
		if _, name, found := strings.Cut(f.Usage, "("); found {
			name = strings.TrimPrefix(strings.TrimSuffix(name, ")"), "in place of ")
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("%s, which --%s goes before, is not named", name, f.Name)
			}
		}
	})
}

// TestTheProgramCanBeInstalled: "go install …@version" refuses a program whose
// go.mod has replace directives.
func TestTheProgramCanBeInstalled(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "replace") {
		t.Error("go.mod has a replace directive")
	}
}
