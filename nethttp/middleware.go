package nethttp

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
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
	// Nested takes files under names that end in a field's too, "items.0.photo" and
	// "items[0].photo", for lists of structs. Only for handlers that bind every such
	// name: a file that nobody binds stays in storage when the request succeeds.
	// Default: such files are refused.
	Nested bool
	// BeforeFile, if set, is asked before each file of a form is read. It sees the
	// text fields sent before the file, and its error ends the request: core.ErrForbidden
	// and other kinds by their status, anything else as ErrorFunc answers it. It
	// must not read the request's body.
	BeforeFile func(r *http.Request, file Incoming) error
	// Store, if set, is what core.StoreFrom finds in a request's context.
	Store *core.Store
	// Logger is told of failed requests that are the server's fault, and of
	// clean-up that failed. Default: nothing is logged.
	Logger *slog.Logger
}

// endTimeout bounds what ends a transaction after its request may be over. Each
// of its requests to storage has a limit of its own.
const endTimeout = 5 * time.Minute

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
		exchange := &Exchange{}
		r = c.Begin(exchange, r)
		defer exchange.Finish()
		next.ServeHTTP(exchange.Writer(w), r)
	})
}

// Exchange is the file transaction of one request, for adapters. Its zero value
// is for Begin, once. Used by one goroutine; not to be copied.
type Exchange struct {
	txn     core.Txn
	ctx     context.Context
	logger  *slog.Logger
	writer  answer
	request http.Request
	outer   *http.Request
}

// Begin opens a request's transaction in e and returns the request that carries
// it. The caller defers e.Finish.
func (c Config) Begin(e *Exchange, r *http.Request) *http.Request {
	e.ctx, e.logger = e.txn.Begin(r.Context(), c.Store), c.Logger
	e.outer = r
	e.request = *r.WithContext(e.ctx) // one allocation with the rest
	return &e.request
}

// Writer returns w as a ResponseWriter that ends the transaction when the status
// is known, for adapters that hand one on. Call it once.
func (e *Exchange) Writer(w http.ResponseWriter) http.ResponseWriter {
	e.writer = answer{ResponseWriter: w, exchange: e}
	return &e.writer
}

// Answer ends the transaction by the status that is about to be sent: below 400
// commits, the rest rolls back. Only the first call does anything.
func (e *Exchange) Answer(status int) {
	if status < http.StatusBadRequest && !e.txn.RollbackOnly() {
		e.commit()
	} else {
		e.rollback()
	}
}

// Finish ends a transaction that no answer has ended: it commits unless the
// client has gone or the function that deferred it panics.
func (e *Exchange) Finish() {
	if e.outer.MultipartForm == nil {
		e.outer.MultipartForm = e.request.MultipartForm // net/http removes its temporary files
	}
	if v := recover(); v != nil {
		e.rollback()
		panic(v)
	}
	if e.ctx.Err() != nil || e.txn.RollbackOnly() {
		e.rollback()
	}
	e.commit()
}

func (e *Exchange) commit() {
	if e.txn.PendingCommit() {
		e.endLater("commit", e.txn.Commit)
	} else {
		e.end(e.ctx, "commit", e.txn.Commit)
	}
}

func (e *Exchange) rollback() {
	if e.txn.Pending() {
		e.endLater("rollback", e.txn.Rollback)
	} else {
		e.end(e.ctx, "rollback", e.txn.Rollback)
	}
}

// endLater is end for what takes requests: the incoming one's context may be over.
func (e *Exchange) endLater(outcome string, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), endTimeout)
	defer cancel()
	e.end(ctx, outcome, end)
}

// end ends the transaction, once.
func (e *Exchange) end(ctx context.Context, outcome string, end func(context.Context) error) {
	if e.txn.Done() {
		return
	}
	if err := end(ctx); err != nil && e.logger != nil {
		e.logger.ErrorContext(ctx, "a file transaction did not end cleanly: objects may be left behind, or not replaced", "outcome", outcome, "error", err)
	}
}

// answer is the ResponseWriter of one request. It ends the transaction when the
// status is known, just before it is sent.
type answer struct {
	http.ResponseWriter
	exchange *Exchange // nil: only the status is wanted
	status   int
}

// Unwrap lets http.ResponseController reach the server's writer.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader ends the transaction, then sends the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.status = status
		if a.exchange != nil {
			a.exchange.Answer(status)
		}
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

// Hijack hands the connection over, where the server's writer can.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// ReadFrom sends the status 200 first, if none was sent. The server's writer may
// then have the kernel copy.
func (a *answer) ReadFrom(src io.Reader) (int64, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return io.Copy(a.ResponseWriter, src)
}

// Flush is FlushError for callers that do not ask.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError sends what has been written so far, with a status of 200 if none was
// sent.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}
