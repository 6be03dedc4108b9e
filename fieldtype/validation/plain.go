package validation

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-playground/validator/v10"
)

// plainMessages are English messages for the validator's own rules, in words for
// the person in front of the form. %s is the rule's parameter.
var plainMessages = map[string]string{
	"email":            "Enter a valid email address.",
	"url":              "Enter a valid URL.",
	"http_url":         "Enter a valid URL that starts with http:// or https://.",
	"https_url":        "Enter a valid URL that starts with https://.",
	"uri":              "Enter a valid URI.",
	"e164":             "Enter a phone number with its country code, such as +441134960000.",
	"hostname":         "Enter a valid host name.",
	"hostname_rfc1123": "Enter a valid host name.",
	"fqdn":             "Enter a valid domain name.",
	"ip":               "Enter a valid IP address.",
	"ipv4":             "Enter a valid IPv4 address.",
	"ipv6":             "Enter a valid IPv6 address.",
	"uuid":             "Enter a valid UUID.",
	"uuid4":            "Enter a valid UUID.",
	"alpha":            "Use letters from A to Z only.",
	"alphanum":         "Use letters from A to Z and digits only.",
	"alphaunicode":     "Use letters only.",
	"alphanumunicode":  "Use letters and digits only.",
	"ascii":            "Use ASCII characters only.",
	"lowercase":        "Use lower case only.",
	"uppercase":        "Use upper case only.",
	"numeric":          "Enter a number.",
	"number":           "Enter a whole number.",
	"boolean":          "Enter true or false.",
	"hexcolor":         "Enter a color such as #1e90ff.",
	"json":             "Enter valid JSON.",
	"timezone":         "Enter a time zone such as Europe/Paris.",
	"latitude":         "Enter a latitude from -90 to 90.",
	"longitude":        "Enter a longitude from -180 to 180.",
	"credit_card":      "Enter a valid card number.",
	"unique":           "Each value may be given once only.",
	"datetime":         "Enter a date or time in the form %s.",
	"contains":         "This must contain “%s”.",
	"excludes":         "This must not contain “%s”.",
	"startswith":       "This must start with “%s”.",
	"endswith":         "This must end with “%s”.",
	"eq":               "This must be %s.",
	"ne":               "This must not be %s.",
	"eqfield":          "This must be the same as %s.",
	"nefield":          "This must not be the same as %s.",
	"isdefault":        "Leave this field empty.",
	"excluded_if":      "Leave this field empty.",
	"excluded_unless":  "Leave this field empty.",
	"excluded_with":    "Leave this field empty.",
	"excluded_without": "Leave this field empty.",
}

// bounds are the words of the validator's rules that compare: lengths of text,
// counts of items, or values.
var bounds = map[string]string{
	"len": "exactly", "min": "at least", "max": "at most", "gte": "at least", "lte": "at most", "gt": "more than", "lt": "less than",
}

// plainMessage is the English message of a rule of the validator or of the app.
func plainMessage(fe validator.FieldError) string {
	tag, param := fe.ActualTag(), fe.Param()
	if slices.Contains(requiredRules, tag) {
		return speaker{englishTexts()}.text("required")
	}
	if bound, compares := bounds[tag]; compares && param != "" {
		return boundMessage(fe, bound)
	}
	if (tag == "oneof" || tag == "oneofci") && !strings.Contains(param, "'") {
		return "Choose one of: " + strings.Join(strings.Fields(param), ", ") + "."
	}
	if text, known := plainMessages[tag]; known {
		if strings.Contains(text, "%s") {
			return fmt.Sprintf(text, param)
		}
		return text
	}
	return speaker{englishTexts()}.text("invalid")
}

func boundMessage(fe validator.FieldError, bound string) string {
	noun := ""
	switch fe.Kind() {
	case reflect.String:
		noun = "character"
	case reflect.Slice, reflect.Array, reflect.Map:
		noun = "item"
	default:
		return fmt.Sprintf("This must be %s %s.", bound, fe.Param())
	}
	if fe.Param() != "1" {
		noun += "s"
	}
	if noun[0] == 'c' {
		return fmt.Sprintf("Use %s %s %s.", bound, fe.Param(), noun)
	}
	return fmt.Sprintf("Give %s %s %s.", bound, fe.Param(), noun)
}
