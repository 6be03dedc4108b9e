package formdata

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strings"
	"sync"

	"github.com/filefield/filefield/core"
)

const (
	// DefaultParts is the number of parts a form may have where [Limits] does
	// not say, the number Django and mime/multipart chose for fields and parts.
	DefaultParts = 1000
	// DefaultHeaderBytes is the size of a part's header where [Limits] does not
	// say. Browsers send some 200 bytes.
	DefaultHeaderBytes = 16 << 10

	// maxHeaderBytes is what mime/multipart has as its limit.
	maxHeaderBytes = 10 << 20
	// readSize is how much is asked of the body at a time, at most. net/http reads
	// from the connection past its own 4 KiB buffer when it is asked for more.
	readSize = 64 << 10
	// bufferSize is what a Reader holds: enough for what is between the files, whose
	// contents go past it into the caller's memory.
	bufferSize = 16 << 10
	// headerSize is as much of a header as is parsed without moving it.
	headerSize = 1 << 10
)

// Limits bounds what a form may consist of, apart from its contents. A zero or
// negative limit means its default.
type Limits struct {
	// Parts is how many parts a form may have, those that are skipped included.
	// Default [DefaultParts].
	Parts int
	// HeaderBytes is the size of one part's header in bytes: names, values and
	// line ends. Default [DefaultHeaderBytes], at most 10 MiB. A part has at most
	// 128 header lines in any case. The same bound holds for a preamble.
	HeaderBytes int64
}

func (l Limits) orDefault() Limits {
	if l.Parts <= 0 {
		l.Parts = DefaultParts
	}
	if l.HeaderBytes <= 0 {
		l.HeaderBytes = DefaultHeaderBytes
	}
	l.HeaderBytes = min(l.HeaderBytes, maxHeaderBytes)
	return l
}

// Parser makes Readers that share limits and buffers. The zero value has the
// default limits. Safe for concurrent use; not to be copied.
type Parser struct {
	limits  Limits
	buffers sync.Pool // of *buffer
}

// NewParser returns a Parser with limits.
func NewParser(limits Limits) *Parser { return &Parser{limits: limits} }

// Read returns a Reader of the form in body. The boundary is what [Boundary]
// returned. Nothing is read yet. The caller closes the Reader, which holds a
// buffer of 16 KiB; closing the body stays the caller's work.
func (p *Parser) Read(body io.Reader, boundary string) *Reader {
	buf, ok := p.buffers.Get().(*buffer)
	if !ok {
		buf = &buffer{header: textproto.Reader{R: bufio.NewReaderSize(nil, headerSize)}}
	}
	buf.delimiter.set("\r\n", boundary)
	return &Reader{
		parser: p,
		limits: p.limits.orDefault(),
		buffer: buf,
		gate:   gate{body: body, buf: buf.bytes[:], empty: true, boundary: boundary, delimiter: &buf.delimiter},
	}
}

// buffer is what Readers hand on to each other.
type buffer struct {
	bytes     [bufferSize]byte
	header    textproto.Reader
	delimiter delimiter
}

// Reader reads a form's parts in their order. Not safe for concurrent use.
type Reader struct {
	parser  *Parser
	limits  Limits
	buffer  *buffer // nil after Close
	gate    gate
	current *Part
	parts   int   // read so far
	err     error // what every further call returns
}

// Part is a field or a file of a form. Its content is what Read delivers. A Part
// is valid until the next call of [Reader.Next] or [Reader.Close].
type Part struct {
	// Name is the field's name: 1 to 1000 bytes without control characters.
	Name string
	// FileName is the file's name as the client gave it: it may have directories
	// and control characters, be of any length, and be empty.
	FileName string
	// IsFile says that the client sent the part as a file. A file input for which
	// nothing was chosen is a file with an empty FileName.
	IsFile bool
	// Header is the part's header, with canonical names.
	Header textproto.MIMEHeader

	reader *Reader
	err    error
}

var (
	errClosed   = errors.New("read form: the reader is closed")
	errPartPast = errors.New("read form: the part was left for the next one")
)

// Next returns the next part that is a form field, after reading what is left of
// the current one. At the form's end the error is io.EOF; a body without a byte
// and a form without a part are no errors. Other errors end the form, and are
// returned again by every further call:
//
//   - of kind [core.ErrMalformed] where the body breaks the rules the package's
//     documentation lists, wrapping io.ErrUnexpectedEOF where it was cut off;
//   - of kind [core.ErrTooMany] where there are more parts than [Limits] allows;
//   - of kind [core.ErrTooLarge] where a header is larger than it allows;
//   - without a kind, wrapping the error of the body's reader, where that failed.
//     io.ErrUnexpectedEOF, by which net/http says that the client went away, is
//     a body that was cut off.
func (r *Reader) Next() (*Part, error) {
	for {
		if err := r.leave(); err != nil {
			return nil, err
		}
		part, err := r.next()
		if err != nil {
			r.err = err
			return nil, err
		}
		r.current = part
		if part.Name != "" {
			return part, nil
		}
	}
}

// Close gives the Reader's buffer back. The Reader and its parts cannot be used
// after it; calling it again does nothing. The error is always nil.
func (r *Reader) Close() error {
	if r.buffer == nil {
		return nil
	}
	r.buffer.header.R.Reset(nil)
	r.parser.buffers.Put(r.buffer)
	r.buffer, r.gate.body, r.gate.buf, r.gate.delimiter = nil, nil, nil, nil
	r.gate.err, r.gate.foreign = errClosed, true
	r.err = errClosed
	if r.current != nil {
		r.current.err = errClosed
		r.current = nil
	}
	return nil
}

