package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

const fileDisposition = "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n"

// brokenBodies are bodies that break the rules. They are made when they are sent:
// some are large.
var brokenBodies = []struct {
	name        string
	contentType string // "": formType
	body        func() string
	status      int
	kind        core.Kind
}{
	{"U1 an empty body that does not end", "", func() string { return "--B" }, 400, core.ErrMalformed},
	{"plain text by its type", "text/plain", oneFile, 415, core.ErrType},
	{"another multipart type", "multipart/mixed; boundary=B", oneFile, 415, core.ErrType},
	{"a type that only starts alike", "multipart/form-datax; boundary=B", oneFile, 415, core.ErrType},
	{"U2 no boundary", "multipart/form-data", oneFile, 400, core.ErrMalformed},
	{"U2 an empty boundary", "multipart/form-data; boundary=", oneFile, 400, core.ErrMalformed},
	{"U2 an empty boundary in quotes", `multipart/form-data; boundary=""`, oneFile, 400, core.ErrMalformed},
	{"U2 a boundary beyond ASCII", "multipart/form-data; boundary=\u00e9", oneFile, 400, core.ErrMalformed},
	{"U2 a boundary of 71 characters", "multipart/form-data; boundary=" + strings.Repeat("B", 71), oneFile, 400, core.ErrMalformed},
	{"U2 a boundary of 300 characters", "multipart/form-data; boundary=" + strings.Repeat("B", 300), oneFile, 400, core.ErrMalformed},
	{"U2 two boundaries", "multipart/form-data; boundary=B; boundary=C", oneFile, 400, core.ErrMalformed},
	{"an encoded boundary", "multipart/form-data; boundary*=UTF-8''B", oneFile, 400, core.ErrMalformed},
	{"U2 a boundary that ends in a space", `multipart/form-data; boundary="B "`, oneFile, 400, core.ErrMalformed},
	{"U3 another boundary than announced", "multipart/form-data; boundary=C", oneFile, 400, core.ErrMalformed},

	{"U4 two dispositions", "", raw(fileDisposition + `Content-Disposition: form-data; name="other"`), 400, core.ErrMalformed},
	{"U6 a header without a colon", "", raw(fileDisposition + "X-No-Colon"), 400, core.ErrMalformed},
	{"a space before the colon", "", raw(strings.Replace(fileDisposition, ":", " :", 1) + "X: y"), 400, core.ErrMalformed},
	{"another disposition", "", raw(`Content-Disposition: attachment; name="file"; filename="a.txt"`), 400, core.ErrMalformed},
	{"U14 base64", "", raw(fileDisposition + "Content-Transfer-Encoding: base64"), 400, core.ErrMalformed},
	{"U14 base64 with megabytes of spaces", "", func() string {
		return part(fileDisposition+"Content-Transfer-Encoding: base64", strings.Repeat(" ", 2<<20)+"eA==") + "--B--"
	}, 400, core.ErrMalformed},
	{"U14 quoted-printable", "", raw(fileDisposition + "Content-Transfer-Encoding: Quoted-Printable"), 400, core.ErrMalformed},
	{"U5 a field's name of 10,000 bytes", "", raw(`Content-Disposition: form-data; name="` + strings.Repeat("n", 10_000) + `"`), 400, core.ErrMalformed},
	{"U5 a field's name with a NUL", "", raw("Content-Disposition: form-data; name=\"a\x00b\""), 400, core.ErrMalformed},
	{"U5 an encoded field's name with a NUL", "", raw("Content-Disposition: form-data; name*=UTF-8''a%00b"), 400, core.ErrMalformed},

	{"U6 10,001 headers", "", raw(fileDisposition + strings.Repeat("X: y\r\n", 10_001) + "X: y"), 413, core.ErrTooLarge},
	{"U6 a header of 11 MB", "", func() string { return part(fileDisposition+"X: "+strings.Repeat("y", 11<<20), "x") + "--B--" }, 413, core.ErrTooLarge},
	{"U6 a folded header of 11 MB", "", func() string { return part(fileDisposition+"X: y"+strings.Repeat("\r\n y", 11<<18), "x") + "--B--" }, 413, core.ErrTooLarge},
	{"U6 a header just over the limit", "", raw(fileDisposition + "X: " + strings.Repeat("y", 16<<10)), 413, core.ErrTooLarge},
	{"U3 a preamble of a megabyte", "", func() string { return strings.Repeat("p", 1<<20) + "\r\n" + oneFile() }, 400, core.ErrMalformed},
	{"U7 1,001 values", "", func() string { return strings.Repeat(titlePart, 1001) + "--B--" }, 413, core.ErrTooMany},
	{"U7 100,000 parts", "", func() string { return strings.Repeat(titlePart, 100_000) + "--B--" }, 413, core.ErrTooMany},
	{"U7 10,000 inputs without a file", "", func() string {
		return strings.Repeat(part(`Content-Disposition: form-data; name="file"; filename=""`, ""), 10_000) + "--B--"
	}, 413, core.ErrTooMany},
	{"U7 10,000 parts without a name", "", func() string { return strings.Repeat("--B\r\nX: y\r\n\r\n\r\n", 10_000) + "--B--" }, 413, core.ErrTooMany},
	{"U10 a value of 11 MB", "", func() string {
		return part(`Content-Disposition: form-data; name="title"`, strings.Repeat("x", 11<<20)) + "--B--"
	}, 413, core.ErrTooLarge},
	{"U10 many values of 3 MiB together", "", func() string {
		return strings.Repeat(part(`Content-Disposition: form-data; name="title"`, strings.Repeat("x", 64<<10)), 48) + "--B--"
	}, 413, core.ErrTooLarge},
}

