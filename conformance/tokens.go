package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// names lists the files in a form, by where they stand.
func (f form) names() string {
	var out []string
	add := func(where, name string) {
		if name != "" {
			out = append(out, where+"="+name)
		}
	}
	add("file", f.File.Name())
	for i, file := range f.Files {
		add(fmt.Sprintf("files[%d]", i), file.Name())
	}
	if f.Ref != nil {
		add("ref", f.Ref.Name())
	}
	for i, file := range f.List {
		add(fmt.Sprintf("list[%d]", i), file.Name())
	}
	for i, p := range f.Pages {
		add(fmt.Sprintf("pages[%d].photo", i), p.Photo.Name())
	}
	add("cover", f.Cover.Name())
	return strings.Join(out, " ")
}

// everywhere is JSON with files in every shape a field takes. The function makes
// the tokens.
func everywhere(one, many func(name string) string) map[string]any {
	return map[string]any{
		"title": "x", "file": one("f"), "files": []any{many("0"), "", nil, many("1")}, "ref": one("r"),
		"list":  []string{many("l"), many("m")},
		"pages": []any{map[string]any{"photo": one("p")}, map[string]any{"photo": one("q")}}, "cover": one("c"),
		"unknown": map[string]any{"file": one("u")},
	}
}

const everywhereNames = "file=f files[0]=0 files[1]=1 ref=r list[0]=l list[1]=m pages[0].photo=p pages[1].photo=q cover=c"

// signer makes tokens of files that are stored under their names, three bytes long.
func (a *app) signer(t testing.TB, field *core.Field, subject string) func(name string) string {
	return func(name string) string {
		key, err := core.ParseKey(a.prefix + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.suite.client.PutObject(t.Context(), bucket, key.String(), strings.NewReader("abc"), 3, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		return field.Sign(core.Object{Bucket: bucket, Key: key, Name: name, Size: 3, Type: "text/plain"}, subject)
	}
}

// pending makes tokens of files that are kept for a form that comes back.
func (a *app) pending(t testing.TB, field *core.Field, subject string) func(name string) string {
	return func(name string) string {
		ctx, txn := core.Begin(core.WithSubject(t.Context(), subject))
		o, err := field.Save(ctx, core.Upload{Body: strings.NewReader(name), Name: name})
		if err != nil {
			t.Fatal(err)
		}
		token, err := field.Keep(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := txn.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		return token
	}
}

func tokens(t *testing.T, s *suite) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"JSON fills every shape of field", jsonShapes},
		{"JSON with a subject's tokens is for that subject", jsonSubjects},
		{"JSON takes kept files once", jsonPending},
		{"JSON without a field leaves it, and null clears it", jsonAbsence},
		{"JSON with what is no token is refused", jsonFaults},
		{"JSON that is none is the client's fault", jsonMalformed},
		{"JSON on a route without Uploads takes tokens too", jsonWithoutUploads},
		{"an urlencoded form fills what a form can", encodedShapes},
		{"a multipart form fills what a form can", multipartShapes},
		{"a subject's token in a form is for that subject", formSubjects},
		{"a token is good for its own field", foreignTokens},
		{"what was bound can be shown, stored and signed", boundFilesWork},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, s) })
	}
}

func jsonShapes(t *testing.T, s *suite) {
	a := s.app(t, options{})
	a.postJSON(t, "", everywhere(a.signer(t, a.file, ""), a.signer(t, a.files, ""))).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound; got.names() != everywhereNames || got.Title != "x" {
		t.Errorf("bound %q and %s, want x and %s", got.Title, got.names(), everywhereNames)
	}
}

