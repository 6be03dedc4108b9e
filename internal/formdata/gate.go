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
	// maxLine is the longest line in front of a part's header, its line break
	// included, as in mime/multipart.
	maxLine = 4 << 10
	// maxIdleReads is how often in a row the body may give nothing, as in bufio.
	maxIdleReads = 100
	// directFrom is the size from which the caller's memory is read into.
	directFrom = 1 << 10
)

var (
	errHeaderLimit = errors.New("the header limit is reached")
	errNoBoundary  = errors.New("there is something else where a boundary should be")
)

// gate parts the body in three: delimiters go through boundary, headers through
// Read to net/textproto, no further than they reach, and contents through content,
// which reads them straight into the caller's memory.
type gate struct {
	body io.Reader
	// buf[from:to] has been read, and is not used yet.
	buf      []byte
	from, to int
	bodyErr  error // of the body's last Read, for when the buffer is used up

	// err is what every further read returns: io.EOF where the body ended
	// with a final boundary, io.ErrUnexpectedEOF where it didn't,
	// errHeaderLimit, errNoBoundary, or an error of the body's reader.
	err error
	// foreign says that err came from the body's reader.
	foreign bool

	// What may still pass until the next part's content:
	bytes int64
	lines int
	line  column // of the header, that Read is at

	empty     bool // nothing has passed
	begun     bool // the first boundary has passed
	boundary  string
	delimiter *delimiter

	// Of the part that is being read:
	known int  // bytes in the buffer that are its content for certain
	first bool // nothing of it was delivered
	ended bool // behind the known bytes comes the delimiter
}

// column is what a line has so far.
type column int

const (
	nothing column = iota
	carriageReturn
	something
)

// arm limits what may pass until the next part's content: a header of size bytes, and
// the boundary line before it, with the line break that belongs to that, and the empty
// line behind.
func (g *gate) arm(size int64) {
	g.bytes = size + int64(len(g.delimiter.dash)+len("\n\r\r\n\r\n"))
	g.lines = maxHeaderLines + 3
}

// enter says that a part's content comes next.
func (g *gate) enter() { g.known, g.first, g.ended = 0, true, false }

// next reads the line of the next boundary, and what the first one may have before
// it. The error is io.EOF where it was the final one, or the body has no byte.
func (g *gate) next() error {
	for broken := false; g.err == nil; {
		line, err := g.readLine()
		switch {
		case err == io.EOF:
			g.end(line)
		case err != nil:
			g.err, g.foreign = err, err != errNoBoundary //nolint:errorlint // this very one
		case !g.begun && g.delimiter.opensBare(line):
			// Where the first boundary's line has no carriage return, none has one.
			g.delimiter.set("\n", g.boundary)
			g.begun, g.line = true, nothing
			return nil
		case g.delimiter.opens(line):
			g.begun, g.line = true, nothing
			return nil
		case g.delimiter.closes(line):
			g.err = io.EOF
		case !g.begun:
		case !broken && bytes.Equal(line, g.delimiter.lineBreak()):
			broken = true // the one before a boundary is the boundary's
		default:
			g.err = errNoBoundary
		}
	}
	return g.err
}

// end notes what the body's end is, behind a line without a line break.
func (g *gate) end(line []byte) {
	if len(line) == 0 && g.empty || g.delimiter.closes(line) {
		g.err = io.EOF
	} else {
		g.err = io.ErrUnexpectedEOF
	}
}

// readLine returns the next line with its line break. At the body's end, what is left
// comes with io.EOF. Where a limit is passed, the error is errNoBoundary. The line is
// valid until the next call.
func (g *gate) readLine() ([]byte, error) {
	for searched := 0; ; {
		have := g.buf[g.from:g.to]
		end := searched + bytes.IndexByte(have[searched:], '\n') + 1
		if end > searched {
			have = have[:end]
		}
		if g.lines == 0 || len(have) > maxLine || int64(len(have)) > g.bytes {
			return nil, errNoBoundary
		}
		if end > searched {
			g.pass(len(have))
			g.lines--
			return have, nil
		}
		searched = len(have)
		if err := g.fill(); errors.Is(err, io.EOF) {
			return g.buf[g.from:g.to], io.EOF
		} else if err != nil {
			return nil, err
		}
	}
}

// pass takes bytes off the buffer and the limit.
func (g *gate) pass(n int) {
	g.from += n
	g.bytes -= int64(n)
	g.empty = g.empty && n == 0
}

// Read implements io.Reader for a part's header: whole lines as far as they have
// arrived, and nothing behind the empty one.
func (g *gate) Read(p []byte) (int, error) {
	if g.err == nil && (g.bytes <= 0 || g.lines <= 0) {
		g.err = errHeaderLimit
	}
	if g.err == nil && g.from == g.to {
		_ = g.cut(g.fill()) // it is in err
	}
	if g.err != nil {
		return 0, g.err
	}
	have := g.buf[g.from:g.to]
	n := copy(p, have[:min(int64(len(have)), g.bytes)])
	n = g.header(p[:n])
	g.pass(n)
	return n, nil
}

// header returns how many bytes of b are a header's.
func (g *gate) header(b []byte) (n int) {
	for n < len(b) && g.lines > 0 {
		line := b[n:]
		end := bytes.IndexByte(line, '\n') + 1
		if end == 0 {
			if g.line == nothing && len(line) == 1 && line[0] == '\r' {
				g.line = carriageReturn
			} else {
				g.line = something
			}
			return len(b)
		}
		n += end
		g.lines--
		empty := end == 1 && g.line <= carriageReturn || end == 2 && line[0] == '\r' && g.line == nothing
		g.line = nothing
		if empty {
			return n
		}
	}
	return n
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
