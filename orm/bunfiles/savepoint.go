package bunfiles

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/uptrace/bun"

	"github.com/filefield/filefield/core"
)

// running is the transaction of a Run, with bun's own savepoints in it
// (tx.RunInTx, tx.BeginTx): they reach the hook as statements. Safe for concurrent
// use.
type running struct {
	tx bun.Tx

	mu     sync.Mutex
	levels []level
}

// level is a savepoint, with the files that go if it is not undone.
type level struct {
	name string
	ctx  context.Context
	txn  *core.Txn
}

func runningIn(ctx context.Context) *running {
	r, _ := ctx.Value(txKey{}).(*running)
	return r
}

// deleting returns the context under which a statement's files are deleted.
func (r *running) deleting(ctx context.Context) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.levels) == 0 {
		return ctx
	}
	return r.levels[len(r.levels)-1].ctx
}

// follow follows savepoints.
func (r *running) follow(ctx context.Context, query string) error {
	words := strings.Fields(query[:min(len(query), 200)])
	name := ""
	if len(words) > 1 {
		name = words[len(words)-1]
	}
	switch {
	case len(words) == 2 && words[0] == "SAVEPOINT":
		inner, txn := core.Begin(r.deleting(ctx))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.levels = append(r.levels, level{name, inner, txn})
		return nil
	case len(words) == 3 && words[0] == "RELEASE":
		return r.leave(name, func(l level) error { return l.txn.Commit(context.WithoutCancel(l.ctx)) })
	case len(words) == 4 && words[0] == "ROLLBACK" && words[1] == "TO":
		return r.leave(name, func(l level) error { return l.txn.Rollback(context.WithoutCancel(l.ctx)) })
	}
	return nil
}

// leave ends the level of a name, and those in it.
func (r *running) leave(name string, end func(level) error) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.levels) - 1; i >= 0; i-- {
		if r.levels[i].name != name {
			continue
		}
		for j := len(r.levels) - 1; j >= i; j-- {
			err = errors.Join(err, end(r.levels[j]))
		}
		r.levels = r.levels[:i]
		return err
	}
	return nil
}

// finish hands on what open levels are to delete, as the database commits them too.
func (r *running) finish() error {
	r.mu.Lock()
	first := ""
	if len(r.levels) > 0 {
		first = r.levels[0].name
	}
	r.mu.Unlock()
	return r.leave(first, func(l level) error { return l.txn.Commit(context.WithoutCancel(l.ctx)) })
}
