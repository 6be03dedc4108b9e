package core

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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
// An upload is promised all that its part still lacks, or waits until it is: who has
// a promise never waits again before its part is sent, and its memory comes back. So
// none of those that wait holds much, and one that has a promise and does not move is
// held up by its sender alone (see slow.go).
//
// A quarter of the limit is for the first chunks of uploads, half of it for files
// that have no second one, so that small files pass whatever the large ones do. What
// else comes free is kept for one upload after another until it is enough, past which
// go uploads that lack little, and once at a time the one that came last.
//
// And if all lies in half-filled parts without a promise, so that nothing would
// come back, or the part is larger than what can be promised, one upload may go
// over the limit until its part is sent.
type memory struct {
	limit    int           // in chunks
	reserve  int           // those of them for first chunks alone
	patience time.Duration // of an upload for one part; 0 is for ever

	uploads atomic.Int64 // that have come so far

	mu        sync.Mutex
	arena     *arena
	lent      int
	firsts    int // of the lent ones, uploads' first chunks
	heads     int // of these, the ones of files that have more
	sending   int // parts on their way, of several chunks: these will come back
	moving    int // parts on their way, of any size
	waiting   []*waiter
	overdrawn *borrower
	promised  int                    // chunks, not lent yet
	assured   int                    // uploads with a promise whose part is not sent yet
	little    int                    // chunks that went past the one whose turn it was, and are not back yet
	granted   int                    // times, by which the order of those that wait changes
	passed    bool                   // the newest upload has passed the one whose turn it is
	readers   map[*borrower]struct{} // that wait for their senders
	looked    time.Time              // for slow ones
	moved     time.Time              // when something was stored that frees memory
	turned    time.Time              // when uploads were refused for others
	changed   bool                   // something that those that wait may wait for
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
	head    bool          // which is not the whole file
	waited  time.Duration // for the part being filled

	number   int64     // counts uploads as they come, from 1
	most     int       // chunks of the whole file and its end, or 0: not known
	part     int       // chunks of its first part
	had      int       // chunks so far
	lacks    int       // chunks of the part being filled
	promised int       // chunks it can take without waiting
	assured  bool      // it has had a promise for the part being filled
	given    time.Time // when
	gotten   int       // chunks of the part that it had then
	little   int       // chunks that it got past the one whose turn it was
	passing  int       // of these, the ones on their way

	dog       *watchdog // of storage that is read from, which waits for memory too, or nil
	interrupt func()    // ends a read that waits for the sender, or nil
	since     time.Time // it reads for the chunk it has now; zero while it waits for one
}

// borrower opens an account for an upload that has come. Its place among the others is
// as of now: where thousands come at once, a lock gives them theirs in any order.
func (m *memory) borrower() *borrower { return &borrower{memory: m, number: m.uploads.Add(1)} }

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
	if m.ready(b) {
		c := m.lend(b)
		m.mu.Unlock()
		return c, nil
	}
	b.since = time.Time{}
	w := &waiter{borrower: b, granted: make(chan *chunk, 1), since: time.Now()}
	m.waiting = append(m.waiting, w)
	m.changed = true
	m.settle()
	m.mu.Unlock()

	if b.dog != nil {
		b.dog.pause()
		defer b.dog.moved()
	}
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

// ready says whether b gets its next chunk without waiting. Called with the lock held.
func (m *memory) ready(b *borrower) bool {
	if m.overdrawn == b || b.promised > 0 {
		return true
	}
	m.revoke(b) // a promise that did not suffice is none
	if n := b.needs(); len(m.waiting) == 0 && m.room(b, n) {
		m.promise(b, n)
		return true
	}
	return m.firstRoom(b) // that nobody who waits could have
}

// leave ends w's waiting; what it was granted in the meantime goes back.
func (m *memory) leave(w *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.forget(w) { // others may have stood behind it
		m.settle()
		return
	}
	if c := <-w.granted; c != nil {
		w.borrower.filling--
		w.borrower.had--
		w.borrower.started = w.borrower.had > 0
		m.takeBack(w.borrower, []*chunk{c})
		m.release(w.borrower)
	}
}

// errNoMemory is of an upload that found no room in time.
var errNoMemory = errors.New("too many uploads at once")

func errBusy() error {
	return &Error{
		Kind: ErrUnavailable, Op: "buffer upload", Err: errNoMemory,
		Advice: "raise Config.Memory, or have fewer uploads at a time",
	}
}

// room says whether b may have n chunks within the limit.
func (m *memory) room(b *borrower, n int) bool {
	if n == 1 && m.firstRoom(b) {
		return true
	}
	out := m.lent + m.promised
	return out+n <= m.limit && out-m.firsts+n <= m.limit-m.reserve
}

// firstRoom says whether there is a first chunk for b, of those kept for such.
func (m *memory) firstRoom(b *borrower) bool {
	return !b.started && m.firsts < m.reserve && (!b.goesOn() || m.heads < (m.reserve+1)/2)
}

// goesOn says that a file may have more than one chunk.
func (b *borrower) goesOn() bool { return b.most != 1 }

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
	m.moving++
	b.passing, b.little = b.passing+b.little, 0
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
	m.moving--
	if frees(chunks) {
		m.sending--
		m.moved, m.changed = time.Now(), true
	}
	m.takeBack(b, chunks)
	m.little -= b.passing
	b.passing = 0
	m.settle()
}

// frees says whether a part's chunks are of use to those that wait for more than
// their first one: the only one of a small file is not.
func frees(chunks []*chunk) bool { return len(chunks) > 1 }

