package nethttp_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

func TestABodyThatIsCutOffLeavesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	whole := titlePart + filePart("the content of a file") + titlePart + "--B--"
	a.post(t, formType, strings.NewReader(whole)).want(t, http.StatusCreated, 0)
	if err := a.field.Delete(t.Context(), a.stored(t).Key); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ {
		res := a.post(t, formType, strings.NewReader(whole[:n]))
		if res.status != http.StatusBadRequest {
			t.Errorf("the first %d of %d bytes, to %q: status is %d, want 400", n, len(whole), whole[max(0, n-20):n], res.status)
		}
	}
	a.leftovers(t)
	if len(a.form) > 0 {
		t.Errorf("the handler saw %v of a body that was cut off", <-a.form)
	}
}

func TestALongFileThatIsCutOffLeavesNothing(t *testing.T) {
	t.Parallel()
	whole := filePart(strings.Repeat("x", 11<<20)) + "--B--\r\n" // three parts in storage
	ends := map[string]int{
		"in the middle": 7 << 20, "right behind the content": len(whole) - len("\r\n--B--\r\n"),
		"behind a line end": len(whole) - len("--B--\r\n"), "inside the final boundary": len(whole) - len("--\r\n"),
		"before the final boundary's last dash": len(whole) - len("-\r\n"),
	}
	for name, n := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{field: func(c *core.FieldConfig) { c.MaxSize = 20 << 20 }})
			a.post(t, formType, strings.NewReader(whole[:n])).want(t, http.StatusBadRequest, core.ErrMalformed)
			a.leftovers(t)
		})
	}
}

