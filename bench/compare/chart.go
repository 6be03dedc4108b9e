package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"os"
	"strings"
)

//go:embed chart.svg.tmpl
var chartText string

var chartTemplate = template.Must(template.New("chart").Parse(chartText))

// The chart's measures, in its own units.
const (
	chartWidth = 960
	nameWidth  = 300 // the ways' names
	barWidth   = 200 // the longest bar
	panelWidth = 330 // a bar, and its figure beside it
	lineHeight = 20
	headHeight = 56 // above a scenario's bars
)

// chart is what the template draws.
type chart struct {
	Width, Height int
	Caption       string
	Scenarios     []chartScenario
}

type chartScenario struct {
	Name  string
	Y     int
	Heads []chartHead
	Lines []chartLine
}

type chartHead struct {
	X    int
	Text string
}

type chartLine struct {
	Y     int
	Name  string
	Class string
	Bars  []chartBar
}

type chartBar struct {
	X, Width int
	Text     string
}

// newChart has a scenario below the other, its ways as lines, and what they did and
// cost as bars.
func newChart(r results) chart {
	c := chart{Width: chartWidth, Caption: r.Machine.String() + "; " + r.Storage + "; medians"}
	y := 0
	panels := []struct {
		head, form string
		value      func(measurement) float64
	}{
		{"throughput, MiB/s (longer is better)", "%.0f", measurement.throughput},
		{"server CPU, ms per file (shorter is better)", "%.3g", measurement.cpuPerFile},
	}
	for _, scenario := range r.scenarios() {
		s := chartScenario{Name: scenario, Y: y + 24}
		measured := r.ways(scenario)
		longest := make([]float64, len(panels))
		for i, p := range panels {
			s.Heads = append(s.Heads, chartHead{nameWidth + i*panelWidth, p.head})
			for _, w := range measured {
				if value := median(of(r.Measurements, scenario, w.Name), p.value); value > longest[i] {
					longest[i] = value
				}
			}
		}
		y += headHeight
		for _, w := range measured {
			line := chartLine{Y: y, Name: w.Name, Class: [...]string{peer: "peer", ours: "ours", limit: "limit"}[w.kind]}
			for i, p := range panels {
				value := median(of(r.Measurements, scenario, w.Name), p.value)
				bar := chartBar{X: nameWidth + i*panelWidth, Text: "failed"}
				if !math.IsNaN(value) {
					bar.Width, bar.Text = max(1, int(math.Round(value/longest[i]*barWidth))), fmt.Sprintf(p.form, value)
				}
				line.Bars = append(line.Bars, bar)
			}
			s.Lines = append(s.Lines, line)
			y += lineHeight
		}
		c.Scenarios = append(c.Scenarios, s)
	}
	c.Height = y + 40
	return c
}

func writeChart(file string, r results) error {
	var text strings.Builder
	if err := chartTemplate.Execute(&text, newChart(r)); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}
