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

// Ready answers 200 when every declared bucket can be reached with the app's
// credentials, and 503 otherwise: a readiness probe. It names the kind of
// failure, no key, host or bucket. It ends within the Store's time limit.
func Ready(store *core.Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := store.Check(r.Context())
		if err == nil {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte("ready\n"))
			return
		}
		WriteError(w, r, &notReady{kind: core.KindOf(err)})
	})
}

type notReady struct{ kind core.Kind }

func (e *notReady) Error() string { return "not ready: " + e.kind.Error() }

// Problem names the kind: whoever may call the probe may know it.
func (e *notReady) Problem() core.Problem {
	return core.Problem{
		Type: "urn:filefield:problem:" + e.kind.Code(), Title: "Not ready",
		Status: http.StatusServiceUnavailable, Detail: e.kind.Title(),
	}
}
