package core

import (
	"context"
	"math"
	"sync"
	"time"
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
// Three rules keep waiting uploads from blocking each other for ever. A quarter
// of the limit is for the first chunks of uploads, so that small files pass
// whatever the large ones do. What else comes free goes to the upload with most
// of its part filled, so that parts get finished and their memory comes back.
// And if every chunk lies in half-filled parts, so that none would ever come
// free, one upload may go over the limit until its part is sent.
//
// And those who send nothing do not keep others out: see slow.go.
type memory struct {
	limit    int           // in chunks
	reserve  int           // those of them for first chunks alone
	patience time.Duration // of an upload for one part; 0 is for ever

	mu        sync.Mutex
	free      []*chunk
	lent      int
	firsts    int // of the lent ones, uploads' first chunks
	sending   int // parts on their way: their chunks will come back
	waiting   []*waiter
	overdrawn *borrower
	readers   map[*borrower]struct{} // that may be interrupted
	looked    time.Time              // for slow ones
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
	if m.overdrawn == b || (len(m.waiting) == 0 && m.room(b)) {
		c := m.lend(b)
		m.mu.Unlock()
		return c, nil
	}
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
		return
	}
	if c := <-w.granted; c != nil {
		w.borrower.filling--
		m.takeBack(w.borrower, []*chunk{c})
		m.settle()
	}
}

func errBusy() error {
	return &Error{
		Kind: ErrUnavailable, Op: "buffer upload", Detail: "too many uploads at once",
		Advice: "raise Config.Memory, or have fewer uploads at a time",
	}
}

// room says whether b may have a chunk within the limit.
func (m *memory) room(b *borrower) bool {
	if !b.started && m.firsts < m.reserve {
		return true
	}
	return m.lent < m.limit && m.lent-m.firsts < m.limit-m.reserve
}

// send marks a filled part as being sent: its chunks now count as coming back.
func (b *borrower) send(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sending++
	b.filling -= len(chunks)
	b.waited = 0
	m.release(b)
}

// sent gives back the chunks of a part that send announced.
func (b *borrower) sent(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sending--
	m.takeBack(b, chunks)
	m.settle()
}

// drop gives back the chunks of a part that was never sent.
func (b *borrower) drop(chunks []*chunk) {
	m := b.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	b.filling -= len(chunks)
	m.takeBack(b, chunks)
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
	b.since = time.Now()
	if !b.started {
		b.started, b.first = true, true
		m.firsts++
	}
	if n := len(m.free); n > 0 {
		c := m.free[n-1]
		m.free[n-1] = nil
		m.free = m.free[:n-1]
		return c
	}
	return new(chunk)
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
	for _, c := range chunks {
		if len(m.free) < keepFree {
			m.free = append(m.free, c)
		}
	}
}

// settle grants what can be granted. Called with the lock held.
func (m *memory) settle() {
	for len(m.waiting) > 0 {
		i := m.next(m.room)
		if i < 0 {
			if m.sending > 0 || m.overdrawn != nil {
				return
			}
			i = m.next(func(b *borrower) bool { return b.started })
			i = max(i, 0)
			m.overdrawn = m.waiting[i].borrower
		}
		w := m.waiting[i]
		m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
		w.granted <- m.lend(w.borrower)
	}
}

// next returns the index of the waiter to serve among those that may be, or -1:
// the overdrawn one, then the oldest that has nothing yet, then the one with
// most of its part filled.
func (m *memory) next(may func(*borrower) bool) int {
	best := -1
	for i, w := range m.waiting {
		if w.borrower == m.overdrawn {
			return i
		}
		if may(w.borrower) && (best < 0 || m.waiting[best].borrower.rank() < w.borrower.rank()) {
			best = i
		}
	}
	return best
}

func (b *borrower) rank() int {
	if !b.started {
		return math.MaxInt
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
