package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
)

// stamps makes variants that are a picture of its own, whatever the original is:
// what core does around a VariantMaker shows with it.
type stamps struct {
	content []byte
	fail    error

	mu   sync.Mutex
	made []string
}

func (s *stamps) CheckVariant(v core.Variant) error {
	if v.Format == "image/avif" {
		return errors.New("no AVIF here")
	}
	return nil
}

func (s *stamps) MakeVariants(ctx context.Context, f *core.Field, original core.Object, names []string) error {
	s.mu.Lock()
	s.made = append(s.made, fmt.Sprint(original.Key.Dir(), " ", names))
	s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	stored, err := f.Stat(ctx, original.Key)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		_, err := f.StoreVariant(ctx, stored, name, s.content)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *stamps) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.made)
}

var thumb = core.Variant{Name: "thumb", Width: 10, Height: 10, Mode: core.Fill, Format: "image/png"}

// album is a field with a variant that is made on upload, and one on request.
func album(t testing.TB, store *core.Store, bucket string, change ...func(*core.FieldConfig)) (*core.Field, *stamps) {
	t.Helper()
	maker := &stamps{content: picture(t, 10, 10, png.Encode)}
	c := core.FieldConfig{
		Name: "photo", Model: t.Name(), Bucket: bucket, Accept: core.Images, UploadTo: core.Prefix("a", core.KeepName), VariantMaker: maker, LinkBase: "/files/",
		Variants: []core.Variant{thumb, {Name: "page", Width: 20, Make: core.OnRequest}},
	}
	for _, f := range change {
		f(&c)
	}
	field := store.Field(c)
	if err := field.Fault(); err != nil {
		t.Fatal(err)
	}
	return field, maker
}

func upload(t testing.TB, ctx context.Context, f *core.Field, name string, replace ...bool) core.Object { //nolint:revive // t first, as in the other tests
	t.Helper()
	o, err := f.Save(ctx, core.Upload{Body: bytes.NewReader(picture(t, 40, 30, png.Encode)), Name: name, Replace: len(replace) > 0})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wantObjects checks what the bucket holds, with the hashes of variants cut off.
func wantObjects(t testing.TB, when string, b *core.Bucket, want ...string) {
	t.Helper()
	var have []string
	for o, err := range b.Walk(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		key := o.Key.String()
		if _, ok := o.Key.VariantOf(); ok {
			key = key[:strings.LastIndexByte(key, '-')]
		}
		have = append(have, key)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("%s: the bucket holds %q, want %q", when, have, want)
	}
}

func TestVariantsHaveTheSidesTheirDeclarationSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v            core.Variant
		w, h         int
		wantW, wantH int
	}{
		{core.Variant{Width: 100, Height: 100}, 400, 200, 100, 50},
		{core.Variant{Width: 100, Height: 100}, 200, 400, 50, 100},
		{core.Variant{Width: 100}, 400, 200, 100, 50},
		{core.Variant{Height: 100}, 400, 200, 200, 100},
		{core.Variant{Width: 100, Height: 100}, 50, 20, 50, 20},                              // never larger
		{core.Variant{}, 50, 20, 50, 20},                                                     // no sides
		{core.Variant{Width: 100}, 100_000, 1, 100, 1},                                       // never nothing
		{core.Variant{Width: 100, Height: 100, Mode: core.Fill}, 400, 200, 100, 100},         //
		{core.Variant{Width: 100, Height: 50, Mode: core.Fill}, 400, 400, 100, 50},           //
		{core.Variant{Width: 100, Height: 100, Mode: core.Fill}, 50, 200, 50, 50},            // in proportion, not larger
		{core.Variant{Width: 200, Height: 100, Mode: core.Fill}, 100, 100, 100, 50},          //
		{core.Variant{Width: 1000, Height: 1, Mode: core.Fill}, 10, 10, 10, 1},               //
		{core.Variant{Width: 100, Height: 100}, 0, 0, 0, 0},                                  // not known
		{core.Variant{Width: 100, Height: 100}, 1<<31 - 1, 1<<31 - 1, 100, 100},              //
		{core.Variant{Width: 3, Height: 2, Mode: core.Fill}, 1<<31 - 1, 1, 2, 1},             //
		{core.Variant{Width: 16384, Height: 16384, Mode: core.Fill}, 5000, 7000, 5000, 5000}, //
	} {
		if w, h := c.v.Dimensions(c.w, c.h); w != c.wantW || h != c.wantH {
			t.Errorf("%+v of %d by %d is %d by %d, want %d by %d", c.v, c.w, c.h, w, h, c.wantW, c.wantH)
		}
	}
}

