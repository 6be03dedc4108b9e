package nethttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// serving returns a server with a hook, and a store on an endpoint.
func serving(t *testing.T, endpoint string, mode core.StartupMode) (*http.Server, *core.Startup, net.Listener) {
	t.Helper()
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		PrivateBuckets: []string{s.Bucket(t)}, SigningKeys: []core.Secret{"a key for tests, long enough"}, Attempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	hook := store.Startup(core.StartupConfig{Mode: mode})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &http.Server{BaseContext: nethttp.OnServe(hook), Handler: nethttp.Live(), ReadHeaderTimeout: time.Minute}, hook, l
}

func TestAServerBeginsWhenStorageIsReady(t *testing.T) {
	t.Parallel()
	server, hook, l := serving(t, s3test.Start(t).Endpoint, core.Require)
	ended := make(chan error, 1)
	go func() { ended <- nethttp.ServeError(hook, server.Serve(l)) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || hook.Ready() != nil {
		t.Errorf("the answer is %s, ready: %v", res.Status, hook.Ready())
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("a server that was shut down ended with %v", err)
	}
}

func TestAServerWhoseStartFailsEndsWithTheReason(t *testing.T) {
	t.Parallel()
	server, hook, l := serving(t, "127.0.0.1:1", core.Require)
	err := nethttp.ServeError(hook, server.Serve(l))
	if !errors.Is(err, core.ErrUnavailable) || errors.Is(err, net.ErrClosed) {
		t.Errorf("it ended with %v, want why storage is unavailable", err)
	}
}

func TestAServerInTheBackgroundServesAtOnce(t *testing.T) {
	t.Parallel()
	server, hook, l := serving(t, "127.0.0.1:1", core.Background)
	ctx := server.BaseContext(l)
	if ctx != context.Background() || hook.Ready() == nil {
		t.Errorf("the context is %v, ready: %v; want a plain one and not ready", ctx, hook.Ready())
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the listener is closed: %v", err)
	}
	if err := errors.Join(c.Close(), l.Close(), hook.Stop(t.Context())); err != nil {
		t.Error(err)
	}
}
