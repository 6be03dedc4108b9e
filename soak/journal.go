package main

import (
	"maps"
	"slices"
	"sync"
)

// state is what a file can be found to be; the zero value is: not there.
type state struct {
	sum  [32]byte
	size int64
}

// entry is what is known of one file.
type entry struct {
	// states are what it may be: one where every change was answered, more after
	// a change whose answer was lost.
	states []state
	// created and deleted say that this was acknowledged.
	created, deleted bool
}

// journal has every file that was ever sent, with what was acknowledged.
type journal struct {
	mu      sync.Mutex
	entries map[string]*entry
}

// acknowledged notes the outcome of an answered change.
func (j *journal) acknowledged(id string, now state) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.entry(id)
	e.states = []state{now}
	e.created = e.created || now != state{}
	e.deleted = now == state{}
}

// unknown notes a change whose answer was lost: it may have happened or not.
func (j *journal) unknown(id string, maybe state) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.entry(id)
	e.states = append(e.states, maybe)
}

func (j *journal) entry(id string) *entry {
	e := j.entries[id]
	if e == nil {
		e = &entry{states: []state{{}}}
		j.entries[id] = e
	}
	return e
}

// ids returns the ids in order. The load must have ended.
func (j *journal) ids() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Sorted(maps.Keys(j.entries))
}

func (j *journal) get(id string) *entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries[id]
}
