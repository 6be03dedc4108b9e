package validation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/fieldtype/validation"
)

func TestAFileFollowsARuleOrBreaksIt(t *testing.T) {
	t.Parallel()
	named := func(name string) fieldtype.Info { return fieldtype.Info{Name: name, Size: 1, Type: "text/plain"} }
	typed := func(typ string) fieldtype.Info { return fieldtype.Info{Name: "a", Size: 1, Type: typ} }
	sized := func(n int64) fieldtype.Info { return fieldtype.Info{Name: "a", Size: n} }
	sides := func(w, h int) fieldtype.Info {
		return fieldtype.Info{Name: "a.png", Size: 1, Type: "image/png", Width: w, Height: h}
	}
	for _, c := range []struct {
		name    string
		rule    string
		follows []fieldtype.Info
		breaks  []fieldtype.Info
	}{
		{"MB is a million", "file_max=5MB", []fieldtype.Info{sized(0), sized(5e6)}, []fieldtype.Info{sized(5e6 + 1)}},
		{"MiB is 1024 times 1024", "file_max=5MiB", []fieldtype.Info{sized(5 << 20)}, []fieldtype.Info{sized(5<<20 + 1)}},
		{"KB is a thousand", "file_min=1KB", []fieldtype.Info{sized(1000)}, []fieldtype.Info{sized(999)}},
		{"KiB is 1024", "file_min=1 kib", []fieldtype.Info{sized(1024)}, []fieldtype.Info{sized(1023)}},
		{"a size may have decimals", "file_max=1.5KB", []fieldtype.Info{sized(1500)}, []fieldtype.Info{sized(1501)}},
		{"a size may be a number of bytes", "file_min=1", []fieldtype.Info{sized(1)}, []fieldtype.Info{sized(0)}},
		{"a size may be more than 2 to the 53rd", "file_max=9007199254740993", []fieldtype.Info{sized(9007199254740993)}, []fieldtype.Info{sized(9007199254740994)}},
		{
			"a type is one of the list", "file_type=image/png application/pdf",
			[]fieldtype.Info{typed("image/png"), typed("Application/PDF; x=1")},
			[]fieldtype.Info{typed("image/jpeg"), typed("image/png2"), typed("")},
		},
		{
			"a family is without what browsers run", "file_type=image/*",
			[]fieldtype.Info{typed("image/png"), typed("image/x-unheard-of")},
			[]fieldtype.Info{typed("image/svg+xml"), typed("imagery/png"), typed("text/plain")},
		},
		{"what browsers run may be named", "file_type=image/* image/svg+xml", []fieldtype.Info{typed("image/svg+xml")}, []fieldtype.Info{typed("text/html")}},
		{"a type has aliases", "file_type=image/jpg application/x-pdf", []fieldtype.Info{typed("image/jpeg"), typed("application/pdf")}, []fieldtype.Info{typed("image/png")}},
		{
			"an extension is what follows the last dot", "file_ext=png GZ",
			[]fieldtype.Info{named("a.png"), named("A.PNG"), named("a.tar.gz"), named("a.txt.png")},
			[]fieldtype.Info{named("a.png.txt"), named("png"), named(".png"), named("a."), named("a.pngx")},
		},
		{
			"no extension is the word none", "file_ext=txt none",
			[]fieldtype.Info{named("README"), named(".profile"), named("a."), named("a.txt")},
			[]fieldtype.Info{named("a.none"), named("a.md")},
		},
		{"an extension may be called none", "file_ext=.none", []fieldtype.Info{named("a.none")}, []fieldtype.Info{named("none")}},
		{
			"an image has sides up to a bound", "image_max=1920x1080",
			[]fieldtype.Info{sides(1920, 1080), sides(1, 1)},
			[]fieldtype.Info{sides(1921, 1), sides(1, 1081), typed("image/png"), typed("application/pdf")},
		},
		{"an image has sides from a bound", "image_min=16x8", []fieldtype.Info{sides(16, 8)}, []fieldtype.Info{sides(15, 8), sides(16, 7), typed("image/png")}},
		{
			"a budget of pixels", "image_pixels=1MP",
			[]fieldtype.Info{sides(1000, 1000), sides(1, 1e6), sides(3, 333333)},
			[]fieldtype.Info{sides(1001, 1000), sides(1<<31, 1<<31), sides(3, 333334), typed("image/png")},
		},
		{"a budget in plain numbers", "image_pixels=100", []fieldtype.Info{sides(10, 10)}, []fieldtype.Info{sides(101, 1)}},
		{
			"an aspect ratio holds within a hundredth", "image_aspect=16:9",
			[]fieldtype.Info{sides(1920, 1080), sides(1366, 768), sides(160, 90), sides(1761, 1000), sides(1795, 1000)},
			[]fieldtype.Info{sides(1080, 1920), sides(1600, 920), sides(1796, 1000), sides(0, 9), typed("image/png")},
		},
		{"an aspect ratio may have decimals", "image_aspect=1.91:1", []fieldtype.Info{sides(1200, 628)}, []fieldtype.Info{sides(1200, 600)}},
		{
			"an aspect ratio may be a range", "image_aspect=4:5-16:9",
			[]fieldtype.Info{sides(4, 5), sides(1, 1), sides(16, 9)},
			[]fieldtype.Info{sides(3, 4), sides(2, 1)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code := ruleName(c.rule)
			for _, info := range c.follows {
				mustFind(t, stored(info), c.rule)
			}
			for _, info := range c.breaks {
				mustFind(t, stored(info), c.rule, wanted{"photo", code})
			}
		})
	}
}

