package validation_test

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/locales"
	"github.com/go-playground/locales/de"
	"github.com/go-playground/locales/en"
	"github.com/go-playground/locales/es"
	"github.com/go-playground/locales/fr"
	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/fieldtype/validation"
)

// photos is the field of the tests. No request is sent to its store.
var photos = core.MustOpen(core.Config{
	Endpoint: "storage.example:9000", AccessKey: "access", SecretKey: "secret",
	SigningKeys: []core.Secret{"the signing key of these tests ..."},
}).Field(core.FieldConfig{Model: "post", Name: "photo", Bucket: "photos", MaxFiles: 9})

type photo struct{}

func (photo) FileField() *core.Field { return photos }

type (
	file  = fieldtype.File[photo]
	files = fieldtype.Files[photo]
	// named is a File under a name of its own, as code generators want it.
	named struct{ file }
)

// stored is a file with what the rules see of it.
func stored(info fieldtype.Info) file {
	key, err := core.ParseKey("2026/h5zl3x7q.bin")
	if err != nil {
		panic(err)
	}
	return fieldtype.Of[photo](core.Object{
		Bucket: "photos", Key: key, Name: info.Name, Size: info.Size, Type: info.Type, Width: info.Width, Height: info.Height,
	})
}

// picture is 3 MB and 1920x1080.
var picture = fieldtype.Info{Name: "Cat.PNG", Size: 3e6, Type: "image/png", Width: 1920, Height: 1080}

// wanted is a fault by the name of its field and its rule.
type wanted struct{ field, code string }

// engines are the validators people have, with our rules.
var engines = sync.OnceValue(func() map[string]func(any) error {
	plain, strict := validator.New(), validator.New(validator.WithRequiredStructEnabled())
	gin := binding.Validator.Engine().(*validator.Validate)
	for _, v := range []*validator.Validate{plain, strict, gin} {
		if err := validation.Register(v); err != nil {
			panic(err)
		}
	}
	return map[string]func(any) error{
		"a plain validator": plain.Struct, "one that requires structs": strict.Struct, "Gin's": binding.Validator.ValidateStruct,
	}
})

// form is a struct with one field, as a variable of an unnamed type.
func form(value any, rules string) any {
	s := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Photo", Type: reflect.TypeOf(value),
		Tag: reflect.StructTag(`json:"photo" validate:"` + rules + `" binding:"` + rules + `"`),
	}}))
	s.Elem().Field(0).Set(reflect.ValueOf(value))
	return s.Interface()
}

// mustFind validates a field with every engine and fails unless the faults are
// those wanted.
func mustFind(t *testing.T, value any, rules string, want ...wanted) {
	t.Helper()
	for name, validate := range engines() {
		if got := found(t, validation.Errors(validate(form(value, rules)), nil)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s, %T with %q: got faults %v, want %v", name, value, rules, got, want)
		}
	}
}

func found(t *testing.T, err error) []wanted {
	t.Helper()
	var invalid core.Invalid
	if err != nil && !errors.As(err, &invalid) {
		t.Fatalf("got error %v, want core.Invalid or nil", err)
	}
	var got []wanted
	for _, f := range invalid {
		got = append(got, wanted{f.Field, f.Code})
		if f.Message == "" || strings.Contains(f.Message, "Key:") {
			t.Errorf("%s: the message is %q, which is not for people", f.Field, f.Message)
		}
	}
	return got
}

// mustFault fails unless err is ErrConfig and says all of texts.
func mustFault(t *testing.T, err error, texts ...string) {
	t.Helper()
	if !errors.Is(err, core.ErrConfig) {
		t.Fatalf("got error %v, want ErrConfig", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got error %q, want it to say %q", err, text)
		}
	}
}

func registered(t testing.TB) *validator.Validate {
	t.Helper()
	v := validator.New(validator.WithRequiredStructEnabled())
	if err := validation.Register(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// locale returns a new translator.
func locale(t testing.TB, name string) ut.Translator {
	t.Helper()
	l := map[string]locales.Translator{"en": en.New(), "de": de.New(), "fr": fr.New(), "es": es.New()}[name]
	trans, ok := ut.New(l, l).GetTranslator(name)
	if !ok {
		t.Fatalf("there is no locale %s", name)
	}
	return trans
}
