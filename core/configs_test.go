package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// theServer are the variables that a storage needs at least.
func theServer(more ...string) variables {
	v := variables{"MINIO_ENDPOINT": "minio:9000", "MINIO_ACCESS_KEY": "app", "MINIO_SECRET_KEY": "the secret", "SECRET_KEY": "the first signing key"}
	for i := 0; i+1 < len(more); i += 2 {
		v[more[i]] = more[i+1]
	}
	return v
}

func fromVariables(v variables) Configs { return configsFrom(settingsFile{}, v) }

// wantText checks that an error names each part, and that nil is returned for none.
func wantText(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if len(parts) == 0 {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if !errors.Is(err, ErrConfig) {
		t.Errorf("%s: the error is %v, want one of the configuration that names %q", what, err, parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: the error does not name %q:\n%v", what, part, err)
		}
	}
}

func wantWarning(t *testing.T, what string, c Config, parts ...string) {
	t.Helper()
	if len(c.Warnings()) != len(parts) {
		t.Errorf("%s: the warnings are %q, want %d", what, c.Warnings(), len(parts))
		return
	}
	for i, part := range parts {
		if !strings.Contains(c.Warnings()[i], part) {
			t.Errorf("%s: the warning %q does not name %q", what, c.Warnings()[i], part)
		}
	}
}

func TestSeveralStoragesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	configs := fromVariables(theServer(
		"FILEFIELD_STORAGES", "default, media,old-archive,",
		"MINIO_PRIVATE_BUCKETS", "documents", "MINIO_DEFAULT_BUCKET", "documents", "FILEFIELD_TIMEOUT", "7s", "MINIO_REGION", "eu-west-1",
		"MEDIA_MINIO_PUBLIC_BUCKETS", "avatars,covers", "MEDIA_FILEFIELD_TIMEOUT", "2s",
		"OLD_ARCHIVE_MINIO_ENDPOINT", "archive:9000", "OLD_ARCHIVE_MINIO_ACCESS_KEY", "archivist", "OLD_ARCHIVE_MINIO_SECRET_KEY", "another secret",
	))
	if got := strings.Join(configs.Aliases(), " "); got != "default media old-archive" {
		t.Fatalf("the aliases are %q", got)
	}
	byDefault, media, archive := configs.Alias("default"), configs.Alias("media"), configs.Alias("old-archive")
	if byDefault.DefaultBucket != "documents" || byDefault.Timeout != 7*time.Second || len(byDefault.PublicBuckets) != 0 {
		t.Errorf("default is %+v", byDefault)
	}
	if media.Endpoint != "minio:9000" || media.SecretKey != "the secret" || media.Region != "eu-west-1" || media.Timeout != 2*time.Second || len(media.SigningKeys) != 1 {
		t.Errorf("media is %+v: the server is shared, the time limit its own", media)
	}
	if !slices.Equal(media.PublicBuckets, []string{"avatars", "covers"}) || media.PrivateBuckets != nil || media.DefaultBucket != "" {
		t.Errorf("media has the buckets %q, %q, %q: they are its own", media.PublicBuckets, media.PrivateBuckets, media.DefaultBucket)
	}
	if archive.Endpoint != "archive:9000" || archive.SecretKey != "another secret" || archive.Region != "" || archive.Timeout != 7*time.Second {
		t.Errorf("old-archive is %+v: another server has another region, and the same time limit", archive)
	}
	stores, err := configs.Open()
	if err != nil || len(stores) != 3 || stores["media"].Endpoint() != "minio:9000" {
		t.Errorf("opened are %v, %v", stores, err)
	}
}

