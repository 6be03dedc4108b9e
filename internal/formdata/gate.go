package formdata

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxHeaderLines is how many header lines a part may have. Three are in use;
// the limit bounds the map they are parsed into.
const maxHeaderLines = 128

// maxPadding is how much white space behind the final boundary is recognised
// where the body ends without a line break.
const maxPadding = 64

var errHeaderLimit = errors.New("the header limit is reached")

// gate stands between the body and mime/multipart, and adds what that lacks:
// a limit on what is read between two parts, and a certain knowledge of
// whether the body ended where a form may end.
//
// mime/multipart reads through a buffer of 4 KiB of its own, which it fills
// only when it needs a byte. So whatever the gate lets through while it is
// armed, except the last chunk, is boundary and header; and up to 4 KiB of them
// may already have come through with the body of the part before.
type gate struct {
	src *bufio.Reader
	// err is what every further Read returns: io.EOF where the body ended
	// with a final boundary, io.ErrUnexpectedEOF where it didn't,
	// errHeaderLimit, or an error of the body's reader.
	err error
	// foreign says that err came from the body's reader.
	foreign bool

	armed bool
	bytes int64 // may still pass while armed
	lines int   // may still pass while armed

	// tail is the end of what has passed, behind an imagined line break, so
	// that the body's first line is like any other.
	tail      []byte
	delimiter []byte // "\n--boundary"
	empty     bool   // nothing has passed
}

func newGate(src *bufio.Reader, boundary string) gate {
	delimiter := []byte("\n--" + boundary)
	tail := make([]byte, 1, len(delimiter)+len("--")+maxPadding)
	tail[0] = '\n'
	return gate{src: src, tail: tail, delimiter: delimiter, empty: true}
}

// arm limits what may pass until disarm is called: a header of size bytes, and
// the boundary line before it.
func (g *gate) arm(size int64) {
	g.armed = true
	g.bytes = size + int64(len(g.delimiter)+len("\r\r\n\r\n"))
	g.lines = maxHeaderLines + 2
}

func (g *gate) disarm() { g.armed = false }

// Read implements io.Reader.
func (g *gate) Read(p []byte) (int, error) {
	if g.err == nil && g.armed && (g.bytes <= 0 || g.lines <= 0) {
		g.err = errHeaderLimit
	}
	if g.err != nil {
		return 0, g.err
	}
	if g.armed {
		p = p[:min(int64(len(p)), g.bytes)]
	}
	n, err := g.src.Read(p)
	if n > 0 {
		g.passed(p[:n])
	}
	if err != nil {
		n += g.end(err, p[n:])
	}
	if n > 0 {
		return n, nil
	}
	return 0, g.err
}

// passed notes what went through.
func (g *gate) passed(p []byte) {
	g.empty = false
	if g.armed {
		g.bytes -= int64(len(p))
		g.lines -= bytes.Count(p, []byte{'\n'})
	}
	room := cap(g.tail)
	if len(p) >= room {
		g.tail = append(g.tail[:0], p[len(p)-room:]...)
		return
	}
	if keep := room - len(p); len(g.tail) > keep {
		n := copy(g.tail, g.tail[len(g.tail)-keep:])
		g.tail = g.tail[:n]
	}
	g.tail = append(g.tail, p...)
}

// end notes the end of the body and returns how many bytes it put into p.
//
// A body that stops right behind "--boundary" is cut off: the next byte would
// have shown whether a boundary was meant at all. mime/multipart gives it the
// benefit of the doubt and ends the part; one more byte takes the doubt away.
func (g *gate) end(err error, p []byte) int {
	switch {
	case !errors.Is(err, io.EOF):
		g.err, g.foreign = err, true
	case g.endsForm():
		g.err = io.EOF
	default:
		g.err = io.ErrUnexpectedEOF
	}
	if len(p) > 0 && bytes.HasSuffix(g.tail, g.delimiter) {
		p[0] = '-'
		return 1
	}
	return 0
}

// endsForm reports whether the body ends with a final boundary that has no line
// break behind it, or has no bytes at all. (With a line break mime/multipart
// sees the end without asking for more.)
func (g *gate) endsForm() bool {
	line, ok := bytes.CutSuffix(bytes.TrimRight(g.tail, " \t"), []byte("--"))
	return g.empty || ok && bytes.HasSuffix(line, g.delimiter)
}
