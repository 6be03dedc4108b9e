package validation

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryLanguageHasEveryMessage(t *testing.T) {
	t.Parallel()
	if got, want := slices.Sorted(maps.Keys(languages)), []string{"de", "en", "es", "fr"}; !slices.Equal(got, want) {
		t.Errorf("got languages %v, want %v", got, want)
	}
	want := languages["en"]
	for name := range rules {
		if want.texts[name] == "" && want.plurals[name] == [2]string{} {
			t.Errorf("the rule %s has no message", name)
		}
	}
	for name, l := range languages {
		if !slices.Equal(slices.Sorted(maps.Keys(l.texts)), slices.Sorted(maps.Keys(want.texts))) ||
			!slices.Equal(slices.Sorted(maps.Keys(l.plurals)), slices.Sorted(maps.Keys(want.plurals))) {
			t.Errorf("%s has other messages than en", name)
		}
		for text := range want.texts {
			mustFillIn(t, name+" "+text, l.texts[text], want.texts[text])
		}
		for text := range want.plurals {
			mustFillIn(t, name+" one of "+text, l.plurals[text][0], want.plurals[text][0])
			mustFillIn(t, name+" more of "+text, l.plurals[text][1], want.plurals[text][1])
		}
		if l.builtin == nil || l.byteSuffix == "" {
			t.Errorf("%s: got no messages of the validator or no unit of size", name)
		}
	}
}

// mustFillIn fails unless a message fills in the same as the English one.
func mustFillIn(t *testing.T, name, got, want string) {
	t.Helper()
	places := regexp.MustCompile(`\{\d}`)
	g, w := places.FindAllString(got, -1), places.FindAllString(want, -1)
	slices.Sort(g)
	slices.Sort(w)
	if strings.TrimSpace(got) == "" || !slices.Equal(g, w) {
		t.Errorf("%s: got %q, which fills in %v, want %v", name, got, g, w)
	}
}

func TestEnglishIsThereWithoutATranslator(t *testing.T) {
	t.Parallel()
	s := speaker{englishTexts()}
	for name := range languages["en"].texts {
		if s.text(name, "0", "1", "2") == "" {
			t.Errorf("%s: got no text", name)
		}
	}
	for name := range languages["en"].plurals {
		if s.plural(name, quantity{number: 1}) == "" || s.plural(name, quantity{number: 2}) == "" {
			t.Errorf("%s: got no text", name)
		}
	}
	if !s.knows() {
		t.Error("got no texts")
	}
}
