package main

import (
	"strings"
	"testing"
)

func TestInitMakesTheBucketsAndSaysSo(t *testing.T) {
	t.Parallel()
	s := newShell(t)

	plan := s.run("init", "--plan").wants(3).result()
	if plan["storage"] != "default" || plan["changes"] != true || len(plan["differences"].([]any)) < 2 {
		t.Errorf("the plan is %v, want changes for both buckets", plan)
	}
	s.run("check").wants(1).says("bucket_missing")

	done := s.run("init").wants(0).result()
	if done["ok"] != true || len(done["buckets"].([]any)) != 2 || len(done["done"].([]any)) < 2 {
		t.Errorf("init reports %v, want both buckets done", done)
	}
	again := s.run("init").wants(0).result()
	if len(again["done"].([]any)) != 0 {
		t.Errorf("a second init did %v, want nothing", again["done"])
	}
	plan = s.run("init", "--plan").wants(0).result()
	if plan["changes"] != false || len(plan["differences"].([]any)) != 0 {
		t.Errorf("the plan afterwards is %v, want no changes", plan)
	}
}

func TestInitInATerminal(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.show(nil, "init", "--plan").wants(3).says("Comparing 2 buckets of default", "change", s.public())
	s.show(nil, "init").wants(0).says("Making 2 buckets of default", "done", "\x1b[32mok\x1b[0m", s.private(), "private", s.public(), "public")
	s.show(nil, "init", "--plan").wants(0).says("2 buckets as declared")
	s.show(nil, "init", "--plan", "--json").wants(0).says(`"changes":false`)
	s.env["NO_COLOR"] = "1"
	s.show(nil, "check").wants(0).says("Checking 2 buckets", "ok").hides("\x1b[32m")
}

func TestTheReferencesNamesAreAccepted(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run("is_minio_available").wants(1).says("bucket_missing")
	if silent := s.run("initialize_buckets", "--silenced").wants(0); silent.out+silent.errs != "" {
		t.Errorf("--silenced prints %q%q", silent.out, silent.errs)
	}
	s.run("is_minio_available").wants(0)
	s.show(nil, "initialize_buckets", "--silenced").wants(0).hides(s.private())
	s.env["MINIO_SECRET_KEY"] = "not the secret at all"
	s.run("initialize_buckets", "--silenced").failsWith(1, "storage_credentials")
}

func TestCheckSaysWhyNot(t *testing.T) {
	t.Parallel()
	s := ready(t)
	health := s.run("check").wants(0).result()
	if health["ok"] != true || health["storage"] != "default" || len(health["buckets"].([]any)) != 2 {
		t.Errorf("check reports %v, want two healthy buckets", health)
	}
	s.show(nil, "check").wants(0).says("\x1b[32mok\x1b[0m", s.private(), "private")

	s.env["MINIO_SECRET_KEY"] = "not the secret at all"
	wrong := s.run("check").failsWith(1, "failed").result()
	if wrong["ok"] != false || wrong["buckets"].([]any)[0].(object)["reason"] != "credentials" {
		t.Errorf("check reports %v, want reason credentials", wrong)
	}
	s.show(nil, "check").wants(1).says("\x1b[31mfailed\x1b[0m", "credentials")
}

func TestConfigurationFaultsAreAllTold(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.env["MINIO_USE_HTTPS"] = "perhaps"
	delete(s.env, "MINIO_ACCESS_KEY")
	s.env["MINIO_URL_EXPIRY_HOURS"] = "9000"
	s.run("check").failsWith(2, "configuration").says("MINIO_USE_HTTPS", "MINIO_ACCESS_KEY", "MINIO_URL_EXPIRY_HOURS")
	s.show(nil, "ls").wants(2).says("filefield ls: ", "MINIO_USE_HTTPS", "MINIO_ACCESS_KEY", "MINIO_URL_EXPIRY_HOURS")
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	t.Parallel()
	s := ready(t)
	endpoint, secret := s.env["MINIO_ENDPOINT"], s.write("secret", s.env["MINIO_SECRET_KEY"]+"\n")
	s.env["MINIO_ENDPOINT"], s.env["MINIO_SECRET_KEY"], s.env["MINIO_ACCESS_KEY"] = "127.0.0.1:1", "another", "nobody"
	s.run("check").wants(1)
	s.run("check", "--endpoint", endpoint, "--access-key", s.server.AccessKey, "--secret-key-file", secret).wants(0)
	s.run("ls", "--endpoint", endpoint, "--secret-key-file", secret, "--public-bucket", "one,two", "--private-bucket", "three").
		wants(0).says(`"one"`, `"two"`, `"three"`).hides(s.public())
	s.run("check", "--secret-key-file", s.write("long", strings.Repeat("x", 5000))).failsWith(2, "configuration").says("one line")
	s.run("check", "--secret-key-file", "absent").failsWith(2, "configuration")
}

