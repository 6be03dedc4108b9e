package faults

import (
	"context"
	"sync"

	"github.com/filefield/filefield/core"
)

// register is a ledger in memory that decides who has a direct upload: the faults
// are storage's, not the database's.
type register struct {
	mu      sync.Mutex
	claims  map[core.Key]string
	pending map[core.Key]bool
}

func (r *register) Claim(_ context.Context, c core.Claim) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claims[c.Key] != "" {
		return &core.Error{Kind: core.ErrPrecondition}
	}
	r.claims[c.Key] = c.ID
	return nil
}

func (r *register) Release(_ context.Context, c core.Claim) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claims[c.Key] == c.ID {
		delete(r.claims, c.Key)
	}
	return nil
}

func (r *register) Writing(_ context.Context, w core.Written) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[w.Key] = true
	return nil
}

func (r *register) Undoing(context.Context, core.Written) error { return nil }

func (r *register) Gone(_ context.Context, w core.Written) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, w.Key)
	return nil
}

// holds counts the uploads that have been taken, and the files that wait for a row.
func (r *register) holds() (claims, pending int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.claims), len(r.pending)
}

// underLedger has the cell's app have a ledger from the beginning.
func underLedger(begin func(c *cell)) func(c *cell) {
	return func(c *cell) {
		c.ledger = &register{claims: map[core.Key]string{}, pending: map[core.Key]bool{}}
		begin(c)
	}
}

// under is the context of a request to the cell's app.
func (c *cell) under(ctx context.Context) context.Context {
	if c.ledger == nil {
		return ctx
	}
	return core.WithJournal(ctx, c.ledger)
}
