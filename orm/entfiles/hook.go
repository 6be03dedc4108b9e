package entfiles

import (
	"context"
	"errors"
	"reflect"

	"entgo.io/ent"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/modelfiles"
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
//
// In a transaction of ent's own (Client.Tx) that no file transaction goes along
// with, the mutation is refused with ErrConfig: files would go before the commit. See
// sqltxn.Join. ErrPrecondition where a row is to get a file that does not exist any
// more, as one that was read before another request replaced its file.
func Hook[M Mutation[ID], ID any](rows func(ctx context.Context, m M, ids []ID) (any, error)) ent.Hook {
	return func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			mutation, ok := m.(M)
			if !ok {
				return next.Mutate(ctx, m)
			}
			if m.Op().Is(ent.OpCreate) {
				return mutateWithout(ctx, next, m, modelfiles.MustExist(ctx, filesOf(m)))
			}
			if err := mustBeJoined(ctx, m); err != nil {
				return nil, err
			}
			ids, err := mutation.IDs(ctx)
			if err != nil || len(ids) == 0 {
				return mutateWithout(ctx, next, m, err)
			}
			before, err := rows(ctx, mutation, ids)
			if err != nil {
				return nil, err
			}
			if err := modelfiles.MustExist(ctx, modelfiles.Without(filesOf(m), modelfiles.Of(before))); err != nil {
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

// filesOf returns the files that a mutation sets.
func filesOf(m ent.Mutation) (files []modelfiles.File) {
	for _, name := range m.Fields() {
		if value, ok := m.Field(name); ok {
			files = append(files, modelfiles.Of(value)...)
		}
	}
	return files
}

// mustBeJoined refuses a mutation whose rows could be rolled back after their files
// are gone. A generated mutation has Tx() (*Tx, error), an error outside a
// transaction; the type is the app's.
func mustBeJoined(ctx context.Context, m ent.Mutation) error {
	method := reflect.ValueOf(m).MethodByName("Tx")
	if core.TxnFrom(ctx) != nil || !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 2 {
		return nil
	}
	if err := method.Call(nil)[1]; err.IsValid() && err.Kind() == reflect.Interface && err.IsNil() {
		return &core.Error{
			Kind: core.ErrConfig, Op: "mutate " + m.Type(), Err: errors.New("this transaction does not take files along"),
			Advice: "use entfiles.Run, or sqltxn.Join with the transaction's OnCommit and OnRollback, and its context",
		}
	}
	return nil
}
