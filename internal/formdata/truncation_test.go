package formdata

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/filefield/filefield/core"
)

// sample has what a cut can fall into: headers, an empty part, line breaks and
// pieces of the boundary in a file, a part that is skipped.
func sample() string {
	return crlf("--B", fieldA, "", "1",
		"--B", `Content-Disposition: form-data; name="e"; filename=""`, "", "",
		"--B", "X-Skipped: yes", "", "nothing",
		"--B", fileF, "Content-Type: text/plain", "", "line\r\n\r\n--\r\n--A\r\n-", "line",
		"--B", fieldA, "", "last",
		"--B--", "")
}

// delimiterEnds returns where the delimiters behind the parts that are delivered
// end, one byte past the boundary: that byte shows that it is one.
func delimiterEnds(body string) (ends []int) {
	for i, at := 0, 0; ; i++ {
		next := strings.Index(body[at:], "\r\n--B")
		if next < 0 {
			return ends
		}
		at += next + len("\r\n--B")
		if i != 2 { // the part that is skipped
			ends = append(ends, at+1)
		}
	}
}

// A part may say io.EOF only where the cut is behind its delimiter.
func TestACutBodyNeverEndsAPartThatIsIncomplete(t *testing.T) {
	t.Parallel()
	body := sample()
	whole, err := readForm(strings.NewReader(body), Limits{})
	if err != nil || len(whole) != 4 {
		t.Fatalf("the sample: got %+v, %v; want 4 parts", whole, err)
	}
	ends := delimiterEnds(body)
	complete := strings.Index(body, "--B--") + len("--B--")
	for cut := 1; cut < len(body); cut++ {
		for how, r := range map[string]io.Reader{
			"at once":       strings.NewReader(body[:cut]),
			"byte by byte":  iotest.OneByteReader(strings.NewReader(body[:cut])),
			"EOF with data": iotest.DataErrReader(strings.NewReader(body[:cut])),
			"as net/http":   io.MultiReader(strings.NewReader(body[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF)),
		} {
			parts, err := readForm(r, Limits{})
			for i, p := range parts {
				if p != whole[i] || cut < ends[i] {
					t.Errorf("cut at %d, read %s: part %d ended as %+v", cut, how, i, p)
				}
			}
			if cut == complete && how != "as net/http" {
				if err != nil {
					t.Errorf("cut at %d, read %s: got %v; want no error behind the final boundary", cut, how, err)
				}
				continue
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) || core.KindOf(err) != core.ErrMalformed || errors.Is(err, io.EOF) {
				t.Errorf("cut at %d, read %s: got %v; want it malformed, for io.ErrUnexpectedEOF", cut, how, err)
			}
		}
	}
}

func TestAnErrorOfTheBodyStaysReachableWhereverItComes(t *testing.T) {
	t.Parallel()
	body := sample()
	ends := delimiterEnds(body)
	for cut := range len(body) - len("--B--\r\n") {
		for how, read := range map[string]func(io.Reader) io.Reader{
			"at once":      func(r io.Reader) io.Reader { return r },
			"byte by byte": iotest.OneByteReader,
		} {
			r := io.MultiReader(strings.NewReader(body[:cut]), iotest.ErrReader(os.ErrDeadlineExceeded))
			parts, err := readForm(read(r), Limits{})
			if n := len(parts); n > 0 && cut < ends[n-1] {
				t.Errorf("failed at %d, read %s: part %d ended as %+v", cut, how, n-1, parts[n-1])
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || core.KindOf(err) != 0 {
				t.Errorf("failed at %d, read %s: got %v of kind %v; want the deadline, without a kind", cut, how, err, core.KindOf(err))
			}
		}
	}
}

func TestAnErrorOfTheBodyThatWrapsEOFIsACut(t *testing.T) {
	t.Parallel()
	r := io.MultiReader(strings.NewReader(sample()[:100]), iotest.ErrReader(errors.Join(io.EOF)))
	_, err := readForm(r, Limits{})
	if !errors.Is(err, core.ErrMalformed) || errors.Is(err, io.EOF) {
		t.Errorf("got %v; want it malformed, and not io.EOF", err)
	}
}

func TestMaxBytesErrorStaysReachable(t *testing.T) {
	t.Parallel()
	body := crlf("--B", fileF, "", strings.Repeat("x", 1<<20), "--B--", "")
	for name, limit := range map[string]int64{"in the file": 1 << 19, "in the header": 20, "one byte short of the final boundary": int64(len(body)) - 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limited := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader(body)), limit)
			_, err := readForm(limited, Limits{})
			var tooLarge *http.MaxBytesError
			if !errors.As(err, &tooLarge) || tooLarge.Limit != limit || core.KindOf(err) != 0 {
				t.Errorf("got %v, want an http.MaxBytesError of %d", err, limit)
			}
		})
	}
}

// A cut right behind the boundary's characters leaves open whether they are the
// boundary: what is read of the part must lead to an error, whichever buffer
// the boundary falls into.
func TestACutBehindTheBoundaryAtEveryBufferPosition(t *testing.T) {
	t.Parallel()
	for size := range 4200 {
		body := crlf("--B", fileF, "", strings.Repeat("x", size), "--B")
		form := NewParser(Limits{}).Read(strings.NewReader(body), "B")
		part, err := form.Next()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(part)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(b, bytes.Repeat([]byte{'x'}, size)) {
			t.Fatalf("%d bytes: got %d bytes, %v; want io.ErrUnexpectedEOF", size, len(b), err)
		}
		form.Close()
	}
}
