package main

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/manage"
)

// program is what the flags say beyond the environment. A flag wins.
type program struct {
	given  *pflag.FlagSet
	config core.Config
	https  bool
	secret string // the file that holds it

	externalHTTPS bool
}

// flags adds the program's own to those of the commands. The secret key has
// none: what stands on a command line, every user of the machine can read.
func (p *program) flags(root *cobra.Command) {
	p.given = root.PersistentFlags()
	f, c := p.given, &p.config
	f.StringVar(&c.Endpoint, "endpoint", "", "storage's `HOST:PORT` (MINIO_ENDPOINT)")
	f.BoolVar(&p.https, "https", false, "talk TLS to it (MINIO_USE_HTTPS)")
	f.StringVar(&c.AccessKey, "access-key", "", "the access `KEY` (MINIO_ACCESS_KEY)")
	f.StringVar(&p.secret, "secret-key-file", "", "a `FILE` that holds the secret key (in place of MINIO_SECRET_KEY)")
	f.StringVar(&c.Region, "region", "", "the `NAME` of the region (MINIO_REGION)")
	f.StringVar(&c.CAFile, "ca-file", "", "a PEM `FILE` of certificates to trust (MINIO_CA_FILE)")
	f.StringVar(&c.ExternalEndpoint, "external-endpoint", "", "`HOST:PORT` in URLs (MINIO_EXTERNAL_ENDPOINT)")
	f.BoolVar(&p.externalHTTPS, "external-https", false, "https in URLs (MINIO_EXTERNAL_ENDPOINT_USE_HTTPS)")
	f.StringSliceVar(&c.PrivateBuckets, "private-bucket", nil, "a private bucket's `NAME`; may be repeated (MINIO_PRIVATE_BUCKETS)")
	f.StringSliceVar(&c.PublicBuckets, "public-bucket", nil, "a public bucket's `NAME`; may be repeated (MINIO_PUBLIC_BUCKETS)")
	f.DurationVar(&c.Timeout, "timeout", 0, "how long storage may make no progress (FILEFIELD_TIMEOUT)")
}

// load reads the configuration and opens the store.
func (p *program) load(context.Context) ([]manage.Storage, error) {
	config := core.ConfigFromEnv()
	problem := p.over(&config)
	store, err := core.Open(config)
	if problem != nil {
		return nil, errors.Join(&core.Error{Kind: core.ErrConfig, Op: "flags", Err: problem}, err)
	}
	if err != nil {
		return nil, err
	}
	return []manage.Storage{{Store: store}}, nil
}

// over puts what the flags say in place of what the environment does.
func (p *program) over(config *core.Config) error {
	texts := map[string][2]*string{
		"endpoint": {&config.Endpoint, &p.config.Endpoint}, "access-key": {&config.AccessKey, &p.config.AccessKey},
		"region": {&config.Region, &p.config.Region}, "ca-file": {&config.CAFile, &p.config.CAFile},
		"external-endpoint": {&config.ExternalEndpoint, &p.config.ExternalEndpoint},
	}
	for name, text := range texts {
		if p.given.Changed(name) {
			*text[0] = *text[1]
		}
	}
	if p.given.Changed("https") {
		config.UseHTTPS = p.https
	}
	if p.given.Changed("external-https") {
		config.ExternalUseHTTPS = &p.externalHTTPS
	}
	if p.given.Changed("private-bucket") {
		config.PrivateBuckets = p.config.PrivateBuckets
	}
	if p.given.Changed("public-bucket") {
		config.PublicBuckets = p.config.PublicBuckets
	}
	if p.given.Changed("timeout") {
		config.Timeout = p.config.Timeout
	}
	if p.secret == "" {
		return nil
	}
	secret, err := readSecret(p.secret)
	config.SecretKey = secret
	return err
}

// readSecret reads a secret from a file of one line.
func readSecret(name string) (core.Secret, error) {
	f, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	const most = 4096 // no secret is longer, and a wrong file may be
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" || len(content) > most || strings.ContainsAny(secret, "\r\n") {
		return "", errors.New("--secret-key-file: " + name + " does not hold one line with a secret")
	}
	return core.Secret(secret), nil
}

// version returns the module's version, where the program was built from one.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
