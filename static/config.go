package static

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/filefield/filefield/core"
)

// DefaultBucket is the bucket where neither Config nor the Store's configuration
// names one: django-minio-backend's.
const DefaultBucket = "auto-generated-bucket-static-files"

// ManifestName is the manifest's name below the prefix. It is Django's.
const ManifestName = "staticfiles.json"

const (
	defaultCacheControl         = "public, max-age=31536000, immutable"
	defaultUnhashedCacheControl = "public, max-age=300"
	manifestCacheControl        = "no-cache"
)

// Config says which files there are and how they are published. Only Sources is
// required. New copies it; maps and slices are not changed.
//
// Patterns are those of [path.Match], compared with a file's name, with each
// folder it lies in ("vendor/old") and with each segment alone ("*.scss").
type Config struct {
	// Sources are where the files come from (embed.FS, os.DirFS, …). Where several
	// have a file of one name, the first one's is taken, as by Django's finders.
	// Links to folders are not followed.
	Sources []fs.FS
	// Bucket is where they go, a public one. One that nothing declares is declared,
	// public and readable by pages of every origin. Default: the configuration's
	// StaticBucket, else DefaultBucket; on Amazon S3, where names are shared by
	// everybody, one must be named.
	Bucket string
	// Prefix is a folder in the bucket ("static"). Default: none.
	Prefix string
	// BaseURL is what URLs start with, in place of the bucket's address and Prefix: a
	// CDN's address, or the path of Handler in development ("/static/"). Default:
	// the bucket's public URL.
	BaseURL string

	// Exclude lists what is not published, beside ".*", "*~" and "CVS", which never
	// are.
	Exclude []string
	// Include lists what is published although an exclusion matches it, as
	// ".well-known".
	Include []string
	// Unhashed lists the files that keep their name, because others ask for it:
	// "favicon.ico", "robots.txt".
	Unhashed []string
	// AllowMissing lists the files that may be referred to without being there, as
	// "*.map". Such references stay as they are.
	AllowMissing []string

	// Encodings are the variants stored beside each file of text that has a hashed
	// name and at least 1 KiB, the most wanted first: Brotli, Zstd, Gzip. Default:
	// none.
	Encodings []Encoding
	// Types sets the Content-Type of extensions, dot included. Default: a table of
	// what the web uses; application/octet-stream for what it does not know. The
	// machine's own tables are not asked.
	Types map[string]string
	// CacheControl is sent with hashed names. Default "public, max-age=31536000,
	// immutable": a year, without asking again.
	CacheControl string
	// UnhashedCacheControl is sent with unhashed names. Default "public,
	// max-age=300".
	UnhashedCacheControl string

	// Reload reads the sources again when a file in them changed. For development:
	// every call then looks at all files' times.
	Reload bool
}

func (c Config) withDefaults(store *core.Store) Config {
	c.Sources, c.Encodings = slices.Clone(c.Sources), slices.Clone(c.Encodings)
	c.Exclude = append([]string{".*", "*~", "CVS"}, c.Exclude...)
	c.Include, c.Unhashed, c.AllowMissing = slices.Clone(c.Include), slices.Clone(c.Unhashed), slices.Clone(c.AllowMissing)
	types := make(map[string]string, len(c.Types))
	for ext, typ := range c.Types {
		types[strings.ToLower(ext)] = typ
	}
	c.Types = types
	if c.Bucket == "" {
		c.Bucket = store.StaticBucket()
	}
	if c.Bucket == "" && !s3utils.IsAmazonEndpoint(url.URL{Host: store.Endpoint()}) {
		c.Bucket = DefaultBucket
	}
	if c.CacheControl == "" {
		c.CacheControl = defaultCacheControl
	}
	if c.UnhashedCacheControl == "" {
		c.UnhashedCacheControl = defaultUnhashedCacheControl
	}
	c.Prefix = strings.TrimSuffix(c.Prefix, "/")
	return c
}

func (c Config) faults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Sources) == 0 || slices.Contains(c.Sources, nil) {
		fault("Sources is empty or holds nil")
	}
	if c.Prefix != "" {
		if clean, err := core.NormalizeName(c.Prefix); err != nil || clean != c.Prefix {
			fault("Prefix %q is no folder's name, as \"static\" is", c.Prefix)
		}
	}
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"Exclude", c.Exclude}, {"Include", c.Include}, {"Unhashed", c.Unhashed}, {"AllowMissing", c.AllowMissing}} {
		for _, pattern := range list.patterns {
			if _, err := path.Match(pattern, ""); err != nil {
				fault("%s: %q is no pattern: a bracket or backslash is left open", list.name, pattern)
			}
		}
	}
	for i, e := range c.Encodings {
		if e.extension() == "" {
			fault("Encodings: %q is unknown", string(e))
		} else if slices.Contains(c.Encodings[:i], e) {
			fault("Encodings: %q is listed twice", string(e))
		}
	}
	for ext, typ := range c.Types {
		if !strings.HasPrefix(ext, ".") || typ == "" {
			fault("Types: %q: %q is not an extension such as \".css\" with its type", ext, typ)
		}
	}
	return faults
}

// bucket finds or declares the public bucket.
func (c Config) bucket(store *core.Store) (*core.Bucket, error) {
	if c.Bucket == "" {
		return nil, fmt.Errorf("no bucket is named (MINIO_STATIC_FILES_BUCKET): on Amazon S3 the default, %s, may be a stranger's", DefaultBucket)
	}
	isIt := func(b *core.Bucket) bool { return b.Name() == c.Bucket }
	known := store.Buckets()
	i := slices.IndexFunc(known, isIt)
	switch {
	case i >= 0 && !known[i].Public():
		return nil, errors.New("the bucket is declared private, and static files are read by anyone: declare it public, or choose another")
	case i >= 0 && known[i].Declaration().Name != "":
		return known[i], nil
	}
	b := store.Declare(core.BucketConfig{
		Name: c.Bucket, Public: true,
		// Browsers ask so for fonts, modules and what has an integrity value.
		CORS: []core.CORSRule{{Origins: []string{"*"}, Methods: []string{"GET", "HEAD"}}},
	})
	if !slices.ContainsFunc(store.Buckets(), isIt) {
		return nil, errors.New("not a valid bucket name")
	}
	return b, nil
}

// matches tells whether a pattern matches the name, a folder it lies in, or one
// of its segments.
func matches(patterns []string, name string) bool {
	for end := 0; end < len(name); {
		start := end
		if next := strings.IndexByte(name[start:], '/'); next < 0 {
			end = len(name)
		} else {
			end += next
		}
		for _, pattern := range patterns {
			whole, _ := path.Match(pattern, name[:end])
			segment, _ := path.Match(pattern, name[start:end])
			if whole || segment {
				return true
			}
		}
		end++
	}
	return false
}