func TestWrongCallsEndWith2(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	cases := []struct {
		name string
		args []string
		says string
	}{
		{"an unknown command", []string{"chekc"}, "perhaps check"},
		{"an unknown flag", []string{"ls", "--frobnicate"}, "--frobnicate"},
		{"too many arguments", []string{"check", "more"}, "check --help"},
		{"too few arguments", []string{"stat"}, "stat --help"},
		{"an unknown storage", []string{"check", "--storage", "other"}, "it is one of default"},
		{"an address without a bucket", []string{"stat", "/key"}, "BUCKET/KEY"},
		{"a bucket where an object is needed", []string{"stat", "bucket"}, "names no object"},
		{"a key that leaves its folder", []string{"stat", "bucket/a/../b"}, "path traversal"},
		{"a range that is none", []string{"get", "--range", "9-1", "bucket/key"}, "before it starts"},
		{"an expiry that signatures do not allow", []string{"url", "--expiry", "169h", "bucket/key"}, "168h"},
		{"standard input without a key", []string{"put", "-", "bucket/"}, "has no name"},
		{"two files for one key", []string{"put", "a", "b", "bucket/key"}, "cannot have one key"},
		{"metadata without a value", []string{"put", "--metadata", "x", "a", "bucket/key"}, "NAME=VALUE"},
		{"rm with nobody to ask", []string{"rm", "-r", "bucket"}, "whole bucket"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s.of(t).run(c.args...).wants(2).says(c.says)
		})
	}
}

func TestTheConfigurationMayBeAFileOfSeveralStorages(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	media := s.public() + "-media"
	s.buckets = append(s.buckets, media)
	for _, name := range []string{"MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_USE_HTTPS", "MINIO_REGION", "MINIO_SECRET_KEY"} {
		s.env["SHOP_"+strings.TrimPrefix(name, "MINIO_")] = s.env[name]
		delete(s.env, name)
	}
	s.write("storage.yaml", `
MINIO_ENDPOINT: ${SHOP_ENDPOINT}
MINIO_USE_HTTPS: false
MINIO_ACCESS_KEY: ${SHOP_ACCESS_KEY}
MINIO_SECRET_KEY: ${SHOP_SECRET_KEY}
MINIO_REGION: ${SHOP_REGION}
MINIO_FRUIT: bananas
STORAGES:
  archive: {OPTIONS: {MINIO_PRIVATE_BUCKETS: [`+s.private()+`]}}
  default: {OPTIONS: {MINIO_PUBLIC_BUCKETS: [`+media+`]}}
`)
	delete(s.env, "MINIO_PRIVATE_BUCKETS")
	delete(s.env, "MINIO_PUBLIC_BUCKETS")

	s.run("check", "--config", "absent.yaml").failsWith(2, "configuration")
	s.run("check", "--config", "storage.yaml").failsWith(2, "configuration").says("storage.yaml:7:1: MINIO_FRUIT is not").hides("bananas")
	s.write("storage.yaml", strings.ReplaceAll(s.read("storage.yaml"), "MINIO_FRUIT: bananas\n", ""))
	both := s.run("init", "--config", "storage.yaml").wants(0).results()
	if len(both) != 2 || both[0]["storage"] != "default" || both[1]["storage"] != "archive" {
		t.Errorf("init reports %v, want default first, then archive", both)
	}
	s.env["FILEFIELD_CONFIG"] = "storage.yaml"
	s.run("ls", "--storage", "archive").wants(0).says(s.private()).hides(media)
	s.run("check", "--storage", "archiv").failsWith(2, "configuration").says("it is one of default, archive")
	s.run("check", "--storage", "archive", "--endpoint", "127.0.0.1:1").wants(1)
	s.run("check", "--storage", "default", "--endpoint", s.server.Endpoint).wants(0)
	s.env["MINIO_ENDPIONT"] = "typo"
	s.run("ls").failsWith(2, "configuration").says("MINIO_ENDPOINT")
}