func TestWhatBelongsTogetherIsNotMixed(t *testing.T) {
	t.Parallel()
	shared := theServer("FILEFIELD_STORAGES", "default,media", "MINIO_USE_HTTPS", "true", "MINIO_EXTERNAL_ENDPOINT", "cdn.example", "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS", "true",
		"SECRET_KEY_FALLBACKS", "the former signing key", "MINIO_CA_FILE", "no/such.pem")
	for _, c := range []struct {
		name, variable, value string
		wrong                 func(Config) bool
	}{
		{"another endpoint, and none of the credentials", "MEDIA_MINIO_ENDPOINT", "b:1", func(c Config) bool { return c.AccessKey != "" || c.SecretKey != "" }},
		{"another endpoint, and none of its scheme", "MEDIA_MINIO_ENDPOINT", "b:1", func(c Config) bool { return c.UseHTTPS || c.CAFile != "" }},
		{"another endpoint, and not the external one", "MEDIA_MINIO_ENDPOINT", "b:1", func(c Config) bool { return c.ExternalEndpoint != "" || c.ExternalUseHTTPS != nil }},
		{"another access key, and not the secret", "MEDIA_MINIO_ACCESS_KEY", "b", func(c Config) bool { return c.SecretKey != "" || c.Endpoint == "" }},
		{"the chain, and not the keys", "MEDIA_MINIO_CREDENTIAL_CHAIN", "true", func(c Config) bool { return c.AccessKey != "" || c.SecretKey != "" }},
		{"another external endpoint, and not its scheme", "MEDIA_MINIO_EXTERNAL_ENDPOINT", "b", func(c Config) bool { return c.ExternalUseHTTPS != nil }},
		{"another signing key, and not the former ones", "MEDIA_SECRET_KEY", "a signing key of media", func(c Config) bool { return len(c.SigningKeys) != 1 }},
		{"another region, and the same credentials", "MEDIA_MINIO_REGION", "b", func(c Config) bool { return c.SecretKey == "" || c.Region != "b" }},
		{"nothing of its own", "OTHER", "b", func(c Config) bool {
			return c.SecretKey == "" || !c.UseHTTPS || c.ExternalUseHTTPS == nil || len(c.SigningKeys) != 2 || c.CAFile == ""
		}},
	} {
		v := theServer(c.variable, c.value)
		for name, text := range shared {
			v[name] = text
		}
		if config := fromVariables(v).Alias("media"); c.wrong(config) {
			t.Errorf("%s: it is %+v", c.name, config)
		}
	}
}

func TestStoragesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, storages, alias string
		want                  []string
	}{
		{"none listed", "", "default", nil},
		{"one that is not listed", "default,media", "static", []string{`no storage "static"`, `["default" "media"]`}},
		{"one that is misspelt", "default,media", "meida", []string{`did you mean "media"`}},
		{"only another", "media", "default", []string{`no storage "default"`}},
		{"one of bad letters", "a b", "a b", []string{`"a b" cannot be named so`}},
		{"one that begins with a digit", "1st", "1st", []string{"cannot be named so"}},
		{"two that are alike", "a-b,a_b", "a-b", []string{`"a-b" and "a_b" have the same prefix`, "A_B_"}},
		{"one listed twice", "media,media", "media", nil},
	} {
		_, err := Open(fromVariables(theServer("FILEFIELD_STORAGES", c.storages)).Alias(c.alias))
		wantText(t, c.name, err, c.want...)
	}
	_, err := fromVariables(variables{"FILEFIELD_STORAGES": "media,static"}).Open()
	wantText(t, "opening all", err, `the storage "media"`, `the storage "static"`, "Endpoint is missing")
	_, err = fromVariables(variables{"FILEFIELD_STORAGES": "media,static", "MINIO_ENDPIONT": "x"}).Open()
	if n := strings.Count(fmt.Sprint(err), "MINIO_ENDPIONT"); n != 1 {
		t.Errorf("what both storages share is said %d times, want once: %v", n, err)
	}
	_, err = Configs{}.Open()
	wantText(t, "opening none", err, "no storage is configured")
}

