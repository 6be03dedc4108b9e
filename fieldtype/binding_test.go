package fieldtype_test

import (
	"context"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/nethttp"
)

// The interfaces by which Echo's, Gin's and other binders fill a File.
var (
	_ interface{ UnmarshalParam(string) error } = (*fieldtype.File[photo])(nil)
	_ encoding.TextUnmarshaler                  = (*fieldtype.File[photo])(nil)
	_ json.Unmarshaler                          = (*fieldtype.File[photo])(nil)
	_ json.Unmarshaler                          = (*fieldtype.Files[photo])(nil)
	_ nethttp.Claimer                           = (*fieldtype.File[photo])(nil)
	_ nethttp.Claimer                           = (*fieldtype.Files[photo])(nil)
)

// ways are the ways into a File.
func ways[S fieldtype.Spec]() map[string]func(*fieldtype.File[S], string) error {
	return map[string]func(*fieldtype.File[S], string) error{
		"param": func(f *fieldtype.File[S], s string) error { return f.UnmarshalParam(s) },
		"text":  func(f *fieldtype.File[S], s string) error { return f.UnmarshalText([]byte(s)) },
		"json": func(f *fieldtype.File[S], s string) error {
			b, err := json.Marshal(s)
			if err != nil {
				return err
			}
			return json.Unmarshal(b, f)
		},
	}
}

func TestATokenOfTheFieldIsAFile(t *testing.T) {
	t.Parallel()
	want := cat(t, "photos")
	for way, bind := range ways[photo]() {
		var f fieldtype.File[photo]
		if err := bind(&f, photos.Sign(want, "")); err != nil {
			t.Errorf("%s: the token is refused: %v", way, err)
		}
		mustEqual(t, way, f.Object(), want)
	}
}

func TestTokensAreAcceptedUntilTheyExpireAndWhileTheirKeyIsConfigured(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "")
	var later fieldtype.File[photoLater]
	if err := later.UnmarshalParam(token); err != nil {
		t.Errorf("a second before it expires: %v", err)
	}
	var tooLate fieldtype.File[photoTooLate]
	mustKind(t, "at the second it expires", tooLate.UnmarshalParam(token), core.ErrToken)
	var rotated fieldtype.File[photoRotated]
	if err := rotated.UnmarshalParam(token); err != nil {
		t.Errorf("signed by the key before the current one: %v", err)
	}
}

func TestNothingButATokenOfTheFieldIsAFile(t *testing.T) {
	t.Parallel()
	object := cat(t, "photos")
	token := photos.Sign(object, "")
	shown := mustJSON(t, fieldtype.Of[photo](object))
	column, err := fieldtype.Of[photo](object).Value()
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]string{
		"a key":                             "2026/h5zl3x7q.png",
		"a key with its bucket":             "photos/2026/h5zl3x7q.png",
		"a URL":                             "http://storage.example:9000/photos/2026/h5zl3x7q.png",
		"a file URL":                        "file:///etc/passwd",
		"the file as a response shows it":   shown,
		"the file as a column keeps it":     column.(string),
		"a token of another model's field":  bookPhotos.Sign(object, ""),
		"a token of another field":          scans.Sign(object, ""),
		"a token for another bucket":        photosElsewhere.Sign(cat(t, "photos-elsewhere"), ""),
		"a token signed by a foreign key":   photosForeign.Sign(object, ""),
		"a token with a space before":       " " + token,
		"a token with a space after":        token + " ",
		"a token with padding":              token + "=",
		"a token twice":                     token + token,
		"a token and a NUL":                 token + "\x00",
		"a token in the other alphabet":     strings.NewReplacer("-", "+", "_", "/").Replace(token) + "+",
		"a token in quotes":                 `"` + token + `"`,
		"a million bytes":                   strings.Repeat("A", 1<<20),
		"a million bytes around a token":    token + strings.Repeat("A", 1<<20),
		"zero bytes, encoded":               base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"a space":                           " ",
		"null":                              "null",
		"bytes that are no text":            "\xff\xfe\xfd",
		"the checksum of nothing":           strings.Repeat("A", 22),
		"half a million empty base64 units": strings.Repeat("====", 1<<17),
	}
	for name, value := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, value)
		})
	}
}

