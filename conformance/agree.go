package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/nethttp"
)

// wide is a form with values of every kind.
type wide struct {
	Title string                   `form:"title" json:"title" xml:"title" query:"title"`
	Count int                      `form:"count" json:"count" xml:"count" query:"count"`
	Small int8                     `form:"small" json:"small" xml:"small"`
	Price float64                  `form:"price" json:"price" xml:"price"`
	Open  bool                     `form:"open" json:"open" xml:"open"`
	Tags  []string                 `form:"tags" json:"tags" xml:"tags"`
	Marks []int                    `form:"marks" json:"marks" xml:"marks"`
	File  fieldtype.File[single]   `form:"file" json:"file" xml:"file" query:"file"`
	Files fieldtype.Files[several] `form:"files" json:"files" xml:"-"`
	Inner struct {
		N int `form:"n" json:"n" xml:"n"`
	} `form:"-" json:"inner" xml:"inner"`
}

func (w wide) String() string {
	names := make([]string, len(w.Files))
	for i, f := range w.Files {
		names[i] = f.Name()
	}
	return fmt.Sprintf("%q %d %d %g %t %q %d file=%q files=%q n=%d", w.Title, w.Count, w.Small, w.Price, w.Open, w.Tags, w.Marks, w.File.Name(), names, w.Inner.N)
}

// unusual is a request that one may answer this way or that.
type unusual struct {
	name string
	kind string // the Content-Type; "": none
	body string
	// more about the request. Zero: a POST to "/".
	method, query string
	header        http.Header
	// differs says why frameworks answer it differently. "": they do not.
	differs string
}

// Agree sends every adapter the same unusual requests and fails the test where the
// answers are not the same: status, problem with its faults, and what was bound.
func Agree(t *testing.T, adapters map[string]Adapter) {
	t.Helper()
	apps := map[string]*app{}
	for name, adapter := range adapters {
		apps[name] = newSuite(t, adapter).app(t, options{
			http: nethttp.Config{Limits: nethttp.Limits{Text: 100 * core.KiB}},
			raw: func(_ *app, c Call) error {
				w := wide{Title: "before", Count: 7}
				if err := c.Bind(&w); err != nil {
					return err
				}
				return c.Answer(http.StatusCreated, w.String())
			},
			routes: everyMethod,
		})
	}
	names := slices.Sorted(maps.Keys(apps))
	for _, request := range unusualRequests(t, apps[names[0]]) {
		t.Run(request.name, func(t *testing.T) {
			answers := map[string]string{}
			for name, a := range apps {
				answers[name] = request.sent(t, a)
			}
			same := true
			for _, name := range names {
				same = same && answers[name] == answers[names[0]]
			}
			if same == (request.differs != "") {
				t.Errorf("the answers are the same: %t; differing: %q", same, request.differs)
			}
			for _, name := range names {
				if t.Failed() {
					t.Logf("%s: %s", name, answers[name])
				}
				if strings.HasPrefix(answers[name], "5") {
					t.Errorf("%s blames the server: %s", name, answers[name])
				}
			}
		})
	}
}

// everyMethod has the usual handler under further methods.
func everyMethod(a *app) (routes []Route) {
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet} {
		routes = append(routes, Route{
			Method: method, Path: "/", Uploads: []*core.Field{a.file, a.files},
			Handler: func(c Call) error {
				w := wide{Title: "before", Count: 7}
				if err := c.Bind(&w); err != nil {
					return err
				}
				return c.Answer(http.StatusCreated, w.String())
			},
		})
	}
	return routes
}

// sent sends the request and puts what came back into words.
func (u unusual) sent(t *testing.T, a *app) string {
	t.Helper()
	header := http.Header{}
	if u.kind != "" {
		header.Set("Content-Type", u.kind)
	}
	for name, values := range u.header {
		header[name] = values
	}
	method := u.method
	if method == "" {
		method = http.MethodPost
	}
	res := a.send(t, method, "/"+u.query, header, strings.NewReader(u.body))
	if res.problem.Type == "" {
		return fmt.Sprintf("%d %s", res.status, strings.TrimSpace(res.body))
	}
	return fmt.Sprintf("%d %s %+v", res.status, res.problem.Type, res.problem.Errors)
}

