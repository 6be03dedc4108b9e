package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sender is a client of size bytes that sends as many of them as it says, at a rate
// in bytes a second (0: at once), and then falls silent.
type sender struct {
	size, sends, rate int64
	interrupted       context.Context
	interrupt         context.CancelFunc
}

func (s *sender) Read(p []byte) (int, error) {
	n := min(int64(len(p)), s.sends)
	if n == 0 && s.size == 0 {
		return 0, io.EOF
	}
	if n == 0 {
		<-s.interrupted.Done()
		return 0, os.ErrDeadlineExceeded
	}
	if s.rate > 0 {
		n = min(n, chunkSize/4)
		select {
		case <-time.After(time.Duration(n) * time.Second / time.Duration(s.rate)):
		case <-s.interrupted.Done():
			return 0, os.ErrDeadlineExceeded
		}
	}
	s.sends -= n
	s.size -= n
	return int(n), nil
}

// store is a storage of which each part takes some time.
type fakeStore struct {
	memory *memory
	slots  chan struct{}
}

func newFakeStore(m *memory) *fakeStore { return &fakeStore{m, make(chan struct{}, 4)} }

// send takes a part that is filled.
func (s *fakeStore) send(b *borrower, p *rope) (sent func()) {
	chunks := p.chunks
	p.chunks = nil
	b.send(chunks)
	return func() {
		s.slots <- struct{}{}
		time.Sleep(20 * time.Millisecond)
		<-s.slots
		b.sent(chunks)
	}
}

// save takes the memory in the steps of an upload: see upload.run and multipart.stream.
func (s *fakeStore) save(ctx context.Context, from *sender) error {
	const size = 5 * MiB
	from.interrupted, from.interrupt = context.WithCancel(ctx)
	defer from.interrupt()
	b := s.memory.borrower()
	b.interrupt = from.interrupt
	b.most, b.part = int(ceilDiv(from.size, chunkSize)), int(size/chunkSize)
	var moving sync.WaitGroup
	defer moving.Wait()
	part := &rope{}
	defer func() { b.drop(part.chunks) }()
	err := part.fill(ctx, b, from, SniffLen)
	for err == nil {
		if err = part.fill(ctx, b, from, size); err == nil {
			next := &rope{}
			err = next.fill(ctx, b, from, 1)
			moving.Go(s.send(b, part))
			part = next
		}
	}
	if err == io.EOF {
		moving.Go(s.send(b, part))
		return nil
	}
	return err
}

// stalled begins uploads that send so many bytes of 16 MiB and fall silent; stop ends them.
func (s *fakeStore) stalled(t *testing.T, uploads int, sent int64) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range uploads {
		all.Go(func() { _ = s.save(ctx, &sender{size: 16 * MiB, sends: sent}) })
	}
	return func() {
		cancel()
		all.Wait()
		wantIdle(t, s.memory)
	}
}

// In bubbles of synctest time passes when everybody waits, so that it is exact.
func TestU11WhateverStalledUploadsHaveSentNewOnesAreServedInTime(t *testing.T) {
	t.Parallel()
	for _, sent := range []int64{0, 1 << 10, 64 << 10, 100 << 10, MiB, 5*MiB + 1} {
		t.Run(fmt.Sprintf("%d bytes", sent), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newFakeStore(newMemory(defaultMemory, defaultMemoryWait))
				defer s.stalled(t, 2000, sent)()
				s.newOnes(t, 10*time.Second, 0, 2500*time.Millisecond, 4*time.Second)
			})
		})
	}
}

// On a busy machine, or by a slow network, what stalled uploads have sent arrives slowly.
// Until it all has, nobody can tell them from others, and new ones wait, but none is refused.
func TestU11NewUploadsAreServedWhereWhatStalledOnesSentArrivesSlowly(t *testing.T) {
	t.Parallel()
	for _, sent := range []int64{256 << 10, 512 << 10, MiB, 2 * MiB} {
		for _, rate := range []int64{32 << 10, 64 << 10, 128 << 10, 256 << 10} {
			t.Run(fmt.Sprintf("%d bytes, %d a second", sent, rate), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newFakeStore(newMemory(defaultMemory, 2*time.Minute))
					ctx, cancel := context.WithCancel(t.Context())
					var stalled sync.WaitGroup
					random := rand.New(rand.NewPCG(uint64(sent), uint64(rate)))
					for range 2000 {
						time.Sleep(time.Duration(random.Int64N(int64(8 * time.Millisecond))))
						stalled.Go(func() { _ = s.save(ctx, &sender{size: 16 * MiB, sends: sent, rate: rate}) })
					}
					s.newOnes(t, 3*slowChunk+time.Duration(sent/rate)*time.Second, time.Second, time.Second, time.Second, time.Second)
					cancel()
					stalled.Wait()
					wantIdle(t, s.memory)
				})
			})
		}
	}
}

