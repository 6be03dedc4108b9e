package nethttp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// formType is the content type of the raw bodies here.
const formType = "multipart/form-data; boundary=B"

// part is a raw part of a body with the boundary B, without the delimiter
// behind it.
func part(header, content string) string {
	return "--B\r\n" + header + "\r\n\r\n" + content + "\r\n"
}

// filePart is a raw part with a text file.
func filePart(content string) string {
	return part(`Content-Disposition: form-data; name="file"; filename="a.txt"`, content)
}

// titlePart is a raw part with a text value.
const titlePart = "--B\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n"

func TestABodyWithinTheRulesIsTaken(t *testing.T) {
	t.Parallel()
	disposition := `Content-Disposition: form-data; name="file"; filename="a.txt"`
	cases := []struct {
		name        string
		contentType string
		body        string
		content     string     // of the file; "": no file
		values      url.Values // beside it
	}{
		{"an empty body", formType, "", "", nil},
		{"a final boundary alone", formType, "--B--", "", nil},
		{"a final boundary and a line end", formType, "--B--\r\n", "", nil},
		{"a preamble and an epilogue", formType, "This is a form.\r\n" + filePart("content") + "--B--\r\nand this its end\r\n--B\r\n", "content", nil},
		{"an epilogue of a megabyte", formType, filePart("content") + "--B--\r\n" + strings.Repeat("e", 1<<20), "content", nil},
		{"line feeds alone", formType, strings.ReplaceAll(filePart("content")+"--B--\r\n", "\r\n", "\n"), "content", nil},
		{"a part without a disposition", formType, part("X: y", "lost") + filePart("content") + "--B--", "content", nil},
		{"a part without a name", formType, part("Content-Disposition: form-data", "lost") + filePart("content") + "--B--", "content", nil},
		{"a part with an empty name", formType, part(`Content-Disposition: form-data; name=""`, "lost") + filePart("content") + "--B--", "content", nil},
		{"a length in a part's header that lies", formType, part(disposition+"\r\nContent-Length: 3", "content") + "--B--", "content", nil},
		{"a binary transfer encoding", formType, part(disposition+"\r\nContent-Transfer-Encoding: binary", "content") + "--B--", "content", nil},
		{"a boundary in quotes with odd characters", `Multipart/Form-Data; charset=utf-8; Boundary="B=_'()+,./:? B"`, strings.ReplaceAll(filePart("content")+"--B--", "--B", "--B=_'()+,./:? B"), "content", nil},
		{"a boundary of 70 characters", "multipart/form-data; boundary=" + strings.Repeat("B", 70), strings.ReplaceAll(filePart("content")+"--B--", "--B", "--"+strings.Repeat("B", 70)), "content", nil},
		{"content that looks like a boundary", formType, filePart("a--B--\r\n--b\r\n --B\r\n\r\n-B") + "--B--", "a--B--\r\n--b\r\n --B\r\n\r\n-B", nil},
		{"spaces behind a boundary", formType, strings.Replace(filePart("content"), "--B\r", "--B \t\r", 1) + "--B-- ", "content", nil},
		{"1,000 values", formType, strings.Repeat(titlePart, 1000) + "--B--", "", url.Values{"title": slices.Repeat([]string{"x"}, 1000)}},
		{"names that look like paths", formType, strings.NewReplacer("title", "a[]").Replace(titlePart) + strings.NewReplacer("title", "../x").Replace(titlePart) + "--B--", "", url.Values{"a[]": {"x"}, "../x": {"x"}}},
		{"values of any bytes", formType, part(`Content-Disposition: form-data; name="title"`, "\x00\xff\r\n'\"<é") + "--B--", "", url.Values{"title": {"\x00\xff\r\n'\"<é"}}},
		{"a text whose name contains a file field's", formType, part(`Content-Disposition: form-data; name="profile"`, "no token") + "--B--", "", url.Values{"profile": {"no token"}}},
		{"a text whose path ends in a file field's name", formType, part(`Content-Disposition: form-data; name="meta.file"`, "no token") + "--B--", "", url.Values{"meta.file": {"no token"}}},
	}
	a := newApp(t, appConfig{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a.post(t, c.contentType, strings.NewReader(c.body)).want(t, http.StatusCreated, 0)
			form := <-a.form
			if c.content != "" {
				token, err := a.field.Verify(form.Get("file"))
				if err != nil {
					t.Fatalf("the handler saw %v: %v", form, err)
				}
				if got := read(t, a, token.Object.Key); got != c.content {
					t.Errorf("stored %q, want %q", got, c.content)
				}
				form.Del("file")
			}
			if fmt.Sprint(form) != fmt.Sprint(c.values) && len(form)+len(c.values) > 0 {
				t.Errorf("the other values are %.200v, want %.200v", form, c.values)
			}
		})
	}
}