func TestFaultyVariantsAreReportedWithTheDeclaration(t *testing.T) {
	t.Parallel()
	store := exampleStore()
	for name, c := range map[string]struct {
		config core.FieldConfig
		want   string
	}{
		"no name":              {core.FieldConfig{Variants: []core.Variant{{}}}, "a name consists of"},
		"a name that is none":  {core.FieldConfig{Variants: []core.Variant{{Name: "a/b"}}}, "a name consists of"},
		"a long name":          {core.FieldConfig{Variants: []core.Variant{{Name: strings.Repeat("a", 41)}}}, "a name consists of"},
		"a name twice":         {core.FieldConfig{Variants: []core.Variant{{Name: "a"}, {Name: "a", Width: 1}}}, "declared twice"},
		"a negative side":      {core.FieldConfig{Variants: []core.Variant{{Name: "a", Width: -1}}}, "a side has at most"},
		"a huge side":          {core.FieldConfig{Variants: []core.Variant{{Name: "a", Height: 16385}}}, "a side has at most"},
		"fill without sides":   {core.FieldConfig{Variants: []core.Variant{{Name: "a", Mode: core.Fill, Width: 1}}}, "Fill needs"},
		"an unknown format":    {core.FieldConfig{Variants: []core.Variant{{Name: "a", Format: "image/svg+xml"}}}, "Format is"},
		"a format not made":    {core.FieldConfig{Variants: []core.Variant{{Name: "a", Format: "image/avif"}}}, "no AVIF here"},
		"a quality of 101":     {core.FieldConfig{Variants: []core.Variant{{Name: "a", Quality: 101}}}, "Quality is"},
		"on request, no links": {core.FieldConfig{Variants: []core.Variant{{Name: "a", Make: core.OnRequest}}}, "needs LinkBase"},
		"no maker":             {core.FieldConfig{Variants: []core.Variant{{Name: "a"}}, VariantMaker: core.VariantMaker(nil)}, "needs VariantMaker"},
		"keys without room":    {core.FieldConfig{Variants: []core.Variant{{Name: "a"}}, MaxKeyLength: 1000}, "MaxKeyLength"},
	} {
		c.config.Name, c.config.Model, c.config.Bucket = "photo", name, "photos"
		if name != "no maker" {
			c.config.VariantMaker = &stamps{}
		}
		err := store.Field(c.config).Fault()
		if core.KindOf(err) != core.ErrConfig || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the fault is %v, want one with %q", name, err, c.want)
		}
	}
}

func TestAVariantsKeyNamesItsOriginal(t *testing.T) {
	t.Parallel()
	store := exampleStore()
	field, _ := album(t, store, "photos")
	for _, original := range []string{"a.png", "2026/11/a.png", strings.Repeat("x", 255), strings.Repeat("d/", 300) + strings.Repeat("y", 250), "a/.filefield-variantsx/b/c"} {
		made, err := field.Variant(core.Object{Key: mustKey(t, original), Type: "image/png"}, "thumb")
		if err != nil {
			t.Errorf("%.40s: %v", original, err)
			continue
		}
		if back, ok := made.Key.VariantOf(); !ok || back.String() != original {
			t.Errorf("%s is the variant of %s, %t; want %.40s", made.Key, back, ok, original)
		}
	}
	for _, other := range []string{"a.png", "a/b/c", ".filefield-variants/a.png", "a/.filefield-variants/b"} {
		if key, ok := mustKey(t, other).VariantOf(); ok {
			t.Errorf("%s is taken for the variant of %s", other, key)
		}
	}
	tooLong := mustKey(t, strings.Repeat("d/", 500)+"a.png")
	_, err := field.Variant(core.Object{Key: tooLong, Type: "image/png"}, "thumb")
	wantKind(t, "a key without room", err, core.ErrName)
	_, err = field.Variant(core.Object{Key: mustKey(t, ".filefield-variants/a.png/thumb-12345678.png"), Type: "image/png"}, "thumb")
	wantKind(t, "the variant of a variant", err, core.ErrName)
	_, err = field.Variant(core.Object{Key: mustKey(t, "a"), Type: "application/pdf"}, "thumb")
	wantKind(t, "the variant of a PDF", err, core.ErrType)
	_, err = field.Variant(core.Object{Key: mustKey(t, "a"), Type: "image/png"}, "other")
	wantKind(t, "a variant that is not declared", err, core.ErrConfig)
}

