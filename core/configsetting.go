package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// settings is all of a Config that has a name in the environment and in files:
// the names of django-minio-backend and Django, and FILEFIELD_ for what those do
// not have. The scope says what a storage shares with others that have no value
// of their own: see layer.fill.
type settings struct {
	Endpoint         string `env:"MINIO_ENDPOINT" scope:"server"`
	UseHTTPS         bool   `env:"MINIO_USE_HTTPS" scope:"server"`
	Region           string `env:"MINIO_REGION" scope:"server"`
	CAFile           string `env:"MINIO_CA_FILE" scope:"server"`
	AccessKey        string `env:"MINIO_ACCESS_KEY" scope:"keys" indirect:"file"`
	SecretKey        string `env:"MINIO_SECRET_KEY" scope:"keys" indirect:"file"`
	CredentialChain  bool   `env:"MINIO_CREDENTIAL_CHAIN" scope:"keys"`
	ExternalEndpoint string `env:"MINIO_EXTERNAL_ENDPOINT" scope:"external"`
	ExternalUseHTTPS *bool  `env:"MINIO_EXTERNAL_ENDPOINT_USE_HTTPS" scope:"external"`
	URLExpiry        hours  `env:"MINIO_URL_EXPIRY_HOURS"`

	PrivateBuckets []string    `env:"MINIO_PRIVATE_BUCKETS" envSeparator:"\x00" scope:"buckets"`
	PublicBuckets  []string    `env:"MINIO_PUBLIC_BUCKETS" envSeparator:"\x00" scope:"buckets"`
	DefaultBucket  string      `env:"MINIO_DEFAULT_BUCKET" scope:"buckets"`
	MediaBucket    string      `env:"MINIO_MEDIA_FILES_BUCKET" scope:"buckets"`
	StaticBucket   string      `env:"MINIO_STATIC_FILES_BUCKET" scope:"buckets"`
	PolicyHooks    bucketPairs `env:"MINIO_POLICY_HOOKS" scope:"buckets" indirect:"file"`
	CheckOnStart   *bool       `env:"MINIO_CONSISTENCY_CHECK_ON_START"`
	CheckOnSave    bool        `env:"MINIO_BUCKET_CHECK_ON_SAVE"`

	Multipart      *bool  `env:"MINIO_MULTIPART_UPLOAD" scope:"multipart"`
	Threshold      size   `env:"MINIO_MULTIPART_THRESHOLD" scope:"multipart"`
	PartSize       size   `env:"MINIO_MULTIPART_PART_SIZE" scope:"multipart"`
	URLCaching     bool   `env:"MINIO_URL_CACHING_ENABLED"`
	URLCacheTime   int    `env:"MINIO_URL_CACHE_TIMEOUT"`
	URLCachePrefix string `env:"MINIO_URL_CACHE_PREFIX"`

	SigningKey string   `env:"SECRET_KEY" scope:"signing" indirect:"file"`
	FormerKeys []string `env:"SECRET_KEY_FALLBACKS" envSeparator:"\x00" scope:"signing" indirect:"file"`

	URLWindow  time.Duration `env:"FILEFIELD_URL_WINDOW"`
	URLCache   int           `env:"FILEFIELD_URL_CACHE"`
	Addressing string        `env:"FILEFIELD_ADDRESSING" scope:"server"`

	TokenExpiry   time.Duration `env:"FILEFIELD_TOKEN_EXPIRY"`
	Timeout       time.Duration `env:"FILEFIELD_TIMEOUT"`
	FinishTimeout time.Duration `env:"FILEFIELD_FINISH_TIMEOUT"`
	Attempts      int           `env:"FILEFIELD_ATTEMPTS"`
	Memory        size          `env:"FILEFIELD_MEMORY"`
	MemoryWait    time.Duration `env:"FILEFIELD_MEMORY_WAIT"`
}

// settingType is what settings says about one of its fields.
type settingType struct {
	name     string // in the environment and in files
	field    string // of settings
	kind     reflect.Type
	scope    string
	fromFile bool // a name with fileSuffix gives a file that holds the value
}

const fileSuffix = "_FILE"

func knownSettings() []settingType {
	t := reflect.TypeFor[settings]()
	all := make([]settingType, t.NumField())
	for i := range all {
		f := t.Field(i)
		all[i] = settingType{
			name: f.Tag.Get("env"), field: f.Name, kind: f.Type,
			scope: f.Tag.Get("scope"), fromFile: f.Tag.Get("indirect") != "",
		}
	}
	return all
}

// settingNamed returns the setting of a name, and whether there is one.
func settingNamed(name string) (settingType, bool) {
	for _, s := range knownSettings() {
		if s.name == name {
			return s, true
		}
	}
	return settingType{}, false
}

// settingNames returns every name that a storage's settings may have.
func settingNames() []string {
	var all []string
	for _, s := range knownSettings() {
		all = append(all, s.name)
		if s.fromFile {
			all = append(all, s.name+fileSuffix)
		}
	}
	return all
}

