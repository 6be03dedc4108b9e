package core

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// notes are what is to be said about a configuration that was read.
type notes struct {
	faults   []error
	warnings []string
}

func (n *notes) fault(format string, args ...any) {
	n.faults = append(n.faults, fmt.Errorf(format, args...))
}

func (n *notes) warn(format string, args ...any) {
	n.warnings = append(n.warnings, fmt.Sprintf(format, args...))
}

func (n *notes) add(more notes) {
	n.faults = append(n.faults, more.faults...)
	n.warnings = append(n.warnings, more.warnings...)
}

// value is a setting's value as it was read, and where.
type value struct {
	text string
	from string // "MEDIA_MINIO_ENDPOINT", "storage.yaml:3:5: MINIO_ENDPOINT"
}

// layer is the settings of one source, by their names without a prefix.
type layer struct {
	notes
	values map[string]value
}

// under returns the settings of l with those of above over them.
func (l layer) under(above layer) layer {
	out := layer{values: map[string]value{}}
	out.add(l.notes)
	out.add(above.notes)
	maps.Copy(out.values, l.values)
	maps.Copy(out.values, above.values)
	return out
}

// fill returns the settings of a storage, with what it has no own value of from
// those that storages share. What belongs together is not mixed: another server
// has other credentials, and an access key's secret is its own.
func (l layer) fill(shared layer) layer {
	out := layer{values: maps.Clone(l.values)}
	out.add(l.notes)
	out.add(shared.notes)
	own := map[string]bool{}
	for name := range l.values {
		s, _ := settingNamed(name)
		own[s.scope] = true
	}
	_, ownServer := l.values["MINIO_ENDPOINT"]
	for name, v := range shared.values {
		s, _ := settingNamed(name)
		_, has := l.values[name]
		switch s.scope {
		case "buckets":
			has = true
		case "server":
			has = has || ownServer
		case "keys", "external":
			has = has || ownServer || own[s.scope]
		case "signing", "multipart":
			has = has || own[s.scope]
		}
		if !has {
			out.values[name] = v
		}
	}
	return out
}

// config makes a Config of the settings. A fault in one is kept for Validate.
func (l layer) config(alias string, reference backend) Config {
	var s settings
	texts := make(map[string]string, len(l.values))
	for name, v := range l.values {
		texts[name] = v.text
	}
	if err := env.ParseWithOptions(&s, env.Options{Environment: texts}); err != nil {
		l.faults = append(l.faults, l.parseFaults(err)...)
	}
	c := Config{
		Endpoint: s.Endpoint, UseHTTPS: s.UseHTTPS, Region: s.Region, CAFile: s.CAFile,
		AccessKey: s.AccessKey, SecretKey: Secret(s.SecretKey), CredentialChain: s.CredentialChain,
		ExternalEndpoint: s.ExternalEndpoint, ExternalUseHTTPS: s.ExternalUseHTTPS,
		URLExpiry: time.Duration(s.URLExpiry), CheckOnStart: s.CheckOnStart, CheckOnSave: s.CheckOnSave,
		PrivateBuckets: s.PrivateBuckets, PublicBuckets: s.PublicBuckets, PolicyHooks: s.PolicyHooks,
		DefaultBucket: strings.TrimSpace(s.DefaultBucket), StaticBucket: strings.TrimSpace(s.StaticBucket),
		TokenExpiry: s.TokenExpiry, Timeout: s.Timeout, FinishTimeout: s.FinishTimeout,
		URLWindow: s.URLWindow, URLCache: s.URLCache, Addressing: Addressing(s.Addressing),
		Attempts: s.Attempts, Memory: int64(s.Memory), MemoryWait: s.MemoryWait,
	}
	for _, key := range append([]string{s.SigningKey}, s.FormerKeys...) {
		if key != "" {
			c.SigningKeys = append(c.SigningKeys, Secret(key))
		}
	}
	l.media(&c, s)
	l.multipart(&c, s)
	l.needless(&c)
	l.reference(&c, reference)
	if alias != defaultAlias {
		c.alias = alias
	}
	c.faults, c.warnings = l.faults, l.warnings
	return c
}

// media takes the default bucket's name of the reference's version 3.
func (l *layer) media(c *Config, s settings) {
	switch bucket := strings.TrimSpace(s.MediaBucket); {
	case bucket == "":
	case c.DefaultBucket == "" || c.DefaultBucket == bucket:
		c.DefaultBucket = bucket
		l.warn("%s is the former name of MINIO_DEFAULT_BUCKET: rename it", l.values["MINIO_MEDIA_FILES_BUCKET"].from)
	default:
		l.fault("%s and MINIO_DEFAULT_BUCKET, its present name, name different buckets: keep the latter", l.values["MINIO_MEDIA_FILES_BUCKET"].from)
	}
}