// ends says that no more is read: what b was promised and has not taken goes to others.
// What it has over the limit it has until it is sent or dropped.
func (b *borrower) ends() {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoke(b)
	m.settle()
}

// drop gives back the chunks of a part that was never sent.
func (b *borrower) drop(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	b.filling -= len(chunks)
	b.had -= len(chunks)
	m.takeBack(b, chunks)
	m.little -= b.little
	b.little = 0
	m.release(b)
}

// release ends what b was granted for the part it was filling. Called with the
// lock held.
func (m *memory) release(b *borrower) {
	if m.overdrawn == b {
		m.overdrawn, m.changed = nil, true
	}
	m.revoke(b)
	m.settle()
}

// revoke takes a promise back. Called with the lock held.
func (m *memory) revoke(b *borrower) {
	m.changed = m.changed || b.promised > 0 || b.assured
	m.promised -= b.promised
	b.promised = 0
	if b.assured {
		b.assured = false
		m.assured--
	}
}

// promise is of n chunks, which b takes without waiting. One alone, as of a small file,
// is nothing that others wait for. Called with the lock held.
func (m *memory) promise(b *borrower, n int) {
	b.promised, b.assured, b.given, b.gotten = n, n > 1, time.Now(), b.filling
	m.promised += n
	if b.assured {
		m.assured++
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
		b.started, b.first, b.head = true, true, b.goesOn()
		m.firsts++
		if b.head {
			m.heads++
		}
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
	m.changed = true
	if b.first {
		m.firsts--
		if b.head {
			m.heads--
		}
		b.first, b.head = false, false
	}
	m.arena.put(chunks)
	m.arena.trim(m.lent+keepFree, m.lent+2*keepFree)
}

// settle grants what can be granted since something has changed. Called with the lock held.
func (m *memory) settle() {
	if !m.changed {
		return
	}
	m.changed = false
	for len(m.waiting) > 0 {
		w, last := m.next(), m.newest()
		n := w.borrower.needs()
		switch {
		case m.room(w.borrower, n):
			m.granted, m.passed = m.granted+1, false
		case !m.passed && m.room(last.borrower, last.borrower.needs()):
			w, n, m.passed = last, last.borrower.needs(), true
		case m.grantFirst() || m.grantLittle(w.borrower):
			continue
		case m.mayExceed(w.borrower):
			m.overdrawn, n = w.borrower, 0
			m.granted, m.passed = m.granted+1, false
		default:
			return
		}
		m.promise(w.borrower, n)
		m.grant(w)
	}
}

// mayExceed says whether b may go over the limit: if it cannot do otherwise, and what
// went over it before has come back.
func (m *memory) mayExceed(b *borrower) bool {
	switch {
	case m.overdrawn != nil:
		return false
	case m.lent <= m.limit && b.oversized():
		return true
	}
	return m.sending == 0 && m.assured == 0 && (m.lent <= m.limit || m.moving == 0)
}

// grant gives a waiter its next chunk. Called with the lock held.
func (m *memory) grant(w *waiter) {
	m.forget(w)
	w.granted <- m.lend(w.borrower)
}

// next returns the waiter to serve. Every other time it is the newest upload, so that
// one that has just come need not stand behind thousands that came to block the way.
// Between these it is by turns the one that has waited longest of those that have stored
// something, which are not here for that, or else has most of its part filled, which
// gives the memory back soonest; and the one that has waited longest of all, so that
// nobody waits for ever.
func (m *memory) next() *waiter {
	switch m.granted % 4 {
	case 1:
		for _, w := range m.waiting {
			if w.borrower.stored() > 0 {
				return w
			}
		}
		return slices.MaxFunc(m.waiting, func(a, b *waiter) int { return a.borrower.filling - b.borrower.filling })
	case 3:
		return m.waiting[0]
	}
	return m.newest()
}

// newest returns the upload that came last of all that wait.
func (m *memory) newest() *waiter { return m.last(func(*borrower) bool { return true }) }

// last returns the waiter that came last of those that are so, or nil.
func (m *memory) last(is func(*borrower) bool) *waiter {
	var last *waiter
	for _, w := range m.waiting {
		if (last == nil || w.borrower.number > last.borrower.number) && is(w.borrower) {
			last = w
		}
	}
	return last
}

// grantFirst gives a first chunk to the upload that came last of those that have
// nothing yet. It says whether there was one.
func (m *memory) grantFirst() bool {
	if m.firsts >= m.reserve {
		return false
	}
	w := m.last(m.firstRoom)
	if w != nil {
		m.grant(w)
	}
	return w != nil
}

// littleChunks is the most that an upload may lack which need not wait until enough
// has been saved for one that lacks more.
const littleChunks = 8

// grantLittle promises what it lacks to the upload that came last of those that lack
// little. All that got it so have a quarter of the memory at most, and leave enough for
// the one whose turn it is. It says whether there was one.
func (m *memory) grantLittle(turn *borrower) bool {
	most, general := m.limit/4, m.limit-m.reserve
	if m.lent+m.promised-m.firsts >= general {
		return false
	}
	if !turn.oversized() {
		most = min(most, general-turn.needs())
	}
	w := m.last(func(b *borrower) bool {
		n := b.needs()
		return n <= littleChunks && m.little+n <= most && m.room(b, n)
	})
	if w == nil {
		return false
	}
	n := w.borrower.needs()
	m.promise(w.borrower, n)
	w.borrower.little += n
	m.little += n
	m.grant(w)
	return true
}

func (m *memory) forget(w *waiter) bool {
	for i, other := range m.waiting {
		if other == w {
			m.waiting = slices.Delete(m.waiting, i, i+1)
			m.changed = true
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
