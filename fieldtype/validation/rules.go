package validation

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/gabriel-vasile/mimetype"
	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

// condition is a rule with its parameter. Either each or all is set.
type condition struct {
	each func(fieldtype.Info) bool   // of every file
	all  func([]fieldtype.Info) bool // of the list
	// say tells people what does not hold, of bad if the condition is of each file.
	say func(s speaker, bad fieldtype.Info) string
}

// holds tells whether the files follow the rule, and otherwise which does not.
func (c condition) holds(files []fieldtype.Info) (bad fieldtype.Info, ok bool) {
	if c.all != nil {
		return fieldtype.Info{}, c.all(files)
	}
	for _, f := range files {
		if !c.each(f) {
			return f, false
		}
	}
	return fieldtype.Info{}, true
}

// rules are the rules by name, with what reads their parameter.
var rules = map[string]func(param string) (condition, error){
	"file_max":     fileMax,
	"file_min":     fileMin,
	"file_type":    fileType,
	"file_ext":     fileExt,
	"image_max":    imageMax,
	"image_min":    imageMin,
	"image_pixels": imagePixels,
	"image_aspect": imageAspect,
	"files_max":    filesMax,
	"files_min":    filesMin,
	"files_total":  filesTotal,
}

// Register adds the rules of this package to v, keeps the validator's own rules
// that look at paths of the server ("file", "image", …) away from file fields, and
// has fields named as a client knows them: by their json tag, else their form
// tag, else the Go name. It replaces the function v names fields by so far.
//
// Call it once, before v validates anything: the validator keeps what it has read
// of a struct, and registering is not safe for concurrent use. ErrConfig for nil.
func Register(v *validator.Validate) error {
	if v == nil {
		return &core.Error{Kind: core.ErrConfig, Op: "register validation rules", Err: errNoValidator}
	}
	v.RegisterTagNameFunc(clientName)
	for name, parse := range rules {
		// Called for nil too: whether there has to be a file is for required to say.
		if err := v.RegisterValidation(name, evaluator(parse), true); err != nil {
			return registering(name, err)
		}
	}
	original := validator.New()
	for name := range pathRules {
		if err := v.RegisterValidation(name, pathRule(original, name)); err != nil {
			return registering(name, err)
		}
	}
	return nil
}

var errNoValidator = errors.New("the validator is nil")

func registering(rule string, err error) error {
	return &core.Error{Kind: core.ErrConfig, Op: "register validation rules", Err: fmt.Errorf("%s: %w", rule, err)}
}

// evaluator makes the validator's function of a rule. A faulty parameter, or a
// field that is no file, does not pass; Errors tells it from a wrong file.
func evaluator(parse func(string) (condition, error)) validator.Func {
	type parsed struct {
		condition
		err error
	}
	var cache sync.Map // parameters, which are fixed in the program, to parsed
	return func(fl validator.FieldLevel) bool {
		known, ok := cache.Load(fl.Param())
		if !ok {
			c, err := parse(fl.Param())
			known, _ = cache.LoadOrStore(fl.Param(), parsed{c, err})
		}
		p := known.(parsed)
		if p.err != nil {
			return false
		}
		files, shape := filesOf(fl.Field())
		if !shape.suits(p.condition) {
			return false
		}
		_, ok = p.holds(files)
		return ok
	}
}

// shape is what a type is to the rules.
type shape int

const (
	notFile   shape = iota
	oneFile         // File, or what a validator sees of it
	manyFiles       // a slice or an array of them
	unknown         // an interface, which may hold anything
)

var (
	infoType   = reflect.TypeFor[fieldtype.Info]()   //nolint:gochecknoglobals // constant
	valuerType = reflect.TypeFor[validator.Valuer]() //nolint:gochecknoglobals // constant
)

// suits tells whether a rule may stand at a field of this shape.
func (s shape) suits(c condition) bool {
	return s == manyFiles || s == unknown || s == oneFile && c.all == nil
}

