package core

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// wire is a connection to storage that takes a body from the memory it lies in.
// Without it net/http copies every byte into a buffer of 32 KiB and writes that;
// with it the system reads the upload's own chunks, some at a time.
//
// net/http also writes a request's head by itself before such a body, since the
// body might be long in coming. The Store's are in memory: what expectBody has
// announced is held until the body comes, and both go out in one write.
type wire struct {
	net.Conn

	expected atomic.Bool // that the next write is followed by another at once
	held     []byte      // its bytes; writes follow each other
	all      net.Buffers // of one write
	room     [1 + atOnce][]byte
}

// maxHeld is the longest head that is held.
const maxHeld = 8 << 10

// memoryBody follows one request with a body that lies in memory.
type memoryBody struct {
	trace httptrace.ClientTrace
	wire  *wire // that it goes out by, or nil
}

// expectBody returns a context for such a request. What is written of it is only
// held between its head and its body, so that whatever ends it before has held
// nothing.
func expectBody(ctx context.Context) context.Context {
	b := &memoryBody{}
	b.trace.GotConn, b.trace.WroteHeaders = b.gotConn, b.wroteHeaders
	return httptrace.WithClientTrace(ctx, &b.trace)
}

// gotConn is called before anything is written, and again where the request goes
// out by another connection: the first one's writes have ended by then.
func (b *memoryBody) gotConn(got httptrace.GotConnInfo) {
	conn := got.Conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	b.wire, _ = conn.(*wire)
}

// wroteHeaders is called when the head is ready, just before it is written out.
func (b *memoryBody) wroteHeaders() {
	if b.wire != nil {
		b.wire.expected.Store(true)
	}
}

// Write implements io.Writer.
func (w *wire) Write(p []byte) (int, error) {
	if w.expected.Load() && w.expected.Swap(false) && len(p) <= maxHeld {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	if len(w.held) == 0 {
		return w.Conn.Write(p)
	}
	n, err := w.writeBuffers(&net.Buffers{p})
	return int(n), err
}

// writeBuffers writes what is held and the buffers, and counts the latter alone.
func (w *wire) writeBuffers(buffers *net.Buffers) (int64, error) {
	if len(w.held) == 0 {
		return buffers.WriteTo(w.Conn)
	}
	w.all = append(append(w.room[:0], w.held), *buffers...)
	held := int64(len(w.held))
	w.held = w.held[:0]
	n, err := w.all.WriteTo(w.Conn)
	return max(n-held, 0), err
}

// dialWire dials as dial does.
func dialWire(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &wire{Conn: conn}, nil
	}
}

// ReadFrom implements io.ReaderFrom, by which net/http's Transport sends a body
// whose length is known, without TLS.
func (w *wire) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if ok {
		if body, ok := limited.R.(io.WriterTo); ok {
			n, err := body.WriteTo(&bounded{w, limited.N})
			limited.N -= n
			return n, err
		}
	}
	if from, ok := w.Conn.(io.ReaderFrom); ok && len(w.held) == 0 {
		return from.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w}, r)
}

// errOverlong is a body's that has more bytes than its request announced.
var errOverlong = errors.New("the body is longer than announced")

// bounded is a connection on which left bytes may be written.
type bounded struct {
	*wire
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
	n, err := b.writeBuffers(buffers)
	b.left -= n
	return n, err
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	n, err := b.WriteBuffers(&net.Buffers{p})
	return int(n), err
}
