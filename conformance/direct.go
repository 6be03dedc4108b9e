package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

const directPath = "/uploads/file"

// direct is an app whose files browsers send straight to the bucket.
type direct struct {
	*app
	asked atomic.Pointer[nethttp.DirectRequest] // what the quota was asked last
}

func (s *suite) direct(t testing.TB, o options) *direct {
	t.Helper()
	d := &direct{}
	authorize := func(r *http.Request, _ core.Object) error {
		if core.SubjectFrom(r.Context()) == "" {
			return core.ErrUnauthenticated
		}
		return nil
	}
	quota := func(_ *http.Request, asked nethttp.DirectRequest) error {
		d.asked.Store(&asked)
		if asked.Subject == "greedy" {
			return &core.Error{Kind: core.ErrQuota, Op: "upload", Detail: "enough for today"}
		}
		return nil
	}
	o.routes = func(a *app) []Route {
		d.app = a
		return append(mountDirect(directPath, nethttp.Direct(a.file, authorize, nethttp.DirectConfig{Quota: quota})),
			mountDirect("/closed", nethttp.Direct(a.file, nil, nethttp.DirectConfig{}))...)
	}
	s.app(t, o)
	return d
}

// mountDirect mounts a handler at a path and below, in the routes that every
// framework has.
func mountDirect(path string, h nethttp.HandlerFunc) []Route {
	var routes []Route
	for _, below := range []string{"", "/{step}", "/s3/{what}", "/s3/{what}/{id}", "/s3/{what}/{id}/{number}"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			routes = append(routes, Route{Method: method, Path: path + below, Serve: h})
		}
	}
	return routes
}

// call sends JSON to the handler, as that user.
func (d *direct) call(t testing.TB, user, method, path string, in any) *answer {
	t.Helper()
	header := http.Header{"X-Test-User": {user}}
	body := io.Reader(http.NoBody)
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
		header.Set("Content-Type", jsonType)
	}
	return d.send(t, method, path, header, body)
}

type object = map[string]any

func (r *answer) decode(t testing.TB, status int, dst any) {
	t.Helper()
	r.want(t, status, 0)
	if err := json.Unmarshal([]byte(r.body), dst); err != nil {
		t.Fatalf("the answer is %q: %v", r.body, err)
	}
}

// begin asks for a ticket as ann.
func (d *direct) begin(t testing.TB, in object) (ticket core.Ticket) {
	t.Helper()
	d.call(t, "ann", http.MethodPost, directPath, in).decode(t, http.StatusCreated, &ticket)
	return ticket
}

// bring does with a ticket what a browser does.
func (d *direct) bring(t testing.TB, ticket core.Ticket, content string) int {
	t.Helper()
	if ticket.Method == core.DirectPost {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		for _, name := range slices.Sorted(maps.Keys(ticket.Fields)) {
			_ = form.WriteField(name, ticket.Fields[name]) // a buffer takes everything
		}
		part, _ := form.CreateFormFile("file", "x")
		_, _ = io.WriteString(part, content)
		_ = form.Close()
		status, _ := d.storage(t, http.MethodPost, ticket.URL, map[string]string{"Content-Type": form.FormDataContentType()}, b.String())
		return status
	}
	status, _ := d.storage(t, http.MethodPut, ticket.URL, ticket.Headers, content)
	return status
}

// storage sends something to the bucket, and returns the status and the ETag.
func (d *direct) storage(t testing.TB, method, to string, headers map[string]string, content string) (status int, etag string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	res, err := d.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode, res.Header.Get("ETag")
}

// brought is a file that ann has sent, by its token.
func (d *direct) brought(t testing.TB, in object, content string) string {
	t.Helper()
	ticket := d.begin(t, in)
	if got := d.bring(t, ticket, content); got >= 300 {
		t.Fatalf("%s is answered %d", ticket.Method, got)
	}
	return ticket.Token
}

