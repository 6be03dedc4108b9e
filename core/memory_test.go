package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// wantIdle checks that a memory has everything back.
func wantIdle(t *testing.T, m *memory) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lent != 0 || m.sending != 0 || m.overdrawn != nil || len(m.waiting) != 0 {
		t.Errorf("lent %d, sending %d, overdrawn %t, waiting %d; want none of it", m.lent, m.sending, m.overdrawn != nil, len(m.waiting))
	}
	if m.promised != 0 || m.assured != 0 || m.little != 0 {
		t.Errorf("%d chunks are promised to %d uploads, and %d count as past others, want none", m.promised, m.assured, m.little)
	}
	if m.firsts != 0 || m.heads != 0 || m.moving != 0 {
		t.Errorf("%d first chunks, %d heads, %d parts on their way; want none", m.firsts, m.heads, m.moving)
	}
	if m.arena != nil && len(m.arena.free) > 2*keepFree {
		t.Errorf("%d chunks are kept, the most is %d", len(m.arena.free), 2*keepFree)
	}
}

func (m *memory) snapshot() (lent, waiting int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lent, len(m.waiting)
}

// waitFor yields until a memory has so many waiters.
func waitFor(t *testing.T, m *memory, waiters int) {
	t.Helper()
	for {
		if _, n := m.snapshot(); n == waiters {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("the waiters never came")
		}
		runtime.Gosched()
	}
}

func TestU13AHundredUploadsShareASmallMemory(t *testing.T) {
	t.Parallel()
	const uploads, parts, partChunks = 100, 4, int(5 * MiB / chunkSize)
	m := newMemory(8*MiB, 0)
	most, lock := 0, sync.Mutex{}
	observe := func() {
		lent, _ := m.snapshot()
		lock.Lock()
		most = max(most, lent)
		lock.Unlock()
	}
	var all sync.WaitGroup
	for i := range uploads {
		all.Go(func() {
			b := m.borrower()
			var sending sync.WaitGroup
			slot := make(chan struct{}, 1)
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range parts {
				var part []*chunk
				for taken := range partChunks {
					b.lacks = partChunks - taken
					c, err := b.take(t.Context())
					if err != nil {
						t.Errorf("upload %d: %v", i, err)
						return
					}
					c[0] = byte(i)
					part = append(part, c)
					observe()
					if random.IntN(20) == 0 {
						runtime.Gosched()
					}
				}
				slot <- struct{}{}
				b.send(part)
				sending.Go(func() {
					runtime.Gosched()
					for _, c := range part {
						if c[0] != byte(i) {
							t.Errorf("a chunk of upload %d was lent to another meanwhile", i)
						}
					}
					b.sent(part)
					<-slot
				})
			}
			sending.Wait()
			b.drop(nil)
		})
	}
	all.Wait()
	if bound := m.limit + partChunks; most > bound {
		t.Errorf("%d chunks were lent at once, the limit is %d and one part more is %d", most, m.limit, bound)
	}
	wantIdle(t, m)
}

func TestUploadsThatGiveUpReturnTheirMemory(t *testing.T) {
	t.Parallel()
	m := newMemory(8*MiB, 0)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b := m.borrower()
			var part []*chunk
			defer func() { b.drop(part) }()
			for n := range 60 {
				if n == i%60 {
					go cancel()
				}
				b.lacks = 60 - n
				c, err := b.take(ctx)
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("the error is %v, want the cancellation", err)
					}
					return
				}
				part = append(part, c)
			}
		})
	}
	all.Wait()
	wantIdle(t, m)
}

// full returns a memory of n chunks that are all lent in one part being sent.
func full(t *testing.T, n int) (m *memory, finish func()) {
	t.Helper()
	m = &memory{limit: n}
	b := m.borrower()
	part := take(t, b, n)
	b.send(part)
	return m, func() { b.sent(part) }
}

// take takes n chunks for an upload that has no promise after that, as one that was slow.
func take(t *testing.T, b *borrower, n int) []*chunk {
	t.Helper()
	defer func() {
		b.memory.mu.Lock()
		defer b.memory.mu.Unlock()
		b.memory.revoke(b)
	}()
	part := make([]*chunk, n)
	for i := range part {
		var err error
		if part[i], err = b.take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return part
}

func TestAWaiterEndsWithItsContext(t *testing.T) {
	t.Parallel()
	m, finish := full(t, 4)
	why := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() { _, err := m.borrower().take(ctx); ended <- err }()
	waitFor(t, m, 1)
	cancel(why)
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("the error is %v, want the cause", err)
	}
	waitFor(t, m, 0)
	finish()
	wantIdle(t, m)
}

