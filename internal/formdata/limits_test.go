package formdata

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

// endless repeats what next returns until limit bytes are read, and counts.
type endless struct {
	next        func() string
	rest        string
	read, limit int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read >= e.limit {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) { // full buffers, so that much is read ahead
		if e.rest == "" {
			e.rest = e.next()
		}
		copied := copy(p[n:], e.rest)
		e.rest = e.rest[copied:]
		n += copied
	}
	e.read += n
	return n, nil
}

// Not parallel, and the first to run: it measures what the process allocates.
func TestBombsEndEarlyAndCheaply(t *testing.T) {
	const mib = 1 << 20
	junk := strings.Repeat("x", 1000)
	var lines strings.Builder
	for i := range 0x10000 {
		fmt.Fprintf(&lines, "%x:\n", i)
	}
	always := func(s string) func() string { return func() string { return s } }
	for _, tc := range []struct {
		name, start string
		next        func() string
		want        error
	}{
		{"a header of 11 MB", "--B\r\nX-Long: ", always(junk), core.ErrTooLarge},
		{"a header name of 11 MB", "--B\r\n", always(junk), core.ErrTooLarge},
		{"a folded header of 11 MB", "--B\r\nX-Long: ", always(junk + "\r\n "), core.ErrTooLarge},
		{"a folded header of short lines", "--B\r\nX-Long: ", always("x\r\n "), core.ErrTooLarge},
		{"a header folded with white space only", "--B\r\nX-Long: ", always("\r\n "), core.ErrTooLarge},
		{"white space before a folded line", "--B\r\nX-Long: x\r\n", always(strings.Repeat(" ", 1000)), core.ErrTooLarge},
		{"header lines without end", "--B\r\n", always(lines.String()), core.ErrTooLarge},
		{"one header name without end", "--B\r\n", always("a:\n"), core.ErrTooLarge},
		{"header lines behind a part", "--B\r\n" + fieldA + "\r\n\r\n1\r\n--B\r\n", always(lines.String()), core.ErrTooLarge},
		{"a preamble of one line", "", always(junk), core.ErrMalformed},
		{"a preamble of lines", "", always(junk + "\r\n"), core.ErrMalformed},
		{"a preamble of empty lines", "", always("\n"), core.ErrMalformed},
		{"white space behind a boundary", "--B", always(strings.Repeat(" ", 1000)), core.ErrMalformed},
		{"white space behind the final boundary", "--B--", always(strings.Repeat(" ", 1000)), core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := &endless{rest: tc.start, next: tc.next, limit: 11 * mib}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readForm(body, Limits{})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated >= mib/2 {
				t.Errorf("allocated %d bytes, want less than half a MiB", allocated)
			}
			if body.read > DefaultHeaderBytes+2*bufferSize {
				t.Errorf("read %d bytes of the body, want no more than the limit and two buffers", body.read)
			}
		})
	}
}

func TestHeaderLimitIsExact(t *testing.T) {
	t.Parallel()
	const limit = 1000
	header := func(size int) string {
		rest := size - len(fieldA) - len("\r\nX: \r\n")
		return fieldA + "\r\nX: " + strings.Repeat("x", rest)
	}
	// The second part's header comes with the first one's content, or not.
	for _, before := range []int{0, 1, 3000, 4000, 5000} {
		for size, want := range map[int]error{limit - 1: nil, limit: nil, limit + 1: core.ErrTooLarge, limit * 20: core.ErrTooLarge} {
			body := crlf("--B", fieldA, "", strings.Repeat("x", before), "--B", header(size), "", "1", "--B--", "")
			parts, err := readForm(strings.NewReader(body), Limits{HeaderBytes: limit})
			if !errors.Is(err, want) || err == nil && len(parts) != 2 {
				t.Errorf("a header of %d bytes behind a part of %d: got %d parts, %v; want %v", size, before, len(parts), err, want)
			}
		}
	}
}

