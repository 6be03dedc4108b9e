package core

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func fromFile(name, content string, env variables) Configs {
	return configsFrom(parseSettingsFile("dir/"+name, []byte(content), env), env)
}

// djangoYAML is the reference's own example, as YAML, and djangoJSON as
// json.dumps(STORAGES, default=str) writes it.
const djangoYAML = `
STORAGES:
  staticfiles:
    BACKEND: django_minio_backend.models.MinioBackendStatic
    OPTIONS:
      MINIO_ENDPOINT: minio:9000
      MINIO_ACCESS_KEY: app
      MINIO_SECRET_KEY: the secret
      MINIO_USE_HTTPS: true
      MINIO_REGION: eu-west-1
      MINIO_URL_EXPIRY_HOURS: 24
      MINIO_CONSISTENCY_CHECK_ON_START: true
      MINIO_STATIC_FILES_BUCKET: my-static-files-bucket
  default:
    BACKEND: django_minio_backend.models.MinioBackend
    OPTIONS:
      MINIO_ENDPOINT: minio:9000
      MINIO_EXTERNAL_ENDPOINT: files.example.org
      MINIO_EXTERNAL_ENDPOINT_USE_HTTPS: True # as Python writes it
      MINIO_ACCESS_KEY: "app"
      MINIO_SECRET_KEY: the secret
      MINIO_USE_HTTPS: false
      MINIO_REGION: ~
      MINIO_PRIVATE_BUCKETS: [django-backend-dev-private, my-media-files-bucket]
      MINIO_PUBLIC_BUCKETS:
        - django-backend-dev-public
      MINIO_URL_EXPIRY_HOURS: 1 day, 0:00:00
      MINIO_CONSISTENCY_CHECK_ON_START: false
      MINIO_POLICY_HOOKS:
        - - django-backend-dev-private
          - Version: 2012-10-17
            Statement:
              - {Effect: Allow, Principal: {AWS: "*"}, Action: s3:GetObject, Resource: "arn:aws:s3:::django-backend-dev-private/${aws:username}/*"}
      MINIO_DEFAULT_BUCKET: my-media-files-bucket
      MINIO_BUCKET_CHECK_ON_SAVE: false
      MINIO_MULTIPART_UPLOAD: false
      MINIO_MULTIPART_PART_SIZE: 10485760
  somewhere:
    BACKEND: django.core.files.storage.FileSystemStorage
    OPTIONS: {location: /srv/media}
SECRET_KEY: the first signing key
SECRET_KEY_FALLBACKS: ["the former signing key, with a comma"]
`

const djangoJSON = `{"staticfiles": {"BACKEND": "django_minio_backend.models.MinioBackendStatic", "OPTIONS": {"MINIO_ENDPOINT": "minio:9000",
	"MINIO_ACCESS_KEY": "app", "MINIO_SECRET_KEY": "the secret", "MINIO_USE_HTTPS": true, "MINIO_REGION": "eu-west-1", "MINIO_URL_EXPIRY_HOURS": "1 day, 0:00:00",
	"MINIO_CONSISTENCY_CHECK_ON_START": true, "MINIO_STATIC_FILES_BUCKET": "my-static-files-bucket"}},
	"default": {"BACKEND": "django_minio_backend.models.MinioBackend", "OPTIONS": {"MINIO_ENDPOINT": "minio:9000", "MINIO_EXTERNAL_ENDPOINT": "files.example.org",
	"MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": true, "MINIO_ACCESS_KEY": "app", "MINIO_SECRET_KEY": "the secret", "MINIO_USE_HTTPS": false, "MINIO_REGION": null,
	"MINIO_PRIVATE_BUCKETS": ["django-backend-dev-private", "my-media-files-bucket"], "MINIO_PUBLIC_BUCKETS": ["django-backend-dev-public"],
	"MINIO_URL_EXPIRY_HOURS": "1 day, 0:00:00", "MINIO_CONSISTENCY_CHECK_ON_START": false, "MINIO_POLICY_HOOKS": [["django-backend-dev-private", {"Version": "2012-10-17",
	"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::django-backend-dev-private/${aws:username}/*"}]}]],
	"MINIO_DEFAULT_BUCKET": "my-media-files-bucket", "MINIO_BUCKET_CHECK_ON_SAVE": false, "MINIO_MULTIPART_UPLOAD": false, "MINIO_MULTIPART_PART_SIZE": 10485760}},
	"somewhere": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": "/srv/media"}},
	"SECRET_KEY": "the first signing key", "SECRET_KEY_FALLBACKS": ["the former signing key, with a comma"]}`

