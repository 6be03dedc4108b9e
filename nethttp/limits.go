package nethttp

import (
	"math"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/filefield/filefield/core"
)

// Limits bound what one request may bring. The zero value has the defaults,
// which derive from the route's fields. The first limit exceeded ends the
// request, without reading the rest.
type Limits struct {
	// Request is the most bytes of the whole body. Default: what the fields' files
	// may have together, and Text, and room for the parts' headers.
	Request int64
	// Text is the most bytes of all text values and their names together.
	// Default 2.5 MiB, Django's DATA_UPLOAD_MAX_MEMORY_SIZE.
	Text int64
	// Fields is the most text values. Default 1000, Django's
	// DATA_UPLOAD_MAX_NUMBER_FIELDS.
	Fields int
	// Files is the most files. Default: the sum of the fields' MaxFiles.
	Files int
	// Tokens is the most tokens of files, in a form or in JSON: each costs storage a
	// request, that of a kept file three more. Default: Files, at least 100.
	Tokens int
	// Header is the most bytes of a part's headers. Default 16 KiB.
	Header int64
	// Idle is the longest time a client may take for its next 16 KiB, or for the
	// end of its body. Default 30 s; negative for none. It takes the place of the
	// server's ReadTimeout for the body, which would cut a long upload that moves. It
	// needs a writer that has deadlines, or wraps one and shows it: under
	// http.TimeoutHandler there is none.
	Idle time.Duration
	// Total is the longest time that all waiting for the client may take: with Idle
	// alone, a client of 16 KiB every half minute would stay for weeks. What storage
	// takes does not count. Default 24 h; negative for none. Like Idle, it needs a
	// writer that has deadlines.
	Total time.Duration
}

const (
	defaultText   = 2*core.MiB + core.MiB/2
	defaultFields = 1000
	defaultTokens = 100
	defaultHeader = 16 * core.KiB
	defaultIdle   = 30 * time.Second
	defaultTotal  = 24 * time.Hour
	partOverhead  = core.KiB // a part's boundary and usual headers
)

// forFields fills in the defaults.
func (l Limits) forFields(fields []*core.Field) Limits {
	var files int
	var bytes int64
	for _, f := range fields {
		c := f.Config()
		files += c.MaxFiles
		bytes = add(bytes, mul(c.MaxSize, int64(c.MaxFiles)))
	}
	setDefault(&l.Text, defaultText)
	setDefault(&l.Fields, defaultFields)
	setDefault(&l.Files, files)
	setDefault(&l.Tokens, max(l.Files, defaultTokens))
	setDefault(&l.Header, defaultHeader)
	setDefault(&l.Idle, defaultIdle)
	setDefault(&l.Total, defaultTotal)
	setDefault(&l.Request, add(add(bytes, l.Text), mul(partOverhead, int64(l.parts()))))
	return l
}

// parts is the most parts a body may have: every value, every file, and as many
// empty file inputs.
func (l Limits) parts() int { return l.Fields + 2*l.Files + 16 }

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// add and mul saturate: a sum of unlimited fields is unlimited.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func mul(a, b int64) int64 {
	if a != 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

func formatSize(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
