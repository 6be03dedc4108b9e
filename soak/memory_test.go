package main

import (
	"testing"
	"time"
)

func TestGrowthIsSeenAfterTheWarmUpAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		rss    []int64 // of each window
		grown  bool
		judged bool
	}{
		{"flat", []int64{100, 100, 100, 100}, false, true},
		{"grown in the warm-up", []int64{10, 100, 100}, false, true},
		{"within a tenth", []int64{100, 100, 109, 105}, false, true},
		{"grown at the end", []int64{100, 100, 100, 111}, true, true},
		{"grown in the middle", []int64{100, 100, 120, 100}, true, true},
		{"shrunk", []int64{100, 100, 50}, false, true},
		{"one window after the warm-up", []int64{100, 200}, false, false},
		{"the warm-up alone", []int64{100}, false, false},
		{"no sample", nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var samples []sample
			for i, rss := range c.rss {
				for at := time.Duration(i) * window; at < time.Duration(i+1)*window; at += time.Second {
					samples = append(samples, sample{at, rss})
				}
			}
			_, high, ok := growth(stretches(samples))
			if ok != c.judged || (high > 0.1) != c.grown {
				t.Errorf("grown by %.3f, judged %t; want grown %t, judged %t", high, ok, c.grown, c.judged)
			}
		})
	}
}

func TestARestOfAWindowIsLeftOut(t *testing.T) {
	t.Parallel()
	samples := []sample{{0, 1}, {window - time.Second, 3}, {window, 5}, {window + window/3, 7}}
	list := stretches(samples)
	if len(list) != 1 || list[0].lowest != 1 || list[0].highest != 3 {
		t.Errorf("the windows are %+v, want the first alone", list)
	}
}
