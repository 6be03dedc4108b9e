package main

import (
	"slices"
	"testing"
)

func TestTheJournalKnowsWhatAFileMayBe(t *testing.T) {
	t.Parallel()
	first, second, gone := stateOf("first", 10), stateOf("second", 20), state{}
	for _, c := range []struct {
		name    string
		happens func(*journal)
		want    []state
		deleted bool
	}{
		{"an upload that was answered", func(j *journal) { j.acknowledged("f", first) }, []state{first}, false},
		{"an upload whose answer was lost", func(j *journal) { j.unknown("f", first) }, []state{gone, first}, false},
		{"a replacement that was answered", func(j *journal) {
			j.acknowledged("f", first)
			j.acknowledged("f", second)
		}, []state{second}, false},
		{"a replacement whose answer was lost", func(j *journal) {
			j.acknowledged("f", first)
			j.unknown("f", second)
		}, []state{first, second}, false},
		{"a deletion that was answered", func(j *journal) {
			j.acknowledged("f", first)
			j.acknowledged("f", gone)
		}, []state{gone}, true},
		{"a deletion whose answer was lost", func(j *journal) {
			j.acknowledged("f", first)
			j.unknown("f", gone)
		}, []state{first, gone}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := &journal{entries: map[string]*entry{}}
			c.happens(j)
			e := j.get("f")
			if !slices.Equal(e.states, c.want) || e.deleted != c.deleted {
				t.Errorf("it may be %x, deleted %t; want %x, %t", e.states, e.deleted, c.want, c.deleted)
			}
			if ids := j.ids(); !slices.Equal(ids, []string{"f"}) {
				t.Errorf("the ids are %q", ids)
			}
		})
	}
}
