package main

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
		{"a mode there is not yet", []string{"echo", "127.0.0.1:0", "127.0.0.1:9", "bench"}, `no mode "echo"`},
		{"no credentials", []string{"nethttp", "127.0.0.1:0", "127.0.0.1:9", "bench"}, "set AK and SK"},
	} {
		if err := run(t.Context(), tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: run = %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}