func jsonSubjects(t *testing.T, s *suite) {
	a := s.app(t, options{handler: func(_ *app, c Call, f *form) error {
		if _, err := json.Marshal(f); err != nil { // a file that was not claimed cannot be shown
			return err
		}
		return c.Answer(http.StatusCreated, nil)
	}})
	value := everywhere(a.signer(t, a.file, "zoe"), a.signer(t, a.files, "zoe"))
	delete(value, "unknown")
	a.postJSON(t, "zoe", value).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound.names(); got != everywhereNames {
		t.Errorf("bound %s, want %s", got, everywhereNames)
	}
	for _, user := range []string{"eve", "Zoe", ""} {
		for name, part := range value {
			if name == "title" {
				continue
			}
			res := a.postJSON(t, user, map[string]any{name: part})
			if f := res.problem.Errors; res.status != http.StatusUnprocessableEntity || len(f) != 1 || f[0].Code != badToken {
				t.Errorf("%s for %q is answered %d (%s), want 422 with one fault %s", name, user, res.status, res.body, badToken)
			}
		}
	}
	a.unseen(t)
}

func jsonPending(t *testing.T, s *suite) {
	a := s.app(t, options{})
	value := everywhere(a.pending(t, a.file, "zoe"), a.pending(t, a.files, "zoe"))
	delete(value, "unknown")
	a.postJSON(t, "zoe", value).want(t, http.StatusCreated, 0)
	bound := a.saw(t).bound
	if got := bound.names(); got != everywhereNames {
		t.Errorf("bound %s, want %s", got, everywhereNames)
	}
	if got := a.read(t, bound.Pages[1].Photo.Key()); got != "q" {
		t.Errorf("the second page's photo holds %q, want q", got)
	}
	a.postJSON(t, "zoe", value).want(t, http.StatusUnprocessableEntity, 0)
	a.unseen(t)
	a.holds(t, 10) // with the one that was not sent
}

func jsonAbsence(t *testing.T, s *suite) {
	var sign func(string) string
	many := func(f *form) fieldtype.Files[several] { return f.Files }
	a := s.app(t, options{before: func(f *form) {
		if err := f.File.UnmarshalParam(sign("stored")); err != nil {
			t.Error(err)
		}
	}})
	sign = a.signer(t, a.file, "")
	for text, want := range map[string]string{
		`{"title":"x"}`: "stored", `{"file":null}`: "", `{"file":""}`: "", `{"file":"` + sign("new") + `"}`: "new",
		`{"files":[]}`: "stored", `{"files":null}`: "stored", `{"file":"","file-clear":"on"}`: "", `{"file-clear":"on"}`: "stored",
	} {
		a.post(t, jsonType, strings.NewReader(text)).want(t, http.StatusCreated, 0)
		if got := a.saw(t).bound; got.File.Name() != want || len(many(&got)) != 0 {
			t.Errorf("%.40s: the model's file is %q and its list %v, want %q and none", text, got.File.Name(), got.Files, want)
		}
	}
}

func jsonFaults(t *testing.T, s *suite) {
	a := s.app(t, options{})
	one, many := a.signer(t, a.file, ""), a.signer(t, a.files, "")
	token := one("f")
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = many(fmt.Sprint(i))
	}
	for _, c := range []struct {
		name   string
		value  any
		status int
		kind   core.Kind
		field  string
	}{
		{"a key", map[string]any{"file": "some/key.txt"}, 422, core.ErrToken, "file"},
		{"a shown file", map[string]any{"file": map[string]any{"name": "a.txt", "url": "http://x/"}}, 422, core.ErrToken, "file"},
		{"a number", map[string]any{"file": 1}, 422, core.ErrToken, "file"},
		{"a list for one file", map[string]any{"file": []string{token}}, 422, core.ErrToken, "file"},
		{"another field's token", map[string]any{"file": many("f")}, 422, core.ErrToken, "file"},
		{"a token that was changed", map[string]any{"file": changed(token)}, 422, core.ErrToken, "file"},
		{"a token in a list of the other field", map[string]any{"files": []string{token}}, 422, core.ErrToken, "files"},
		{"a token for a list", map[string]any{"files": many("0")}, 422, core.ErrToken, "files"},
		{"a key deep inside", map[string]any{"pages": []any{map[string]any{"photo": "some/key.txt"}}}, 422, core.ErrToken, "file"},
		{"more files than the field has", map[string]any{"files": eleven}, 413, core.ErrTooMany, "files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := a.postJSON(t, "", c.value)
			res.want(t, c.status, c.kind)
			if f := res.problem.Errors; len(f) != 1 || f[0].Field != c.field {
				t.Errorf("the problem is %s, want one fault of %s", res.body, c.field)
			}
		})
	}
	a.unseen(t)
}

