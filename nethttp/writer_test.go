package nethttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// serverWriter is a writer as a server's: it copies by itself, and says what went
// wrong when it flushes.
type serverWriter struct {
	*httptest.ResponseRecorder
	copied int64
	gone   error
}

func (w *serverWriter) ReadFrom(src io.Reader) (n int64, err error) {
	n, err = io.Copy(w.ResponseRecorder, src)
	w.copied += n
	return n, err
}

func (w *serverWriter) FlushError() error { return w.gone }

func TestTheServersWriterCopiesAndFlushes(t *testing.T) {
	t.Parallel()
	gone := errors.New("the client has gone")
	w := &serverWriter{ResponseRecorder: httptest.NewRecorder(), gone: gone}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	nethttp.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("the content")}); err != nil {
			t.Error(err)
		}
		if !core.TxnFrom(r.Context()).Done() {
			t.Error("the transaction is open although the answer has begun")
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, gone) {
			t.Errorf("flushing gives %v, want what the server's writer says", err)
		}
	})).ServeHTTP(w, r)
	if w.copied != 11 || w.Body.String() != "the content" {
		t.Errorf("the server's writer copied %d bytes of %q, want all 11", w.copied, w.Body)
	}
}

func TestMiddlewareThatWrapsTheBodyLeavesTheRoutesLimit(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	config := nethttp.Config{Limits: nethttp.Limits{Text: 8 * core.MiB}}
	bound := nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
		var p struct {
			Title string `json:"title"`
		}
		if err := nethttp.Bind(r, &p); err != nil {
			return err
		}
		w.WriteHeader(http.StatusCreated)
		return nil
	})
	a.Config.Handler = config.Uploads(a.field)(http.MaxBytesHandler(bound, 16*core.MiB))
	a.post(t, "application/json", strings.NewReader(`{"title":"`+strings.Repeat("x", 3<<20)+`"}`)).want(t, http.StatusCreated, 0)
}

func TestAFailedRequestThatNobodyAnsweredRollsBack(t *testing.T) {
	t.Parallel()
	rolledBack := false
	config := nethttp.Config{ErrorFunc: func(http.ResponseWriter, *http.Request, error) {}} // forgets to answer
	h := config.Middleware(config.Handle(func(_ http.ResponseWriter, r *http.Request) error {
		if err := core.TxnFrom(r.Context()).OnRollback(func(context.Context) error { rolledBack = true; return nil }); err != nil {
			t.Error(err)
		}
		return errors.New("no row")
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
	if !rolledBack {
		t.Error("the transaction was committed, want it rolled back")
	}
}