// form posts the token as a form does, as that user.
func (d *direct) form(t testing.TB, user, token string) *answer {
	t.Helper()
	values := url.Values{"title": {"x"}, "file": {token}}
	return d.send(t, http.MethodPost, "/", http.Header{"Content-Type": {encodedType}, "X-Test-User": {user}}, strings.NewReader(values.Encode()))
}

// files are the app's objects but for markers of what was claimed.
func (d *direct) files(t testing.TB) []string {
	t.Helper()
	objects, uploads := d.left(t)
	if len(uploads) > 0 {
		t.Errorf("the uploads %q are open", uploads)
	}
	return slices.DeleteFunc(objects, func(key string) bool { return strings.Contains(key, ".filefield-claim-") })
}

func text(content string) object {
	return object{"name": "a.txt", "type": "text/plain", "size": len(content)}
}

// directs are the cases of uploads straight to the bucket; D1 to D10 are those of the
// table of security cases.
func directs(t *testing.T, s *suite) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"a token of a direct upload fills the field as a form's does", directFills},
		{"D1 who may not upload is refused before anything is signed", directD1},
		{"D2 what breaks the field's rules is refused before the bytes and after them", directD2},
		{"D3 a token is good for its user, its field and one claim", directD3},
		{"D3 a form that fails leaves the token good", directD3Rollback},
		{"D4 what a client says of a file's state is not heard", directD4},
		{"D5 a second file by the same signature is not the row's", directD5},
		{"D6 an upload that has not finished is a conflict", directD6},
		{"an upload that another file supersedes may be as it likes", directSuperseded},
		{"D8 the quota is asked before anything is signed", directD8},
		{"D9 pages of other origins are refused", directD9},
		{"D10 what is handed out is kept by nobody and lives for minutes", directD10},
		{"D7 a file in parts follows its token alone", directD7},
		{"stock Uppy's requests", directUppy},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

func directFills(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	for name, post := range map[string]func(string) *answer{
		"a form": func(token string) *answer { return d.form(t, "ann", token) },
		"JSON":   func(token string) *answer { return d.postJSON(t, "ann", object{"title": "x", "file": token}) },
	} {
		for _, method := range []string{"PUT", "POST"} {
			post(d.brought(t, object{"name": "Katze.png", "type": "", "size": len(png), "method": method}, string(png))).want(t, http.StatusCreated, 0)
			o := d.saw(t).bound.File.Object()
			if o.Name != "Katze.png" || o.Type != "image/png" || o.Width != 1 || d.read(t, o.Key) != string(png) {
				t.Errorf("%s after a %s binds %+v", name, method, o)
			}
		}
	}
}

func directD1(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	token := d.begin(t, text("x")).Token
	for _, at := range []string{"", "/parts", "/list", "/complete", "/abort", "/s3/multipart", "/s3/multipart/x/complete?key=" + token} {
		d.call(t, "", http.MethodPost, directPath+at, object{"name": "a", "size": 1, "filename": "a", "token": token}).want(t, http.StatusUnauthorized, core.ErrUnauthenticated)
		d.call(t, "ann", http.MethodPost, "/closed"+at, object{"name": "a", "size": 1}).want(t, http.StatusInternalServerError, core.ErrConfig)
		d.send(t, http.MethodPost, directPath+at, http.Header{"Content-Type": {jsonType}}, strings.NewReader("{")).want(t, http.StatusUnauthorized, core.ErrUnauthenticated)
	}
	for _, at := range []string{"/s3/params?filename=a", "/s3/multipart/x?key=" + token, "/s3/multipart/x/1?key=" + token, "/s3/multipart/x/batch?partNumbers=1&key=" + token} {
		d.call(t, "", http.MethodGet, directPath+at, nil).want(t, http.StatusUnauthorized, core.ErrUnauthenticated)
	}
	d.call(t, "", http.MethodDelete, directPath+"/s3/multipart/x?key="+token, nil).want(t, http.StatusUnauthorized, core.ErrUnauthenticated)
}

