package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// good is a configuration without faults.
func good() core.Config {
	return core.Config{Endpoint: "storage.example:9000", AccessKey: "access", SecretKey: "a secret of the storage"}
}

// wantFaults checks that a configuration is refused and that the text names each fault.
func wantFaults(t *testing.T, name string, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, core.ErrConfig) {
		t.Errorf("%s: the error is %v, want a fault of the configuration", name, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: the error does not mention %q:\n%v", name, part, err)
		}
	}
}

func TestEveryFaultOfAConfigurationIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	yes := true
	_, err := core.Open(core.Config{
		Endpoint:         "https://storage.example",
		ExternalUseHTTPS: &yes,
		URLExpiry:        8 * 24 * time.Hour,
		TokenExpiry:      -time.Hour,
		Timeout:          -time.Second,
		FinishTimeout:    -time.Minute,
		Attempts:         -1,
		Memory:           1 << 20,
		PrivateBuckets:   []string{"both", "UPPER_CASE"},
		PublicBuckets:    []string{"both"},
		DefaultBucket:    "x",
		SigningKeys:      []core.Secret{"a long enough signing key", "short"},
		CAFile:           "there/is/no/such.pem",
	})
	wantFaults(t, "open", err,
		`Endpoint "https://storage.example"`, "AccessKey is missing", "SecretKey is missing",
		"ExternalUseHTTPS is set without ExternalEndpoint", "URLExpiry is 192h", "TokenExpiry is -1h", "Timeout is -1s", "FinishTimeout is -1m",
		"Attempts is -1", "Memory is 1048576", `"both" is declared both private and public`, `bucket "UPPER_CASE"`, `bucket "x"`,
		"SigningKeys[1] has 5 bytes", "such.pem",
	)
	if err != nil && strings.Contains(err.Error(), "short") {
		t.Errorf("the error shows a signing key: %v", err)
	}
}

func TestFaultsOfAConfiguration(t *testing.T) {
	t.Parallel()
	yes := true
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("this is no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*core.Config)
		want   string // "" where there is no fault
	}{
		{"nothing wrong", func(*core.Config) {}, ""},
		{"no endpoint", func(c *core.Config) { c.Endpoint = "" }, "MINIO_ENDPOINT"},
		{"an endpoint with a scheme", func(c *core.Config) { c.Endpoint = "http://a:9000" }, "host and port only"},
		{"an endpoint with a path", func(c *core.Config) { c.Endpoint = "a:9000/b" }, "host:port"},
		{"an endpoint with a bad port", func(c *core.Config) { c.Endpoint = "a:port" }, "Endpoint"},
		{"an endpoint with a space", func(c *core.Config) { c.Endpoint = "a b" }, "Endpoint"},
		{"an endpoint that is not ASCII", func(c *core.Config) { c.Endpoint = "bücher.example" }, "xn--"},
		{"an endpoint that is not even UTF-8", func(c *core.Config) { c.Endpoint = "exa\xca\xcag" }, "xn--"},
		{"an endpoint that is a port", func(c *core.Config) { c.Endpoint = ":9000" }, "host:port"},
		{"an endpoint of IPv6", func(c *core.Config) { c.Endpoint = "[::1]:9000" }, ""},
		{"no access key", func(c *core.Config) { c.AccessKey = "" }, "AccessKey"},
		{"no secret key", func(c *core.Config) { c.SecretKey = "" }, "SecretKey"},
		{"no keys, but the chain", func(c *core.Config) { c.AccessKey, c.SecretKey, c.CredentialChain = "", "", true }, ""},
		{"no keys, but a provider", func(c *core.Config) {
			c.AccessKey, c.SecretKey, c.Credentials = "", "", credentials.NewStaticV4("a", "b", "")
		}, ""},
		{"an external endpoint without its scheme", func(c *core.Config) { c.ExternalEndpoint = "cdn.example" }, "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS"},
		{"an external scheme without its endpoint", func(c *core.Config) { c.ExternalUseHTTPS = &yes }, "MINIO_EXTERNAL_ENDPOINT"},
		{"an external endpoint with both", func(c *core.Config) { c.ExternalEndpoint, c.ExternalUseHTTPS = "cdn.example", &yes }, ""},
		{"an external endpoint that is a URL", func(c *core.Config) { c.ExternalEndpoint, c.ExternalUseHTTPS = "https://cdn.example/", &yes }, "ExternalEndpoint"},
		{"URLs that live too long", func(c *core.Config) { c.URLExpiry = 7*24*time.Hour + 1 }, "URLExpiry"},
		{"URLs that live as long as possible", func(c *core.Config) { c.URLExpiry = 7 * 24 * time.Hour }, ""},
		{"URLs that live too short", func(c *core.Config) { c.URLExpiry = time.Second - 1 }, "URLExpiry"},
		{"URLs that have expired", func(c *core.Config) { c.URLExpiry = -time.Hour }, "URLExpiry"},
		{"too little memory", func(c *core.Config) { c.Memory = 8<<20 - 1 }, "Memory"},
		{"just enough memory", func(c *core.Config) { c.Memory = 8 << 20 }, ""},
		{"a bucket name with a slash", func(c *core.Config) { c.PrivateBuckets = []string{"a/b"} }, `"a/b"`},
		{"a bucket name that is an address", func(c *core.Config) { c.PublicBuckets = []string{"192.168.1.1"} }, "192.168.1.1"},
		{"an empty bucket name", func(c *core.Config) { c.PublicBuckets = []string{""} }, `bucket ""`},
		{"a default bucket with a bad name", func(c *core.Config) { c.DefaultBucket = "-" }, `bucket "-"`},
		{"one bucket named twice", func(c *core.Config) { c.PrivateBuckets, c.DefaultBucket = []string{"abc", "abc"}, "abc" }, ""},
		{"certificates that are missing", func(c *core.Config) { c.CAFile = garbage + ".not" }, "CAFile"},
		{"certificates that are garbage", func(c *core.Config) { c.CAFile = garbage }, "no PEM certificate"},
		{"certificates for a transport that brings its own", func(c *core.Config) { c.CAFile, c.Transport = garbage, http.DefaultTransport }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := good()
			c.change(&config)
			store, err := core.Open(config)
			if c.want == "" {
				if err != nil || store == nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantFaults(t, "open", err, c.want)
			if store != nil {
				t.Error("a Store was returned with the error")
			}
		})
	}
}

