package formdata

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/filefield/filefield/core"
)

// got is a part as a test sees it.
type got struct {
	Name, FileName string
	IsFile         bool
	Body           string
}

// readForm reads a form whose boundary is B.
func readForm(body io.Reader, limits Limits) ([]got, error) {
	form := NewParser(limits).Read(body, "B")
	defer form.Close()
	return readAll(form)
}

// readBoundary reads a form without limits of its own.
func readBoundary(body io.Reader, boundary string) ([]got, error) {
	form := NewParser(Limits{}).Read(body, boundary)
	defer form.Close()
	return readAll(form)
}

// readAll returns the parts that were read to their ends.
func readAll(form *Reader) ([]got, error) {
	var parts []got
	for {
		p, err := form.Next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return parts, err
		}
		parts = append(parts, got{p.Name, p.FileName, p.IsFile, string(body)})
	}
}

// crlf writes a body the way the wire has it.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

const (
	fieldA = `Content-Disposition: form-data; name="a"`
	fileF  = `Content-Disposition: form-data; name="f"; filename="x.txt"`
)

func TestForms(t *testing.T) {
	t.Parallel()
	a := got{Name: "a", Body: "1"}
	f := got{"f", "x.txt", true, "data"}
	for _, tc := range []struct {
		name, body string
		want       []got
		err        error
	}{
		{"a field and a file", crlf("--B", fieldA, "", "1", "--B", fileF, "Content-Type: text/plain", "", "data", "--B--", ""), []got{a, f}, nil},
		{"two files in one field", crlf("--B", fileF, "", "data", "--B", fileF, "", "data", "--B--", ""), []got{f, f}, nil},
		{"an empty body", "", nil, nil},
		{"only the final boundary", "--B--", nil, nil},
		{"only the final boundary and a line break", "--B--\r\n", nil, nil},
		{"no line break behind the final boundary", crlf("--B", fieldA, "", "1", "--B--"), []got{a}, nil},
		{"white space behind the final boundary", crlf("--B", fieldA, "", "1", "--B-- \t "), []got{a}, nil},
		{"white space behind a boundary", crlf("--B \t", fieldA, "", "1", "--B--"), []got{a}, nil},
		{"a preamble and an epilogue", crlf("junk", "", "--B", fieldA, "", "1", "--B--", "junk", "--B", "junk"), []got{a}, nil},
		{"megabytes of epilogue", crlf("--B", fieldA, "", "1", "--B--", strings.Repeat("junk\r\n", 1<<19)), []got{a}, nil},
		{"line feeds only", "--B\n" + fieldA + "\n\n1\n--B--\n", []got{a}, nil},
		{"line feeds only, cut behind the final boundary", "--B\n" + fieldA + "\n\n1\n--B--", []got{a}, nil},
		{"a carriage return at the end of a file among line feeds", "--B\n" + fieldA + "\n\n1\r\n--B--\n", []got{{Name: "a", Body: "1\r"}}, nil},
		{"an empty part", crlf("--B", fieldA, "", "", "--B--"), []got{{Name: "a"}}, nil},
		{"a part without the line break behind its header", crlf("--B", fieldA, "", "--B--"), []got{{Name: "a"}}, nil},
		{"no file chosen", crlf("--B", `Content-Disposition: form-data; name="f"; filename=""`, "Content-Type: application/octet-stream", "", "", "--B--"), []got{{"f", "", true, ""}}, nil},
		{"an empty file name with content", crlf("--B", `Content-Disposition: form-data; name="f"; filename=""`, "", "data", "--B--"), []got{{"f", "", true, "data"}}, nil},
		{"the boundary inside the data", crlf("--B", fileF, "", "x --B y\r\n--Bz\r\n -–B--", "--B--"), []got{{"f", "x.txt", true, "x --B y\r\n--Bz\r\n -–B--"}}, nil},
		{"a folded header", crlf("--B", "Content-Disposition: form-data;", ` name="a"`, "", "1", "--B--"), []got{a}, nil},
		{"header names in any case", crlf("--B", strings.ToUpper(fieldA[:19])+fieldA[19:], "", "1", "--B--"), []got{a}, nil},
		{"a harmless transfer encoding", crlf("--B", fieldA, "Content-Transfer-Encoding: Binary", "", "1", "--B--"), []got{a}, nil},

		{"a part without a disposition is skipped", crlf("--B", "Content-Type: text/plain", "", "x", "--B", fieldA, "", "1", "--B--"), []got{a}, nil},
		{"a part without a header is skipped", crlf("--B", "", "x", "--B", fieldA, "", "1", "--B--"), []got{a}, nil},
		{"a part without a name is skipped", crlf("--B", `Content-Disposition: form-data; filename="x.txt"`, "", "x", "--B", fieldA, "", "1", "--B--"), []got{a}, nil},
		{"a part with an empty name is skipped", crlf("--B", `Content-Disposition: form-data; name=""`, "", "x", "--B", fieldA, "", "1", "--B--"), []got{a}, nil},

		{"a file of quoted-printable", crlf("--B", fileF, "Content-Transfer-Encoding: quoted-printable", "", "a=3Db", "--B--"), nil, core.ErrMalformed},
		{"a file of base64", crlf("--B", fileF, "Content-Transfer-Encoding: BASE64", "", "YWJj", "--B--"), nil, core.ErrMalformed},
		{"a harmless and a harmful transfer encoding", crlf("--B", fileF, "Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: base64", "", "YWJj", "--B--"), nil, core.ErrMalformed},
		{"two dispositions", crlf("--B", fieldA, fieldA, "", "1", "--B--"), nil, core.ErrMalformed},
		{"another disposition", crlf("--B", `Content-Disposition: attachment; name="a"`, "", "1", "--B--"), nil, core.ErrMalformed},
		{"filename twice", crlf("--B", `Content-Disposition: form-data; name="f"; filename="a.txt"; filename="b.php"`, "", "1", "--B--"), nil, core.ErrMalformed},
		{"filename and filename* of different files", crlf("--B", `Content-Disposition: form-data; name="f"; filename="a.txt"; filename*=UTF-8''b.php`, "", "1", "--B--"), nil, core.ErrMalformed},
		{"a field name of 10,000 bytes", crlf("--B", fieldA[:len(fieldA)-1]+strings.Repeat("n", 10000)+`"`, "", "1", "--B--"), nil, core.ErrMalformed},
		{"a NUL in a field name", crlf("--B", "Content-Disposition: form-data; name=\"a\x00\"", "", "1", "--B--"), nil, core.ErrMalformed},
		{"NULs in a file name", crlf("--B", "Content-Disposition: form-data; name=\"f\"; filename=\"non-\x00printable\x00\n_chars.txt\x00\"", "", "1", "--B--"), nil, core.ErrMalformed},
		{"a space before the colon", crlf("--B", `Content-Disposition : form-data; name="a"`, "", "1", "--B--"), nil, core.ErrMalformed},
		{"a header line without a colon", crlf("--B", fieldA, "nonsense", "", "1", "--B--"), nil, core.ErrMalformed},
		{"a header line without a name", crlf("--B", fieldA, ": nonsense", "", "1", "--B--"), nil, core.ErrMalformed},
		{"a header that begins with a folded line", crlf("--B", " "+fieldA, "", "1", "--B--"), nil, core.ErrMalformed},
		{"another boundary", crlf("--C", fieldA, "", "1", "--C--", ""), nil, core.ErrMalformed},
		{"text behind the boundary", crlf("--B", fieldA, "", "1", "--B x", fieldA, "", "1", "--B--", ""), []got{a}, core.ErrMalformed},
		{"half a final boundary", crlf("--B", fieldA, "", "1", "--B-"), nil, core.ErrMalformed},
		{"no final boundary", crlf("--B", fieldA, "", "1", "--B", ""), []got{a}, core.ErrMalformed},
		{"something that is no form", "\x00\x01\x02", nil, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for how, body := range map[string]io.Reader{
				"at once":       strings.NewReader(tc.body),
				"byte by byte":  iotest.OneByteReader(strings.NewReader(tc.body)),
				"EOF with data": iotest.DataErrReader(strings.NewReader(tc.body)),
			} {
				parts, err := readForm(body, Limits{})
				if fmt.Sprint(parts) != fmt.Sprint(tc.want) || !errors.Is(err, tc.err) {
					t.Errorf("read %s: got %+v, %v; want %+v, %v", how, parts, err, tc.want, tc.err)
				}
				if err != nil && errors.Is(err, io.EOF) {
					t.Errorf("read %s: the error %v passes for io.EOF", how, err)
				}
			}
		})
	}
}

