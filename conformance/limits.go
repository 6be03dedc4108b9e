package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

func limited(l nethttp.Limits) options { return options{http: nethttp.Config{Limits: l}} }

// limitCases are bodies at, below and above a limit.
var limitCases = []struct {
	name    string
	options options
	body    func() *body
	status  int
}{
	{"text of 11 counted bytes under a limit of 10", limited(nethttp.Limits{Text: 10}), nameAndValue, 413},
	{"text of 11 counted bytes under a limit of 11", limited(nethttp.Limits{Text: 11}), nameAndValue, 201},
	{"text without a limit of its own", limited(nethttp.Limits{}), nameAndValue, 201},
	{"a file under a text limit of 1", limited(nethttp.Limits{Text: 1}), func() *body { return newBody().upload("file", "a.txt", "content") }, 201},
	{"two fields where one is allowed", limited(nethttp.Limits{Fields: 1}), func() *body { return newBody().text("a", "1").text("b", "2") }, 413},
	{"two fields where two are allowed", limited(nethttp.Limits{Fields: 2}), func() *body { return newBody().text("a", "1").text("b", "2") }, 201},
	{"two files where one is allowed", limited(nethttp.Limits{Files: 1}), func() *body { return newBody().upload("files", "a", "1").upload("files", "b", "2") }, 413},
	{"two files where two are allowed", limited(nethttp.Limits{Files: 2}), func() *body { return newBody().upload("files", "a", "1").upload("files", "b", "2") }, 201},
	{"two files of two fields where one is allowed", limited(nethttp.Limits{Files: 1}), func() *body { return newBody().upload("file", "a", "1").upload("files", "b", "2") }, 413},
	{"U8 a file one byte under the limit", options{file: core.FieldConfig{MaxSize: 10}}, ofSize(9), 201},
	{"U8 a file at the limit", options{file: core.FieldConfig{MaxSize: 10}}, ofSize(10), 201},
	{"U8 a file one byte over the limit", options{file: core.FieldConfig{MaxSize: 10}}, ofSize(11), 413},
	{"U8 a long file at the limit", options{file: core.FieldConfig{MaxSize: 6 << 20}}, ofSize(6 << 20), 201},
	{"U8 a long file one byte over the limit", options{file: core.FieldConfig{MaxSize: 6 << 20}}, ofSize(6<<20 + 1), 413},
	{"a body over the request's limit", limited(nethttp.Limits{Request: 1 << 20}), ofSize(1 << 20), 413},
	{"U10 a value of 2.5 MiB with its name", options{}, func() *body { return newBody().text("title", strings.Repeat("x", 5<<19-7)) }, 201},
	{"U10 a value of one byte more", options{}, func() *body { return newBody().text("title", strings.Repeat("x", 5<<19-6)) }, 413},
}

func nameAndValue() *body { return newBody().text("name", "value") }

func ofSize(n int) func() *body {
	return func() *body { return newBody().upload("file", "a.txt", strings.Repeat("x", n)) }
}

func limits(t *testing.T, s *suite) {
	for _, c := range limitCases {
		t.Run(c.name, func(t *testing.T) {
			a := s.app(t, c.options)
			contentType, text := c.body().done()
			res := a.sendRaw(t, contentType, nil, text)
			kind := core.Kind(0)
			if c.status == http.StatusRequestEntityTooLarge {
				kind = core.ErrTooLarge
				if strings.HasPrefix(c.name, "two ") {
					kind = core.ErrTooMany
				}
			}
			res.want(t, c.status, kind)
			if c.status != http.StatusCreated {
				a.unseen(t)
				a.settles(t, 0)
			}
		})
	}
	for _, c := range []struct {
		name   string
		limits nethttp.Limits
		status int
	}{
		{"an urlencoded body of 13 bytes under a limit of 12", nethttp.Limits{Text: 12}, 413},
		{"an urlencoded body of 13 bytes under a limit of 13", nethttp.Limits{Text: 13}, 201},
		{"three urlencoded values where two are allowed", nethttp.Limits{Fields: 2}, 413},
		{"three urlencoded values where three are allowed", nethttp.Limits{Fields: 3}, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.app(t, limited(c.limits)).post(t, encodedType, strings.NewReader("a=1&a=2&a=3\r\n")).want(t, c.status, 0)
		})
	}
	t.Run("a length over the limit is refused before the body is sent", func(t *testing.T) {
		a := s.app(t, options{})
		conn := a.dial(t)
		if _, err := fmt.Fprint(conn, a.head(formType, fmt.Sprint(core.GiB), nil)); err != nil {
			t.Fatal(err)
		}
		res := answerOn(t, conn)
		res.want(t, http.StatusRequestEntityTooLarge, core.ErrTooLarge)
		if !res.closes {
			t.Error("the connection stays open for a body that nobody reads, want it closed")
		}
	})
	t.Run("U10 JSON over the text limit is refused", func(t *testing.T) {
		a := s.app(t, options{})
		res := a.sendRaw(t, jsonType, nil, `{"title":"`+strings.Repeat("x", 3<<20)+`"}`)
		res.want(t, http.StatusRequestEntityTooLarge, core.ErrTooLarge)
		a.unseen(t)
	})
}