// leave reads the rest of the current part.
func (r *Reader) leave() error {
	p := r.current
	if r.err != nil || p == nil {
		return r.err
	}
	r.current = nil
	if p.err == nil {
		if _, err := io.Copy(io.Discard, p); err != nil {
			return err
		}
		p.err = errPartPast
	}
	return nil
}

// next reads up to the next part's content. A Part without a name is none of
// the form's fields.
func (r *Reader) next() (*Part, error) {
	r.gate.arm(r.limits.HeaderBytes)
	err := r.gate.next()
	if err == io.EOF {
		return nil, io.EOF
	}
	r.parts++
	if err != nil {
		return nil, r.explain(err)
	}
	if r.parts > r.limits.Parts {
		return nil, &core.Error{
			Kind:   core.ErrTooMany,
			Op:     "read form",
			Detail: fmt.Sprintf("the form has more than %d parts", r.limits.Parts),
		}
	}
	header, err := r.readHeader()
	if err != nil {
		return nil, err
	}
	r.gate.enter()
	return r.part(header)
}

// readHeader reads a part's header and what ends it.
func (r *Reader) readHeader() (textproto.MIMEHeader, error) {
	text := &r.buffer.header
	text.R.Reset(&r.gate)
	header, err := text.ReadMIMEHeader()
	if err != nil {
		return nil, r.explain(err)
	}
	if text.R.Buffered() > 0 {
		return nil, r.refuse("has a header whose end is not clear", nil)
	}
	return header, r.checkHeader(header)
}

// part makes the Part from its header.
func (r *Reader) part(header textproto.MIMEHeader) (*Part, error) {
	p := &Part{Header: header, reader: r}
	dispositions := header["Content-Disposition"]
	switch len(dispositions) {
	case 0:
		return p, nil
	case 1:
	default:
		return nil, r.refuse("has two Content-Disposition headers", nil)
	}
	d, err := readDisposition(dispositions[0])
	if err != nil {
		return nil, r.refuse("has a Content-Disposition that is not accepted: "+err.Error(), nil)
	}
	p.Name, p.FileName, p.IsFile = d.name, d.fileName, d.isFile
	if len(dispositions[0]) > longDisposition {
		p.Name, p.FileName = strings.Clone(d.name), strings.Clone(d.fileName)
	}
	return p, nil
}

// longDisposition is the length from which on a part's names must not hold on to the
// header that they were cut from: they stay for the whole request.
const longDisposition = 512

// checkHeader refuses headers that are too large or would be read differently
// by another parser.
func (r *Reader) checkHeader(header textproto.MIMEHeader) error {
	var size int64
	var lines int
	spaced := false
	for name, values := range header {
		// textproto takes "Content-Disposition :" for a name of its own.
		spaced = spaced || strings.ContainsAny(name, " \t")
		for _, value := range values {
			size += int64(len(name) + len(": ") + len(value) + len("\r\n"))
		}
		lines += len(values)
	}
	if size > r.limits.HeaderBytes || lines > maxHeaderLines {
		return r.headerTooLarge()
	}
	if spaced {
		return r.refuse("has a header name with a space in it", nil)
	}
	for _, encoding := range header["Content-Transfer-Encoding"] {
		switch strings.ToLower(trimSpace(encoding)) {
		case "7bit", "8bit", "binary":
		default:
			// RFC 7578, section 4.7, deprecates the header. Whoever decodes
			// and whoever doesn't see different files.
			return r.refuse("has a Content-Transfer-Encoding that is not accepted", nil)
		}
	}
	return nil
}

// explain gives an error of the gate or of net/textproto its kind.
func (r *Reader) explain(err error) error {
	g := &r.gate
	switch {
	case g.foreign && !errors.Is(g.err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read form: %w", g.err)
	case g.foreign:
		return malformed("the form was cut off", g.err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), g.err == io.ErrUnexpectedEOF: //nolint:errorlint // net/http's own word for a client that left
		return malformed("the form was cut off", io.ErrUnexpectedEOF)
	case errors.Is(g.err, errNoBoundary):
		return r.refuse("does not begin with the boundary", nil)
	case errors.Is(g.err, errHeaderLimit):
		return r.headerTooLarge()
	}
	return r.refuse("is malformed", err)
}

func (r *Reader) headerTooLarge() error {
	return &core.Error{
		Kind:   core.ErrTooLarge,
		Op:     "read form",
		Detail: fmt.Sprintf("the header of the form's part %d is larger than %d bytes or %d lines", r.parts, r.limits.HeaderBytes, maxHeaderLines),
	}
}

// refuse builds the error for the part being read. The cause is net/textproto's
// error; it quotes the offending line, of which the beginning says enough.
func (r *Reader) refuse(what string, cause error) error {
	const enough = 200
	if cause != nil && len(cause.Error()) > enough {
		cause = errors.New(strings.ToValidUTF8(cause.Error()[:enough], "") + "…")
	}
	return malformed(fmt.Sprintf("part %d of the form %s", r.parts, what), cause)
}

// Read reads the part's content. The error is io.EOF only where all of it was
// delivered and the delimiter behind it has arrived; otherwise the errors are
// those of [Reader.Next]. Where the body was cut off, what was delivered before
// the error may end with pieces of a delimiter: it is not to be kept.
func (p *Part) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if len(b) == 0 {
		return 0, nil
	}
	n, err := p.reader.gate.content(b)
	if err != nil && err != io.EOF {
		err = p.reader.explain(err)
		p.reader.err = err
	}
	p.err = err
	return n, err
}
