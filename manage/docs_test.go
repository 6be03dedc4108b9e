package manage

import (
	"context"
	"database/sql"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/filefield/filefield/sweep"
)

// sections splits the documentation at its headings.
func sections(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	heading := ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "##") {
			heading = strings.Trim(strings.TrimLeft(line, "#"), " `\n")
		}
		out[heading] += line
	}
	return out
}

func everything() *cobra.Command {
	root := Command(Config{Version: "1", Database: func(context.Context, string) (*sql.DB, sweep.Dialect, error) { return nil, 0, nil }})
	root.InitDefaultCompletionCmd()
	root.InitDefaultVersionFlag()
	return root
}

func TestEveryCommandAndFlagIsDocumented(t *testing.T) {
	t.Parallel()
	docs, root := sections(t), everything()
	common := docs["What all commands have in common"]
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { mentions(t, "all commands", common, f) })
	root.Flags().VisitAll(func(f *pflag.Flag) { mentions(t, "all commands", common, f) })
	for _, cmd := range root.Commands() {
		section, ok := docs[cmd.Name()]
		if !ok {
			t.Errorf("the command %s has no section", cmd.Name())
			continue
		}
		for _, alias := range cmd.Aliases {
			if !strings.Contains(section, "`"+alias+"`") {
				t.Errorf("the section of %s does not name its alias %s", cmd.Name(), alias)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { mentions(t, cmd.Name(), section, f) })
		for _, sub := range cmd.Commands() { // of completion
			if !strings.Contains(section, sub.Name()) {
				t.Errorf("the section of %s does not name %s", cmd.Name(), sub.Name())
			}
			sub.Flags().VisitAll(func(f *pflag.Flag) { mentions(t, cmd.Name(), section, f) })
		}
	}
}

func mentions(t *testing.T, name, section string, f *pflag.Flag) {
	t.Helper()
	if !strings.Contains(section, "`--"+f.Name+"`") && !strings.Contains(section, "`--"+f.Name+" ") {
		t.Errorf("the section of %s does not describe --%s", name, f.Name)
	}
	if f.Shorthand != "" && !strings.Contains(section, "`-"+f.Shorthand+"`") {
		t.Errorf("the section of %s does not name -%s", name, f.Shorthand)
	}
}

func TestNoSectionDescribesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	root := everything()
	for heading, section := range sections(t) {
		cmd, _, err := root.Find([]string{heading})
		if err != nil || cmd == root {
			continue
		}
		known := map[string]bool{}
		add := func(f *pflag.Flag) { known[f.Name] = true }
		root.PersistentFlags().VisitAll(add)
		for _, c := range append(cmd.Commands(), cmd, root) {
			c.Flags().VisitAll(add)
		}
		for line := range strings.Lines(section) {
			name, found := strings.CutPrefix(line, "| `--")
			if !found {
				continue
			}
			if name = name[:strings.IndexAny(name, "` ")]; !known[name] {
				t.Errorf("the section of %s describes --%s, which it does not have", heading, name)
			}
		}
	}
}

func TestEveryExitCodeIsDocumented(t *testing.T) {
	t.Parallel()
	common := sections(t)["What all commands have in common"]
	for _, code := range []int{ExitOK, ExitFailed, ExitUsage, ExitChanges, ExitNotFound, ExitInterrupted, ExitTerminated, ExitPipe} {
		if !strings.Contains(common, "\n| "+strconv.Itoa(code)+" | ") {
			t.Errorf("exit code %d is not documented", code)
		}
	}
}
