package nethttp

import (
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/filefield/filefield/core"
)

// leastPerIdle is what a client has to send within Limits.Idle. A client that
// sends a byte now and then makes no progress either, and holds memory that
// others wait for.
const leastPerIdle = 16 * core.KiB

// patientBody is a request's body within bounds of bytes and time. The time is
// that for the next 16 KiB, so that an upload over a slow line goes on as long as
// it moves, and a far longer one for the whole body. Only waiting for the client
// counts, not what the server itself does between two reads.
type patientBody struct {
	body  io.ReadCloser
	conn  deadliner // or nil
	idle  time.Duration
	total time.Duration
	// Other requests share its connection's window: see HTTP2.
	shares bool

	waited time.Duration // for the bytes below
	got    int64
	all    time.Duration // waited for all bytes

	mu    sync.Mutex
	ended bool // nothing is read any more: the deadline is not ours to set
	slow  bool // it was interrupted
	late  bool // the time for a read was over
	whole bool // its end has been seen
}

// body bounds the request's body.
func (rc *Receiver) body(w http.ResponseWriter, r *http.Request, limit int64) *patientBody {
	return patient(w, r, limit, rc.limits)
}

// patient bounds a request's body to so many bytes, and to the limits' times. Who has
// read what it wants calls done.
func patient(w http.ResponseWriter, r *http.Request, size int64, l Limits) *patientBody {
	return &patientBody{
		body: http.MaxBytesReader(innermost(w), r.Body, size),
		conn: deadlinesOf(w), idle: l.Idle, total: l.Total, whole: withoutBody(r),
		shares: r.ProtoMajor >= 2,
	}
}

// deadliner is a writer whose connection can be told how long a read may take.
type deadliner interface{ SetReadDeadline(time.Time) error }

// deadlinesOf finds it under what wraps it. Not every writer has one (recorders,
// HTTP/2 streams of some servers); the caller's own time limits hold there.
func deadlinesOf(w http.ResponseWriter) deadliner {
	for w != nil {
		if d, ok := w.(deadliner); ok {
			return d
		}
		w = under(w)
	}
	return nil
}

// innermost returns the writer the server made, which MaxBytesReader tells that
// the connection must end.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		inner := under(w)
		if inner == nil {
			return w
		}
		w = inner
	}
}

// under returns the writer that w wraps, or nil: by its Unwrap, as
// http.ResponseController wants it, or, since much middleware (gzip, loggers) has
// none, by the ResponseWriter it embeds.
func under(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	v := reflect.Indirect(reflect.ValueOf(w))
	if v.Kind() != reflect.Struct {
		return nil
	}
	f := v.FieldByName("ResponseWriter")
	if !f.IsValid() || !f.CanInterface() {
		return nil
	}
	inner, _ := f.Interface().(http.ResponseWriter)
	return inner
}

func (b *patientBody) Read(p []byte) (int, error) {
	if !b.timed() {
		n, err := b.body.Read(p)
		if err == io.EOF {
			b.end(err)
		}
		return n, err
	}
	start := time.Now()
	if !b.allow(start.Add(b.patience())) {
		return 0, b.overdue(os.ErrDeadlineExceeded)
	}
	n, err := b.body.Read(p)
	waited := time.Since(start)
	b.waited += waited
	b.all += waited
	if b.got += int64(n); b.got >= leastPerIdle {
		b.waited, b.got = 0, 0
	}
	if err != nil {
		b.end(err)
		err = b.overdue(err)
	}
	return n, err
}

// overdue returns the error of a read that was interrupted, and others as they are.
func (b *patientBody) overdue(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slow && b.shares && errors.Is(err, os.ErrDeadlineExceeded) {
		return errHeldUp(err)
	}
	return err
}

// end notes how the reading ended.
func (b *patientBody) end(err error) {
	b.mu.Lock()
	b.whole = b.whole || err == io.EOF
	b.late = errors.Is(err, os.ErrDeadlineExceeded)
	b.mu.Unlock()
	b.done()
}

// mostBehind is how much net/http reads of what a handler has left of a body, before
// it answers or after; it closes the connection where there is more.
const mostBehind = 256 * core.KiB

// drain reads what stands behind the end of a form: nothing, most often, but the end
// of the body. net/http would read it too, but with as much time as it takes.
func (b *patientBody) drain() {
	if !b.whole {
		_, _ = io.CopyN(io.Discard, b, mostBehind) // the form is whole, whatever comes of this
	}
}

// allow gives the next read until then, unless the body was interrupted.
func (b *patientBody) allow(until time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.slow {
		_ = b.conn.SetReadDeadline(until)
	}
	return !b.slow
}

// interrupt ends the read under way and every later one, as if their time were
// over. It may be called while another goroutine reads.
func (b *patientBody) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || !b.timed() {
		return
	}
	b.slow = true
	_ = b.conn.SetReadDeadline(time.Now())
}

// patience is how long the next read may take.
func (b *patientBody) patience() time.Duration {
	switch {
	case b.idle <= 0:
		return b.total - b.all
	case b.total <= 0:
		return b.idle - b.waited
	default:
		return min(b.idle-b.waited, b.total-b.all)
	}
}

// timed says whether the connection's deadline is set by reading.
func (b *patientBody) timed() bool { return b.conn != nil && (b.idle > 0 || b.total > 0) }

// Close ends the reading.
func (b *patientBody) Close() error {
	b.done()
	return b.body.Close()
}

// done lifts the deadline of a body that is read to its end. Left in place, it would
// end the request's context while the handler works. What is left of any other body
// net/http reads by itself, and has no longer for it than Limits.Idle, or no more time
// at all where the client has had its time.
func (b *patientBody) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	if !b.timed() {
		return
	}
	var until time.Time
	switch {
	case b.whole:
	case b.slow || b.late:
		until = time.Now()
	case b.idle > 0:
		until = time.Now().Add(b.idle)
	default:
		until = time.Now().Add(b.total)
	}
	_ = b.conn.SetReadDeadline(until)
}