func oneFile() string { return filePart("content") + "--B--" }

// raw makes a body of one part with these headers.
func raw(header string) func() string {
	return func() string { return part(header, "x") + "--B--" }
}

// soundBodies are odd bodies within the rules.
var soundBodies = []struct {
	name        string
	contentType string // "": formType
	body        func() string
	content     string     // of the file; "": no file
	values      url.Values // beside it
}{
	{"an empty body", "", func() string { return "" }, "", nil},
	{"U2 a boundary in quotes with odd characters", `multipart/form-data; charset=utf-8; Boundary="B=_'()+,./:? B"`, func() string {
		return strings.ReplaceAll(oneFile(), "--B", "--B=_'()+,./:? B")
	}, "content", nil},
	{"a final boundary alone", "", func() string { return "--B--" }, "", nil},
	{"a final boundary and a line end", "", func() string { return "--B--\r\n" }, "", nil},
	{"U3 a preamble and an epilogue", "", func() string {
		return "This is a form.\r\n" + filePart("content") + "--B--\r\nand this its end\r\n--B\r\n"
	}, "content", nil},
	{"U3 an epilogue of a megabyte", "", func() string { return oneFile() + "\r\n" + strings.Repeat("e", 1<<20) }, "content", nil},
	{"U3 line feeds alone", "", func() string { return strings.ReplaceAll(oneFile()+"\r\n", "\r\n", "\n") }, "content", nil},
	{"a part without a disposition", "", func() string { return part("X: y", "lost") + oneFile() }, "content", nil},
	{"U5 a part without a name", "", func() string { return part("Content-Disposition: form-data", "lost") + oneFile() }, "content", nil},
	{"U5 a part with an empty name", "", func() string { return part(`Content-Disposition: form-data; name=""`, "lost") + oneFile() }, "content", nil},
	{"U8 a length in a part's header that lies", "", func() string { return part(fileDisposition+"Content-Length: 3", "content") + "--B--" }, "content", nil},
	{"a binary transfer encoding", "", func() string { return part(fileDisposition+"Content-Transfer-Encoding: binary", "content") + "--B--" }, "content", nil},
	{"U2 a boundary of 70 characters", "multipart/form-data; boundary=" + strings.Repeat("B", 70), func() string {
		return strings.ReplaceAll(oneFile(), "--B", "--"+strings.Repeat("B", 70))
	}, "content", nil},
	{"U2 content that looks like a boundary", "", func() string { return filePart("a--B--\r\n--b\r\n --B\r\n\r\n-B") + "--B--" }, "a--B--\r\n--b\r\n --B\r\n\r\n-B", nil},
	{"spaces behind a boundary", "", func() string { return strings.Replace(filePart("content"), "--B\r", "--B \t\r", 1) + "--B-- " }, "content", nil},
	{"U7 1,000 values", "", func() string { return strings.Repeat(titlePart, 1000) + "--B--" }, "", url.Values{"title": slices.Repeat([]string{"x"}, 1000)}},
	{"U5 names that look like paths", "", func() string {
		return strings.ReplaceAll(titlePart, "title", "a[]") + strings.ReplaceAll(titlePart, "title", "../x") + "--B--"
	}, "", url.Values{"a[]": {"x"}, "../x": {"x"}}},
	{"values of any bytes", "", func() string {
		return part(`Content-Disposition: form-data; name="title"`, "\x00\xff\r\n'\"<é") + "--B--"
	}, "", url.Values{"title": {"\x00\xff\r\n'\"<é"}}},
}