func TestAFirstChunkGoesBeforeAllOthers(t *testing.T) {
	t.Parallel()
	m := &memory{limit: 6}
	half, most, sender := m.borrower(), m.borrower(), m.borrower()
	halfPart, mostPart := take(t, half, 1), take(t, most, 3)
	sent := take(t, sender, 2)
	sender.send(sent[:1])
	sender.send(sent[1:])
	m.sending++ // a part is on its way all the time, so that nobody may exceed the limit

	order := make(chan string)
	want := func(name string) {
		t.Helper()
		if got := <-order; got != name {
			t.Errorf("served is %s, want %s", got, name)
		}
	}
	var extra sync.Map
	ask := func(name string, b *borrower, waiters int) {
		go func() {
			c, err := b.take(t.Context())
			if err != nil {
				t.Error(err)
			}
			extra.Store(name, c)
			order <- name
		}()
		waitFor(t, m, waiters)
	}
	fresh := m.borrower()
	ask("the half full one", half, 1)
	ask("the fullest one", most, 2)
	ask("the one that has nothing", fresh, 3)

	sender.sent(sent[:1])
	want("the one that has nothing")
	sender.sent(sent[1:])
	want("the fullest one")
	c, _ := extra.Load("the fullest one")
	most.send(append(mostPart, c.(*chunk)))
	most.sent(append(mostPart, c.(*chunk)))
	want("the half full one")

	c, _ = extra.Load("the half full one")
	half.drop(append(halfPart, c.(*chunk)))
	c, _ = extra.Load("the one that has nothing")
	fresh.drop([]*chunk{c.(*chunk)})
	m.sending--
	wantIdle(t, m)
}

func TestOneUploadExceedsTheLimitWhereNoneCouldFinish(t *testing.T) {
	t.Parallel()
	m := &memory{limit: 4}
	a, b := m.borrower(), m.borrower()
	parts := map[*borrower][]*chunk{a: take(t, a, 3), b: take(t, b, 1)}

	// Every chunk lies in a part that is being filled. The fuller one goes on.
	parts[a] = append(parts[a], take(t, a, 5)...)
	if lent, _ := m.snapshot(); lent != 9 {
		t.Errorf("%d chunks are lent, want 9: the part of 8 and the chunk of the other", lent)
	}
	done := make(chan *chunk)
	go func() { c, _ := b.take(t.Context()); done <- c }()
	waitFor(t, m, 1)
	a.send(parts[a])
	if _, n := m.snapshot(); n != 1 {
		t.Error("a second upload went over the limit while a part was being sent")
	}
	a.sent(parts[a])
	b.drop(append(parts[b], <-done))
	wantIdle(t, m)
}

func TestAnUploadThatDropsOutAllowsTheNextToExceedTheLimit(t *testing.T) {
	t.Parallel()
	m := &memory{limit: 2}
	a, b := m.borrower(), m.borrower()
	pa, pb := take(t, a, 1), take(t, b, 1)
	pa = append(pa, take(t, a, 2)...) // over the limit
	done := make(chan *chunk)
	go func() { c, _ := b.take(t.Context()); done <- c }()
	waitFor(t, m, 1)
	a.drop(pa)
	pb = append(pb, <-done)
	pb = append(pb, take(t, b, 3)...)
	b.drop(pb)
	wantIdle(t, m)
}

func TestFreeChunksAreReused(t *testing.T) {
	t.Parallel()
	m := newMemory(8*MiB, 0)
	b := m.borrower()
	part := take(t, b, 3)
	b.drop(part)
	for _, c := range take(t, b, 3) {
		if c != part[0] && c != part[1] && c != part[2] {
			t.Error("a new chunk was made though there was a free one")
		}
	}
}

func TestARopeHoldsWhatWasRead(t *testing.T) {
	t.Parallel()
	content := make([]byte, 3*chunkSize+17)
	for i := range content {
		content[i] = byte(i * 7)
	}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "with the end at once": iotest.DataErrReader,
	} {
		for _, want := range []int64{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize, int64(len(content)), 4 * chunkSize} {
			m := newMemory(8*MiB, 0)
			b := m.borrower()
			p := &rope{}
			r := wrap(bytes.NewReader(content))
			err := p.fill(t.Context(), b, r, want/2)
			if err == nil {
				err = p.fill(t.Context(), b, r, want)
			}
			has := min(want, int64(len(content)))
			if (err != nil && err != io.EOF) || p.size != has || (want > has && err != io.EOF) {
				t.Errorf("%s: filled with %d of %d: %v", name, p.size, want, err)
			}
			got, err := io.ReadAll(&ropeReader{rope: p})
			if err != nil || !bytes.Equal(got, content[:has]) {
				t.Errorf("%s: of %d bytes, %d were read back, %v", name, has, len(got), err)
			}
			if want := min(has, chunkSize); int64(len(p.head())) != want {
				t.Errorf("%s: the head has %d bytes, want %d", name, len(p.head()), want)
			}
			b.drop(p.chunks)
			wantIdle(t, m)
		}
	}
}