func unusualRequests(t *testing.T, a *app) []unusual {
	t.Helper()
	const (
		multi = "multipart/form-data; boundary=B"
		end   = "--B--\r\n"
	)
	value := func(name, text string) string { return part(`Content-Disposition: form-data; name="`+name+`"`, text) }
	form := func(name, text string) string { return value(name, text) + end }
	pending := a.pending(t, a.file, "")("kept.txt")
	return []unusual{
		// media types
		{name: "JSON", kind: "application/json", body: `{"title":"x"}`},
		{name: "JSON in capitals", kind: "APPLICATION/JSON", body: `{"title":"x"}`},
		{name: "JSON with a charset", kind: "application/json;charset=UTF-8", body: `{"title":"x"}`},
		{name: "JSON with a space before the parameters", kind: "application/json ; charset=utf-8", body: `{"title":"x"}`},
		{name: "JSON of a family", kind: "application/vnd.api+json", body: `{"title":"x"}`},
		{name: "JSON of a family in capitals", kind: "Application/Problem+JSON", body: `{"title":"x"}`},
		{name: "JSON with broken parameters", kind: "application/json; charset", body: `{"title":"x"}`},
		{name: "JSON with a semicolon and nothing", kind: "application/json;", body: `{"title":"x"}`},
		{name: "a JSON type of old", kind: "text/json", body: `{"title":"x"}`},
		{name: "JSON without a type", body: `{"title":"x"}`},
		{name: "a type that is none", kind: "json", body: `{"title":"x"}`},
		{name: "plain text", kind: "text/plain", body: "title=x"},
		{name: "bytes", kind: "application/octet-stream", body: "title=x"},
		{name: "an urlencoded form", kind: encodedType, body: "title=x&count=3"},
		{name: "an urlencoded form in capitals", kind: "APPLICATION/X-WWW-FORM-URLENCODED", body: "title=x"},
		{name: "an urlencoded form with a charset", kind: encodedType + "; charset=utf-8", body: "title=x"},
		{name: "an urlencoded form with broken parameters", kind: encodedType + "; charset", body: "title=x"},
		{name: "a multipart form", kind: multi, body: form("title", "x")},
		{name: "a multipart form in capitals", kind: "Multipart/Form-Data; BOUNDARY=B", body: form("title", "x")},
		{name: "a multipart form without a boundary", kind: "multipart/form-data", body: form("title", "x")},
		{name: "a multipart form with another boundary", kind: "multipart/form-data; boundary=C", body: form("title", "x")},
		{name: "multipart, mixed", kind: "multipart/mixed; boundary=B", body: form("title", "x")},
		{name: "multipart of nothing", kind: multi},
		{name: "multipart of an end only", kind: multi, body: end},
		{name: "two content types", header: http.Header{"Content-Type": {jsonType, encodedType}}, body: `{"title":"x"}`},

		// JSON
		{name: "JSON of nothing", kind: jsonType},
		{name: "JSON of spaces", kind: jsonType, body: "  \n"},
		{name: "JSON with another value behind it", kind: jsonType, body: `{"title":"x"}{"title":"y"}`},
		{name: "JSON with junk behind it", kind: jsonType, body: `{"title":"x"} junk`},
		{name: "JSON with a line end behind it", kind: jsonType, body: "{\"title\":\"x\"}\n"},
		{name: "JSON with a byte order mark", kind: jsonType, body: "\ufeff{\"title\":\"x\"}"},
		{name: "JSON with single quotes", kind: jsonType, body: `{'title':'x'}`},
		{name: "JSON with a comma at its end", kind: jsonType, body: `{"title":"x",}`},
		{name: "JSON with a comment", kind: jsonType, body: `{"title":"x" /* y */}`},
		{name: "JSON that is cut", kind: jsonType, body: `{"title":"x`},
		{name: "JSON null", kind: jsonType, body: `null`},
		{name: "JSON that is a list", kind: jsonType, body: `[]`},
		{name: "JSON that is a text", kind: jsonType, body: `"x"`},
		{name: "JSON that is a number", kind: jsonType, body: `1`},
		{name: "JSON with a name twice", kind: jsonType, body: `{"title":"x","title":"y"}`},
		{name: "JSON with a name in capitals", kind: jsonType, body: `{"TITLE":"x"}`},
		{name: "JSON with an unknown name", kind: jsonType, body: `{"title":"x","other":{"a":[1]}}`},
		{name: "JSON with a text for a number", kind: jsonType, body: `{"count":"many"}`},
		{name: "JSON with a number for a text", kind: jsonType, body: `{"title":1}`},
		{name: "JSON with a fraction for a number", kind: jsonType, body: `{"count":1.5}`},
		{name: "JSON with a number too large", kind: jsonType, body: `{"small":300}`},
		{name: "JSON with a text in a list of numbers", kind: jsonType, body: `{"marks":[1,"x"]}`},
		{name: "JSON with a text for a number deep inside", kind: jsonType, body: `{"inner":{"n":"x"}}`},
		{name: "JSON with bytes that are no UTF-8", kind: jsonType, body: "{\"title\":\"\xff\"}"},
		{name: "JSON with null for everything", kind: jsonType, body: `{"title":null,"count":null,"tags":null,"file":null}`},
		{name: "JSON with a key for a file", kind: jsonType, body: `{"file":"a/key"}`},
		{name: "JSON with an object for a file", kind: jsonType, body: `{"file":{"name":"x"}}`},
		{name: "JSON with a foreign token for a kept file", kind: jsonType, body: `{"file":"` + pending[:len(pending)-2] + `xx"}`},
		{name: "JSON over the limit", kind: jsonType, body: `{"title":"` + strings.Repeat("x", 100<<10) + `"}`},
		{name: "JSON with an unknown encoding", kind: jsonType, body: `{"title":"x"}`, header: http.Header{"Content-Encoding": {"br"}}},

		// values
		{name: "a number", kind: encodedType, body: "count=3&price=1.5&open=true&marks=1&marks=2&tags=a&tags=b"},
		{name: "a text for a number", kind: encodedType, body: "count=many"},
		{name: "a fraction for a number", kind: encodedType, body: "count=1.5"},
		{name: "a number too large", kind: encodedType, body: "small=300"},
		{name: "a text for a fraction", kind: encodedType, body: "price=cheap"},
		{name: "a text for a truth", kind: encodedType, body: "open=maybe"},
		{name: "a text in a list of numbers", kind: encodedType, body: "marks=1&marks=x"},
		{name: "a text for a number in a multipart form", kind: multi, body: form("count", "many")},
		{name: "a text for a number and a file", kind: multi, body: filePart("x") + form("count", "many")},
		{name: "the same text twice, once for a number", kind: encodedType, body: "title=many&count=many", differs: "Echo's and Gin's errors do not name the field, and two had the text"},
		{name: "texts for two numbers", kind: encodedType, body: "count=many&price=cheap", differs: "Echo and Gin stop at the first fault"},
		{name: "an empty text", kind: encodedType, body: "title="},
		{name: "nothing for a number", kind: encodedType, body: "count="},
		{name: "a box that is on", kind: encodedType, body: "open=on", differs: "Echo and Gin know the truths of strconv.ParseBool only"},
		{name: "a value twice", kind: encodedType, body: "title=x&title=y"},
		{name: "a name in capitals", kind: encodedType, body: "TITLE=x", differs: "Gin knows names in forms as they are written only"},
		{name: "a name of no field", kind: encodedType, body: "other=x&other.deep=y&other[3]=z"},
		{name: "a name with an index far away", kind: encodedType, body: "tags[999999]=x&tags.999999=x"},
		{name: "broken encoding", kind: encodedType, body: "title=%zz"},
		{name: "a semicolon", kind: encodedType, body: "title=x;count=3"},
		{name: "bytes that are no UTF-8", kind: encodedType, body: "title=%ff"},
		{name: "a zero byte", kind: encodedType, body: "title=a%00b"},
		{name: "a form of nothing", kind: encodedType},
		{name: "a form and a query", kind: encodedType, body: "count=3", query: "?title=q"},
		{name: "a form and a query that disagree", kind: encodedType, body: "title=x", query: "?title=q"},
		{name: "a file's name in the query", kind: encodedType, body: "title=x", query: "?file=some/key"},
		{name: "a key for a file", kind: encodedType, body: "file=some/key"},
		{name: "a file's name in capitals", kind: encodedType, body: "FILE=some/key"},
		{name: "a clear box", kind: encodedType, body: "file-clear=on&title=x"},
		{name: "values over the limit", kind: encodedType, body: "title=" + strings.Repeat("x", 100<<10)},
		{name: "a thousand values and one", kind: encodedType, body: strings.Repeat("t=x&", 1000) + "t=x"},

		// files
		{name: "a file and a value", kind: multi, body: filePart("x") + form("title", "y")},
		{name: "a file nobody expects", kind: multi, body: part(`Content-Disposition: form-data; name="other"; filename="a.txt"`, "x") + end},
		{name: "a file under a value's name", kind: multi, body: part(`Content-Disposition: form-data; name="title"; filename="a.txt"`, "x") + end},
		{name: "a file under a nested name", kind: multi, body: part(`Content-Disposition: form-data; name="inner.file"; filename="a.txt"`, "x") + end},
		{name: "a file in a field's name in capitals", kind: multi, body: part(`Content-Disposition: form-data; name="FILE"; filename="a.txt"`, "x") + end},
		{name: "an empty file", kind: multi, body: filePart("") + end},
		{name: "two files for one", kind: multi, body: filePart("x") + filePart("y") + end},
		{name: "a compressed form", kind: multi, body: form("title", "x"), header: http.Header{"Content-Encoding": {"gzip"}}},

		// methods
		{name: "PUT JSON", method: http.MethodPut, kind: jsonType, body: `{"title":"x"}`},
		{name: "PATCH JSON of nothing", method: http.MethodPatch, kind: jsonType},
		{name: "PATCH a form", method: http.MethodPatch, kind: encodedType, body: "title=x"},
		{name: "PATCH a merge", method: http.MethodPatch, kind: "application/merge-patch+json", body: `{"file":null}`},
		{name: "PUT a multipart form", method: http.MethodPut, kind: multi, body: filePart("x") + form("title", "y")},
		{name: "DELETE JSON", method: http.MethodDelete, kind: jsonType, body: `{"title":"x"}`},
		{name: "DELETE a form", method: http.MethodDelete, kind: encodedType, body: "title=x"},

		// what is left to the binders
		{name: "XML", kind: "application/xml", body: `<wide><title>x</title></wide>`, differs: "nethttp.Bind reads forms and JSON only"},
		{name: "XML in capitals", kind: "Text/XML", body: `<wide><title>x</title></wide>`, differs: "nethttp.Bind reads forms and JSON only"},
		{name: "XML that is cut", kind: "application/xml", body: `<wide><title>x`, differs: "nethttp.Bind reads forms and JSON only"},
		{name: "YAML", kind: "application/yaml", body: "title: x", differs: "Gin alone reads it"},
		{name: "nothing at all", body: ""},
		{name: "nothing at all and a query", query: "?title=q", differs: "Echo reads the query of GET and DELETE only"},
		{name: "GET", method: http.MethodGet, query: "?title=q&count=3"},
		{name: "GET a number that is none", method: http.MethodGet, query: "?count=many"},
		{name: "GET a key for a file", method: http.MethodGet, query: "?file=" + url.QueryEscape("some/key"), differs: "a form's faults are all reported in net/http, one in Echo and Gin"},
		{name: "GET with JSON", method: http.MethodGet, kind: jsonType, body: `{"title":"x"}`, differs: "Gin reads the query of GET only"},
	}
}
