package formdata

import (
	"errors"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

func TestBoundary(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, contentType, want string
		err                     error
	}{
		{"a token", "multipart/form-data; boundary=B", "B", nil},
		{"in quotes", `multipart/form-data; boundary="B"`, "B", nil},
		{"any case and other parameters", "Multipart/Form-Data; charset=utf-8; BOUNDARY=B", "B", nil},
		{"a trailing semicolon", "multipart/form-data; boundary=B;", "B", nil},
		{"equals signs without quotes, as Java clients send them", "multipart/form-data; boundary=----=_Part_1_23.4", "----=_Part_1_23.4", nil},
		{"a space inside", `multipart/form-data; boundary="a b"`, "a b", nil},
		{"70 characters", "multipart/form-data; boundary=" + strings.Repeat("b", 70), strings.Repeat("b", 70), nil},

		{"another type", "text/plain", "", ErrNotForm},
		{"another type with a boundary", "text/plain; boundary=B", "", ErrNotForm},
		{"another multipart type", "multipart/mixed; boundary=B", "", ErrNotForm},
		{"no type", "", "", ErrNotForm},
		{"a broken parameter of another type", "text/plain; =", "", ErrNotForm},
		{"a longer type", "multipart/form-data2; boundary=B", "", ErrNotForm},

		{"no boundary", "multipart/form-data", "", core.ErrMalformed},
		{"an empty boundary", "multipart/form-data; boundary=", "", core.ErrMalformed},
		{"an empty boundary in quotes", `multipart/form-data; boundary=""`, "", core.ErrMalformed},
		{"71 characters", "multipart/form-data; boundary=" + strings.Repeat("b", 71), "", core.ErrMalformed},
		{"300 characters", "multipart/form-data; boundary=" + strings.Repeat("b", 300), "", core.ErrMalformed},
		{"a letter that is not ASCII", "multipart/form-data; boundary=Bé", "", core.ErrMalformed},
		{"a character out of the set", `multipart/form-data; boundary="a*b"`, "", core.ErrMalformed},
		{"a control character", "multipart/form-data; boundary=\"a\x01b\"", "", core.ErrMalformed},
		{"a space at the end", `multipart/form-data; boundary="B "`, "", core.ErrMalformed},
		{"a space without quotes", "multipart/form-data; boundary=a b", "", core.ErrMalformed},
		{"two boundaries", "multipart/form-data; boundary=B; boundary=C", "", core.ErrMalformed},
		{"the same boundary twice", "multipart/form-data; boundary=B; Boundary=B", "", core.ErrMalformed},
		{"an encoded boundary", "multipart/form-data; boundary*=utf-8''B", "", core.ErrMalformed},
		{"an encoded boundary beside a plain one", "multipart/form-data; boundary=B; boundary*=utf-8''C", "", core.ErrMalformed},
		{"a boundary in pieces", "multipart/form-data; boundary*0=B; boundary*1=C", "", core.ErrMalformed},
		{"an open quote", `multipart/form-data; boundary="B`, "", core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := Boundary(tc.contentType)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("Boundary(%q) = %q, %v; want %q, %v", tc.contentType, got, err, tc.want, tc.err)
			}
		})
	}
}
