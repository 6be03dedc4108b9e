package properties_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"pgregory.net/rapid"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// sentFile is a file of a form, or a text value.
type sentFile struct {
	text    bool
	name    string
	content []byte
}

// contents are of the sizes where something changes: nothing, what types are
// told by, a chunk of memory, a part of an upload.
func contents() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		size := rapid.SampledFrom([]int{1, 2, 511, 512, 513, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000, 5 << 20, 5<<20 + 1, 11 << 20}).Draw(t, "size")
		// Repeated, so that a long file needs few random bytes; line ends and dashes
		// are what boundaries are made of.
		pattern := rapid.SliceOfN(rapid.SampledFrom([]byte("ab\r\n--\x00\xff")), 1, 40).Draw(t, "pattern")
		return bytes.Repeat(pattern, size/len(pattern)+1)[:size]
	})
}

// form writes a body of random files and texts, and returns where it ends: what is
// cut before is no form.
func form(t *rapid.T) (contentType string, body []byte, ends int, files []sentFile) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	sent := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sentFile {
		if rapid.Bool().Draw(t, "text") {
			return sentFile{text: true, name: "title", content: []byte(rapid.String().Draw(t, "value"))}
		}
		return sentFile{name: rapid.SampledFrom([]string{"a.txt", "ü b.bin", `q"uote`}).Draw(t, "name"), content: contents().Draw(t, "content")}
	}), 0, 4).Draw(t, "parts")
	for _, s := range sent {
		var part io.Writer
		var err error
		if s.text {
			part, err = w.CreateFormField(s.name)
		} else {
			part, err = w.CreateFormFile("file", s.name)
			files = append(files, s)
		}
		if err == nil {
			_, err = part.Write(s.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes(), b.Len() - len("\r\n"), files
}

// torn is a body that arrives in pieces and ends at some byte, by an error of its
// own or as if that were all.
type torn struct {
	left   []byte
	pieces int
	end    error
	gone   func() // before the error
}

func (b *torn) Read(p []byte) (int, error) {
	if len(b.left) == 0 {
		b.gone()
		return 0, b.end
	}
	n := copy(p[:min(len(p), b.pieces)], b.left)
	b.left = b.left[n:]
	return n, nil
}

func (b *torn) Close() error { return nil }

// FuzzReader and the suite's U1 hold the parser to this byte by byte; here it is
// the whole way to storage, with files of every size.
func TestTornBodiesLeaveNothing(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	rapid.Check(t, func(rt *rapid.T) {
		field := openStore(rt, server).Field(core.FieldConfig{Name: "file", Bucket: server.Bucket(t), MaxFiles: 8, MaxSize: core.GiB})
		var values url.Values
		handler := nethttp.Middleware(nethttp.Uploads(field)(nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
			values = r.PostForm
			w.WriteHeader(http.StatusCreated)
			return nil
		})))
		contentType, body, ends, files := form(rt)
		cut := len(body)
		if rapid.IntRange(0, 4).Draw(rt, "torn") > 0 {
			cut = rapid.IntRange(0, len(body)).Draw(rt, "cut")
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		reader := &torn{left: body[:cut], pieces: rapid.SampledFrom([]int{1 << 20, 64 << 10, 4096, 1000}).Draw(rt, "pieces"), end: io.EOF, gone: func() {}}
		if cut < len(body) {
			reader.end = rapid.SampledFrom([]error{io.EOF, io.ErrUnexpectedEOF, errors.New("connection reset by peer"), context.Canceled}).Draw(rt, "error")
			if errors.Is(reader.end, context.Canceled) {
				reader.gone = cancel // as net/http does it when the client has gone
			}
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", reader)
		r.Header.Set("Content-Type", contentType)
		r.ContentLength = rapid.SampledFrom([]int64{-1, int64(len(body))}).Draw(rt, "length")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)

		objects, uploads := s3test.Leftovers(t, server, field.Bucket().Name())
		if len(uploads) > 0 {
			rt.Fatalf("uploads are left: %v", uploads)
		}
		if answer.Code != http.StatusCreated {
			if len(objects) > 0 || cut == len(body) {
				rt.Fatalf("cut at %d of %d, it answers %d, %s, and leaves %v", cut, len(body), answer.Code, answer.Body, objects)
			}
			return
		}
		if cut == 0 && reader.end == io.EOF {
			files = nil // nothing at all, and properly ended, is a form without parts
		} else if cut < ends {
			rt.Fatalf("a body that ends after %d of %d bytes was taken", cut, len(body))
		}
		wantFiles(rt, field, values["file"], objects, files)
	})
}

// wantFiles checks that what was sent is what is stored, and no more.
func wantFiles(t *rapid.T, field *core.Field, tokens, objects []string, files []sentFile) {
	if len(tokens) != len(files) || len(objects) != len(files) {
		t.Fatalf("%d files became %d tokens and %d objects", len(files), len(tokens), len(objects))
	}
	for i, token := range tokens {
		verified, err := field.Verify(token)
		if err != nil {
			t.Fatal(err)
		}
		f, err := field.Open(context.Background(), verified.Object.Key, core.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil || !bytes.Equal(content, files[i].content) || verified.Object.Size != int64(len(content)) || f.Name != files[i].name {
			t.Fatalf("file %d, %q of %d bytes, is stored as %q with %d other bytes, %v", i, files[i].name, len(files[i].content), f.Name, len(content), err)
		}
	}
}
