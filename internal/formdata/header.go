package formdata

import (
	"errors"
	"strings"
)

// maxParams is how many parameters a header value may have. Content-Disposition
// uses four; the limit keeps the search for duplicates short.
const maxParams = 16

// param is one parameter of a header value, its name in lower case.
type param struct {
	name, value string
	quoted      bool
}

type params []param

// find returns the parameter of that name.
func (ps params) find(name string) (param, bool) {
	for _, p := range ps {
		if p.name == name {
			return p, true
		}
	}
	return param{}, false
}

var (
	errParamSyntax  = errors.New("a parameter cannot be read")
	errParamTwice   = errors.New("a parameter is given twice")
	errParamMany    = errors.New("there are too many parameters")
	errParamStarred = errors.New("a parameter is split into numbered pieces")
)

// parseHeaderValue splits `value; name=value; name="value"`. The value comes
// back in lower case. It is stricter than mime.ParseMediaType about parameters
// that repeat, and more lenient about backslashes and about characters in
// values without quotes, where clients are known to be careless and nothing
// can be misunderstood.
func parseHeaderValue(s string) (string, params, error) {
	value, rest, more := strings.Cut(s, ";")
	value = strings.ToLower(trimSpace(value))
	var ps params
	for more {
		rest = strings.TrimLeft(rest, " \t;")
		if rest == "" {
			break
		}
		p, after, err := parseParam(rest)
		if err != nil {
			return value, nil, err
		}
		if _, twice := ps.find(p.name); twice {
			return value, nil, errParamTwice
		}
		if len(ps) == maxParams {
			return value, nil, errParamMany
		}
		ps = append(ps, p)
		rest, more = after, after != ""
	}
	return value, ps, nil
}

// parseParam reads one `name=value` and returns what follows its semicolon.
func parseParam(s string) (p param, rest string, err error) {
	name, s, ok := strings.Cut(s, "=")
	name = strings.ToLower(trimSpace(name))
	if !ok || !isToken(name) {
		return p, "", errParamSyntax
	}
	if star := strings.IndexByte(name, '*'); star >= 0 && star != len(name)-1 {
		return p, "", errParamStarred
	}
	p.name = name
	s = strings.TrimLeft(s, " \t")
	if p.quoted = strings.HasPrefix(s, `"`); p.quoted {
		p.value, s, ok = cutQuoted(s[1:])
	} else {
		p.value, s, ok = cutBare(s)
	}
	if !ok {
		return p, "", errParamSyntax
	}
	s = strings.TrimLeft(s, " \t")
	if s != "" && s[0] != ';' {
		return p, "", errParamSyntax
	}
	return p, s, nil
}

// cutQuoted reads a quoted string from behind its opening quote. The package's
// documentation says what backslashes mean.
func cutQuoted(s string) (value, rest string, ok bool) {
	if end := strings.IndexByte(s, '"'); end < 0 {
		return "", "", false
	} else if strings.IndexByte(s[:end], '\\') < 0 {
		return s[:end], s[end+1:], true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			return b.String(), s[i+1:], true
		}
		if isEscape(s[i:]) {
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// isEscape reports whether s begins with an escaped quote or backslash. A
// backslash before the header's last quote is not an escape: the quoted string
// would never end.
func isEscape(s string) bool {
	if len(s) < 2 || s[0] != '\\' {
		return false
	}
	return s[1] == '\\' || s[1] == '"' && strings.IndexByte(s[2:], '"') >= 0
}

// cutBare reads a value without quotes. RFC 2045 allows a token only; Java
// clients send boundaries with "=" and others file names in raw UTF-8.
func cutBare(s string) (value, rest string, ok bool) {
	end := len(s)
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == ';' || c == '"' || c == 0x7f {
			end = i
			break
		}
	}
	return s[:end], s[end:], end > 0
}

// isToken reports whether s is a token of RFC 2045: visible ASCII without
// separators.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func trimSpace(s string) string { return strings.Trim(s, " \t") }
