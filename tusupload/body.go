package tusupload

import (
	"cmp"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// body is a request's body. It gives the client time for each of its reads, which
// another request for the upload can end, and keeps what tusd's reader, which is
// around it, does not tell: what it ended with.
type body struct {
	io.ReadCloser
	connection *http.ResponseController
	idle       time.Duration
	sum        hash.Hash // of what was read, where the client says what it should be
	want       []byte
	err        error // what it ended with, but for io.EOF

	mu      sync.Mutex
	ended   error // what ends the reads before their time
	reading bool
}

var errInterrupted = errors.New("another request goes on with the upload")

// Read is for tusd.
func (b *body) Read(p []byte) (n int, err error) {
	if err = b.await(); err == nil {
		n, err = b.ReadCloser.Read(p)
	}
	if b.sum != nil {
		b.sum.Write(p[:n]) // never fails
	}
	if ended := b.arrived(); err != nil && err != io.EOF && b.err == nil {
		b.err = cmp.Or(ended, err)
	}
	return n, err
}

// await sets the deadline of one read. What was done since the one before, such as
// sending a part, takes nothing from the client's time.
func (b *body) await() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended != nil {
		return b.ended
	}
	b.reading = true
	_ = b.connection.SetReadDeadline(time.Now().Add(b.idle)) // what has no deadlines has a way of its own
	return nil
}

func (b *body) arrived() (ended error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	return b.ended
}

// interrupt ends the reads for another request.
func (b *body) interrupt() { b.end(errInterrupted) }

// makeWay ends the reads for other uploads, as if their time were over.
func (b *body) makeWay() { b.end(os.ErrDeadlineExceeded) }

// end ends the reads. The connection's deadline is touched only during one:
// otherwise it may be another request's.
func (b *body) end(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = cmp.Or(b.ended, why)
	if b.reading {
		_ = b.connection.SetReadDeadline(time.Now()) // as above
	}
}

// leave gives the server time for what is left: the answer, and a body that was not
// read to its end.
func (b *body) leave() {
	_ = b.connection.SetReadDeadline(time.Now().Add(b.idle)) // as above
	_ = b.connection.SetWriteDeadline(time.Now().Add(b.idle))
}