// mustRefuse fails unless every way into a File refuses value, says nothing of
// it, and leaves what was there before.
func mustRefuse(t *testing.T, value string) {
	t.Helper()
	before := core.Object{Bucket: "photos", Key: mustKey(t, "before.png"), Name: "before.png"}
	for way, bind := range ways[photo]() {
		f := fieldtype.Of[photo](before)
		err := bind(&f, value)
		mustKind(t, way, err, core.ErrToken)
		mustEqual(t, way+": the file after the refusal", f.Object(), before)
		if err != nil && len(value) > 4 && strings.Contains(err.Error(), value) {
			t.Errorf("%s: the error repeats what was sent: %v", way, err)
		}
	}
}

func TestATokenWithOneBitChangedIsRefused(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "zoe")
	var f fieldtype.File[photo]
	for i := range len(token) {
		for bit := range 8 {
			changed := []byte(token)
			changed[i] ^= 1 << bit
			if err := f.UnmarshalText(changed); core.KindOf(err) != core.ErrToken {
				t.Fatalf("bit %d of byte %d: got error %v, want kind %q", bit, i, err, core.ErrToken)
			}
		}
	}
	if !f.IsZero() {
		t.Errorf("the refused tokens left %v", f)
	}
}

func TestATokenCutOffOrWithBytesTakenOutIsRefused(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "")
	var f fieldtype.File[photo]
	for i := 1; i < len(token); i++ {
		for what, value := range map[string]string{
			"its first bytes": token[:i], "its last bytes": token[i:], "all but one": token[:i-1] + token[i:],
		} {
			if err := f.UnmarshalParam(value); core.KindOf(err) != core.ErrToken {
				t.Fatalf("%s at %d: got error %v, want kind %q", what, i, err, core.ErrToken)
			}
		}
	}
}

func TestEmptyTextAndNullAreNoFile(t *testing.T) {
	t.Parallel()
	for name, bind := range map[string]func(*fieldtype.File[photo]) error{
		"empty param":  func(f *fieldtype.File[photo]) error { return f.UnmarshalParam("") },
		"empty text":   func(f *fieldtype.File[photo]) error { return f.UnmarshalText(nil) },
		"empty string": func(f *fieldtype.File[photo]) error { return json.Unmarshal([]byte(`""`), f) },
		"null":         func(f *fieldtype.File[photo]) error { return json.Unmarshal([]byte(`null`), f) },
	} {
		f := fieldtype.Of[photo](cat(t, "photos"))
		if err := bind(&f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !f.IsZero() {
			t.Errorf("%s leaves %+v, want no file", name, f.Object())
		}
	}
}

func TestJSONThatIsNoStringIsNoFile(t *testing.T) {
	t.Parallel()
	shown := mustJSON(t, fieldtype.Of[photo](cat(t, "photos")))
	for _, data := range []string{shown, `{}`, `[]`, `["` + photos.Sign(cat(t, "photos"), "") + `"]`, `1`, `true`, `{"token":"x"}`} {
		f := fieldtype.Of[photo](cat(t, "photos"))
		mustKind(t, data, json.Unmarshal([]byte(data), &f), core.ErrToken)
		mustEqual(t, data+": the file after the refusal", f.Object(), cat(t, "photos"))
	}
}

// album has a file field in every shape a struct can give it.
type album struct {
	Title  string                   `form:"title" json:"title"`
	One    fieldtype.File[photo]    `form:"one" json:"one"`
	Maybe  *fieldtype.File[photo]   `form:"maybe" json:"maybe"`
	Slice  []fieldtype.File[photo]  `form:"slice" json:"slice"`
	Refs   []*fieldtype.File[photo] `form:"refs" json:"refs"`
	Files  fieldtype.Files[photo]   `form:"files" json:"files"`
	Named  photoFile                `form:"named" json:"named"`
	Nested struct {
		Back fieldtype.File[photo] `form:"back" json:"back"`
	} `form:"nested" json:"nested"`
}

// photoFile is the plain name code generators want.
type photoFile struct{ fieldtype.File[photo] }

func (a album) all() map[string]fieldtype.File[photo] {
	out := map[string]fieldtype.File[photo]{"one": a.One, "named": a.Named.File, "nested": a.Nested.Back}
	if a.Maybe != nil {
		out["pointer"] = *a.Maybe
	}
	for i, f := range a.Slice {
		out[fmt.Sprint("slice ", i)] = f
	}
	for i, f := range a.Refs {
		out[fmt.Sprint("refs ", i)] = *f
	}
	for i, f := range a.Files {
		out[fmt.Sprint("files ", i)] = f
	}
	return out
}

// jsonAlbum gives the album's every field the token, the lists twice.
func jsonAlbum(token string) string {
	return strings.ReplaceAll(`{"title":"Cats","one":"T","maybe":"T","slice":["T","T"],"refs":["T","T"],"files":["T","T"],"named":"T","nested":{"back":"T"}}`, "T", token)
}

func jsonRequest(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/albums", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func formRequest(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/albums", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func mustBeCats(t *testing.T, a album, count int) {
	t.Helper()
	if got := len(a.all()); got != count {
		t.Errorf("got %d files, want %d: %+v", got, count, a)
	}
	for where, f := range a.all() {
		mustEqual(t, where, f.Object(), cat(t, "photos"))
	}
}

func TestJSONFillsEveryShapeOfField(t *testing.T) {
	t.Parallel()
	body := jsonAlbum(photos.Sign(cat(t, "photos"), ""))
	var a album
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	mustBeCats(t, a, 10)

	a = album{}
	if err := nethttp.Bind(jsonRequest(body), &a); err != nil {
		t.Fatal(err)
	}
	mustBeCats(t, a, 10)
}

func TestAFormFillsSingleFields(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "")
	var a album
	err := nethttp.Bind(formRequest(url.Values{
		"title": {"Cats"}, "one": {token}, "maybe": {token}, "named": {token}, "nested.back": {token},
	}), &a)
	if err != nil {
		t.Fatal(err)
	}
	mustBeCats(t, a, 4)
	if a.Title != "Cats" {
		t.Errorf("title is %q, want %q", a.Title, "Cats")
	}
}

func TestAFormFillsNumberedLists(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "")
	var a album
	err := nethttp.Bind(formRequest(url.Values{
		"one": {token}, "slice.0": {token}, "slice.1": {token}, "refs.0": {token}, "files.0": {token}, "files.1": {token},
		"named": {token}, "nested.back": {token},
	}), &a)
	if err != nil {
		t.Fatal(err)
	}
	mustBeCats(t, a, 8)
}

