package tusupload

import (
	"context"
	"errors"

	"github.com/tus/tusd/v2/pkg/handler"
)

// locks has the locks of a Locker go by the file's key, which is no secret and one
// per upload, where tusd takes the upload's URL. A request that waits for a lock
// ends the one that has it: most often its client is gone and only the connection
// does not know yet.
type locks struct{ handler.Locker }

// NewLock is for tusd.
func (l locks) NewLock(string) (handler.Lock, error) { return &lock{locker: l.Locker}, nil }

type lock struct {
	locker handler.Locker
	held   handler.Lock
}

// Lock is for tusd, whose own way to end a request is not used: it would race with
// the request's beginning and its end.
func (l *lock) Lock(ctx context.Context, _ func()) (err error) {
	c := callFrom(ctx)
	o := c.token.Object
	if l.held, err = l.locker.NewLock(o.Bucket + "/" + o.Key.String()); err != nil {
		return c.refuse(err)
	}
	err = l.held.Lock(ctx, c.body.interrupt)
	switch {
	case errors.Is(err, handler.ErrLockTimeout): // clients try again after 423
		return handler.ErrFileLocked
	case err != nil && ctx.Err() == nil && !errors.Is(err, handler.ErrFileLocked):
		return c.refuse(err)
	}
	return err
}

// Unlock is for tusd.
func (l *lock) Unlock() error { return l.held.Unlock() }
