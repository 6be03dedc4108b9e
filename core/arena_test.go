package core

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// mapped says whether chunks of an arena are mapped here, in place of the heap's.
func mapped(a *arena) bool { return len(a.of) > 0 }

func TestChunksOfAnArenaAreWholeAndApart(t *testing.T) {
	t.Parallel()
	a := &arena{}
	chunks := make([]*chunk, smallBlock/chunkSize+mapping*hugePage/chunkSize+1)
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
	if mapped(a) && len(a.mappings.pages) != 3 {
		t.Errorf("%d mappings hold %d chunks, want 3", len(a.mappings.pages), len(chunks))
	}
	for c, b := range a.of {
		if len(b.pages) == hugePage && uintptr(unsafe.Pointer(unsafe.SliceData(b.pages)))%hugePage != 0 {
			t.Fatalf("the block of %p does not begin where a huge page can", c)
		}
	}
}

func TestABlockGivenBackToTheSystemIsEmptyAndUsedAgain(t *testing.T) {
	t.Parallel()
	a := &arena{}
	chunks := getAll(a, smallBlock/chunkSize+mapping*hugePage/chunkSize)
	for _, c := range chunks {
		c[0], c[chunkSize-1] = 'x', 'y'
	}
	a.put(chunks)
	a.trim(0, 0)
	if len(a.free) > 0 {
		t.Errorf("%d chunks are still to be lent as they are", len(a.free))
	}
	was := map[*chunk]bool{}
	for _, c := range chunks {
		was[c] = true
	}
	for _, again := range getAll(a, len(chunks)) {
		if mapped(a) && !was[again] {
			t.Error("a new chunk was taken though one had come back")
		}
		if *again != (chunk{}) {
			t.Fatal("the chunk has its old content: its pages were not given back")
		}
	}
}

func TestOfAnArenasBlocksThoseThatAreFreeGoFirst(t *testing.T) {
	t.Parallel()
	a := &arena{}
	perBlock := hugePage / chunkSize
	first := getAll(a, smallBlock/chunkSize)
	huge := getAll(a, mapping*perBlock)
	if !mapped(a) {
		a.put(append(first, huge...))
		a.trim(perBlock, perBlock)
		if len(a.free) != perBlock {
			t.Errorf("%d chunks of the heap are kept, want %d", len(a.free), perBlock)
		}
		return
	}
	held := huge[perBlock] // of the second
	a.put(huge[:perBlock])
	a.put(huge[perBlock+1:])
	a.trim(2*perBlock, 9*perBlock)
	if a.of[huge[0]].free != 0 || a.of[held].free != perBlock-1 {
		t.Errorf("the block used first keeps %d chunks and the one of which a chunk is lent %d; want 0 and %d", a.of[huge[0]].free, a.of[held].free, perBlock-1)
	}
	a.trim(0, 9*perBlock)
	if n := a.of[held].free; n != perBlock-1 {
		t.Errorf("a block of which a chunk is lent was taken apart: %d are free", n)
	}
	a.trim(0, 0)
	if len(a.free) != 0 || a.of[held].lent != 1 {
		t.Errorf("%d chunks are free, and %d of the block lent; want 0 and 1", len(a.free), a.of[held].lent)
	}
	a.put(append(first, held))
}

// TestAnArenaCountsWhatItHas has chunks come and go at random.
func TestAnArenaCountsWhatItHas(t *testing.T) {
	t.Parallel()
	a := &arena{}
	chance := rand.New(rand.NewPCG(1, 2))
	var lent []*chunk
	for range 3000 {
		if chance.IntN(2) == 0 {
			for _, c := range getAll(a, chance.IntN(100)) {
				c[0] = 1
				lent = append(lent, c)
			}
		} else {
			chance.Shuffle(len(lent), func(i, j int) { lent[i], lent[j] = lent[j], lent[i] })
			n := chance.IntN(len(lent) + 1)
			a.put(lent[n:])
			lent = lent[:n]
			keep := chance.IntN(500)
			a.trim(keep, keep+chance.IntN(100))
		}
		wantCounts(t, a, lent)
	}
}

func wantCounts(t *testing.T, a *arena, lent []*chunk) {
	t.Helper()
	where := map[*chunk]string{}
	for name, list := range map[string][]*chunk{"lent": lent, "free": a.free, "clean": a.clean} {
		for _, c := range list {
			if where[c] != "" {
				t.Fatalf("a chunk is %s and %s", where[c], name)
			}
			where[c] = name
		}
	}
	lents, frees := map[*block]int{}, map[*block]int{}
	for c, b := range a.of {
		switch where[c] {
		case "lent":
			lents[b]++
		case "free":
			frees[b]++
		case "":
			t.Fatal("a chunk is lost")
		}
	}
	whole := map[*block]bool{}
	for _, b := range a.of {
		if b.isWhole() {
			whole[b] = true
		}
		if b.lent != lents[b] || b.free != frees[b] {
			t.Fatalf("a block counts %d lent and %d free, and has %d and %d", b.lent, b.free, lents[b], frees[b])
		}
	}
	if len(whole) != a.whole {
		t.Fatalf("it counts %d whole blocks and has %d", a.whole, len(whole))
	}
}

func getAll(a *arena, n int) []*chunk {
	chunks := make([]*chunk, n)
	for i := range chunks {
		chunks[i] = a.get()
	}
	return chunks
}

func TestAMemoryGivesBackWhatABurstTook(t *testing.T) {
	t.Parallel()
	m := newMemory(64*MiB, 0)
	many, one := m.borrower(), m.borrower()
	part := take(t, many, 3*keepFree)
	kept := take(t, one, 1)
	many.drop(part)
	if n, most := len(m.arena.free), 2*keepFree+1; n > most || mapped(m.arena) && (n > keepFree+hugePage/chunkSize || n < keepFree-hugePage/chunkSize) {
		t.Errorf("%d chunks are kept for the next, want about %d", n, keepFree)
	}
	if last := m.arena.free[len(m.arena.free)-1]; last != part[len(part)-1] {
		t.Error("the chunk used last is not lent next")
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
			all[i] = m.borrower()
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
	// Each has its full part and the next one, and little else is made.
	if want := 2*uploads*partChunks + hugePage/chunkSize; len(seen) > want && mapped(m.arena) {
		t.Errorf("ten rounds used %d chunks in all, want at most %d of them again and again", len(seen), want)
	}
	wantIdle(t, m)
}
