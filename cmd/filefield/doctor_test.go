package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/filefield/filefield/internal/s3test"
)

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	ill := s.run("doctor").wants(1).result()
	if ill["ok"] != false || ill["storage"] != "default" {
		t.Errorf("doctor reports %v, want buckets missing", ill)
	}
	s.show(nil, "doctor").wants(1).says("Examining 2 buckets", "\x1b[31mfailed \x1b[0m", "→")

	s.run("init").wants(0)
	well := s.run("doctor").wants(0).result()
	if well["ok"] != true || len(well["findings"].([]any)) < 10 {
		t.Errorf("doctor reports %v, want all well", well)
	}
	s.run("doctor", "--read-only", "--scope", "setup", "--within", "20s").wants(0)
	s.show(nil, "doctor").wants(0).says("\x1b[32mok     \x1b[0m", "clock", s.public())
	if objects, _ := s3test.Leftovers(t, s.server, s.private()); len(objects) > 0 {
		t.Errorf("doctor left %q", objects)
	}

	s.env["MINIO_SECRET_KEY"] = "not the secret at all"
	s.run("doctor").failsWith(1, "failed").says("credentials")
}

func TestPolicyIsADocument(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	var running, setup struct {
		Version   string
		Statement []struct{ Action, Resource []string }
	}
	printed := s.run("policy").wants(0)
	if err := json.Unmarshal([]byte(printed.out), &running); err != nil {
		t.Fatalf("policy prints %s: %v", printed.out, err)
	}
	if err := json.Unmarshal([]byte(s.run("policy", "--scope", "setup").wants(0).out), &setup); err != nil {
		t.Fatal(err)
	}
	if running.Version != "2012-10-17" || !strings.Contains(printed.out, "s3:PutObject") || strings.Contains(printed.out, "s3:CreateBucket") {
		t.Errorf("policy prints %s, want what a running app needs", printed.out)
	}
	if len(setup.Statement) == 0 || !strings.Contains(s.run("policy", "--scope", "setup").out, "s3:CreateBucket") {
		t.Errorf("with --scope setup it prints %+v, want s3:CreateBucket too", setup)
	}
	s.show(nil, "policy").wants(0).says(printed.out)
	s.run("policy", "--scope", "all").wants(2).says("run, check or setup")
}
