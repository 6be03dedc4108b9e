package fieldtype_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

var (
	_ json.Marshaler = fieldtype.File[photo]{}
	_ json.Marshaler = fieldtype.Files[photo]{}
	_ slog.LogValuer = fieldtype.File[photo]{}
	_ fmt.Stringer   = fieldtype.File[photo]{}
)

func TestAResponseShowsAPublicFileAtItsPlainURL(t *testing.T) {
	t.Parallel()
	image := cat(t, "posters")
	image.Key = mustKey(t, "2026/a cat+dog.png")
	text := core.Object{Key: mustKey(t, "notes.txt"), Name: "notes.txt", Size: 5, Type: "text/plain"}
	const (
		imageJSON = `{"name":"Zoë's \"cat\" \u0026 \u003cdog\u003e.png","type":"image/png","size":123456,"url":"http://storage.example:9000/posters/2026/a%20cat%2Bdog.png","width":640,"height":480}`
		textJSON  = `{"name":"notes.txt","type":"text/plain","size":5,"url":"http://storage.example:9000/posters/notes.txt"}`
	)
	files := fieldtype.Files[poster]{fieldtype.Of[poster](image), fieldtype.Of[poster](text)}
	for _, c := range []struct {
		name string
		of   any
		want string
	}{
		{"an image", files[0], imageJSON},
		{"another file", files[1], textJSON},
		{"a pointer", &files[1], textJSON},
		{"several", files, "[" + imageJSON + "," + textJSON + "]"},
		{"a gap among several", fieldtype.Files[poster]{{}, files[1]}, "[" + textJSON + "]"},
		{"no file", fieldtype.File[poster]{}, `null`},
		{"no pointer", (*fieldtype.File[poster])(nil), `null`},
		{"no files", fieldtype.Files[poster](nil), `[]`},
		{"an empty list", fieldtype.Files[poster]{}, `[]`},
		{"a field that may be left out", struct {
			File fieldtype.File[poster] `json:"file,omitzero"`
		}{}, `{}`},
	} {
		if got := mustJSON(t, c.of); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestAResponseShowsAPrivateFileAtAPresignedURL(t *testing.T) {
	t.Parallel()
	var got struct {
		Name, Type, URL     string
		Size, Width, Height int
	}
	d := json.NewDecoder(strings.NewReader(mustJSON(t, fieldtype.Of[photo](cat(t, "photos")))))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(got.URL)
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "scheme, host and path", u.Scheme+"://"+u.Host+u.Path, "http://storage.example:9000/photos/2026/h5zl3x7q.png")
	for _, name := range []string{"X-Amz-Signature", "X-Amz-Expires", "X-Amz-Credential"} {
		if u.Query().Get(name) == "" {
			t.Errorf("the URL has no %s: %s", name, got.URL)
		}
	}
	got.URL = ""
	want := got
	want.Name, want.Type, want.Size, want.Width, want.Height = `Zoë's "cat" & <dog>.png`, "image/png", 123456, 640, 480
	mustEqual(t, "the rest", got, want)
}

func TestADownloadURLNamesTheFileAsItsSenderDid(t *testing.T) {
	t.Parallel()
	for what, get := range map[string]func() (string, error){
		"private": func() (string, error) { return fieldtype.Of[photo](cat(t, "photos")).DownloadURL(t.Context()) },
		"public":  func() (string, error) { return fieldtype.Of[poster](cat(t, "posters")).DownloadURL(t.Context()) },
	} {
		text, err := get()
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		want := `attachment; filename="Zoe's _cat_ & <dog>.png"; filename*=UTF-8''Zo%C3%AB%27s%20%22cat%22%20%26%20%3Cdog%3E.png`
		mustEqual(t, what, u.Query().Get("response-content-disposition"), want)
	}
	var none fieldtype.File[photo]
	for _, get := range []func() (string, error){
		func() (string, error) { return none.URL(t.Context()) },
		func() (string, error) { return none.DownloadURL(t.Context()) },
	} {
		if got, err := get(); got != "" || err != nil {
			t.Errorf("no file: got URL %q and error %v, want neither", got, err)
		}
	}
}

func TestO14AFileOfAnotherBucketIsNotShown(t *testing.T) {
	t.Parallel()
	f := fieldtype.Of[poster](cat(t, "photos")) // a private file under a public field
	_, err := f.URL(t.Context())
	mustKind(t, "URL", err, core.ErrConfig)
	_, err = json.Marshal(f)
	mustKind(t, "json", err, core.ErrConfig)
	mustKind(t, "Delete", f.Delete(t.Context()), core.ErrConfig)
	if got := f.Token(t.Context()); got != "" {
		t.Errorf("Token gives %q, want none", got)
	}
}

func TestPrintsAndLogsShowNoSecretTokenOrSignature(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "zoe")
	var bound fieldtype.File[photo]
	mustToken(t, &bound, token)
	row := struct {
		Title  string
		Photo  fieldtype.File[photo]
		Photos fieldtype.Files[photo]
		Bound  fieldtype.File[photo]
	}{"Cats", fieldtype.Of[photo](cat(t, "photos")), fieldtype.Files[photo]{bound}, bound}

	hidden := []string{token, "X-Amz-", "Signature"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, v := range []any{row, &row, row.Photo, &row.Photo, row.Photos} {
			mustNotShow(t, verb, fmt.Sprintf(verb, v), hidden...)
		}
	}
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(h).Info("saved", "photo", row.Photo, "pointer", &row.Photo, "bound", bound, "several", row.Photos, "image", fieldtype.ImageOf[photo](row.Photo.Object()), "none", fieldtype.File[photo]{})
	}
	mustNotShow(t, "log", logged.String(), hidden...)
	for _, want := range []string{"photo.bucket=photos", "photo.key=2026/h5zl3x7q.png", "photo.size=123456", "several.0.key=2026/h5zl3x7q.png", "image.type=image/png", "photo.type=image/png", `"key":"2026/h5zl3x7q.png"`, `"none":""`} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %s: %s", want, logged.String())
		}
	}
	// A response does show a signature: it is the URL. Never more than that.
	mustNotShow(t, "json", mustJSON(t, row.Photo), token, `"subject"`, `"key"`, `"bucket"`, "yZRlqg")
}

