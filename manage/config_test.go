package manage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

func testStore(t *testing.T) *core.Store {
	t.Helper()
	s, err := core.Open(core.Config{Endpoint: "127.0.0.1:1", AccessKey: "a", SecretKey: "b", PrivateBuckets: []string{"documents"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// execute runs a command in this process and returns what it printed.
func execute(t *testing.T, config Config, args ...string) (out, errs string, err error) {
	t.Helper()
	var o, e strings.Builder
	cmd := Command(config)
	cmd.SetArgs(args)
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	cmd.SilenceErrors = true
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func TestFaultsOfTheConfigAreReportedByEveryCommand(t *testing.T) {
	t.Parallel()
	store := testStore(t)
	cases := []struct {
		name   string
		config Config
		says   []string
	}{
		{"no storage", Config{}, []string{"there is no storage"}},
		{"a storage without a store", Config{Storages: []Storage{{Name: "a"}}}, []string{`"a" has no Store`}},
		{"two of one name, and one without a store", Config{Storages: []Storage{{Store: store}, {Store: store}, {Name: "a"}}}, []string{`two storages are named "default"`, `"a" has no Store`}},
		{"what Load returns", Config{Load: func(context.Context, string) ([]Storage, error) {
			return nil, &core.Error{Kind: core.ErrConfig, Detail: "out of paper"}
		}}, []string{"out of paper"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, args := range [][]string{{"check"}, {"ls"}, {"policy"}, {"url", "documents/a"}, {"sweep"}, {"collectstatic"}} {
				_, _, err := execute(t, c.config, args...)
				if ExitCode(err) != ExitUsage {
					t.Errorf("%v ends with %d, %v, want %d", args, ExitCode(err), err, ExitUsage)
				}
				for _, text := range c.says {
					if !strings.Contains(fmt.Sprint(err), text) {
						t.Errorf("%v says %v, want %q in it", args, err, text)
					}
				}
			}
		})
	}
}

func TestLoadIsCalledOnceAndNoticesAreToldOnce(t *testing.T) {
	t.Parallel()
	calls, named := 0, ""
	store := testStore(t)
	config := Config{
		Load: func(_ context.Context, storage string) ([]Storage, error) {
			calls++
			named = storage
			return []Storage{{Name: "main", Store: store, Notices: []string{"FRUIT has no effect"}}}, nil
		},
		Commands: []Extra{{Command: &cobra.Command{Use: "plain", RunE: func(*cobra.Command, []string) error { return io.ErrUnexpectedEOF }}}},
	}
	if _, errs, err := execute(t, config, "url", "--storage", "main", "documents/a"); err != nil || calls != 1 || named != "main" || strings.Count(errs, "FRUIT") != 1 {
		t.Errorf("Load was called %d times, with %q; it says %q, %v", calls, named, errs, err)
	}
	if _, errs, err := execute(t, config, "ls", "--quiet"); err != nil || errs != "" {
		t.Errorf("with --quiet it says %q, %v", errs, err)
	}
	if _, _, err := execute(t, config, "plain"); !errors.Is(err, io.ErrUnexpectedEOF) || calls != 2 {
		t.Errorf("an app's own command returns %v, after %d loads", err, calls)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	missing := &core.Error{Kind: core.ErrNotFound}
	cases := []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"a failure", io.ErrUnexpectedEOF, 1},
		{"an outage", &core.Error{Kind: core.ErrUnavailable}, 1},
		{"a wrong call", fmt.Errorf("wrapped: %w", &misuse{err: io.EOF}), 2},
		{"a faulty configuration", &core.Error{Kind: core.ErrConfig}, 2},
		{"a name that is none", &core.Error{Kind: core.ErrName}, 2},
		{"drift", exitError{ExitChanges}, 3},
		{"drift, and an outage", errors.Join(exitError{ExitChanges}, &core.Error{Kind: core.ErrBucketMissing}), 4},
		{"what does not exist", missing, 4},
		{"SIGINT", errors.Join(interrupted{2}, missing), 130},
		{"SIGTERM", interrupted{15}, 143},
		{"a reader that went away", fmt.Errorf("write: %w", errReaderGone), 141},
	}
	for _, c := range cases {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
	if said(errors.Join(exitError{1}, missing)) || !said(errors.Join(exitError{1}, nil)) {
		t.Error("an error beside results that say it all is told, and only then")
	}
}

func TestSecretMetadataIsHidden(t *testing.T) {
	t.Parallel()
	got := openMetadata(map[string]string{"api-key": "x", "Session-Token": "x", "db_password": "x", "artist": "Zoë", "keywords": "a"})
	for name, want := range map[string]string{"api-key": "[redacted]", "Session-Token": "[redacted]", "db_password": "[redacted]", "artist": "Zoë", "keywords": "a"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}
