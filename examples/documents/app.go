package documents

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/filefield/filefield/core"
)

// MaxRequest is the most bytes of a request to the app.
const MaxRequest = 16 * core.MiB

const (
	// finishTimeout is how long running requests may go on after a signal.
	finishTimeout = 10 * time.Second
	// Files kept for a form that was shown again go when nobody has come back for
	// them for so long. Their tokens end after 24 hours.
	pendingAge   = 48 * time.Hour
	pendingEvery = 24 * time.Hour
)

// App is what the handlers need.
type App struct {
	Store *core.Store
	Rows  *Rows
	// Fields are the file fields, for the routes whose forms bring files.
	Fields []*core.Field
}

// Run starts the app as the environment says, with the handler that routes makes,
// and returns when the program is told to end and the last request is answered.
// What is opened first is closed last.
func Run(routes func(*App) http.Handler) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := cmp.Or(os.Getenv("DATA_DIR"), "data")
	rows, err := OpenRows(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()

	config, engine, stopEngine, err := StorageConfig(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopEngine()) }()

	config.Logger = slog.Default()
	store, err := core.Open(config) // checks the configuration, uses no network
	if err != nil {
		return err
	}
	defer store.CloseIdleConnections() // before the engine stops, which waits for them
	app := &App{Store: store, Rows: rows, Fields: DeclareFields(store)}
	// Creates the buckets that are missing and opens the public one to readers.
	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil {
		return err
	}
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { app.expirePending(ctx) })

	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		stop() // ends what background waits for
		return err
	}
	slog.Info("serving", "address", "http://"+listener.Addr().String(), "engine", engine,
		"private_bucket", BucketDocuments, "public_bucket", BucketCovers)
	defer stop()
	return serve(ctx, listener, routes(app))
}

// serve answers requests until ctx ends, and then finishes the running ones.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	// The forms of this app are for its own pages: other sites' are refused.
	handler = http.NewCrossOriginProtection().Handler(withSession(handler))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	if err := server.Shutdown(finish); err != nil {
		return errors.Join(errors.New("requests were cut off"), server.Close())
	}
	return nil
}

// expirePending has abandoned files expire now and then, until ctx ends. A
// lifecycle rule of the bucket for the tag filefield=pending does the same
// without the app.
func (a *App) expirePending(ctx context.Context) {
	for tick := time.NewTicker(pendingEvery); ; {
		if err := a.forgetPending(ctx); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "abandoned files could not be looked for", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// forgetPending removes the files that were kept for a form and that nobody came
// back for.
func (a *App) forgetPending(ctx context.Context) error {
	var errs []error
	for _, bucket := range a.Store.Buckets() {
		_, err := bucket.ExpirePending(ctx, pendingAge)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Change stores what a request changed of a document. Files that were replaced
// or cleared go once the row is stored.
func (a *App) Change(ctx context.Context, d *Document, patch Patch) (err error) {
	before := d.Form
	if d.Form, err = patch.Result(before); err != nil {
		return err
	}
	if err := d.Validate(); err != nil {
		return err
	}
	if err := before.DeleteFiles(ctx, d.Form); err != nil {
		return err
	}
	return a.Rows.Update(ctx, d)
}