func directD2(t *testing.T, s *suite) {
	d := s.direct(t, options{file: core.FieldConfig{Accept: core.Images, MaxSize: 1000}})
	begin := func(in object) *answer { return d.call(t, "ann", http.MethodPost, directPath, in) }
	begin(object{"name": "a.png", "type": "image/png", "size": 1001}).want(t, http.StatusRequestEntityTooLarge, core.ErrTooLarge)
	begin(object{"name": "a.html", "type": "text/html", "size": 10}).want(t, http.StatusUnsupportedMediaType, core.ErrType)
	begin(object{"name": "a.png", "type": "image/png", "size": 0}).want(t, http.StatusUnprocessableEntity, core.ErrEmpty)
	ticket := d.begin(t, object{"name": "a.png", "type": "image/png", "size": 6})
	if got := d.bring(t, ticket, "longer than six"); got < 400 {
		t.Errorf("a longer file is answered %d", got)
	}
	if got := d.bring(t, ticket, "<html>"); got >= 300 {
		t.Fatalf("the file is answered %d", got)
	}
	d.form(t, "ann", ticket.Token).want(t, http.StatusUnsupportedMediaType, core.ErrType)
	d.unseen(t)
	d.call(t, "ann", http.MethodPost, directPath+"/complete", object{"token": ticket.Token}).want(t, http.StatusUnsupportedMediaType, core.ErrType)
	if got := d.files(t); len(got) != 0 {
		t.Errorf("storage holds %q, want nothing", got)
	}
}

func directD3(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	token := d.brought(t, text("x"), "x")
	before := d.files(t)
	for name, refused := range map[string]*answer{
		"another user":   d.form(t, "ben", token),
		"nobody":         d.form(t, "", token),
		"a changed one":  d.form(t, "ann", token[:40]+"A"+token[41:]),
		"the key itself": d.form(t, "ann", before[0]),
	} {
		if refused.status != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered %d %s", name, refused.status, refused.body)
		}
	}
	d.send(t, http.MethodPost, "/", http.Header{"Content-Type": {encodedType}, "X-Test-User": {"ann"}},
		strings.NewReader(url.Values{"files": {token}}.Encode())).want(t, http.StatusUnprocessableEntity, 0)
	d.unseen(t)
	if got := d.files(t); !slices.Equal(got, before) {
		t.Errorf("storage holds %q, want %q as before", got, before)
	}
	d.form(t, "ann", token).want(t, http.StatusCreated, 0)
	d.saw(t)
	d.form(t, "ann", token).wantFault(t, "file", badToken, "This file has been used before; choose the file again.")
	d.unseen(t)
}

func directD3Rollback(t *testing.T, s *suite) {
	fail := true
	d := s.direct(t, options{handler: func(_ *app, c Call, _ *form) error {
		if fail {
			return core.Invalid{{Field: "title", Code: "required", Message: required}}
		}
		return c.Answer(http.StatusCreated, nil)
	}})
	token := d.brought(t, text("x"), "x")
	d.form(t, "ann", token).want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
	fail = false
	d.form(t, "ann", token).want(t, http.StatusCreated, 0)
}

func directD4(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	token := d.brought(t, object{
		"name": "a.txt", "type": "text/plain", "size": 1, "key": "evil", "bucket": "evil", "verified": true, "state": "claimed", "etag": "x",
		"form": object{"size": "99", "filefield-type": "text/html"}, "metadata": object{"verified": "true"},
	}, "x")
	d.form(t, "ann", token).want(t, http.StatusCreated, 0)
	o := d.saw(t).bound.File.Object()
	stored, err := d.file.Stat(t.Context(), o.Key)
	if err != nil || stored.Size != 1 || stored.Type != "text/plain" || len(stored.Metadata) != 0 {
		t.Errorf("storage knows %+v, %v", stored, err)
	}
}

func directD5(t *testing.T, s *suite) {
	for _, method := range []string{"PUT", "POST"} {
		d := s.direct(t, options{})
		in := text("first")
		in["method"] = method
		ticket := d.begin(t, in)
		d.bring(t, ticket, "first")
		d.form(t, "ann", ticket.Token).want(t, http.StatusCreated, 0)
		o := d.saw(t).bound.File.Object()
		d.bring(t, ticket, "other")
		if got := d.read(t, o.Key); got != "first" {
			t.Errorf("%s: the row's file is %q", method, got)
		}
		d.form(t, "ann", ticket.Token).want(t, http.StatusUnprocessableEntity, 0)
	}
}

