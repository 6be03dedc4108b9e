package main

import (
	"slices"
	"testing"

	"github.com/filefield/filefield/soak/app"
)

func TestRowsAndObjectsThatDoNotMatchAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		rows    map[string]app.Row
		objects map[string]int64
		want    []string // kinds
	}{
		{"nothing is fine", nil, map[string]int64{}, nil},
		{"a row with its object is fine", rowsOf(app.Row{ID: "a", Key: "k", Size: 3}), map[string]int64{"k": 3}, nil},
		{"a row points at nothing", rowsOf(app.Row{ID: "a", Key: "k", Size: 3}), map[string]int64{}, []string{"a row without its object"}},
		{"an object has another size", rowsOf(app.Row{ID: "a", Key: "k", Size: 3}), map[string]int64{"k": 2}, []string{"a row without its object"}},
		{"an object has no row", nil, map[string]int64{"k": 3}, []string{"an object without a row"}},
		{
			"a row points at another's object", rowsOf(app.Row{ID: "a", Key: "k"}),
			map[string]int64{"l": 0},
			[]string{"a row without its object", "an object without a row"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, v := range mismatches(c.rows, c.objects) {
				got = append(got, v.kind)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func rowsOf(rows ...app.Row) map[string]app.Row {
	m := map[string]app.Row{}
	for _, r := range rows {
		m[r.ID] = r
	}
	return m
}
