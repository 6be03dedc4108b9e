package fieldtype

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/filefield/filefield/core"
)

// appendDocument writes an object as a document: see docs/columns.md. What is not
// known is left out, but for size, which older readers expect.
func appendDocument(b []byte, o core.Object) []byte {
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, documentVersion, 10)
	b = appendText(b, `,"key":`, o.Key.String())
	b = appendText(b, `,"name":`, o.Name)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, o.Size, 10)
	b = appendText(b, `,"type":`, o.Type)
	b = appendText(b, `,"crc32c":`, o.CRC32C)
	b = appendNumber(b, `,"w":`, o.Width)
	b = appendNumber(b, `,"h":`, o.Height)
	b = appendNumber(b, `,"o":`, o.Orientation)
	b = appendText(b, `,"blur":`, o.Blurhash)
	return append(b, '}')
}

func appendText(b []byte, member, s string) []byte {
	if s == "" {
		return b
	}
	return appendQuoted(append(b, member...), s)
}

func appendNumber(b []byte, member string, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, member...), int64(n), 10)
}

// appendQuoted writes a JSON string as encoding/json does without HTML's escapes: a
// column is no web page.
func appendQuoted(b []byte, s string) []byte { return appendEscaped(b, s, &escapedInJSON) }

// escapes has, for each byte of ASCII, whether it is escaped.
type escapes [utf8.RuneSelf]bool

//nolint:gochecknoglobals // tables that nobody changes
var (
	escapedInJSON = escapesOf("\"\\")
	escapedInHTML = escapesOf("\"\\<>&")
)

func escapesOf(marks string) (e escapes) {
	for c := range byte(' ') {
		e[c] = true
	}
	for i := range len(marks) {
		e[marks[i]] = true
	}
	return e
}

