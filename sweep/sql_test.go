package sweep

import (
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

func TestAColumnIsNamedSafelyOrRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		column  SQLColumn
		table   string
		refused bool
	}{
		{"table and column", SQLColumn{Column: "profiles.avatar"}, `"profiles"."avatar"`, false},
		{"a schema", SQLColumn{Column: "app.profiles.avatar", Dialect: Postgres}, `"app"."profiles"."avatar"`, false},
		{"MySQL", SQLColumn{Column: "profiles.avatar", Dialect: MySQL}, "`profiles`.`avatar`", false},
		{"spaces, umlauts, reserved words", SQLColumn{Column: "Große Tabelle.order"}, `"Große Tabelle"."order"`, false},
		{"a column alone", SQLColumn{Column: "avatar"}, "", true},
		{"too many names", SQLColumn{Column: "a.b.c.d"}, "", true},
		{"an empty name", SQLColumn{Column: "profiles."}, "", true},
		{"nothing", SQLColumn{}, "", true},
		{"a quote", SQLColumn{Column: `profiles".avatar`}, "", true},
		{"a backquote", SQLColumn{Column: "profiles`.avatar", Dialect: MySQL}, "", true},
		{"a statement", SQLColumn{Column: "profiles; DROP TABLE profiles.avatar"}, "", true},
		{"a comment", SQLColumn{Column: "profiles/*.avatar"}, "", true},
		{"a NUL", SQLColumn{Column: "profiles\x00.avatar"}, "", true},
		{"a name that is too long", SQLColumn{Column: strings.Repeat("x", 129) + ".avatar"}, "", true},
		{"sorted documents", SQLColumn{Column: "profiles.avatar", Sorted: true}, "", true},
		{"an unknown dialect", SQLColumn{Column: "profiles.avatar", Dialect: 9}, "", true},
	} {
		q, err := newQueries(c.column)
		if refused := core.KindOf(err) == core.ErrConfig; refused != c.refused {
			t.Errorf("%s: %v, want refused %t", c.name, err, c.refused)
		}
		if got := q.column; !c.refused && got != c.table {
			t.Errorf("%s: quoted as %s, want %s", c.name, got, c.table)
		}
		if !c.refused {
			continue
		}
		for key, err := range SQL(nil, c.column).Keys(t.Context()) {
			if core.KindOf(err) != core.ErrConfig {
				t.Errorf("%s: reading gives %q, %v; want ErrConfig", c.name, key, err)
			}
		}
	}
}

func FuzzANameCannotLeaveItsQuotes(f *testing.F) {
	for _, seed := range []string{"a", `a"b`, "a`b", `a\`, "a b", "é", `"`, "``", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, d := range []Dialect{SQLite, Postgres, MySQL} {
			if quoted := d.quote(name); identifier(name) && strings.ContainsAny(quoted[1:len(quoted)-1], "\"`\\;\x00\n") {
				t.Errorf("%q is let into SQL as %s", name, quoted)
			}
		}
	})
}

func FuzzLikeFindsTheKeyItself(f *testing.F) {
	for _, seed := range []string{"a.txt", "100%.txt", "a_b!c", `q"u\o`, "ü😀", "!", "!!%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		pattern := likeEscape.Replace(key)
		var literal strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch pattern[i] {
			case '%', '_':
				t.Fatalf("%q became %q, with a wildcard", key, pattern)
			case '!':
				i++
			}
			literal.WriteByte(pattern[i])
		}
		if literal.String() != key {
			t.Errorf("%q became %q, which stands for %q", key, pattern, literal.String())
		}
	})
}