func ruleName(rule string) string {
	for i, r := range rule {
		if r == '=' {
			return rule[:i]
		}
	}
	return rule
}

func TestRulesHoldAtEveryKindOfFileField(t *testing.T) {
	t.Parallel()
	small, large := stored(picture), stored(fieldtype.Info{Name: "large.png", Size: 6e6})
	var none *file
	for _, c := range []struct {
		name  string
		value any
		rules string
		want  []wanted
	}{
		{"a file", small, "required,file_max=5MB", nil},
		{"a large file", large, "required,file_max=5MB", []wanted{{"photo", "file_max"}}},
		{"a pointer", &small, "required,file_max=5MB", nil},
		{"a pointer to a large file", &large, "omitempty,file_max=5MB", []wanted{{"photo", "file_max"}}},
		{"a named type", named{large}, "required,file_max=5MB", []wanted{{"photo", "file_max"}}},
		{"a pointer to a named type", &named{large}, "file_max=5MB", []wanted{{"photo", "file_max"}}},
		{"a list, dived into", files{small, large}, "dive,file_max=5MB", []wanted{{"photo.1", "file_max"}}},
		{"a list", files{small, large}, "file_max=5MB", []wanted{{"photo", "file_max"}}},
		{"a pointer to a list", &files{small, large}, "files_max=1", []wanted{{"photo", "files_max"}}},
		{"a slice, dived into", []file{large, small}, "dive,required,file_max=5MB", []wanted{{"photo.0", "file_max"}}},
		{"a slice of pointers", []*file{&small, nil, &large}, "files_max=2,dive,omitempty,file_max=5MB", []wanted{{"photo.2", "file_max"}}},
		{"an array", [2]file{small, large}, "files_total=9MB,dive,file_max=5MB", []wanted{{"photo.1", "file_max"}}},
		{"a map, dived into", map[string]file{"a.b": large}, "dive,file_max=5MB", []wanted{{"photo.a.b", "file_max"}}},
		{"a file in an interface", []any{large}, "dive,file_max=5MB", []wanted{{"photo.0", "file_max"}}},

		{"no file", file{}, "file_min=1,file_type=image/*,file_ext=png,image_min=9x9,image_aspect=1:1", nil},
		{"no file, which may be left out", file{}, "omitempty,file_min=1", nil},
		{"no file, which may be zero", file{}, "omitzero,file_min=1", nil},
		{"no file, which may be nil", file{}, "omitnil,file_min=1", nil},
		{"no file where one is required", file{}, "required,file_min=1", []wanted{{"photo", "required"}}},
		{"no file where one is required, rules first", file{}, "file_min=1,required", []wanted{{"photo", "required"}}},
		{"no file of a named type", named{}, "required", []wanted{{"photo", "required"}}},
		{"a pointer to no file", &file{}, "file_min=1", nil},
		{"a pointer to no file where one is required", &file{}, "required", []wanted{{"photo", "required"}}},
		{"no pointer", none, "file_min=1,image_min=9x9", nil},
		{"no pointer, which may be left out", none, "omitempty,file_min=1", nil},
		{"no pointer where a file is required", none, "required", []wanted{{"photo", "required"}}},
		{"no file in an interface", []any{file{}, nil}, "dive,file_min=1", nil},
		{"a file that must not be", small, "isdefault", []wanted{{"photo", "isdefault"}}},
		{"no file that must not be", file{}, "isdefault", nil},
		{"a file of which only the key is known", stored(fieldtype.Info{}), "required,omitempty,file_max=1", nil},
		{"a file of which only the key is known, too small", stored(fieldtype.Info{}), "omitempty,file_min=1", []wanted{{"photo", "file_min"}}},

		{"an empty list", files{}, "file_max=1,files_max=1,files_total=1,dive,file_max=1", nil},
		{"a list of too few", files{}, "files_min=1", []wanted{{"photo", "files_min"}}},
		{"a list of too few that may be left out", files{}, "omitempty,files_min=1", nil},
		{"a list of enough", files{small, large}, "files_min=2,files_max=2,files_total=9MB", nil},
		{"a list that is too large", files{small, large}, "files_total=8.9MB", []wanted{{"photo", "files_total"}}},
		{"a list whose size overflows", files{stored(fieldtype.Info{Size: 1 << 62}), stored(fieldtype.Info{Size: 1 << 62}), stored(fieldtype.Info{Size: 1 << 62})}, "files_total=9EB", []wanted{{"photo", "files_total"}}},
		{"a list where one is required", files(nil), "required", []wanted{{"photo", "required"}}},
		{"an empty list where one is required", files{}, "required", []wanted{{"photo", "required"}}},
		{"a list of no file where one is required", files{file{}}, "required,files_max=1", []wanted{{"photo", "required"}}},
		{"a pointer to an empty list where one is required", &files{}, "required", []wanted{{"photo", "required"}}},
		{"elements that are no file do not count", files{small, file{}, file{}}, "files_max=1,files_total=3MB,dive,omitempty,file_min=1", nil},
		{"elements that are required", files{small, file{}}, "required,dive,required", []wanted{{"photo.1", "required"}}},
		{"the validator's count", files{small, large}, "max=1", []wanted{{"photo", "max"}}},

		{"one of two rules", small, "file_ext=pdf|image_min=9x9", nil},
		{"none of two rules", small, "file_ext=pdf|image_max=9x9", []wanted{{"photo", "file_ext|image_max"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mustFind(t, c.value, c.rules, c.want...)
		})
	}
}

func TestAFileMayDependOnAnotherField(t *testing.T) {
	t.Parallel()
	type link struct {
		Photo file   `json:"photo" validate:"required_without=URL,excluded_with=URL" binding:"required_without=URL,excluded_with=URL"`
		URL   string `json:"url" validate:"required_without=Photo" binding:"required_without=Photo"`
	}
	for name, c := range map[string]struct {
		link link
		want []wanted
	}{
		"the file":    {link{Photo: stored(picture)}, nil},
		"the address": {link{URL: "https://pictures.example"}, nil},
		"both":        {link{stored(picture), "https://pictures.example"}, []wanted{{"photo", "excluded_with"}}},
		"neither":     {link{}, []wanted{{"photo", "required_without"}, {"url", "required_without"}}},
	} {
		for engine, validate := range engines() {
			got := found(t, validation.Errors(validate(&c.link), nil))
			if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
				t.Errorf("%s, %s: got faults %v, want %v", name, engine, got, c.want)
			}
		}
	}
}

