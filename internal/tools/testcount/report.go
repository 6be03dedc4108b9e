package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// event is a line of `go test -json`; see `go doc test2json`. ImportPath comes
// with the actions of the build, Package with those of the tests.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

// count is how many tests ended how.
type count struct{ passed, failed, skipped int }

func (c count) String() string {
	s := fmt.Sprintf("%d passed, %d failed", c.passed, c.failed)
	if c.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.skipped)
	}
	return s
}

// report follows one run of go test.
type report struct {
	w     io.Writer
	open  map[string]*packageRun // by import path
	total count
	exit  error // of go test, nil where it succeeded
}

func newReport(w io.Writer) *report {
	return &report{w: w, open: map[string]*packageRun{}}
}

// read follows the events to their end.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the output of go test: %w", err)
		}
	}
	var cut []string // packages go test did not get to the end of
	for path := range r.open {
		cut = append(cut, path)
	}
	slices.Sort(cut)
	for _, path := range cut {
		r.endPackage(event{Action: "fail", Package: path})
	}
	return nil
}

// line takes a line, which is an event or something go test says for people.
func (r *report) line(line []byte) {
	var e event
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil {
		fmt.Fprintf(r.w, "%s\n", bytes.TrimRight(line, "\n"))
		return
	}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.w, e.Output)
	case e.Package == "":
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		r.endPackage(e)
	default:
		r.packageRun(e.Package).add(e)
	}
}

func (r *report) packageRun(path string) *packageRun {
	p := r.open[path]
	if p == nil {
		p = &packageRun{tests: map[string]*testRun{}}
		r.open[path] = p
	}
	return p
}

func (r *report) endPackage(e event) {
	p := r.packageRun(e.Package)
	delete(r.open, e.Package)
	c := p.count()
	if e.Action == "fail" && c.failed == 0 {
		c.failed = 1 // the package itself
	}
	r.total.passed += c.passed
	r.total.failed += c.failed
	r.total.skipped += c.skipped
	if e.Action == "skip" && c == (count{}) {
		return // no test files
	}
	verdict := "ok  "
	if c.failed > 0 {
		verdict = "FAIL"
		p.printFailures(r.w)
	}
	p.printSkips(r.w)
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(10 * time.Millisecond).String()
	if p.cached {
		took = "cached"
	}
	fmt.Fprintf(r.w, "%s  %s  %s  (%s)\n", verdict, e.Package, c, took)
}

// verdict says why the run failed, or nothing where it did not.
func (r *report) verdict() string {
	switch {
	case r.total.failed > 0:
		return "tests failed"
	case r.exit != nil:
		return "go test failed: " + r.exit.Error()
	case r.total.passed == 0:
		return "no test ran"
	}
	return ""
}

// packageRun is a package whose tests run.
type packageRun struct {
	tests  map[string]*testRun
	order  []string        // of the tests' starts
	output strings.Builder // of no test in particular
	cached bool
}

// framing matches what go test prints when a test starts, waits and goes on.
var framing = regexp.MustCompile(`^=== (RUN|PAUSE|CONT|NAME) `)

// testRun is a test, subtest, example or seed of a fuzz target.
type testRun struct {
	action string // pass, fail, skip; empty while it runs
	output strings.Builder
}

func (p *packageRun) add(e event) {
	if e.Test == "" {
		p.output.WriteString(e.Output)
		p.cached = p.cached || strings.HasSuffix(e.Output, "(cached)\n")
		return
	}
	t := p.tests[e.Test]
	if t == nil {
		t = new(testRun)
		p.tests[e.Test] = t
		p.order = append(p.order, e.Test)
	}
	switch e.Action {
	case "output":
		if !framing.MatchString(e.Output) {
			t.output.WriteString(e.Output)
		}
	case "pass", "fail", "skip":
		t.action = e.Action
	}
}

// count counts the tests that have no subtests, and those that failed though
// their subtests did not. A test that never ended has failed.
func (p *packageRun) count() count {
	var c count
	parents := map[string]bool{}                    // tests with subtests
	failedBelow := map[string]bool{}                // tests with failed subtests
	for _, name := range slices.Backward(p.order) { // subtests start after their parents
		t := p.tests[name]
		failed := t.action == "fail" || t.action == ""
		switch {
		case failed && !failedBelow[name]:
			c.failed++
		case failed || parents[name]:
		case t.action == "skip":
			c.skipped++
		default:
			c.passed++
		}
		for _, parent := range ancestors(name) {
			parents[parent] = true
			failedBelow[parent] = failedBelow[parent] || failed
		}
	}
	return c
}

// ancestors returns "a" and "a/b" for "a/b/c". Names may hold slashes of their
// own, so not all of these need be tests.
func ancestors(name string) []string {
	var names []string
	for i, r := range name {
		if r == '/' {
			names = append(names, name[:i])
		}
	}
	return names
}

// printFailures prints what tests that did not pass printed, and what belongs to
// none. The race detector writes past the testing package, so that its reports
// can land in the output of a test that passed meanwhile.
func (p *packageRun) printFailures(w io.Writer) {
	for _, name := range p.order {
		t := p.tests[name]
		out := t.output.String()
		if t.action == "fail" || t.action == "" || strings.Contains(out, "DATA RACE") {
			fmt.Fprint(w, out)
		}
		if t.action == "" {
			fmt.Fprintf(w, "--- %s did not end\n", name)
		}
	}
	fmt.Fprint(w, p.output.String())
}

func (p *packageRun) printSkips(w io.Writer) {
	for _, name := range p.order {
		if t := p.tests[name]; t.action == "skip" {
			fmt.Fprint(w, t.output.String())
		}
	}
}
