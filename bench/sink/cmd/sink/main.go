// Command sink runs the package sink: an S3 server that throws away what it is
// sent.
//
//	sink [-tls folder] [ADDR]
//
// It listens on ADDR, or on a free port of the loopback interface, and says which.
// With -tls it speaks TLS with public.crt and private.key of the folder. It runs
// until SIGINT or SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/filefield/filefield/bench/sink"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	certificates := flag.String("tls", "", "`folder` of public.crt and private.key")
	flag.Parse()
	addr := "127.0.0.1:0"
	if flag.NArg() > 0 {
		addr = flag.Arg(0)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: sink.Handler(), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // what it returns, Serve has
	if *certificates == "" {
		fmt.Printf("sink listens on http://%s\n", listener.Addr())
		err = server.Serve(listener)
	} else {
		fmt.Printf("sink listens on https://%s\n", listener.Addr())
		err = server.ServeTLS(listener, filepath.Join(*certificates, "public.crt"), filepath.Join(*certificates, "private.key"))
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
