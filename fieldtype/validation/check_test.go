package validation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype/validation"
)

// good has every rule where it belongs.
type good struct {
	A       file            `json:"a" validate:"required,file_max=5MB,file_min=1KB,file_type=image/*0x2Capplication/pdf,file_ext=png jpg none" binding:"omitempty,file_max=1MB"`
	B       *named          `validate:"omitempty,image_max=9x9,image_min=1x1,image_pixels=1MP,image_aspect=1:1-16:9"`
	C       files           `validate:"omitempty,max=3,files_max=3,files_min=1,files_total=1GB,dive,required,file_ext=png|file_max=1KB"`
	D       []*file         `validate:"files_max=3,file_max=1KB,dive,omitempty,file_max=1KB"`
	E       map[string]file `validate:"max=3,dive,keys,max=5,endkeys,file_max=1KB"`
	F       any             `validate:"omitempty,file_max=1KB"`
	Path    string          `validate:"omitempty,file,image,mimetype=image/*,max=5"`
	Skipped file            `validate:"-"`
	At      time.Time       `validate:"required"`
	Self    *good
	hidden  file `validate:"file_max=5 apples"`
}

// bad has a fault in each field.
type bad struct {
	Apples   file     `validate:"required,file_max=5 apples" binding:"required"`
	Text     string   `validate:"file_max=5MB"`
	One      file     `validate:"files_max=3"`
	Image    *file    `validate:"omitempty,image"`
	Mime     files    `validate:"dive,mimetype=image/*"`
	Max      file     `validate:"required,max=5000000"`
	Dive     file     `validate:"dive,required"`
	Typo     file     `validate:"required,file_maxx=5MB"`
	Keys     []file   `validate:"keys,max=5,endkeys"`
	Choice   file     `validate:"file_ext=png|file_type=pdf"`
	Strings  []string `validate:"dive,file_ext=png"`
	Inner    inner
	Inners   []*inner           `validate:"dive"`
	InnerMap map[string][]other `validate:"dive,dive"`
	embedded
}

type (
	inner struct {
		Both files `validate:"files_max=many,files_total=1MB,dive,image_max=9"`
	}
	other struct {
		Text string `validate:"file_min=1"`
	}
	embedded struct {
		Photo file `validate:"image_aspect=9:0"`
	}
)

func TestCheckFindsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_ = good{}.hidden
	v := registered(t)
	if err := validation.Check(v, good{}, &good{}, []good{}); err != nil {
		t.Errorf("rules where they belong: got error %v", err)
	}
	err := validation.Check(v, &bad{}, good{}, 3, nil)
	mustFault(t, err, "17 to mend",
		`int is not a struct`, `<nil> is not a struct`,
		`validation_test.bad.Apples: file_max=5 apples: "5 apples" is not a size`,
		`bad.Text: the rule file_max is for file fields, and string is none`,
		`bad.One: the rule files_max is for lists of files`,
		`bad.Image: the rule image looks at files of the server; for a file field write file_type=image/*`,
		`bad.Mime: the rule mimetype looks at files of the server; for a file field write file_type=image/*`,
		`bad.Max: the rule max is for numbers, texts and lists, and panics at a file; write file_max`,
		`bad.Dive: dive is for lists`,
		`bad.Typo: the validator cannot read "required,file_maxx=5MB": Undefined validation function 'file_maxx'`,
		`bad.Keys: the validator cannot read "keys,max=5,endkeys"`,
		`bad.Choice: file_type=pdf: "pdf" is not a media type`,
		`bad.Strings: the rule file_ext is for file fields, and string is none`,
		`inner.Both: files_max=many: "many" is not a whole number`,
		`inner.Both: image_max=9: "9" is not a width and a height`,
		`other.Text: the rule file_min is for file fields`,
		`embedded.Photo: image_aspect=9:0`,
	)
	if err != nil && strings.Contains(err.Error(), "hidden") {
		t.Errorf("got a fault of a field that the validator does not see: %v", err)
	}
}

func TestCheckReadsTheTagTheValidatorReads(t *testing.T) {
	t.Parallel()
	type model struct {
		Photo file `json:"photo" validate:"file_max=a" binding:"file_max=b" rules:"file_max=c"`
	}
	custom := registered(t)
	custom.SetTagName("rules")
	engines() // registers with Gin's
	for want, v := range map[string]*validator.Validate{"a": registered(t), "b": binding.Validator.Engine().(*validator.Validate), "c": custom} {
		mustFault(t, validation.Check(v, model{}), fmt.Sprintf("file_max=%s:", want), "1 to mend")
	}
	unread := registered(t)
	unread.SetTagName("unread")
	if err := validation.Check(unread, model{}); err != nil {
		t.Errorf("no tag that is read: got error %v", err)
	}
}

func TestCheckCallsNoRule(t *testing.T) {
	t.Parallel()
	type model struct {
		Name  string `validate:"called"`
		Photo *file  `validate:"called,dive"`
	}
	v := registered(t)
	called := false
	err := v.RegisterValidation("called", func(validator.FieldLevel) bool { called = true; return true }, true)
	if err != nil {
		t.Fatal(err)
	}
	mustFault(t, validation.Check(v, model{}), "Photo: dive is for lists")
	if called {
		t.Error("a rule was called")
	}
}

func TestCheckWantsAValidatorThatKnowsTheRules(t *testing.T) {
	t.Parallel()
	mustFault(t, validation.Check(nil, good{}), "the validator is nil")
	mustFault(t, validation.Check(validator.New(), good{}), "call Register first")
	var e *core.Error
	if err := validation.Check(registered(t)); errors.As(err, &e) {
		t.Errorf("no models: got error %v", err)
	}
}
