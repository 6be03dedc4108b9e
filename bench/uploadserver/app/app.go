package app

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/filefield/filefield/core"
)

// finishTimeout is how long running uploads may go on after a signal.
const finishTimeout = time.Minute

// Handler makes what serves the field: POST /upload and GET /files/KEY.
type Handler func(*core.Store, *core.Field) http.Handler

// Main runs the server of that name until a signal ends it.
func Main(name string, handler Handler) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, name, handler, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name string, handler Handler, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: AK=… SK=… %s ADDR S3_ENDPOINT BUCKET", name)
	}
	addr, endpoint, bucket := args[0], args[1], args[2]
	if os.Getenv("AK") == "" || os.Getenv("SK") == "" {
		return errors.New("the storage's credentials are missing: set AK and SK")
	}
	store, err := core.Open(core.Config{
		Endpoint: endpoint, AccessKey: os.Getenv("AK"), SecretKey: core.Secret(os.Getenv("SK")),
		UseHTTPS: os.Getenv("CA") != "", CAFile: os.Getenv("CA"),
		SigningKeys: []core.Secret{"tokens do not leave the process"}, Logger: slog.Default(),
	})
	if err != nil {
		return err
	}
	declared := Declare(store, bucket)
	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("%s listens on http://%s\n", name, listener.Addr())
	return serve(ctx, listener, handler(store, declared))
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("GET /debug/vars", expvar.Handler())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.Handle("/", handler)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	return server.Shutdown(finish)
}
