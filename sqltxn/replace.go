package sqltxn

import (
	"context"
	"errors"

	"github.com/filefield/filefield/internal/modelfiles"
)

// Replace deletes the files of a row as it was that the row as it is now does not
// have: those that an update replaced or cleared, in all its fields and lists.
// With nil as after, the row is deleted. They go when the transaction of ctx
// commits. Both are structs of the app, pointers to them, or slices; only exported
// fields are looked into.
//
// A file that after names, and that is neither before's nor of this transaction, is
// looked for: ErrPrecondition where it has been removed meanwhile, so that the row
// does not come to point at nothing. Return the error, for the update to be rolled
// back. Where storage does not answer, the file passes.
//
// Read before in the same transaction and with a lock on the row (FOR UPDATE), or
// two who replace one file at the same time leave a third.
func Replace(ctx context.Context, before, after any) error {
	had, has := modelfiles.Of(before), modelfiles.Of(after)
	if err := modelfiles.MustExist(ctx, modelfiles.Without(has, had)); err != nil {
		return err
	}
	var errs []error
	for _, f := range modelfiles.Without(had, has) {
		errs = append(errs, f.Delete(ctx))
	}
	return errors.Join(errs...)
}