const (
	referencePartSize      = 10 * MiB
	referenceDefaultBucket = "auto-generated-bucket-media-files"
	referenceStaticBucket  = "auto-generated-bucket-static-files"
)

// multipart reads the part size as the reference means it: it counts where
// multipart uploads are not turned off. Off, its client cuts long files too, into
// parts of 5 MiB, which is what we do without a part size.
func (l *layer) multipart(c *Config, s settings) {
	size, threshold := l.values["MINIO_MULTIPART_PART_SIZE"], l.values["MINIO_MULTIPART_THRESHOLD"]
	off := s.Multipart != nil && !*s.Multipart
	switch {
	case off && size.text != "":
		l.warn("%s has no effect, since MINIO_MULTIPART_UPLOAD is off: parts have the size that the field's limit asks for", size.from)
	case size.text != "":
		c.PartSize = int64(s.PartSize)
	case s.Multipart != nil && !off:
		c.PartSize = referencePartSize
	}
	if threshold.text != "" && (off || int64(s.Threshold) != c.PartSize) {
		l.warn("%s has no effect: a file of one part is sent with one request, a longer one in parts; MINIO_MULTIPART_PART_SIZE says how long a part is", threshold.from)
	}
}

// needless warns of settings for which there is nothing left to do.
func (l *layer) needless(c *Config) {
	if v, ok := l.values["MINIO_URL_CACHING_ENABLED"]; ok && !isOff(v.text) {
		l.warn("%s has no effect: a URL is signed without asking storage, so there is nothing to cache", v.from)
		for _, name := range []string{"MINIO_URL_CACHE_TIMEOUT", "MINIO_URL_CACHE_PREFIX"} {
			if v, ok := l.values[name]; ok {
				l.warn("%s has no effect: no URLs are cached", v.from)
			}
		}
	}
	if v, ok := l.values["MINIO_EXTERNAL_ENDPOINT_USE_HTTPS"]; ok && c.ExternalEndpoint == "" && isOff(v.text) {
		l.warn("%s has no effect without MINIO_EXTERNAL_ENDPOINT", v.from)
		c.ExternalUseHTTPS = nil
	}
}

func isOff(text string) bool {
	return slices.Contains([]string{"0", "f", "false"}, strings.ToLower(text))
}

// reference gives a storage declared for the reference's backend the buckets it
// would have there. Elsewhere a bucket is named by who wants it: on Amazon names
// are shared by everybody, and these are for the taking.
func (l *layer) reference(c *Config, b backend) {
	amazon := func(name, setting string) bool {
		if !s3utils.IsAmazonEndpoint(url.URL{Host: c.Endpoint}) {
			return false
		}
		l.fault("%s is missing, and the reference's default, %s, may be a stranger's bucket on Amazon S3: name one", setting, name)
		return true
	}
	if b.static && c.StaticBucket == "" && b.reference && !amazon(referenceStaticBucket, "MINIO_STATIC_FILES_BUCKET") {
		c.StaticBucket = referenceStaticBucket
	}
	if b.static && c.StaticBucket != "" && c.DefaultBucket == "" {
		c.DefaultBucket = c.StaticBucket // public, as listed here
		if !slices.Contains(c.PublicBuckets, c.StaticBucket) {
			c.PublicBuckets = append(c.PublicBuckets, c.StaticBucket)
		}
	}
	if !b.static && b.reference && c.DefaultBucket == "" && !amazon(referenceDefaultBucket, "MINIO_DEFAULT_BUCKET") {
		c.DefaultBucket = referenceDefaultBucket
	}
}

// settingOf returns the setting kept in a field of settings.
func settingOf(field string) settingType {
	for _, s := range knownSettings() {
		if s.field == field {
			return s
		}
	}
	return settingType{}
}

// flatten returns the errors that env has collected.
func flatten(err error) []error {
	var all env.AggregateError
	if errors.As(err, &all) {
		return all.Errors
	}
	return []error{err}
}

const (
	maxSecretFile   = 1 << 20
	maxSettingsFile = 1 << 20
)

// readLimited reads a whole file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(content)) > limit:
		return nil, fmt.Errorf("%s is longer than %s", path, formatSize(limit))
	}
	return content, nil
}