func TestAFormWithoutAFileKeepsTheFieldAndWithAnEmptyOneClearsIt(t *testing.T) {
	t.Parallel()
	a := album{One: fieldtype.Of[photo](cat(t, "photos"))}
	if err := nethttp.Bind(formRequest(url.Values{"title": {"Dogs"}}), &a); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "not mentioned", a.One.Object(), cat(t, "photos"))
	if err := nethttp.Bind(formRequest(url.Values{"one": {""}}), &a); err != nil {
		t.Fatal(err)
	}
	if !a.One.IsZero() {
		t.Errorf("an empty value leaves %+v, want no file", a.One.Object())
	}
}

func TestABoundRequestWithAFalseTokenIsInvalid(t *testing.T) {
	t.Parallel()
	var a album
	err := nethttp.Bind(formRequest(url.Values{"one": {"2026/h5zl3x7q.png"}}), &a)
	mustKind(t, "form", err, core.ErrInvalid)
	mustKind(t, "json", nethttp.Bind(jsonRequest(`{"one":"2026/h5zl3x7q.png"}`), &a), core.ErrToken)
	mustKind(t, "json list", nethttp.Bind(jsonRequest(`{"files":["2026/h5zl3x7q.png"]}`), &a), core.ErrToken)
	if len(a.all()) != 3 || !a.One.IsZero() {
		t.Errorf("the refused requests left %+v", a)
	}
}

func TestNamesInAFormReachNothingInsideAFile(t *testing.T) {
	t.Parallel()
	inner := []string{
		"object", "object.bucket", "object.key.s", "object.size", "object.name", "object.metadata",
		"object.modified.loc.name", "subject", "File.object.modified.loc.name", "File.subject",
	}
	for _, outer := range []string{"one", "maybe", "named", "slice.0", "files.0", "nested.back"} {
		for _, name := range inner {
			var a album
			if err := nethttp.Bind(formRequest(url.Values{outer + "." + name: {"7"}}), &a); err != nil {
				t.Errorf("%s.%s: %v", outer, name, err)
			}
			for where, f := range a.all() {
				mustEqual(t, outer+"."+name+" sets "+where, f, fieldtype.File[photo]{})
			}
		}
	}
}

