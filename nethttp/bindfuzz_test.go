package nethttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/filefield/filefield/nethttp"
)

// FuzzBindNames checks that names of values lead to fields or nowhere: none makes
// a list that is longer than what was sent, or a value that was not.
func FuzzBindNames(f *testing.F) {
	for _, name := range []string{
		"title", "pages.0.text", "pages.1000000000.text", "pages.-1.text", "pages.0.tags.7", "pages.0.inner.inner.inner.text", "tags", "TITLE",
		"pages..text", "pages.0", ".", "inner.0x1.text", "pages.00000000000000000001.text", "title.a", "pages.9223372036854775808.text",
	} {
		f.Add(name, "value", "pages.0.text", "x")
	}
	type page struct {
		Text  string   `form:"text"`
		Tags  []string `form:"tags"`
		Inner *page    `form:"inner"`
	}
	f.Fuzz(func(t *testing.T, name, value, other, second string) {
		sent := url.Values{name: {value, second}, other: {second}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(sent.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		var form struct {
			Title string   `form:"title"`
			Tags  []string `form:"tags"`
			Pages []page   `form:"pages"`
			Inner page     `form:"inner"`
		}
		err := nethttp.Bind(r, &form)
		if len(form.Tags) > 3 || len(form.Pages) > 1000 {
			t.Fatalf("%q makes lists of %d and %d", sent, len(form.Tags), len(form.Pages))
		}
		texts := append([]string{form.Title, form.Inner.Text}, form.Tags...)
		for _, p := range form.Pages {
			texts = append(append(texts, p.Text), p.Tags...)
		}
		for _, text := range texts {
			if text != "" && !slices.Contains([]string{value, second}, text) {
				t.Fatalf("%q brings %q, which was not sent (%v)", sent, text, err)
			}
		}
	})
}