func TestAVariantDeclaredOtherwiseIsAnotherObject(t *testing.T) {
	t.Parallel()
	store := exampleStore()
	seen := map[string]core.Variant{}
	for i, v := range []core.Variant{
		{},
		{Width: 10},
		{Height: 10},
		{Width: 10, Height: 10},
		{Width: 10, Height: 10, Mode: core.Fill},
		{Format: "image/png"},
		{Format: "image/jpeg"},
		{Quality: 50},
	} {
		v.Name = "thumb"
		field, _ := album(t, store, "photos", func(c *core.FieldConfig) {
			c.Model, c.Variants = fmt.Sprint(i), []core.Variant{v}
		})
		made, err := field.Variant(core.Object{Key: mustKey(t, "a.png"), Type: "image/png"}, "thumb")
		if other, ok := seen[made.Key.String()]; ok || err != nil {
			t.Errorf("%+v and %+v have the key %s, %v", v, other, made.Key, err)
		}
		seen[made.Key.String()] = v
	}
}

func TestURLsOfVariantsNeedNoRequest(t *testing.T) {
	t.Parallel()
	store := exampleStore() // there is no such server
	o := core.Object{Bucket: "photos", Key: mustKey(t, "a/b.png"), Name: "Käse.png", Type: "image/png", Width: 40, Height: 30}
	private, _ := album(t, store, "photos")
	url, err := private.VariantURL(t.Context(), o, "thumb")
	if err != nil || !strings.HasPrefix(url, "https://files.example.org/photos/a/.filefield-variants/b.png/thumb-") || !strings.Contains(url, "X-Amz-Signature") {
		t.Errorf("on upload, private: %s, %v", url, err)
	}
	link, err := private.VariantURL(t.Context(), o, "page")
	if err != nil || !strings.HasPrefix(link, "/files/") || !strings.HasSuffix(link, "/K%C3%A4se-page.png") {
		t.Errorf("on request: %s, %v", link, err)
	}
	token := strings.Split(link, "/")[2]
	original, name, err := private.VerifyVariantLink(t.Context(), token)
	if err != nil || name != "page" || original.Key != o.Key || original.Name != o.Name || original.Width != 40 {
		t.Errorf("the link leads to %+v, %s, %v", original, name, err)
	}
	if _, _, err := private.VerifyLink(t.Context(), token); core.KindOf(err) != core.ErrNotFound {
		t.Errorf("it is a link to a file as well: %v", err)
	}
	if _, err := private.Verify(token); core.KindOf(err) != core.ErrToken {
		t.Errorf("it fills the field: %v", err)
	}
	if _, _, err := private.VerifyVariantLink(t.Context(), private.Sign(o, "")); core.KindOf(err) != core.ErrNotFound {
		t.Errorf("a form's token leads to a variant: %v", err)
	}
	public, _ := album(t, store, "logos", func(c *core.FieldConfig) { c.Model = "logo" })
	o.Bucket = "logos"
	url, err = public.VariantURL(t.Context(), o, "thumb")
	if err != nil || !strings.HasPrefix(url, "https://files.example.org/logos/a/.filefield-variants/b.png/thumb-") || strings.Contains(url, "?") {
		t.Errorf("on upload, public: %s, %v", url, err)
	}
	if _, _, err := public.VerifyVariantLink(t.Context(), token); core.KindOf(err) != core.ErrNotFound {
		t.Errorf("another field's link is followed: %v", err)
	}
	linked, _ := album(t, store, "photos", func(c *core.FieldConfig) { c.Model, c.Links = "linked", true })
	o.Bucket = "photos"
	link, err = linked.VariantURL(core.WithSubject(t.Context(), "ann"), o, "thumb")
	if err != nil || !strings.HasPrefix(link, "/files/") {
		t.Errorf("with links: %s, %v", link, err)
	}
	_, _, err = linked.VerifyVariantLink(core.WithSubject(t.Context(), "bob"), strings.Split(link, "/")[2])
	wantKind(t, "another's link", err, core.ErrNotFound)
}

