package tusupload

import (
	"context"
	"errors"
	"io"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/filefield/filefield/core"
)

// NewUpload begins an upload, for tusd.
func (t *endpoint) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	c := callFrom(ctx)
	asked, form := t.announced(c.r)
	if t.quota != nil {
		if err := t.quota(c.r, asked); err != nil {
			return nil, c.refuse(err)
		}
	}
	in := core.DirectUpload{Name: asked.Name, Type: asked.Type, Size: info.Size, Form: form}
	if info.Size > 0 { // an empty file has no parts
		in.Method = core.DirectMultipart
	}
	ticket, err := t.field.BeginDirect(ctx, in)
	if err != nil {
		return nil, c.refuse(err)
	}
	c.id = ticket.Token
	if c.token, err = t.field.DirectToken(ctx, ticket.Token); err != nil {
		return nil, c.refuse(err)
	}
	return &upload{endpoint: t, call: c, fresh: true}, nil
}

// GetUpload returns the upload of the request, for tusd.
func (t *endpoint) GetUpload(ctx context.Context, _ string) (handler.Upload, error) {
	return &upload{endpoint: t, call: callFrom(ctx)}, nil
}

// AsTerminatableUpload is for tusd.
func (t *endpoint) AsTerminatableUpload(u handler.Upload) handler.TerminatableUpload {
	one, _ := u.(*upload)
	return one
}

// refuse has err answered in place of what tusd would say.
func (c *call) refuse(err error) error {
	if core.KindOf(err) == core.ErrPrecondition { // another process has it, or had it
		err = &core.Error{Kind: core.ErrUnfinished, Op: "tus upload", Detail: "Another request is sending this file; ask for the offset.", Err: err}
	}
	c.err = err
	return err
}

var errNotBegun = errors.New("the upload was begun in another way")

// upload is one upload in the course of one request.
type upload struct {
	*endpoint
	*call
	fresh bool // this request has begun it
}

// GetInfo says how far the upload is. One that is whole is finished here too: the
// request that brought its last byte may not have come that far.
func (u *upload) GetInfo(ctx context.Context) (handler.FileInfo, error) {
	o := u.token.Object
	info := handler.FileInfo{ID: u.id, Size: o.Size, MetaData: handler.MetaData{"filename": o.Name, "filetype": o.Type}}
	if u.fresh {
		return info, nil
	}
	offset, err := u.offset(ctx)
	switch {
	case core.KindOf(err) == core.ErrUnfinished:
		return info, u.refuse(&core.Error{Kind: core.ErrNotFound, Op: "tus upload", Field: u.field.Name(), Err: err})
	case err != nil:
		return info, u.refuse(err)
	}
	info.Offset = offset
	return info, nil
}

func (u *upload) offset(ctx context.Context) (int64, error) {
	size := u.token.Object.Size
	if size > 0 {
		offset, err := u.field.DirectOffset(ctx, u.token)
		switch {
		case core.KindOf(err) == core.ErrToken:
			return 0, &core.Error{Kind: core.ErrUnfinished, Op: "tus upload", Err: errors.Join(errNotBegun, err)}
		case err != nil && core.KindOf(err) != core.ErrNotFound, err == nil && offset < size:
			return offset, err
		}
	}
	return size, u.finish(ctx)
}

func (u *upload) finish(ctx context.Context) (err error) {
	u.done, _, err = u.field.CompleteDirect(ctx, u.token, nil)
	return err
}

// WriteChunk adds a request's body to the upload.
func (u *upload) WriteChunk(ctx context.Context, offset int64, content io.Reader) (int64, error) {
	piece := core.DirectPiece{Offset: offset, Body: content, Interrupt: u.body.makeWay}
	if u.body.sum != nil {
		piece.Verify = u.body.verify
	}
	n, err := u.field.AppendDirect(ctx, u.token, piece)
	return n, u.outcome(err)
}

// outcome is what is said of a piece. tus-js-client tries again after 409, from
// where the upload stands then.
func (u *upload) outcome(err error) error {
	why := u.body.err
	var timeout interface{ Timeout() bool }
	var mismatch handler.Error
	switch {
	case errors.Is(why, errInterrupted):
		return u.refuse(&core.Error{Kind: core.ErrUnfinished, Op: "tus upload", Detail: "Another request goes on with this upload; ask for the offset.", Err: why})
	case errors.As(why, &timeout) && timeout.Timeout():
		return u.refuse(&core.Error{Kind: core.ErrUnfinished, Op: "tus upload", Detail: "No data arrived for too long; ask for the offset.", Err: why})
	case why != nil && errors.Is(err, why): // tusd knows it too
		return nil
	case err != nil && !errors.As(err, &mismatch):
		return u.refuse(err)
	}
	return err
}

// FinishUpload makes the file, when it has all its bytes, if the field takes it.
func (u *upload) FinishUpload(ctx context.Context) error {
	if u.err != nil {
		return u.err
	}
	if u.token.Object.Size == 0 {
		if _, err := u.field.AppendDirect(ctx, u.token, core.DirectPiece{}); err != nil {
			return u.refuse(err)
		}
	}
	if err := u.finish(ctx); err != nil {
		return u.refuse(err)
	}
	return nil
}

// GetReader is not offered: the handler has no GET.
func (u *upload) GetReader(context.Context) (io.ReadCloser, error) {
	return nil, handler.ErrNotImplemented
}

// Terminate ends the upload, and removes what there is of it.
func (u *upload) Terminate(ctx context.Context) error {
	if err := u.field.AbortDirect(ctx, u.token); err != nil {
		return u.refuse(err)
	}
	return nil
}
