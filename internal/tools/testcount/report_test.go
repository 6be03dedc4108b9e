package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCounts(t *testing.T) {
	t.Parallel()
	const p = `"Package":"example.org/p"`
	const passed = `{"Action":"pass",` + p + `,"Test":"TestA"}
		{"Action":"pass",` + p + `}`
	tests := []struct {
		name, events string
		want         count
	}{
		{"nothing is no test", ``, count{}},
		{"a passing test is one", passed, count{passed: 1}},
		{"a package without test files is no test", `{"Action":"skip",` + p + `}`, count{}},
		{"a test with subtests counts as its subtests", `
			{"Action":"run",` + p + `,"Test":"TestA"}
			{"Action":"pass",` + p + `,"Test":"TestA/one"}
			{"Action":"skip",` + p + `,"Test":"TestA/two"}
			{"Action":"pass",` + p + `,"Test":"TestA"}
			{"Action":"pass",` + p + `}`, count{passed: 1, skipped: 1}},
		{"a failed subtest is one failure", `
			{"Action":"run",` + p + `,"Test":"TestA"}
			{"Action":"run",` + p + `,"Test":"TestA/one"}
			{"Action":"fail",` + p + `,"Test":"TestA/one/and/the other"}
			{"Action":"fail",` + p + `,"Test":"TestA/one"}
			{"Action":"fail",` + p + `,"Test":"TestA"}
			{"Action":"fail",` + p + `}`, count{failed: 1}},
		{"a test that fails beside its passing subtests is a failure", `
			{"Action":"run",` + p + `,"Test":"TestA"}
			{"Action":"pass",` + p + `,"Test":"TestA/one"}
			{"Action":"fail",` + p + `,"Test":"TestA"}
			{"Action":"fail",` + p + `}`, count{passed: 1, failed: 1}},
		{"a test that never ends is a failure", `
			{"Action":"run",` + p + `,"Test":"TestA"}
			{"Action":"fail",` + p + `}`, count{failed: 1}},
		{"a package that fails after its tests passed is a failure", `
			{"Action":"pass",` + p + `,"Test":"TestA"}
			{"Action":"fail",` + p + `}`, count{passed: 1, failed: 1}},
		{"a package that does not build is a failure", `
			{"Action":"build-output","ImportPath":"example.org/p","Output":"p.go:1:1: no\n"}
			{"Action":"build-fail","ImportPath":"example.org/p"}
			{"Action":"fail",` + p + `}`, count{failed: 1}},
		{"a run that is cut off is a failure", `{"Action":"start",` + p + `}`, count{failed: 1}},
		{"lines that are no events are no tests", "go: downloading\n" + passed, count{passed: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newReport(io.Discard)
			if err := r.read(strings.NewReader(oneLineEach(tt.events))); err != nil {
				t.Fatalf("read: %v", err)
			}
			if r.total != tt.want {
				t.Errorf("got %v, want %v", r.total, tt.want)
			}
		})
	}
}

func oneLineEach(events string) string {
	var b strings.Builder
	for line := range strings.Lines(events) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func TestZeroTestsAreAFailure(t *testing.T) {
	t.Parallel()
	if got := newReport(io.Discard).verdict(); got != "no test ran" {
		t.Errorf("verdict of an empty run: got %q, want %q", got, "no test ran")
	}
}

func TestSuitesAreParsed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {""}, {"embedded"}, {"embedded="}, {"=./..."}, {"embedded=./...", "minio= "}} {
		if got, err := parseSuites(args); err == nil {
			t.Errorf("parseSuites(%q): got %v, want an error", args, got)
		}
	}
	got, err := parseSuites([]string{"minio=./...  ./examples/..."})
	if err != nil || len(got) != 1 || got[0].engine != "minio" || len(got[0].packages) != 2 {
		t.Errorf("got %v, %v, want one suite minio of two patterns", got, err)
	}
}

// What go test really prints, in packages that pass, fail, do not build, and die.
func TestRunsOfGoTest(t *testing.T) {
	const engine = `package p
		import ("os"; "testing")
		func TestEngine(t *testing.T) {
			if got := os.Getenv("FILEFIELD_TEST_ENGINE"); got != "minio" { t.Errorf("engine is %q", got) }
		}`
	tests := []struct {
		name, source  string
		want          []string // in this order
		wantErr, last string
	}{
		{
			"passing", engine,
			[]string{"ok    example.org/p  1 passed, 0 failed"},
			"", "minio: 1 passed, 0 failed",
		},
		{
			"failing",
			`package p
			import "testing"
			func TestA(t *testing.T) { t.Run("one", func(t *testing.T) { t.Error("the reason") }) }
			func TestB(t *testing.T) { t.Log("beside the point") }`,
			[]string{"the reason", "FAIL  example.org/p  1 passed, 1 failed"},
			"tests failed", "minio: 1 passed, 1 failed",
		},
		{
			"skipping",
			`package p
			import "testing"
			func TestA(t *testing.T) { t.Skip("the reason") }
			func TestB(t *testing.T) {}`,
			[]string{"the reason", "ok    example.org/p  1 passed, 0 failed, 1 skipped"},
			"", "minio: 1 passed, 0 failed, 1 skipped",
		},
		{
			"not building",
			`package p
			import "testing"
			func TestA(t *testing.T) { undeclared() }`,
			[]string{"undefined: undeclared", "FAIL  example.org/p  0 passed, 1 failed"},
			"tests failed", "minio: 0 passed, 1 failed",
		},
		{
			"dying",
			`package p
			import ("os"; "testing")
			func TestA(t *testing.T) {}
			func TestB(t *testing.T) { println("the last words"); os.Exit(3) }`,
			[]string{"the last words", "FAIL  example.org/p  1 passed, 1 failed"},
			"tests failed", "minio: 1 passed, 1 failed",
		},
		{
			"without tests", `package p`,
			nil, "no test ran", "minio: 0 passed, 0 failed",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv("GOWORK", "off")
			write(t, "go.mod", "module example.org/p\n\ngo 1.26.0\n")
			write(t, "p_test.go", tt.source)
			var out strings.Builder
			err := run(t.Context(), []string{"-args", "-count=1 -vet=off", "minio=./..."}, &out, &out)
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error: got %v, want %q", err, tt.wantErr)
			}
			rest := out.String()
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("got\n%s\nwant %q in it, in this order: %q", out.String(), want, tt.want)
				}
				rest = after
			}
			if !strings.HasSuffix(out.String(), "\n"+tt.last+"\n") {
				t.Errorf("got\n%s\nwant the last line %q", out.String(), tt.last)
			}
			for _, noise := range []string{"beside the point", "=== RUN"} {
				if strings.Contains(out.String(), noise) {
					t.Errorf("got\n%s\nwant no %q in it", out.String(), noise)
				}
			}
		})
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Clean(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