func directD6(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	for _, method := range []string{"PUT", "POST", "MULTIPART"} {
		in := text("x")
		in["method"] = method
		token := d.begin(t, in).Token
		d.form(t, "ann", token).want(t, http.StatusConflict, core.ErrUnfinished)
		d.call(t, "ann", http.MethodPost, directPath+"/complete", object{"token": token}).want(t, http.StatusConflict, core.ErrUnfinished)
		d.call(t, "ann", http.MethodPost, directPath+"/abort", object{"token": token}).want(t, http.StatusNoContent, 0)
	}
	d.unseen(t)
	if got := d.files(t); len(got) != 0 {
		t.Errorf("storage holds %q, want nothing", got)
	}
}

func directSuperseded(t *testing.T, s *suite) {
	d := s.direct(t, options{file: core.FieldConfig{Accept: "text/plain"}})
	unfinished := d.begin(t, text("x")).Token
	wrong := d.brought(t, object{"name": "a.txt", "type": "text/plain", "size": 6}, "<html>")
	for _, token := range []string{unfinished, wrong} {
		contentType, body := newBody().text("file", token).upload("file", "b.txt", "the other").done()
		d.send(t, http.MethodPost, "/", http.Header{"Content-Type": {contentType}, "X-Test-User": {"ann"}}, strings.NewReader(body)).want(t, http.StatusCreated, 0)
		if o := d.saw(t).bound.File.Object(); d.read(t, o.Key) != "the other" {
			t.Errorf("bound is %+v, want the other file", o)
		}
	}
}

func directD8(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	d.begin(t, object{"name": `C:\dir\a.txt`, "type": "text/plain", "size": 7})
	want := nethttp.DirectRequest{Subject: "ann", Field: "file", Name: "a.txt", Type: "text/plain", Size: 7}
	if got := d.asked.Load(); *got != want {
		t.Errorf("the quota was asked %+v, want %+v", *got, want)
	}
	d.call(t, "greedy", http.MethodPost, directPath, text("x")).want(t, http.StatusTooManyRequests, core.ErrQuota)
	d.call(t, "greedy", http.MethodPost, directPath+"/s3/multipart", object{"filename": "a"}).want(t, http.StatusTooManyRequests, core.ErrQuota)
	d.call(t, "greedy", http.MethodGet, directPath+"/s3/params?filename=a", nil).want(t, http.StatusTooManyRequests, core.ErrQuota)
	if got := d.files(t); len(got) != 0 { // nor an open upload
		t.Errorf("storage holds %q, want nothing", got)
	}
}

func directD9(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	for name, header := range map[string]http.Header{
		"a cross-site request":        {"Sec-Fetch-Site": {"cross-site"}, "Content-Type": {jsonType}},
		"an Origin that is another":   {"Origin": {"https://evil.example"}, "Content-Type": {jsonType}},
		"a form that needs no asking": {"Content-Type": {"text/plain"}},
	} {
		header.Set("X-Test-User", "ann")
		if got := d.send(t, http.MethodPost, directPath, header, strings.NewReader(`{"name":"a","size":1}`)); got.status < 400 || got.status >= 500 {
			t.Errorf("%s is answered %d", name, got.status)
		}
	}
	cross := http.Header{"X-Test-User": {"ann"}, "Sec-Fetch-Site": {"cross-site"}}
	d.send(t, http.MethodGet, directPath+"/s3/params?filename=a", cross, http.NoBody).want(t, http.StatusForbidden, core.ErrForbidden)
	if d.asked.Load() != nil {
		t.Error("the quota was asked for a page of another origin")
	}
}