func TestNextReadsTheRestOfThePartBeforeIt(t *testing.T) {
	t.Parallel()
	body := crlf("--B", fileF, "", strings.Repeat("data\r\n", 100_000), "--B", fieldA, "", "1", "--B--")
	form := NewParser(Limits{}).Read(strings.NewReader(body), "B")
	defer form.Close()
	file, err := form.Next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(file, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	field, err := form.Next()
	if err != nil || field.Name != "a" {
		t.Fatalf("Next: got %+v, %v; want the field a", field, err)
	}
	if n, err := file.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("reading the part that was left: got %d, %v; want an error", n, err)
	}
	if b, err := io.ReadAll(field); string(b) != "1" || err != nil {
		t.Errorf("reading the next part: got %q, %v; want 1", b, err)
	}
	for range 2 {
		if _, err := form.Next(); err != io.EOF {
			t.Errorf("Next at the end: got %v, want io.EOF", err)
		}
	}
	if n, err := field.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("reading again at a part's end: got %d, %v; want io.EOF", n, err)
	}
}

func TestErrorsStay(t *testing.T) {
	t.Parallel()
	form := NewParser(Limits{}).Read(strings.NewReader(crlf("--B", "nonsense", "", "1", "--B", fieldA, "", "1", "--B--")), "B")
	defer form.Close()
	_, first := form.Next()
	_, second := form.Next()
	if first == nil || !errors.Is(first, core.ErrMalformed) || second != first { //nolint:errorlint // the very same error
		t.Errorf("got %v, then %v; want the same error twice", first, second)
	}
}

