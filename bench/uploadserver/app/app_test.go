package app

import (
	"strings"
	"testing"
)

func TestWrongArgumentsAreExplained(t *testing.T) {
	t.Setenv("AK", "")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"none", nil, "usage:"},
		{"no credentials", []string{"127.0.0.1:0", "127.0.0.1:9", "bench"}, "set AK and SK"},
	} {
		if err := run(t.Context(), "nethttp", nil, tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: run = %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}
