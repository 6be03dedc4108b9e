package core

import (
	"context"
	"errors"
	"io"
	"net"
)

// wire is a connection to storage that takes a body from the memory it lies in.
// Without it net/http copies every byte into a buffer of 32 KiB and writes that;
// with it the system reads the upload's own chunks, some at a time.
type wire struct{ net.Conn }

// dialWire dials as dial does.
func dialWire(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wire{conn}, nil
	}
}

// ReadFrom implements io.ReaderFrom, by which net/http's Transport sends a body
// whose length is known, without TLS.
func (w wire) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if ok {
		if body, ok := limited.R.(io.WriterTo); ok {
			n, err := body.WriteTo(&bounded{w.Conn, limited.N})
			limited.N -= n
			return n, err
		}
	}
	if from, ok := w.Conn.(io.ReaderFrom); ok {
		return from.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w.Conn}, r)
}

// errOverlong is a body's that has more bytes than its request announced.
var errOverlong = errors.New("the body is longer than announced")

// bounded is a connection on which left bytes may be written.
type bounded struct {
	net.Conn
	left int64
}

// WriteBuffers writes them all, with as few system calls as the system allows.
func (b *bounded) WriteBuffers(buffers *net.Buffers) (int64, error) {
	var size int64
	for _, one := range *buffers {
		size += int64(len(one))
	}
	if size > b.left {
		return 0, errOverlong
	}
	n, err := buffers.WriteTo(b.Conn)
	b.left -= n
	return n, err
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	n, err := b.WriteBuffers(&net.Buffers{p})
	return int(n), err
}
