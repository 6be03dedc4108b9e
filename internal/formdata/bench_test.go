package formdata

import (
	"bytes"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"strings"
	"testing"
)

// noise is 1 MiB of what a compressed file looks like.
func noise() []byte {
	b := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// benchForm is a form of three fields and a file of 1 MiB.
func benchForm(b *testing.B) (body []byte, boundary string) {
	b.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	if err := w.SetBoundary("----WebKitFormBoundary7MA4YWxkTrZu0gW"); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"title", "author", "text"} {
		if err := w.WriteField(name, strings.Repeat(name, 20)); err != nil {
			b.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", "photo.jpg")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.Write(noise()); err != nil {
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
	chunk := make([]byte, 64<<10)
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
			if _, err := io.CopyBuffer(onlyWriter{io.Discard}, part, chunk); err != nil {
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
	chunk := make([]byte, 64<<10)
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
			if _, err := io.CopyBuffer(onlyWriter{io.Discard}, part, chunk); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// onlyWriter hides ReadFrom, which would bring a buffer of its own.
type onlyWriter struct{ io.Writer }