func TestHeaderLinesAreLimited(t *testing.T) {
	t.Parallel()
	for lines, want := range map[int]error{maxHeaderLines: nil, maxHeaderLines + 1: core.ErrTooLarge, 10_001: core.ErrTooLarge} {
		var b strings.Builder
		for i := range lines - 1 {
			fmt.Fprintf(&b, "X-%d: 1\r\n", i)
		}
		one := crlf("--B", b.String()+fieldA, "", "1", "")
		for part, body := range []string{one, crlf("--B", fieldA, "", "1", "") + one} {
			if _, err := readForm(strings.NewReader(body+"--B--\r\n"), Limits{}); !errors.Is(err, want) {
				t.Errorf("%d lines in part %d: got %v, want %v", lines, part+1, err, want)
			}
		}
	}
}

// TestANameDoesNotKeepItsHeader has names that would keep 16 MiB of headers alive.
func TestANameDoesNotKeepItsHeader(t *testing.T) {
	pad := strings.Repeat("p", 15<<10)
	var b strings.Builder
	for i := range 1000 {
		b.WriteString(crlf("--B", fmt.Sprintf(`Content-Disposition: form-data; name="a%d"; x="%s"`, i, pad), "", "1", ""))
	}
	b.WriteString("--B--\r\n")
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	form := NewParser(Limits{}).Read(strings.NewReader(b.String()), "B")
	var names []string
	for {
		p, err := form.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, p.Name)
	}
	form.Close()
	if after := heap(); after > before && after-before > 2<<20 {
		t.Errorf("%d names keep %d KiB", len(names), (after-before)>>10)
	}
	runtime.KeepAlive(names)
	runtime.KeepAlive(&b)
}

func TestLimitsBeyondTheLargestAreTheLargest(t *testing.T) {
	t.Parallel()
	if got := (Limits{HeaderBytes: 1 << 62}).orDefault().HeaderBytes; got != maxHeaderBytes {
		t.Errorf("got %d header bytes, want %d", got, int64(maxHeaderBytes))
	}
	if got, want := (Limits{Parts: -1, HeaderBytes: -1}).orDefault(), (Limits{DefaultParts, DefaultHeaderBytes}); got != want {
		t.Errorf("got %+v for negative limits, want %+v", got, want)
	}
}

func TestPartsAreCounted(t *testing.T) {
	t.Parallel()
	part := func(header string) string { return crlf("--B", header, "", "", "") }
	skipped := "X-Skipped: yes"
	for _, tc := range []struct {
		name  string
		parts int
		part  string
		limit int
		want  error
	}{
		{"as many fields as allowed", 2, fieldA, 2, nil},
		{"a field too many", 2, fieldA, 1, core.ErrTooMany},
		{"as many files as allowed", 2, fileF, 2, nil},
		{"a file too many", 2, fileF, 1, core.ErrTooMany},
		{"parts that are skipped count", 3, skipped, 2, core.ErrTooMany},
		{"1000 by default", 1000, fieldA, 0, nil},
		{"1001 by default", 1001, fieldA, 0, core.ErrTooMany},
		{"10,000 empty files", 10_000, fileF, 0, core.ErrTooMany},
		{"100,000 tiny parts", 100_000, fieldA, 0, core.ErrTooMany},
		{"100,000 parts that are skipped", 100_000, skipped, 0, core.ErrTooMany},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			body := strings.NewReader(strings.Repeat(part(tc.part), tc.parts) + "--B--\r\n")
			size := body.Len()
			parts, err := readForm(body, Limits{Parts: tc.limit})
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if limit := (Limits{Parts: tc.limit}).orDefault().Parts; len(parts) > limit {
				t.Errorf("got %d parts, want no more than %d", len(parts), limit)
			}
			if tc.parts == 100_000 && size-body.Len() > 4*bufferSize {
				t.Errorf("read %d bytes of %d, want it to end at the limit", size-body.Len(), size)
			}
		})
	}
}
