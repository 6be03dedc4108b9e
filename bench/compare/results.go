package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// results are everything that was measured, as --json keeps it.
type results struct {
	Machine machine  `json:"machine"`
	Command []string `json:"commands"`
	// Storage is what the files were sent to, such as "sink" or "minio over TLS".
	Storage      string        `json:"storage"`
	Measurements []measurement `json:"measurements"`
}

// scenarios returns the names in the order they were measured.
func (r results) scenarios() []string {
	var names []string
	for _, m := range r.Measurements {
		if !slices.Contains(names, m.Scenario) {
			names = append(names, m.Scenario)
		}
	}
	return names
}

// ways returns the ways of a scenario that were measured, in the order of ways.
func (r results) ways(scenario string) []way {
	return slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return len(of(r.Measurements, scenario, w.Name)) == 0 })
}

// names returns those of a kind.
func names(of []way, k kind) []string {
	var chosen []string
	for _, w := range of {
		if w.kind == k {
			chosen = append(chosen, w.Name)
		}
	}
	return chosen
}

// write keeps the results in a file.
func (r results) write(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}

// readResults joins files that --json wrote on one machine, of one storage. A
// round stays a round of its file.
func readResults(files []string) (results, error) {
	var all results
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return results{}, err
		}
		var r results
		if err := json.Unmarshal(text, &r); err != nil {
			return results{}, fmt.Errorf("%s: %w", file, err)
		}
		if i == 0 {
			all = r
			continue
		}
		if r.Machine != all.Machine || r.Storage != all.Storage {
			return results{}, fmt.Errorf("%s was measured on another machine or version, or with another storage, than %s: %w", file, files[0], errMixed)
		}
		rounds := 0
		for _, m := range all.Measurements {
			rounds = max(rounds, m.Round+1)
		}
		for _, m := range r.Measurements {
			m.Round += rounds
			all.Measurements = append(all.Measurements, m)
		}
		all.Command = append(all.Command, r.Command...)
	}
	return all, nil
}

var errMixed = errors.New("results that do not belong together")