func TestUnknownVariablesAreReported(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, variable string
		fault, warning string
	}{
		{"two letters swapped", "MINIO_ENDPIONT", "did you mean MINIO_ENDPOINT?", ""},
		{"a letter too few", "MINIO_USE_HTTP", "did you mean MINIO_USE_HTTPS?", ""},
		{"a letter too many", "FILEFIELD_TIMEOUTS", "did you mean FILEFIELD_TIMEOUT?", ""},
		{"a list in the singular", "MINIO_PRIVATE_BUCKET", "did you mean MINIO_PRIVATE_BUCKETS?", ""},
		{"a former key in the singular", "SECRET_KEY_FALLBACK", "did you mean SECRET_KEY_FALLBACKS?", ""},
		{"a secret's file misspelt", "MINIO_SECRET_KEY_FLIE", "did you mean MINIO_SECRET_KEY_FILE?", ""},
		{"the same with a prefix", "MEDIA_MINIO_ENDPIONT", "did you mean MEDIA_MINIO_ENDPOINT?", ""},
		{"another library's name", "MINIO_USE_SSL", "", "the nearest is MINIO_USE_HTTPS"},
		{"one from nowhere", "MINIO_FLUX_CAPACITOR", "", "MINIO_FLUX_CAPACITOR is not a setting"},
		{"one of ours from nowhere", "FILEFIELD_FLUX_CAPACITOR", "", "is ignored"},
		{"an image's variable that is near to one", "MINIO_DEFAULT_BUCKETS", "", "the nearest is MINIO_DEFAULT_BUCKET"},
		{"the server's user", "MINIO_ROOT_USER", "", ""},
		{"the server's user, with the storage's prefix", "MEDIA_MINIO_ROOT_USER", "", ""},
		{"the server's options", "MINIO_OPTS", "", ""},
		{"the server's volumes", "MINIO_VOLUMES", "", ""},
		{"the server's former key", "MINIO_ACCESS_KEY_OLD", "", ""},
		{"a service of Kubernetes", "MINIO_SERVICE_HOST", "", ""},
		{"a service's port", "MINIO_PORT_9000_TCP_ADDR", "", ""},
		{"another framework's secret", "SECRET_KEY_BASE", "", ""},
		{"another program's variable", "MY_MINIO_ENDPIONT", "", ""},
		{"an HTTP client", "MINIO_HTTP_CLIENT", "set Config.Transport", ""},
	} {
		configs := fromVariables(theServer("FILEFIELD_STORAGES", "default,media", c.variable, "hunter2"))
		var all []error
		var warnings []string
		for _, alias := range configs.Aliases() {
			config := configs.Alias(alias)
			all = append(all, config.Validate())
			warnings = append(warnings, config.Warnings()...)
		}
		err := errors.Join(all...)
		if text := fmt.Sprint(err, warnings); strings.Contains(text, "hunter2") {
			t.Errorf("%s: the value shows: %s", c.name, text)
		}
		if c.fault != "" {
			wantText(t, c.name, err, c.fault)
		} else {
			wantText(t, c.name, err)
		}
		if (c.warning == "") != (len(warnings) == 0) || !strings.Contains(strings.Join(warnings, "\n"), c.warning) || len(warnings) > 1 {
			t.Errorf("%s: the warnings are %q, want %q", c.name, warnings, c.warning)
		}
	}
}

func TestOpenLogsTheWarningsOfAConfiguration(t *testing.T) {
	t.Parallel()
	c := fromVariables(theServer("MINIO_USE_SSL", "true")).Alias("default")
	var log bytes.Buffer
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := Open(c); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "MINIO_USE_SSL"); n != 1 {
		t.Errorf("it is logged %d times, want once: %s", n, &log)
	}
}

