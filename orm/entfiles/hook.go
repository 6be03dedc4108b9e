package entfiles

import (
	"context"

	"entgo.io/ent"

	"github.com/filefield/filefield/sqltxn"
)

// Mutation is what Hook wants of a generated mutation.
type Mutation[ID any] interface {
	ent.Mutation
	// IDs returns the ids of the rows that the mutation is about.
	IDs(ctx context.Context) ([]ID, error)
}

// Hook returns a hook that removes the files of rows which an update replaced or
// cleared, and those of deleted rows, once the mutation has succeeded: when the
// transaction ctx carries commits, or at once where there is none. rows returns
// the rows of these ids, those of them that exist; it is called before and after
// the mutation, should lock them (ForUpdate, with ent's feature sql/lock; not in
// SQLite), and has to find soft-deleted ones, if their files are to stay.
func Hook[M Mutation[ID], ID any](rows func(ctx context.Context, m M, ids []ID) (any, error)) ent.Hook {
	return func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			mutation, ok := m.(M)
			if !ok || m.Op().Is(ent.OpCreate) {
				return next.Mutate(ctx, m)
			}
			ids, err := mutation.IDs(ctx)
			if err != nil || len(ids) == 0 {
				return mutateWithout(ctx, next, m, err)
			}
			before, err := rows(ctx, mutation, ids)
			if err != nil {
				return nil, err
			}
			value, err := next.Mutate(ctx, m)
			if err != nil {
				return value, err
			}
			after, err := rows(ctx, mutation, ids)
			if err != nil {
				return value, err
			}
			return value, sqltxn.Replace(ctx, before, after)
		})
	}
}

// mutateWithout goes on where there are no rows to look at.
func mutateWithout(ctx context.Context, next ent.Mutator, m ent.Mutation, err error) (ent.Value, error) {
	if err != nil {
		return nil, err
	}
	return next.Mutate(ctx, m)
}
