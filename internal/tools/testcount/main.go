// Command testcount runs the tests once for each S3 engine and counts them.
//
//	testcount [-args "go test flags"] engine=packages …
//
//	testcount -args "-race" embedded=work "minio=./... ./examples/..."
//
// It prints a line per package, what failing tests printed, and at the end, for
// each engine, a line such as
//
//	embedded: 512 passed, 0 failed
//	minio: 498 passed, 0 failed, 1 skipped
//
// A test with subtests counts as its subtests. A package that does not build,
// dies, or fails after its tests passed is one failure. The exit code is 1 when
// anything failed or an engine ran no test at all, since that is how a broken
// set-up looks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

// engineVar is what the package s3test reads.
const engineVar = "FILEFIELD_TEST_ENGINE"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "testcount:", err)
		os.Exit(1)
	}
}

// suite is what to test on one engine.
type suite struct {
	engine   string
	packages []string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("testcount", flag.ContinueOnError)
	flags.SetOutput(stderr)
	testArgs := flags.String("args", "", "`flags` for go test, separated by spaces")
	if err := flags.Parse(args); err != nil {
		return err
	}
	suites, err := parseSuites(flags.Args())
	if err != nil {
		return err
	}
	var failed []string
	summary := new(strings.Builder)
	for _, s := range suites {
		fmt.Fprintf(stdout, "--- %s: %s\n", s.engine, strings.Join(s.packages, " "))
		rep, err := s.run(ctx, strings.Fields(*testArgs), stdout, stderr)
		if err != nil {
			return err
		}
		fmt.Fprintf(summary, "%s: %s\n", s.engine, rep.total)
		if why := rep.verdict(); why != "" {
			failed = append(failed, s.engine+": "+why)
		}
	}
	fmt.Fprint(stdout, "\n", summary)
	if failed != nil {
		return errors.New(strings.Join(failed, "; "))
	}
	return nil
}

func parseSuites(args []string) ([]suite, error) {
	if len(args) == 0 {
		return nil, errors.New("nothing to test: give engine=packages, as in embedded=work")
	}
	var suites []suite
	for _, arg := range args {
		engine, packages, _ := strings.Cut(arg, "=")
		if engine == "" || strings.TrimSpace(packages) == "" {
			return nil, fmt.Errorf("%q does not read engine=packages", arg)
		}
		suites = append(suites, suite{engine, strings.Fields(packages)})
	}
	return suites, nil
}

// run returns an error only where go test cannot be run; what it found out is
// in the report.
func (s suite) run(ctx context.Context, testArgs []string, stdout, stderr io.Writer) (*report, error) {
	args := append([]string{"test", "-json"}, testArgs...)
	cmd := exec.CommandContext(ctx, "go", append(args, s.packages...)...)
	cmd.Env = append(os.Environ(), engineVar+"="+s.engine)
	cmd.Stderr = stderr
	// Let go test and its test binaries stop their servers.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	events, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run go test: %w", err)
	}
	rep := newReport(stdout)
	readErr := rep.read(events)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("run go test: %w", err)
	}
	rep.exit = err
	return rep, readErr
}
