package core

import "runtime"

// arena is where the chunks of a memory come from. On Linux they lie in pages of
// their own, which the garbage collector does not count: it lets a heap grow to
// twice of what is in use, and that would be every upload's buffer twice. Pages of which nothing was ever written take no memory at all.
//
// A mapping is undone when nothing can reach the arena any more, so whoever uses a
// chunk holds on to its borrower, and through it to the memory and the arena. Its
// methods are called with the memory's lock held. The zero value is empty.
type arena struct {
	clean    []*chunk // without pages: never used, or given back to the system
	mappings *mappings
	heap     map[*chunk]struct{} // those the system would not map
}

// mapping is how many chunks are mapped at once.
const mapping = int(MiB / chunkSize)

// mappings are the arena's own, apart from it so that they can be undone after it.
type mappings struct{ pages [][]byte }

func (m *mappings) undo() {
	for _, p := range m.pages {
		_ = unmapPages(p) // nothing can be done about it
	}
}

// get returns a chunk of any content.
func (a *arena) get() *chunk {
	if len(a.clean) == 0 {
		pages, err := mapPages(mapping * chunkSize)
		if err != nil {
			return a.fromHeap()
		}
		if a.mappings == nil {
			a.mappings = &mappings{}
			runtime.AddCleanup(a, (*mappings).undo, a.mappings)
		}
		a.mappings.pages = append(a.mappings.pages, pages)
		for ; len(pages) > 0; pages = pages[chunkSize:] {
			a.clean = append(a.clean, (*chunk)(pages))
		}
	}
	last := len(a.clean) - 1
	c := a.clean[last]
	a.clean = a.clean[:last]
	return c
}

func (a *arena) fromHeap() *chunk {
	if a.heap == nil {
		a.heap = map[*chunk]struct{}{}
	}
	c := new(chunk)
	a.heap[c] = struct{}{}
	return c
}

// put gives a chunk back to the system. Its content is gone.
func (a *arena) put(c *chunk) {
	if _, ok := a.heap[c]; ok {
		delete(a.heap, c)
		return
	}
	releasePages(c[:])
	a.clean = append(a.clean, c)
}
