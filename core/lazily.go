package core

import (
	"context"
	"sync"
	"sync/atomic"
)

// lazily sees that a bucket found missing is made once, however many saves find
// it so.
type lazily struct {
	mu   sync.Mutex
	made atomic.Int64 // how often
}

// lazyBucket returns the bucket that a request is to make if it finds it
// missing, or nil: only saves do, only where that is configured, and only
// declared buckets.
func (s *Store) lazyBucket(at Error) *Bucket {
	if !s.config.CheckOnSave || (at.Op != "save" && at.Op != "start multipart upload" && at.Op != "reserve") {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buckets[at.Bucket]
}

// madeBefore returns how often the bucket of a request was made so far.
func (s *Store) madeBefore(at Error) int64 {
	if b := s.lazyBucket(at); b != nil {
		return b.ensuring.made.Load()
	}
	return 0
}

// makeMissing makes the bucket that a save found missing, and says whether it is
// there now. Others that found it missing meanwhile wait and make no request.
func (s *Store) makeMissing(ctx context.Context, at Error, before int64) bool {
	b := s.lazyBucket(at)
	if b == nil {
		return false
	}
	b.ensuring.mu.Lock()
	defer b.ensuring.mu.Unlock()
	if b.ensuring.made.Load() != before {
		return true
	}
	if err := s.reconcile(ctx, []*Bucket{b}); err != nil {
		s.warn(ctx, "a bucket that a save found missing could not be made", err)
		return false
	}
	b.ensuring.made.Add(1)
	return true
}
