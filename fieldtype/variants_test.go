package fieldtype_test

import (
	"context"
	"encoding/json"
	"html/template"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/variant"
)

var (
	albumStore = core.MustOpen(core.Config{
		Endpoint: "files.example.org", AccessKey: "access", SecretKey: "secret", PublicBuckets: []string{"albums"},
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	albumField = albumStore.Field(core.FieldConfig{
		Name: "photo", Bucket: "albums", LinkBase: "/files/", DefaultURL: "/static/none.png", VariantMaker: variant.New(variant.Config{}),
		Variants: []core.Variant{{Name: "thumb", Width: 20, Format: "image/jpeg"}, {Name: "page", Width: 200, Make: core.OnRequest}},
	})
)

type albumPhoto struct{}

func (albumPhoto) FileField() *core.Field { return albumField }

func photoOf(t testing.TB, key, typ string) fieldtype.Image[albumPhoto] {
	t.Helper()
	parsed, err := core.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return fieldtype.ImageOf[albumPhoto](core.Object{Bucket: "albums", Key: parsed, Name: "cat.png", Type: typ, Size: 10, Width: 400, Height: 300})
}

func TestVariantsAreURLsInGoTemplatesAndJSON(t *testing.T) {
	t.Parallel()
	photo := photoOf(t, "a/cat.png", "image/png")
	thumb, err := photo.VariantURL(t.Context(), "thumb")
	if err != nil || !strings.HasPrefix(thumb, "http://files.example.org/albums/a/.filefield-variants/cat.png/thumb-") || !strings.HasSuffix(thumb, ".jpg") {
		t.Errorf("thumb: %s, %v", thumb, err)
	}
	page, err := photo.VariantURL(t.Context(), "page")
	if err != nil || !strings.HasPrefix(page, "/files/") || !strings.HasSuffix(page, "/cat-page.png") {
		t.Errorf("page: %s, %v", page, err)
	}
	var shown struct{ Variants map[string]string }
	text, err := json.Marshal(photo)
	if err == nil {
		err = json.Unmarshal(text, &shown)
	}
	if err != nil || len(shown.Variants) != 2 || shown.Variants["thumb"] != thumb || shown.Variants["page"] != page {
		t.Errorf("JSON: %s, %v", text, err)
	}
	var html strings.Builder
	if err := template.Must(template.New("").Parse(`<img src="{{.VariantHref "thumb"}}">`)).Execute(&html, photo); err != nil || html.String() != `<img src="`+thumb+`">` {
		t.Errorf("template: %s, %v", &html, err)
	}
	if again, _ := photo.VariantURL(context.Background(), "page"); again != page {
		t.Errorf("in a public bucket the link changes: %s, %s", page, again)
	}
	if _, err := photo.VariantURL(t.Context(), "other"); core.KindOf(err) != core.ErrConfig {
		t.Errorf("a variant that is not declared: %v", err)
	}
}

func TestAPlaceholderStandsForVariantsThatThereAreNot(t *testing.T) {
	t.Parallel()
	for name, photo := range map[string]fieldtype.Image[albumPhoto]{
		"no file": {}, "a file without variants": photoOf(t, "a/cat.svg", "image/svg+xml"), "a key without room": photoOf(t, strings.Repeat("d/", 500)+"cat.png", "image/png"),
	} {
		if url, err := photo.VariantURL(t.Context(), "thumb"); url != "/static/none.png" || err != nil {
			t.Errorf("%s: %s, %v", name, url, err)
		}
		if text, err := json.Marshal(photo); err != nil || strings.Contains(string(text), "variants") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

func TestAKeyAloneHasVariants(t *testing.T) {
	t.Parallel()
	var photo fieldtype.Image[albumPhoto]
	if err := photo.Scan("a/cat.png"); err != nil { // as Django wrote it
		t.Fatal(err)
	}
	url, err := photo.VariantURL(t.Context(), "thumb")
	known, _ := photoOf(t, "a/cat.png", "image/png").VariantURL(t.Context(), "thumb")
	if err != nil || url != known {
		t.Errorf("the URL is %s, %v; want %s", url, err, known)
	}
}

func BenchmarkVariantURL(b *testing.B) {
	photo := photoOf(b, "2026/11/23/cat.png", "image/png")
	for _, name := range []string{"thumb", "page"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := photo.VariantURL(context.Background(), name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
