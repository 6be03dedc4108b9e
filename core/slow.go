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
// An upload that moves, but has taken longer than turn for a part and will take longer
// than lasts for the rest of it, keeps its promise only as long as those like it have no
// more than three quarters of the memory: some is always for others, which need less time.
//
// An upload that waits itself cannot be slow, since it cannot move. Where nothing was
// stored for slowChunk, though, and others cannot begin, because the first chunks kept
// for that are with uploads that wait for their second one, half of these make way:
// they are refused, those that came first before the others. The other half is given
// slowChunk more. Who has stored a part is not refused for others.
//
// Each of it goes as far as is asked for, so a new upload finds memory after
// slowChunk and lookEvery, whatever those before it have sent until they stopped.
const (
	slowChunk = 4 * time.Second
	turn      = 10 * time.Second
	lasts     = 30 * time.Second
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
	m.looked, m.changed = now, true
	unbegun, wanted := 0, 0 // uploads that have nothing, and chunks that will not come by themselves
	for _, w := range m.waiting {
		switch {
		case now.Sub(w.since) < lookEvery:
		case !w.borrower.started:
			unbegun++
			wanted += w.borrower.needs()
		case m.sending == 0 || now.Sub(w.since) >= slowChunk:
			wanted += w.borrower.needs()
		}
	}
	m.interruptSlow(m.slow(now), wanted)
	if wanted > 0 {
		m.takeTurns(now)
	}
	m.turnAway(now, unbegun)
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

// interruptSlow frees up to wanted chunks of slow uploads. Called with the lock held.
func (m *memory) interruptSlow(slow []*borrower, wanted int) {
	for _, b := range slow {
		if wanted <= 0 {
			return
		}
		wanted -= b.promised
		m.revoke(b)
	}
	for _, b := range slow {
		if wanted <= 0 {
			return
		}
		if b.interrupt == nil {
			continue
		}
		b.interrupt()
		delete(m.readers, b)
		wanted -= b.filling
	}
}

// takeTurns ends promises that have lasted for longer than turn and will for longer than
// lasts, those of the slowest uploads first, until the others have no more than three
// quarters of what can be promised. Called with the lock held.
func (m *memory) takeTurns(now time.Time) {
	var lasting []*borrower
	held := 0
	for b := range m.readers {
		if b.promised > 0 && now.Sub(b.given) >= turn && float64(b.promised) > b.pace(now)*lasts.Seconds() {
			lasting = append(lasting, b)
			held += b.filling + b.promised
		}
	}
	slices.SortFunc(lasting, func(a, b *borrower) int { return cmp.Compare(a.pace(now), b.pace(now)) })
	for _, b := range lasting {
		if held <= (m.limit-m.reserve)/4*3 {
			return
		}
		held -= b.filling + b.promised
		m.revoke(b)
	}
}

// pace is how many chunks have come in a second since they were promised.
func (b *borrower) pace(now time.Time) float64 {
	return float64(b.filling-b.gotten) / now.Sub(b.given).Seconds()
}

// turnAway refuses uploads that have a first chunk and wait for their second, for as
// many that cannot begin. Called with the lock held.
func (m *memory) turnAway(now time.Time, unbegun int) {
	if unbegun == 0 || m.sending > 0 || now.Sub(m.moved) < slowChunk || now.Sub(m.turned) < slowChunk {
		return
	}
	var begun []*waiter
	for _, w := range m.waiting {
		if w.borrower.first {
			begun = append(begun, w)
		}
	}
	slices.SortFunc(begun, func(a, b *waiter) int { return cmp.Compare(a.borrower.number, b.borrower.number) })
	for _, w := range begun[:min(len(begun)/2, unbegun)] {
		if now.Sub(w.since) < slowChunk {
			continue
		}
		m.turned = now
		m.forget(w)
		w.granted <- nil
	}
}

// stored is how many chunks have been sent, or are on their way.
func (b *borrower) stored() int { return b.had - b.filling }