func TestSettingsOfTheReference(t *testing.T) {
	t.Parallel()
	const hook = `[["reports", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::reports/*"]}]}]]`
	for _, c := range []struct {
		name     string
		settings []string
		fault    string
		warnings []string
		right    func(Config) bool
	}{
		{"multipart uploads on, with the reference's part size", []string{"MINIO_MULTIPART_UPLOAD", "True"}, "", nil, func(c Config) bool { return c.PartSize == 10*MiB }},
		{"multipart uploads on, with a part size", []string{"MINIO_MULTIPART_UPLOAD", "True", "MINIO_MULTIPART_PART_SIZE", "16777216"}, "", nil, func(c Config) bool { return c.PartSize == 16*MiB }},
		{"a part size alone", []string{"MINIO_MULTIPART_PART_SIZE", "32MiB"}, "", nil, func(c Config) bool { return c.PartSize == 32*MiB }},
		{"multipart uploads off", []string{"MINIO_MULTIPART_UPLOAD", "False", "MINIO_MULTIPART_PART_SIZE", "32MiB"}, "", []string{"MINIO_MULTIPART_PART_SIZE has no effect"}, func(c Config) bool { return c.PartSize == 0 }},
		{"a threshold of one part", []string{"MINIO_MULTIPART_UPLOAD", "True", "MINIO_MULTIPART_THRESHOLD", "10485760"}, "", nil, func(c Config) bool { return c.PartSize == 10*MiB }},
		{"another threshold", []string{"MINIO_MULTIPART_UPLOAD", "True", "MINIO_MULTIPART_THRESHOLD", "1048576"}, "", []string{"MINIO_MULTIPART_THRESHOLD has no effect"}, func(c Config) bool { return c.PartSize == 10*MiB }},
		{"parts too small", []string{"MINIO_MULTIPART_PART_SIZE", "1048576"}, "PartSize is 1048576", nil, nil},
		{"parts of no size", []string{"MINIO_MULTIPART_PART_SIZE", "hunter2"}, "MINIO_MULTIPART_PART_SIZE is not a size", nil, nil},
		{"cached URLs", []string{"MINIO_URL_CACHING_ENABLED", "True", "MINIO_URL_CACHE_TIMEOUT", "28800", "MINIO_URL_CACHE_PREFIX", "x"}, "", []string{"MINIO_URL_CACHING_ENABLED has no effect", "MINIO_URL_CACHE_TIMEOUT", "MINIO_URL_CACHE_PREFIX"}, func(Config) bool { return true }},
		{"no cached URLs", []string{"MINIO_URL_CACHING_ENABLED", "False", "MINIO_URL_CACHE_TIMEOUT", "28800"}, "", nil, func(Config) bool { return true }},
		{"cached URLs, or not", []string{"MINIO_URL_CACHING_ENABLED", "hunter2"}, "MINIO_URL_CACHING_ENABLED is not a bool", []string{"MINIO_URL_CACHING_ENABLED"}, nil},
		{"the default bucket's former name", []string{"MINIO_MEDIA_FILES_BUCKET", "media"}, "", []string{"former name of MINIO_DEFAULT_BUCKET"}, func(c Config) bool { return c.DefaultBucket == "media" }},
		{"both names of the default bucket", []string{"MINIO_MEDIA_FILES_BUCKET", "media", "MINIO_DEFAULT_BUCKET", "other"}, "name different buckets", nil, nil},
		{"a bucket for static files", []string{"MINIO_STATIC_FILES_BUCKET", "assets"}, "", nil, func(c Config) bool { return c.StaticBucket == "assets" }},
		{"a private bucket for static files", []string{"MINIO_STATIC_FILES_BUCKET", "assets", "MINIO_PRIVATE_BUCKETS", "assets"}, "StaticBucket, which is public", nil, nil},
		{"one bucket for all", []string{"MINIO_STATIC_FILES_BUCKET", "assets", "MINIO_DEFAULT_BUCKET", "assets"}, "choose two", nil, nil},
		{"one public bucket for all", []string{"MINIO_STATIC_FILES_BUCKET", "assets", "MINIO_DEFAULT_BUCKET", "assets", "MINIO_PUBLIC_BUCKETS", "assets"}, "", nil, func(Config) bool { return true }},
		{"an external scheme that is off, and no endpoint", []string{"MINIO_EXTERNAL_ENDPOINT_USE_HTTPS", "False"}, "", []string{"without MINIO_EXTERNAL_ENDPOINT"}, func(c Config) bool { return c.ExternalUseHTTPS == nil }},
		{"an external scheme that is on, and no endpoint", []string{"MINIO_EXTERNAL_ENDPOINT_USE_HTTPS", "True"}, "ExternalUseHTTPS", nil, nil},
		{"a timedelta as Python writes it", []string{"MINIO_URL_EXPIRY_HOURS", "1 day, 12:00:00"}, "", nil, func(c Config) bool { return c.URLExpiry == 36*time.Hour }},
		{"seven days", []string{"MINIO_URL_EXPIRY_HOURS", "7 days, 0:00:00"}, "", nil, func(c Config) bool { return c.URLExpiry == 168*time.Hour }},
		{"a timedelta of hours", []string{"MINIO_URL_EXPIRY_HOURS", "1:30:00"}, "", nil, func(c Config) bool { return c.URLExpiry == 90*time.Minute }},
		{"a timedelta as Django's JSON has it", []string{"MINIO_URL_EXPIRY_HOURS", "P1DT12H00M00S"}, "", nil, func(c Config) bool { return c.URLExpiry == 36*time.Hour }},
		{"a timedelta too long", []string{"MINIO_URL_EXPIRY_HOURS", "8 days, 0:00:00"}, "URLExpiry is 192h", nil, nil},
		{"no timedelta", []string{"MINIO_URL_EXPIRY_HOURS", "0:00:00"}, "MINIO_URL_EXPIRY_HOURS must be more than 0", nil, nil},
		{"policy hooks", []string{"MINIO_POLICY_HOOKS", hook}, "", nil, func(c Config) bool { return len(c.PolicyHooks) == 1 && c.PolicyHooks[0].Bucket == "reports" }},
		{"no policy hooks", []string{"MINIO_POLICY_HOOKS", "[]"}, "", nil, func(c Config) bool { return c.PolicyHooks == nil }},
		{"policy hooks of another form", []string{"MINIO_POLICY_HOOKS", `{"reports": {}}`}, "MINIO_POLICY_HOOKS is not a list of pairs", nil, nil},
		{"a policy hook without a policy", []string{"MINIO_POLICY_HOOKS", `[["reports"]]`}, "see entry 1", nil, nil},
		{"a policy hook that is none", []string{"MINIO_POLICY_HOOKS", `[["reports", {"Effect": "Perhaps"}]]`}, `the policy hook of bucket "reports"`, nil, nil},
		{"a policy hook of a bucket of bad letters", []string{"MINIO_POLICY_HOOKS", strings.Replace(hook, "reports", "RE", 1)}, `bucket "RE"`, nil, nil},
	} {
		config := fromVariables(theServer(c.settings...)).Alias("default")
		err := config.Validate()
		wantWarning(t, c.name, config, c.warnings...)
		if c.fault != "" {
			wantText(t, c.name, err, c.fault)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the error shows the value: %v", c.name, err)
			}
		} else if err != nil || !c.right(config) {
			t.Errorf("%s: it is %+v, %v", c.name, config, err)
		}
	}
}

func TestSecretsInFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c := fromVariables(variables{
		"MINIO_ENDPOINT": "minio:9000", "MINIO_ACCESS_KEY_FILE": write("access", "app\n"), "MINIO_SECRET_KEY_FILE": write("secret", " the secret, with a comma \r\n"),
		"SECRET_KEY_FILE": write("signing", "the first signing key"), "SECRET_KEY_FALLBACKS_FILE": write("former", "the former signing key, with a comma\nand one before that\n"),
	}).Alias("default")
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.AccessKey != "app" || c.SecretKey != " the secret, with a comma " || len(c.SigningKeys) != 3 || c.SigningKeys[1] != "the former signing key, with a comma" {
		t.Errorf("the keys are %q, %q and %d: nothing but the last line's end goes", c.AccessKey, string(c.SecretKey), len(c.SigningKeys))
	}
	for _, f := range []struct {
		name, path string
		more       []string
		want       string
	}{
		{"a file that is missing", filepath.Join(dir, "missing"), nil, "MINIO_SECRET_KEY_FILE: open"},
		{"a file that is empty", write("empty", "\n"), nil, "is empty"},
		{"a file too long", write("long", strings.Repeat("hunter2", 200_000)), nil, "is longer than 1.0 MiB"},
		{"a file with a NUL", write("nul", "hunter2\x00hunter2"), nil, "NUL"},
		{"a folder", dir, nil, "MINIO_SECRET_KEY_FILE"},
		{"a file and a value", write("another", "hunter2"), []string{"MINIO_SECRET_KEY", "hunter2"}, "MINIO_SECRET_KEY and MINIO_SECRET_KEY_FILE are both set"},
	} {
		v := theServer("MINIO_SECRET_KEY", "", "MINIO_SECRET_KEY_FILE", f.path)
		for i := 0; i+1 < len(f.more); i += 2 {
			v[f.more[i]] = f.more[i+1]
		}
		err := fromVariables(v).Alias("default").Validate()
		wantText(t, f.name, err, f.want)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the secret: %.200v", f.name, err)
		}
	}
}

func TestO10ConfigurationsPrintNoSecret(t *testing.T) {
	t.Parallel()
	configs := fromVariables(theServer("FILEFIELD_STORAGES", "default,media", "MINIO_SECRET_KEY", "hunter2-the-secret", "SECRET_KEY", "hunter2-the-signing-key"))
	type holder struct{ configs Configs } // fmt asks no methods of what lies in unexported fields
	for _, value := range []any{configs, &configs, holder{configs}, configs.Alias("media"), map[string]Configs{"x": configs}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
				t.Errorf("%s of a %T shows the secret: %s", verb, value, text)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("message", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("message", "value", value)
		if text, _ := json.Marshal(value); strings.Contains(string(text)+log.String(), "hunter2") {
			t.Errorf("a %T shows the secret in JSON or a log: %s %s", value, text, &log)
		}
	}
	if text := fmt.Sprint(configs); text != "Configs(default, media)" {
		t.Errorf("it prints as %s", text)
	}
}

func TestTheDistanceOfNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "abcd", 1}, {"abc", "axc", 1}, {"abcd", "badc", 2}, {"kitten", "sitting", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q are %d apart, want %d", c.a, c.b, got, c.want)
		}
	}
}
