package validation

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
)

// Errors turns what a validator returned into an error of this library:
//
//   - validator.ValidationErrors, also wrapped or in a list as Gin's for a slice,
//     into core.Invalid, for an answer of status 422. Field is the path a client
//     knows ("items.0.photo"; in a list, that within its element), Code the rule's
//     name ("required", "file_max"; a choice of rules is "file_ext|file_type"),
//     Message is for people.
//   - ErrConfig where a rule has a faulty parameter or stands at a field it is not
//     for, as Check would have found, and for validator.InvalidValidationError.
//   - nil into nil, and any other error into itself.
//
// Messages are in the language of trans if Translate was called for it, and
// English where trans is nil or knows no message. Safe for concurrent use.
func Errors(err error, trans ut.Translator) error {
	if err == nil {
		return nil
	}
	const op = "validate"
	var wrong *validator.InvalidValidationError
	if errors.As(err, &wrong) {
		return &core.Error{Kind: core.ErrConfig, Op: op, Err: err, Advice: "pass a struct or a pointer to one"}
	}
	list, ok := validationErrors(err)
	if !ok {
		return err
	}
	var faults []error
	invalid := make(core.Invalid, len(list))
	for i, fe := range list {
		path := clientPath(fe.Namespace(), fe.StructNamespace())
		for _, fault := range misuses(fe) {
			faults = append(faults, fmt.Errorf("%s: %w", path, fault))
		}
		invalid[i] = core.FieldError{Field: path, Code: code(fe), Message: message(fe, trans)}
	}
	if len(faults) > 0 {
		return &core.Error{
			Kind: core.ErrConfig, Op: op, Err: errors.Join(faults...),
			Advice: "mend the struct's tags; validation.Check finds this when the program starts",
		}
	}
	return invalid
}

// validationErrors finds the faults in err. Gin returns those of a slice's
// elements as a list of errors, which has no Unwrap.
func validationErrors(err error) (validator.ValidationErrors, bool) {
	var list validator.ValidationErrors
	if errors.As(err, &list) {
		return list, true
	}
	elements := reflect.ValueOf(err)
	if elements.Kind() != reflect.Slice || elements.Type().Elem() != reflect.TypeFor[error]() {
		return nil, false
	}
	for i := range elements.Len() {
		element, _ := elements.Index(i).Interface().(error)
		faults, ok := validationErrors(element)
		if !ok {
			return nil, false
		}
		list = append(list, faults...)
	}
	return list, len(list) > 0
}

// code is the name of the rule that does not hold. Of an alias it is the rule
// behind it, unless that is a choice of several.
func code(fe validator.FieldError) string {
	if !strings.ContainsAny(fe.ActualTag(), "|=") {
		return fe.ActualTag()
	}
	var names []string
	for _, alternative := range strings.Split(fe.Tag(), "|") {
		name, _, _ := strings.Cut(alternative, "=")
		names = append(names, name)
	}
	return strings.Join(names, "|")
}

// misuses are the faults of the rule itself, rather than of what a client sent.
func misuses(fe validator.FieldError) []error {
	if !strings.Contains(fe.ActualTag(), "|") {
		return misuse(fe, fe.ActualTag(), fe.Param())
	}
	var faults []error
	for _, alternative := range strings.Split(fe.ActualTag(), "|") {
		name, param, _ := strings.Cut(alternative, "=")
		faults = append(faults, misuse(fe, name, param)...)
	}
	return faults
}

func misuse(fe validator.FieldError, name, param string) []error {
	_, s := filesOf(reflect.ValueOf(fe.Value()))
	what := "this field"
	if fe.Type() != nil {
		what = fe.Type().String()
	}
	return ruleFaults(name, param, s, what)
}

// ruleFaults are the faults of a rule at a field of some shape, which is called
// what in messages.
func ruleFaults(name, param string, s shape, what string) []error {
	if instead, onPath := pathRules[name]; onPath && (s == oneFile || s == manyFiles) {
		return []error{fmt.Errorf("the rule %s looks at files of the server; for a file field write %s", name, instead(param))}
	}
	parse, ours := rules[name]
	if !ours {
		return nil
	}
	var faults []error
	c, err := parse(param)
	if err != nil {
		faults = append(faults, fmt.Errorf("%s=%s: %w", name, param, err))
	}
	switch {
	case s == notFile:
		faults = append(faults, fmt.Errorf("the rule %s is for file fields, and %s is none", name, what))
	case s == oneFile && c.all != nil:
		faults = append(faults, fmt.Errorf("the rule %s is for lists of files, and this is one file; use fieldtype.Files", name))
	}
	return faults
}

// message tells people what does not hold.
func message(fe validator.FieldError, trans ut.Translator) string {
	if trans != nil {
		for _, t := range []ut.Translator{trans, lenient{trans}} {
			if text := fe.Translate(t); text != "" && text != fe.Error() { // which it is where there is no message
				return text
			}
		}
		if s := (speaker{trans}); s.knows() {
			return s.text("invalid")
		}
	}
	if _, ours := rules[fe.ActualTag()]; ours {
		return ownMessage(englishTexts(), fe)
	}
	return plainMessage(fe)
}