func directD10(t *testing.T, s *suite) {
	d := s.direct(t, options{})
	got := d.call(t, "ann", http.MethodPost, directPath, text("x"))
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the answer's headers are %v", got.header)
	}
	var ticket core.Ticket
	got.decode(t, http.StatusCreated, &ticket)
	if left := time.Until(ticket.Expires); left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("the signature lives for %s, want 15 minutes", left)
	}
	problem := d.form(t, "ann", ticket.Token)
	if strings.Contains(problem.body, "X-Amz") || strings.Contains(problem.body, "http://") {
		t.Errorf("the problem tells %s", problem.body)
	}
}

// inParts are the options of an app whose files may be long.
func inParts() options {
	return options{file: core.FieldConfig{MaxSize: 100 * core.MiB, Direct: core.DirectConfig{MultipartOver: core.MiB, PartSize: 5 * core.MiB}}}
}

func directD7(t *testing.T, s *suite) {
	d := s.direct(t, inParts())
	content := strings.Repeat("0123456789abcdef", 6*int(core.MiB)/16)
	begin := func() core.Ticket {
		return d.begin(t, object{"name": "a.bin", "type": "", "size": len(content)})
	}
	step := func(at string, in object) *answer { return d.call(t, "ann", http.MethodPost, directPath+at, in) }
	one, two := begin(), begin()
	if one.Method != core.DirectMultipart || one.PartSize != 5*core.MiB || one.Parts != 2 {
		t.Fatalf("the ticket is %+v", one)
	}
	for _, n := range []int{0, 3, 10_001} {
		step("/parts", object{"token": one.Token, "numbers": []int{n}}).want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
	}
	d.call(t, "ben", http.MethodPost, directPath+"/parts", object{"token": one.Token, "numbers": []int{1}}).want(t, http.StatusUnprocessableEntity, core.ErrToken)
	step("/nothing", object{"token": one.Token}).want(t, http.StatusNotFound, 0)
	var signed struct {
		Parts []struct {
			Number int
			URL    string
		}
	}
	step("/parts", object{"token": one.Token, "numbers": []int{1, 2}}).decode(t, http.StatusOK, &signed)
	if len(signed.Parts) != 2 || signed.Parts[1].Number != 2 {
		t.Fatalf("signed are %+v", signed)
	}
	d.storage(t, http.MethodPut, signed.Parts[0].URL, nil, content[:one.PartSize])
	step("/complete", object{"token": one.Token}).want(t, http.StatusConflict, core.ErrUnfinished)
	var listed struct{ Parts []core.DirectPart }
	step("/list", object{"token": one.Token}).decode(t, http.StatusOK, &listed)
	if len(listed.Parts) != 1 || listed.Parts[0].Size != one.PartSize {
		t.Errorf("listed are %+v", listed)
	}
	d.storage(t, http.MethodPut, signed.Parts[1].URL, nil, content[one.PartSize:])
	step("/complete", object{"token": one.Token, "parts": []object{{"number": 1, "etag": "wrong"}}}).want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
	var done struct {
		Token string
		File  struct {
			Name, Type string
			Size       int
		}
	}
	step("/complete", object{"token": one.Token}).decode(t, http.StatusOK, &done)
	if done.File.Size != len(content) || done.File.Name != "a.bin" {
		t.Errorf("completed is %+v", done)
	}
	d.form(t, "ann", done.Token).want(t, http.StatusCreated, 0)
	if o := d.saw(t).bound.File.Object(); d.read(t, o.Key) != content {
		t.Error("the row's file has another content")
	}
	d.form(t, "ann", one.Token).want(t, http.StatusUnprocessableEntity, 0)
	step("/abort", object{"token": one.Token}).want(t, http.StatusConflict, core.ErrTaken)
	step("/abort", object{"token": two.Token}).want(t, http.StatusNoContent, 0)
	if got := d.files(t); len(got) != 1 {
		t.Errorf("storage holds %q, want the one file", got)
	}
}

