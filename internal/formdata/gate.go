package formdata

import (
	"bytes"
	"errors"
	"io"
)

const (
	// maxHeaderLines is how many header lines a part may have. Three are in use;
	// the limit bounds the map they are parsed into.
	maxHeaderLines = 128
	// maxPadding is how much white space behind the final boundary is recognised
	// where the body ends without a line break.
	maxPadding = 64
	// maxIdleReads is how often in a row the body may give nothing, as in bufio.
	maxIdleReads = 100
	// directFrom is the size from which the caller's memory is read into.
	directFrom = 1 << 10
)

var errHeaderLimit = errors.New("the header limit is reached")

// gate parts the body in two: what stands between the parts' contents goes
// through Read to mime/multipart, line by line, so that it never reads ahead; the
// contents themselves go through content, which reads them straight into the
// caller's memory. To mime/multipart every part looks empty.
//
// It adds what mime/multipart lacks: a limit on what is read between two parts,
// and a certain knowledge of whether the body ended where a form may end.
type gate struct {
	body io.Reader
	// buf[from:to] has been read, and is not used yet.
	buf      []byte
	from, to int
	bodyErr  error // of the body's last Read, for when the buffer is used up

	// err is what every further Read returns: io.EOF where the body ended
	// with a final boundary, io.ErrUnexpectedEOF where it didn't,
	// errHeaderLimit, or an error of the body's reader.
	err error
	// foreign says that err came from the body's reader.
	foreign bool

	bytes int64 // may still pass between two parts
	lines int   // may still pass between two parts

	// tail is the end of what has passed, behind an imagined line break, so
	// that the body's first line is like any other.
	tail      []byte
	empty     bool // nothing has passed
	begun     bool // the first boundary has passed
	boundary  string
	delimiter *delimiter

	// Of the part that is being read:
	known int  // bytes in the buffer that are its content for certain
	first bool // nothing of it was delivered
	ended bool // behind the known bytes comes the delimiter
}

type buffer [bufferSize]byte

func newGate(body io.Reader, buf []byte, boundary string) gate {
	d := newDelimiter("\r\n", boundary)
	tail := make([]byte, 1, len(d.text)+len("--")+maxPadding)
	tail[0] = '\n'
	return gate{body: body, buf: buf, tail: tail, boundary: boundary, delimiter: d, empty: true}
}

// arm limits what may pass until the next part: a header of size bytes, and the
// boundary line before it.
func (g *gate) arm(size int64) {
	g.bytes = size + int64(len(g.delimiter.dash)+len("\n\r\r\n\r\n"))
	g.lines = maxHeaderLines + 2
}

// enter says that a part's content comes next.
func (g *gate) enter() { g.known, g.first, g.ended = 0, true, false }

// Read implements io.Reader for what is between the parts: a line at most.
func (g *gate) Read(p []byte) (int, error) {
	if g.err == nil && (g.bytes <= 0 || g.lines <= 0) {
		g.err = errHeaderLimit
	}
	if g.err == nil && g.from == g.to {
		if err := g.fill(); err != nil {
			g.end(err)
		}
	}
	if g.err != nil {
		return 0, g.err
	}
	line := g.buf[g.from:g.to]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i+1]
	}
	n := copy(p[:min(int64(len(p)), g.bytes)], line)
	g.from += n
	g.passed(p[:n])
	return n, nil
}

// fill reads more of the body into the buffer, behind what is there.
func (g *gate) fill() error {
	if g.from > 0 {
		g.to = copy(g.buf, g.buf[g.from:g.to])
		g.from = 0
	}
	n, err := g.read(g.buf[g.to:])
	g.to += n
	return err
}

// read reads from the body; its error comes only with no byte.
func (g *gate) read(p []byte) (int, error) {
	for range maxIdleReads {
		if g.bodyErr != nil {
			return 0, g.bodyErr
		}
		var n int
		if n, g.bodyErr = g.body.Read(p); n > 0 {
			return n, nil
		}
	}
	return 0, io.ErrNoProgress
}

