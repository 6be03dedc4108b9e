// Package serve is what the programs under peers have in common: their arguments,
// which are those of uploadserver after the way, and their life.
//
//	func main() {
//		serve.Main("gocloud", map[string]serve.Way{"reader": open})
//	}
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// finishTimeout is how long running uploads may go on after a signal.
const finishTimeout = time.Minute

// Storage is where a server puts what it is sent.
type Storage struct {
	// Endpoint is the storage's host:port.
	Endpoint string
	// Bucket is there already.
	Bucket string
	// AccessKey and SecretKey are its credentials.
	AccessKey, SecretKey string
	// CAFile is a PEM file of the authority to trust, or empty where the endpoint
	// speaks plain HTTP.
	CAFile string
}

// Way makes the handler of one way to take uploads.
type Way func(Storage) (http.Handler, error)

// Main runs the way that the first argument names until a signal ends it:
//
//	AK=… SK=… [CA=file.pem] name WAY ADDR S3_ENDPOINT BUCKET
func Main(name string, ways map[string]Way) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, name, ways, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name string, ways map[string]Way, args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: AK=… SK=… %s WAY ADDR S3_ENDPOINT BUCKET", name)
	}
	way := ways[args[0]]
	if way == nil {
		return fmt.Errorf("there is no way %q; there are %s", args[0], strings.Join(slices.Sorted(maps.Keys(ways)), ", "))
	}
	handler, err := way(Storage{
		Endpoint: args[2], Bucket: args[3],
		AccessKey: os.Getenv("AK"), SecretKey: os.Getenv("SK"), CAFile: os.Getenv("CA"),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	fmt.Printf("%s listens on http://%s\n", args[0], listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("GET /debug/vars", expvar.Handler()) // the driver asks what was allocated
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
	if err := server.Shutdown(finish); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Stored is the answer to an upload.
type Stored struct {
	// Key is the object's.
	Key string `json:"key"`
	// Size is in bytes.
	Size int64 `json:"size"`
}

// Created answers 201 with what was stored.
func Created(w http.ResponseWriter, stored Stored) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(stored) // the client is gone if this fails
}