func TestMustOpenPanicsWithTheFaults(t *testing.T) {
	t.Parallel()
	defer func() {
		err, _ := recover().(error)
		wantFaults(t, "the panic", err, "Endpoint is missing", "AccessKey is missing")
	}()
	core.MustOpen(core.Config{})
}

func TestCredentialsInAnEndpointAreNotShown(t *testing.T) {
	t.Parallel()
	c := good()
	c.Endpoint, c.ExternalEndpoint = "user:hunter2@storage:9000", "https://user:hunter2@cdn"
	_, err := core.Open(c)
	wantFaults(t, "open", err, "Endpoint", "@storage:9000")
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows a password: %v", err)
	}
}

// setEnv sets the whole environment of the configuration, and nothing else of it.
func setEnv(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "MINIO_") || strings.HasPrefix(name, "SECRET_KEY") ||
			strings.HasPrefix(name, "FILEFIELD_") && !strings.HasPrefix(name, "FILEFIELD_TEST_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

func TestAConfigurationComesFromTheEnvironment(t *testing.T) { // not parallel: it sets the environment
	setEnv(t, map[string]string{
		"MINIO_ENDPOINT": "minio:9000", "MINIO_USE_HTTPS": "True", "MINIO_ACCESS_KEY": "access", "MINIO_SECRET_KEY": "the secret",
		"MINIO_REGION": "eu-central-1", "MINIO_EXTERNAL_ENDPOINT": "files.example", "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": "False",
		"MINIO_URL_EXPIRY_HOURS": "36", "MINIO_PRIVATE_BUCKETS": " docs, avatars ,", "MINIO_PUBLIC_BUCKETS": "static",
		"MINIO_STATIC_FILES_BUCKET": " static-files ",
		"MINIO_DEFAULT_BUCKET":      " docs ", "MINIO_CONSISTENCY_CHECK_ON_START": "False", "MINIO_CREDENTIAL_CHAIN": "0",
		"SECRET_KEY": "django's own secret key", "SECRET_KEY_FALLBACKS": "an older key with 20 bytes, and one more of them ,",
		"FILEFIELD_TOKEN_EXPIRY": "2h", "FILEFIELD_TIMEOUT": "7s", "FILEFIELD_FINISH_TIMEOUT": "2m", "FILEFIELD_ATTEMPTS": "5", "FILEFIELD_MEMORY": "128MiB",
	})
	got := core.ConfigFromEnv()
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	no := false
	want := core.Config{
		Endpoint: "minio:9000", UseHTTPS: true, AccessKey: "access", SecretKey: "the secret", Region: "eu-central-1",
		ExternalEndpoint: "files.example", ExternalUseHTTPS: &no, URLExpiry: 36 * time.Hour,
		PrivateBuckets: []string{"docs", "avatars"}, PublicBuckets: []string{"static"}, StaticBucket: "static-files", DefaultBucket: "docs", CheckOnStart: &no,
		SigningKeys: []core.Secret{"django's own secret key", "an older key with 20 bytes", "and one more of them"},
		TokenExpiry: 2 * time.Hour, Timeout: 7 * time.Second, FinishTimeout: 2 * time.Minute, Attempts: 5, Memory: 128 << 20,
	}
	if got, want := plain(t, got), plain(t, want); got != want {
		t.Errorf("the configuration is\n%s, want\n%s", got, want)
	}
}

// plain renders a configuration with its secrets, for comparison.
func plain(t *testing.T, c core.Config) string {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range append([]core.Secret{c.SecretKey}, c.SigningKeys...) {
		text = append(append(text, ' '), string(key)...)
	}
	return string(text)
}

func TestValuesOfTheEnvironment(t *testing.T) { // not parallel: it sets the environment
	for _, c := range []struct {
		name, variable, value string
		fault                 string // "" where there is none
		check                 func(core.Config) bool
	}{
		{"True, as Python writes it", "MINIO_USE_HTTPS", "True", "", func(c core.Config) bool { return c.UseHTTPS }},
		{"False, as Python writes it", "MINIO_USE_HTTPS", "False", "", func(c core.Config) bool { return !c.UseHTTPS }},
		{"lower case", "MINIO_USE_HTTPS", "true", "", func(c core.Config) bool { return c.UseHTTPS }},
		{"a number", "MINIO_USE_HTTPS", "1", "", func(c core.Config) bool { return c.UseHTTPS }},
		{"no boolean", "MINIO_USE_HTTPS", "hunter2", "MINIO_USE_HTTPS is not a bool", nil},
		{"nothing for an optional boolean", "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS", "", "", func(c core.Config) bool { return c.ExternalUseHTTPS == nil }},
		{"nothing for the check", "MINIO_CONSISTENCY_CHECK_ON_START", "", "", func(c core.Config) bool { return c.CheckOnStart == nil }},
		{"the check turned on", "MINIO_CONSISTENCY_CHECK_ON_START", "True", "", func(c core.Config) bool { return *c.CheckOnStart }},
		{"buckets made by saves", "MINIO_BUCKET_CHECK_ON_SAVE", "True", "", func(c core.Config) bool { return c.CheckOnSave }},
		{"hours", "MINIO_URL_EXPIRY_HOURS", "168", "", func(c core.Config) bool { return c.URLExpiry == 7*24*time.Hour }},
		{"half an hour", "MINIO_URL_EXPIRY_HOURS", "0.5", "", func(c core.Config) bool { return c.URLExpiry == 30*time.Minute }},
		{"a duration", "MINIO_URL_EXPIRY_HOURS", "90m", "", func(c core.Config) bool { return c.URLExpiry == 90*time.Minute }},
		{"too many hours", "MINIO_URL_EXPIRY_HOURS", "169", "MINIO_URL_EXPIRY_HOURS", nil},
		{"no hours", "MINIO_URL_EXPIRY_HOURS", "0", "MINIO_URL_EXPIRY_HOURS", nil},
		{"fewer than no hours", "MINIO_URL_EXPIRY_HOURS", "-1", "MINIO_URL_EXPIRY_HOURS", nil},
		{"hours too short to count", "MINIO_URL_EXPIRY_HOURS", "1e-13", "MINIO_URL_EXPIRY_HOURS", nil},
		{"hours that are no number", "MINIO_URL_EXPIRY_HOURS", "NaN", "MINIO_URL_EXPIRY_HOURS", nil},
		{"hours without end", "MINIO_URL_EXPIRY_HOURS", "Inf", "MINIO_URL_EXPIRY_HOURS", nil},
		{"a duration too long", "MINIO_URL_EXPIRY_HOURS", "200h", "URLExpiry", nil},
		{"a duration below nothing", "MINIO_URL_EXPIRY_HOURS", "-5m", "MINIO_URL_EXPIRY_HOURS", nil},
		{"no hours at all", "MINIO_URL_EXPIRY_HOURS", "hunter2", "MINIO_URL_EXPIRY_HOURS", nil},
		{"a list with spaces and a trailing comma", "MINIO_PRIVATE_BUCKETS", " abc , def,, ", "", func(c core.Config) bool { return len(c.PrivateBuckets) == 2 && c.PrivateBuckets[1] == "def" }},
		{"an empty list", "MINIO_PRIVATE_BUCKETS", "", "", func(c core.Config) bool { return len(c.PrivateBuckets) == 0 }},
		{"a duration that is a number", "FILEFIELD_TIMEOUT", "5", "FILEFIELD_TIMEOUT", nil},
		{"attempts that are a word", "FILEFIELD_ATTEMPTS", "hunter2", "FILEFIELD_ATTEMPTS", nil},
		{"memory in bytes", "FILEFIELD_MEMORY", "16777216", "", func(c core.Config) bool { return c.Memory == 16<<20 }},
		{"memory with a unit", "FILEFIELD_MEMORY", "16 MiB", "", func(c core.Config) bool { return c.Memory == 16<<20 }},
		{"memory that is a word", "FILEFIELD_MEMORY", "hunter2", "FILEFIELD_MEMORY", nil},
		{"memory beyond measure", "FILEFIELD_MEMORY", "99 PiB", "FILEFIELD_MEMORY", nil},
		{"a signing key that is too short", "SECRET_KEY", "hunter2", "SigningKeys[0]", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			setEnv(t, map[string]string{"MINIO_ENDPOINT": "minio:9000", "MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "b", c.variable: c.value})
			config := core.ConfigFromEnv()
			err := config.Validate()
			if c.fault != "" {
				wantFaults(t, "validate", err, c.fault)
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error shows the value, which may be a secret: %v", err)
				}
				return
			}
			if err != nil || !c.check(config) {
				t.Errorf("%s=%q gives %+v, %v", c.variable, c.value, config, err)
			}
		})
	}
}

func TestFaultsOfTheEnvironmentAreReportedTogether(t *testing.T) { // not parallel: it sets the environment
	setEnv(t, map[string]string{"MINIO_USE_HTTPS": "maybe", "FILEFIELD_ATTEMPTS": "many", "MINIO_URL_EXPIRY_HOURS": "long", "FILEFIELD_MEMORY": "much"})
	_, err := core.Open(core.ConfigFromEnv())
	wantFaults(t, "open", err, "MINIO_USE_HTTPS", "FILEFIELD_ATTEMPTS", "MINIO_URL_EXPIRY_HOURS", "FILEFIELD_MEMORY", "Endpoint is missing", "AccessKey is missing")
}

func FuzzConfigurationFaultsNeverPanic(f *testing.F) {
	f.Add("host:9000", "cdn.example", "bucket-name", int64(time.Hour))
	f.Add("http://user:pass@host/path?x#y", "[::1", "..", int64(-1))
	f.Fuzz(func(t *testing.T, endpoint, external, bucket string, expiry int64) {
		yes := true
		c := core.Config{
			Endpoint: endpoint, ExternalEndpoint: external, ExternalUseHTTPS: &yes, AccessKey: "a", SecretKey: "b",
			DefaultBucket: bucket, URLExpiry: time.Duration(expiry),
		}
		valid := c.Validate()
		store, err := core.Open(c)
		if (valid == nil) != (err == nil) || (err == nil) != (store != nil) {
			t.Errorf("Validate says %v, Open %v", valid, err)
		}
	})
}

func TestChangingAConfigurationAfterOpenHasNoEffect(t *testing.T) {
	t.Parallel()
	c := good()
	c.PrivateBuckets, c.PublicBuckets = make([]string, 1, 10), make([]string, 1, 10)
	c.PrivateBuckets[0], c.PublicBuckets[0] = "private", "public"
	c.SigningKeys = []core.Secret{"the first signing key"}
	first, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	field := first.Field(core.FieldConfig{Name: "file", Bucket: "private"})
	object := core.Object{Bucket: "private", Key: mustKey(t, "a.txt")}
	before := field.Sign(object, "")
	c.PrivateBuckets[0], c.PublicBuckets[0], c.SigningKeys[0], c.Endpoint = "changed", "changed2", "another signing key", "elsewhere:1"
	c.PrivateBuckets = append(c.PrivateBuckets, "more")
	second, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	second.Field(core.FieldConfig{Name: "other", Bucket: "of-the-second"})
	var names []string
	for _, b := range first.Buckets() {
		names = append(names, b.Name())
	}
	if got := strings.Join(names, " "); got != "private public" {
		t.Errorf("the first Store has the buckets %s, want private public", got)
	}
	if _, err := field.Verify(before); err != nil {
		t.Errorf("a token of before is refused: %v", err)
	}
	if got := first.Endpoint(); got != "storage.example:9000" {
		t.Errorf("the endpoint is %s", got)
	}
	if c.PrivateBuckets[1] != "more" || len(c.PrivateBuckets) != 2 {
		t.Errorf("the caller's list was changed: %q", c.PrivateBuckets)
	}
}

func TestTheDefaultBucketIsDeclared(t *testing.T) {
	t.Parallel()
	c := good()
	c.DefaultBucket, c.PublicBuckets = "the-default", []string{"public"}
	store, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := store.Buckets(); len(got) != 2 || got[1].Name() != "the-default" || got[1].Public() {
		t.Errorf("declared are %d buckets, want public and the private the-default", len(got))
	}
	if b := store.Field(core.FieldConfig{Name: "file"}).Bucket(); b.Name() != "the-default" {
		t.Errorf("a field without a bucket has %s", b.Name())
	}
	c.DefaultBucket = "public"
	if store, err = core.Open(c); err != nil || !store.Bucket("public").Public() || len(store.Buckets()) != 1 {
		t.Errorf("a public default bucket: %v", err)
	}
}

func TestTheGivenTransportCarriesEveryRequest(t *testing.T) {
	t.Parallel()
	var seen []string
	carrier := roundTripper(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r.Method+" "+r.URL.Host)
		return &http.Response{
			StatusCode: http.StatusNotFound, Header: http.Header{}, Request: r,
			Body: io.NopCloser(strings.NewReader("<Error><Code>NoSuchKey</Code></Error>")),
		}, nil
	})
	c := good()
	c.Transport, c.Endpoint = carrier, "no-such-host.invalid:1"
	store, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Bucket("some-bucket").Open(t.Context(), mustKey(t, "a"), core.OpenOptions{})
	wantKind(t, "open", err, core.ErrNotFound)
	if len(seen) != 1 || seen[0] != "GET no-such-host.invalid:1" {
		t.Errorf("the transport saw %q, want the one GET", seen)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCredentialsComeFromTheProvider(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t, func(c *core.Config) {
		c.AccessKey, c.SecretKey = "", ""
		c.Credentials = credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")
	})
	save(t, store.Bucket(bucket), "a.txt", "content")
}

