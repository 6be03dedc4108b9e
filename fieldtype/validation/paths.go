package validation

import (
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"
)

// pathRules are the validator's own rules that take a string for a path on the
// server and look there, and what to write for a file field instead.
var pathRules = map[string]func(param string) string{
	"file":       func(string) string { return "required" },
	"filepath":   func(string) string { return "required" },
	"dir":        func(string) string { return "required" },
	"dirpath":    func(string) string { return "required" },
	"uds_exists": func(string) string { return "required" },
	"image":      func(string) string { return "file_type=image/*" },
	"mimetype":   func(param string) string { return "file_type=" + param },
}

// pathRule wraps the validator's own rule. A file field does not pass, and Errors
// says why; anything else is for the original.
func pathRule(original *validator.Validate, name string) validator.Func {
	return func(fl validator.FieldLevel) bool {
		field := fl.Field()
		if _, s := filesOf(field); s == oneFile || s == manyFiles {
			return false
		}
		tag := name
		if param := fl.Param(); param != "" {
			tag += "=" + strings.NewReplacer(",", "0x2C", "|", "0x7C").Replace(param)
		}
		if field.Kind() == reflect.String { // an unexported field has no Interface
			return original.Var(field.String(), tag) == nil
		}
		return original.Var(field.Interface(), tag) == nil
	}
}