func TestVariantsComeWithTheirOriginalAndGoWithIt(t *testing.T) {
	t.Parallel()
	record, store, bucket := recorded(t)
	field, maker := album(t, store, bucket)
	b := field.Bucket()
	o := upload(t, t.Context(), field, "x.png")
	const kept, variant, page = "a/x.png", "a/.filefield-variants/x.png/thumb", "a/.filefield-variants/x.png/page"
	wantObjects(t, "after the save", b, kept, variant)
	if err := field.MakeVariants(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after all were made", b, kept, variant, page)

	before := len(record.Requests())
	ctx, txn := core.Begin(t.Context())
	if err := b.Delete(ctx, o.Key); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "before the commit", b, kept, variant, page)
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after the commit", b)
	lists := 0
	for _, r := range record.Requests()[before:] {
		if r.Method == "GET" && strings.Contains(r.RawQuery, "list-type") {
			lists++
		}
	}
	if lists != 3 { // wantObjects': one that has objects, and sees that nothing comes behind, and one that has none
		t.Errorf("the deletion listed the bucket: %d listings", lists)
	}
	if maker.calls() != 2 {
		t.Errorf("variants were made %d times, want 2", maker.calls())
	}
}

func TestARollbackTakesTheVariantsAndMakesNone(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field, maker := album(t, store, bucket)
	ctx, txn := core.Begin(t.Context())
	o := upload(t, ctx, field, "x.png")
	if maker.calls() != 0 {
		t.Error("variants were made of a file that no row has yet")
	}
	if err := field.MakeVariants(ctx, o, "page"); err != nil { // somebody asked already
		t.Fatal(err)
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after the rollback", field.Bucket())

	ctx, txn = core.Begin(t.Context())
	upload(t, ctx, field, "y.png")
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after a commit", field.Bucket(), "a/y.png", "a/.filefield-variants/y.png/thumb")
}

func TestAFileThatIsKeptHasItsVariantsMadeOnceItIsClaimed(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field, maker := album(t, store, bucket)
	ctx, txn := core.Begin(t.Context())
	o := upload(t, ctx, field, "x.png")
	token, err := field.Keep(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if maker.calls() != 0 {
		t.Error("variants were made of a pending file")
	}
	ctx, txn = core.Begin(t.Context())
	verified, err := field.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := field.Claim(ctx, verified); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after the claim", field.Bucket(), "a/x.png", "a/.filefield-variants/x.png/thumb")
}

func TestAFileThatACommittedRowHasGetsItsVariantsHoweverTheTransactionEnds(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(*core.Txn, context.Context) error{
		"a commit":   (*core.Txn).Commit,
		"a rollback": (*core.Txn).Rollback, // the request failed after its row was committed
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			field, _ := album(t, store, bucket)
			ctx, txn := core.Begin(t.Context())
			o := upload(t, ctx, field, "x.png")
			if !txn.Settle(bucket, o.Key) {
				t.Fatal("the transaction does not know its file")
			}
			if err := end(txn, t.Context()); err != nil {
				t.Fatal(err)
			}
			wantObjects(t, "after "+how, field.Bucket(), "a/x.png", "a/.filefield-variants/x.png/thumb")
		})
	}
}

func TestAReplacedFileHasNoVariantsOfTheOldOne(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"a transaction", "none"} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			store, bucket := openStore(t)
			field, maker := album(t, store, bucket)
			old := upload(t, t.Context(), field, "x.png")
			if err := field.MakeVariants(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			maker.content = picture(t, 5, 5, png.Encode)
			ctx, commit := t.Context(), func() error { return nil }
			if in != "none" {
				c, txn := core.Begin(ctx)
				ctx, commit = c, func() error { return txn.Commit(t.Context()) }
			}
			o := upload(t, ctx, field, "x.png", true)
			if err := commit(); err != nil {
				t.Fatal(err)
			}
			wantObjects(t, "after it was replaced", field.Bucket(), "a/x.png", "a/.filefield-variants/x.png/thumb")
			made, err := field.Variant(o, "thumb")
			if err != nil {
				t.Fatal(err)
			}
			if stored, err := field.Stat(t.Context(), made.Key); err != nil || stored.Width != 5 {
				t.Errorf("the variant is still the old one: %+v, %v", stored, err)
			}
		})
	}
}

func TestAVariantOfWhatIsGoneMeanwhileDoesNotStay(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field, maker := album(t, store, bucket, func(c *core.FieldConfig) { c.Variants = c.Variants[1:] })
	o := upload(t, t.Context(), field, "x.png")
	read, err := field.Stat(t.Context(), o.Key)
	if err != nil {
		t.Fatal(err)
	}
	upload(t, t.Context(), field, "y.png")
	if _, err := field.Bucket().Copy(t.Context(), mustKey(t, "a/y.png"), field.Bucket(), o.Key, core.Replace); err != nil {
		t.Fatal(err)
	}
	replaced := read
	replaced.ETag = "0123456789abcdef0123456789abcdef"
	_, err = field.StoreVariant(t.Context(), replaced, "page", maker.content)
	wantKind(t, "of a replaced file", err, core.ErrPrecondition)
	if err := field.Delete(t.Context(), o.Key); err != nil {
		t.Fatal(err)
	}
	_, err = field.StoreVariant(t.Context(), read, "page", maker.content)
	wantKind(t, "of a removed file", err, core.ErrNotFound)
	wantObjects(t, "afterwards", field.Bucket(), "a/y.png")
}

