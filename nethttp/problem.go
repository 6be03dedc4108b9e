package nethttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/filefield/filefield/core"
)

// retryAfter is the Retry-After of a 503, in seconds.
const retryAfter = "5"

// WriteError answers a request with what a client may see of err, as
// application/problem+json (RFC 9457): see core.ProblemOf. It is the default
// ErrorFunc. If the client has gone, nothing is written that anyone reads.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	WriteProblem(w, r, core.ProblemOf(err))
}

// WriteProblem answers a request with a problem. A status that is none is 500.
func WriteProblem(w http.ResponseWriter, r *http.Request, p core.Problem) {
	if p.Status < http.StatusOK || p.Status > 999 { // net/http panics on those
		p.Status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", core.ProblemMediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(p.Status)
	if r.Method == http.MethodHead {
		return
	}
	_ = json.NewEncoder(w).Encode(p) // the client is gone if this fails
}

// ErrorFunc answers a request that failed.
type ErrorFunc func(w http.ResponseWriter, r *http.Request, err error)

// HandlerFunc is a handler that returns its error instead of writing it.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle turns h into a http.Handler that answers errors by WriteError.
func Handle(h HandlerFunc) http.Handler { return Config{}.Handle(h) }

// Handle turns h into a http.Handler that answers errors by the Config's
// ErrorFunc. An error after the answer has begun cuts the connection, so that
// the client does not take half an answer for a whole one.
func (c Config) Handle(h HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state, ours := w.(*answer)
		if !ours {
			state = &answer{ResponseWriter: w}
		}
		err := h(state, r)
		switch {
		case err == nil:
		case state.status != 0:
			cut(w)
		default:
			c.fail(w, r, err)
		}
	})
}

// cut ends the request so that the client cannot take what it has for the whole.
// The panic does that, where nobody recovers from it; Gin's Recovery does, and
// middleware that compresses would then end the answer politely. So nothing more
// may be written either.
func cut(w http.ResponseWriter) {
	if conn, ok := innermost(w).(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = conn.SetWriteDeadline(time.Unix(1, 0))
	}
	panic(http.ErrAbortHandler)
}

func (c Config) fail(w http.ResponseWriter, r *http.Request, err error) {
	if kind := core.KindOf(err); c.Logger != nil && core.ProblemOf(err).Status >= http.StatusInternalServerError {
		c.Logger.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "kind", kind.Code(), "error", err)
	}
	if c.ErrorFunc == nil {
		WriteError(w, r, err)
		return
	}
	c.ErrorFunc(w, r, err)
	if txn := core.TxnFrom(r.Context()); txn != nil && !txn.Done() {
		txn.SetRollbackOnly() // it wrote nothing, which is no success
	}
}

// errBody says that err came from reading the request's body.
func errBody(r *http.Request, err error) error {
	var large *http.MaxBytesError
	// What storage or a rule said stands; a time-out in its chain is not the client's.
	if kind := core.KindOf(err); kind != 0 && kind != core.ErrMalformed {
		return err
	}
	e := &core.Error{Op: "read request", Err: err}
	switch timeout := isTimeout(err); {
	case errors.As(err, &large):
		e.Kind, e.Detail = core.ErrTooLarge, "the request is larger than "+formatSize(large.Limit)
	case timeout:
		e.Kind, e.Detail = core.ErrSlow, "the client sent too slowly"
	case r.Context().Err() != nil:
		e.Kind = core.ErrCanceled
	case core.KindOf(err) != 0:
		return err
	default:
		e.Kind, e.Detail = core.ErrMalformed, "the request could not be read to its end"
	}
	return e
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
