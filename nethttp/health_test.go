package nethttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

func TestReadinessWaitsForTheStartInTheBackground(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder := s.Recorder(t)
	store, err := core.Open(core.Config{
		Endpoint: recorder.Endpoint(), AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		PrivateBuckets: []string{s.Bucket(t)}, SigningKeys: []core.Secret{"a key for tests, long enough"}, Attempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	down := make(chan struct{})
	recorder.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		select {
		case <-down:
			return false
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	})
	hook := store.Startup(core.StartupConfig{Mode: core.Background, MaxWait: 1})
	if err := hook.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		nethttp.Ready(store).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		return w
	}
	guarded := func() int {
		w := httptest.NewRecorder()
		nethttp.WhenReady(store)(nethttp.Live()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		return w.Code
	}
	if got := guarded(); got != http.StatusServiceUnavailable {
		t.Errorf("a route that needs storage answers %d, want 503", got)
	}
	w := ask()
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "start-up has not succeeded yet") {
		t.Errorf("before storage is ready the answer is %d, %s", w.Code, w.Body)
	}
	close(down)
	for hook.Ready() != nil {
		if t.Context().Err() != nil {
			t.Fatal("it never became ready")
		}
	}
	if got := guarded(); got != http.StatusOK {
		t.Errorf("a route that needs storage answers %d once it is there, want 200", got)
	}
	if w := ask(); w.Code != http.StatusOK || w.Body.String() != "ready\n" {
		t.Errorf("once storage is ready the answer is %d, %s", w.Code, w.Body)
	}
	if err := hook.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	recorder.Intercept(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true })
	if w := ask(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "s3:ListBucket") {
		t.Errorf("without the permission the answer is %d, %s; want 503 and the action", w.Code, w.Body)
	}
}