func TestCopiesTakeTheirVariantsAlong(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field, _ := album(t, store, bucket)
	b := field.Bucket()
	o := upload(t, t.Context(), field, "x.png")
	copied, err := b.Copy(t.Context(), o.Key, b, mustKey(t, "b/y.png"), core.KeepExisting)
	if err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after a copy", b, "a/x.png", "a/.filefield-variants/x.png/thumb", "b/y.png", "b/.filefield-variants/y.png/thumb")
	if has, err := field.HasVariant(t.Context(), copied, "thumb"); !has || err != nil {
		t.Errorf("the copied variant is not that of the copy: %t, %v", has, err)
	}
	ctx, txn := core.Begin(t.Context())
	if _, err := b.Move(ctx, o.Key, b, mustKey(t, "b/y.png"), core.Replace); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after a move", b, "b/y.png", "b/.filefield-variants/y.png/thumb")
	ctx, txn = core.Begin(t.Context())
	if _, err := b.Copy(ctx, mustKey(t, "b/y.png"), b, mustKey(t, "c.png"), core.KeepExisting); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, "after a copy that was rolled back", b, "b/y.png", "b/.filefield-variants/y.png/thumb")
}

func TestAVariantThatFailsLeavesItsOriginalAlone(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field, maker := album(t, store, bucket)
	maker.fail = errors.New("no memory")
	ctx, txn := core.Begin(t.Context())
	upload(t, ctx, field, "x.png")
	if err := txn.Commit(t.Context()); err != nil {
		t.Errorf("the commit fails with the variant: %v", err)
	}
	wantObjects(t, "after the commit", field.Bucket(), "a/x.png")
}

func TestNoFileIsSavedWhereVariantsLie(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	field, _ := album(t, store, bucket, func(c *core.FieldConfig) {
		c.UploadTo = func(core.Naming) (string, error) { return ".filefield-variants/a.png/thumb-00000000.png", nil }
	})
	_, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(picture(t, 40, 30, png.Encode))})
	wantKind(t, "save", err, core.ErrName)
}

func TestAFieldWithoutVariantsMakesNoRequestsForThem(t *testing.T) {
	t.Parallel()
	record, store, bucket := recorded(t)
	field := store.Field(core.FieldConfig{Name: "f", Bucket: bucket})
	o := upload(t, t.Context(), field, "x.png")
	if err := field.Delete(t.Context(), o.Key); err != nil {
		t.Fatal(err)
	}
	if n := len(record.Requests()); n != 2 {
		t.Errorf("a save and a deletion took %d requests, want 2", n)
	}
}

func TestTheLeastPolicyIsEnoughForVariants(t *testing.T) {
	t.Parallel()
	record, store, bucket := recorded(t)
	field, _ := album(t, store, bucket, func(c *core.FieldConfig) { c.KeyPrefix = "a/" })
	guard := enforce(record, mustPolicy(t, store, core.IAMRun))
	o := upload(t, t.Context(), field, "x.png")
	if err := field.MakeVariants(t.Context(), o); err != nil {
		t.Error(err)
	}
	if err := field.Delete(t.Context(), o.Key); err != nil {
		t.Error(err)
	}
	guard.wantNone(t)
	wantObjects(t, "afterwards", field.Bucket())
}

func FuzzVariantKeysNameTheirOriginals(f *testing.F) {
	f.Add("a.png")
	f.Add("2026/ä b/.filefield-variants/x")
	store := exampleStore()
	field, _ := album(f, store, "photos")
	f.Fuzz(func(t *testing.T, name string) {
		key, err := core.ParseKey(name)
		if err != nil {
			return
		}
		if original, ok := key.VariantOf(); ok {
			if _, err := core.ParseKey(original.String()); err != nil {
				t.Errorf("%q is the variant of %q: %v", name, original, err)
			}
			return
		}
		made, err := field.Variant(core.Object{Key: key, Type: "image/png"}, "thumb")
		if err != nil {
			return
		}
		if back, ok := made.Key.VariantOf(); !ok || back != key {
			t.Errorf("the variant %q of %q is that of %q", made.Key, key, back)
		}
		if _, err := core.ParseKey(made.Key.String()); err != nil {
			t.Error(err)
		}
	})
}