// changed is a token with another last character.
func changed(token string) string {
	if strings.HasSuffix(token, "A") {
		return token[:len(token)-1] + "Q"
	}
	return token[:len(token)-1] + "A"
}

func jsonMalformed(t *testing.T, s *suite) {
	a := s.app(t, options{})
	for name, text := range map[string]string{
		"it breaks off": `{"title":"x"`, "it is text": "title", "it is of great depth": strings.Repeat(`{"unknown":`, 100_000),
	} {
		if res := a.sendRaw(t, jsonType, nil, text); res.status != http.StatusBadRequest || res.header.Get("Content-Type") != core.ProblemMediaType {
			t.Errorf("%s: the answer is %d of type %s (%.200s), want 400 and a problem", name, res.status, res.header.Get("Content-Type"), res.body)
		}
	}
	// Binders disagree about these: it is the form's fault in one, the body's in
	// another.
	for name, text := range map[string]string{"a number for a text": `{"title":1}`, "a list for the whole": `[]`} {
		if res := a.sendRaw(t, jsonType, nil, text); res.status != http.StatusBadRequest && res.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status is %d (%s), want 400 or 422", name, res.status, res.body)
		}
	}
	a.unseen(t)
}

func jsonWithoutUploads(t *testing.T, s *suite) {
	a := s.app(t, options{routes: func(a *app) []Route {
		return []Route{{Method: http.MethodPut, Path: "/albums/{id}", Handler: func(c Call) error {
			var f form
			if err := c.Bind(&f); err != nil {
				return err
			}
			return c.Answer(http.StatusOK, map[string]string{"id": c.Param("id"), "names": f.names()})
		}}}
	}})
	value := everywhere(a.signer(t, a.file, ""), a.signer(t, a.files, ""))
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	res := a.send(t, http.MethodPut, "/albums/seven", http.Header{"Content-Type": {jsonType}}, strings.NewReader(string(text)))
	res.want(t, http.StatusOK, 0)
	if want := `{"id":"seven","names":"` + everywhereNames + `"}`; strings.TrimSpace(res.body) != want {
		t.Errorf("the answer is %s, want %s", res.body, want)
	}
}

// formValues is a form with files in every shape that every binder knows.
func formValues(one, many func(name string) string) url.Values {
	return url.Values{
		"title": {"x"}, "file": {one("f")}, "files": {many("0"), many("1")}, "ref": {one("r")},
		"list": {many("l"), many("m")}, "cover": {one("c")},
	}
}

const formNames = "file=f files[0]=0 files[1]=1 ref=r list[0]=l list[1]=m cover=c"

func encodedShapes(t *testing.T, s *suite) {
	a := s.app(t, options{})
	a.postValues(t, formValues(a.signer(t, a.file, ""), a.signer(t, a.files, ""))).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound; got.names() != formNames || got.Title != "x" {
		t.Errorf("bound %q and %s, want x and %s", got.Title, got.names(), formNames)
	}
}

func multipartShapes(t *testing.T, s *suite) {
	a := s.app(t, options{})
	b := newBody()
	for name, values := range formValues(a.signer(t, a.file, ""), a.signer(t, a.files, "")) {
		for _, value := range values {
			b.text(name, value)
		}
	}
	b.post(t, a).want(t, http.StatusCreated, 0)
	if got := a.saw(t).bound; got.names() != formNames || got.Title != "x" {
		t.Errorf("bound %q and %s, want x and %s", got.Title, got.names(), formNames)
	}
}

