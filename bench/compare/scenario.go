package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// scenario is a load.
type scenario struct {
	// Size is that of every file, in bytes.
	Size int64 `json:"size"`
	// AtOnce is how many clients send one file after another.
	AtOnce int `json:"at_once"`
	// Unknown has the requests be chunked, so that their length is not said.
	Unknown bool `json:"unknown_length"`
}

// String is what parseScenario reads: "64MiB×4" or "256MiB×64 unknown".
func (s scenario) String() string {
	name := sizeName(s.Size) + "×" + strconv.Itoa(s.AtOnce)
	if s.Unknown {
		name += " unknown"
	}
	return name
}

// sizeName writes a size in the largest unit of which it is a multiple: "64MiB",
// "1500B".
func sizeName(size int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for size > 0 && size%1024 == 0 && len(units) > 1 {
		size, units = size/1024, units[1:]
	}
	return strconv.FormatInt(size, 10) + units[0]
}

var scenarioForm = regexp.MustCompile(`^(\S+?)\s*[×x*]\s*(\d+)(\s+unknown(?: length)?)?$`)

func parseScenario(text string) (scenario, error) {
	match := scenarioForm.FindStringSubmatch(strings.TrimSpace(text))
	if match == nil {
		return scenario{}, fmt.Errorf(`scenario %q: want a size and how many at once, such as "64MiB×4" or "256MiB×64 unknown"`, text)
	}
	size, err := humanize.ParseBytes(match[1])
	if err != nil || size == 0 || size > 1<<40 {
		return scenario{}, fmt.Errorf("scenario %q: %q is no size from 1 B to 1 TiB", text, match[1])
	}
	atOnce, err := strconv.Atoi(match[2])
	if err != nil || atOnce < 1 || atOnce > 4096 {
		return scenario{}, fmt.Errorf("scenario %q: at once may be 1 to 4096", text)
	}
	return scenario{Size: int64(size), AtOnce: atOnce, Unknown: match[3] != ""}, nil
}

// sets are scenarios by the name of their set. The first is the default.
var sets = map[string][]string{
	"main":   {"64MiB×4", "1MiB×8", "10KiB×16", "256MiB×4 unknown", "256MiB×64 unknown"},
	"linear": {"64MiB×4", "1GiB×4", "10KiB×1", "10KiB×8", "10KiB×64", "1MiB×1", "1MiB×64"},
	"matrix": matrix(),
}

func matrix() []string {
	var all []string
	for _, length := range []string{"", " unknown"} {
		for _, size := range []string{"1KiB", "10KiB", "100KiB", "1MiB", "16MiB", "64MiB", "1GiB"} {
			for _, atOnce := range []string{"1", "8", "64"} {
				all = append(all, size+"×"+atOnce+length)
			}
		}
	}
	return all
}

// parseScenarios reads names of sets and scenarios, each once.
func parseScenarios(texts []string) ([]scenario, error) {
	var all []scenario
	seen := map[scenario]bool{}
	for _, text := range texts {
		names, isSet := sets[text]
		if !isSet {
			names = []string{text}
		}
		for _, name := range names {
			s, err := parseScenario(name)
			if err != nil {
				return nil, err
			}
			if !seen[s] {
				all = append(all, s)
			}
			seen[s] = true
		}
	}
	return all, nil
}

// effort is how much of a scenario is run.
type effort struct {
	Bytes int64 // in a run
	Files int   // in a run, at most
}

// uploads returns how many files a run of s sends: the same for every way.
func (e effort) uploads(s scenario) int {
	n := min(int(e.Bytes/s.Size), e.Files)
	n = max(n, s.AtOnce)
	return (n + s.AtOnce - 1) / s.AtOnce * s.AtOnce
}
