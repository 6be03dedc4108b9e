package static

import (
	"strconv"
	"strings"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// scanJS finds the module specifiers of import, export … from and import() that
// are relative ("./a.js", "../b.js"), and the source map. Specifiers that are
// computed, bare ("lit") or absolute are not looked for: no file can be told for
// them. Strings, comments, templates and regular expressions are passed over.
func scanJS(content []byte) []reference {
	s := jsScan{input: parse.NewInputBytes(content[:len(content):len(content)])}
	s.lexer = js.NewLexer(s.input)
	for s.next() {
		s.token()
	}
	return s.found
}

// jsScan reads a script token by token. The language has one ambiguity that no
// single token decides: whether "/" divides or starts a regular expression. What
// stands before decides it, and for ")" and "}" what stood before their bracket.
type jsScan struct {
	input *parse.Input
	lexer *js.Lexer
	found []reference

	kind   js.TokenType
	data   string
	offset int

	previous, before js.TokenType // the last two tokens that were no space or comment
	parens           []bool       // of "(": it is the head of if, while, for or with
	braces           []bool       // of "{": it opens a block, no object
	closed           bool         // what the last ")" or "}" closed was such a one

	state   jsState
	depth   int       // of braces in an import's or export's list
	pending reference // the specifier of import(), until what follows it is known
}

// jsState says where in an import or export the scan is.
type jsState uint8

const (
	jsOutside  jsState = iota
	jsImport           // behind import
	jsExport           // behind export
	jsNames            // among the names
	jsFrom             // behind from
	jsCall             // behind import(
	jsCallEnds         // behind its specifier
)

// next reads the next token; false at the end.
func (s *jsScan) next() bool {
	for stuck := 0; stuck < 2; {
		before := s.input.Offset()
		kind, data := s.lexer.Next()
		if (kind == js.DivToken || kind == js.DivEqToken) && s.regexpAllowed() {
			kind, data = s.regexp(kind, data)
		}
		if kind != js.ErrorToken {
			s.kind, s.data, s.offset = kind, string(data), s.input.Offset()-len(data)
			return true
		}
		if s.input.Err() != nil {
			return false
		}
		if s.input.Offset() <= before { // what cannot be read is passed over
			stuck++
			s.input.Move(1)
		}
		s.input.Skip()
		s.state, s.previous = jsOutside, js.ErrorToken
	}
	return false
}

// regexp reads a regular expression, or stays with the division it was taken for
// where its line has no end of one.
func (s *jsScan) regexp(division js.TokenType, data []byte) (js.TokenType, []byte) {
	at := s.input.Offset()
	kind, expression := s.lexer.RegExp()
	if kind == js.RegExpToken {
		return kind, expression
	}
	s.input.Move(at - s.input.Offset())
	s.input.Skip()
	return division, data
}

// regexpAllowed tells whether a "/" here starts a regular expression.
func (s *jsScan) regexpAllowed() bool {
	switch s.previous {
	case js.CloseParenToken, js.CloseBraceToken:
		return s.closed
	case js.CloseBracketToken, js.StringToken, js.TemplateToken, js.TemplateEndToken, js.RegExpToken,
		js.PrivateIdentifierToken, js.IncrToken, js.DecrToken:
		return false
	}
	if s.before == js.DotToken || s.before == js.OptChainToken {
		return !js.IsIdentifierName(s.previous) // a property may be called "return"
	}
	if js.IsIdentifierName(s.previous) {
		return operatorWord(s.previous)
	}
	return !js.IsNumeric(s.previous)
}

// operatorWord tells whether an expression follows the word.
func operatorWord(kind js.TokenType) bool {
	switch kind {
	case js.ReturnToken, js.TypeofToken, js.InstanceofToken, js.InToken, js.NewToken, js.DeleteToken, js.VoidToken,
		js.ThrowToken, js.CaseToken, js.DoToken, js.ElseToken, js.AwaitToken, js.YieldToken, js.ExtendsToken:
		return true
	}
	return false
}

func (s *jsScan) token() {
	switch s.kind {
	case js.WhitespaceToken, js.LineTerminatorToken:
		return
	case js.CommentToken, js.CommentLineTerminatorToken:
		if r, ok := sourceMap(s.data, s.offset); ok {
			s.found = append(s.found, r)
		}
		return
	}
	s.bracket()
	s.advance()
	s.previous, s.before = s.kind, s.previous
}

// bracket keeps account of what brackets are open.
func (s *jsScan) bracket() {
	switch s.kind {
	case js.OpenParenToken:
		s.parens = append(s.parens, s.before != js.DotToken &&
			(s.previous == js.IfToken || s.previous == js.WhileToken || s.previous == js.ForToken || s.previous == js.WithToken))
	case js.CloseParenToken:
		s.closed, s.parens = pop(s.parens)
	case js.OpenBraceToken:
		s.braces = append(s.braces, s.opensBlock())
	case js.CloseBraceToken:
		s.closed, s.braces = pop(s.braces)
	}
}

func pop(stack []bool) (last bool, rest []bool) {
	if len(stack) == 0 {
		return true, stack
	}
	return stack[len(stack)-1], stack[:len(stack)-1]
}

// opensBlock tells whether a "{" here opens a block, or else an object.
func (s *jsScan) opensBlock() bool {
	switch s.previous {
	case js.CloseParenToken, js.SemicolonToken, js.OpenBraceToken, js.CloseBraceToken, js.ArrowToken,
		js.ElseToken, js.DoToken, js.TryToken, js.FinallyToken, js.ErrorToken:
		return true
	}
	return js.IsIdentifierName(s.previous) && !operatorWord(s.previous) // class A {
}

// advance follows the grammar of imports and exports (ECMA-262, 16.2).
func (s *jsScan) advance() {
	word := s.previous != js.DotToken && s.previous != js.OptChainToken
	switch {
	case s.kind == js.ImportToken && word:
		s.state, s.depth = jsImport, 0
		return
	case s.kind == js.ExportToken && word:
		s.state, s.depth = jsExport, 0
		return
	}
	switch s.state {
	case jsOutside:
	case jsImport:
		switch {
		case s.kind == js.StringToken:
			s.specifier()
		case s.kind == js.OpenParenToken:
			s.state = jsCall
		default:
			s.names()
		}
	case jsExport:
		s.state = jsOutside
		if s.kind == js.MulToken || s.kind == js.OpenBraceToken {
			s.names()
		}
	case jsNames:
		s.names()
	case jsFrom:
		if s.kind == js.StringToken && s.depth == 0 {
			s.specifier()
			return
		}
		s.names()
	case jsCall:
		s.state = jsOutside
		if s.kind == js.StringToken || s.kind == js.TemplateToken {
			s.pending = reference{start: s.offset, url: s.data}
			s.state = jsCallEnds
		}
	case jsCallEnds:
		s.state = jsOutside
		if s.kind == js.CloseParenToken || s.kind == js.CommaToken {
			s.add(s.pending.url, s.pending.start)
		}
	}
}

// names passes over one token of "a, {b as c, default as d}" or "* as e".
func (s *jsScan) names() {
	s.state = jsNames
	switch s.kind {
	case js.OpenBraceToken:
		s.depth++
	case js.CloseBraceToken:
		s.depth--
	case js.FromToken:
		s.state = jsFrom
	case js.CommaToken, js.MulToken:
	case js.StringToken:
		if s.depth == 0 {
			s.state = jsOutside
		}
	default:
		if !js.IsIdentifierName(s.kind) {
			s.state = jsOutside
		}
	}
}

// specifier notes the string that ends an import or export.
func (s *jsScan) specifier() {
	s.state = jsOutside
	s.add(s.data, s.offset)
}

func (s *jsScan) add(quoted string, offset int) {
	inside, from := unquote(quoted)
	if strings.Contains(inside, `\`) {
		plain, err := strconv.Unquote(`"` + strings.ReplaceAll(inside, `\'`, `'`) + `"`)
		if err != nil {
			return
		}
		s.found = s.relative(plain, offset+from, len(inside))
		return
	}
	s.found = s.relative(inside, offset+from, len(inside))
}

func (s *jsScan) relative(url string, start, length int) []reference {
	if !strings.HasPrefix(url, "./") && !strings.HasPrefix(url, "../") {
		return s.found
	}
	return append(s.found, reference{start, start + length, url})
}
