package manage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// The exit codes. A signal's is 128 and its number: 130 for SIGINT.
const (
	// ExitOK: done, and all is well.
	ExitOK = 0
	// ExitFailed: it could not be done, or what was checked is not well.
	ExitFailed = 1
	// ExitUsage: the command was called wrongly, or the configuration has faults.
	ExitUsage = 2
	// ExitChanges: init --plan found what init would change.
	ExitChanges = 3
	// ExitNotFound: the object or bucket does not exist.
	ExitNotFound = 4
	// ExitInterrupted: SIGINT.
	ExitInterrupted = 128 + int(syscall.SIGINT)
	// ExitTerminated: SIGTERM.
	ExitTerminated = 128 + int(syscall.SIGTERM)
	// ExitPipe: what read the output went away.
	ExitPipe = 128 + int(syscall.SIGPIPE)
)

// exitError ends a command with a code although there is nothing to tell: its
// results said it.
type exitError struct{ code int }

func (e exitError) Error() string {
	if e.code == ExitChanges {
		return "there is something to change"
	}
	return "not everything is well"
}

// misuse is a command called wrongly.
type misuse struct {
	err  error
	path string // of the command
}

func (m *misuse) Error() string {
	return fmt.Sprintf("%s (see %s --help)", m.err, m.path)
}

func (m *misuse) Unwrap() error { return m.err }

func usageError(cmd *cobra.Command, format string, args ...any) error {
	return &misuse{err: fmt.Errorf(format, args...), path: cmd.CommandPath()}
}

func configError(err error) error {
	return &core.Error{Kind: core.ErrConfig, Op: "management commands", Err: err}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	message := fmt.Sprintf("unknown command %q", name)
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if like := cmd.SuggestionsFor(name); len(like) > 0 {
		message += ", perhaps " + strings.Join(like, " or ")
	}
	return usageError(cmd, "%s", message)
}

// arguments makes a fault in a command's arguments a fault of the call.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError(cmd, "%w", err)
		}
		return nil
	}
}

// interrupted is why a context ended: a signal came.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "stopped by a signal: " + i.signal.String() }

// ExitCode returns the exit code for the error a command returned, for an app
// that executes its commands itself. Main does so by itself.
func ExitCode(err error) int {
	var exit exitError
	var wrong *misuse
	var by interrupted
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &by):
		return 128 + int(by.signal)
	case errors.Is(err, errReaderGone):
		return ExitPipe
	case errors.As(err, &wrong):
		return ExitUsage
	}
	switch core.KindOf(err) {
	case core.ErrConfig, core.ErrName:
		return ExitUsage
	case core.ErrNotFound, core.ErrBucketMissing:
		return ExitNotFound
	}
	if errors.As(err, &exit) {
		return exit.code
	}
	return ExitFailed
}

// Main executes a tree of commands with the program's arguments, prints what
// fails, and returns the exit code. root is what Command returned, or an app's
// own command to which it was added.
//
// SIGINT and SIGTERM end the context, so that the command tidies up and stops; a
// second one ends the program at once. A reader of standard output that goes
// away ends the command too. Only the function main may call it: it changes what
// signals do to the process.
func Main(ctx context.Context, root *cobra.Command) int {
	ctx, stop := untilSignal(ctx)
	defer stop()
	root.SilenceErrors, root.SilenceUsage = true, true
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	var by interrupted
	if errors.As(context.Cause(ctx), &by) {
		err = by
	}
	code := ExitCode(err)
	if code != ExitPipe {
		reportFailure(cmd, err)
	}
	return code
}

// untilSignal returns a context that a signal ends.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGPIPE) // writing reports it instead, and what was begun is tidied up
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals) // the next one is not waited for
			number, _ := s.(syscall.Signal)
			cancel(interrupted{number})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
