package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m) }

func TestTheCommandsLookAfterTheBuckets(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	config := core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		PrivateBuckets: []string{"command-private"}, PublicBuckets: []string{"command-public"},
	}
	wrong := config
	wrong.SecretKey = "not the secret at all"
	cases := []struct {
		name   string
		args   []string
		config core.Config
		code   int
		says   string
	}{
		{"check finds the buckets missing", []string{"check"}, config, 1, "bucket does not exist"},
		{"init creates them", []string{"init"}, config, 0, "command-public\tpublic\tok"},
		{"check finds them", []string{"is_minio_available"}, config, 0, "command-private\tprivate\tok"},
		{"check knows wrong credentials", []string{"check"}, wrong, 1, "refuses the credentials"},
		{"a faulty configuration is a fault of the call", []string{"check"}, core.Config{}, 2, "MINIO_ENDPOINT"},
		{"an unknown command shows the usage", []string{"frobnicate"}, config, 2, "usage:"},
	}
	for _, c := range cases { //nolint:paralleltest // each builds on the one before
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), c.args, c.config, &out, &errs); code != c.code {
				t.Errorf("exit code is %d, want %d", code, c.code)
			}
			if text := out.String() + errs.String(); !strings.Contains(text, c.says) {
				t.Errorf("it says %q, want %q in it", text, c.says)
			}
		})
	}
}
