package main

import (
	"slices"
	"testing"
)

func TestAScenarioIsWhatItsNameSays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want scenario
		name string
	}{
		{"64MiB×4", scenario{Size: 64 * mib, AtOnce: 4}, "64MiB×4"},
		{"1MiB x 8", scenario{Size: mib, AtOnce: 8}, "1MiB×8"},
		{"1024KiB*8", scenario{Size: mib, AtOnce: 8}, "1MiB×8"},
		{" 10KiB×16 ", scenario{Size: 10 << 10, AtOnce: 16}, "10KiB×16"},
		{"1500×1", scenario{Size: 1500, AtOnce: 1}, "1500B×1"},
		{"1.5MiB×1", scenario{Size: 3 * mib / 2, AtOnce: 1}, "1536KiB×1"},
		{"256MiB×64 unknown", scenario{Size: 256 * mib, AtOnce: 64, Unknown: true}, "256MiB×64 unknown"},
		{"256MiB×64 unknown length", scenario{Size: 256 * mib, AtOnce: 64, Unknown: true}, "256MiB×64 unknown"},
		{"1TiB×4096", scenario{Size: 1 << 40, AtOnce: 4096}, "1TiB×4096"},
	} {
		got, err := parseScenario(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("parseScenario(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
		if got.String() != tt.name {
			t.Errorf("%q is named %q, want %q", tt.text, got, tt.name)
		}
		if again, err := parseScenario(got.String()); err != nil || again != got {
			t.Errorf("the name %q is read as %+v, %v; want %+v", got, again, err, got)
		}
	}
}

func TestWhatIsNoScenarioIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "64MiB", "×4", "64MiB×0", "64MiB×4097", "0B×1", "2TiB×1", "much×1", "64MiB×4 known", "-1MiB×1", "64MiB×99999999999999999999"} {
		if got, err := parseScenario(text); err == nil {
			t.Errorf("parseScenario(%q) = %+v, want an error", text, got)
		}
	}
}

func TestSetsAreReadAndNothingIsMeasuredTwice(t *testing.T) {
	t.Parallel()
	for name := range sets {
		if all, err := parseScenarios([]string{name}); err != nil || len(all) != len(sets[name]) {
			t.Errorf("the set %s has %d scenarios, %v; want %d", name, len(all), err, len(sets[name]))
		}
	}
	all, err := parseScenarios([]string{"main", "64MiB×4", "1KiB×1", "1024B×1"})
	if err != nil || len(all) != len(sets["main"])+1 {
		t.Errorf("parseScenarios = %v, %v; want the main ones and 1KiB×1", all, err)
	}
	if _, err := parseScenarios([]string{"main", "minor"}); err == nil {
		t.Error("a set there is not is read, want an error")
	}
}

func FuzzParseScenario(f *testing.F) {
	for _, text := range slices.Concat(sets["main"], []string{"1.5 MiB x 2", "×", "9e9B×1", "1EB×1"}) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseScenario(text)
		if err != nil {
			return
		}
		if s.Size < 1 || s.Size > 1<<40 || s.AtOnce < 1 || s.AtOnce > 4096 {
			t.Fatalf("parseScenario(%q) = %+v, out of its limits", text, s)
		}
		if again, err := parseScenario(s.String()); err != nil || again != s {
			t.Fatalf("%q is named %q, which is read as %+v, %v", text, s, again, err)
		}
	})
}

func TestEveryClientSendsAsMuch(t *testing.T) {
	t.Parallel()
	e := effort{Bytes: gib, Files: 8000}
	for text, want := range map[string]int{"64MiB×4": 16, "256MiB×64": 64, "10KiB×16": 8000, "300MiB×2": 4, "1KiB×64": 8000} {
		s, err := parseScenario(text)
		if got := e.uploads(s); err != nil || got != want || got%s.AtOnce != 0 {
			t.Errorf("%s: %d uploads, %v; want %d", text, got, err, want)
		}
	}
}

func TestWaysAreChosenByName(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]int{"": len(ways), "filefield": 4, "FILEFIELD|limit": 5, "^tusd$": 1} {
		if chosen, err := chooseWays(only); err != nil || len(chosen) != want {
			t.Errorf("chooseWays(%q) = %d ways, %v; want %d", only, len(chosen), err, want)
		}
	}
	for _, only := range []string{"nobody", "("} {
		if _, err := chooseWays(only); err == nil {
			t.Errorf("chooseWays(%q) finds something, want an error", only)
		}
	}
}
