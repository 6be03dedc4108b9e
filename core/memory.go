package core

import (
	"context"
	"slices"
	"sync"
	"time"
)

// chunkSize is the unit in which uploads buffer. A small file pins one chunk, a
// full 5 MiB part eighty.
const chunkSize = 64 << 10

type chunk [chunkSize]byte

// keepFree bounds the chunks kept for reuse while nobody needs them, as far as whole
// blocks of pages can be given back, and twice of it does in any case. While uploads
// have chunks, as many more are kept.
const keepFree = int(16 * MiB / chunkSize)

// memory lends chunks to uploads under one limit. When the limit is reached,
// uploads wait, and through them their clients: that is the back-pressure.
//
// While there is enough, an upload takes chunks one by one. Once uploads wait,
// these rules keep them from blocking each other for ever:
//
// A quarter of the limit is for the first chunks of uploads, so that small files
// pass whatever the large ones do.
//
// What else comes free is promised to one upload after another, to each all that
// its part still lacks, and kept until it is enough: who has a promise never waits
// again before its part is sent, and its memory comes back. So of those that wait
// for memory and have some, none has a promise; and one that has a promise and
// does not move is held up by its sender alone (see slow.go).
//
// And if all lies in half-filled parts without a promise, so that nothing would
// come back, or the part is larger than what can be promised, one upload may go
// over the limit until its part is sent.
type memory struct {
	limit    int           // in chunks
	reserve  int           // those of them for first chunks alone
	patience time.Duration // of an upload for one part; 0 is for ever

	mu        sync.Mutex
	arena     *arena
	lent      int
	firsts    int // of the lent ones, uploads' first chunks
	sending   int // parts on their way, of several chunks: these will come back
	waiting   []*waiter
	overdrawn *borrower
	promised  int                    // chunks, not lent yet
	assured   int                    // uploads with a promise whose part is not sent yet
	granted   int                    // times, by which the order of those that wait changes
	passed    bool                   // the newest upload has passed the one whose turn it is
	uploads   int                    // that have come so far
	readers   map[*borrower]struct{} // that wait for their senders
	looked    time.Time              // for slow ones
	moved     time.Time              // when something was stored
	turned    time.Time              // when uploads were refused for others
}

func newMemory(limit int64, patience time.Duration) *memory {
	n := int(limit / chunkSize)
	return &memory{limit: n, reserve: n / 4, patience: patience}
}

// borrower is one upload's account with the memory. It is used by one goroutine
// at a time, except for sent.
type borrower struct {
	memory  *memory
	filling int           // chunks of the part being filled
	started bool          // it has had a chunk before
	first   bool          // it has its first chunk still
	waited  time.Duration // for the part being filled

	number   int  // counts uploads as they come, from 1
	most     int  // chunks of the whole file and its end, or 0: not known
	part     int  // chunks of its first part
	had      int  // chunks so far
	lacks    int  // chunks of the part being filled
	promised int  // chunks it can take without waiting
	assured  bool // it has had a promise for the part being filled

	interrupt func()    // ends a read that waits for the sender, or nil
	since     time.Time // it reads for the chunk it has now; zero while it waits for one
}

type waiter struct {
	borrower *borrower
	granted  chan *chunk // or nil: it is turned away
	since    time.Time
}

// take lends one chunk, waiting until there is one, ctx ends, or the memory's
// patience does.
func (b *borrower) take(ctx context.Context) (*chunk, error) {
	m := b.memory
	m.mu.Lock()
	if b.number == 0 {
		m.uploads++
		b.number = m.uploads
	}
	if m.overdrawn == b || b.promised > 0 || (len(m.waiting) == 0 && m.room(b, 1)) {
		c := m.lend(b)
		m.mu.Unlock()
		return c, nil
	}
	m.revoke(b) // a promise that did not suffice is none
	b.since = time.Time{}
	w := &waiter{borrower: b, granted: make(chan *chunk, 1), since: time.Now()}
	m.waiting = append(m.waiting, w)
	m.settle()
	m.mu.Unlock()

	wait := ctx
	if m.patience > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeoutCause(ctx, m.patience-b.waited, errBusy())
		defer cancel()
		start := time.Now()
		defer func() { b.waited += time.Since(start) }()
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case c := <-w.granted:
			if c == nil {
				return nil, errBusy()
			}
			return c, nil
		case now := <-look.C:
			m.makeWay(now)
		case <-wait.Done():
			m.leave(w)
			return nil, context.Cause(wait)
		}
	}
}

// leave ends w's waiting; what it was granted in the meantime goes back.
func (m *memory) leave(w *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.forget(w) {
		m.settle() // others may have stood behind it
		return
	}
	if c := <-w.granted; c != nil {
		w.borrower.filling--
		w.borrower.had--
		m.takeBack(w.borrower, []*chunk{c})
		m.release(w.borrower)
	}
}

func errBusy() error {
	return &Error{
		Kind: ErrUnavailable, Op: "buffer upload", Detail: "too many uploads at once",
		Advice: "raise Config.Memory, or have fewer uploads at a time",
	}
}

// room says whether b may have n chunks within the limit.
func (m *memory) room(b *borrower, n int) bool {
	if n == 1 && !b.started && m.firsts < m.reserve {
		return true
	}
	out := m.lent + m.promised
	return out+n <= m.limit && out-m.firsts+n <= m.limit-m.reserve
}

// rest is how many chunks the part being filled has yet to get.
func (b *borrower) rest() int {
	if !b.started {
		return max(b.lacks, b.part)
	}
	return b.lacks
}

