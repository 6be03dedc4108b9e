package formdata

import "bytes"

// skipFrom is how long a delimiter has to be for skipping to pay: browsers' have 40
// to 60 bytes, and two in as many bytes of a file are looked at then.
const skipFrom = 16

// delimiter is what stands between two parts: a line break, two dashes and the
// boundary (RFC 2046, section 5.1.1).
type delimiter struct {
	text  []byte
	dash  []byte // text without the line break: what an empty part may begin with
	pairs pairs  // of neighbours in text
	skips [256]uint8
}

func newDelimiter(lineBreak, boundary string) *delimiter {
	d := new(delimiter)
	d.set(lineBreak, boundary)
	return d
}

// set makes d the delimiter of another form, or of one with other line breaks.
func (d *delimiter) set(lineBreak, boundary string) {
	d.text = append(append(append(d.text[:0], lineBreak...), "--"...), boundary...)
	d.dash = d.text[len(lineBreak):]
	d.pairs = pairs{}
	last := len(d.text) - 1
	for i := range d.skips {
		d.skips[i] = uint8(len(d.text)) // at most 74
	}
	for i, c := range d.text[:last] {
		d.skips[c] = uint8(last - i)
		d.pairs.add(c, d.text[i+1])
	}
}

func (d *delimiter) lineBreak() []byte { return d.text[:len(d.text)-len(d.dash)] }

// opens reports whether a line, with its line break, is that of a boundary.
func (d *delimiter) opens(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, d.dash)
	return ok && bytes.Equal(trimLeft(rest), d.lineBreak())
}

// opensBare is opens for a line whose break is a line feed alone.
func (d *delimiter) opensBare(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, d.dash)
	return ok && string(trimLeft(rest)) == "\n"
}

// closes reports whether a line is that of the final boundary, behind which nothing
// has to come.
func (d *delimiter) closes(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, d.dash)
	if ok {
		rest, ok = bytes.CutPrefix(rest, []byte("--"))
	}
	rest = trimLeft(rest)
	return ok && (len(rest) == 0 || bytes.Equal(rest, d.lineBreak()))
}

func trimLeft(b []byte) []byte { return bytes.TrimLeft(b, " \t") }

// pairs is a set of two bytes each that may have more than were added: what is hashed
// to the same bit. A delimiter's take one bit in a hundred.
type pairs [1 << 12 / 32]uint32

func (p *pairs) add(a, b byte) {
	h := pairHash(a, b)
	p[h>>5] |= 1 << (h & 31)
}

func (p *pairs) has(a, b byte) bool {
	h := pairHash(a, b)
	return p[h>>5]&(1<<(h&31)) != 0
}

// pairHash is less than 1 << 12.
func pairHash(a, b byte) uint32 { return uint32(a) ^ uint32(b)<<4 }

// index returns where text is in b, or -1. Of as many bytes as text has neighbours, it
// looks at one pair: wherever text lies over them, it is one of text's. In contrast to
// a search that moves on by what it saw, no look has to wait for the one before it.
func (d *delimiter) index(b []byte) int {
	n := len(d.text)
	if n < skipFrom {
		return bytes.Index(b, d.text)
	}
	at := n - 2
	for ; at+n <= len(b); at += n - 1 {
		if d.pairs.has(b[at], b[at+1]) {
			from := at - (n - 2)
			if i := d.horspool(b[from : at+n]); i >= 0 {
				return from + i
			}
		}
	}
	from := at - (n - 2)
	if i := d.horspool(b[from:]); i >= 0 {
		return from + i
	}
	return -1
}

// horspool is index by Horspool's search, which looks at the byte where text would end
// and moves on by what that allows.
func (d *delimiter) horspool(b []byte) int {
	last := len(d.text) - 1
	for end := last; end < len(b); {
		c := b[end]
		if c == d.text[last] && bytes.Equal(b[end-last:end], d.text[:last]) {
			return end - last
		}
		end += int(d.skips[c])
	}
	return -1
}

// scanFirst is scan for a b that begins with the part's first byte, where the
// delimiter needs no line break before it.
func (d *delimiter) scanFirst(b []byte) (content int, ended bool) {
	switch d.match(b, d.dash) {
	case matches:
		return 0, true
	case undecided:
		return 0, false
	default:
		return d.scan(b)
	}
}

// scan returns how many bytes of b, which begins with the next byte of a part, are
// the part's for certain, and whether the delimiter comes next. Where neither
// is more than 0 and true, it takes more bytes to tell.
func (d *delimiter) scan(b []byte) (content int, ended bool) {
	for at := 0; ; {
		i := d.index(b[at:])
		if i < 0 {
			// No boundary has a line break: the last one is where text may begin.
			i = bytes.LastIndexByte(b[at:], d.text[0])
			if i >= 0 && d.match(b[at+i:], d.text) == undecided {
				return at + i, false
			}
			return len(b), false
		}
		at += i
		switch d.match(b[at:], d.text) {
		case matches:
			return at, true
		case undecided:
			return at, false
		case differs:
			at += len(d.text)
		}
	}
}

// match is what is known of whether a delimiter begins somewhere.
type match int

const (
	differs match = iota
	undecided
	matches
)

// match says whether b begins with prefix and what has to follow it: white space,
// a line break, or two dashes.
func (d *delimiter) match(b, prefix []byte) match {
	if len(b) <= len(prefix) {
		if bytes.HasPrefix(prefix, b) {
			return undecided
		}
		return differs
	}
	if !bytes.HasPrefix(b, prefix) {
		return differs
	}
	switch rest := b[len(prefix):]; {
	case rest[0] == ' ', rest[0] == '\t', rest[0] == '\r', rest[0] == '\n':
		return matches
	case rest[0] != '-':
		return differs
	case len(rest) == 1:
		return undecided
	case rest[1] == '-':
		return matches
	}
	return differs
}
