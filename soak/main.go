package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/filefield/filefield/soak/app"
)

func main() {
	if runApp() {
		return
	}
	c := config{Progress: os.Stderr}
	flag.DurationVar(&c.Duration, "duration", 3*time.Minute, "how long the load lasts")
	flag.DurationVar(&c.NodeEvery, "node-every", 20*time.Second, "how often a node is killed")
	flag.DurationVar(&c.AppEvery, "app-every", 45*time.Second, "how often an app process is killed")
	flag.IntVar(&c.Workers, "workers", 6, "clients at a time")
	flag.Uint64Var(&c.Seed, "seed", uint64(time.Now().UnixNano()), "what the load is made from")
	flag.StringVar(&c.Dir, "dir", "", "`folder` for what the run writes, which is kept; default: one that is removed when all has held")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, c)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// command runs the soak in a folder that goes when all has held.
func command(ctx context.Context, c config) (err error) {
	keep := c.Dir != ""
	if !keep {
		if c.Dir, err = os.MkdirTemp("", "filefield-soak-"); err != nil {
			return err
		}
	}
	report, err := run(ctx, c)
	if err == nil {
		fmt.Print(report.markdown())
		err = report.err()
	}
	switch {
	case !keep && (err == nil || ctx.Err() != nil):
		return errors.Join(err, os.RemoveAll(c.Dir))
	case err != nil:
		return fmt.Errorf("%w; what was written is in %s", err, c.Dir)
	}
	return nil
}

// appVar has this program be the app, with the configuration it holds.
const appVar = "FILEFIELD_SOAK_APP"

// runApp is the app's process, where the environment says so.
func runApp() bool {
	text := os.Getenv(appVar)
	if text == "" {
		return false
	}
	var c app.Config
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = app.Run(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
	return true
}
