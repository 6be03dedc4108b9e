package manage

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// diagnosisResult is what was found out about one storage.
type diagnosisResult struct {
	Storage string `json:"storage"`
	core.Diagnosis
}

func (c *commands) doctorCommand() *cobra.Command {
	var options core.DiagnoseOptions
	scope := &scopeFlag{"run"}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "find out what is wrong between the app and its storage",
		Long: "Find out what is wrong between the app and all its storages: declarations,\n" +
			"connection, certificate, clock, credentials, region, what the server can do, the\n" +
			"external endpoint, and for each declared bucket whether it is what it is declared\n" +
			"to be and the app may do what it needs to; with advice. The exit code is 1 where\n" +
			"something does not work or is not safe.\n\n" +
			"Permissions are tried by using them, on keys below \".filefield-doctor-\" that are\n" +
			"removed again; with --read-only nothing is written.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			storages, err := c.selected(cmd)
			if err != nil {
				return err
			}
			options.Scope = scope.scope()
			return c.doctor(cmd, storages, options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.ReadOnly, "read-only", false, "write nothing; what only a write can show is skipped")
	flags.Var(scope, "scope", "the permissions to expect: run, check or setup")
	flags.DurationVar(&options.Timeout, "within", 30*time.Second, "how long it may take")
	return cmd
}

// scopes are how much credentials are to allow.
var scopes = map[string]core.IAMScope{"run": core.IAMRun, "check": core.IAMCheck, "setup": core.IAMSetup}

// scopeFlag is the value of --scope.
type scopeFlag struct{ name string }

func (f *scopeFlag) String() string { return f.name }

func (f *scopeFlag) Type() string { return "SCOPE" }

func (f *scopeFlag) Set(name string) error {
	if _, known := scopes[name]; !known {
		return errors.New("it is run, check or setup")
	}
	f.name = name
	return nil
}

func (f *scopeFlag) scope() core.IAMScope { return scopes[f.name] }

func (c *commands) doctor(cmd *cobra.Command, storages []Storage, options core.DiagnoseOptions) error {
	out := results(cmd)
	var failures error
	for _, s := range storages {
		var d core.Diagnosis
		err := c.waiting(cmd, "Examining", s, func(ctx context.Context) error {
			d = s.Store.Diagnose(ctx, options)
			if !d.OK {
				return exitError{ExitFailed}
			}
			return nil
		})
		if cmd.Context().Err() != nil {
			return out.end(context.Cause(cmd.Context()))
		}
		if err != nil {
			failures = err
		}
		if out.json {
			_ = out.value(diagnosisResult{Storage: s.Name, Diagnosis: d})
			continue
		}
		if len(storages) > 1 {
			_ = out.align()
			_ = out.line(s.Name + ":")
		}
		for _, f := range d.Findings {
			_ = out.row(out.mark(padded(f.Status)), f.Bucket, strings.ReplaceAll(f.Check, "_", " "), plain(f.Detail))
			if f.Advice != "" {
				_ = out.row(out.mark(padded("")), "", "", "→ "+plain(f.Advice))
			}
		}
	}
	return out.end(failures)
}

// padded gives all marks one width: colours count in columns.
func padded(s core.FindingStatus) string {
	const width = len(core.FindingWarning)
	return string(s) + strings.Repeat(" ", max(width-len(s), 0))
}

// plain keeps a sentence on its line, and what storage said from moving the
// cursor.
func plain(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' })
	for i, line := range lines {
		lines[i] = shown(line)
	}
	return strings.Join(lines, "; ")
}

func (c *commands) policyCommand() *cobra.Command {
	scope := &scopeFlag{"run"}
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "print the IAM policy that this app needs",
		Long: "Print, as JSON, the IAM policy of the user this app should be: what a running app\n" +
			"does with the declared buckets, and nothing else. --scope check adds what init\n" +
			"--plan reads, --scope setup what init does. Storage is not asked.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			storage, err := c.one(cmd)
			if err != nil {
				return err
			}
			policy, err := storage.Store.IAMPolicy(core.IAMPolicyOptions{Scope: scope.scope()})
			if err != nil {
				return err
			}
			out := results(cmd)
			_ = out.line(string(policy))
			return out.end(nil)
		},
	}
	cmd.Flags().Var(scope, "scope", "what the user is to be allowed: run, check or setup")
	return cmd
}
