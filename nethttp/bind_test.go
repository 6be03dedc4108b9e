package nethttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/nethttp"
)

// A field type names its field by a variable, so the fields of these tests are
// the package's. No file is read or written through them.
var (
	bindStore = core.MustOpen(core.Config{
		Endpoint: "127.0.0.1:1", AccessKey: "access", SecretKey: "secret", SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	avatars = bindStore.Field(core.FieldConfig{Name: "avatar", Bucket: "avatars"})
	scans   = bindStore.Field(core.FieldConfig{Name: "scans", Bucket: "scans", MaxFiles: 2})
)

type (
	avatar struct{}
	scan   struct{}
)

func (avatar) FileField() *core.Field { return avatars }
func (scan) FileField() *core.Field   { return scans }

// profile has every shape a file field takes in a struct.
type profile struct {
	Name    string                   `form:"name" json:"name"`
	Age     int                      `form:"age" json:"age"`
	Tags    []string                 `form:"tags" json:"tags"`
	Address address                  `form:"address" json:"address"`
	Avatar  fieldtype.File[avatar]   `form:"avatar,omitempty" json:"avatar,omitzero"`
	Second  *fieldtype.File[avatar]  `form:"second" json:"second"`
	List    []fieldtype.File[scan]   `form:"list" json:"list"`
	Scans   fieldtype.Files[scan]    `form:"scans" json:"scans"`
	Kept    string                   `form:"kept" json:"kept"`
	Secret  string                   `form:"-" json:"-"`
	Deep    []struct{ Title string } `form:"deep" json:"deep"`
	owner
}

type address struct {
	Street string                 `form:"street" json:"street"`
	Photo  fieldtype.File[avatar] `form:"photo" json:"photo"`
}

// owner is embedded without being exported; decoders fill it all the same.
type owner struct {
	Portrait fieldtype.File[avatar] `form:"portrait" json:"portrait"`
}

func object(f *core.Field, name string) core.Object {
	key, _ := core.ParseKey("key-of-" + name)
	return core.Object{Bucket: f.Bucket().Name(), Key: key, Name: name, Size: 3, Type: "image/png"}
}

func token(f *core.Field, name string) string { return f.Sign(object(f, name), "") }

// binder is an app whose handler binds into a new profile that knows one value.
type binder struct {
	*app
	bound chan profile
	err   chan error
}

func newBinder(t testing.TB, fields ...*core.Field) *binder {
	t.Helper()
	b := &binder{bound: make(chan profile, 8), err: make(chan error, 8)}
	b.app = newApp(t, appConfig{})
	handler := nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
		p := profile{Kept: "as it was", Secret: "untouched"}
		err := nethttp.Bind(r, &p)
		b.err <- err
		if err != nil {
			return err
		}
		b.bound <- p
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	if fields != nil {
		handler = nethttp.Uploads(fields...)(handler)
	}
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subject := r.Header.Get("X-Test-User"); subject != "" {
			r = r.WithContext(core.WithSubject(r.Context(), subject))
		}
		handler.ServeHTTP(w, r)
	})
	return b
}

// describe writes what was bound, for comparison.
func (p profile) describe() string {
	names := func(files []fieldtype.File[scan]) (out []string) {
		for _, f := range files {
			out = append(out, f.Name())
		}
		return out
	}
	second := "nil"
	if p.Second != nil {
		second = p.Second.Name()
	}
	return fmt.Sprintf("%s %d %v %s/%s avatar=%s second=%s list=%v scans=%v portrait=%s kept=%q secret=%s",
		p.Name, p.Age, p.Tags, p.Address.Street, p.Address.Photo.Name(), p.Avatar.Name(), second, names(p.List), names(p.Scans), p.Portrait.Name(), p.Kept, p.Secret)
}

const allBound = `Zoë 42 [a b] Main St/p.png avatar=a.png second=s.png list=[1.png 2.png] scans=[3.png 4.png] portrait=o.png kept="as it was" secret=untouched`

// values is a form that fills a profile.
func values() url.Values {
	return url.Values{
		"name": {"Zoë"}, "age": {"42"}, "tags": {"a", "b"}, "address.street": {"Main St"},
		"address.photo": {token(avatars, "p.png")}, "avatar": {token(avatars, "a.png")}, "second": {token(avatars, "s.png")},
		"list": {token(scans, "1.png"), token(scans, "2.png")}, "scans": {token(scans, "3.png"), token(scans, "4.png")},
		"portrait": {token(avatars, "o.png")},
		"unknown":  {"ignored"}, "Secret": {"taken over"}, "secret": {"taken over"}, "-": {"taken over"},
	}
}

