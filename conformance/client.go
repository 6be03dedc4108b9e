package conformance

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
)

const (
	formType    = "multipart/form-data; boundary=B" // of bodies written by hand
	jsonType    = "application/json"
	encodedType = "application/x-www-form-urlencoded"
)

var png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89")

// part is a raw part of a body with the boundary B, without the delimiter behind
// it.
func part(header, content string) string {
	return "--B\r\n" + header + "\r\n\r\n" + content + "\r\n"
}

// filePart is a raw part with a text file.
func filePart(content string) string {
	return part(`Content-Disposition: form-data; name="file"; filename="a.txt"`, content)
}

// titlePart is a raw part with a text value.
const titlePart = "--B\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n"

// body is a multipart body under construction.
type body struct {
	bytes.Buffer
	w *multipart.Writer
}

func newBody() *body {
	b := &body{}
	b.w = multipart.NewWriter(&b.Buffer)
	return b
}

func (b *body) text(name, value string) *body {
	_ = b.w.WriteField(name, value) // a buffer takes everything
	return b
}

// upload writes a file part with the file name exactly as given, as a browser
// would.
func (b *body) upload(name, fileName, content string) *body {
	return b.raw(`form-data; name="`+name+`"; filename="`+fileName+`"`, content)
}

func (b *body) raw(disposition, content string) *body {
	part, _ := b.w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {disposition}, "Content-Type": {"application/octet-stream"},
	})
	_, _ = io.WriteString(part, content)
	return b
}

// done returns the content type and the whole body, which may be sent again.
func (b *body) done() (contentType, text string) {
	_ = b.w.Close()
	return b.w.FormDataContentType(), b.String()
}

func (b *body) post(t testing.TB, a *app) *answer {
	t.Helper()
	contentType, text := b.done()
	return a.post(t, contentType, strings.NewReader(text))
}

// answer is a response that was read.
type answer struct {
	status  int
	header  http.Header
	body    string
	problem core.Problem
	closes  bool // the connection
}

func (a *app) post(t testing.TB, contentType string, body io.Reader) *answer {
	t.Helper()
	return a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {contentType}}, body)
}

// postJSON posts a value as JSON, as that user.
func (a *app) postJSON(t testing.TB, user string, value any) *answer {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {jsonType}, "X-Test-User": {user}}, bytes.NewReader(b))
}

func (a *app) postValues(t testing.TB, values url.Values) *answer {
	t.Helper()
	return a.post(t, encodedType, strings.NewReader(values.Encode()))
}

func (a *app) send(t testing.TB, method, path string, header http.Header, body io.Reader) *answer {
	t.Helper()
	res, err := a.do(t, method, path, header, body)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// do is send for requests that may get no answer.
func (a *app) do(t testing.TB, method, path string, header http.Header, body io.Reader) (*answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, a.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range a.headers(header) {
		req.Header[name] = values
	}
	res, err := a.Client().Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return readAnswer(t, res), nil
}

// headers adds what the framework's middleware wants.
func (a *app) headers(h http.Header) http.Header {
	all := a.suite.adapter.Header.Clone()
	if all == nil {
		all = http.Header{}
	}
	for name, values := range h {
		all[name] = values
	}
	return all
}

func readAnswer(t testing.TB, res *http.Response) *answer {
	t.Helper()
	var content io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" { // asked for by the adapter's Header
		unpacked, err := gzip.NewReader(res.Body)
		if err != nil && err != io.EOF { // some say so of no body at all
			t.Fatal(err)
		}
		if err == nil {
			content = unpacked
		}
	}
	text, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	out := &answer{status: res.StatusCode, header: res.Header, body: string(text), closes: res.Close}
	if len(text) > 0 && res.Header.Get("Content-Type") == core.ProblemMediaType {
		if err := json.Unmarshal(text, &out.problem); err != nil {
			t.Fatalf("problem %q: %v", text, err)
		}
	}
	return out
}

// want fails the test unless the answer has the status and, for a failure with a
// kind, is a problem of it.
func (r *answer) want(t testing.TB, status int, kind core.Kind) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status is %d (%s), want %d", r.status, strings.TrimSpace(r.body), status)
	}
	if kind != 0 && !strings.HasSuffix(r.problem.Type, ":"+kind.Code()) {
		t.Errorf("the answer is %s of type %q, want a problem of kind %s", strings.TrimSpace(r.body), r.header.Get("Content-Type"), kind.Code())
	}
}

// wantFault is want for a form with one fault.
func (r *answer) wantFault(t testing.TB, field, code, message string) {
	t.Helper()
	r.want(t, http.StatusUnprocessableEntity, 0)
	if faults := r.problem.Errors; len(faults) != 1 || faults[0] != (core.FieldError{Field: field, Code: code, Message: message}) {
		t.Errorf("the problem is %s, want the one fault %s of the field %s: %s", strings.TrimSpace(r.body), code, field, message)
	}
}

// dial opens a connection to the app that the test's end closes.
func (a *app) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", a.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// head is the raw head of a POST. length is what Content-Length says; "": there is
// none.
func (a *app) head(contentType, length string, more http.Header) string {
	var b strings.Builder
	fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n", contentType)
	if length != "" {
		fmt.Fprintf(&b, "Content-Length: %s\r\n", length)
	}
	_ = a.headers(more).Write(&b)
	return b.String() + "\r\n"
}

// sendRaw sends a request byte by byte as given, and takes an answer that comes
// before all of it was sent.
func (a *app) sendRaw(t testing.TB, contentType string, more http.Header, body string) *answer {
	t.Helper()
	conn := a.dial(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// What matters is the answer; the server may have cut this off.
		_, _ = io.WriteString(conn, a.head(contentType, fmt.Sprint(len(body)), more)+body)
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := readAnswer(t, res)
	_ = conn.Close()
	<-sent
	return out
}

// answerOn reads the answer that comes on a connection.
func answerOn(t testing.TB, conn net.Conn) *answer {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}

// page reads a form that came back.
func (r *answer) page(t testing.TB, status int) page {
	t.Helper()
	r.want(t, status, 0)
	var p page
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || p.Fault == "" && p.File == "" {
		t.Fatalf("the answer is %s (%v), want the form again", r.body, err)
	}
	return p
}

// listed lists the keys with a prefix.
func listed(t testing.TB, client *minio.Client, prefix string) (keys []string) {
	t.Helper()
	for o := range client.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}