// passed notes what went through.
func (g *gate) passed(p []byte) {
	g.empty = false
	g.bytes -= int64(len(p))
	if bytes.HasSuffix(p, []byte{'\n'}) {
		g.lines--
	}
	room := cap(g.tail)
	if len(p) >= room {
		g.tail = append(g.tail[:0], p[len(p)-room:]...)
	} else {
		if keep := room - len(p); len(g.tail) > keep {
			n := copy(g.tail, g.tail[len(g.tail)-keep:])
			g.tail = g.tail[:n]
		}
		g.tail = append(g.tail, p...)
	}
	if !g.begun {
		g.begin()
	}
}

// begin sees whether the first boundary has passed, and which line breaks the form
// has: where that line ends without a carriage return, none has one.
func (g *gate) begin() {
	line, ok := bytes.CutSuffix(g.tail, []byte{'\n'})
	if !ok {
		return
	}
	start := bytes.LastIndexByte(line, '\n') + 1
	line, ok = bytes.CutPrefix(line[start:], g.delimiter.dash)
	if !ok || start == 0 { // 0: the line's beginning is not known any more
		return
	}
	switch string(bytes.TrimLeft(line, " \t")) {
	case "":
		g.begun = true
		g.delimiter = newDelimiter("\n", g.boundary)
	case "\r":
		g.begun = true
	}
}

// end notes the end of the body between two parts.
func (g *gate) end(err error) {
	switch {
	case !errors.Is(err, io.EOF):
		g.err, g.foreign = err, true
	case g.endsForm():
		g.err = io.EOF
	default:
		g.err = io.ErrUnexpectedEOF
	}
}

// endsForm reports whether the body ends with a final boundary that has no line
// break behind it, or has no bytes at all. (With a line break mime/multipart
// sees the end without asking for more.)
func (g *gate) endsForm() bool {
	line, ok := bytes.CutSuffix(bytes.TrimRight(g.tail, " \t"), []byte("--"))
	if !ok {
		return g.empty
	}
	line, ok = bytes.CutSuffix(line, g.delimiter.dash)
	return ok && bytes.HasSuffix(line, []byte{'\n'})
}

// content reads from the part that was entered. The error is io.EOF at its
// delimiter, which stays in the buffer.
func (g *gate) content(p []byte) (int, error) {
	for {
		if g.known == 0 && !g.ended && g.from < g.to {
			g.known, g.ended = g.scan(g.buf[g.from:g.to])
		}
		switch {
		case g.err != nil:
			return 0, g.err
		case g.known > 0:
			n := copy(p, g.buf[g.from:g.from+g.known])
			g.from += n
			g.known -= n
			g.first = false
			return n, nil
		case g.ended:
			return 0, io.EOF
		}
		if n, err := g.more(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// more reads on in a part, where the buffer is empty or what it has may be the
// beginning of a delimiter: straight into p where that is large enough. It may
// return 0 bytes, with more in the buffer.
func (g *gate) more(p []byte) (int, error) {
	if len(p) < directFrom {
		return 0, g.cut(g.fill())
	}
	p = p[:min(len(p), readSize)] // the buffer may have to take all of it back
	have := g.buf[g.from:g.to]
	n, err := g.read(p[copy(p, have):])
	if err != nil {
		return 0, g.cut(err)
	}
	n += len(have)
	content, ended := g.scan(p[:n])
	if n-content > len(g.buf) { // what follows the file is large itself
		g.buf = make([]byte, readSize)
	}
	g.from, g.to = 0, copy(g.buf, p[content:n])
	g.first, g.ended = g.first && content == 0, ended
	return content, nil
}

// cut notes an end of the body within a part.
func (g *gate) cut(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		g.err = io.ErrUnexpectedEOF
	default:
		g.err, g.foreign = err, true
	}
	return g.err
}

// scan tells of b, the next bytes of the part.
func (g *gate) scan(b []byte) (content int, ended bool) {
	if g.first {
		return g.delimiter.scanFirst(b)
	}
	return g.delimiter.scan(b)
}
