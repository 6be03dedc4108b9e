package formdata

import (
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/filefield/filefield/core"
)

// stdPart is a part as mime/multipart reads it.
type stdPart struct {
	name, disposition, body string
	whole                   bool
}

func readStd(body, boundary string) (parts []stdPart, err error) {
	form := multipart.NewReader(strings.NewReader(body), boundary)
	for {
		p, err := form.NextRawPart()
		if err != nil {
			return parts, err
		}
		b, err := io.ReadAll(p)
		parts = append(parts, stdPart{p.FormName(), p.Header.Get("Content-Disposition"), string(b), err == nil})
	}
}

// FuzzReader holds the Reader against mime/multipart: it may refuse more, but
// what it delivers is what mime/multipart delivers, however the bytes arrive.
// It may read another name only where a Content-Disposition has backslashes,
// %22 or encoded parameters, and deliver a name that mime/multipart lost.
func FuzzReader(f *testing.F) {
	f.Add(sample())
	for _, s := range []string{
		"", "--B--", "--B\r\n", "--B\n" + fieldA + "\n\n1\n--B--\n",
		crlf("preamble", "--B", fieldA, "", "1", "--B-- ", "epilogue"),
		crlf("--B", fieldA+";", ` title*='x`, "", "1\r\n--B", fileF, fileF, "", "", "--B-"),
		crlf("--B", `Content-Disposition: form-data; name=a; filename="c:\"`, "Content-Transfer-Encoding: base64", "", "--Bx", "--B--"),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		compare(t, body, "B")
		// Long boundaries are searched for in another way.
		const long = "----WebKitFormBoundaryBBBBBBBBBBBBBBBB"
		compare(t, strings.ReplaceAll(body, "--B", "--"+long), long)
	})
}

func compare(t *testing.T, body, boundary string) {
	t.Helper()
	want, stdErr := readStd(body, boundary)
	form := NewParser(Limits{}).Read(strings.NewReader(body), boundary)
	defer form.Close()
	var parts []got
	var err error
	last := -1
	for {
		var p *Part
		if p, err = form.Next(); err != nil {
			break
		}
		b, readErr := io.ReadAll(p)
		if readErr != nil {
			continue // Next returns it again
		}
		for i := last + 1; i < form.parts-1; i++ {
			if want[i].name != "" {
				t.Fatalf("skipped part %d, which mime/multipart reads as %+v", i, want[i])
			}
		}
		last = form.parts - 1
		parts = append(parts, got{p.Name, p.FileName, p.IsFile, string(b)})
		comparePart(t, want[last], p.Name, string(b))
	}
	if err == io.EOF && body != "" && stdErr != io.EOF {
		t.Errorf("accepted what mime/multipart refuses: %v", stdErr)
	}
	if err != io.EOF && core.KindOf(err) == 0 {
		t.Errorf("refused without a kind: %v", err)
	}
	// Near the limits, how the bytes arrive decides which one is met.
	if len(body) < DefaultHeaderBytes && strings.Count(body, "\n") < maxHeaderLines {
		slow, slowErr := readBoundary(iotest.OneByteReader(strings.NewReader(body)), boundary)
		if err == io.EOF {
			err = nil
		}
		if fmt.Sprint(slow) != fmt.Sprint(parts) || core.KindOf(slowErr) != core.KindOf(err) {
			t.Errorf("at once: %+v, %v; byte by byte: %+v, %v", parts, err, slow, slowErr)
		}
	}
}

func comparePart(t *testing.T, want stdPart, name, body string) {
	t.Helper()
	if !want.whole || body != want.body {
		t.Errorf("got the part %q with %q; mime/multipart reads %+v", name, body, want)
	}
	if want.name != "" && want.name != name && !strings.ContainsAny(want.disposition, `\*`) && !strings.Contains(want.disposition, "%22") {
		t.Errorf("got the name %q; mime/multipart reads %+v", name, want)
	}
}