func structure(t *testing.T, s *suite) {
	broken := s.app(t, options{})
	for _, c := range brokenBodies {
		t.Run(c.name, func(t *testing.T) {
			broken.sendRaw(t, orForm(c.contentType), nil, c.body()).want(t, c.status, c.kind)
		})
	}
	t.Run("nothing of a broken body is seen or stays", func(t *testing.T) {
		broken.unseen(t)
		broken.settles(t, 0)
	})
	sound := s.app(t, options{})
	for _, c := range soundBodies {
		t.Run(c.name, func(t *testing.T) {
			sound.sendRaw(t, orForm(c.contentType), nil, c.body()).want(t, http.StatusCreated, 0)
			form := sound.saw(t).form
			if c.content != "" {
				token, err := sound.file.Verify(form.Get("file"))
				if err != nil {
					t.Fatalf("the handler saw %.300v: %v", form, err)
				}
				if got := sound.read(t, token.Object.Key); got != c.content {
					t.Errorf("stored %q, want %q", got, c.content)
				}
				form.Del("file")
			}
			if fmt.Sprint(form) != fmt.Sprint(c.values) && len(form)+len(c.values) > 0 {
				t.Errorf("the other values are %.200v, want %.200v", form, c.values)
			}
		})
	}
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"several files of a field keep their order", filesKeepTheirOrder},
		{"an UploadTo sees the text sent before", uploadToSeesText},
		{"an input whose name ends in a field's brings its files", nestedInputs},
		{"U15 a form that is compressed as a whole is refused", compressedForms},
		{"a request with two types is refused", twoContentTypes},
		{"U9 a form without a length is taken", formsWithoutLength},
		{"U9 a length that is none is refused", lengthsThatAreNone},
		{"the query has no say in a field", queriesHaveNoSay},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

func orForm(contentType string) string {
	if contentType == "" {
		return formType
	}
	return contentType
}

func filesKeepTheirOrder(t *testing.T, s *suite) {
	a := s.app(t, options{files: core.FieldConfig{MaxFiles: 3}})
	kept := a.keep(t, a.files, "kept.txt", "kept")
	newBody().upload("files", "first.txt", "first").text("files", a.files.Sign(kept, "")).
		upload("files", "second.txt", "second").post(t, a).want(t, http.StatusCreated, 0)
	var names []string
	for _, f := range a.saw(t).bound.Files {
		names = append(names, f.Name()+" holds "+a.read(t, f.Key()))
	}
	if want := []string{"first.txt holds first", "kept.txt holds kept", "second.txt holds second"}; !slices.Equal(names, want) {
		t.Errorf("bound %q, want %q", names, want)
	}
}

func uploadToSeesText(t *testing.T, s *suite) {
	texts := make(chan string, 1)
	a := s.app(t, options{file: core.FieldConfig{UploadTo: func(n core.Naming) (string, error) {
		texts <- fmt.Sprint(n.Form)
		return core.RandomName(n)
	}}})
	newBody().text("album", "rome").text("tag", "a").text("tag", "b").upload("file", "a.txt", "x").text("late", "y").
		post(t, a).want(t, http.StatusCreated, 0)
	if got, want := <-texts, "map[album:[rome] tag:[a b]]"; got != want {
		t.Errorf("UploadTo saw %s, want %s", got, want)
	}
}

func nestedInputs(t *testing.T, s *suite) {
	forms := make(chan url.Values, 1)
	a := s.app(t, options{http: nethttp.Config{Nested: true}, raw: func(_ *app, c Call) error {
		forms <- c.Request().PostForm // of such names every binder makes something else
		return c.Answer(http.StatusCreated, nil)
	}})
	newBody().upload("items.0.file", "0.txt", "0").upload("items[1].FILE", "1.txt", "1").upload("file", "2.txt", "2").
		text("items.3.file-clear", "on").text("items.4.file", "no token, and none of ours").post(t, a).want(t, http.StatusCreated, 0)
	form := <-forms
	for i, name := range []string{"items.0.file", "items[1].file", "file"} {
		token, err := a.file.Verify(form.Get(name))
		if err != nil || len(form[name]) != 1 || a.read(t, token.Object.Key) != fmt.Sprint(i) {
			t.Errorf("%s is %q (%v), want the token of the file sent", name, form[name], err)
		}
	}
	if got := form["items.3.file"]; len(got) != 1 || got[0] != "" || form.Get("items.4.file") == "" {
		t.Errorf("the form is %v, want the third cleared and the fourth's text as it was", form)
	}
	newBody().upload("items.0.file", "0.txt", "").post(t, a).want(t, http.StatusUnprocessableEntity, core.ErrEmpty)
	a.holds(t, 3)
	usual := s.app(t, options{}) // nobody would bind it, and it would stay
	newBody().upload("nowhere.file", "a.txt", "x").post(t, usual).wantFault(t, "nowhere.file", "invalid", "No file is expected here.")
	usual.holds(t, 0)
}

