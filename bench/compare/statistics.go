package main

import (
	"math"
	"slices"
)

// metric is a figure of a measurement.
type metric struct {
	of func(measurement) float64
	// best picks the better of two.
	best func(a, b float64) float64
}

func lower(a, b float64) float64  { return math.Min(a, b) }
func higher(a, b float64) float64 { return math.Max(a, b) }

// cost, speed and memoryUse are what ways are compared by.
func cost() metric      { return metric{measurement.cpuPerFile, lower} }
func speed() metric     { return metric{measurement.throughput, higher} }
func memoryUse() metric { return metric{measurement.peakMiB, lower} }

// complete leaves out the runs that failed. What a server did until it was killed
// is no figure of it.
func complete(runs []measurement) []measurement {
	return slices.DeleteFunc(slices.Clone(runs), func(m measurement) bool { return m.Failure != "" || m.Uploads == 0 })
}

// of returns the runs of a way and a scenario.
func of(all []measurement, scenario, way string) []measurement {
	return slices.DeleteFunc(slices.Clone(all), func(m measurement) bool { return m.Scenario != scenario || m.Way != way })
}

// median returns the middle of what the complete runs show, or NaN where there is
// none.
func median(runs []measurement, value func(measurement) float64) float64 {
	var values []float64
	for _, m := range complete(runs) {
		values = append(values, value(m))
	}
	return summarise(values).median
}

// summary is the middle and the ends of some values. All are NaN of none.
type summary struct{ median, least, most float64 }

func summarise(values []float64) summary {
	if len(values) == 0 {
		return summary{math.NaN(), math.NaN(), math.NaN()}
	}
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	s := summary{values[middle], values[0], values[len(values)-1]}
	if len(values)%2 == 0 {
		s.median = (values[middle-1] + values[middle]) / 2
	}
	return s
}

// ratios divides a way's figure by the best of the others, in every round by
// itself: what else the machine did then met them alike. A round counts in which
// the way and one other at least are complete.
func ratios(all []measurement, scenario, way string, others []string, m metric) summary {
	best := map[int]float64{}
	for _, other := range others {
		for _, run := range complete(of(all, scenario, other)) {
			value := m.of(run)
			if known, ok := best[run.Round]; ok {
				value = m.best(known, value)
			}
			best[run.Round] = value
		}
	}
	var values []float64
	for _, run := range complete(of(all, scenario, way)) {
		if reference, ok := best[run.Round]; ok && reference > 0 {
			values = append(values, m.of(run)/reference)
		}
	}
	return summarise(values)
}

// bestOf returns which of the ways has the best median, or "" where none was
// complete.
func bestOf(all []measurement, scenario string, names []string, m metric) string {
	best, at := "", math.NaN()
	for _, name := range names {
		value := median(of(all, scenario, name), m.of)
		if !math.IsNaN(value) && (best == "" || m.best(value, at) != at) {
			best, at = name, value
		}
	}
	return best
}
