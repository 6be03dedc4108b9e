package app

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/sqltxn"
)

// Bucket is where the files are.
const Bucket = "soak"

// MaxSize is the most bytes of a file.
const MaxSize = 64 * core.MiB

// Config is what the app is started with, as JSON.
type Config struct {
	// Addr is where it listens.
	Addr string
	// Endpoint and the keys are the storage's.
	Endpoint, AccessKey, SecretKey, Region string
	// Database is the SQLite file.
	Database string
	// Grace is how long a file may be without its row: the ledger's grace period,
	// and the age from which on a sweep beside the load judges an object.
	Grace time.Duration
}

type server struct {
	config Config
	db     *sql.DB
	store  *core.Store
	field  *core.Field
	book   *ledger.Ledger
	ahead  atomic.Int64 // of the ledger's clock
}

var documents atomic.Pointer[core.Field] // the app's field, as the library asks for it

type document struct{}

// FileField returns the declared field.
func (document) FileField() *core.Field { return documents.Load() }

type file = fieldtype.File[document]

// Run serves until it is interrupted. It waits for the bucket in the background,
// so that it comes up while a node is down, too.
func Run(config Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &server{config: config}
	if err := s.openDatabase(ctx); err != nil {
		return err
	}
	defer s.db.Close()
	var err error
	s.store, err = core.Open(core.Config{
		Endpoint: config.Endpoint, AccessKey: config.AccessKey, SecretKey: core.Secret(config.SecretKey), Region: config.Region,
		SigningKeys: []core.Secret{"the signing key of the soak"}, Logger: slog.Default(),
	})
	if err != nil {
		return err
	}
	s.field = s.store.Field(core.FieldConfig{Name: "file", Bucket: Bucket, UploadTo: core.Strftime("files/%Y/", nil), MaxSize: MaxSize})
	documents.Store(s.field)
	startup := s.store.Startup(core.StartupConfig{Mode: core.Background, MaxWait: 2 * time.Second})
	if err := startup.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = startup.Stop(context.WithoutCancel(ctx)) }()
	go func() { _ = s.book.Work(ctx, s.store) }()
	return s.serve(ctx)
}

func (s *server) openDatabase(ctx context.Context) (err error) {
	// A write transaction takes its lock at once, so that waiting for it obeys busy_timeout.
	s.db, err = sql.Open("sqlite", "file:"+s.config.Database+
		"?_pragma=busy_timeout(60000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate")
	if err != nil {
		return err
	}
	s.db.SetMaxOpenConns(8)
	if _, err := s.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, file TEXT NOT NULL)"); err != nil {
		return err
	}
	s.book, err = ledger.New(ledger.Config{
		DB: s.db, Dialect: ledger.SQLite, Grace: s.config.Grace, Interval: 5 * time.Second, Lease: 20 * time.Second,
		Now:  func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
		Fail: func(_ context.Context, err error) { slog.Warn("the ledger's worker", "error", err) },
	})
	if err != nil {
		return err
	}
	return s.book.Migrate(ctx)
}

func (s *server) serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.config.Addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 30 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(srv.Shutdown(finish), srv.Close())
}

func (s *server) routes() http.Handler {
	c := nethttp.Config{Store: s.store, Logger: slog.Default(), ErrorFunc: fail}
	uploads := c.Uploads(s.field)
	files := http.NewServeMux()
	files.Handle("POST /files", uploads(c.Handle(s.create)))
	files.Handle("PUT /files/{id}", uploads(c.Handle(s.replace)))
	files.Handle("DELETE /files/{id}", c.Handle(s.remove))
	files.Handle("GET /files/{id}", c.Handle(s.download))

	mux := http.NewServeMux()
	mux.Handle("/files", s.book.Middleware(c.Middleware(c.WhenReady(s.store)(files))))
	mux.Handle("/files/", s.book.Middleware(c.Middleware(c.WhenReady(s.store)(files))))
	mux.HandleFunc("GET /rows", s.rows)
	mux.HandleFunc("POST /sweep", s.sweep)
	mux.HandleFunc("POST /recover", s.recover)
	mux.HandleFunc("GET /stats", s.stats)
	mux.Handle("GET /ready", nethttp.Ready(s.store))
	return mux
}

// fail answers as the library does, and shows the cause in a header besides: the
// soak's report names it where an answer was wrong.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("X-Cause", errorLine(err))
	nethttp.WriteError(w, r, err)
}

// inTransaction changes a row and its file together.
func (s *server) inTransaction(ctx context.Context, work func(context.Context, *sql.Tx) error) error {
	return sqltxn.Run(ctx, s.db, sqltxn.Options{
		Ledger:     s.book,
		TidyFailed: func(_ context.Context, err error) { slog.Warn("left for the ledger", "error", err) },
	}, work)
}

func (s *server) create(w http.ResponseWriter, r *http.Request) error {
	var form struct {
		ID   string `form:"id"`
		File file   `form:"file"`
	}
	if err := nethttp.Bind(r, &form); err != nil {
		return err
	}
	err := s.inTransaction(r.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO files (id, file) VALUES (?, ?)", form.ID, form.File)
		return err
	})
	if err == nil {
		w.WriteHeader(http.StatusCreated)
	}
	return err
}

func (s *server) replace(w http.ResponseWriter, r *http.Request) error {
	var form struct {
		File file `form:"file"`
	}
	if err := nethttp.Bind(r, &form); err != nil {
		return err
	}
	err := s.inTransaction(r.Context(), func(ctx context.Context, tx *sql.Tx) error {
		var old file
		if err := tx.QueryRowContext(ctx, "SELECT file FROM files WHERE id = ?", r.PathValue("id")).Scan(&old); err != nil {
			return noRow(err)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE files SET file = ? WHERE id = ?", form.File, r.PathValue("id")); err != nil {
			return err
		}
		return old.Delete(ctx)
	})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) error {
	err := s.inTransaction(r.Context(), func(ctx context.Context, tx *sql.Tx) error {
		var old file
		if err := tx.QueryRowContext(ctx, "SELECT file FROM files WHERE id = ?", r.PathValue("id")).Scan(&old); err != nil {
			return noRow(err)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM files WHERE id = ?", r.PathValue("id")); err != nil {
			return err
		}
		return old.Delete(ctx)
	})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *server) download(w http.ResponseWriter, r *http.Request) error {
	var f file
	if err := s.db.QueryRowContext(r.Context(), "SELECT file FROM files WHERE id = ?", r.PathValue("id")).Scan(&f); err != nil {
		return noRow(err)
	}
	return nethttp.ServeFile(w, r, s.field, f.Object())
}

// noRow makes a missing row a 404; whatever else the database says is no 404.
func noRow(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return &core.Error{Kind: core.ErrNotFound, Op: "find row", Err: err}
	}
	return err
}
