package core

import (
	"context"
	"sync"
)

// chunkSize is the unit in which uploads buffer. A small file pins one chunk, a
// full 5 MiB part eighty.
const chunkSize = 64 << 10

type chunk [chunkSize]byte

// keepFree bounds the chunks kept for reuse while nobody needs them.
const keepFree = int(16 * MiB / chunkSize)

// memory lends chunks to uploads under one limit. When the limit is reached,
// uploads wait, and through them their clients: that is the back-pressure.
//
// Two rules keep waiting uploads from blocking each other for ever. A chunk
// that comes free goes to an upload's very first chunk before all others, so
// that small files pass, and then to the upload with most of its part filled,
// so that parts get finished and their memory comes back. And if every chunk
// lies in half-filled parts, so that none would ever come free, one upload may
// go over the limit until its part is sent.
type memory struct {
	limit int // in chunks

	mu        sync.Mutex
	free      []*chunk
	lent      int
	sending   int // parts on their way: their chunks will come back
	waiting   []*waiter
	overdrawn *borrower
}

func newMemory(limit int64) *memory {
	return &memory{limit: int(limit / chunkSize)}
}

// borrower is one upload's account with the memory. It is used by one goroutine
// at a time, except for sent.
type borrower struct {
	memory  *memory
	filling int  // chunks of the part being filled
	started bool // it has had a chunk before
}

type waiter struct {
	borrower *borrower
	granted  chan *chunk
}

// take lends one chunk, waiting until there is one or ctx ends.
func (b *borrower) take(ctx context.Context) (*chunk, error) {
	m := b.memory
	m.mu.Lock()
	if m.overdrawn == b || (m.lent < m.limit && len(m.waiting) == 0) {
		c := m.lend(b)
		m.mu.Unlock()
		return c, nil
	}
	w := &waiter{borrower: b, granted: make(chan *chunk, 1)}
	m.waiting = append(m.waiting, w)
	m.settle()
	m.mu.Unlock()

	select {
	case c := <-w.granted:
		return c, nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.forget(w) { // granted in the meantime
		m.takeBack(b, []*chunk{<-w.granted}, true)
		m.settle()
	}
	return nil, context.Cause(ctx)
}

// send marks a filled part as being sent: its chunks now count as coming back.
func (b *borrower) send(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sending++
	b.filling -= len(chunks)
	m.release(b)
}

// sent gives back the chunks of a part that send announced.
func (b *borrower) sent(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sending--
	m.takeBack(b, chunks, false)
	m.settle()
}

// drop gives back the chunks of a part that was never sent.
func (b *borrower) drop(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.takeBack(b, chunks, true)
	m.release(b)
	m.settle()
}

// release ends b's right to exceed the limit. Called with the lock held.
func (m *memory) release(b *borrower) {
	if m.overdrawn == b {
		m.overdrawn = nil
		m.settle()
	}
}

func (m *memory) lend(b *borrower) *chunk {
	m.lent++
	b.filling++
	b.started = true
	if n := len(m.free); n > 0 {
		c := m.free[n-1]
		m.free[n-1] = nil
		m.free = m.free[:n-1]
		return c
	}
	return new(chunk)
}

func (m *memory) takeBack(b *borrower, chunks []*chunk, filling bool) {
	m.lent -= len(chunks)
	if filling {
		b.filling -= len(chunks)
	}
	for _, c := range chunks {
		if len(m.free) < keepFree {
			m.free = append(m.free, c)
		}
	}
}

// settle grants what can be granted. Called with the lock held.
func (m *memory) settle() {
	for len(m.waiting) > 0 {
		if m.lent >= m.limit {
			if m.sending > 0 || m.overdrawn != nil {
				return
			}
			m.overdrawn = m.waiting[m.next()].borrower
		}
		i := m.next()
		w := m.waiting[i]
		m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
		w.granted <- m.lend(w.borrower)
	}
}

// next returns the index of the waiter to serve: the overdrawn one, then the
// oldest that has nothing yet, then the one with most of its part filled.
func (m *memory) next() int {
	best := 0
	for i, w := range m.waiting {
		if w.borrower == m.overdrawn {
			return i
		}
		if m.waiting[best].borrower.rank() < w.borrower.rank() {
			best = i
		}
	}
	return best
}

func (b *borrower) rank() int {
	if !b.started {
		return int(^uint(0) >> 1)
	}
	return b.filling
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
