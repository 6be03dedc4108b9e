package nethttp

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/filefield/filefield/core"
)

// Config adjusts the middleware. The zero value is what Middleware, Uploads and
// Handle use. It is read when a handler is made; changing it later has no
// effect.
type Config struct {
	// ErrorFunc answers requests that failed. Default: WriteError.
	ErrorFunc ErrorFunc
	// Limits bound what a request may bring.
	Limits Limits
	// Logger is told of failed requests that are the server's fault, and of
	// clean-up that failed. Default: nothing is logged.
	Logger *slog.Logger
}

// endTimeout bounds what ends a transaction after its request may be over.
const endTimeout = 30 * time.Second

// Middleware opens a file transaction (core.Txn) for each request, as the
// context of the request it hands on, and ends it with the request's outcome
// just before the answer goes out, so that a client that reads the answer finds
// storage as the answer says:
//
//   - a status below 400 commits: deletions and replacements happen now;
//   - a status of 400 or more rolls back: what was saved is gone again;
//   - a panic, or a client that went away before any answer, rolls back.
//
// A handler that has stored its row may commit by itself before it answers
// (core.TxnFrom); what happens afterwards then changes nothing. Once a good
// status has been written, a later panic changes nothing either: the row may
// exist, and a row must never point at nothing.
func Middleware(next http.Handler) http.Handler { return Config{}.Middleware(next) }

// Middleware is the function Middleware with this Config.
func (c Config) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, txn := core.Begin(r.Context())
		a := &answer{ResponseWriter: w, config: &c, ctx: ctx, txn: txn}
		defer func() {
			if v := recover(); v != nil {
				a.end(false)
				panic(v)
			}
			a.end(ctx.Err() == nil)
		}()
		next.ServeHTTP(a, r.WithContext(ctx))
	})
}

// answer is the ResponseWriter of one request. It ends the transaction when the
// status is known.
type answer struct {
	http.ResponseWriter
	config *Config
	ctx    context.Context
	txn    *core.Txn // nil: only the status is wanted
	status int
}

// Unwrap lets http.ResponseController reach the server's writer.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader ends the transaction, then sends the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.status = status
		a.end(status < http.StatusBadRequest)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write sends the status 200 first, if none was sent.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// Flush sends what has been written so far, with a status of 200 if none was sent.
func (a *answer) Flush() {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// end commits or rolls back, once. The request's own context may be over.
func (a *answer) end(commit bool) {
	if a.txn == nil || a.txn.Done() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), endTimeout)
	defer cancel()
	end, outcome := a.txn.Rollback, "rollback"
	if commit {
		end, outcome = a.txn.Commit, "commit"
	}
	if err := end(ctx); err != nil && a.config.Logger != nil {
		a.config.Logger.ErrorContext(ctx, "a file transaction left objects behind", "outcome", outcome, "error", err)
	}
}
