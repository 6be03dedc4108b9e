// Command filefield looks after the buckets of an app that is configured by the
// environment.
//
//	filefield init    creates the buckets of MINIO_PRIVATE_BUCKETS and
//	                  MINIO_PUBLIC_BUCKETS and opens the public ones for reading
//	filefield check   says whether all of them can be reached
//
// It ends with 0 if all is well, 1 if something failed, 2 if it was called
// wrongly or the configuration has faults. django-minio-backend's names
// initialize_buckets and is_minio_available are accepted too.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/filefield/filefield/core"
)

const usage = `usage: filefield init | check

The configuration is read from the environment: MINIO_ENDPOINT, MINIO_ACCESS_KEY,
MINIO_SECRET_KEY, MINIO_USE_HTTPS, MINIO_PRIVATE_BUCKETS, MINIO_PUBLIC_BUCKETS, …
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], core.ConfigFromEnv(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run carries out one command and returns the exit code.
func run(ctx context.Context, args []string, config core.Config, out, errs io.Writer) int {
	var do func(*core.Store) error
	switch {
	case len(args) != 1:
	case args[0] == "init" || args[0] == "initialize_buckets":
		do = func(s *core.Store) error { return s.Startup(core.StartupConfig{}).Start(ctx) }
	case args[0] == "check" || args[0] == "is_minio_available":
		do = func(s *core.Store) error { return s.Check(ctx).Err() }
	}
	if do == nil {
		fmt.Fprint(errs, usage)
		return 2
	}
	store, err := core.Open(config)
	if err != nil {
		fmt.Fprintln(errs, "filefield:", err)
		return 2
	}
	if err := do(store); err != nil {
		fmt.Fprintln(errs, "filefield:", err)
		return 1
	}
	for _, b := range store.Buckets() {
		access := "private"
		if b.Public() {
			access = "public"
		}
		fmt.Fprintf(out, "%s\t%s\tok\n", b.Name(), access)
	}
	return 0
}