func TestAListInJSONIsBoundByTheFieldsMostFiles(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "")
	list := func(tokens ...string) []byte { return []byte(mustJSON(t, tokens)) }
	var l fieldtype.Files[photo]
	if err := json.Unmarshal(list(token, "", token, "", token), &l); err != nil || len(l) != 3 {
		t.Fatalf("three files and two empty inputs: got %d files, error %v", len(l), err)
	}
	mustKind(t, "four files", json.Unmarshal(list(token, token, token, token), &l), core.ErrTooMany)
	if len(l) != 3 {
		t.Errorf("the refused list left %d files, want the 3 from before", len(l))
	}
	if err := json.Unmarshal([]byte(`null`), &l); err != nil || l != nil {
		t.Errorf("null: got %v, error %v, want none", l, err)
	}
	for _, data := range []string{`"x"`, `{}`, `[1]`, `[["x"]]`, `7`} {
		mustKind(t, data, json.Unmarshal([]byte(data), &l), core.ErrToken)
	}
}

func TestATokenBoundToASubjectIsOfNoUseBeforeItsClaim(t *testing.T) {
	t.Parallel()
	zoe := core.WithSubject(t.Context(), "zoe")
	var f fieldtype.File[photo]
	mustToken(t, &f, photos.Sign(cat(t, "photos"), "zoe"))

	_, err := f.Value()
	mustKind(t, "Value", err, core.ErrToken)
	_, err = fieldtype.Files[photo]{f}.Value()
	mustKind(t, "Files.Value", err, core.ErrToken)
	_, err = f.URL(zoe)
	mustKind(t, "URL", err, core.ErrToken)
	_, err = f.DownloadURL(zoe)
	mustKind(t, "DownloadURL", err, core.ErrToken)
	_, err = f.Open(zoe)
	mustKind(t, "Open", err, core.ErrToken)
	_, err = f.MarshalJSON()
	mustKind(t, "MarshalJSON", err, core.ErrToken)
	mustKind(t, "Stat", f.Stat(zoe), core.ErrToken)
	mustKind(t, "Delete", f.Delete(zoe), core.ErrToken)
	if token := f.Token(core.WithSubject(t.Context(), "eve")); token != "" {
		t.Errorf("Token signs the file anew for another subject: %s", token)
	}

	if err := f.Claim(zoe); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Value(); err != nil {
		t.Errorf("Value after Claim: %v", err)
	}
	if err := f.Claim(core.WithSubject(t.Context(), "eve")); err != nil {
		t.Errorf("a second Claim of a confirmed file: %v", err)
	}
}

func TestAnotherSubjectsTokenIsRefused(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{
		"another subject":            core.WithSubject(t.Context(), "eve"),
		"no subject":                 t.Context(),
		"the subject in other case":  core.WithSubject(t.Context(), "Zoe"),
		"the subject with something": core.WithSubject(t.Context(), "zoe "),
	} {
		var f fieldtype.File[photo]
		mustToken(t, &f, photos.Sign(cat(t, "photos"), "zoe"))
		mustKind(t, name, f.Claim(ctx), core.ErrToken)
		if !f.IsZero() {
			t.Errorf("%s: the refused file stays: %+v", name, f.Object())
		}
		l := make(fieldtype.Files[photo], 2)
		mustToken(t, &l[0], photos.Sign(cat(t, "photos"), ""))
		mustToken(t, &l[1], photos.Sign(cat(t, "photos"), "zoe"))
		mustKind(t, name+", in a list", l.Claim(ctx), core.ErrToken)
		if len(l) != 0 {
			t.Errorf("%s: the refused list keeps %d files", name, len(l))
		}
	}
}

func TestBindClaimsTheRequestersFiles(t *testing.T) {
	t.Parallel()
	body := jsonAlbum(photos.Sign(cat(t, "photos"), "zoe"))
	request := func(subject string) *http.Request {
		r := jsonRequest(body)
		return r.WithContext(core.WithSubject(r.Context(), subject))
	}
	var a album
	if err := nethttp.Bind(request("zoe"), &a); err != nil {
		t.Fatal(err)
	}
	mustBeCats(t, a, 10)
	for where, f := range a.all() {
		if _, err := f.Value(); err != nil {
			t.Errorf("%s was not claimed: %v", where, err)
		}
	}
	if err := nethttp.Bind(jsonRequest(`{}`), &struct {
		Ref struct{ *fieldtype.File[photo] } `json:"ref"`
	}{}); err != nil {
		t.Errorf("a field that embeds a pointer to no file: %v", err)
	}
	mustKind(t, "another subject", nethttp.Bind(request("eve"), &album{}), core.ErrInvalid)
	mustKind(t, "no subject", nethttp.Bind(jsonRequest(body), &album{}), core.ErrInvalid)
}