func TestAFaultyRuleIsTheProgramsFaultAndNeverPanics(t *testing.T) {
	t.Parallel()
	one, list := stored(picture), files{stored(picture)}
	for _, c := range []struct {
		name  string
		value any
		rules string
		text  string
	}{
		{"a size of apples", one, "file_max=5 apples", `photo: file_max=5 apples: "5 apples" is not a size: "apples" is no unit; write`},
		{"a size of apples of no file", file{}, "file_max=5 apples", "apples"},
		{"no parameter", one, "file_max", "is not a size"},
		{"a type that is an extension", one, "file_type=.pdf", "is an extension"},
		{"an extension that is a type", one, "file_ext=image/png", "file_type"},
		{"several faults", list, "dive,file_ext=a.b|image_max=9", "image_max=9"},
		{"a rule of files at a string", "cat.png", "file_max=5MB", "photo: the rule file_max is for file fields, and string is none"},
		{"a rule of files at an empty list of strings", []string{}, "files_max=5", "[]string is none"},
		{"a rule of files at no pointer to a number", (*int)(nil), "file_max=5MB", "*int is none"},
		{"a rule of lists at one file", one, "files_max=1", "the rule files_max is for lists of files"},
		{"a rule of lists at elements", list, "dive,files_max=1", "photo.0: the rule files_max is for lists"},
		{"a list of lists", []files{list}, "file_max=1MB", "is none"},
		{"image", one, "image", "the rule image looks at files of the server; for a file field write file_type=image/*"},
		{"image of no file", file{}, "image", "write file_type=image/*"},
		{"image of a list", list, "image", "write file_type=image/*"},
		{"image of a pointer", &one, "omitempty,image", "write file_type=image/*"},
		{"mimetype", one, "mimetype=text/*", "the rule mimetype looks at files of the server; for a file field write file_type=text/*"},
		{"file", one, "file", "the rule file looks"},
		{"filepath", one, "filepath", "the rule filepath looks"},
		{"dir", one, "dir", "the rule dir looks"},
		{"dirpath", list, "dive,dirpath", "photo.0: the rule dirpath looks"},
		{"uds_exists", one, "uds_exists", "the rule uds_exists looks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for engine, validate := range engines() {
				err := validation.Errors(validate(form(c.value, c.rules)), nil)
				mustFault(t, err, c.text)
				if t.Failed() {
					t.Fatalf("with %s", engine)
				}
			}
		})
	}
}