func TestAFormThatWasReadBeforeIsTakenAllTheSame(t *testing.T) {
	s3test.Start(t) // which keeps its own files elsewhere
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	a := newApp(t, appConfig{})
	inner := a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil { // all but the texts into temporary files
			t.Error(err)
		}
		inner.ServeHTTP(w, r)
	})
	newBody().text("csrf_token", "x").file("file", "a.txt", bytes.Repeat([]byte("x"), 100_000)).post(t, a).want(t, http.StatusCreated, 0)
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("the folder for temporary files holds %v (%v), want nothing", left, err)
	}
	if o := a.stored(t); o.Size != 100_000 {
		t.Errorf("the object has %d bytes, want 100000", o.Size)
	}
}

func TestTemporaryFilesOfOtherRoutesGoWithTheirRequests(t *testing.T) {
	s3test.Start(t) // which keeps its own files elsewhere
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	a := newApp(t, appConfig{})
	a.Config.Handler = nethttp.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		if made, _ := os.ReadDir(temporary); len(made) != 1 {
			t.Errorf("the form made %d temporary files, want 1", len(made))
		}
		w.WriteHeader(http.StatusCreated)
	}))
	newBody().file("file", "a.txt", bytes.Repeat([]byte("x"), 100_000)).post(t, a).want(t, http.StatusCreated, 0)
	a.Close() // waits for the server to end the request
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("the folder for temporary files holds %v (%v), want nothing", left, err)
	}
}

func TestALongFormThatWasReadBeforeIsTooLargeAllTheSame(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{http: nethttp.Config{Limits: nethttp.Limits{Request: 2000}}})
	inner := a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.PostFormValue("csrf_token")
		inner.ServeHTTP(w, r)
	})
	b := newBody().file("file", "a.txt", bytes.Repeat([]byte("x"), 3000))
	_ = b.w.Close()
	res := a.post(t, b.w.FormDataContentType(), iotest.DataErrReader(&b.Buffer)) // without a length
	res.want(t, http.StatusRequestEntityTooLarge, core.ErrTooLarge)
}

func TestUploadsWaitsForTheStoreOfEveryField(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	other, err := core.Open(core.Config{
		Endpoint: "127.0.0.1:1", AccessKey: "a", SecretKey: "s", SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	field := other.Field(core.FieldConfig{Name: "other", Bucket: "others"})
	hook := other.Startup(core.StartupConfig{Mode: core.Background})
	if err := hook.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Stop(context.WithoutCancel(t.Context())) })
	for name, fields := range map[string][]*core.Field{"first": {field, a.field}, "last": {a.field, field}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		if err := (nethttp.Config{}).Receiver(fields...).Receive(httptest.NewRecorder(), r); core.KindOf(err) != core.ErrUnavailable {
			t.Errorf("with the store that is not ready %s, the error is %v, want ErrUnavailable", name, err)
		}
	}
}

func TestFaultyFieldsOfARouteAreReported(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	upper := a.store.Field(core.FieldConfig{Name: "FILE", Bucket: a.bucket})
	box := a.store.Field(core.FieldConfig{Name: "file-clear", Bucket: a.bucket})
	for name, fields := range map[string][]*core.Field{
		"a field that is nil": {nil}, "names that differ in case": {a.field, upper}, "the name of a clear box": {box, a.field},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if err := (nethttp.Config{}).Receiver(fields...).Receive(w, r); core.KindOf(err) != core.ErrConfig {
			t.Errorf("%s: the error is %v, want ErrConfig", name, err)
		}
	}
}

func TestAFormWhosePartsSomebodyElseReadsIsAFaultOfTheApp(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	inner := a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.MultipartReader(); err != nil {
			t.Error(err)
		}
		inner.ServeHTTP(w, r)
	})
	newBody().file("file", "a.txt", []byte("x")).post(t, a).want(t, http.StatusInternalServerError, core.ErrConfig)
}

func TestFieldsThatCannotStandTogetherRefuseEveryRequest(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	twin := a.store.Field(core.FieldConfig{Name: "file", Model: "other", Bucket: a.bucket})
	faulty := a.store.Field(core.FieldConfig{Name: "", Bucket: a.bucket})
	for name, uploads := range map[string]func(http.Handler) http.Handler{
		"two of one name": nethttp.Uploads(a.field, twin), "one with faults": nethttp.Uploads(faulty),
	} {
		a.Config.Handler = uploads(http.NotFoundHandler())
		res := newBody().text("title", "x").post(t, a)
		if res.status != http.StatusInternalServerError {
			t.Errorf("%s: status is %d, want 500", name, res.status)
		}
		if strings.Contains(res.body, a.bucket) {
			t.Errorf("%s: the answer %s names the bucket", name, res.body)
		}
	}
}

// dial opens a connection to the app that a test's end closes.
func dial(t testing.TB, a *app) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", a.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// sendRaw sends a request byte by byte as given, and takes an answer that comes
// before all of it was sent.
func sendRaw(t testing.TB, a *app, method, contentType string, more http.Header, body string) *answer {
	t.Helper()
	conn := dial(t, a)
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n", method, contentType, len(body))
	_ = more.Write(&head)
	head.WriteString("\r\n")
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, io.MultiReader(&head, strings.NewReader(body)))
		sent <- err
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(errors.Join(err, <-sent))
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}
