package core

import (
	"runtime"
	"slices"
)

// arena is where the chunks of a memory come from. On Linux they lie in pages of
// their own, which the garbage collector does not count: it lets a heap grow to
// twice of what is in use, and that would be every upload's buffer twice. Pages of
// which nothing was ever written take no memory at all.
//
// The first few chunks lie in small pages, for small files touch little of each.
// All others lie in huge ones, where the system has them: whoever copies through
// hundreds of small pages spends a good part of the time on finding them.
//
// A mapping is undone when nothing can reach the arena any more, so whoever uses a
// chunk holds on to its borrower, and through it to the memory and the arena. Its
// methods are called with the memory's lock held. The zero value is empty.
type arena struct {
	free     []*chunk          // lent last is lent next: it is in the processor's cache
	clean    []*chunk          // without memory: never used, or given back to the system
	of       map[*chunk]*block // of all chunks that are mapped
	whole    int               // blocks that could be given back
	mappings *mappings
}

// block is pages that are given back to the system as a whole, if they can be: where
// a part of a huge page is, what is left lies in small ones, and the memory comes
// back when the system gets to it.
type block struct {
	pages []byte
	lent  int // chunks of it
	free  int // those of them that were lent before and can be lent again
}

// isWhole says that a block has memory and nothing of it is lent.
func (b *block) isWhole() bool { return b.lent == 0 && b.free > 0 }

const (
	smallBlock = int(MiB)
	hugePage   = 2 << 20 // as of x86-64, and of arm64 with pages of 4 KiB
	mapping    = 4       // huge blocks that are mapped at once
)

// mappings are the arena's own, apart from it so that they can be undone after it.
type mappings struct{ pages [][]byte }

func (m *mappings) undo() {
	for _, p := range m.pages {
		_ = unmapPages(p) // nothing can be done about it
	}
}

// get lends a chunk of any content.
func (a *arena) get() *chunk {
	if last := len(a.free) - 1; last >= 0 {
		c := a.free[last]
		a.free[last] = nil // one of the heap goes with the garbage
		a.free = a.free[:last]
		a.count(a.of[c], 1, -1)
		return c
	}
	if len(a.clean) == 0 && !a.grow() {
		return new(chunk)
	}
	last := len(a.clean) - 1
	c := a.clean[last]
	a.clean = a.clean[:last]
	a.count(a.of[c], 1, 0)
	return c
}

// count notes that of a block, nil for a chunk of the heap, so many chunks more are
// lent, and free.
func (a *arena) count(b *block, lent, free int) {
	if b == nil {
		return
	}
	if b.isWhole() {
		a.whole--
	}
	b.lent += lent
	b.free += free
	if b.isWhole() {
		a.whole++
	}
}

// grow maps more chunks, and says whether the system did.
func (a *arena) grow() bool {
	if a.mappings == nil {
		a.mappings, a.of = &mappings{}, map[*chunk]*block{}
		runtime.AddCleanup(a, (*mappings).undo, a.mappings)
	}
	size, blocks := hugePage, mapping
	if len(a.of) == 0 {
		size, blocks = smallBlock, 1
	}
	pages, usable, err := mapPages(blocks*size, size)
	if err != nil {
		return false
	}
	a.mappings.pages = append(a.mappings.pages, pages)
	for p := range slices.Chunk(usable, size) {
		b := &block{pages: p}
		for p := range slices.Chunk(p, chunkSize) {
			a.of[(*chunk)(p)] = b
		}
		a.cleaned(b)
	}
	return true
}

// cleaned enters a block's chunks among those without memory.
func (a *arena) cleaned(b *block) {
	for at := len(b.pages) - chunkSize; at >= 0; at -= chunkSize { // the first is lent first
		a.clean = append(a.clean, (*chunk)(b.pages[at:]))
	}
}

// put takes chunks back.
func (a *arena) put(chunks []*chunk) {
	for _, c := range chunks {
		a.count(a.of[c], -1, 1)
	}
	a.free = append(a.free, chunks...)
}

// trim gives the system the memory of free chunks, those first that were lent longest
// ago: of whole blocks until about keep chunks are left, and of single ones, which
// takes a huge page apart, what is above most. Their content is gone.
func (a *arena) trim(keep, most int) {
	if more := len(a.free) - keep; a.whole > 0 && more >= hugePage/chunkSize {
		a.trimBlocks(more)
	}
	more := max(0, len(a.free)-most)
	for _, c := range a.free[:more] {
		if b := a.of[c]; b != nil {
			a.count(b, 0, -1)
			releasePages(c[:])
			a.clean = append(a.clean, c)
		}
	}
	a.free = slices.Delete(a.free, 0, more)
}

// trimBlocks gives blocks back that have so many free chunks.
func (a *arena) trimBlocks(more int) {
	going := map[*block]bool{}
	for _, c := range a.free {
		if b := a.of[c]; more > 0 && b != nil && b.isWhole() && !going[b] {
			going[b] = true
			more -= b.free
		}
	}
	goes := func(c *chunk) bool { return going[a.of[c]] }
	a.free, a.clean = slices.DeleteFunc(a.free, goes), slices.DeleteFunc(a.clean, goes)
	for b := range going {
		releasePages(b.pages)
		a.count(b, 0, -b.free)
		a.cleaned(b)
	}
}
