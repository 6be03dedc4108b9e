package static

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

// scanCSS finds url(), @import, the strings of image-set() and the source map.
// Comments and other strings are passed over.
func scanCSS(content []byte) []reference {
	s := cssScan{input: parse.NewInputBytes(content[:len(content):len(content)])}
	lexer := css.NewLexer(s.input)
	for {
		kind, data := lexer.Next()
		if kind == css.ErrorToken {
			return s.found
		}
		s.token(kind, string(data), s.input.Offset()-len(data))
	}
}

type cssScan struct {
	input *parse.Input
	found []reference

	// rule is the at-rule whose name alone has been read, such as "@import".
	rule string
	// functions are the functions and brackets that are open.
	functions []string
}

func (s *cssScan) token(kind css.TokenType, data string, offset int) {
	switch kind {
	case css.WhitespaceToken:
		return
	case css.CommentToken:
		if r, ok := sourceMap(data, offset); ok {
			s.found = append(s.found, r)
		}
		return
	case css.AtKeywordToken:
		s.rule = strings.ToLower(data)
		return
	case css.URLToken:
		if s.rule != "@namespace" { // a name that looks like a URL
			inside, from := insideURL(data)
			s.add(inside, offset+from)
		}
	case css.StringToken:
		if s.rule == "@import" || s.inImageSet() {
			inside, from := unquote(data)
			s.add(inside, offset+from)
		}
	case css.IdentToken:
		if s.rule == "@namespace" {
			return // its prefix
		}
	case css.FunctionToken:
		s.functions = append(s.functions, strings.ToLower(strings.TrimSuffix(data, "(")))
	case css.LeftParenthesisToken:
		s.functions = append(s.functions, "")
	case css.RightParenthesisToken:
		s.functions = s.functions[:max(0, len(s.functions)-1)]
	case css.SemicolonToken, css.LeftBraceToken, css.RightBraceToken:
		s.functions = s.functions[:0] // one that was never closed ends with its declaration
	}
	s.rule = ""
}

func (s *cssScan) inImageSet() bool {
	if len(s.functions) == 0 {
		return false
	}
	name := s.functions[len(s.functions)-1]
	return name == "image-set" || name == "-webkit-image-set"
}

func (s *cssScan) add(escaped string, offset int) {
	s.found = append(s.found, reference{offset, offset + len(escaped), unescapeCSS(escaped)})
}

// insideURL returns what stands between "url(" and ")", without quotes and outer
// spaces, and where.
func insideURL(token string) (inside string, from int) {
	const spaces = " \t\r\n\f"
	from = strings.IndexByte(token, '(') + 1
	inside = strings.TrimSuffix(token[from:], ")")
	trimmed := strings.TrimLeft(inside, spaces)
	from += len(inside) - len(trimmed)
	inside = strings.TrimRight(trimmed, spaces)
	if inside != "" && (inside[0] == '"' || inside[0] == '\'') {
		unquoted, quote := unquote(inside)
		return unquoted, from + quote
	}
	return inside, from
}

// unescapeCSS undoes the escapes of CSS Syntax 3, 4.3.7.
func unescapeCSS(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	in := strings.NewReader(s)
	for {
		c, err := in.ReadByte()
		if err == io.EOF {
			return b.String()
		}
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		var value rune
		digits := 0
		for ; digits < 6; digits++ {
			c, err = in.ReadByte()
			if err != nil {
				break
			}
			digit, wrong := strconv.ParseUint(string(rune(c)), 16, 8)
			if wrong != nil {
				break
			}
			value = value<<4 | rune(digit)
		}
		ended := err != nil
		switch {
		case digits == 0 && ended, digits == 0 && c == '\n': // a line that goes on
		case digits == 0:
			b.WriteByte(c)
		default:
			if value == 0 || value > utf8.MaxRune || 0xD800 <= value && value < 0xE000 {
				value = utf8.RuneError
			}
			b.WriteRune(value)
			if digits < 6 && !ended && !strings.ContainsRune(" \t\r\n\f", rune(c)) {
				_ = in.UnreadByte()
			}
			if digits == 6 && !ended {
				if next, err := in.ReadByte(); err == nil && !strings.ContainsRune(" \t\r\n\f", rune(next)) {
					_ = in.UnreadByte()
				}
			}
		}
	}
}