// newOnes makes uploads of three sizes after each pause, and waits for them. They have to
// be stored within a time.
func (s *fakeStore) newOnes(t *testing.T, within time.Duration, pauses ...time.Duration) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for _, pause := range pauses {
		time.Sleep(pause)
		synctest.Wait()
		for _, size := range []int64{10, 100 << 10, 6 * MiB} {
			all.Go(func() {
				start := time.Now()
				err := s.save(t.Context(), &sender{size: size, sends: size})
				if took := time.Since(start); err != nil || took > within {
					t.Errorf("an upload of %d bytes took %s: %v", size, took, err)
				} else {
					t.Logf("an upload of %d bytes took %s", size, took)
				}
			})
		}
	}
}

// each makes uploads of a size, all at once, at a rate, and returns how many were stored.
func (s *fakeStore) each(t *testing.T, uploads int, size, rate int64) (stored int) {
	t.Helper()
	var all sync.WaitGroup
	var count atomic.Int64
	for range uploads {
		all.Go(func() {
			if s.save(t.Context(), &sender{size: size, sends: size, rate: rate}) == nil {
				count.Add(1)
			}
		})
	}
	all.Wait()
	return int(count.Load())
}

// Uploads that fill their parts one beside the other are all stored, where parts that are
// half filled without an end in sight would stand in each other's way.
func TestUploadsOfOrdinaryLinesAreStored(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ uploads, rate int }{{15, 192 << 10}, {15, 256 << 10}, {25, 512 << 10}, {25, 1 << 20}, {35, 1 << 20}, {100, 16 << 20}} {
		t.Run(fmt.Sprintf("%d at %d bytes a second", c.uploads, c.rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newFakeStore(newMemory(defaultMemory, defaultMemoryWait))
				if n := s.each(t, c.uploads, 11*MiB, int64(c.rate)); n < c.uploads {
					t.Errorf("%d of %d uploads were stored", n, c.uploads)
				}
				wantIdle(t, s.memory)
			})
		})
	}
}

// Large files find their turn beside small ones that never cease, in a small memory too,
// and where clients that fell silent have what can be promised.
func TestLargeFilesAreStoredBesideSmallOnes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		memory, size   int64
		small, stalled int
	}{
		{64 * MiB, 400 << 10, 200, 0},
		{64 * MiB, 50 << 10, 1500, 0},
		{64 * MiB, 200 << 10, 4, 9},
		{8 * MiB, 400 << 10, 8, 0},
	} {
		t.Run(fmt.Sprintf("%d of %d bytes, %d stalled, memory %d", c.small, c.size, c.stalled, c.memory), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newFakeStore(newMemory(c.memory, defaultMemoryWait))
				stop := s.stalled(t, c.stalled, 100<<10)
				ctx, cancel := context.WithCancel(t.Context())
				var small sync.WaitGroup
				for range c.small {
					small.Go(func() {
						for ctx.Err() == nil {
							if err := s.save(t.Context(), &sender{size: c.size, sends: c.size}); err != nil {
								t.Errorf("a small file: %v", err)
							}
						}
					})
				}
				time.Sleep(10 * time.Second)
				if n := s.each(t, 4, 16*MiB, 0); n < 4 {
					t.Errorf("%d of 4 large files were stored", n)
				}
				cancel()
				small.Wait()
				stop()
			})
		})
	}
}

// However long storage takes, however long files are kept between their end and their
// sending, and however large their parts are, no more is lent than the limit and one part.
func TestTheLimitHoldsWhateverStorageDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		uploads       int
		size, part    int64
		before, while time.Duration
	}{
		{"small files, slow storage", 2000, 1, 5 * MiB, 0, 10 * time.Second},
		{"files that are looked at one by one", 100, 4 * MiB, 5 * MiB, 200 * time.Millisecond, 20 * time.Millisecond},
		{"parts that are larger than what can be promised", 20, 16 * MiB, 16 * MiB, 0, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemory(8*MiB, 0)
				most, each := chunksOf(c.size, c.part)
				var highest atomic.Int64
				looking := make(chan struct{}, 1)
				var all sync.WaitGroup
				for range c.uploads {
					all.Go(func() {
						b, p := m.borrower(), &rope{}
						b.most, b.part = most, each
						if err := p.fill(t.Context(), b, &sender{size: c.size, sends: c.size}, c.part); err != nil && err != io.EOF {
							t.Error(err)
						}
						lent, _ := m.snapshot()
						for old := highest.Load(); int64(lent) > old; old = highest.Load() {
							highest.CompareAndSwap(old, int64(lent))
						}
						if c.before > 0 {
							looking <- struct{}{}
							time.Sleep(c.before)
							<-looking
						}
						b.send(p.chunks)
						time.Sleep(c.while)
						b.sent(p.chunks)
					})
				}
				all.Wait()
				if n, limit := highest.Load(), m.limit+int(ceilDiv(min(c.size, c.part), chunkSize)); n > int64(limit) {
					t.Errorf("%d chunks were lent, want %d at most", n, limit)
				}
				wantIdle(t, m)
			})
		})
	}
}