func (s settingType) isList() bool {
	return s.kind.Kind() == reflect.Slice && s.kind.Elem().Kind() == reflect.String
}

// split separates the entries of a list by what separates them in settings, which
// no entry holds.
func (s settingType) split(text, separator string) string {
	if !s.isList() {
		return text
	}
	return strings.Join(names(strings.Split(text, separator)), listSeparator)
}

const listSeparator = "\x00"

// refusedSettings are names that the reference or Django knows and that cannot be
// honoured, with what to do instead.
var refusedSettings = map[string]string{
	"MINIO_HTTP_CLIENT":    "an HTTP client is code; set Config.Transport, or MINIO_CA_FILE and FILEFIELD_TIMEOUT",
	"http_client":          "an HTTP client is code; set Config.Transport, or MINIO_CA_FILE and FILEFIELD_TIMEOUT",
	"bucket_name":          "write MINIO_DEFAULT_BUCKET",
	"storage_name":         "a storage's name is its key in STORAGES",
	"replace_existing":     "each save decides that: set Upload.Replace",
	"metadata":             "a field declares that: set FieldConfig.Options.Metadata",
	"sse":                  "a field declares that: set FieldConfig.Options.Encryption",
	"tags":                 "a field declares that: set FieldConfig.Options.Tags",
	"retention":            "a field declares that: set FieldConfig.Options.Retention",
	"legal_hold":           "a field declares that: set FieldConfig.Options.LegalHold",
	"progress":             "progress is told to code: set FieldConfig.Options.Progress",
	"DEFAULT_FILE_STORAGE": "Django has dropped it for STORAGES: declare the storage default there",
	"STATICFILES_STORAGE":  "Django has dropped it for STORAGES: declare the storage staticfiles there",
	"MEDIA_URL":            "URLs are made of MINIO_EXTERNAL_ENDPOINT and the bucket; the reference ignores it too",
	"STATIC_URL":           "URLs are made of MINIO_EXTERNAL_ENDPOINT and the bucket; the reference ignores it too",
}

// notA is a fault of a value, said without it: "is not a size such as 64MiB".
type notA string

func (e notA) Error() string { return string(e) }

// size is a number of bytes: "16777216", "16MiB".
type size int64

func (s *size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > uint64(TiB) {
		return notA("is not a size such as 64MiB")
	}
	*s = size(n)
	return nil
}

// hours is what the reference calls URL_EXPIRY_HOURS: a number of hours, a Go
// duration ("36h", "90m"), or a timedelta as Python ("1 day, 12:00:00") and
// Django's JSON ("P1DT12H00M00S") write it.
type hours time.Duration

func (h *hours) UnmarshalText(text []byte) error {
	s := string(text)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if !(n*3600 >= 1 && n <= maxURLExpiry.Hours()) { // so that NaN fails too
			return notA("must be at least one second and at most 168 hours (7 days)")
		}
		*h = hours(n * float64(time.Hour))
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		if d, err = parseTimedelta(s); err != nil {
			return notA("is not a number of hours, nor a duration such as 36h")
		}
	}
	if d <= 0 {
		return notA("must be more than 0 and at most 168h")
	}
	*h = hours(d)
	return nil
}

var timedeltas = []*regexp.Regexp{
	regexp.MustCompile(`^(?:(\d{1,5}) days?, )?(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)$`),
	regexp.MustCompile(`^P(\d{1,5})DT(\d{1,2})H(\d\d)M(\d\d(?:\.\d+)?)S$`),
}

func parseTimedelta(s string) (time.Duration, error) {
	for _, form := range timedeltas {
		parts := form.FindStringSubmatch(s)
		if parts == nil {
			continue
		}
		var seconds float64
		for i, unit := range []float64{24 * 3600, 3600, 60, 1} {
			if n, err := strconv.ParseFloat(parts[i+1], 64); err == nil { // the days may be missing
				seconds += n * unit
			}
		}
		return time.Duration(math.Round(seconds * float64(time.Second))), nil
	}
	return 0, errors.New("no timedelta")
}

// bucketPairs are the reference's policy hooks: [["bucket", {policy}], …].
type bucketPairs []BucketPolicy

func (p *bucketPairs) UnmarshalText(text []byte) error {
	const form = `is not a list of pairs [["bucket", {policy}], …]`
	var pairs [][]json.RawMessage
	if err := json.Unmarshal(text, &pairs); err != nil {
		return notA(form)
	}
	for i, pair := range pairs {
		var one BucketPolicy
		if len(pair) != 2 || json.Unmarshal(pair[0], &one.Bucket) != nil {
			return notA(fmt.Sprintf("%s: see entry %d", form, i+1))
		}
		one.Document = string(pair[1])
		*p = append(*p, one)
	}
	return nil
}