func TestAFilesOwnTokenBringsItBack(t *testing.T) {
	t.Parallel()
	zoe := core.WithSubject(t.Context(), "zoe")
	token := fieldtype.Of[photo](cat(t, "photos")).Token(zoe)
	var f fieldtype.File[photo]
	mustToken(t, &f, token)
	mustEqual(t, "a file that is not claimed yet", f.Object(), core.Object{})
	mustEqual(t, "its key", f.Key(), core.Key{})
	if err := f.Claim(zoe); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "the file", f.Object(), cat(t, "photos"))
	mustToken(t, &f, token)
	mustKind(t, "a token made for zoe, used by nobody", f.Claim(t.Context()), core.ErrToken)

	withoutBucket := cat(t, "")
	mustToken(t, &f, fieldtype.Of[photo](withoutBucket).Token(t.Context()))
	mustEqual(t, "a file made without its bucket", f.Object(), cat(t, "photos"))

	var none fieldtype.File[photo]
	if got := none.Token(zoe); got != "" {
		t.Errorf("the token of no file is %q, want none", got)
	}
}

func TestAFieldThatIsNotDeclaredOrFaultyIsAConfigurationError(t *testing.T) {
	t.Parallel()
	t.Run("not declared", func(t *testing.T) { t.Parallel(); mustBeMisconfigured[undeclared](t) })
	t.Run("faulty", func(t *testing.T) { t.Parallel(); mustBeMisconfigured[faulty](t) })
	t.Run("an interface", func(t *testing.T) { t.Parallel(); mustBeMisconfigured[fieldtype.Spec](t) })
}

func mustBeMisconfigured[S fieldtype.Spec](t *testing.T) {
	t.Helper()
	f := fieldtype.Of[S](cat(t, "photos"))
	token := photos.Sign(cat(t, "photos"), "")
	var l fieldtype.Files[S]
	for name, use := range map[string]func() error{
		"UnmarshalParam":      func() error { return f.UnmarshalParam(token) },
		"UnmarshalJSON":       func() error { return f.UnmarshalJSON([]byte(`{}`)) },
		"Files.UnmarshalJSON": func() error { return l.UnmarshalJSON([]byte(`["` + token + `"]`)) },
		"Scan":                func() error { return f.Scan("a.png") },
		"Files.Scan":          func() error { return l.Scan(`["a.png"]`) },
		"Value":               func() error { _, err := f.Value(); return err },
		"Files.Value":         func() error { _, err := fieldtype.Files[S]{f}.Value(); return err },
		"MarshalJSON":         func() error { _, err := f.MarshalJSON(); return err },
		"URL":                 func() error { _, err := f.URL(t.Context()); return err },
		"Open":                func() error { _, err := f.Open(t.Context()); return err },
		"Stat":                func() error { return f.Stat(t.Context()) },
		"Delete":              func() error { return f.Delete(t.Context()) },
		"Open of no file":     func() error { _, err := fieldtype.File[S]{}.Open(t.Context()); return err },
	} {
		mustKind(t, name, use(), core.ErrConfig)
	}
	if got := f.Token(t.Context()); got != "" {
		t.Errorf("Token gives %q, want none", got)
	}
}

func FuzzUnmarshal(f *testing.F) {
	object := core.Object{Bucket: "photos", Name: "cat.png", Size: 3, Type: "image/png"}
	if err := object.Key.UnmarshalText([]byte("a/cat.png")); err != nil {
		f.Fatal(err)
	}
	for _, token := range []string{
		photos.Sign(object, ""), photos.Sign(object, "zoe"), scans.Sign(object, ""),
		"", "null", "a/cat.png", `{"url":"x"}`, "AWY", strings.Repeat("A", 5000),
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		before := fieldtype.Of[photo](object)
		file := before
		err := file.UnmarshalParam(token)
		switch {
		case err != nil:
			mustKind(t, "refused", err, core.ErrToken)
			mustEqual(t, "after the refusal", file, before)
		case token == "":
			mustEqual(t, "no token", file, fieldtype.File[photo]{})
		default:
			if err := file.Claim(core.WithSubject(t.Context(), "zoe")); err != nil {
				t.Fatal(err)
			}
			mustEqual(t, "the bucket", file.Object().Bucket, "photos")
			mustEqual(t, "the key", mustKey(t, file.Key().String()), object.Key)
		}
		var fromJSON fieldtype.File[photo]
		_ = fromJSON.UnmarshalJSON([]byte(token)) // must not panic
		var list fieldtype.Files[photo]
		_ = list.UnmarshalJSON([]byte(token))
		if len(list) > 3 {
			t.Errorf("a list of %d files, the most is 3", len(list))
		}
	})
}
