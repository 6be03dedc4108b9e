package ledger_test

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/nethttp"
)

// An app with a ledger: the table is made at the start, a worker runs beside the
// server, and what requests upload is noted.
func Example() {
	serve := func(ctx context.Context, db *sql.DB, store *core.Store, handler http.Handler) error {
		book, err := ledger.New(ledger.Config{
			DB: db, Dialect: ledger.PostgreSQL,
			Fail: func(ctx context.Context, err error) { slog.WarnContext(ctx, "ledger", "error", err) },
		})
		if err != nil {
			return err
		}
		if err := book.Migrate(ctx); err != nil {
			return err
		}
		go book.Work(ctx, store) //nolint:errcheck // it ends with ctx
		server := &http.Server{Addr: "127.0.0.1:8080", Handler: book.Middleware(nethttp.Middleware(handler))}
		return server.ListenAndServe()
	}
	_ = serve
}
