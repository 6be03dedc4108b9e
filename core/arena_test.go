package core

import (
	"testing"
	"unsafe"
)

func TestChunksOfAnArenaAreWholeAndApart(t *testing.T) {
	t.Parallel()
	a := &arena{}
	chunks := make([]*chunk, 2*mapping+1)
	for i := range chunks {
		chunks[i] = a.get()
		for j := range chunks[i] {
			chunks[i][j] = byte(i)
		}
	}
	for i, c := range chunks {
		for j := range c {
			if c[j] != byte(i) {
				t.Fatalf("chunk %d has %d at %d: another lies over it", i, c[j], j)
			}
		}
	}
	if len(a.heap) == 0 && len(a.mappings.pages) != 3 {
		t.Errorf("%d mappings hold %d chunks, want 3", len(a.mappings.pages), len(chunks))
	}
}

func TestAChunkGivenBackToTheSystemIsEmptyAndUsedAgain(t *testing.T) {
	t.Parallel()
	a := &arena{}
	c := a.get()
	c[0], c[chunkSize-1] = 'x', 'y'
	a.put(c)
	again := a.get()
	if len(a.heap) == 0 && again != c {
		t.Error("a new chunk was taken though one had come back")
	}
	if *again != (chunk{}) {
		t.Error("the chunk has its old content: its pages were not given back")
	}
}

func TestChunksComeFromTheHeapWhereNoneCanBeMapped(t *testing.T) {
	t.Parallel()
	a := &arena{}
	c, other := a.fromHeap(), a.fromHeap()
	a.put(c)
	if len(a.clean) != 0 || len(a.heap) != 1 {
		t.Errorf("it keeps %d chunks and knows %d of the heap, want none and 1: a heap's chunk goes with the garbage", len(a.clean), len(a.heap))
	}
	a.put(other)
}

func TestAMemoryGivesBackWhatABurstTook(t *testing.T) {
	t.Parallel()
	m := newMemory(64*MiB, 0)
	many, one := &borrower{memory: m}, &borrower{memory: m}
	part := take(t, many, 3*keepFree)
	kept := take(t, one, 1)
	many.drop(part)
	if want := keepFree + 1; len(m.free) != want {
		t.Errorf("%d chunks are kept for the next, want %d: those kept while idle, and as many as are lent", len(m.free), want)
	}
	for i, c := range m.free {
		if want := part[len(part)-len(m.free)+i]; c != want {
			t.Fatal("a chunk used long ago is kept in place of one used last")
		}
	}
	one.drop(kept)
	wantIdle(t, m)
}

func TestUploadsKeepTheirChunksFromOneToTheNext(t *testing.T) {
	t.Parallel()
	const uploads, partChunks = 4, int(5 * MiB / chunkSize)
	m := newMemory(64*MiB, 0)
	seen := map[uintptr]bool{}
	for range 10 {
		var parts [2 * uploads][]*chunk
		var all [uploads]*borrower
		for i := range all {
			all[i] = &borrower{memory: m}
			parts[i] = take(t, all[i], partChunks)
			all[i].send(parts[i])
			parts[uploads+i] = take(t, all[i], partChunks) // read ahead
		}
		for i, b := range all {
			b.sent(parts[i])
			b.drop(parts[uploads+i])
		}
		for _, part := range parts {
			for _, c := range part {
				seen[uintptr(unsafe.Pointer(c))] = true
			}
		}
	}
	// Each has its full part and the next one, and nothing else is made.
	if want := 2 * uploads * partChunks; len(seen) > want && m.arena.heap == nil {
		t.Errorf("ten rounds used %d chunks in all, want %d of them again and again", len(seen), want)
	}
	wantIdle(t, m)
}