func TestASettingsExportIsReadAsItIs(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"storage.yaml": djangoYAML, "storage.YML": djangoYAML, "storage.json": djangoJSON} {
		configs := fromFile(name, content, nil)
		if got := strings.Join(configs.Aliases(), " "); got != "default staticfiles" {
			t.Errorf("%s: the aliases are %q", name, got)
		}
		c, static := configs.Alias("default"), configs.Alias("staticfiles")
		wantText(t, name, c.Validate())
		wantText(t, name, static.Validate())
		wantWarning(t, name, c, "the storage somewhere is left out", "MINIO_MULTIPART_PART_SIZE has no effect")
		wantWarning(t, name, static, "the storage somewhere is left out")
		if c.Endpoint != "minio:9000" || c.ExternalEndpoint != "files.example.org" || !*c.ExternalUseHTTPS || c.UseHTTPS || c.Region != "" || c.SecretKey != "the secret" ||
			c.URLExpiry != 24*time.Hour || *c.CheckOnStart || c.DefaultBucket != "my-media-files-bucket" || c.PartSize != 0 {
			t.Errorf("%s: the storage default is %+v", name, c)
		}
		if !slices.Equal(c.PrivateBuckets, []string{"django-backend-dev-private", "my-media-files-bucket"}) || !slices.Equal(c.PublicBuckets, []string{"django-backend-dev-public"}) {
			t.Errorf("%s: the buckets are %q and %q", name, c.PrivateBuckets, c.PublicBuckets)
		}
		if len(c.PolicyHooks) != 1 || !strings.Contains(c.PolicyHooks[0].Document, `"Version":"2012-10-17"`) || !strings.Contains(c.PolicyHooks[0].Document, "${aws:username}") {
			t.Errorf("%s: the hooks are %+v", name, c.PolicyHooks)
		}
		if len(c.SigningKeys) != 2 || c.SigningKeys[1] != "the former signing key, with a comma" || len(static.SigningKeys) != 2 {
			t.Errorf("%s: there are %d and %d signing keys", name, len(c.SigningKeys), len(static.SigningKeys))
		}
		if static.StaticBucket != "my-static-files-bucket" || static.DefaultBucket != "my-static-files-bucket" || !*static.CheckOnStart || static.URLExpiry != 24*time.Hour {
			t.Errorf("%s: the storage staticfiles is %+v", name, static)
		}
		stores, err := configs.Open()
		if err != nil || !stores["staticfiles"].Bucket("my-static-files-bucket").Public() || stores["default"].Bucket("my-media-files-bucket").Public() {
			t.Errorf("%s: the stores: %v", name, err)
		}
		_, err = Open(configs.Alias("somewhere"))
		wantText(t, name, err, `"somewhere" is not of this library`)
	}
}

const flat = "MINIO_ENDPOINT: minio:9000\nMINIO_ACCESS_KEY: app\nMINIO_SECRET_KEY: the secret\n"

func TestShapesOfAFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, content, alias, want string
		right                      func(Config) bool
	}{
		{"settings alone are the storage default's", flat + "MINIO_DEFAULT_BUCKET: media", "default", "", func(c Config) bool { return c.DefaultBucket == "media" }},
		{"settings at the top hold for all storages", flat + "media: {OPTIONS: {MINIO_DEFAULT_BUCKET: media}}", "media", "", func(c Config) bool { return c.SecretKey == "the secret" && c.DefaultBucket == "media" }},
		{"a storage's own settings win", flat + "FILEFIELD_TIMEOUT: 1s\nmedia: {OPTIONS: {FILEFIELD_TIMEOUT: 2s}}", "media", "", func(c Config) bool { return c.Timeout == 2*time.Second }},
		{"a storage of another server has its own credentials", flat + "media: {OPTIONS: {MINIO_ENDPOINT: other}}", "media", "SecretKey is missing", nil},
		{"a storage without options", flat + "STORAGES: {media: {BACKEND: django_minio_backend.models.MinioBackend}}", "media", "", func(c Config) bool { return c.DefaultBucket == "auto-generated-bucket-media-files" }},
		{"a storage for static files without options", flat + "STORAGES: {x: {BACKEND: django_minio_backend.models.MinioBackendStatic}}", "x", "", func(c Config) bool {
			return c.StaticBucket == "auto-generated-bucket-static-files" && c.PublicBuckets[0] == c.StaticBucket
		}},
		{"the reference's default bucket on Amazon", strings.Replace(flat, "minio:9000", "s3.eu-west-1.amazonaws.com", 1) + "STORAGES: {media: {BACKEND: django_minio_backend.models.MinioBackend}}", "media", "stranger's bucket", nil},
		{"the reference's static bucket on Amazon", strings.Replace(flat, "minio:9000", "s3.amazonaws.com", 1) + "STORAGES: {x: {BACKEND: django_minio_backend.models.MinioBackendStatic}}", "x", "MINIO_STATIC_FILES_BUCKET is missing", nil},
		{"an app's own subclass of the reference's backend", "STORAGES: {default: {BACKEND: app.Storage, OPTIONS: {MINIO_ENDPOINT: a, MINIO_ACCESS_KEY: b, MINIO_SECRET_KEY: c}}}", "default", "", func(c Config) bool { return c.Endpoint == "a" && c.DefaultBucket == "" }},
		{"no storage of ours", "STORAGES: {default: {BACKEND: app.Storage}}", "default", "none of its storages", nil},
		{"a misspelt alias", flat + "media: {OPTIONS: {}}", "medai", `did you mean "media"`, nil},
		{"buckets beside storages", flat + "MINIO_DEFAULT_BUCKET: x\nmedia: {OPTIONS: {}}", "media", "buckets belong to one", nil},
		{"settings beside OPTIONS", "media: {BACKEND: x, MINIO_ENDPOINT: y}", "media", "settings stand under OPTIONS", nil},
		{"a storage that is no mapping", "STORAGES: {default: 5}", "default", "a storage must be a mapping", nil},
		{"a BACKEND that is no text", "default: {BACKEND: 5, OPTIONS: {MINIO_ENDPOINT: x}}", "default", "BACKEND must be a text", nil},
		{"storages that are none", "STORAGES: [default]", "default", "STORAGES must be a mapping", nil},
		{"nothing", "", "default", "the file is empty", nil},
		{"a comment", "# nothing yet\n", "default", "the file is empty", nil},
		{"a word", "hunter2", "default", "storage.yaml:1:1: the file must be a mapping", nil},
		{"two documents", flat + "---\n" + flat, "default", "one document", nil},
		{"the environment's own name", flat + "FILEFIELD_STORAGES: default", "default", "belongs into the environment", nil},
	} {
		config := fromFile("storage.yaml", c.content, nil).Alias(c.alias)
		err := config.Validate()
		if c.want != "" {
			wantText(t, c.name, err, c.want)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the error shows a value: %v", c.name, err)
			}
		} else if err != nil || !c.right(config) {
			t.Errorf("%s: it is %+v, %v", c.name, config, err)
		}
	}
}