func compressedForms(t *testing.T, s *suite) {
	a := s.app(t, options{})
	for encoding, status := range map[string]int{"gzip": 415, "deflate": 415, "br, gzip": 415, "Identity": 201} {
		res := a.sendRaw(t, formType, http.Header{"Content-Encoding": {encoding}}, oneFile())
		if res.status != status {
			t.Errorf("Content-Encoding %s: status is %d, want %d", encoding, res.status, status)
		}
	}
	a.holds(t, 1)
}

func twoContentTypes(t *testing.T, s *suite) {
	a := s.app(t, options{})
	header := http.Header{"Content-Type": {"multipart/form-data; boundary=C"}}
	a.sendRaw(t, formType, header, oneFile()).want(t, http.StatusBadRequest, core.ErrMalformed)
	a.holds(t, 0)
}

func formsWithoutLength(t *testing.T, s *suite) {
	a := s.app(t, options{})
	for name, size := range map[string]int{"of a small file": 100, "of a long file": 7 << 20} {
		t.Run(name, func(t *testing.T) {
			content := strings.Repeat("c", size)
			// A reader of no known type has net/http send chunks.
			a.post(t, formType, iotest.HalfReader(strings.NewReader(filePart(content)+"--B--"))).want(t, http.StatusCreated, 0)
			if got := a.read(t, a.stored(t).Key); got != content {
				t.Errorf("%d bytes were stored, want the %d sent", len(got), size)
			}
		})
	}
	t.Run("and its limit holds", func(t *testing.T) {
		a := s.app(t, options{http: nethttp.Config{Limits: nethttp.Limits{Request: 1 << 20}}})
		text := filePart(strings.Repeat("c", 1<<20)) + "--B--"
		conn := a.dial(t)
		go func() {
			_, _ = io.WriteString(conn, a.head(formType, "", http.Header{"Transfer-Encoding": {"chunked"}}))
			_, _ = fmt.Fprintf(conn, "%x\r\n%s\r\n0\r\n\r\n", len(text), text) // cut short by the answer
		}()
		res := answerOn(t, conn)
		res.want(t, http.StatusRequestEntityTooLarge, core.ErrTooLarge)
		a.settles(t, 0)
	})
}

func lengthsThatAreNone(t *testing.T, s *suite) {
	a := s.app(t, options{})
	for _, length := range []string{"-1", "9223372036854775808", "ten", "10, 11"} {
		conn := a.dial(t)
		if _, err := io.WriteString(conn, a.head(formType, length, nil)+"--B--"); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 400 ") {
			t.Errorf("Content-Length %s: the answer is %q (%v), want 400", length, line, err)
		}
	}
	t.Run("and one that is short ends the form early", func(t *testing.T) {
		conn := a.dial(t)
		if _, err := io.WriteString(conn, a.head(formType, "60", nil)+oneFile()); err != nil {
			t.Fatal(err)
		}
		res := answerOn(t, conn)
		res.want(t, http.StatusBadRequest, core.ErrMalformed)
		a.settles(t, 0)
	})
}

func queriesHaveNoSay(t *testing.T, s *suite) {
	a := s.app(t, options{})
	token := url.QueryEscape(a.file.Sign(a.keep(t, a.file, "kept.txt", "kept"), ""))
	contentType, text := newBody().text("title", "x").done()
	for _, query := range []string{"?file=" + token, "?File=" + token, "?file=some/key.txt"} {
		res := a.send(t, http.MethodPost, "/"+query, http.Header{"Content-Type": {contentType}}, strings.NewReader(text))
		res.want(t, http.StatusCreated, 0)
		if s := a.saw(t); !s.bound.File.IsZero() || s.bound.Title != "x" {
			t.Errorf("%.12s: bound %+v, want the title alone", query, s.bound)
		}
	}
}
