package modelfiles_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/modelfiles"
)

type photo struct{}

func (photo) FileField() *core.Field { return nil }

type (
	file  = fieldtype.File[photo]
	files = fieldtype.Files[photo]
	named struct{ file }
)

func of(t *testing.T, key string) file {
	t.Helper()
	k, err := core.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return fieldtype.Of[photo](core.Object{Bucket: "photos", Key: k})
}

func keys(found []modelfiles.File) (list []string) {
	for _, f := range found {
		list = append(list, f.Object.Key.String())
	}
	return list
}

func TestFilesAreFoundWhereverRowsHaveThem(t *testing.T) {
	t.Parallel()
	a, b, c := of(t, "a"), of(t, "b"), of(t, "c")
	type base struct{ Avatar file }
	type row struct {
		base
		Base   base
		Cover  *file
		Extra  files
		Named  named
		hidden file
		Next   *row
		Text   []byte
		Any    any
	}
	loop := &row{Cover: &a}
	loop.Next = loop
	for name, c := range map[string]struct {
		v    any
		want []string
	}{
		"nothing":               {nil, nil},
		"no file":               {row{}, nil},
		"a field":               {row{Base: base{a}}, []string{"a"}},
		"an embedded struct":    {row{base: base{a}}, []string{"a"}},
		"a pointer":             {&row{Cover: &b}, []string{"b"}},
		"a list, without holes": {row{Extra: files{b, {}, c}}, []string{"b", "c"}},
		"a named type":          {row{Named: named{c}}, []string{"c"}},
		"an interface":          {row{Any: &c}, []string{"c"}},
		"what is not exported":  {row{hidden: a}, nil},
		"rows":                  {[]*row{{Cover: &a}, nil, {Cover: &b}}, []string{"a", "b"}},
		"a file itself":         {a, []string{"a"}},
		"a nil pointer":         {(*row)(nil), nil},
	} {
		if got := keys(modelfiles.Of(c.v)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := keys(modelfiles.Of(loop)); len(got) == 0 || got[0] != "a" {
		t.Errorf("a row that points at itself: %q", got)
	}
	for _, c := range []struct {
		v    any
		want bool
	}{{a, true}, {&a, true}, {files{}, true}, {named{}, true}, {[]file{}, true}, {"", false}, {[]byte{}, false}, {row{}, false}} {
		if got := modelfiles.Is(reflect.TypeOf(c.v)); got != c.want {
			t.Errorf("Is(%T) is %t", c.v, got)
		}
	}
}

func TestWhatARowDoesNotHaveAnyMore(t *testing.T) {
	t.Parallel()
	elsewhere := fieldtype.Of[photo](core.Object{Bucket: "other", Key: of(t, "a").Key()})
	nowhere := fieldtype.Of[photo](core.Object{Key: of(t, "b").Key()})
	before := modelfiles.Of(files{of(t, "a"), of(t, "b"), of(t, "c")})
	after := modelfiles.Of(files{of(t, "c"), elsewhere, nowhere})
	if got := keys(modelfiles.Without(before, after)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("gone is %q, want a", got)
	}
	if err := before[0].Delete(context.Background()); err == nil {
		t.Error("a file of a field that is not declared was deleted")
	}
}