func shapeOf(t reflect.Type) shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Interface:
		return unknown
	case reflect.Slice, reflect.Array:
		switch shapeOf(t.Elem()) {
		case oneFile:
			return manyFiles
		case unknown:
			return unknown
		}
		return notFile
	}
	if t == infoType || reflect.PointerTo(t).Implements(valuerType) {
		return oneFile
	}
	return notFile
}

// filesOf returns the files of a field's value, without those that are not set.
func filesOf(v reflect.Value) ([]fieldtype.Info, shape) {
	v, s := resolve(v)
	switch {
	case !v.IsValid() || s == notFile:
		return nil, s
	case s == oneFile:
		return []fieldtype.Info{v.Interface().(fieldtype.Info)}, s
	}
	var files []fieldtype.Info
	for i := range v.Len() {
		element, s := resolve(v.Index(i))
		if s != oneFile && s != unknown {
			return nil, notFile
		}
		if element.IsValid() {
			files = append(files, element.Interface().(fieldtype.Info))
		}
	}
	return files, manyFiles
}

// resolve goes through pointers, interfaces and Valuers, as the validator does,
// to an Info (oneFile) or a list (manyFiles, or unknown if of interfaces). The
// value is invalid where there is nil on the way.
func resolve(v reflect.Value) (reflect.Value, shape) {
	for range 8 { // a Valuer may return itself
		switch {
		case !v.IsValid():
			return v, unknown
		case isNil(v):
			return reflect.Value{}, shapeOf(v.Type())
		case v.Kind() == reflect.Interface: // before its methods: they may be those of a nil
			v = v.Elem()
			continue
		case !v.CanInterface():
			return v, notFile
		case v.Type() == infoType:
			return v, oneFile
		}
		valuer, isValuer := v.Interface().(validator.Valuer)
		switch {
		case isValuer:
			v = reflect.ValueOf(valuer.ValidatorValue())
		case v.Kind() == reflect.Pointer:
			v = v.Elem()
		case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
			return v, shapeOf(v.Type())
		default:
			return v, notFile
		}
	}
	return v, notFile
}

func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

// sizeRule is a bound of a file's bytes.
func sizeRule(param, text string, allows func(size, bound int64) bool) (condition, error) {
	bound, q, err := parseSize(param)
	return condition{
		each: func(f fieldtype.Info) bool { return allows(f.Size, bound) },
		say:  func(s speaker, _ fieldtype.Info) string { return s.text(text, s.quantity(q)) },
	}, err
}

func atMost[N int | int64](n, bound N) bool  { return n <= bound }
func atLeast[N int | int64](n, bound N) bool { return n >= bound }

func fileMax(param string) (condition, error) { return sizeRule(param, "file_max", atMost[int64]) }
func fileMin(param string) (condition, error) { return sizeRule(param, "file_min", atLeast[int64]) }

func fileType(param string) (condition, error) {
	types := splitList(param)
	faults := core.Accept(param).Faults()
	if len(types) == 0 {
		faults = []string{"no type is listed: write them with spaces between, such as image/* application/pdf"}
	}
	if len(faults) > 0 {
		return condition{}, errors.New(strings.Join(faults, "; "))
	}
	return condition{
		each: func(f fieldtype.Info) bool { return typeListed(types, f.Type) },
		say:  func(s speaker, _ fieldtype.Info) string { return s.text("file_type", strings.Join(types, ", ")) },
	}, nil
}

// typeListed follows core.Accept: a family is without the types that browsers
// run, and common aliases are known.
func typeListed(list []string, typ string) bool {
	typ, _, _ = strings.Cut(typ, ";")
	typ = strings.ToLower(strings.TrimSpace(typ))
	return slices.ContainsFunc(list, func(entry string) bool {
		family, isFamily := strings.CutSuffix(entry, "*")
		switch {
		case entry == "*/*", entry == "*", entry == typ:
			return true
		case isFamily:
			return strings.HasPrefix(typ, family) && core.SafeServeType(typ) == typ
		case entry == "image/jpg", entry == "image/pjpeg": // the aliases the library below does not know
			return typ == "image/jpeg"
		}
		known := mimetype.Lookup(entry)
		return known != nil && known.Is(typ)
	})
}

