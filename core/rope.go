package core

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"sync"
)

// castagnoli is read-only after it was made; crc32 keeps one table for it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// rope is the content of one part, in borrowed chunks, with its checksum
// computed while the bytes were hot. It is filled by one goroutine and read
// through readers.
type rope struct {
	chunks []*chunk
	size   int64
	crc    uint32
}

// fill reads from r until the rope holds want bytes or r ends; io.EOF then.
func (p *rope) fill(ctx context.Context, b *borrower, r io.Reader, want int64) error {
	return p.fillOf(ctx, b, r, want, want)
}

// fillOf is fill for a rope that is to hold size bytes in the end: so many are asked
// of the memory at once.
func (p *rope) fillOf(ctx context.Context, b *borrower, r io.Reader, want, size int64) error {
	b.reads()
	defer b.rests()
	table := castagnoli()
	idle := 0
	for p.size < want {
		used := int(p.size % chunkSize)
		if used == 0 && p.size == int64(len(p.chunks))*chunkSize {
			b.lacks = int(ceilDiv(size-p.size, chunkSize))
			c, err := b.take(ctx)
			if err != nil {
				return err
			}
			p.chunks = append(p.chunks, c)
		}
		space := p.chunks[len(p.chunks)-1][used:]
		if left := want - p.size; left < int64(len(space)) {
			space = space[:left]
		}
		n, err := r.Read(space)
		if idle++; n > 0 {
			idle = 0
			p.crc = crc32.Update(p.crc, table, space[:n])
			p.size += int64(n)
		}
		if err != nil {
			if p.size < want || want == size { // else the rest of the part may come from elsewhere
				b.ends()
			}
			return err
		}
		if idle == maxIdleReads {
			return io.ErrNoProgress
		}
	}
	return nil
}

// maxIdleReads is how often in a row a reader may give nothing, as in bufio.
const maxIdleReads = 100

// ReadAt gives access by offset to what has been filled, for readers of an image's
// head. Valid until the rope's chunks are given back.
func (p *rope) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) && off >= 0 && off < p.size {
		moved := copy(b[n:], p.from(off))
		n += moved
		off += int64(moved)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// from returns what its chunk holds from off on, an offset within the rope.
func (p *rope) from(off int64) []byte {
	have := p.chunks[off/chunkSize][off%chunkSize:]
	return have[:min(int64(len(have)), p.size-off)]
}

// head returns the first bytes, up to one chunk, without copying. Valid until
// the rope's chunks are given back.
func (p *rope) head() []byte {
	if len(p.chunks) == 0 {
		return nil
	}
	return p.chunks[0][:min(p.size, chunkSize)]
}

// checksum returns the CRC32C as S3's headers carry it.
func (p *rope) checksum() string { return encodeCRC(p.crc) }

func encodeCRC(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// errReleased is what a transport gets that still reads a part after its
// request has ended.
var errReleased = errors.New("the part was given back")

// ropeReader reads a rope once, for one attempt at sending it.
//
// It is a gate as well: net/http's write loop may go on reading a body after
// the request has returned with an early error. After release no Read touches
// the chunks any more, so they can be lent to another upload. It deliberately
// is neither an io.Closer nor an io.Seeker: minio-go would close it or retry on
// it by itself.
type ropeReader struct {
	mu   sync.Mutex
	rope *rope // nil after release
	at   int64
	read func() // called after every Read that moved
	next net.Buffers
	room [atOnce][]byte
}

func (r *ropeReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rope == nil {
		return 0, errReleased
	}
	if r.at >= r.rope.size {
		return 0, io.EOF
	}
	n := copy(b, r.rope.from(r.at))
	r.at += int64(n)
	if r.read != nil {
		r.read()
	}
	return n, nil
}

// atOnce is how many chunks are given to one write: enough to make system calls
// rare, few enough that a slow connection is seen to move.
const atOnce = 4

// WriteTo implements io.WriterTo: the chunks are written as they lie. A release
// waits for the write under way, which ends with its request.
func (r *ropeReader) WriteTo(w io.Writer) (total int64, err error) {
	several, ok := w.(interface {
		WriteBuffers(buffers *net.Buffers) (int64, error)
	})
	if !ok {
		return io.Copy(w, struct{ io.Reader }{r})
	}
	for {
		n, err := r.writeSome(several.WriteBuffers)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// writeSome writes the next chunks; none are left where it writes nothing.
func (r *ropeReader) writeSome(write func(*net.Buffers) (int64, error)) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rope == nil {
		return 0, errReleased
	}
	r.next = r.room[:0]
	for at := r.at; at < r.rope.size && len(r.next) < atOnce; {
		have := r.rope.from(at)
		r.next = append(r.next, have)
		at += int64(len(have))
	}
	if len(r.next) == 0 {
		return 0, nil
	}
	n, err := write(&r.next)
	r.at += n
	if n > 0 && r.read != nil {
		r.read()
	}
	return n, err
}

// buffers returns what is to be sent, as it lies. It is not to be used after release;
// a nil reader has nothing.
func (r *ropeReader) buffers() net.Buffers {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := net.Buffers(r.room[:0])
	for r.rope != nil && r.at < r.rope.size {
		have := r.rope.from(r.at)
		all = append(all, have)
		r.at += int64(len(have))
	}
	return all
}

// sentRope is the body of a request of the Store's own.
type sentRope struct{ *ropeReader }

// Close implements io.Closer: the transport has done with it.
func (r sentRope) Close() error {
	r.release()
	return nil
}

func (r *ropeReader) release() {
	r.mu.Lock()
	r.rope = nil
	r.mu.Unlock()
}
