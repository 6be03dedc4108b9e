package core

import (
	"cmp"
	"slices"
	"time"
)

// While nobody waits for memory, nobody is too slow for it; that is for the
// caller's own time limits. Those that others wait for make way, in this order:
//
// An upload is slow if it has memory to read into and takes longer than slowChunk
// to fill one chunk of it: it sends less than 16 KiB a second. It first loses what
// it was promised, and waits with the others when it wants more.
//
// If that is not enough, slow uploads are interrupted, the slowest first.
//
// An upload that waits itself cannot be slow, since it cannot move. Where nothing
// was stored for slowChunk, though, and others have not even begun, then those that
// hold memory and wait are in each other's way. Half of them are refused, those that
// have stored nothing yet first, and of these the ones that came first: that makes room
// for the others. The other half is given slowChunk more, since promises may be held by
// senders that do move, if slowly, and the next free ones go to the newest.
//
// Each of it goes as far as is asked for, so a new upload finds memory after
// slowChunk and lookEvery, whatever those before it have sent until they stopped.
const (
	slowChunk = 4 * time.Second
	lookEvery = time.Second
)

// reads says that b waits for its sender from now on, until rests.
func (b *borrower) reads() {
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
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.readers, b)
}

// makeWay frees memory of uploads that do not move, for those that wait: without
// it, connections that announce a file and fall silent would keep everyone else out.
func (m *memory) makeWay(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.looked) < lookEvery/2 {
		return // another waiter has just looked
	}
	m.looked = now
	first, more := 0, 0 // chunks for those that have none yet, and others that will not come by themselves
	for _, w := range m.waiting {
		switch {
		case now.Sub(w.since) < lookEvery:
		case !w.borrower.started:
			first += w.borrower.needs()
		case m.sending == 0:
			more += w.borrower.needs()
		}
	}
	missing := m.interruptSlow(m.slow(now), first+more)
	m.turnAway(now, min(first, missing))
	m.settle()
}

// slow returns those that have been filling a chunk for too long, the slowest first.
// Called with the lock held.
func (m *memory) slow(now time.Time) []*borrower {
	var slow []*borrower
	for b := range m.readers {
		if !b.since.IsZero() && b.filling > 0 && now.Sub(b.since) >= slowChunk {
			slow = append(slow, b)
		}
	}
	slices.SortFunc(slow, func(a, b *borrower) int { return a.since.Compare(b.since) })
	return slow
}

// interruptSlow frees up to wanted chunks of slow uploads; it returns how many more
// are wanted. Called with the lock held.
func (m *memory) interruptSlow(slow []*borrower, wanted int) int {
	for _, b := range slow {
		if wanted <= 0 {
			return 0
		}
		wanted -= b.promised
		m.revoke(b)
	}
	for _, b := range slow {
		if wanted <= 0 {
			return 0
		}
		if b.interrupt == nil {
			continue
		}
		b.interrupt()
		delete(m.readers, b)
		wanted -= b.filling
	}
	return wanted
}

// turnAway refuses uploads that hold memory and wait for more, where nothing was
// stored for a while that would have freed any. Called with the lock held.
func (m *memory) turnAway(now time.Time, wanted int) {
	if wanted <= 0 || m.sending > 0 || now.Sub(m.moved) < slowChunk || now.Sub(m.turned) < slowChunk {
		return
	}
	var stuck []*waiter
	for _, w := range m.waiting {
		if w.borrower.filling > 0 && now.Sub(w.since) >= slowChunk {
			stuck = append(stuck, w)
		}
	}
	slices.SortFunc(stuck, func(a, b *waiter) int {
		return cmp.Or(a.borrower.stored()-b.borrower.stored(), a.borrower.number-b.borrower.number)
	})
	for _, w := range stuck[:(len(stuck)+1)/2] {
		if wanted <= 0 {
			return
		}
		m.turned = now
		m.forget(w)
		w.granted <- nil
		wanted -= w.borrower.filling
	}
}

// stored is how many chunks have been sent, or are on their way.
func (b *borrower) stored() int { return b.had - b.filling }
