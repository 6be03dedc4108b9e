// Command embeds3 runs the embedded S3 engine as a process of its own.
//
//	embeds3 [-addr 127.0.0.1:0] [-dir folder] [-stdin]
//
// The keys come from S3_ACCESS_KEY and S3_SECRET_KEY; the secret is made up when
// there is none. Once ready, it prints one line of JSON, and then nothing more:
//
//	{"endpoint":"127.0.0.1:40123","access_key":"…","secret_key":"…","region":"us-east-1","startup_ms":9}
//
// It stops on SIGINT or SIGTERM and, with -stdin, when its standard input ends:
// a parent that holds the other end takes the engine with it however it dies.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/filefield/filefield/embeds3"
)

// ready is the line printed when the engine answers.
type ready struct {
	Endpoint  string `json:"endpoint"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	Region    string `json:"region"`
	StartupMS int64  `json:"startup_ms"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("embeds3", flag.ExitOnError)
	addr := flags.String("addr", embeds3.DefaultAddr, "`host:port` to listen on; port 0 picks a free one")
	dir := flags.String("dir", "", "`folder` to keep objects in; empty for a temporary one, removed at the end")
	remote := flags.Bool("allow-remote", false, "permit an address other machines can reach")
	untilEOF := flags.Bool("stdin", false, "stop when standard input ends, within a second")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *untilEOF && *dir == "" {
		// A folder of our own, to remove even when the engine takes its time.
		temporary, err := os.MkdirTemp("", "embeds3-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		*dir = temporary
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	s, err := embeds3.Start(ctx, embeds3.Config{
		Dir:         *dir,
		Addr:        *addr,
		AllowRemote: *remote,
		AccessKey:   os.Getenv("S3_ACCESS_KEY"),
		SecretKey:   os.Getenv("S3_SECRET_KEY"),
		Region:      os.Getenv("S3_REGION"),
	})
	if err != nil {
		return err
	}
	err = json.NewEncoder(stdout).Encode(ready{
		Endpoint: s.Endpoint(), AccessKey: s.AccessKey(), SecretKey: s.SecretKey(),
		Region: s.Region(), StartupMS: time.Since(began).Milliseconds(),
	})
	if err != nil {
		s.Close()
		return err
	}
	if !*untilEOF {
		<-s.Done()
		return s.Close()
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // any end of it is the end
		close(ended)
	}()
	select {
	case <-s.Done():
		return s.Close()
	case <-ended:
	}
	// Whoever started us is gone, and with it everyone to wait for. The engine
	// would wait for connections that were opened and never used.
	stop()
	select {
	case <-s.Done():
		return s.Close()
	case <-time.After(time.Second):
		return nil
	}
}
