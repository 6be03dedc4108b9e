package main

import (
	"math"
	"testing"
	"time"
)

// done is a run that took cpu for one file of 1 MiB in a second.
func done(name string, round int, cpu time.Duration) measurement {
	return measurement{Scenario: "1MiB×1", Way: name, Round: round, Uploads: 1, Bytes: mib, Took: time.Second, CPU: cpu, PeakRSS: 8 * mib}
}

func failed(m measurement) measurement {
	m.Failure = "killed"
	return m
}

const (
	us   = "filefield, Gin"
	gin  = "Gin FormFile + PutObject"
	echo = "Echo FormFile + PutObject"
	most = "limit: body into one unsigned PUT"
)

func TestAMedianIsTheMiddleOfWhatIsComplete(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	for _, tt := range []struct {
		name string
		runs []measurement
		want float64
	}{
		{"of one", []measurement{done(us, 0, 3*ms)}, 3},
		{"of three in any order", []measurement{done(us, 0, 9*ms), done(us, 1, ms), done(us, 2, 2*ms)}, 2},
		{"of four it lies between two", []measurement{done(us, 0, 4*ms), done(us, 1, ms), done(us, 2, 2*ms), done(us, 3, 9*ms)}, 3},
		{"a killed server's CPU of 0 is left out", []measurement{done(us, 0, 4*ms), failed(done(us, 1, 0)), failed(done(us, 2, 0))}, 4},
		{"a run that stored nothing is left out", []measurement{done(us, 0, 4*ms), {Way: us}}, 4},
		{"of none there is none", nil, math.NaN()},
		{"of failed ones there is none", []measurement{failed(done(us, 0, ms))}, math.NaN()},
	} {
		got := median(tt.runs, measurement.cpuPerFile)
		if got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s: median = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestARatioIsOfOneRound(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	peers := []string{gin, echo}
	for _, tt := range []struct {
		name string
		all  []measurement
		want summary
	}{
		{
			"the best of the others differs from round to round",
			[]measurement{
				done(us, 0, 1*ms), done(gin, 0, 2*ms), done(echo, 0, 4*ms), // 1/2
				done(us, 1, 10*ms), done(gin, 1, 60*ms), done(echo, 1, 40*ms), // 1/4: a slow minute is everyone's
				done(us, 2, 3*ms), done(gin, 2, 3*ms), done(echo, 2, 9*ms), // 1
			},
			summary{0.5, 0.25, 1},
		},
		{
			"a failed run is no reference, and has no ratio",
			[]measurement{
				done(us, 0, 1*ms), failed(done(gin, 0, 0)), done(echo, 0, 4*ms),
				failed(done(us, 1, 0)), done(gin, 1, 1*ms),
				done(us, 2, 1*ms), failed(done(gin, 2, 0)),
			},
			summary{0.25, 0.25, 0.25},
		},
		{"another scenario's runs do not count", []measurement{done(us, 0, ms), {Scenario: "2MiB×1", Way: gin, Uploads: 1, CPU: ms}}, summarise(nil)},
		{"without others there is none", []measurement{done(us, 0, ms)}, summarise(nil)},
	} {
		got := ratios(tt.all, "1MiB×1", us, peers, cost())
		if got != tt.want && !(math.IsNaN(got.median) && math.IsNaN(tt.want.median)) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestTheBestIsTheMostOfSpeedAndTheLeastOfCost(t *testing.T) {
	t.Parallel()
	slow, fast := done(gin, 0, time.Millisecond), done(echo, 0, 2*time.Millisecond)
	slow.Took *= 2
	all := []measurement{slow, fast, failed(done(us, 0, 0))}
	if got := bestOf(all, "1MiB×1", []string{us, echo, gin}, cost()); got != gin {
		t.Errorf("the best by CPU is %q, want %q", got, gin)
	}
	if got := bestOf(all, "1MiB×1", []string{us, gin, echo}, speed()); got != echo {
		t.Errorf("the best by throughput is %q, want %q", got, echo)
	}
	if got := bestOf(all, "1MiB×1", []string{us}, cost()); got != "" {
		t.Errorf("the best of failed ones is %q, want none", got)
	}
	if got := ratios([]measurement{done(us, 0, 1), slow, fast}, "1MiB×1", us, []string{gin, echo}, speed()); got.median != 1 {
		t.Errorf("the throughput's ratio is %v, want 1: of the faster", got.median)
	}
}

func TestAQuantileIsATimeThatWasTaken(t *testing.T) {
	t.Parallel()
	o := outcome{latencies: []time.Duration{1, 2, 3, 4}}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := o.quantile(q); got != want {
			t.Errorf("the quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := (outcome{}).quantile(0.5); got != 0 {
		t.Errorf("the quantile of nothing is %d, want 0", got)
	}
}