// needs is how many chunks b has to be given so that its part gets sent. The first
// one is not sent before a byte of the next has come, or the end.
func (b *borrower) needs() int {
	n := b.rest()
	if b.stored() == 0 {
		n++
	}
	if b.most > 0 {
		n = min(n, b.most-b.had)
	}
	return max(1, min(n, b.memory.limit-b.memory.reserve))
}

// oversized says that what the part needs in all can't be promised.
func (b *borrower) oversized() bool { return b.filling+b.rest() > b.memory.limit-b.memory.reserve }

// send marks a filled part as being sent: its chunks now count as coming back.
func (b *borrower) send(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if frees(chunks) {
		m.sending++
	}
	b.filling -= len(chunks)
	b.waited = 0
	m.release(b)
}

// sent gives back the chunks of a part that send announced.
func (b *borrower) sent(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if frees(chunks) {
		m.sending--
	}
	m.moved = time.Now()
	m.takeBack(b, chunks)
	m.settle()
}

// frees says whether a part's chunks are of use to those that wait for more than
// their first one: the only one of a small file is not.
func frees(chunks []*chunk) bool { return len(chunks) > 1 }

// ends says that no more is read: what b was promised and has not taken goes to others.
func (b *borrower) ends() {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.release(b)
}

// drop gives back the chunks of a part that was never sent.
func (b *borrower) drop(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	b.filling -= len(chunks)
	b.had -= len(chunks)
	m.takeBack(b, chunks)
	m.release(b)
}

// release ends what b was granted for the part it was filling. Called with the
// lock held.
func (m *memory) release(b *borrower) {
	if m.overdrawn == b {
		m.overdrawn = nil
	}
	m.revoke(b)
	m.settle()
}

// revoke takes a promise back. Called with the lock held.
func (m *memory) revoke(b *borrower) {
	m.promised -= b.promised
	b.promised = 0
	if b.assured {
		b.assured = false
		m.assured--
	}
}

func (m *memory) lend(b *borrower) *chunk {
	if b.promised > 0 {
		b.promised--
		m.promised--
	}
	m.lent++
	b.had++
	b.filling++
	b.since = time.Now()
	if !b.started {
		b.started, b.first = true, true
		m.firsts++
	}
	if m.arena == nil {
		m.arena = &arena{}
	}
	return m.arena.get()
}

func (m *memory) takeBack(b *borrower, chunks []*chunk) {
	if len(chunks) == 0 {
		return
	}
	m.lent -= len(chunks)
	if b.first {
		b.first = false
		m.firsts--
	}
	m.arena.put(chunks)
	m.arena.trim(m.lent+keepFree, m.lent+2*keepFree)
}

// settle grants what can be granted. Called with the lock held.
func (m *memory) settle() {
	for len(m.waiting) > 0 {
		w, last := m.next(), m.newest()
		n := w.borrower.needs()
		switch {
		case m.room(w.borrower, n):
			m.granted, m.passed = m.granted+1, false
		case !m.passed && m.room(last.borrower, last.borrower.needs()):
			w, n, m.passed = last, last.borrower.needs(), true
		case m.firsts < m.reserve && m.grantFresh():
			continue
		case m.overdrawn == nil && (w.borrower.oversized() || m.sending == 0 && m.assured == 0):
			m.overdrawn, n = w.borrower, 0
			m.granted, m.passed = m.granted+1, false
		default:
			return
		}
		w.borrower.promised, w.borrower.assured = n, true
		m.promised += n
		m.assured++
		m.grant(w)
	}
}

// grant gives a waiter its next chunk. Called with the lock held.
func (m *memory) grant(w *waiter) {
	m.forget(w)
	w.granted <- m.lend(w.borrower)
}

// next returns the waiter to serve. Every other time it is the newest upload, so
// that one that has just come need not stand behind thousands that came to block
// the way. Between these it is by turns the one with most of its part filled, which
// gives the memory back soonest, and the one that has waited longest, so that
// nobody waits for ever. For these memory is saved up, past which the newest upload
// may take what it needs once.
func (m *memory) next() *waiter {
	switch m.granted % 4 {
	case 1:
		return slices.MaxFunc(m.waiting, func(a, b *waiter) int { return a.borrower.filling - b.borrower.filling })
	case 3:
		return m.waiting[0]
	}
	return m.newest()
}

// newest returns the upload that came last of all that wait.
func (m *memory) newest() *waiter {
	return slices.MaxFunc(m.waiting, func(a, b *waiter) int { return a.borrower.number - b.borrower.number })
}

// grantFresh gives a first chunk to the upload that came last of those that have
// nothing yet. It says whether there was one.
func (m *memory) grantFresh() bool {
	var fresh *waiter
	for _, w := range m.waiting {
		if !w.borrower.started && (fresh == nil || w.borrower.number > fresh.borrower.number) {
			fresh = w
		}
	}
	if fresh == nil {
		return false
	}
	m.grant(fresh)
	return true
}

func (m *memory) forget(w *waiter) bool {
	for i, other := range m.waiting {
		if other == w {
			m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// chunksOf returns how many chunks a file takes until its end is seen, which may
// take one more than its bytes, and how many a part of it does.
func chunksOf(size, part int64) (most, each int) {
	part = max(part, chunkSize)
	n := ceilDiv(part, chunkSize)
	return int(size/part*n + size%part/chunkSize + 1), int(n)
}