func formSubjects(t *testing.T, s *suite) {
	a := s.app(t, options{handler: func(_ *app, c Call, f *form) error {
		if _, err := json.Marshal(f); err != nil {
			return err
		}
		return c.Answer(http.StatusCreated, nil)
	}})
	for way, send := range map[string]func(user string) *answer{
		"multipart": func(user string) *answer {
			contentType, text := newBody().text("file", a.signer(t, a.file, "zoe")("f")).done()
			return a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {contentType}, "X-Test-User": {user}}, strings.NewReader(text))
		},
		"urlencoded": func(user string) *answer {
			values := url.Values{"file": {a.signer(t, a.file, "zoe")("f")}}
			return a.send(t, http.MethodPost, "/", http.Header{"Content-Type": {encodedType}, "X-Test-User": {user}}, strings.NewReader(values.Encode()))
		},
	} {
		t.Run(way, func(t *testing.T) {
			send("zoe").want(t, http.StatusCreated, 0)
			if got := a.saw(t).bound.names(); got != "file=f" {
				t.Errorf("bound %q, want file=f", got)
			}
			for _, user := range []string{"eve", "Zoe", ""} {
				send(user).wantFault(t, "file", badToken, badFile)
			}
		})
	}
	a.unseen(t)
}

func foreignTokens(t *testing.T, s *suite) {
	a := s.app(t, options{store: func(c *core.Config) { c.SigningKeys = []core.Secret{"another key, of another deployment"} }})
	b := s.app(t, options{})
	token := b.signer(t, b.file, "")("f")
	for _, c := range []struct{ name, wrong, message string }{
		{"of another field", b.signer(t, b.files, "")("f"), badFile},
		{"of another key", a.signer(t, a.file, "")("f"), badFile},
		{"in pieces", token[:len(token)/2], badFile},
		{"twice", token + token, badFile},
		{"with a line end", token + "\n", noFile},
		{"with a space", " " + token, noFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			newBody().text("file", c.wrong).post(t, b).wantFault(t, "file", badToken, c.message)
			b.postValues(t, url.Values{"file": {c.wrong}}).wantFault(t, "file", badToken, c.message)
		})
	}
	b.unseen(t)
}

func boundFilesWork(t *testing.T, s *suite) {
	a := s.app(t, options{handler: func(_ *app, c Call, f *form) error {
		column, err := f.File.Value()
		if err != nil {
			return err
		}
		return c.Answer(http.StatusCreated, map[string]any{"shown": f.File, "column": column, "token": f.File.Token(c.Context())})
	}})
	for _, post := range []func() *answer{
		func() *answer { return newBody().upload("file", "é.txt", "two è").post(t, a) },
		func() *answer {
			return a.postJSON(t, "", map[string]any{"file": a.file.Sign(a.keep(t, a.file, "é.txt", "two è"), "")})
		},
	} {
		res := post()
		res.want(t, http.StatusCreated, 0)
		var out struct {
			Shown         struct{ Name, URL string }
			Column, Token string
		}
		if err := json.Unmarshal([]byte(res.body), &out); err != nil {
			t.Fatal(err)
		}
		got := a.saw(t).bound.File
		token, err := a.file.Verify(out.Token)
		if err != nil || token.Object.Key != got.Key() || out.Shown.Name != "é.txt" || !strings.Contains(out.Shown.URL, got.Key().String()) {
			t.Errorf("the answer is %s (%v), want the file's name, URL and token", res.body, err)
		}
		var again fieldtype.File[single]
		if err := again.Scan(out.Column); err != nil || again.Key() != got.Key() || again.Size() != 6 { // bytes, not characters
			t.Errorf("the column %s holds %+v (%v), want the file of 6 bytes", out.Column, again.Object(), err)
		}
	}
}