func TestErrorsShowNoSecretOrToken(t *testing.T) {
	t.Parallel()
	token := photos.Sign(cat(t, "photos"), "zoe")
	var bound fieldtype.File[photo]
	mustToken(t, &bound, token)
	_, errValue := bound.Value()
	for name, err := range map[string]error{
		"store":        errValue,
		"claim":        bound.Claim(t.Context()),
		"false token":  new(fieldtype.File[scan]).UnmarshalParam(token),
		"expired":      new(fieldtype.File[photoTooLate]).UnmarshalParam(token),
		"false column": new(fieldtype.File[photo]).Scan(`{"v":1,"key":"a","token":"` + token + `"}`),
	} {
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		mustNotShow(t, name, err.Error(), token)
	}
}

func TestAFilePrintsItsNameInATemplateEscaped(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	page := template.Must(template.New("").Parse(`{{if not .IsZero}}<img alt="{{.}}" width="{{.Width}}" height="{{.Height}}">{{end}}`))
	if err := page.Execute(&out, fieldtype.Of[photo](cat(t, "photos"))); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "page", out.String(), `<img alt="Zoë&#39;s &#34;cat&#34; &amp; &lt;dog&gt;.png" width="640" height="480">`)
}

func TestAValidatorSeesWhatIsKnownOfAFileAndNilForNone(t *testing.T) {
	t.Parallel()
	type valuer interface{ ValidatorValue() any }
	want := fieldtype.Info{Name: `Zoë's "cat" & <dog>.png`, Size: 123456, Type: "image/png", Width: 640, Height: 480}
	file := fieldtype.Of[photo](cat(t, "photos"))
	for name, c := range map[string]struct {
		field valuer
		want  any
	}{
		"a file":             {file, want},
		"a pointer":          {&file, want},
		"a named type":       {photoFile{file}, want},
		"no file":            {fieldtype.File[photo]{}, (*fieldtype.Info)(nil)},
		"a named type of no": {photoFile{}, (*fieldtype.Info)(nil)},
	} {
		mustEqual(t, name, c.field.ValidatorValue(), c.want)
	}
}

func TestAFileTellsWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	o := cat(t, "photos")
	f := fieldtype.Of[photo](o)
	mustEqual(t, "attributes",
		[]any{f.IsZero(), f.Key(), f.Name(), f.String(), f.Size(), f.Type(), f.Width(), f.Height()},
		[]any{false, o.Key, o.Name, o.Name, o.Size, o.Type, o.Width, o.Height})
	var none fieldtype.File[photo]
	mustEqual(t, "no file",
		[]any{none.IsZero(), none.Key(), none.Name(), none.String(), none.Size(), none.Type(), none.Width(), none.Height()},
		[]any{true, core.Key{}, "", "", int64(0), "", 0, 0})
}