func TestABodyThatBreaksTheRulesIsRefused(t *testing.T) {
	t.Parallel()
	file := filePart("content")
	disposition := "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n"
	cases := []struct {
		name        string
		contentType string // "": formType
		body        string
		status      int
		kind        core.Kind
	}{
		{"plain text by its type", "text/plain", file + "--B--", 415, core.ErrType},
		{"another multipart type", "multipart/mixed; boundary=B", file + "--B--", 415, core.ErrType},
		{"a type that only starts alike", "multipart/form-datax; boundary=B", file + "--B--", 415, core.ErrType},
		{"no boundary", "multipart/form-data", file + "--B--", 400, core.ErrMalformed},
		{"an empty boundary", "multipart/form-data; boundary=", file + "--B--", 400, core.ErrMalformed},
		{"an empty boundary in quotes", `multipart/form-data; boundary=""`, file + "--B--", 400, core.ErrMalformed},
		{"a boundary beyond ASCII", "multipart/form-data; boundary=\u00e9", file + "--B--", 400, core.ErrMalformed},
		{"a boundary of 71 characters", "multipart/form-data; boundary=" + strings.Repeat("B", 71), file + "--B--", 400, core.ErrMalformed},
		{"a boundary of 300 characters", "multipart/form-data; boundary=" + strings.Repeat("B", 300), file + "--B--", 400, core.ErrMalformed},
		{"two boundaries", "multipart/form-data; boundary=B; boundary=C", file + "--B--", 400, core.ErrMalformed},
		{"an encoded boundary", "multipart/form-data; boundary*=UTF-8''B", file + "--B--", 400, core.ErrMalformed},
		{"a boundary that ends in a space", `multipart/form-data; boundary="B "`, file + "--B--", 400, core.ErrMalformed},
		{"another boundary than announced", "multipart/form-data; boundary=C", file + "--B--", 400, core.ErrMalformed},

		{"two dispositions", "", part(disposition+`Content-Disposition: form-data; name="other"`, "x") + "--B--", 400, core.ErrMalformed},
		{"a header without a colon", "", part(disposition+"X-No-Colon", "x") + "--B--", 400, core.ErrMalformed},
		{"a space before the colon", "", part(strings.Replace(disposition, ":", " :", 1)+"X: y", "x") + "--B--", 400, core.ErrMalformed},
		{"another disposition", "", part(`Content-Disposition: attachment; name="file"; filename="a.txt"`, "x") + "--B--", 400, core.ErrMalformed},
		{"base64", "", part(disposition+"Content-Transfer-Encoding: base64", "Y29udGVudA==") + "--B--", 400, core.ErrMalformed},
		{"quoted-printable", "", part(disposition+"Content-Transfer-Encoding: Quoted-Printable", "a=3Db") + "--B--", 400, core.ErrMalformed},
		{"a field's name of 10,000 bytes", "", part(`Content-Disposition: form-data; name="`+strings.Repeat("n", 10_000)+`"`, "x") + "--B--", 400, core.ErrMalformed},
		{"a field's name with a NUL", "", part("Content-Disposition: form-data; name=\"a\x00b\"", "x") + "--B--", 400, core.ErrMalformed},
		{"an encoded field's name with a NUL", "", part("Content-Disposition: form-data; name*=UTF-8''a%00b", "x") + "--B--", 400, core.ErrMalformed},

		{"10,001 headers", "", part(disposition+strings.Repeat("X: y\r\n", 10_001)+"X: y", "x") + "--B--", 413, core.ErrTooLarge},
		{"a header of 11 MB", "", part(disposition+"X: "+strings.Repeat("y", 11<<20), "x") + "--B--", 413, core.ErrTooLarge},
		{"a folded header of 11 MB", "", part(disposition+"X: y"+strings.Repeat("\r\n y", 11<<18), "x") + "--B--", 413, core.ErrTooLarge},
		{"a header just over the limit", "", part(disposition+"X: "+strings.Repeat("y", 16<<10), "x") + "--B--", 413, core.ErrTooLarge},
		{"a preamble of a megabyte", "", strings.Repeat("p", 1<<20) + "\r\n" + file + "--B--", 400, core.ErrMalformed},
		{"1,001 values", "", strings.Repeat(titlePart, 1001) + "--B--", 413, core.ErrTooMany},
		{"100,000 parts", "", strings.Repeat(titlePart, 100_000) + "--B--", 413, core.ErrTooMany},
		{"10,000 inputs without a file", "", strings.Repeat(part(`Content-Disposition: form-data; name="file"; filename=""`, ""), 10_000) + "--B--", 413, core.ErrTooMany},
		{"10,000 parts without a name", "", strings.Repeat("--B\r\nX: y\r\n\r\n\r\n", 10_000) + "--B--", 413, core.ErrTooMany},
		{"a value of 11 MB", "", part(`Content-Disposition: form-data; name="title"`, strings.Repeat("x", 11<<20)) + "--B--", 413, core.ErrTooLarge},
		{"many values of 3 MiB together", "", strings.Repeat(part(`Content-Disposition: form-data; name="title"`, strings.Repeat("x", 64<<10)), 48) + "--B--", 413, core.ErrTooLarge},
	}
	a := newApp(t, appConfig{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			contentType, body := c.contentType, c.body
			if contentType == "" {
				contentType = formType
			}
			if contentType == "text/plain" {
				// Not a form: the handler decides, and here it binds.
				b := newApp(t, appConfig{handler: func(_ http.ResponseWriter, r *http.Request) error {
					return nethttp.Bind(r, &struct{}{})
				}})
				b.post(t, contentType, strings.NewReader(body)).want(t, c.status, c.kind)
				return
			}
			// The server may answer, and close, while the body is still being sent.
			res := sendRaw(t, a, "POST", contentType, nil, body)
			res.want(t, c.status, c.kind)
		})
	}
	t.Cleanup(func() {
		if len(a.form) > 0 {
			t.Errorf("the handler saw %d forms, want none", len(a.form))
		}
	})
}

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

func TestSeveralFilesOfAFieldKeepTheirOrder(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{field: func(c *core.FieldConfig) { c.MaxFiles = 3 }})
	kept, err := a.field.Save(t.Context(), core.Upload{Body: strings.NewReader("kept"), Name: "kept.txt"})
	if err != nil {
		t.Fatal(err)
	}
	newBody().file("file", "first.txt", []byte("first")).text("file", a.field.Sign(kept, "")).
		file("file", "second.txt", []byte("second")).post(t, a).want(t, http.StatusCreated, 0)
	var names []string
	for _, text := range (<-a.form)["file"] {
		token, err := a.field.Verify(text)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, token.Object.Name+" holds "+read(t, a, token.Object.Key))
	}
	want := []string{"first.txt holds first", "kept.txt holds kept", "second.txt holds second"}
	if !slices.Equal(names, want) {
		t.Errorf("the tokens stand for %q, want %q", names, want)
	}
	newBody().file("file", "1.txt", []byte("1")).text("file", a.field.Sign(kept, "")).text("file", a.field.Sign(kept, "")).
		file("file", "2.txt", []byte("2")).post(t, a).want(t, http.StatusRequestEntityTooLarge, core.ErrTooMany)
}

