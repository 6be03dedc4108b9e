//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// command reads the flags.
func command() *cobra.Command {
	o := options{profileTime: profileTime, command: append([]string{"go", "run", "./bench/compare"}, os.Args[1:]...)}
	cmd := &cobra.Command{
		Use:           "compare",
		Short:         "Measure ways to take uploads side by side",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.scenarios, "scenarios", []string{"main"}, `scenarios, such as "64MiB×4" or "256MiB×64 unknown", and sets of them: main, linear, matrix`)
	f.StringVar(&o.only, "only", "", "`regexp` of the ways to measure (default: all)")
	f.IntVar(&o.runs, "runs", 5, "how often; the ways take turns")
	f.StringVar(&o.bytes, "bytes", "1GiB", "how much a run sends, at least one file of every client")
	f.IntVar(&o.files, "files", 8000, "how many files a run sends at most, but for one of every client")
	f.StringVar(&o.maxMemory, "max-memory", "6GiB", "at what resident `size` a server is killed")
	f.DurationVar(&o.maxTime, "max-time", time.Minute, "how long a run begins uploads")
	f.BoolVar(&o.tls, "tls", false, "have the storage speak TLS")
	f.StringVar(&o.engine, "engine", "sink", "the storage: sink, minio or embedded")
	f.BoolVar(&o.short, "short", false, "send little, and fail when requests or allocations per upload have grown")
	f.StringVar(&o.jsonFile, "json", "", "`file` to keep every run in")
	f.StringVar(&o.chartFile, "svg", "", "`file` to draw a chart in")
	f.StringVar(&o.profiles, "profile", "", "`folder` to keep CPU and allocation profiles of every server in")
	cmd.AddCommand(reportCommand())
	return cmd
}

// reportCommand prints what was measured earlier.
func reportCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Report runs that --json kept, joined",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			r, err := readResults(files)
			if err != nil {
				return err
			}
			return o.write(cmd.OutOrStdout(), r)
		},
	}
	cmd.Flags().StringVar(&o.jsonFile, "json", "", "`file` to keep the joined runs in")
	cmd.Flags().StringVar(&o.chartFile, "svg", "", "`file` to draw a chart in")
	return cmd
}