func TestTheCredentialChainReadsTheEnvironment(t *testing.T) { // not parallel: it sets the environment
	s := s3test.Start(t)
	setEnv(t, map[string]string{"MINIO_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey, "AWS_SESSION_TOKEN": ""})
	store, bucket := openStore(t, func(c *core.Config) { c.AccessKey, c.SecretKey, c.CredentialChain = "", "", true })
	save(t, store.Bucket(bucket), "a.txt", "content")
}

func TestStorageWithACertificateOfItsOwnAuthority(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{TLS: true})
	bucket := s.Bucket(t)
	trusting := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.UseHTTPS, c.CAFile = true, s.CAFile })
	save(t, trusting.Bucket(bucket), "a.txt", "content")
	if got := string(mustRead(t, trusting.Bucket(bucket), mustKey(t, "a.txt"), core.OpenOptions{})); got != "content" {
		t.Errorf("it holds %q", got)
	}
	wary := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.UseHTTPS, c.Attempts = true, 1 })
	_, err := wary.Bucket(bucket).Stat(t.Context(), mustKey(t, "a.txt"))
	wantKind(t, "an authority that is not trusted", err, core.ErrUnavailable)
	if err != nil && !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the error does not speak of the certificate: %v", err)
	}
}

func TestFaultyFieldsAreReportedTogetherBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	recorder, store, _ := recorded(t)
	faulty := map[string]core.FieldConfig{
		"Name is missing":    {Bucket: "some-bucket"},
		"Bucket is missing":  {Name: "no-bucket"},
		"Bucket \"X\"":       {Name: "bad-bucket", Bucket: "X"},
		"MaxSize is -1":      {Name: "max-size", Bucket: "some-bucket", MaxSize: -1},
		"MaxFiles is -2":     {Name: "max-files", Bucket: "some-bucket", MaxFiles: -2},
		"MaxKeyLength":       {Name: "key-length", Bucket: "some-bucket", MaxKeyLength: 2000},
		"MaxWidth":           {Name: "width", Bucket: "some-bucket", MaxWidth: -1},
		"MinWidth":           {Name: "least", Bucket: "some-bucket", MinWidth: 3, MaxWidth: 2},
		"MaxPixels":          {Name: "pixels", Bucket: "some-bucket", MaxPixels: -1},
		"MaxFrames":          {Name: "frames", Bucket: "some-bucket", MaxFrames: -1},
		"URLExpiry is 200h":  {Name: "expiry", Bucket: "some-bucket", URLExpiry: 200 * time.Hour},
		"URLExpiry is 1ms":   {Name: "short-expiry", Bucket: "some-bucket", URLExpiry: time.Millisecond},
		"Column is unknown":  {Name: "column", Bucket: "some-bucket", Column: 9},
		"PartSize is 100":    {Name: "part-size", Bucket: "some-bucket", Options: core.ObjectOptions{PartSize: 100}},
		"ParallelParts":      {Name: "parallel", Bucket: "some-bucket", Options: core.ObjectOptions{ParallelParts: -1}},
		"filefield-x":        {Name: "metadata", Bucket: "some-bucket", Options: core.ObjectOptions{Metadata: map[string]string{"filefield-x": "1"}}},
		"Accept: ":           {Name: "accept", Bucket: "some-bucket", Accept: "not a type"},
		"declared twice":     {Name: "max-size", Bucket: "some-bucket"},
		"MaxSize is 6597069": {Name: "huge", Bucket: "some-bucket", MaxSize: 6 * core.TiB},
	}
	fields := map[string]*core.Field{}
	for want, config := range faulty {
		if want != "declared twice" {
			fields[want] = store.Field(config)
		}
	}
	fields["declared twice"] = store.Field(faulty["declared twice"])
	right := store.Field(core.FieldConfig{Name: "right", Bucket: "some-bucket"})

	for what, err := range map[string]error{"Faults": store.Faults(), "Start": store.Startup(core.StartupConfig{}).Start(t.Context())} {
		wantFaults(t, what, err, "Name is missing", "declared twice")
		for want := range faulty {
			wantFaults(t, what, err, want)
		}
	}
	if right.Fault() != nil {
		t.Errorf("the field without a fault has one: %v", right.Fault())
	}
	key := mustKey(t, "a")
	for want, f := range fields {
		wantFaults(t, "Fault", f.Fault(), want)
		_, err := f.Save(t.Context(), core.Upload{Body: strings.NewReader("x")})
		wantKind(t, "save", err, core.ErrConfig)
		_, err = f.Open(t.Context(), key, core.OpenOptions{})
		wantKind(t, "open", err, core.ErrConfig)
		_, err = f.URL(context.Background(), key, core.URLOptions{})
		wantKind(t, "url", err, core.ErrConfig)
		wantKind(t, "delete", f.Delete(t.Context(), key), core.ErrConfig)
	}
	for _, b := range store.Buckets() {
		if b.Name() != "some-bucket" {
			t.Errorf("a faulty declaration declared the bucket %q", b.Name())
		}
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("%d requests were made, want none", n)
	}
}

func TestADeclarationHasItsDefaultsFilledIn(t *testing.T) {
	t.Parallel()
	c := good()
	c.DefaultBucket, c.URLExpiry = "files", time.Hour
	store, err := core.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	f := store.Field(core.FieldConfig{Name: "file"})
	got := f.Config()
	if got.Bucket != "files" || got.MaxSize != 10*core.MiB || got.MaxFiles != 1 || got.MaxKeyLength != 1024 || got.URLExpiry != time.Hour {
		t.Errorf("the declaration is %+v", got)
	}
	if f.Name() != "file" || f.Store() != store || f.Fault() != nil || store.Faults() != nil {
		t.Errorf("the field is %s, fault %v", f.Name(), f.Fault())
	}
	if store.Field(core.FieldConfig{Name: "file", Model: "other"}).Fault() != nil {
		t.Error("a field of another model counts as the same")
	}
}
