package validation_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype/validation"
)

type (
	page[T any] struct {
		Item T `form:"item" validate:"required" binding:"required"`
	}
	address struct {
		Street string `json:"street" validate:"required"`
		Town   string `validate:"required"`
	}
	base struct {
		Photo file `json:"-" form:"photo,omitempty" validate:"required"`
	}
	post struct {
		base
		*Stamp
		Title   string              `json:"title,omitempty" form:"heading" validate:"required"`
		Secret  string              `json:"-" validate:"required"`
		Items   []base              `form:"items" validate:"dive"`
		Matrix  [][]file            `json:"matrix" validate:"dive,dive,required"`
		Named   map[string]*address `json:"named" validate:"dive"`
		Address address
	}
	Stamp struct {
		By string `json:"by" validate:"required"`
	}
)

func TestAFaultNamesItsFieldAsAClientKnowsIt(t *testing.T) {
	t.Parallel()
	v := registered(t)
	for _, c := range []struct {
		name  string
		value any
		want  []wanted
	}{
		{
			"a struct", &post{
				Stamp: &Stamp{}, Items: []base{{stored(picture)}, {}}, Matrix: [][]file{{}, {stored(picture), {}}},
				Named: map[string]*address{"a.b": {Town: "Rome"}},
			},
			[]wanted{
				{"photo", "required"},
				{"by", "required"},
				{"title", "required"},
				{"Secret", "required"},
				{"items.1.photo", "required"},
				{"matrix.1.1", "required"},
				{"named.a.b.street", "required"},
				{"Address.street", "required"},
				{"Address.Town", "required"},
			},
		},
		{"a generic struct", page[page[file]]{}, []wanted{{"item", "required"}}},
		{"a generic struct in another", page[page[*page[file]]]{page[*page[file]]{&page[file]{}}}, []wanted{{"item.item.item", "required"}}},
		{
			"an unnamed struct", struct {
				Items []base `json:"items" validate:"dive"`
			}{[]base{{}}}, []wanted{{"items.0.photo", "required"}},
		},
		{
			"an unnamed struct with Go's names", struct {
				Items []base `validate:"dive"`
			}{[]base{{}}}, []wanted{{"Items.0.photo", "required"}},
		},
		{
			"an embedded file", struct {
				named `validate:"required"`
			}{}, []wanted{{"named", "required"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := found(t, validation.Errors(v.Struct(c.value), nil)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got faults\n%v, want\n%v", got, c.want)
			}
		})
	}
	t.Run("a value alone has no name", func(t *testing.T) {
		t.Parallel()
		if got := found(t, validation.Errors(v.Var(file{}, "required"), nil)); !reflect.DeepEqual(got, []wanted{{"", "required"}}) {
			t.Errorf("got faults %v, want one without a field", got)
		}
	})
	t.Run("without our names it is Go's", func(t *testing.T) {
		t.Parallel()
		if got := found(t, validation.Errors(validator.New().Struct(base{}), nil)); !reflect.DeepEqual(got, []wanted{{"Photo", "required"}}) {
			t.Errorf("got faults %v, want one of Photo", got)
		}
	})
}

func TestACodeIsTheNameOfTheRule(t *testing.T) {
	t.Parallel()
	v := registered(t)
	v.RegisterAlias("small", "required,file_max=1MB")
	for rules, want := range map[string]string{
		"small": "file_max", "file_ext=a|file_max=1": "file_ext|file_max",
	} {
		got := found(t, validation.Errors(v.Struct(form(stored(picture), rules)), nil))
		if len(got) != 1 || got[0].code != want {
			t.Errorf("%s: got faults %v, want the code %s", rules, got, want)
		}
	}
	got := found(t, validation.Errors(v.Struct(form("sea", "iscolor")), nil))
	if len(got) != 1 || got[0].code != "iscolor" {
		t.Errorf("an alias of several rules: got faults %v, want the code iscolor", got)
	}
}

func TestErrorsOfOtherKinds(t *testing.T) {
	t.Parallel()
	v := registered(t)
	fault := v.Struct(base{})
	if err := validation.Errors(nil, nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
	if err := validation.Errors(io.EOF, nil); !errors.Is(err, io.EOF) || core.KindOf(err) != 0 {
		t.Errorf("another error: got %v, want it as it is", err)
	}
	mustFault(t, validation.Errors(v.Struct(nil), nil), "pass a struct")
	mustFault(t, validation.Errors(fmt.Errorf("bind: %w", v.Struct(3)), nil), "pass a struct")
	for name, err := range map[string]error{
		"wrapped":   fmt.Errorf("bind: %w", fault),
		"of a list": binding.SliceValidationError{fault, fault},
	} {
		if got := found(t, validation.Errors(err, nil)); len(got) == 0 || got[0] != (wanted{"photo", "required"}) {
			t.Errorf("%s: got faults %v, want photo", name, got)
		}
	}
	for name, err := range map[string]error{"an empty list": binding.SliceValidationError{}, "a list with another error": binding.SliceValidationError{fault, io.EOF}} {
		if got := validation.Errors(err, nil); !reflect.DeepEqual(got, err) {
			t.Errorf("%s: got %v, want it as it is", name, got)
		}
	}
}