func TestRulesForPathsAreAsBeforeAtStrings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	png := filepath.Join(dir, "a,b|c.png")
	if err := os.WriteFile(png, []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), 0o600); err != nil {
		t.Fatal(err)
	}
	type text string
	plain, ours := validator.New(), registered(t)
	for _, value := range []any{png, dir, dir + "/", filepath.Join(dir, "missing"), "", text(png), &png, (*string)(nil)} {
		for _, rule := range []string{
			"file", "filepath", "dir", "dirpath", "image", "mimetype=image/png", "mimetype=image/*", "mimetype=text/*",
			"mimetype=a0x2Cb0x7Cc", "uds_exists", "omitempty,image",
		} {
			if got, want := ours.Var(value, rule) == nil, plain.Var(value, rule) == nil; got != want {
				t.Errorf("%v with %q: got %v, want %v as without our rules", value, rule, got, want)
			}
		}
	}
}

func TestRegisterWantsAValidator(t *testing.T) {
	t.Parallel()
	mustFault(t, validation.Register(nil), "the validator is nil")
}

func TestRulesMayBeUsedByManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	v := registered(t)
	done := make(chan error)
	for range 8 {
		go func() {
			var err error
			for range 50 {
				err = validation.Errors(v.Struct(form(stored(picture), "file_max=1MB")), nil)
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; core.KindOf(err) != core.ErrInvalid {
			t.Errorf("got error %v, want one of kind %q", err, core.ErrInvalid)
		}
	}
}

func TestRulesApplyToImages(t *testing.T) {
	t.Parallel()
	type avatar struct{ fieldtype.Image[photo] }
	image := fieldtype.ImageOf[photo](stored(picture).Object())
	for _, value := range []any{image, &image, avatar{image}} {
		mustFind(t, value, "required,image_max=4096x4096,file_max=5MB")
		mustFind(t, value, "required,image_max=1920x1079", wanted{"photo", "image_max"})
	}
	for _, value := range []any{fieldtype.Image[photo]{}, avatar{}} {
		mustFind(t, value, "required,image_max=4096x4096", wanted{"photo", "required"})
		mustFind(t, value, "image_max=4096x4096")
	}
	model := struct {
		Avatar fieldtype.Image[photo] `validate:"required,image_max=4096x4096"`
	}{}
	if err := validation.Check(registered(t), &model); err != nil {
		t.Errorf("Check: %v", err)
	}
	turned := stored(picture).Object() // 1080 wide and 1920 high to look at
	turned.Orientation = 8
	mustFind(t, fieldtype.ImageOf[photo](turned), "image_max=1080x1920")
	mustFind(t, fieldtype.ImageOf[photo](turned), "image_aspect=16:9", wanted{"photo", "image_aspect"})
}
