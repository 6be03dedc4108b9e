package nethttp

import (
	"net/http"

	"github.com/filefield/filefield/core"
)

// Live answers 200 while the process serves requests: a liveness probe. It asks
// storage nothing, since restarting the app does not mend storage.
func Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
}

// Ready answers 200 when every declared bucket can be used with the app's
// credentials, and 503 otherwise: a readiness probe. While a core.Startup in the
// background has not succeeded yet, it answers 503 without asking storage. It
// says why (a permission that is missing, how far the clocks are apart), but
// tells no key, host or bucket. It ends within the Store's time limit.
func Ready(store *core.Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := store.Ready(); err != nil {
			WriteError(w, r, &notReady{kind: core.KindOf(err), detail: "start-up has not succeeded yet"})
			return
		}
		h := store.Check(r.Context())
		if bucket, found := h.Worst(); found {
			WriteError(w, r, &notReady{kind: core.KindOf(bucket.Err()), detail: bucket.Detail})
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ready\n"))
	})
}

// WhenReady is middleware for routes that need storage: it answers 503 with
// Retry-After while a core.Startup in the background has not succeeded yet.
// Asking costs no request and no lock.
func WhenReady(store *core.Store) func(http.Handler) http.Handler { return Config{}.WhenReady(store) }

// WhenReady is the function WhenReady with this Config.
func (c Config) WhenReady(store *core.Store) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := store.Ready(); err != nil {
				c.fail(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

type notReady struct {
	kind   core.Kind
	detail string
}

func (e *notReady) Error() string { return "not ready: " + e.detail }

// Problem names the kind and the reason: whoever may call the probe may know it.
func (e *notReady) Problem() core.Problem {
	return core.Problem{
		Type: "urn:filefield:problem:" + e.kind.Code(), Title: "Not ready",
		Status: http.StatusServiceUnavailable, Detail: e.detail,
	}
}