func TestEveryFaultOfAFileIsReportedAtOnceWithItsLine(t *testing.T) {
	t.Parallel()
	const content = `MINIO_ENDPIONT: hunter2
MINIO_ACCESS_KEY: 12345
MINIO_SECRET_KEY: true
MINIO_USE_HTTPS: "yes"
MINIO_REGION: a
MINIO_REGION: hunter2
MINIO_PRIVATE_BUCKETS: hunter2, other
MINIO_PUBLIC_BUCKETS: [a, 5]
MINIO_URL_EXPIRY_HOURS: hunter2
FILEFIELD_ATTEMPTS: "3"
FILEFIELD_TIMEOUT: 5
FILEFIELD_MEMORY: 1.5
MINIO_EXTERNAL_ENDPOINT: ${hunter2}
MINIO_CA_FILE: "${hunter2"
MINIO_DEFAULT_BUCKET: {hunter2: hunter2}
MINIO_POLICY_HOOKS: hunter2
MINIO_HTTP_CLIENT: <urllib3 hunter2>
SECRET_KEY: hunter2
bucket_name: hunter2
Debug: hunter2
`
	err := fromFile("storage.yaml", content, nil).Alias("default").Validate()
	wantText(t, "validate", err,
		"storage.yaml:1:1: MINIO_ENDPIONT is not a setting: the nearest is MINIO_ENDPOINT",
		"storage.yaml:2:19: MINIO_ACCESS_KEY must be a text; put it in quotes",
		"storage.yaml:3:19: MINIO_SECRET_KEY must be a text",
		"storage.yaml:4:18: MINIO_USE_HTTPS must be a boolean, true or false, without quotes",
		"storage.yaml:6:1: MINIO_REGION stands here and in line 5 already",
		"storage.yaml:7:24: MINIO_PRIVATE_BUCKETS must be a list",
		"storage.yaml:8:23: MINIO_PUBLIC_BUCKETS must be a list of texts, which entry 2 is not",
		"storage.yaml:9:1: MINIO_URL_EXPIRY_HOURS is not a number of hours",
		"storage.yaml:10:21: FILEFIELD_ATTEMPTS must be a number, without quotes",
		"storage.yaml:11:20: FILEFIELD_TIMEOUT must be a text such as 5s",
		"storage.yaml:12:19: FILEFIELD_MEMORY must be a number of bytes",
		"storage.yaml:13:26: MINIO_EXTERNAL_ENDPOINT names a variable",
		"storage.yaml:14:16: MINIO_CA_FILE holds ${",
		"storage.yaml:15:23: MINIO_DEFAULT_BUCKET must be a text",
		"storage.yaml:16:21: MINIO_POLICY_HOOKS must be a list of pairs",
		"storage.yaml:17:1: MINIO_HTTP_CLIENT cannot be set here: an HTTP client is code",
		"SigningKeys[0] has 7 bytes",
		"storage.yaml:19:1: bucket_name cannot be set here: write MINIO_DEFAULT_BUCKET",
		"storage.yaml:20:1: Debug is not a setting",
		"Endpoint is missing",
	)
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows a value: %v", err)
	}
}

func TestFilesThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, content, want string }{
		{"broken YAML", "a.yaml", "MINIO_ENDPOINT: a\n  MINIO_SECRET_KEY: hunter2: x\n", "not YAML: line 2"},
		{"YAML with a tab", "a.yaml", "a:\n\tb: hunter2", "not YAML: line 2"},
		{"a secret that begins with a star", "a.yaml", "MINIO_SECRET_KEY: *hunter2", "must be in quotes"},
		{"a secret that begins with an ampersand", "a.yaml", "MINIO_SECRET_KEY: &hunter2", "anchors"},
		{"a secret that begins with an exclamation mark", "a.yaml", "MINIO_SECRET_KEY: !hunter2 x", "in quotes"},
		{"an anchor", "a.yaml", "a: &x {OPTIONS: {}}\nb: *x", "line 1: anchors, aliases"},
		{"a merge key", "a.yaml", "a: {OPTIONS: {<<: {MINIO_SECRET_KEY: hunter2}}}", "merge keys"},
		{"YAML too deep", "a.yaml", strings.Repeat("[", 500) + strings.Repeat("]", 500), "too deep"},
		{"broken JSON", "a.json", "{\n\"MINIO_SECRET_KEY\": \"hunter2\",\n}", "not JSON: it goes wrong in line 3"},
		{"JSON that ends early", "a.json", "{\n\"MINIO_SECRET_KEY\": \"hunter2\"", "not JSON: it goes wrong in line 2"},
		{"JSON with more behind it", "a.json", "{}\n{}", "not JSON"},
		{"JSON too deep", "a.json", strings.Repeat("[", 100_000), "not JSON"},
		{"YAML that is called JSON", "a.json", "MINIO_SECRET_KEY: hunter2", "not JSON: it goes wrong in line 1"},
		{"doubled names in JSON", "a.json", "{\"MINIO_SECRET_KEY\": \"hunter2\",\n\"MINIO_SECRET_KEY\": \"hunter2\"}", "a.json:2:1: MINIO_SECRET_KEY stands here and in line 1 already"},
		{"a doubled storage", "a.json", `{"STORAGES": {"a": {"OPTIONS": {}}, "a": {"OPTIONS": {}}}}`, "a stands here and in line 1 already"},
		{"a doubled name in a policy", "a.json", "{\"MINIO_POLICY_HOOKS\": [[\"b\", {\"x\": 1,\n\"x\": 2}]]}", "MINIO_POLICY_HOOKS holds a name twice, the second time in line 2"},
		{"another format", "a.toml", "MINIO_SECRET_KEY = \"hunter2\"", "must end in .yaml, .yml or .json"},
		{"no format", "a", "", "must end in"},
	} {
		err := fromFile(c.file, c.content, nil).Alias("default").Validate()
		wantText(t, c.name, err, c.want)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the secret: %v", c.name, err)
		}
	}
	_, err := ConfigsFromFile(filepath.Join(t.TempDir(), "missing.yaml")).Open()
	wantText(t, "a file that is missing", err, "missing.yaml", "no such file")
	_, err = Open(ConfigsFromFile(filepath.Join(t.TempDir(), "missing.yaml")).Alias("media"))
	wantText(t, "a storage of a file that is missing", err, "missing.yaml", `no storage "media"`)
}

