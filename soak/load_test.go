package main

import (
	"crypto/sha256"
	"io"
	"mime/multipart"
	"strings"
	"testing"
)

// What the soak compares by must be what it sends.
func TestAFormHasTheContentOfItsName(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{0, 1, smallest, 70_001} {
		b := form("the id", "a name", size)
		all, err := io.ReadAll(b)
		if err != nil || int64(len(all)) != b.length {
			t.Fatalf("a form has %d bytes, %v; it says %d", len(all), err, b.length)
		}
		_, boundary, _ := strings.Cut(b.contentType, "boundary=")
		parts, err := multipart.NewReader(strings.NewReader(string(all)), boundary).ReadForm(1 << 20)
		if err != nil || parts.Value["id"][0] != "the id" {
			t.Fatalf("the form reads as %+v, %v", parts, err)
		}
		f, err := parts.File["file"][0].Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		got := state{sum: sha256.Sum256(content), size: int64(len(content))}
		if want := stateOf("a name", size); err != nil || got != want {
			t.Errorf("%d bytes: the file is %+v, %v; want %+v", size, got, err, want)
		}
	}
	if stateOf("a", 100) == stateOf("b", 100) {
		t.Error("two names have the same content")
	}
}
