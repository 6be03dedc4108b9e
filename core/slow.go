package core

import (
	"slices"
	"time"
)

// An upload that others wait for is slow if it takes longer than slowChunk to
// fill one chunk: then it sends less than 16 KiB a second. While nobody waits,
// nobody is too slow for the memory; that is for the caller's own time limits.
const (
	slowChunk = 4 * time.Second
	lookEvery = time.Second

	// slowMany is how many chunks are freed for an upload that has begun: those of
	// a part, so that it need not wait for each of them.
	slowMany = int(5 * MiB / chunkSize)
)

// reads says that b waits for its sender from now on, until rests.
func (b *borrower) reads() {
	if b.interrupt == nil {
		return
	}
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readers == nil {
		m.readers = map[*borrower]struct{}{}
	}
	m.readers[b] = struct{}{}
	b.since = time.Now()
}

// rests ends reads. After it, b is not interrupted.
func (b *borrower) rests() {
	if b.interrupt == nil {
		return
	}
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.readers, b)
}

// makeWay ends uploads that hold memory and do not move, for those that wait:
// without it, connections that announce a file and fall silent would keep
// everyone else out.
func (m *memory) makeWay(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.looked) < lookEvery/2 {
		return // another waiter has just looked
	}
	m.looked = now
	first, more := 0, 0 // who wants a first chunk, or one more that will not come by itself
	for _, w := range m.waiting {
		switch {
		case now.Sub(w.since) < lookEvery:
		case !w.borrower.started:
			first++
		case m.sending == 0:
			more += slowMany
		}
	}
	missing := m.interruptSlow(now, first+more)
	m.turnAway(now, min(first, missing))
}

// interruptSlow interrupts up to wanted slow readers; it returns how many more
// are wanted. Called with the lock held.
func (m *memory) interruptSlow(now time.Time, wanted int) int {
	for b := range m.readers {
		if wanted <= 0 {
			break
		}
		if b.since.IsZero() || b.filling == 0 || now.Sub(b.since) < slowChunk {
			continue
		}
		b.interrupt()
		delete(m.readers, b)
		wanted -= b.filling
	}
	return wanted
}

// turnAway refuses uploads that hold memory and wait for more, where nothing is
// on its way to storage that could free any: those with least to lose go first,
// as many as it takes to let wanted others begin. Called with the lock held.
func (m *memory) turnAway(now time.Time, wanted int) {
	if wanted <= 0 || m.sending > 0 {
		return
	}
	var stuck []*waiter
	for _, w := range m.waiting {
		if w.borrower.started && w.borrower != m.overdrawn && now.Sub(w.since) >= slowChunk {
			stuck = append(stuck, w)
		}
	}
	slices.SortStableFunc(stuck, func(a, b *waiter) int { return a.borrower.filling - b.borrower.filling })
	for _, w := range stuck {
		if wanted <= 0 {
			return
		}
		m.forget(w)
		w.granted <- nil
		wanted -= w.borrower.filling
	}
}
