package core_test

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
)

// linkToken returns the token in a link, as nethttp.Links finds it.
func linkToken(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return path.Base(path.Dir(u.Path))
}

func TestK5ALinkLeadsToItsFileAndNothingElse(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	store := storeAt(t, clock)
	field := store.Field(core.FieldConfig{Name: "scan", Bucket: "scans", LinkBase: "https://app.example.org/files", URLExpiry: time.Hour})
	other := store.Field(core.FieldConfig{Name: "photo", Bucket: "scans", LinkBase: "/files/"})
	object := core.Object{Key: mustKey(t, "2026/a.png"), Name: "ü b?#.png", Type: "image/png", Size: 12}

	link, err := field.Link(object, core.LinkOptions{Subject: "anna"})
	if err != nil || !strings.HasPrefix(link, "https://app.example.org/files/") || !strings.HasSuffix(link, "/%C3%BC%20b%3F%23.png") {
		t.Fatalf("the link is %s, %v", link, err)
	}
	anna := core.WithSubject(t.Context(), "anna")
	token := linkToken(t, link)
	got, disposition, err := field.VerifyLink(anna, token)
	if err != nil || got.Key != object.Key || got.Name != object.Name || got.Type != object.Type || got.Bucket != "scans" || disposition != "" {
		t.Errorf("it leads to %+v, %q, %v", got, disposition, err)
	}
	download, err := field.Link(object, core.LinkOptions{Download: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, disposition, err := field.VerifyLink(t.Context(), linkToken(t, download)); err != nil || disposition != core.Attachment {
		t.Errorf("a link for a download says %q, %v", disposition, err)
	}
	if again, err := field.Link(object, core.LinkOptions{Subject: "anna"}); err != nil || again != link {
		t.Errorf("a second link is %s, %v; want the same", again, err)
	}

	theirs, err := other.Link(object, core.LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(token)
	flipped[len(flipped)/2] ^= 1
	refused := map[string]func() error{
		"no subject":          func() error { _, _, err := field.VerifyLink(t.Context(), token); return err },
		"another subject":     func() error { _, _, err := field.VerifyLink(core.WithSubject(t.Context(), "ben"), token); return err },
		"a changed link":      func() error { _, _, err := field.VerifyLink(anna, string(flipped)); return err },
		"no link":             func() error { _, _, err := field.VerifyLink(anna, ""); return err },
		"another field's":     func() error { _, _, err := field.VerifyLink(anna, linkToken(t, theirs)); return err },
		"a form's token":      func() error { _, _, err := field.VerifyLink(anna, field.Sign(got, "")); return err },
		"a kept file's token": func() error { _, _, err := field.VerifyLink(anna, field.SignPending(got, "")); return err },
	}
	for what, verify := range refused {
		if err := verify(); !errors.Is(err, core.ErrNotFound) || core.ProblemOf(err).Detail != "" {
			t.Errorf("%s: got %v (%+v), want a file that is not there", what, err, core.ProblemOf(err))
		}
	}
	if _, err := field.Verify(linkToken(t, download)); !errors.Is(err, core.ErrToken) {
		t.Errorf("a link fills a form: %v", err)
	}
	clock.now = clock.now.Add(time.Hour - time.Second)
	if _, _, err := field.VerifyLink(anna, token); err != nil {
		t.Errorf("before its promised end the link gives %v", err)
	}
	clock.now = clock.now.Add(15*time.Minute + 2*time.Second)
	if _, _, err := field.VerifyLink(anna, token); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("after its end the link gives %v", err)
	}
}

func TestS8LinksThatWouldLeadNowhereAreRefused(t *testing.T) {
	t.Parallel()
	store := storeAt(t, &clock{time.Now()})
	field := store.Field(core.FieldConfig{Name: "scan", Bucket: "scans", LinkBase: "/files"})
	object := core.Object{Key: mustKey(t, "a")}
	for what, make := range map[string]func() (string, error){
		"no key": func() (string, error) { return field.Link(core.Object{}, core.LinkOptions{}) },
		"another bucket": func() (string, error) {
			return field.Link(core.Object{Bucket: "x", Key: object.Key}, core.LinkOptions{})
		},
		"a huge subject": func() (string, error) {
			return field.Link(object, core.LinkOptions{Subject: strings.Repeat("x", 2000)})
		},
		"no time at all": func() (string, error) { return field.Link(object, core.LinkOptions{Expiry: time.Millisecond}) },
		"a field without it": func() (string, error) {
			return store.Field(core.FieldConfig{Name: "b", Bucket: "scans"}).Link(object, core.LinkOptions{})
		},
	} {
		if link, err := make(); !errors.Is(err, core.ErrConfig) || link != "" {
			t.Errorf("%s: got %q, %v", what, link, err)
		}
	}
	if link, err := field.Link(object, core.LinkOptions{}); err != nil || !strings.HasPrefix(link, "/files/") || !strings.HasSuffix(link, "/a") {
		t.Errorf("got %q, %v", link, err)
	}
	for _, base := range []string{"//evil.example", "files", "javascript:alert(1)", "/files?x=", "https://user:secret@app.example.org/"} {
		fresh := storeAt(t, &clock{time.Now()})
		fresh.Field(core.FieldConfig{Name: "scan", Bucket: "scans", LinkBase: base})
		if err := fresh.Faults(); !errors.Is(err, core.ErrConfig) || strings.Contains(err.Error(), "secret") {
			t.Errorf("the base %q gives %v", base, err)
		}
	}
}

func TestLinksWorkWhateverTheRowHolds(t *testing.T) {
	t.Parallel()
	store := storeAt(t, &clock{time.Now()})
	field := store.Field(core.FieldConfig{Name: "scan", Bucket: "scans", LinkBase: "/links/"})
	long := strings.Repeat(strings.Repeat("k", 254)+"/", 4) + ".png" // 1024 bytes
	for name, o := range map[string]core.Object{
		"the longest key and name": {Key: mustKey(t, long), Name: strings.Repeat("n", 255), Type: "image/png"},
		"an endless name":          {Key: mustKey(t, "a"), Name: strings.Repeat("字", 100_000) + ".png"},
		"dots for a name":          {Key: mustKey(t, "a"), Name: ".."},
		"a path for a name":        {Key: mustKey(t, "a"), Name: "../../x/y.png"},
		"line ends for a name":     {Key: mustKey(t, "a"), Name: "\r\n"},
	} {
		link, err := field.Link(o, core.LinkOptions{Subject: strings.Repeat("s", 1024)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		token, shown, _ := strings.Cut(strings.TrimPrefix(link, "/links/"), "/")
		got, _, err := field.VerifyLink(core.WithSubject(t.Context(), strings.Repeat("s", 1024)), token)
		if err != nil || got.Key != o.Key || shown == "" || strings.Contains(shown, "/") || strings.Trim(shown, ".") == "" {
			t.Errorf("%s: %s leads to %+v, %v", name, link, got.Key, err)
		}
	}
	link, err := field.Link(core.Object{Key: mustKey(t, "a"), Type: strings.Repeat("x", 5000)}, core.LinkOptions{})
	if !errors.Is(err, core.ErrConfig) {
		t.Errorf("a link too long to be followed is %.40s…, %v", link, err)
	}
}
