package variant

import (
	"sync"
	"time"

	"github.com/filefield/filefield/core"
)

const (
	maxFailures = 1000
	failureLife = 10 * time.Minute
)

// failures remembers images that cannot be made variants of, so that asking again
// and again costs no decoding. It forgets the oldest, and all in time: a limit may
// have been raised.
type failures struct {
	mu    sync.Mutex
	known map[content]failure
}

// content is a file and what is in it.
type content struct {
	bucket, etag string
	key          core.Key
}

type failure struct {
	err   error
	until time.Time
}

func contentOf(o core.Object) content { return content{o.Bucket, o.ETag, o.Key} }

// of returns why variants of an object could not be made, or nil.
func (f *failures) of(o core.Object) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.known[contentOf(o)]
	if !ok || time.Now().After(known.until) {
		return nil
	}
	return known.err
}

func (f *failures) note(o core.Object, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = map[content]failure{}
	}
	if len(f.known) >= maxFailures {
		f.forget()
	}
	f.known[contentOf(o)] = failure{err, time.Now().Add(failureLife)}
}

// forget makes room for one. Called with the lock held.
func (f *failures) forget() {
	var oldest content
	for c, known := range f.known {
		if o, ok := f.known[oldest]; !ok || known.until.Before(o.until) {
			oldest = c
		}
	}
	delete(f.known, oldest)
}