func fileExt(param string) (condition, error) {
	extensions, err := parseExtensions(param)
	return condition{
		each: func(f fieldtype.Info) bool { return slices.Contains(extensions, extensionOf(f.Name)) },
		say: func(s speaker, bad fieldtype.Info) string {
			shown := slices.Clone(extensions)
			if i := slices.Index(shown, ""); i >= 0 {
				shown[i] = s.text("no_extension")
			}
			list := strings.Join(shown, ", ")
			if extension := extensionOf(bad.Name); extension != "" {
				return s.text("file_ext", extension, list)
			}
			return s.text("file_ext_missing", list)
		},
	}, err
}

// imageRule is a condition of an image's sides; where they are not known, as of
// what is no image, it does not hold.
func imageRule(allows func(width, height int) bool, say func(s speaker, actual dimensions) string) condition {
	measured := func(f fieldtype.Info) bool { return f.Width > 0 && f.Height > 0 }
	return condition{
		each: func(f fieldtype.Info) bool { return measured(f) && allows(f.Width, f.Height) },
		say: func(s speaker, bad fieldtype.Info) string {
			if !measured(bad) {
				return s.text("image_unreadable")
			}
			return say(s, dimensions{bad.Width, bad.Height})
		},
	}
}

// sidesRule bounds both sides of an image.
func sidesRule(param, text string, allows func(side, bound int) bool) (condition, error) {
	bound, err := parseDimensions(param)
	return imageRule(
		func(width, height int) bool { return allows(width, bound.width) && allows(height, bound.height) },
		func(s speaker, actual dimensions) string { return s.text(text, bound.String(), actual.String()) },
	), err
}

func imageMax(param string) (condition, error) { return sidesRule(param, "image_max", atMost[int]) }
func imageMin(param string) (condition, error) { return sidesRule(param, "image_min", atLeast[int]) }

func imagePixels(param string) (condition, error) {
	bound, q, err := parsePixels(param)
	return imageRule(
		func(width, height int) bool { return int64(width) <= bound/int64(height) }, // cannot overflow
		func(s speaker, _ dimensions) string { return s.text("image_pixels", s.quantity(q)) },
	), err
}

func imageAspect(param string) (condition, error) {
	a, err := parseAspect(param)
	return imageRule(a.allows, func(s speaker, actual dimensions) string {
		if a.lowText == a.highText {
			return s.text("image_aspect", a.lowText, actual.String())
		}
		return s.text("image_aspect_range", a.lowText, a.highText, actual.String())
	}), err
}

// countRule bounds the number of files in a list.
func countRule(param, text string, allows func(n, bound int) bool) (condition, error) {
	bound, err := parseCount(param)
	return condition{
		all: func(files []fieldtype.Info) bool { return allows(len(files), bound) },
		say: func(s speaker, _ fieldtype.Info) string { return s.plural(text, quantity{number: float64(bound)}) },
	}, err
}

func filesMax(param string) (condition, error) { return countRule(param, "files_max", atMost[int]) }
func filesMin(param string) (condition, error) { return countRule(param, "files_min", atLeast[int]) }

func filesTotal(param string) (condition, error) {
	bound, q, err := parseSize(param)
	return condition{
		all: func(files []fieldtype.Info) bool {
			left := bound
			for _, f := range files {
				if f.Size > left {
					return false
				}
				left -= max(f.Size, 0)
			}
			return true
		},
		say: func(s speaker, _ fieldtype.Info) string { return s.text("files_total", s.quantity(q)) },
	}, err
}
