package sweep

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"

	"github.com/filefield/filefield/core"
)

// groupSize is how many objects share the key by which they are listed again.
const groupSize = 128

// group is a run of objects, one after the other in the listing.
type group struct {
	prefix      string // what was listed
	after, last string // its objects' keys lie behind after, up to last
	hashes      []uint64
	states      []uint32
}

// index is a listing in 21 bytes an object: keys are not kept, only their hashes,
// and of every 128th the key, from which the few that turn out to be orphans are
// listed again. The lowest bit of a hash says that its object is old enough; its
// state is a hash of what changes when it is replaced.
//
// Two keys of one hash are one object as far as references go, so that a
// collision can only ever keep an object. A variant (core.Key.VariantOf) has the hash
// of its original, and is referred to with it.
type index struct {
	seed   maphash.Seed
	groups []group
	count  int
	sorted []uint64 // the hashes without their lowest bit, once sealed
	marks  []uint64 // one bit for each of them: it is referred to
}

const oldBit = 1

func (x *index) hash(key string) uint64 { return maphash.String(x.seed, goesBy(key)) &^ oldBit }

// goesBy returns the key that rows know an object by: a variant's is its original's.
func goesBy(key string) string {
	if !strings.Contains(key, variantMark) { // which most have not
		return key
	}
	if parsed, err := core.ParseKey(key); err == nil {
		if original, ok := parsed.VariantOf(); ok {
			return original.String()
		}
	}
	return key
}

// variantMark is in the key of every variant.
const variantMark = ".filefield-variants/"

// state tells an object from one that takes its place.
func (x *index) state(o core.Object) uint32 {
	var h maphash.Hash
	h.SetSeed(x.seed)
	_, _ = h.WriteString(o.ETag)
	maphash.WriteComparable(&h, o.Modified.UnixNano())
	return uint32(h.Sum64())
}

// add takes the next object of a listing of prefix, with the key it goes by.
func (x *index) add(prefix, after, key string, o core.Object, old uint64) error {
	if len(x.groups) == 0 || x.groups[len(x.groups)-1].prefix != prefix || len(x.groups[len(x.groups)-1].hashes) == groupSize {
		if n := len(x.groups); n > 0 && x.groups[n-1].prefix == prefix {
			after = x.groups[n-1].last
		}
		x.groups = append(x.groups, group{prefix: prefix, after: after, last: after, hashes: make([]uint64, 0, groupSize), states: make([]uint32, 0, groupSize)})
	}
	g := &x.groups[len(x.groups)-1]
	if key <= g.last {
		return &core.Error{
			Kind: core.ErrUnsupported, Op: "list", Key: key,
			Err: fmt.Errorf("the storage's listing is not in the order of keys: %q came behind %q", key, g.last),
		}
	}
	g.last = key
	g.hashes = append(g.hashes, x.hash(key)|old)
	g.states = append(g.states, x.state(o))
	x.count++
	return nil
}

// seal makes the index ready for marks.
func (x *index) seal() {
	x.sorted = make([]uint64, 0, x.count)
	for _, g := range x.groups {
		for _, h := range g.hashes {
			x.sorted = append(x.sorted, h&^oldBit)
		}
	}
	slices.Sort(x.sorted)
	x.marks = make([]uint64, (x.count+63)/64)
}

// mark notes that the key is referred to, and says whether it was listed.
func (x *index) mark(key string) bool {
	i, found := slices.BinarySearch(x.sorted, x.hash(key))
	if found {
		x.marks[i/64] |= 1 << (i % 64)
	}
	return found
}

// marked says whether a hash of the listing is referred to.
func (x *index) marked(hash uint64) bool {
	i, found := slices.BinarySearch(x.sorted, hash&^oldBit)
	return found && x.marks[i/64]&(1<<(i%64)) != 0
}

// upTo says how many objects lie up to a key of the listing.
func (x *index) upTo(key string) (n int64) {
	for _, g := range x.groups {
		if g.last >= key {
			place := slices.IndexFunc(g.hashes, func(h uint64) bool { return h&^oldBit == x.hash(key) })
			return n + int64(place) + 1
		}
		n += int64(len(g.hashes))
	}
	return n
}

// wanted yields the objects that pick chooses by their hash and that are still as
// they were: it lists the groups that have any again, below at. One that is not in a
// page of a group's size is looked for in a full one. MinIO lets each drive name few
// more entries than a page has, remains of deleted objects included: where one drive
// comes to its last, what only some drives have is left out of the page, and the
// next begins behind it.
func (x *index) wanted(ctx context.Context, list lister, at string, pick func(hash uint64) bool) iter.Seq2[core.Object, error] {
	return func(yield func(core.Object, error) bool) {
		for _, g := range x.groups {
			chosen := map[uint64][]uint32{} // several where there are variants
			for i, h := range g.hashes {
				if pick(h) {
					chosen[h&^oldBit] = append(chosen[h&^oldBit], g.states[i])
				}
			}
			for _, page := range []int{groupSize, 0} {
				if len(chosen) > 0 && !x.again(ctx, list, at, g, page, chosen, yield) {
					return
				}
			}
		}
	}
}

// again lists a group again, yields what is chosen of it and takes that out of
// chosen. It says whether more is wanted.
func (x *index) again(ctx context.Context, list lister, at string, g group, page int, chosen map[uint64][]uint32, yield func(core.Object, error) bool) bool {
	for o, err := range list(ctx, core.WalkOptions{Prefix: at + g.prefix, After: join(at, g.after), Page: page}) {
		if err != nil {
			yield(core.Object{}, err)
			return false
		}
		key := strings.TrimPrefix(o.Key.String(), at)
		if key > g.last {
			break
		}
		hash := x.hash(key)
		if i := slices.Index(chosen[hash], x.state(o)); i >= 0 {
			if chosen[hash] = slices.Delete(chosen[hash], i, i+1); len(chosen[hash]) == 0 {
				delete(chosen, hash)
			}
			if !yield(o, nil) {
				return false
			}
		}
		if key == g.last {
			break // before another page is asked for
		}
	}
	return true
}

// join puts a key below a prefix; no key stays none.
func join(prefix, key string) string {
	if key == "" {
		return ""
	}
	return prefix + key
}

// lister is Bucket.WalkFrom.
type lister func(context.Context, core.WalkOptions) iter.Seq2[core.Object, error]