func TestU11UploadsUnderWayAreNotRefusedForNewOnes(t *testing.T) {
	t.Parallel()
	for _, sent := range []int64{1 << 10, 100 << 10, MiB, 5*MiB + 1} {
		for _, rate := range []int64{256 << 10, 2 * MiB} {
			t.Run(fmt.Sprintf("%d bytes, %d a second", sent, rate), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newFakeStore(newMemory(defaultMemory, defaultMemoryWait))
					var underWay sync.WaitGroup
					underWay.Go(func() {
						if n := s.each(t, 8, 60*MiB, rate); n < 8 {
							t.Errorf("%d of 8 uploads were stored", n)
						}
					})
					time.Sleep(7 * time.Second)
					defer s.stalled(t, 2000, sent)()
					underWay.Wait()
				})
			})
		}
	}
}

// Clients that send just fast enough not to be interrupted, and come again when they are
// refused, take turns with others for large files, and small ones do not meet them.
func TestU11ClientsThatDripDoNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		clients int
		sizes   []int64
	}{
		{10, []int64{10, 60 << 10, 100 << 10, 300 << 10, 6 * MiB}},
		{300, []int64{10, 60 << 10, 100 << 10, 300 << 10}},
	} {
		t.Run(fmt.Sprint(c.clients), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newFakeStore(newMemory(defaultMemory, defaultMemoryWait))
				ctx, cancel := context.WithCancel(t.Context())
				var dripping sync.WaitGroup
				for range c.clients {
					time.Sleep(time.Minute / time.Duration(c.clients))
					dripping.Go(func() {
						for ctx.Err() == nil {
							_ = s.save(ctx, &sender{size: 16 * MiB, sends: 16 * MiB, rate: 18 << 10})
						}
					})
				}
				time.Sleep(time.Minute)
				for _, size := range c.sizes {
					stored := 0
					for range 60 {
						time.Sleep(time.Second)
						stored += s.each(t, 1, size, 0)
					}
					want := 60
					if size > MiB { // a part that is about to be full is waited for
						want = 45
					}
					if stored < want {
						t.Errorf("%d of 60 files of %d bytes were stored, want %d", stored, size, want)
					} else {
						t.Logf("%d of 60 files of %d bytes were stored", stored, size)
					}
				}
				cancel()
				dripping.Wait()
				wantIdle(t, s.memory)
			})
		})
	}
}

func TestSlowUploadsGoOnWhileNobodyWaits(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]int64{"50 KiB a second": 50 << 10, "1 KiB a second": 1 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newFakeStore(newMemory(256*MiB, defaultMemoryWait))
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() {
						if err := s.save(t.Context(), &sender{size: 11 * MiB, sends: 11 * MiB, rate: rate}); err != nil {
							t.Errorf("an upload was ended: %v", err)
						}
					})
				}
				all.Wait()
				wantIdle(t, s.memory)
			})
		})
	}
}

// Whatever comes together in a small memory, no upload waits for ever: each that goes
// on sending is stored or refused, although nothing but the memory ends anyone's wait.
func TestNoUploadWaitsForEver(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(9, seed))
				s := newFakeStore(newMemory((8+random.Int64N(56))*MiB, 0))
				ctx, cancel := context.WithCancel(t.Context())
				var stalled, moving sync.WaitGroup
				var stored, refused atomic.Int64
				for range 400 {
					time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
					from := &sender{size: 1 << random.IntN(25)}
					from.sends = from.size
					switch random.IntN(4) {
					case 0: // it falls silent
						from.sends = random.Int64N(from.size)
						stalled.Go(func() { _ = s.save(ctx, from) })
						continue
					case 1:
						from.rate = 1 << (15 + random.IntN(8))
					}
					moving.Go(func() {
						switch err := s.save(ctx, from); {
						case err == nil:
							stored.Add(1)
						case errors.Is(err, ErrUnavailable):
							refused.Add(1)
						default:
							t.Errorf("an upload of %d bytes at %d a second got %v", from.size, from.rate, err)
						}
					})
				}
				start := time.Now()
				moving.Wait()
				t.Logf("the last of %d ended after %s; %d were refused", stored.Load()+refused.Load(), time.Since(start), refused.Load())
				cancel()
				stalled.Wait()
				wantIdle(t, s.memory)
			})
		})
	}
}