func document(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"name": "Zoë", "age": 42, "tags": []string{"a", "b"}, "unknown": map[string]any{"x": 1}, "Secret": "taken over", "-": "taken over",
		"address": map[string]any{"street": "Main St", "photo": token(avatars, "p.png")},
		"avatar":  token(avatars, "a.png"), "second": token(avatars, "s.png"),
		"list":     []string{token(scans, "1.png"), token(scans, "2.png")},
		"scans":    []string{token(scans, "3.png"), token(scans, "4.png")},
		"portrait": token(avatars, "o.png"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func multipartOf(values url.Values) *body {
	b := newBody()
	for name, list := range values {
		for _, value := range list {
			b.text(name, value)
		}
	}
	return b
}

func TestBindFillsEveryShapeOfFile(t *testing.T) {
	t.Parallel()
	const urlencoded = "application/x-www-form-urlencoded"
	for name, post := range map[string]func(*binder) *answer{
		"from JSON": func(b *binder) *answer { return b.post(t, "application/json", strings.NewReader(document(t))) },
		"from JSON that names a charset": func(b *binder) *answer {
			return b.post(t, "Application/JSON; charset=utf-8", strings.NewReader(document(t)))
		},
		"from an urlencoded form": func(b *binder) *answer { return b.post(t, urlencoded, strings.NewReader(values().Encode())) },
		"from a multipart form":   func(b *binder) *answer { return multipartOf(values()).post(t, b.app) },
	} {
		for around, fields := range map[string][]*core.Field{"with Uploads of no fields": {}, "without Uploads": nil} {
			if fields == nil && strings.Contains(name, "multipart") {
				continue // somebody has to read it
			}
			t.Run(name+" "+around, func(t *testing.T) {
				t.Parallel()
				b := newBinder(t, fields...)
				post(b).want(t, http.StatusNoContent, 0)
				if got := (<-b.bound).describe(); got != allBound {
					t.Errorf("bound\n%s, want\n%s", got, allBound)
				}
			})
		}
	}
}

func TestBindAfterAnUploadOpensWhatWasSent(t *testing.T) {
	t.Parallel()
	type upload struct {
		Title string                   `form:"title"`
		File  fieldtype.File[uploaded] `form:"file"`
	}
	got := make(chan upload, 1)
	a := newApp(t, appConfig{handler: func(w http.ResponseWriter, r *http.Request) error {
		var u upload
		if err := nethttp.Bind(r, &u); err != nil {
			return err
		}
		got <- u
		return nil
	}})
	uploadedField = a.field
	newBody().text("title", "x").file("file", "cat.png", png).post(t, a).want(t, http.StatusOK, 0)
	u := <-got
	f, err := u.File.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if u.Title != "x" || u.File.Name() != "cat.png" || u.File.Type() != "image/png" || f.Size != int64(len(png)) {
		t.Errorf("bound %+v of %d bytes, want the title and cat.png of %d", u, f.Size, len(png))
	}
}

// uploaded is the field of the app of one test.
type uploaded struct{}

var uploadedField *core.Field

func (uploaded) FileField() *core.Field { return uploadedField }

func TestBindSaysWhichValuesAreWrong(t *testing.T) {
	t.Parallel()
	const urlencoded = "application/x-www-form-urlencoded"
	foreign := token(scans, "x.png")
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		kind                    core.Kind
		fields                  []string // "name: code"
	}{
		{"a text for a number, in a form", urlencoded, "age=old", 422, core.ErrInvalid, []string{"age: invalid"}},
		{"several, in their order", urlencoded, "portrait=x&avatar=y&age=old", 422, core.ErrInvalid, []string{"age: invalid", "avatar: bad_token", "portrait: bad_token"}},
		{"a key for a file, in a form", urlencoded, "avatar=key-of-a.png", 422, core.ErrInvalid, []string{"avatar: bad_token"}},
		{"another field's token, in a form", urlencoded, "avatar=" + foreign, 422, core.ErrInvalid, []string{"avatar: bad_token"}},
		{"a token that was changed", urlencoded, "avatar=" + flip(token(avatars, "a.png")), 422, core.ErrInvalid, []string{"avatar: bad_token"}},
		{"an encoding that is broken", urlencoded, "a=%zz", 400, core.ErrMalformed, nil},

		{"a text for a number, in JSON", "application/json", `{"age":"old"}`, 422, core.ErrInvalid, []string{"age: invalid"}},
		{"a number for a text, nested in JSON", "application/json", `{"address":{"street":1}}`, 422, core.ErrInvalid, []string{"address.street: invalid"}},
		{"a list for the whole", "application/json", `[]`, 422, core.ErrInvalid, []string{": invalid"}},
		{"a key for a file, in JSON", "application/json", `{"avatar":"key-of-a.png"}`, 422, core.ErrToken, []string{"avatar: bad_token"}},
		{"another field's token, in JSON", "application/json", `{"avatar":"` + foreign + `"}`, 422, core.ErrToken, []string{"avatar: bad_token"}},
		{"a shown file for a file", "application/json", `{"avatar":{"name":"a.png","url":"http://x"}}`, 422, core.ErrToken, []string{"avatar: bad_token"}},
		{"a number for a file", "application/json", `{"avatar":1}`, 422, core.ErrToken, []string{"avatar: bad_token"}},
		{"more files than the field has", "application/json", `{"scans":["` + strings.Join([]string{foreign, foreign, foreign}, `","`) + `"]}`, 413, core.ErrTooMany, []string{"scans: too_many"}},
		{"JSON that breaks off", "application/json", `{"name":"x"`, 400, core.ErrMalformed, nil},
		{"no JSON at all", "application/json", "", 400, core.ErrMalformed, nil},
		{"JSON and another value", "application/json", `{"name":"x"} {"name":"y"}`, 400, core.ErrMalformed, nil},
		{"JSON and a closing brace", "application/json", `{"name":"x"}}`, 400, core.ErrMalformed, nil},
		{"JSON and a closing bracket", "application/json", `{"name":"x"}]`, 400, core.ErrMalformed, nil},
		{"JSON and text", "application/json", `{"name":"x"} x`, 400, core.ErrMalformed, nil},
		{"JSON of 3 MiB", "application/json", `{"name":"` + strings.Repeat("x", 3<<20) + `"}`, 413, core.ErrTooLarge, nil},
		{"JSON and 3 MiB of spaces", "application/json", `{"name":"x"}` + strings.Repeat(" ", 3<<20), 413, core.ErrTooLarge, nil},
		{"JSON of great depth", "application/json", strings.Repeat(`{"unknown":`, 100_000), 400, core.ErrMalformed, nil},

		{"plain text", "text/plain", "name=x", 415, core.ErrType, nil},
		{"no type", "", "name=x", 415, core.ErrType, nil},
		{"a type that is none", ";;", "name=x", 415, core.ErrType, nil},
		{"XML", "application/xml", "<name>x</name>", 415, core.ErrType, nil},
	} {
		for around, fields := range map[string][]*core.Field{"with Uploads": {}, "without Uploads": nil} {
			t.Run(c.name+", "+around, func(t *testing.T) {
				t.Parallel()
				b := newBinder(t, fields...)
				res := sendRaw(t, b.app, "POST", c.contentType, nil, c.body)
				res.want(t, c.status, c.kind)
				var got []string
				for _, e := range res.problem.Errors {
					got = append(got, e.Field+": "+e.Code)
				}
				if !slices.Equal(got, c.fields) {
					t.Errorf("the faults are %q, want %q", got, c.fields)
				}
			})
		}
	}
}

// flip changes a token's last character.
func flip(token string) string {
	last := byte('A')
	if token[len(token)-1] == last {
		last = 'Q'
	}
	return token[:len(token)-1] + string(last)
}

func TestBindHasAFormReadByUploadsOnly(t *testing.T) {
	t.Parallel()
	b := newBinder(t)
	newBody().text("name", "x").file("file", "a.txt", []byte("x")).post(t, b.app).want(t, http.StatusInternalServerError, core.ErrConfig)
}

func TestBindTakesAStructOnly(t *testing.T) {
	t.Parallel()
	for contentType, text := range map[string]string{"application/json": "{}", "application/x-www-form-urlencoded": "a=b"} {
		for _, dst := range []any{nil, profile{}, (*profile)(nil)} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			if err := nethttp.Bind(r, dst); core.KindOf(err) != core.ErrConfig {
				t.Errorf("%s into a %T: got %v, want a configuration fault", contentType, dst, err)
			}
		}
	}
}