func TestVariablesInAFile(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := variables{"SECRET": "the ${secret}", "ON": "true", "LIST": "aaa, bbb", "N": "5", "DIR": filepath.Dir(secret), "HOURS": "2"}
	for _, c := range []struct {
		name, line string
		right      func(Config) bool
	}{
		{"a variable", "MINIO_SECRET_KEY: ${SECRET}", func(c Config) bool { return c.SecretKey == "the ${secret}" }},
		{"a variable within a text", "MINIO_SECRET_KEY: a${N}b${N}", func(c Config) bool { return c.SecretKey == "a5b5" }},
		{"the characters themselves", "MINIO_SECRET_KEY: $${SECRET}", func(c Config) bool { return c.SecretKey == "${SECRET}" }},
		{"dollars without braces", "MINIO_SECRET_KEY: pa$$word$SECRET$", func(c Config) bool { return c.SecretKey == "pa$$word$SECRET$" }},
		{"a boolean", "MINIO_SECRET_KEY: x\nMINIO_USE_HTTPS: ${ON}", func(c Config) bool { return c.UseHTTPS }},
		{"a list of them", "MINIO_SECRET_KEY: x\nMINIO_PRIVATE_BUCKETS: ${LIST}", func(c Config) bool { return slices.Equal(c.PrivateBuckets, []string{"aaa", "bbb"}) }},
		{"one in a list", "MINIO_SECRET_KEY: x\nMINIO_PRIVATE_BUCKETS: ['bucket-${N}']", func(c Config) bool { return slices.Equal(c.PrivateBuckets, []string{"bucket-5"}) }},
		{"a number", "MINIO_SECRET_KEY: x\nFILEFIELD_ATTEMPTS: ${N}", func(c Config) bool { return c.Attempts == 5 }},
		{"hours", "MINIO_SECRET_KEY: x\nMINIO_URL_EXPIRY_HOURS: ${HOURS}", func(c Config) bool { return c.URLExpiry == 2*time.Hour }},
		{"a secret's own file", "MINIO_SECRET_KEY_FILE: ${DIR}/secret", func(c Config) bool { return c.SecretKey == "from a file" }},
	} {
		config := fromFile("storage.yaml", "MINIO_ENDPOINT: a\nMINIO_ACCESS_KEY: b\n"+c.line, env).Alias("default")
		if err := config.Validate(); err != nil || !c.right(config) {
			t.Errorf("%s: it is %+v with the secret %q, %v", c.name, config, string(config.SecretKey), err)
		}
	}
	for line, want := range map[string]string{
		"MINIO_SECRET_KEY_FILE: /no/such/hunter":                           "MINIO_SECRET_KEY_FILE: open /no/such/hunter",
		"MINIO_SECRET_KEY_FILE: 5":                                         "storage.yaml:1:1: MINIO_SECRET_KEY_FILE must be a text",
		"MINIO_SECRET_KEY: x\nMINIO_SECRET_KEY_FILE: " + secret:            "storage.yaml:2:1: MINIO_SECRET_KEY_FILE: MINIO_SECRET_KEY and MINIO_SECRET_KEY_FILE are both set",
		"MINIO_SECRET_KEY_FILE: " + secret + "\nMINIO_SECRET_KEY: hunter2": "are both set",
		"MINIO_REGION_FILE: " + secret:                                     "MINIO_REGION_FILE is not a setting",
		"MINIO_SECRET_KEY: \"hunter2\\0x\"":                                "NUL",
		"MINIO_USE_HTTPS: ${SECRET}":                                       "storage.yaml:1:1: MINIO_USE_HTTPS is not a bool",
	} {
		err := fromFile("storage.yaml", line, env).Alias("default").Validate()
		wantText(t, line, err, want)
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "the ${secret}")) {
			t.Errorf("%q: the error shows a value: %v", line, err)
		}
	}
}

