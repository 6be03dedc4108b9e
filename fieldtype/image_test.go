package fieldtype_test

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"html/template"
	"log/slog"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// portraitFile is the plain name for code generators of DESIGN's models.
type portraitFile struct{ fieldtype.Image[photo] }

var (
	_ driver.Valuer            = portraitFile{}
	_ sql.Scanner              = (*portraitFile)(nil)
	_ json.Marshaler           = portraitFile{}
	_ json.Unmarshaler         = (*portraitFile)(nil)
	_ encoding.TextUnmarshaler = (*portraitFile)(nil)
	_ encoding.TextMarshaler   = portraitFile{}
	_ encoding.BinaryMarshaler = portraitFile{}
	_ slog.LogValuer           = portraitFile{}
)

// sideways is an image that is looked at turned by a quarter.
func sideways(t testing.TB, bucket string) core.Object {
	t.Helper()
	o := cat(t, bucket)
	o.Orientation, o.Blurhash = 6, "LEHV6nWB2yk8pyo0adR*.7kCMdnj"
	return o
}

func TestAnImageTellsWhatItsHeadSays(t *testing.T) {
	t.Parallel()
	i := fieldtype.ImageOf[photo](sideways(t, "photos"))
	mustEqual(t, "attributes",
		[]any{i.Width(), i.Height(), i.Orientation(), i.Format(), i.Blurhash(), i.Object().Width, i.Name()},
		[]any{480, 640, 6, "png", "LEHV6nWB2yk8pyo0adR*.7kCMdnj", 640, `Zoë's "cat" & <dog>.png`})
	mustEqual(t, "as a validator sees it", i.ValidatorValue(),
		any(fieldtype.Info{Name: i.Name(), Size: 123456, Type: "image/png", Width: 480, Height: 640}))
	var none fieldtype.Image[photo]
	mustEqual(t, "none", []any{none.IsZero(), none.Width(), none.Orientation(), none.Format(), none.Blurhash()}, []any{true, 0, 0, "", ""})

	var row portraitFile
	mustScan(t, &row, mustValue(t, i))
	mustEqual(t, "from a row", row.Image, i)
	mustEqual(t, "in a row", mustValue(t, row), mustValue(t, i))
}

func TestAnImageTakesNothingButImagesFromARequest(t *testing.T) {
	t.Parallel()
	text, unread := cat(t, "photos"), cat(t, "photos")
	text.Type, text.Width, text.Height = "text/plain", 0, 0
	unread.Width, unread.Height = 0, 0
	was := fieldtype.ImageOf[photo](cat(t, "photos"))
	for name, o := range map[string]core.Object{"a text": text, "an image that could not be measured": unread} {
		token := photos.Sign(o, "")
		for how, take := range map[string]func(*portraitFile) error{
			"form": func(f *portraitFile) error { return f.UnmarshalParam(token) },
			"text": func(f *portraitFile) error { return f.UnmarshalText([]byte(token)) },
			"JSON": func(f *portraitFile) error { return json.Unmarshal([]byte(`"`+token+`"`), f) },
		} {
			f := portraitFile{was}
			mustKind(t, name+" as "+how, take(&f), core.ErrType)
			mustEqual(t, name+" as "+how+": the image after that", f.Image, was)
		}
	}
	token := photos.Sign(sideways(t, "photos"), "zoe")
	var fromForm, fromJSON portraitFile
	if err := fromForm.UnmarshalParam(token); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`"`+token+`"`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	_, err := fromForm.Value()
	mustKind(t, "a row before the claim", err, core.ErrToken)
	for _, f := range []*portraitFile{&fromForm, &fromJSON} {
		if err := f.Claim(core.WithSubject(t.Context(), "zoe")); err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "the image", f.Object(), sideways(t, "photos"))
	}
	for how, take := range map[string]func(*portraitFile) error{
		"form": func(f *portraitFile) error { return f.UnmarshalParam("") },
		"JSON": func(f *portraitFile) error { return json.Unmarshal([]byte(`null`), f) },
	} {
		f := portraitFile{was}
		if err := take(&f); err != nil || !f.IsZero() {
			t.Errorf("nothing as %s: %v, %v", how, err, f)
		}
	}
	_, err = fieldtype.ImageOf[photo](text).Value()
	mustKind(t, "a text in a row", err, core.ErrType)
	var old fieldtype.Image[photo] // rows may be older than the rule
	mustScan(t, &old, mustValue(t, fieldtype.Of[photo](text)))
}

