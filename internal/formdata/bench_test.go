package formdata

import (
	"bytes"
	"io"
	"mime/multipart"
	"strings"
	"testing"
)

// benchForm is a form of three fields and a file of 1 MiB.
func benchForm(b *testing.B) (body []byte, boundary string) {
	b.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, name := range []string{"title", "author", "text"} {
		if err := w.WriteField(name, strings.Repeat(name, 20)); err != nil {
			b.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", "photo.jpg")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.Write(bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes(), w.Boundary()
}

func BenchmarkReader(b *testing.B) {
	body, boundary := benchForm(b)
	var parser Parser
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		form := parser.Read(bytes.NewReader(body), boundary)
		for {
			part, err := form.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, part); err != nil {
				b.Fatal(err)
			}
		}
		form.Close()
	}
}

// BenchmarkMultipart is mime/multipart alone, for comparison; it includes the
// parsing of names, without which a form is of no use.
func BenchmarkMultipart(b *testing.B) {
	body, boundary := benchForm(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		form := multipart.NewReader(bytes.NewReader(body), boundary)
		for {
			part, err := form.NextRawPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if part.FormName() == "" {
				b.Fatal("a part without a name")
			}
			if _, err := io.Copy(io.Discard, part); err != nil {
				b.Fatal(err)
			}
		}
	}
}