func TestTheEnvironmentWinsOverTheFile(t *testing.T) {
	t.Parallel()
	const content = flat + `
FILEFIELD_TIMEOUT: 1s
FILEFIELD_MEMORY_WAIT: 1s
STORAGES:
  default: {OPTIONS: {MINIO_DEFAULT_BUCKET: documents, FILEFIELD_ATTEMPTS: 1}}
  media: {OPTIONS: {MINIO_DEFAULT_BUCKET: media, FILEFIELD_ATTEMPTS: 2}}
`
	configs := fromFile("storage.yaml", content, variables{
		"MINIO_SECRET_KEY": "of the environment", "FILEFIELD_TIMEOUT": "3s", "FILEFIELD_ATTEMPTS": "4", "MINIO_DEFAULT_BUCKET": "other",
		"MEDIA_FILEFIELD_MEMORY_WAIT": "5s", "FILEFIELD_STORAGES": "extra", "EXTRA_MINIO_DEFAULT_BUCKET": "extra",
	})
	if got := strings.Join(configs.Aliases(), " "); got != "default extra media" {
		t.Errorf("the aliases are %q", got)
	}
	for _, c := range []struct {
		alias, bucket string
		attempts      int
		wait          time.Duration
	}{
		{"default", "other", 4, time.Second}, // its names have no prefix, so the environment wins over its part of the file
		{"media", "media", 2, 5 * time.Second},
		{"extra", "extra", 4, time.Second},
	} {
		got := configs.Alias(c.alias)
		if err := got.Validate(); err != nil || got.SecretKey != "of the environment" || got.Timeout != 3*time.Second || got.DefaultBucket != c.bucket || got.Attempts != c.attempts || got.MemoryWait != c.wait {
			t.Errorf("%s is %+v, %v", c.alias, got, err)
		}
	}
	other := fromFile("storage.yaml", flat+"MINIO_DEFAULT_BUCKET: x", variables{"FILEFIELD_STORAGES": "media"}).Alias("media")
	if other.SecretKey != "the secret" || other.DefaultBucket != "" {
		t.Errorf("a storage of the environment beside a flat file: %+v", other)
	}
	flatly := fromFile("storage.yaml", flat, variables{"MINIO_SECRET_KEY": "of the environment"}).Alias("default")
	if flatly.SecretKey != "of the environment" || flatly.AccessKey != "app" {
		t.Errorf("a flat file: %+v", flatly)
	}
}

func FuzzSettingsFile(f *testing.F) {
	f.Add([]byte(djangoYAML), true)
	f.Add([]byte(djangoJSON), false)
	f.Add([]byte("MINIO_SECRET_KEY: *hunter2"), true)
	f.Add([]byte("a: {OPTIONS: {MINIO_SECRET_KEY: hunter2}}\nb: !x ${A}\n? [x]\n: y"), true)
	f.Add([]byte("{\"MINIO_POLICY_HOOKS\":[[\"b\",{\"x\":1e999,\"y\":\"\\ud83d\\ude00\"}]]}"), false)
	f.Add([]byte("%YAML 1.2\n---\nMINIO_ENDPOINT: !!binary aGk=\n..."), true)
	f.Fuzz(func(t *testing.T, content []byte, isYAML bool) {
		name := "a.json"
		if isYAML {
			name = "a.yaml"
		}
		// What stands after the secret's name must not show, however the rest looks.
		const secret = "q7Vx2hunter2"
		for _, c := range [][]byte{content, append([]byte("MINIO_SECRET_KEY: "+secret+"\n"), content...), append([]byte(`{"MINIO_SECRET_KEY": "`+secret+`",`), content...)} {
			configs := fromFile(name, string(c), variables{"A": "b"})
			stores, err := configs.Open()
			if (err == nil) != (stores != nil) || err != nil && !errors.Is(err, ErrConfig) {
				t.Errorf("stores %v, error %v", stores, err)
			}
			for _, alias := range configs.Aliases() {
				if text := fmt.Sprintf("%v %+v %v", err, configs.Alias(alias), configs.Alias(alias).Warnings()); strings.Contains(text, secret) {
					t.Errorf("the secret shows: %s", text)
				}
			}
		}
	})
}