func TestAnUploadToSeesTheTextSentBefore(t *testing.T) {
	t.Parallel()
	seen := make(chan url.Values, 2)
	a := newApp(t, appConfig{field: func(c *core.FieldConfig) {
		c.UploadTo = func(n core.Naming) (string, error) {
			copied := url.Values{}
			for name, values := range n.Form {
				copied[name] = slices.Clone(values)
			}
			seen <- copied
			return core.RandomName(n)
		}
	}})
	newBody().text("album", "rome").text("tag", "a").text("tag", "b").file("file", "a.txt", []byte("x")).text("late", "y").
		post(t, a).want(t, http.StatusCreated, 0)
	if got, want := fmt.Sprint(<-seen), "map[album:[rome] tag:[a b]]"; got != want {
		t.Errorf("UploadTo saw %s, want %s", got, want)
	}
}

func TestACompressedFormIsRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	for encoding, status := range map[string]int{"gzip": 415, "deflate": 415, "br, gzip": 415, "Identity": 201} {
		res := sendRaw(t, a, "POST", formType, http.Header{"Content-Encoding": {encoding}}, filePart("content")+"--B--")
		if res.status != status {
			t.Errorf("Content-Encoding %s: status is %d, want %d", encoding, res.status, status)
		}
	}
}

func TestARequestWithTwoContentTypesIsRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	header := http.Header{"Content-Type": {"multipart/form-data; boundary=C"}}
	sendRaw(t, a, "POST", formType, header, filePart("content")+"--B--").want(t, http.StatusBadRequest, core.ErrMalformed)
	a.leftovers(t)
}

func TestAFormWithoutALengthIsTaken(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"of a small file": 100, "of a long file": 7 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{})
			content := strings.Repeat("c", size)
			// A reader of no known type has net/http send chunks.
			a.post(t, formType, iotest.HalfReader(strings.NewReader(filePart(content)+"--B--"))).want(t, http.StatusCreated, 0)
			if got := read(t, a, a.stored(t).Key); got != content {
				t.Errorf("%d bytes were stored, want the %d sent", len(got), size)
			}
		})
	}
	t.Run("and its limit holds", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, appConfig{http: nethttp.Config{Limits: nethttp.Limits{Request: 1 << 20}}})
		body := iotest.HalfReader(strings.NewReader(filePart(strings.Repeat("c", 1<<20)) + "--B--"))
		a.post(t, formType, body).want(t, http.StatusRequestEntityTooLarge, core.ErrTooLarge)
		a.leftovers(t)
	})
}

func TestALengthThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	for _, length := range []string{"-1", "9223372036854775808", "ten", "10, 11"} {
		conn := dial(t, a)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n--B--", formType, length)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("Content-Length %s: status is %s, want 400", length, res.Status)
		}
	}
}

func TestAClientThatAsksFirstIsAnsweredBeforeItSends(t *testing.T) {
	t.Parallel()
	boom := &core.Error{Kind: core.ErrName, Op: "test"}
	cases := []struct {
		name   string
		length int64
		header string
		guard  bool // something before Uploads refuses the request
		status string
	}{
		{"with a length over the limit", 1 << 40, "", false, "413"},
		{"with a form that is compressed", 100, "Content-Encoding: gzip\r\n", false, "415"},
		{"where the app refuses it first", 100, "", true, "400"},
		{"and may send what is within", 100, "", false, "100"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appConfig{})
			if c.guard {
				a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					nethttp.WriteError(w, r, boom)
				})
			}
			conn := dial(t, a)
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n%s\r\n", formType, c.length, c.header)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(line, "HTTP/1.1 "+c.status+" ") {
				t.Errorf("the first answer is %q, want %s", line, c.status)
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