func TestAPartThatGoesOnKeepsItsPromiseWhenOneReaderEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, promised int }{
		"with what was wanted of it": {3 * chunkSize, 77},
		"too early":                  {2 * chunkSize, 0},
	} {
		m := newMemory(64*MiB, 0)
		b, p := m.borrower(), &rope{}
		r := iotest.DataErrReader(bytes.NewReader(make([]byte, c.content)))
		if err := p.fillOf(t.Context(), b, r, 3*chunkSize, 80*chunkSize); err != io.EOF {
			t.Errorf("%s: the error is %v, want the end", name, err)
		}
		if got := max(0, b.promised-1); got != c.promised { // one more tells whether there is more
			t.Errorf("%s: %d chunks are promised, want %d", name, got, c.promised)
		}
		b.drop(p.chunks)
		wantIdle(t, m)
	}
}

func TestAReaderThatFailsEndsTheFilling(t *testing.T) {
	t.Parallel()
	m := newMemory(8*MiB, 0)
	b := m.borrower()
	broken := errors.New("broken")
	p := &rope{}
	if err := p.fill(t.Context(), b, io.MultiReader(bytes.NewReader([]byte("abc")), iotest.ErrReader(broken)), 10); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want the reader's", err)
	}
	if string(p.head()) != "abc" {
		t.Errorf("it holds %q, want what came before", p.head())
	}
	b.drop(p.chunks)
	wantIdle(t, m)
}

func TestSmallFilesPassWhileLargeOnesHoldTheMemory(t *testing.T) {
	t.Parallel()
	m := newMemory(8*MiB, 0)
	var large []*borrower
	for m.lent-m.firsts < m.limit-m.reserve { // slow clients that never finish their parts
		b := m.borrower()
		take(t, b, 10)
		large = append(large, b)
	}
	for range m.reserve - len(large) {
		small := m.borrower()
		chunks := take(t, small, 1)
		small.send(chunks)
		small.sent(chunks)
	}
}

func TestAnUploadThatFindsNoRoomInTimeIsRefused(t *testing.T) {
	t.Parallel()
	m := &memory{limit: 2, patience: 10 * time.Millisecond}
	holder := m.borrower()
	holder.send(take(t, holder, 2)) // on its way, and never arriving
	late := m.borrower()
	if _, err := late.take(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got error %v, want ErrUnavailable", err)
	}
	if _, waiting := m.snapshot(); waiting != 0 {
		t.Errorf("%d are waiting still, want none", waiting)
	}
}

func TestWaitsForOnePartAddUp(t *testing.T) {
	t.Parallel()
	m := &memory{limit: 2, patience: time.Hour}
	holder, late := m.borrower(), m.borrower()
	holder.send(take(t, holder, 2))
	late.waited = time.Hour // in many short waits
	if _, err := late.take(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got error %v, want ErrUnavailable", err)
	}
	late.send(nil) // a part on its way is progress
	if late.waited != 0 {
		t.Errorf("a new part begins with %s waited", late.waited)
	}
}

// BenchmarkASmallFileBesideThoseThatWait is what the memory costs a small file while large
// uploads wait for some.
func BenchmarkASmallFileBesideThoseThatWait(b *testing.B) {
	for _, waiting := range []int{0, 2000, 10000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			m := newMemory(defaultMemory, 0)
			m.lent, m.sending = m.limit-m.reserve, 1 // nothing is left for them
			ctx, cancel := context.WithCancel(b.Context())
			var all sync.WaitGroup
			for range waiting {
				all.Go(func() {
					large := m.borrower()
					large.started, large.part, large.most = true, 80, 257
					if _, err := large.take(ctx); err == nil {
						b.Error("an upload does not wait")
					}
				})
			}
			for n := -1; n < waiting; _, n = m.snapshot() {
				runtime.Gosched()
			}
			for b.Loop() {
				small := m.borrower()
				small.most = 1
				c, err := small.take(ctx)
				if err != nil {
					b.Fatal(err)
				}
				small.ends()
				small.send([]*chunk{c})
				small.sent([]*chunk{c})
			}
			cancel()
			all.Wait()
		})
	}
}
