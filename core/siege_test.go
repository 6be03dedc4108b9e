package core

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
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
	b := &borrower{memory: s.memory, interrupt: from.interrupt, most: int(ceilDiv(from.size, chunkSize)), part: int(size / chunkSize)}
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
				var all sync.WaitGroup
				defer all.Wait()
				for _, pause := range []time.Duration{0, 2500 * time.Millisecond, 4 * time.Second} {
					time.Sleep(pause)
					synctest.Wait()
					for _, size := range []int64{10, 100 << 10, 6 * MiB} {
						all.Go(func() {
							start := time.Now()
							err := s.save(t.Context(), &sender{size: size, sends: size})
							if took := time.Since(start); err != nil || took > 10*time.Second {
								t.Errorf("an upload of %d bytes took %s: %v", size, took, err)
							} else {
								t.Logf("an upload of %d bytes took %s", size, took)
							}
						})
					}
				}
			})
		})
	}
}