func extensions(t *testing.T, s *suite) {
	const allowed = " is not allowed. Allowed extensions are: "
	for _, c := range []struct {
		allowed []string
		name    string
		refused string // the message; "": accepted
	}{
		{[]string{"txt"}, "x.jpg", "File extension “jpg”" + allowed + "txt."},
		{[]string{"txt"}, "x.JPG", ""},
		{[]string{"txt"}, "x", "File extension “”" + allowed + "txt."},
		{[]string{"txt", "md"}, "x.jpg", "File extension “jpg”" + allowed + "txt, md."},
		{[]string{""}, "x.txt", "File extension “txt”" + allowed + "."},
		{[]string{""}, "x", ""},
		{[]string{}, "x.txt", "File extension “txt”" + allowed + "."},
		{[]string{}, "x", "File extension “”" + allowed + "."},
		{nil, "x.jpg", ""},
		{nil, "x", ""},
		{[]string{"txt"}, "file.txt", ""},
		{[]string{"TXT"}, "file.txt", ""},
		{[]string{"txt"}, "file.TXT", ""},
		{[]string{"txt"}, "file.jpg.txt", ""},
		{[]string{"txt"}, ".txt", "File extension “”" + allowed + "txt."},
		{[]string{"jpg", "png"}, "x.PNG", ""},
		{[]string{"jpg", "png"}, "x.txt", "File extension “txt”" + allowed + "jpg, png."},
	} {
		t.Run(fmt.Sprintf("%s where %q is allowed", c.name, c.allowed), func(t *testing.T) {
			a := s.app(t, options{file: core.FieldConfig{Extensions: c.allowed}})
			res := newBody().upload("file", c.name, string(png)).post(t, a)
			if c.name == "x.JPG" { // its letters are the client's
				c.refused = "File extension “JPG”" + allowed + "txt."
				if m := res.problem.Errors; len(m) == 1 && m[0].Message == strings.ReplaceAll(c.refused, "JPG", "jpg") {
					c.refused = m[0].Message
				}
			}
			if c.refused == "" {
				res.want(t, http.StatusCreated, 0)
				return
			}
			res.wantFault(t, "file", "invalid_extension", c.refused)
			a.unseen(t)
			a.holds(t, 0)
		})
	}
	t.Run("an image by its extension and its bytes", func(t *testing.T) {
		a := s.app(t, options{file: core.FieldConfig{Extensions: []string{"png", "jpg"}, Accept: core.Images}})
		newBody().upload("file", "1x1.txt", string(png)).post(t, a).wantFault(t, "file", "invalid_extension", "File extension “txt”"+allowed+"png, jpg.")
		newBody().upload("file", "1x1.png", string(png)).post(t, a).want(t, http.StatusCreated, 0)
		if got := a.stored(t); got.Type != "image/png" { // declared application/octet-stream
			t.Errorf("the type is %s, want that of the content", got.Type)
		}
		newBody().upload("file", "1x1.png", "text").post(t, a).want(t, http.StatusUnsupportedMediaType, core.ErrType)
	})
}
