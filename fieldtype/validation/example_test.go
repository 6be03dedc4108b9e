package validation_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/go-playground/locales/de"
	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/fieldtype/validation"
)

// A field is declared once, as a value and as a type.
var covers = core.MustOpen(core.Config{
	Endpoint: "files.example", AccessKey: "app", SecretKey: "storage-secret",
	SigningKeys: []core.Secret{"32 or more random characters ..."},
}).Field(core.FieldConfig{Name: "cover", Bucket: "covers", MaxFiles: 5})

type Cover struct{}

func (Cover) FileField() *core.Field { return covers }

type Book struct {
	Title string                 `form:"title" validate:"required,max=80"`
	Cover fieldtype.File[Cover]  `form:"cover" validate:"required,file_max=5MB,file_type=image/*,image_min=200x200"`
	Pages fieldtype.Files[Cover] `form:"pages" validate:"files_max=3,files_total=20MB,dive,file_ext=pdf png"`
}

// sent is a form as a request brings it.
func sent() Book {
	var book Book
	err := errors.Join(
		book.Cover.Scan(`{"v":1,"key":"2026/h5zl3x7q.png","name":"cat.png","size":7000000,"type":"image/png","w":640,"h":480}`),
		book.Pages.Scan(`[{"v":1,"key":"2026/q7x3lz5h.txt","name":"page.txt","size":1000,"type":"text/plain"}]`),
	)
	if err != nil {
		log.Fatal(err)
	}
	return book
}

func Example() {
	// When the program starts:
	v := validator.New(validator.WithRequiredStructEnabled())
	if err := validation.Register(v); err != nil {
		log.Fatal(err)
	}
	if err := validation.Check(v, &Book{}); err != nil {
		log.Fatal(err) // all faults of the tags at once
	}

	// In each request. core.Invalid is a 422 with the list of faults.
	err := validation.Errors(v.Struct(sent()), nil)
	fmt.Println(core.ProblemOf(err).Status)
	var invalid core.Invalid
	if errors.As(err, &invalid) {
		for _, fault := range invalid {
			fmt.Printf("%s (%s): %s\n", fault.Field, fault.Code, fault.Message)
		}
	}
	// Output:
	// 422
	// title (required): This field is required.
	// cover (file_max): The file must not be larger than 5 MB.
	// pages.0 (file_ext): File extension “txt” is not allowed. Allowed extensions are: pdf, png.
}

func ExampleTranslate() {
	v := validator.New(validator.WithRequiredStructEnabled())
	trans, _ := ut.New(de.New()).GetTranslator("de")
	if err := errors.Join(validation.Register(v), validation.Translate(v, trans)); err != nil {
		log.Fatal(err)
	}

	book := sent()
	book.Title = "Katzen"
	fmt.Println(validation.Errors(v.Struct(book), trans))
	// Output:
	// invalid form: cover: Die Datei darf höchstens 5 MB groß sein.; pages.0: Die Dateiendung „txt“ ist nicht erlaubt. Erlaubt sind: pdf, png.
}

func ExampleCheck() {
	type Page struct {
		Photo fieldtype.File[Cover] `validate:"file_max=5 apples"`
		Cover fieldtype.File[Cover] `validate:"image"`
	}
	v := validator.New()
	if err := validation.Register(v); err != nil {
		log.Fatal(err)
	}
	fmt.Println(validation.Check(v, &Page{}))
	// Output:
	// check validation rules: configuration fault: validation_test.Page.Photo: file_max=5 apples: "5 apples" is not a size: "apples" is no unit; write 800KB or 5MB (powers of 1000), 5MiB (of 1024), or bytes as a number
	// validation_test.Page.Cover: the rule image looks at files of the server; for a file field write file_type=image/* (2 to mend, all listed here)
}
