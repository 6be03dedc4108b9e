package validation

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
)

// Check reads the tags of models, which are structs or pointers to them, and of
// the structs their fields hold, and returns ErrConfig with all faults at once:
//
//   - a parameter that this package's rules cannot read ("file_max=5 apples");
//   - one of these rules at a field that is no file or list of files;
//   - a rule at a file field that looks at paths of the server ("image") or at
//     numbers and texts ("max"), at which the validator panics;
//   - a rule the validator does not know, and tags it cannot read.
//
// It validates nothing and calls no rule. What an alias stands for, and rules
// given by RegisterStructValidationMapRules, it does not see. Call it when the
// program starts, after all rules are registered; it is not safe for concurrent
// use with registering.
func Check(v *validator.Validate, models ...any) error {
	const op = "check validation rules"
	if v == nil {
		return &core.Error{Kind: core.ErrConfig, Op: op, Err: errNoValidator}
	}
	if tagFault(v, "file_max=1") != nil {
		return &core.Error{Kind: core.ErrConfig, Op: op, Err: errors.New("the validator does not know this package's rules"), Advice: "call Register first"}
	}
	var faults []error
	var types []reflect.Type
	for _, model := range models {
		t := reflect.TypeOf(model)
		if structOf(t) == nil {
			faults = append(faults, fmt.Errorf("%T is not a struct or a pointer to one", model))
			continue
		}
		types = reachable(structOf(t), types)
	}
	key := tagKey(v, types)
	for _, t := range types {
		for i := range t.NumField() {
			f := t.Field(i)
			for _, fault := range fieldFaults(v, f, f.Tag.Get(key)) {
				faults = append(faults, fmt.Errorf("%s.%s: %w", t, f.Name, fault))
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return &core.Error{
		Kind: core.ErrConfig, Op: op, Err: errors.Join(faults...),
		Advice: fmt.Sprintf("%d to mend, all listed here", len(faults)),
	}
}

// structOf returns the struct that values of t are or hold, or nil.
func structOf(t reflect.Type) reflect.Type {
	for t != nil {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		case reflect.Struct:
			return t
		default:
			return nil
		}
	}
	return nil
}

// reachable adds t, and the structs that its fields hold, to types.
func reachable(t reflect.Type, types []reflect.Type) []reflect.Type {
	if slices.Contains(types, t) {
		return types
	}
	types = append(types, t)
	for i := range t.NumField() {
		f := t.Field(i)
		inner := structOf(f.Type)
		if inner != nil && (f.IsExported() || f.Anonymous) && shapeOf(inner) != oneFile {
			types = reachable(inner, types)
		}
	}
	return types
}

// tagKey finds the struct tag that v reads, which it does not tell: it is
// "validate" unless changed, and Gin's is "binding".
func tagKey(v *validator.Validate, types []reflect.Type) string {
	keys := []string{"validate", "binding"}
	for _, t := range types {
		for i := range t.NumField() {
			keys = append(keys, tagKeys(t.Field(i).Tag)...)
		}
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		probe := reflect.StructOf([]reflect.StructField{{
			Name: "Probe", Type: reflect.TypeFor[string](), Tag: reflect.StructTag(key + `:"required"`),
		}})
		if v.Struct(reflect.New(probe).Interface()) != nil {
			return key
		}
	}
	return ""
}

// tagKeys returns the keys of a struct's tag: json, form, …
func tagKeys(tag reflect.StructTag) []string {
	var keys []string
	rest := string(tag)
	for {
		key, after, ok := strings.Cut(strings.TrimLeft(rest, " "), ":")
		quoted, err := strconv.QuotedPrefix(after)
		if !ok || err != nil {
			return keys
		}
		if key != "" && !strings.ContainsAny(key, " \"\t") {
			keys = append(keys, key)
		}
		rest = after[len(quoted):]
	}
}

// fieldFaults are the faults in a field's tag.
func fieldFaults(v *validator.Validate, f reflect.StructField, tag string) []error {
	if tag == "" || tag == "-" || !f.IsExported() && !f.Anonymous {
		return nil
	}
	if err := tagFault(v, tag); err != nil {
		return append(tagFaults(f.Type, tag), err)
	}
	return tagFaults(f.Type, tag)
}

// tagFault has the validator read a tag, and returns why it panics if it does.
func tagFault(v *validator.Validate, tag string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the validator cannot read %q: %v", tag, r)
		}
	}()
	_ = v.Var("", "omitempty,"+tag) // "" is empty: the tag is read, and no rule is called
	return nil
}

// tagFaults walks through a tag and the types it applies to.
func tagFaults(t reflect.Type, tag string) []error {
	var faults []error
	inKeys := false
	for _, part := range strings.Split(tag, ",") {
		switch {
		case part == "keys", part == "endkeys":
			inKeys = part == "keys"
		case inKeys:
		case part == "dive":
			if shapeOf(t) == oneFile {
				return append(faults, errors.New("dive is for lists, and this is one file; use fieldtype.Files"))
			}
			if t = elementOf(t); t == nil {
				return faults // the validator sees to it
			}
		default:
			faults = append(faults, partFaults(t, part)...)
		}
	}
	return faults
}

// elementOf returns what dive goes into, or nil.
func elementOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return t.Elem()
	}
	return nil
}

// partFaults are the faults of a rule, or of rules with | between.
func partFaults(t reflect.Type, part string) []error {
	var faults []error
	for _, rule := range strings.Split(part, "|") {
		name, param, _ := strings.Cut(rule, "=")
		param = strings.NewReplacer("0x2C", ",", "0x7C", "|").Replace(param)
		if instead, ok := insteadOf[name]; ok && shapeOf(t) == oneFile {
			faults = append(faults, fmt.Errorf("the rule %s is for numbers, texts and lists, and panics at a file; write %s", name, instead))
		}
		faults = append(faults, ruleFaults(name, param, shapeOf(t), t.String())...)
	}
	return faults
}

// insteadOf says what to write at a file field for rules that compare numbers,
// lengths of texts and counts: they panic at anything else.
var insteadOf = map[string]string{
	"max": "file_max", "lte": "file_max", "lt": "file_max", "min": "file_min", "gte": "file_min", "gt": "file_min",
	"len": "file_min and file_max", "eq": "file_min and file_max", "ne": "file_min and file_max",
}