// appendEscaped writes a JSON string. What needs no escapes, which is most of it,
// is copied in one piece.
func appendEscaped(b []byte, s string, escaped *escapes) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	copied := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && !escaped[c] {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && (r != utf8.RuneError || n > 1) && r != '\u2028' && r != '\u2029' {
			i += n
			continue
		}
		b = append(b, s[copied:i]...)
		i += n
		copied = i
		if c >= utf8.RuneSelf { // U+2028 and U+2029 end a line in older JavaScript
			b = append(b, '\\', 'u', hex[r>>12], hex[r>>8&0xF], hex[r>>4&0xF], hex[r&0xF])
			continue
		}
		if at := strings.IndexByte("\b\t\n\f\r\"\\", c); at >= 0 {
			b = append(b, '\\', `btnfr"\`[at])
			continue
		}
		b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
	}
	return append(append(b, s[copied:]...), '"')
}

// text is what a driver hands over.
type text interface{ string | []byte }

// reader reads the JSON of columns, in place: of a document it makes one piece of
// memory, with all its texts. It refuses what encoding/json lets pass: members
// that are unknown, given twice or in another case, and halves of characters,
// which it would replace and so turn one key into another.
type reader[T text] struct {
	from T
	at   int

	documents int // of a list
}

// span is a string's content in the JSON.
type span struct {
	from, to int
	escaped  bool
}

var (
	errNotJSON   = errors.New("the value is not JSON as this field writes it")
	errFollowed  = errors.New("the value's JSON is followed by more")
	errNotUTF8   = errors.New("the value is not UTF-8")
	errNegative  = errors.New("the document has negative or impossible sizes")
	errElsewhere = errors.New("the document names another bucket")
)

func (r *reader[T]) space() {
	for r.at < len(r.from) {
		switch r.from[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// takes goes past c, and spaces in front of it, if it is next.
func (r *reader[T]) takes(c byte) bool {
	r.space()
	if r.at == len(r.from) || r.from[r.at] != c {
		return false
	}
	r.at++
	return true
}

// ended tells whether nothing but spaces is left.
func (r *reader[T]) ended() error {
	if r.space(); r.at < len(r.from) {
		return errFollowed
	}
	return nil
}

func (r *reader[T]) quoted() (s span, err error) {
	if !r.takes('"') {
		return span{}, errNotJSON
	}
	s.from = r.at
	for ; r.at < len(r.from); r.at++ {
		switch c := r.from[r.at]; {
		case c == '"':
			s.to = r.at
			r.at++
			return s, nil
		case c == '\\':
			s.escaped = true
			r.at++ // whatever follows is no end; unescape looks at it
		case c < 0x20:
			return span{}, errNotJSON
		}
	}
	return span{}, errNotJSON
}

// textOrNull is a string, or null for none.
func (r *reader[T]) textOrNull() (span, error) {
	r.space()
	if strings.HasPrefix(string(r.from[r.at:min(r.at+4, len(r.from))]), "null") {
		r.at += 4
		return span{}, nil
	}
	return r.quoted()
}

// integer reads a whole number, as JSON writes it.
func (r *reader[T]) integer() (int64, error) {
	r.space()
	start := r.at
	if r.at < len(r.from) && r.from[r.at] == '-' {
		r.at++
	}
	digits := r.at
	for r.at < len(r.from) && r.from[r.at] >= '0' && r.from[r.at] <= '9' {
		r.at++
	}
	if r.at-digits > 1 && r.from[digits] == '0' || r.at-digits > 19 {
		return 0, errNotJSON
	}
	n, err := strconv.ParseInt(string(r.from[start:r.at]), 10, 64)
	if err != nil {
		return 0, errNotJSON
	}
	return n, nil
}

// members of a document, in the order of their strings and numbers.
const (
	memberBucket = iota
	memberKey
	memberName
	memberType
	memberCRC
	memberBlur
	memberVersion
	memberSize
	memberWidth
	memberHeight
	memberTurn
	memberCount

	memberTexts = memberVersion // those before it are texts
)

func memberNamed(name string) int {
	switch name {
	case "bucket":
		return memberBucket
	case "key":
		return memberKey
	case "name":
		return memberName
	case "type":
		return memberType
	case "crc32c":
		return memberCRC
	case "blur":
		return memberBlur
	case "v":
		return memberVersion
	case "size":
		return memberSize
	case "w":
		return memberWidth
	case "h":
		return memberHeight
	case "o":
		return memberTurn
	}
	return -1
}

// raw is a document before anything is believed of it.
type raw struct {
	texts   [memberTexts]span
	numbers [memberCount - memberTexts]int64
	seen    [memberCount]bool
}

// document reads a document.
func (r *reader[T]) document() (d raw, err error) {
	if !r.takes('{') {
		return raw{}, errNotJSON
	}
	if r.takes('}') {
		return raw{}, nil
	}
	for {
		name, err := r.quoted()
		if err != nil {
			return raw{}, err
		}
		member := memberNamed(string(r.from[name.from:name.to]))
		if member < 0 || d.seen[member] || !r.takes(':') {
			return raw{}, errNotJSON
		}
		d.seen[member] = true
		if member < memberTexts {
			d.texts[member], err = r.textOrNull()
		} else {
			d.numbers[member-memberTexts], err = r.integer()
		}
		switch {
		case err != nil:
			return raw{}, err
		case r.takes('}'):
			return d, nil
		case !r.takes(','):
			return raw{}, errNotJSON
		}
	}
}

// object checks a document and makes the object of it.
func (r *reader[T]) object(d raw, bucket string) (core.Object, error) {
	number := func(member int) int64 { return d.numbers[member-memberTexts] }
	if version := number(memberVersion); version != documentVersion {
		return core.Object{}, fmt.Errorf("version %d of the column's document is unknown", version)
	}
	var texts [memberTexts]string
	if err := r.texts(d, &texts); err != nil {
		return core.Object{}, err
	}
	if texts[memberBucket] != "" && texts[memberBucket] != bucket {
		return core.Object{}, errElsewhere
	}
	key, err := core.ParseKey(texts[memberKey])
	if err != nil {
		return core.Object{}, err
	}
	size, w, h, turn := number(memberSize), number(memberWidth), number(memberHeight), number(memberTurn)
	if size < 0 || w < 0 || h < 0 || turn < 0 || turn > 8 || w > math.MaxInt || h > math.MaxInt {
		return core.Object{}, errNegative
	}
	return core.Object{
		Bucket: bucket, Key: key, Name: texts[memberName], Size: size, Type: texts[memberType], CRC32C: texts[memberCRC],
		Width: int(w), Height: int(h), Orientation: int(turn), Blurhash: texts[memberBlur],
	}, nil
}

// texts copies the document's texts into one piece of memory.
func (r *reader[T]) texts(d raw, into *[memberTexts]string) error {
	size := 0
	for _, s := range d.texts {
		size += s.to - s.from // unescaped, it is no longer
	}
	var all strings.Builder
	all.Grow(size)
	var ends [memberTexts]int
	for i, s := range d.texts {
		if err := r.unescape(&all, s); err != nil {
			return err
		}
		ends[i] = all.Len()
	}
	start := 0
	for i, end := range ends {
		into[i] = all.String()[start:end]
		if start = end; !utf8.ValidString(into[i]) {
			return errNotUTF8
		}
	}
	return nil
}

// unescape writes what a string stands for.
func (r *reader[T]) unescape(to *strings.Builder, s span) error {
	if !s.escaped {
		to.WriteString(string(r.from[s.from:s.to]))
		return nil
	}
	for i := s.from; i < s.to; i++ {
		c := r.from[i]
		if c != '\\' {
			to.WriteByte(c)
			continue
		}
		i++
		c = r.from[i] // there is one: the string does not end in between
		if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
			to.WriteByte("\"\\/\b\f\n\r\t"[at])
			continue
		}
		unit := r.unit(i, s.to)
		i += 4
		if utf16.IsSurrogate(unit) { // half of a character: the other has to follow
			if i+2 >= s.to || r.from[i+1] != '\\' {
				return errNotJSON
			}
			if unit = utf16.DecodeRune(unit, r.unit(i+2, s.to)); unit == utf8.RuneError {
				return errNotJSON
			}
			i += 6
		}
		if unit < 0 {
			return errNotJSON
		}
		to.WriteRune(unit)
	}
	return nil
}

// unit reads "uXXXX" at i, or returns -1.
func (r *reader[T]) unit(i, end int) rune {
	if i+5 > end || r.from[i] != 'u' {
		return -1
	}
	var n rune
	for _, c := range []byte(r.from[i+1 : i+5]) {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return n
}
