package nethttp

import (
	"io"
	"net/http"
	"time"

	"github.com/filefield/filefield/core"
)

// leastPerIdle is what a client has to send within Limits.Idle. A client that
// sends a byte now and then makes no progress either, and holds memory that
// others wait for.
const leastPerIdle = 16 * core.KiB

// patientBody is a request's body within bounds of bytes and time. The time is
// that for the next 16 KiB, not for the whole body, so that an upload over a slow
// line goes on as long as it moves; and only waiting for the client counts, not
// what the server itself does between two reads.
type patientBody struct {
	body io.ReadCloser
	conn *http.ResponseController
	idle time.Duration

	waited time.Duration // for the bytes below
	got    int64
}

// body bounds the request's body.
func (rc *Receiver) body(w http.ResponseWriter, r *http.Request, limit int64) *patientBody {
	return &patientBody{
		body: http.MaxBytesReader(unwrapWriter(w), r.Body, limit),
		conn: http.NewResponseController(w), idle: rc.limits.Idle,
	}
}

func (b *patientBody) Read(p []byte) (int, error) {
	if b.idle <= 0 {
		return b.body.Read(p)
	}
	start := time.Now()
	// Not every writer has deadlines (recorders, HTTP/2 streams of some servers);
	// the caller's own time limits hold there.
	_ = b.conn.SetReadDeadline(start.Add(b.idle - b.waited))
	n, err := b.body.Read(p)
	b.waited += time.Since(start)
	if b.got += int64(n); b.got >= leastPerIdle {
		b.waited, b.got = 0, 0
	}
	if err != nil {
		b.done()
	}
	return n, err
}

// Close ends the reading.
func (b *patientBody) Close() error {
	b.done()
	return b.body.Close()
}

// done lifts the deadline. Left in place, it would end the request's context
// while the handler works.
func (b *patientBody) done() {
	if b.idle > 0 {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
}
