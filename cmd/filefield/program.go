package main

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/manage"
)

// program is what the flags say beyond the environment and the file. A flag wins,
// for the storage that --storage names.
type program struct {
	given  *pflag.FlagSet
	config core.Config
	https  bool
	secret string // the file that holds it
	file   string // the configuration's

	externalHTTPS bool
}

// flags adds the program's own to those of the commands. The secret key has
// none: what stands on a command line, every user of the machine can read.
func (p *program) flags(root *cobra.Command) {
	p.given = root.PersistentFlags()
	f, c := p.given, &p.config
	f.StringVar(&p.file, "config", "", "a YAML or JSON `FILE` with the configuration (FILEFIELD_CONFIG)")
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

// load reads the configuration and opens the stores: the one named default first,
// which is what object commands use.
func (p *program) load(_ context.Context, named string) ([]manage.Storage, error) {
	configs := core.ConfigsFromEnv()
	if p.file != "" {
		configs = core.ConfigsFromFile(p.file)
	}
	aliases := configs.Aliases()
	slices.SortStableFunc(aliases, func(a, b string) int { return order(a) - order(b) })
	if len(aliases) == 0 { // a file that declares those of other libraries alone
		_, err := configs.Open()
		return nil, err
	}
	if named == "" {
		named = aliases[0]
	}
	stores, err := p.open(configs, named)
	if err != nil {
		return nil, err
	}
	storages := make([]manage.Storage, 0, len(aliases))
	for _, alias := range aliases {
		storages = append(storages, manage.Storage{Name: alias, Store: stores[alias], Notices: configs.Alias(alias).Warnings()})
	}
	return storages, nil
}

// open opens all stores, the named one with what the flags say.
func (p *program) open(configs core.Configs, named string) (map[string]*core.Store, error) {
	config := configs.Alias(named)
	changed, err := p.over(&config)
	if !changed || !slices.Contains(configs.Aliases(), named) {
		return configs.Open() // which says once what concerns several
	}
	faults := []error{err}
	stores := map[string]*core.Store{}
	for _, alias := range configs.Aliases() {
		one := configs.Alias(alias)
		if alias == named {
			one = config
		}
		store, err := core.Open(one)
		stores[alias] = store
		faults = append(faults, err)
	}
	return stores, errors.Join(faults...)
}

func order(alias string) int {
	if alias == "default" {
		return 0
	}
	return 1
}

// over puts what the flags say in place of what the configuration does, and says
// whether they say anything.
func (p *program) over(config *core.Config) (changed bool, err error) {
	given := func(name string) bool {
		is := p.given.Changed(name)
		changed = changed || is
		return is
	}
	texts := map[string][2]*string{
		"endpoint": {&config.Endpoint, &p.config.Endpoint}, "access-key": {&config.AccessKey, &p.config.AccessKey},
		"region": {&config.Region, &p.config.Region}, "ca-file": {&config.CAFile, &p.config.CAFile},
		"external-endpoint": {&config.ExternalEndpoint, &p.config.ExternalEndpoint},
	}
	for name, text := range texts {
		if given(name) {
			*text[0] = *text[1]
		}
	}
	if given("https") {
		config.UseHTTPS = p.https
	}
	if given("external-https") {
		config.ExternalUseHTTPS = &p.externalHTTPS
	}
	if given("private-bucket") {
		config.PrivateBuckets = p.config.PrivateBuckets
	}
	if given("public-bucket") {
		config.PublicBuckets = p.config.PublicBuckets
	}
	if given("timeout") {
		config.Timeout = p.config.Timeout
	}
	if given("secret-key-file") {
		if config.SecretKey, err = readSecret(p.secret); err != nil {
			err = &core.Error{Kind: core.ErrConfig, Op: "flags", Err: err}
		}
	}
	return changed, err
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
