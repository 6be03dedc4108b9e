package core

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/dustin/go-humanize"
)

// environment is the part of Config that has names in the environment. Values
// that need more than Go's own parsers are read as text and converted below, so
// that every fault is found in one pass.
type environment struct {
	Endpoint         string   `env:"MINIO_ENDPOINT"`
	UseHTTPS         bool     `env:"MINIO_USE_HTTPS"`
	AccessKey        string   `env:"MINIO_ACCESS_KEY"`
	SecretKey        string   `env:"MINIO_SECRET_KEY"`
	CredentialChain  bool     `env:"MINIO_CREDENTIAL_CHAIN"`
	Region           string   `env:"MINIO_REGION"`
	ExternalEndpoint string   `env:"MINIO_EXTERNAL_ENDPOINT"`
	ExternalUseHTTPS *bool    `env:"MINIO_EXTERNAL_ENDPOINT_USE_HTTPS"`
	URLExpiry        string   `env:"MINIO_URL_EXPIRY_HOURS"`
	PrivateBuckets   []string `env:"MINIO_PRIVATE_BUCKETS"`
	PublicBuckets    []string `env:"MINIO_PUBLIC_BUCKETS"`
	DefaultBucket    string   `env:"MINIO_DEFAULT_BUCKET"`
	CheckOnStart     *bool    `env:"MINIO_CONSISTENCY_CHECK_ON_START"`
	CheckOnSave      bool     `env:"MINIO_BUCKET_CHECK_ON_SAVE"`
	CAFile           string   `env:"MINIO_CA_FILE"`

	SecretKeyDjango string   `env:"SECRET_KEY"`
	Fallbacks       []string `env:"SECRET_KEY_FALLBACKS"`

	TokenExpiry   time.Duration `env:"FILEFIELD_TOKEN_EXPIRY"`
	Timeout       time.Duration `env:"FILEFIELD_TIMEOUT"`
	FinishTimeout time.Duration `env:"FILEFIELD_FINISH_TIMEOUT"`
	Attempts      int           `env:"FILEFIELD_ATTEMPTS"`
	Memory        string        `env:"FILEFIELD_MEMORY"`
	MemoryWait    time.Duration `env:"FILEFIELD_MEMORY_WAIT"`
}

// ConfigFromEnv reads a Config from the environment. The variables are named in
// Config's field comments. It never fails: faults are kept in the Config and
// reported by Validate and Open together with all others.
func ConfigFromEnv() Config {
	return configFrom(env.ToMap(os.Environ()))
}

func configFrom(variables map[string]string) Config {
	var e environment
	var c Config
	if err := env.ParseWithOptions(&e, env.Options{Environment: variables}); err != nil {
		c.faults = append(c.faults, parseFaults(err)...)
	}
	c.Endpoint, c.UseHTTPS = e.Endpoint, e.UseHTTPS
	c.AccessKey, c.SecretKey, c.CredentialChain = e.AccessKey, Secret(e.SecretKey), e.CredentialChain
	c.Region, c.CAFile = e.Region, e.CAFile
	c.ExternalEndpoint, c.ExternalUseHTTPS = e.ExternalEndpoint, e.ExternalUseHTTPS
	c.PrivateBuckets, c.PublicBuckets = names(e.PrivateBuckets), names(e.PublicBuckets)
	c.DefaultBucket, c.CheckOnStart = strings.TrimSpace(e.DefaultBucket), e.CheckOnStart
	c.CheckOnSave = e.CheckOnSave
	c.TokenExpiry, c.Timeout, c.FinishTimeout = e.TokenExpiry, e.Timeout, e.FinishTimeout
	c.Attempts, c.MemoryWait = e.Attempts, e.MemoryWait
	for _, key := range append([]string{e.SecretKeyDjango}, names(e.Fallbacks)...) {
		if key != "" {
			c.SigningKeys = append(c.SigningKeys, Secret(key))
		}
	}
	var err error
	if c.URLExpiry, err = parseHours(e.URLExpiry); err != nil {
		c.faults = append(c.faults, fmt.Errorf("MINIO_URL_EXPIRY_HOURS: %w", err))
	}
	if e.Memory != "" {
		size, err := humanize.ParseBytes(e.Memory)
		if err != nil || size > uint64(TiB) {
			c.faults = append(c.faults, errors.New("FILEFIELD_MEMORY is not a size such as 64MiB"))
		}
		c.Memory = int64(min(size, uint64(TiB)))
	}
	return c
}

// parseFaults names the variables that could not be read, without their values:
// a secret may have been put into the wrong one.
func parseFaults(err error) []error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{errors.New("the environment could not be read")}
	}
	faults := make([]error, 0, len(all.Errors))
	for _, one := range all.Errors {
		var parse env.ParseError
		if errors.As(one, &parse) {
			faults = append(faults, fmt.Errorf("%s is not a %s", variable(parse.Name), parse.Type))
			continue
		}
		faults = append(faults, errors.New("an environment variable could not be read"))
	}
	return faults
}

// variable returns the name in the environment of one of environment's fields.
func variable(field string) string {
	f, _ := reflect.TypeFor[environment]().FieldByName(field)
	return f.Tag.Get("env")
}

// parseHours reads what the reference calls URL_EXPIRY_HOURS: a number of
// hours, or a Go duration ("36h", "90m").
func parseHours(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if hours, err := strconv.ParseFloat(s, 64); err == nil {
		if !(hours*3600 >= 1 && hours <= maxURLExpiry.Hours()) { // so that NaN fails too
			return 0, errors.New("it must be at least one second and at most 168 hours (7 days)")
		}
		return time.Duration(hours * float64(time.Hour)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errors.New("not a number of hours, nor a duration such as 36h")
	}
	if d <= 0 {
		return 0, fmt.Errorf("%s: it must be more than 0 and at most 168h", d)
	}
	return d, nil
}

// names trims a comma-separated list's entries and drops empty ones, so that a
// trailing comma is no fault.
func names(list []string) []string {
	var out []string
	for _, name := range list {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}