// uppy makes the requests that @uppy/aws-s3 5 and 6 make of a companion.
func directUppy(t *testing.T, s *suite) {
	d := s.direct(t, inParts())
	get := func(at string) *answer { return d.call(t, "ann", http.MethodGet, directPath+"/s3/"+at, nil) }
	t.Run("a file in one piece", func(t *testing.T) {
		var params struct {
			Method, URL string
			Fields      map[string]string
		}
		get("params?"+url.Values{"filename": {"a b.txt"}, "type": {"text/plain"}, "metadata[name]": {"a b.txt"}}.Encode()).decode(t, http.StatusOK, &params)
		if got := d.bring(t, core.Ticket{Method: core.DirectPost, URL: params.URL, Fields: params.Fields}, "content"); got != http.StatusCreated {
			t.Fatalf("%s is answered %d, want 201", params.Method, got)
		}
		d.form(t, "ann", params.Fields["key"]).want(t, http.StatusCreated, 0) // Uppy's response.body.key
		if o := d.saw(t).bound.File.Object(); o.Name != "a b.txt" || d.read(t, o.Key) != "content" {
			t.Errorf("bound is %+v", o)
		}
		ben := d.brought(t, object{"name": "a", "size": 1, "method": "POST"}, "x")
		d.postJSON(t, "ann", object{"title": "x", "file": ben}).want(t, http.StatusCreated, 0)
		d.saw(t)
	})
	for name, meta := range map[string]object{"of unknown size": {"name": "x"}, "whose size is in its metadata": {"size": int(core.MiB) * 6}} {
		t.Run("a file in parts "+name, func(t *testing.T) {
			content := strings.Repeat("0123456789abcdef", 6*int(core.MiB)/16)
			var created struct{ Key, UploadID string }
			d.call(t, "ann", http.MethodPost, directPath+"/s3/multipart", object{"filename": "a.bin", "type": "application/octet-stream", "metadata": meta}).decode(t, http.StatusOK, &created)
			at := "multipart/" + url.PathEscape(created.UploadID)
			key := "?" + url.Values{"key": {created.Key}}.Encode()
			var etags []object
			for n := 1; n <= 2; n++ {
				var part struct{ URL string }
				get(fmt.Sprintf("%s/%d%s", at, n, key)).decode(t, http.StatusOK, &part)
				_, etag := d.storage(t, http.MethodPut, part.URL, nil, content[(n-1)*5*int(core.MiB):min(n*5*int(core.MiB), len(content))])
				etags = append(etags, object{"PartNumber": n, "ETag": etag})
				var listed []struct {
					PartNumber int
					Size       int64
					ETag       string
				}
				get(at+key).decode(t, http.StatusOK, &listed)
				if len(listed) != n || listed[0].Size != 5*core.MiB {
					t.Errorf("listed are %+v", listed)
				}
			}
			var batch struct{ PresignedURLs map[string]string }
			get(at+"/batch"+key+"&partNumbers=1,2").decode(t, http.StatusOK, &batch)
			if len(batch.PresignedURLs) != 2 {
				t.Errorf("the batch is %+v", batch)
			}
			var done struct{ Location, Key string }
			d.call(t, "ann", http.MethodPost, directPath+"/s3/"+at+"/complete"+key, object{"parts": etags}).decode(t, http.StatusOK, &done)
			d.form(t, "ann", done.Key).want(t, http.StatusCreated, 0)
			if o := d.saw(t).bound.File.Object(); d.read(t, o.Key) != content {
				t.Error("the row's file has another content")
			}
		})
	}
	t.Run("a file that is given up", func(t *testing.T) {
		var created struct{ Key string }
		d.call(t, "ann", http.MethodPost, directPath+"/s3/multipart", object{"filename": "a.bin"}).decode(t, http.StatusOK, &created)
		key := "?" + url.Values{"key": {created.Key}}.Encode()
		d.call(t, "ann", http.MethodDelete, directPath+"/s3/multipart/x"+key, nil).want(t, http.StatusOK, 0)
		get("multipart/x"+key).want(t, http.StatusNotFound, core.ErrNotFound)
		get("nothing").want(t, http.StatusNotFound, 0)
		get("sts").want(t, http.StatusNotFound, 0)
	})
}