func TestRefusalsSayWhyAndWhereWithoutRawBytes(t *testing.T) {
	t.Parallel()
	body := crlf("--B", fieldA, "", "1", "--B", "nonsense\x1b[31m"+strings.Repeat("é", 1000), "", "1", "--B--")
	_, err := readForm(strings.NewReader(body), Limits{})
	var e *core.Error
	if !errors.As(err, &e) || e.Detail != "part 2 of the form is malformed" {
		t.Errorf("got %v, want a detail that names part 2", err)
	}
	if text := err.Error(); strings.Contains(text, "\x1b") || len(text) > 400 {
		t.Errorf("the error echoes what was sent: %q", text)
	}
}

func TestClosedReaderReadsNothing(t *testing.T) {
	t.Parallel()
	var parser Parser
	form := parser.Read(strings.NewReader(crlf("--B", fieldA, "", "1", "--B", fieldA, "", "1", "--B--")), "B")
	part, err := form.Next()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := form.Close(); err != nil {
			t.Errorf("Close: got %v, want nil", err)
		}
	}
	if n, err := part.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("Read after Close: got %d, %v; want an error", n, err)
	}
	if p, err := form.Next(); p != nil || err == nil || err == io.EOF {
		t.Errorf("Next after Close: got %v, %v; want an error", p, err)
	}
}

// A Parser's buffers go from one form to the next, and never to two at once.
func TestParserIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var parser Parser
	for i := range 8 {
		t.Run(fmt.Sprint("form ", i), func(t *testing.T) {
			t.Parallel()
			content := strings.Repeat(fmt.Sprint(i), 10_000)
			for range 50 {
				form := parser.Read(strings.NewReader(crlf("--B", fieldA, "", content, "--B--")), "B")
				parts, err := readAll(form)
				form.Close()
				if err != nil || len(parts) != 1 || parts[0].Body != content {
					t.Fatalf("got %d parts, %v; want the one sent", len(parts), err)
				}
			}
		})
	}
}

func TestWhatFollowsAFileMayBeLargerThanTheBuffer(t *testing.T) {
	t.Parallel()
	for _, size := range []int{bufferSize - 100, bufferSize, 2 * bufferSize, readSize, 3*readSize + 17} {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		var want [][]byte
		for i := range 4 {
			w, err := form.CreateFormFile("file", "a.bin")
			if err != nil {
				t.Fatal(err)
			}
			content := bytes.Repeat([]byte{byte('a' + i), '\r', '\n', '-'}, size/4)
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
			want = append(want, content)
		}
		form.Close()
		var parser Parser
		for range 2 { // the second time with the first one's buffer
			r := parser.Read(bytes.NewReader(body.Bytes()), form.Boundary())
			for i := range want {
				p, err := r.Next()
				if err != nil {
					t.Fatalf("files of %d bytes: %d: %v", size, i, err)
				}
				var got bytes.Buffer
				if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, p, make([]byte, readSize)); err != nil || !bytes.Equal(got.Bytes(), want[i]) {
					t.Fatalf("files of %d bytes: %d: %v, %d bytes read; want those sent, %d", size, i, err, got.Len(), len(want[i]))
				}
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("files of %d bytes: the form ends with %v, want io.EOF", size, err)
			}
			r.Close()
		}
	}
}
