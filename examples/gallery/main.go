package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/libtnb/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/embeds3"
	"github.com/filefield/filefield/orm/gormfiles"
)

func main() {
	if err := run(); err != nil {
		slog.Error("the gallery ended with an error", "error", err)
		os.Exit(1)
	}
}

// run starts the app; what is opened first is closed last.
func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := cmp.Or(os.Getenv("DATA_DIR"), "data")
	db, err := openRows(dir)
	if err != nil {
		return err
	}
	// First of all, since the buckets have to know the origin of the pages.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return err
	}
	defer listener.Close()
	config, stopEngine, err := storage(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopEngine()) }()
	store, err := core.Open(config)
	if err != nil {
		return err
	}
	defer store.CloseIdleConnections()
	declareFields(store, origins(listener.Addr()))
	pages, err := newPages(store)
	if err != nil {
		return err
	}
	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil {
		return err
	}
	slog.Info("serving", "address", "http://"+listener.Addr().String(), "storage", config.Endpoint)
	app := &app{store: store, db: db, pages: pages}
	return serve(ctx, listener, app.routes())
}

// storage is the S3 server of the environment, or the embedded one.
func storage(dir string) (config core.Config, stop func() error, err error) {
	config = core.ConfigFromEnv()
	config.Logger = slog.Default()
	if config.Endpoint != "" {
		return config, func() error { return nil }, nil
	}
	server, err := embeds3.Start(context.Background(), embeds3.Config{Dir: filepath.Join(dir, "gallery-s3")})
	if err != nil {
		return config, nil, fmt.Errorf("start the embedded S3 server: %w", err)
	}
	config.Endpoint, config.UseHTTPS = server.Endpoint(), false
	config.AccessKey, config.SecretKey = server.AccessKey(), core.Secret(server.SecretKey())
	return config, server.Close, nil
}

// origins are those under which browsers may have the app's pages.
func origins(addr net.Addr) []string {
	_, port, _ := net.SplitHostPort(addr.String())
	return append(strings.Fields(os.Getenv("ORIGINS")), "http://127.0.0.1:"+port, "http://localhost:"+port)
}

func openRows(dir string) (*gorm.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the operator names the folder
		return nil, err
	}
	rows, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "gallery.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)")
	if err != nil {
		return nil, err
	}
	rows.SetMaxOpenConns(1) // SQLite has one writer
	db, err := gorm.Open(&sqlite.Dialector{Conn: rows}, &gorm.Config{})
	if err != nil {
		return nil, err
	}
	// Rows and files change together: a deleted row's file goes with the commit.
	if err := db.Use(gormfiles.New(gormfiles.Config{})); err != nil {
		return nil, err
	}
	return db, db.AutoMigrate(&Album{}, &Photo{})
}

// serve answers requests until ctx ends, and then finishes the running ones.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	// The forms of this app are for its own pages: other sites' are refused.
	server := &http.Server{Handler: http.NewCrossOriginProtection().Handler(handler), ReadHeaderTimeout: 10 * time.Second}
	finished := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		finish, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		finished <- server.Shutdown(finish)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-finished
}
