package core

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"
)

// later is when an upload that has not moved since now is slow.
func later() time.Time { return time.Now().Add(slowChunk + lookEvery) }

// waits begins take for b, and returns when it waits; its error comes on the channel.
func waits(ctx context.Context, t *testing.T, b *borrower) <-chan error {
	t.Helper()
	m := b.memory
	count := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.waiting)
	}
	before, ended := count(), make(chan error, 1)
	go func() { _, err := b.take(ctx); ended <- err }()
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); count() == before; {
		select {
		case err := <-ended:
			t.Fatalf("the upload does not wait: it got %v", err)
		case <-deadline:
			t.Fatal("the upload does not begin to wait")
		case <-tick.C:
		}
	}
	return ended
}

// lentOut is a memory all lent out, a chunk each, to uploads that read; interrupted
// counts those whose reading was ended.
func lentOut(t *testing.T) (m *memory, holders map[*borrower][]*chunk, interrupted map[*borrower]bool) {
	t.Helper()
	m = newMemory(8*MiB, 0)
	m.sending = 1 // so that nobody goes over the limit
	holders, interrupted = map[*borrower][]*chunk{}, map[*borrower]bool{}
	for range m.limit {
		b := m.borrower()
		b.interrupt = func() { interrupted[b] = true } // with the memory's lock held
		b.reads()
		c, err := b.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		holders[b] = []*chunk{c}
	}
	return m, holders, interrupted
}

func TestASlowUploadMakesWayForOneThatWaits(t *testing.T) {
	t.Parallel()
	m, holders, interrupted := lentOut(t)
	m.makeWay(later())
	if len(interrupted) > 0 {
		t.Errorf("%d uploads were ended for nobody", len(interrupted))
	}
	m.looked = time.Time{}
	ended := waits(t.Context(), t, m.borrower())
	m.makeWay(time.Now().Add(lookEvery))
	if len(interrupted) > 0 {
		t.Errorf("%d uploads were ended that had not been slow", len(interrupted))
	}
	m.makeWay(later())
	if len(interrupted) != 1 {
		t.Fatalf("%d uploads were ended for one that waits for a chunk, want one", len(interrupted))
	}
	for b := range interrupted {
		b.rests()
		b.drop(holders[b])
	}
	if err := <-ended; err != nil {
		t.Errorf("the one that waited got %v", err)
	}
}

func TestAnUploadThatRestsIsNotEnded(t *testing.T) {
	t.Parallel()
	m, holders, interrupted := lentOut(t)
	for b := range holders {
		b.rests()
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := waits(ctx, t, m.borrower())
	m.makeWay(later())
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that gave up got %v, want the cancellation", err)
	}
	if len(interrupted) > 0 {
		t.Errorf("%d uploads were ended that did not wait for their senders", len(interrupted))
	}
}

func TestOneOfThoseThatBlockEachOtherMakesWay(t *testing.T) {
	t.Parallel()
	for name, sending := range map[string]int{"nothing is on its way": 0, "a part is on its way": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, holders, _ := lentOut(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			answers := map[*borrower]<-chan error{}
			for b := range holders {
				b.rests()
				answers[b] = waits(ctx, t, b)
			}
			fresh := waits(ctx, t, m.borrower())
			m.mu.Lock()
			m.sending = sending
			m.mu.Unlock()
			m.makeWay(later())
			m.mu.Lock()
			refused := maps.Clone(answers)
			for _, w := range m.waiting {
				delete(refused, w.borrower)
			}
			m.mu.Unlock()
			if want := 1 - sending; len(refused) != want {
				t.Fatalf("%d make way, want %d", len(refused), want)
			}
			if sending > 0 {
				return
			}
			for b, answer := range refused {
				if err := <-answer; !errors.Is(err, ErrUnavailable) {
					t.Errorf("the one that makes way got %v, want ErrUnavailable", err)
				}
				b.drop(holders[b])
			}
			if err := <-fresh; err != nil {
				t.Errorf("the one that waited for its first chunk got %v", err)
			}
		})
	}
}

func TestASlowUploadFirstLosesWhatItWasPromised(t *testing.T) {
	t.Parallel()
	m := newMemory(8*MiB, 0)
	m.sending = 1 // so that nobody goes over the limit
	holder, slow, other := m.borrower(), m.borrower(), m.borrower()
	part := take(t, holder, m.limit-m.reserve+1)
	slow.started, other.started = true, true // so that they take none of those for first chunks
	slow.lacks, slow.interrupt = 39, func() { t.Error("it was ended, though its promise sufficed") }
	slow.reads()
	begins := waits(t.Context(), t, slow)
	holder.drop(part[:41]) // for what it lacks, and one that tells whether there is more
	if err := <-begins; err != nil || slow.promised != 39 {
		t.Fatalf("it is promised %d chunks beside the one it has, want 39; %v", slow.promised, err)
	}
	goesOn := waits(t.Context(), t, other)
	m.mu.Lock()
	m.sending = 0 // so that nothing comes back by itself
	m.mu.Unlock()
	m.makeWay(later())
	if err := <-goesOn; err != nil {
		t.Errorf("the one that waited got %v", err)
	}
	if slow.promised != 0 {
		t.Errorf("it is promised %d chunks still, want none", slow.promised)
	}
}