func TestAResponseHasTheShapeTheFieldDeclares(t *testing.T) {
	t.Parallel()
	const address = `"http://storage.example:9000/posters/2026/h5zl3x7q.png"`
	for _, c := range []struct {
		name string
		of   any
		want string
	}{
		{"an image", fieldtype.ImageOf[poster](sideways(t, "posters")), `{"name":"Zoë's \"cat\" \u0026 \u003cdog\u003e.png","type":"image/png","size":123456,"url":` + address + `,"width":480,"height":640,"blurhash":"LEHV6nWB2yk8pyo0adR*.7kCMdnj"}`},
		{"the URL", fieldtype.Of[stamp](cat(t, "posters")), address},
		{"no URL", fieldtype.File[stamp]{}, `null`},
		{"several URLs", fieldtype.Files[stamp]{fieldtype.Of[stamp](cat(t, "posters")), {}}, `[` + address + `]`},
		{"no file, but a default", fieldtype.Image[portrait]{}, `{"name":"","url":"/static/nobody.png"}`},
		{"a list of none, whatever the default", fieldtype.Files[portrait]{{}}, `[]`},
	} {
		if got := mustJSON(t, c.of); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	link := mustJSON(t, fieldtype.Of[portrait](cat(t, "photos")))
	if !strings.HasPrefix(link, `{"name":"Zoë's \"cat\" \u0026 \u003cdog\u003e.png","url":"http://storage.example:9000/photos/2026/h5zl3x7q.png?`) {
		t.Errorf("a link is %s", link)
	}
}

func TestTheDefaultURLStandsInForNoFile(t *testing.T) {
	t.Parallel()
	var none fieldtype.File[portrait]
	u, err := none.URL(t.Context())
	mustEqual(t, "URL", []any{u, err}, []any{"/static/nobody.png", error(nil)})
	u, err = none.DownloadURL(t.Context())
	mustEqual(t, "a download of it", []any{u, err}, []any{"", error(nil)})
	mustEqual(t, "the column", mustValue(t, none), nil)
	var undeclaredNone fieldtype.File[undeclared]
	u, err = undeclaredNone.URL(t.Context())
	mustEqual(t, "URL of no field", []any{u, err}, []any{"", error(nil)})
}

func TestATemplateShowsAFileWithoutAContext(t *testing.T) {
	t.Parallel()
	page := template.Must(template.New("").Parse(`<img src="{{.Photo.Href}}" alt="{{.Photo}}"{{with .Photo.Width}} width="{{.}}"{{end}}><a href="{{.Photo.Href}}" onclick="show({{.Photo}})">{{with .Nobody}}{{.Name}}{{end}}</a>`))
	type row struct {
		Photo  any
		Nobody *fieldtype.File[poster]
	}
	render := func(photo any) string {
		var out strings.Builder
		if err := page.Execute(&out, row{Photo: photo}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	evil := cat(t, "posters")
	evil.Key, evil.Name = mustKey(t, `a" onerror=alert(1) 'b.png`), `"><script>alert(1)</script>.png`
	const want = `<img src="http://storage.example:9000/posters/a%22%20onerror%3Dalert%281%29%20%27b.png" alt="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;.png" width="480">`
	evil.Orientation = 6
	if got := render(fieldtype.ImageOf[poster](evil)); !strings.HasPrefix(got, want) || strings.Contains(got, "<script") {
		t.Errorf("the page is\n     %s\nwant %s", got, want)
	}
	mustEqual(t, "no file", render(fieldtype.File[poster]{}), `<img src="" alt=""><a href="" onclick="show( null )"></a>`)
	if got := render(fieldtype.File[portrait]{}); !strings.HasPrefix(got, `<img src="/static/nobody.png" alt="">`) {
		t.Errorf("a default is shown as %s", got)
	}
	if got := render(fieldtype.Of[photo](cat(t, "photos"))); !strings.Contains(got, "&amp;X-Amz-") || strings.Contains(got, "ZgotmplZ") {
		t.Errorf("a presigned URL is shown as %s", got)
	}
}

func TestXMLShowsTheURL(t *testing.T) {
	t.Parallel()
	type row struct {
		Poster fieldtype.File[poster]
		None   fieldtype.File[poster]
	}
	out, err := xml.Marshal(row{Poster: fieldtype.Of[poster](cat(t, "posters"))})
	mustEqual(t, "XML", []any{string(out), err}, []any{`<row><Poster>http://storage.example:9000/posters/2026/h5zl3x7q.png</Poster><None></None></row>`, error(nil)})
}

func TestFilesAreEqualWhereTheirObjectsAre(t *testing.T) {
	t.Parallel()
	a, b := fieldtype.Of[photo](cat(t, "photos")), fieldtype.Of[photo](bare(t, "photos", "b.png"))
	again := fieldtype.Of[photo](bare(t, "photos", "2026/h5zl3x7q.png")) // as a bare key
	var none fieldtype.File[photo]
	for name, c := range map[string]struct{ got, want bool }{
		"itself":                {a.Equal(a), true},
		"the same by its key":   {a.Equal(again), true},
		"another":               {a.Equal(b), false},
		"none and one":          {none.Equal(a), false},
		"none and none":         {none.Equal(none), true},
		"images":                {fieldtype.ImageOf[photo](a.Object()).Equal(fieldtype.ImageOf[photo](again.Object())), true},
		"lists":                 {fieldtype.Files[photo]{a, {}, b}.Equal(fieldtype.Files[photo]{again, b}), true},
		"lists in another turn": {fieldtype.Files[photo]{a, b}.Equal(fieldtype.Files[photo]{b, a}), false},
		"lists of none":         {fieldtype.Files[photo]{{}}.Equal(nil), true},
		"a list of none":        {fieldtype.Files[photo]{{}}.IsZero(), true},
		"a list of one":         {fieldtype.Files[photo]{a}.IsZero(), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %t, want %t", name, c.got, c.want)
		}
	}
}

func TestAFileComesBackFromACopyAndACache(t *testing.T) {
	t.Parallel()
	type row struct {
		Title  string
		Photo  fieldtype.Image[photo]
		Named  portraitFile
		Key    fieldtype.File[scan]
		Photos fieldtype.Files[photo]
		None   fieldtype.File[photo]
	}
	image := fieldtype.ImageOf[photo](sideways(t, "photos"))
	was := row{"Cats", image, portraitFile{image}, fieldtype.Of[scan](cat(t, "photos")), fieldtype.Files[photo]{image.File}, fieldtype.File[photo]{}}
	var cache bytes.Buffer
	if err := gob.NewEncoder(&cache).Encode(was); err != nil {
		t.Fatal(err)
	}
	copied := was
	var back row
	if err := gob.NewDecoder(&cache).Decode(&back); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "from the cache", back, was)
	if u, err := back.Named.URL(t.Context()); err != nil || !strings.Contains(u, "2026/h5zl3x7q.png") {
		t.Errorf("the URL is %q, %v", u, err)
	}
	copied.Photo.UnmarshalParam("") //nolint:errcheck // clears the copy
	mustEqual(t, "the original", was.Photo, image)

	var bound fieldtype.File[photo]
	mustToken(t, &bound, photos.Sign(cat(t, "photos"), "zoe"))
	_, err := bound.MarshalBinary()
	mustKind(t, "a file that is not claimed", err, core.ErrToken)
	mustKind(t, "a forged cache", back.Photo.UnmarshalBinary([]byte(`{"v":1,"bucket":"posters","key":"a","size":1}`)), core.ErrInvalid)
}
