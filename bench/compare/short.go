package main

import (
	"errors"
	"fmt"
	"math"
)

// What --short measures: enough for counts, which do not depend on time.
const (
	shortRuns  = 2
	shortFiles = 200
	shortBytes = "24MiB"
)

func shortScenarios() []string {
	return []string{"10KiB×4", "1MiB×4", "12MiB×2 unknown"}
}

// keptLimit is the most that ours may take of a scenario in --short, in each of
// the three frameworks. What it takes is less: allocations differ with garbage
// collection, which empties pools.
type keptLimit struct {
	requests    float64 // to the storage, per upload
	allocations float64 // per upload
}

func kept() map[string]keptLimit {
	return map[string]keptLimit{
		"10KiB×4":         {requests: 1, allocations: 220},
		"1MiB×4":          {requests: 1, allocations: 280},
		"12MiB×2 unknown": {requests: 5, allocations: 1450},
	}
}

// checkKept returns an error where a way failed, or where the better run of one of
// ours took more than is kept.
func checkKept(all []measurement) error {
	var errs []error
	limits := kept()
	for _, scenario := range (results{Measurements: all}).scenarios() {
		for _, w := range ways {
			runs := of(all, scenario, w.Name)
			if len(runs) == 0 {
				continue
			}
			done := complete(runs)
			if len(done) == 0 {
				errs = append(errs, fmt.Errorf("%s, %s: every run failed: %s", w.Name, scenario, firstFailure(runs)))
				continue
			}
			limit, ok := limits[scenario]
			if !ok || w.kind != ours {
				continue
			}
			requests, allocations := math.Inf(1), math.Inf(1)
			for _, m := range done {
				requests, allocations = min(requests, m.Requests), min(allocations, m.Allocations)
			}
			if requests > limit.requests {
				errs = append(errs, fmt.Errorf("%s, %s: %.2f requests per upload, want at most %.2f", w.Name, scenario, requests, limit.requests))
			}
			if allocations > limit.allocations {
				errs = append(errs, fmt.Errorf("%s, %s: %.0f allocations per upload, want at most %.0f", w.Name, scenario, allocations, limit.allocations))
			}
		}
	}
	return errors.Join(errs...)
}
