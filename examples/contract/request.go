package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// document and file are the app's answers.
type document struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
	File  *file  `json:"file"`
	Cover *file  `json:"cover"`
	Extra []file `json:"extra"`
}

type file struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	URL    string `json:"url"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// problem is RFC 9457's answer to a failure.
type problem struct {
	Type, Title, Detail string
	Status              int
	Errors              []fault
}

type fault struct{ Field, Code, Message string }

// withoutURLs describes the document by what stays the same: URLs are signed anew.
func (d document) withoutURLs() string {
	show := func(f *file) string {
		if f == nil {
			return "none"
		}
		return fmt.Sprintf("%s %s %d %dx%d", f.Name, f.Type, f.Size, f.Width, f.Height)
	}
	s := fmt.Sprintf("%d %q file: %s, cover: %s", d.ID, d.Title, show(d.File), show(d.Cover))
	for i := range d.Extra {
		s += ", extra: " + show(&d.Extra[i])
	}
	return s
}

// body is a request's body. chunked leaves its length unsaid.
type body struct {
	mediaType string
	data      []byte
	chunked   bool
}

type part struct {
	name, fileName string
	data           []byte
	isFile         bool
}

func text(name, value string) part { return part{name: name, data: []byte(value)} }

func upload(name, fileName string, data []byte) part {
	return part{name: name, fileName: fileName, data: data, isFile: true}
}

// form is a multipart/form-data body.
func form(parts ...part) body {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, p := range parts {
		var w io.Writer
		if p.isFile {
			w, _ = m.CreateFormFile(p.name, p.fileName) // a bytes.Buffer takes everything
		} else {
			w, _ = m.CreateFormField(p.name)
		}
		w.Write(p.data)
	}
	m.Close()
	return body{mediaType: m.FormDataContentType(), data: b.Bytes()}
}

func (b body) withoutLength() body {
	b.chunked = true
	return b
}

func asJSON(v any) body {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test wrote something that is not JSON
	}
	return body{mediaType: "application/json", data: data}
}

func raw(mediaType, data string) body { return body{mediaType: mediaType, data: []byte(data)} }

func urlencoded(pairs ...string) body {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return raw("application/x-www-form-urlencoded", values.Encode())
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes a request. headers are names and values in turn.
func (a *App) send(t *testing.T, method, path string, b body, headers ...string) answer {
	t.Helper()
	var reader io.Reader = bytes.NewReader(b.data)
	if b.chunked {
		reader = struct{ io.Reader }{reader}
	}
	if !strings.HasPrefix(path, "http") {
		path = a.URL + path
	}
	r, err := http.NewRequestWithContext(t.Context(), method, path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if b.mediaType != "" {
		r.Header.Set("Content-Type", b.mediaType)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := a.client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: data}
}

func (a *App) get(t *testing.T, path string, headers ...string) answer {
	t.Helper()
	return a.send(t, http.MethodGet, path, body{}, headers...)
}

// create posts a document that has to be accepted.
func (a *App) create(t *testing.T, b body) document {
	t.Helper()
	got := a.send(t, http.MethodPost, "/documents", b)
	if got.status != http.StatusCreated {
		t.Fatalf("POST /documents = %d %s, want 201", got.status, got.body)
	}
	var d document
	got.decode(t, &d)
	return d
}

// patch changes a document, which has to be accepted.
func (a *App) patch(t *testing.T, id int64, b body) document {
	t.Helper()
	got := a.send(t, http.MethodPatch, path(id), b)
	if got.status != http.StatusOK {
		t.Fatalf("PATCH %s = %d %s, want 200", path(id), got.status, got.body)
	}
	var d document
	got.decode(t, &d)
	return d
}

func path(id int64) string { return fmt.Sprintf("/documents/%d", id) }

// list returns all documents.
func (a *App) list(t *testing.T) (all []document) {
	t.Helper()
	for next := int64(0); ; {
		var page struct {
			Documents []document
			Next      *int64
		}
		a.get(t, fmt.Sprintf("/documents?limit=100&after=%d", next)).decode(t, &page)
		all = append(all, page.Documents...)
		if page.Next == nil {
			return all
		}
		next = *page.Next
	}
}

func (r answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("the answer %d %q is not the JSON expected: %v", r.status, r.body, err)
	}
}

// wantProblem checks that the answer is a problem of that status that blames the
// field for the code. An empty field means that none is blamed.
func (r answer) wantProblem(t *testing.T, status int, field, code string) {
	t.Helper()
	if got := r.header.Get("Content-Type"); r.status != status || got != "application/problem+json" {
		t.Fatalf("answer is %d %s %s, want a problem of status %d", r.status, got, r.body, status)
	}
	var p problem
	r.decode(t, &p)
	if p.Status != status || p.Type == "" || p.Title == "" {
		t.Errorf("problem is %+v, want type, title and status %d", p, status)
	}
	if field == "" {
		if len(p.Errors) != 0 {
			t.Errorf("the problem blames %+v, want no field", p.Errors)
		}
		return
	}
	for _, f := range p.Errors {
		if f.Field == field && f.Code == code && f.Message != "" {
			if want := messages[code]; want != "" && f.Message != want {
				t.Errorf("the message for %q is %q, want %q", code, f.Message, want)
			}
			return
		}
	}
	t.Errorf("the problem blames %+v, want field %q with code %q and a message", p.Errors, field, code)
}

// messages are what people are told, in the words of Django's forms, whatever
// framework and validator found the fault.
var messages = map[string]string{
	"required":      "This field is required.",
	"max_length":    "Ensure this value has at most 200 characters.",
	"taken":         "Document with this Title already exists.",
	"contradiction": "Please either submit a file or check the clear checkbox, not both.",
}

func pngImage(width, height int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		panic(err) // the size is wrong
	}
	return b.Bytes()
}

func jpegImage(width, height int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), nil); err != nil {
		panic(err) // the size is wrong
	}
	return b.Bytes()
}

// longer pads content to size bytes.
func longer(content []byte, size int) []byte {
	return append(bytes.Clone(content), bytes.Repeat([]byte{' '}, size-len(content))...)
}