func TestATokenBoundToASubjectIsOfUseToItAlone(t *testing.T) {
	t.Parallel()
	bound := func(f *core.Field, name string) string { return f.Sign(object(f, name), "user-1") }
	bodies := map[string]func(tokens url.Values) (contentType, body string){
		"in a form": func(v url.Values) (string, string) { return "application/x-www-form-urlencoded", v.Encode() },
		"in JSON": func(v url.Values) (string, string) {
			m := map[string]any{}
			for name, list := range v {
				m[name] = list[0]
				if name == "scans" || name == "list" {
					m[name] = list
				}
			}
			b, _ := json.Marshal(m)
			return "application/json", string(b)
		},
	}
	for way, write := range bodies {
		for field, text := range map[string]string{
			"avatar": bound(avatars, "a.png"), "second": bound(avatars, "s.png"), "list": bound(scans, "1.png"),
			"scans": bound(scans, "2.png"), "portrait": bound(avatars, "o.png"),
		} {
			t.Run(field+" "+way, func(t *testing.T) {
				t.Parallel()
				b := newBinder(t)
				contentType, body := write(url.Values{field: {text}})
				for user, status := range map[string]int{"user-1": 204, "user-2": 422, "": 422} {
					res := sendRaw(t, b.app, "POST", contentType, http.Header{"X-Test-User": {user}}, body)
					res.want(t, status, 0)
					if status == http.StatusUnprocessableEntity {
						if faults := res.problem.Errors; len(faults) != 1 || faults[0].Field != field || faults[0].Code != "bad_token" {
							t.Errorf("for %q the faults are %+v, want a bad token in %s", user, faults, field)
						}
						continue
					}
					p := <-b.bound
					if _, err := json.Marshal(p); err != nil {
						t.Errorf("what its owner bound cannot be used: %v", err)
					}
				}
			})
		}
	}
}

func TestAFilesInsidesCannotBeAddressed(t *testing.T) {
	t.Parallel()
	b := newBinder(t)
	v := url.Values{"avatar": {token(avatars, "a.png")}}
	for _, path := range []string{"object", "Object", "object.key", "Object.Name", "object.size", "subject", "0", "0.object", "key"} {
		v.Set("avatar."+path, "taken over")
	}
	b.post(t, "application/x-www-form-urlencoded", strings.NewReader(v.Encode())).want(t, http.StatusNoContent, 0)
	if got, want := (<-b.bound).Avatar.Object(), object(avatars, "a.png"); !reflect.DeepEqual(got, want) {
		t.Errorf("the file is %+v, want %+v", got, want)
	}
}

func TestAListInAFormIsBounded(t *testing.T) {
	t.Parallel()
	b := newBinder(t)
	b.post(t, "application/x-www-form-urlencoded", strings.NewReader("deep.999999999.Title=x")).want(t, http.StatusUnprocessableEntity, core.ErrInvalid)
	b.post(t, "application/x-www-form-urlencoded", strings.NewReader("deep.1.Title=x")).want(t, http.StatusNoContent, 0)
	if p := <-b.bound; len(p.Deep) != 2 || p.Deep[1].Title != "x" {
		t.Errorf("bound %+v, want two elements with x in the second", p.Deep)
	}
	b.post(t, "application/x-www-form-urlencoded", strings.NewReader("deep.-1.Title=x&deep.0.Title=y")).want(t, http.StatusNoContent, 0)
	if p := <-b.bound; len(p.Deep) != 1 || p.Deep[0].Title != "y" {
		t.Errorf("bound %+v, want one element: there is none before the first", p.Deep)
	}
}

func TestBindGoesThroughModelsThatPointAtEachOther(t *testing.T) {
	t.Parallel()
	type node struct {
		Avatar fieldtype.File[avatar] `json:"avatar"`
		Other  *node                  `json:"other"`
		All    []*node                `json:"all"`
	}
	a, b := &node{}, &node{}
	a.Other, b.Other = b, a
	a.All, b.All = []*node{a, b}, []*node{b, a}
	document := `{"avatar":"` + avatars.Sign(object(avatars, "a.png"), "user-1") + `"}`
	r, err := http.NewRequestWithContext(core.WithSubject(t.Context(), "user-1"), http.MethodPost, "/", strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if err := nethttp.Bind(r, a); err != nil || a.Avatar.Token(r.Context()) == "" {
		t.Errorf("got %v and the file %v, want one that can be used", err, a.Avatar)
	}
}

func TestAFormClearsAFileByAnEmptyValue(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(`{"avatar":null,"second":null}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	second := fieldtype.Of[avatar](object(avatars, "s.png"))
	p := profile{Avatar: fieldtype.Of[avatar](object(avatars, "a.png")), Second: &second, Name: "as it was"}
	if err := nethttp.Bind(r, &p); err != nil {
		t.Fatal(err)
	}
	if !p.Avatar.IsZero() || p.Second != nil || p.Name != "as it was" {
		t.Errorf("bound %s, want no files and the name as it was", p.describe())
	}
}

func TestAProblemOfTheAppKeepsItsStatus(t *testing.T) {
	t.Parallel()
	for err, status := range map[error]int{
		appProblem(http.StatusTeapot): http.StatusTeapot, appProblem(0): http.StatusInternalServerError, appProblem(99999): http.StatusInternalServerError,
		errors.New("what nobody may see"): http.StatusInternalServerError,
	} {
		a := newApp(t, appConfig{handler: func(http.ResponseWriter, *http.Request) error { return err }})
		res := newBody().text("a", "b").post(t, a)
		if res.status != status || strings.Contains(res.body, "nobody") {
			t.Errorf("%v: status is %d (%s), want %d", err, res.status, res.body, status)
		}
	}
}

type appProblem int

func (appProblem) Error() string { return "a problem of the app's own" }

func (p appProblem) Problem() core.Problem { return core.Problem{Title: "Own", Status: int(p)} }
