//go:build linux

package core

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/internal/exchange"
	"github.com/filefield/filefield/internal/s3test"
)

// relay stands before a storage, and knows its connections.
type relay struct {
	address string
	storage string

	mu    sync.Mutex
	made  int
	conns []net.Conn
	copy  sync.WaitGroup
}

func startRelay(t *testing.T, storage string) *relay {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: l.Addr().String(), storage: storage}
	r.copy.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.copy.Go(func() { r.pass(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); r.hangUp(); r.copy.Wait() })
	return r
}

func (r *relay) pass(conn net.Conn) {
	storage, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", r.storage)
	if err != nil {
		conn.Close()
		return
	}
	r.mu.Lock()
	r.made++
	r.conns = append(r.conns, conn, storage)
	r.mu.Unlock()
	r.copy.Go(func() { _, _ = io.Copy(storage, conn); storage.Close() })
	_, _ = io.Copy(conn, storage)
	conn.Close()
}

// hangUp closes all connections.
func (r *relay) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		conn.Close()
	}
	r.conns = nil
}

func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made
}

// openAt returns a Store that reaches a storage by an address, and tries nothing twice.
func openAt(t *testing.T, s *s3test.Server, address string) *Store {
	t.Helper()
	store, err := Open(Config{
		Endpoint: address, AccessKey: s.AccessKey, SecretKey: Secret(s.SecretKey), Attempts: 1,
		SigningKeys: []Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	return store
}

func TestSmallObjectsShareOneConnection(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	relay := startRelay(t, s.Endpoint)
	store := openAt(t, s, relay.address)
	b := store.Bucket(s.Bucket(t))
	save := func(size int) {
		t.Helper()
		content := bytes.Repeat([]byte("x"), size)
		if _, err := b.Save(t.Context(), fmt.Sprint(size), Upload{Body: bytes.NewReader(content), Replace: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{1, 10 << 10, exchange.MaxBody} {
		save(size)
	}
	if n := relay.count(); n != 1 {
		t.Errorf("small objects took %d connections, want 1", n)
	}
	save(exchange.MaxBody + 1)
	if n := relay.count(); n != 2 {
		t.Errorf("with a larger object there are %d connections, want 2: it goes by the Transport", n)
	}
	store.CloseIdleConnections()
	save(1)
	if n := relay.count(); n != 3 {
		t.Errorf("there are %d connections after the idle ones were closed, want 3", n)
	}
	relay.hangUp()
	time.Sleep(20 * time.Millisecond) // the end is on its way
	save(1)                           // nothing is tried twice
	if n := relay.count(); n != 4 {
		t.Errorf("there are %d connections after storage has closed them all, want 4", n)
	}
}

func TestATraceSeesSmallRequests(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	b := openAt(t, s, s.Endpoint).Bucket(s.Bucket(t))
	var got, wrote int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { got++ },
		WroteRequest: func(httptrace.WroteRequestInfo) { wrote++ },
	})
	if _, err := b.Save(ctx, "k", Upload{Body: bytes.NewReader([]byte("x")), Replace: true}); err != nil || got != 1 || wrote != 1 {
		t.Errorf("the trace saw %d connections and %d requests, want one each: %v", got, wrote, err)
	}
}

func TestTheWatchdogSeesASmallRequestMove(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store := openAt(t, s, s.Endpoint)
	content := ropeOf(t, []byte("content"))
	moved := 0
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.Endpoint+"/bucket/key", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = content.size
	answer, err := store.carry(t.Context(), r, &ropeReader{rope: content, read: func() { moved++ }})
	if err != nil {
		t.Fatal(err)
	}
	drain(answer.Body)
	if moved != 2 {
		t.Errorf("it saw %d moves, want the connection and the body", moved)
	}
}

func TestSmallRequestsGoByTheTransport(t *testing.T) { //nolint:paralleltest // it sets variables
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, "")
	}
	for _, test := range []struct {
		name, variable string
		config         Config
		want           bool
	}{
		{name: "by default", want: false},
		{name: "with TLS", config: Config{UseHTTPS: true}, want: false},
		{name: "where it is the app's own", config: Config{Transport: &http.Transport{}}, want: true},
		{name: "where there may be a proxy", variable: "HTTP_PROXY", want: true},
		{name: "where there may be one, in small letters", variable: "http_proxy", want: true},
		{name: "where one is for TLS, which is not spoken", variable: "HTTPS_PROXY", want: false},
		{name: "where there may be one for TLS", variable: "https_proxy", config: Config{UseHTTPS: true}, want: true},
		{name: "where one is only for what has no TLS", variable: "HTTP_PROXY", config: Config{UseHTTPS: true}, want: false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.variable != "" {
				t.Setenv(test.variable, "proxy.example:3128")
			}
			transport, err := test.config.transport()
			if err != nil {
				t.Fatal(err)
			}
			if pool := test.config.exchanges(transport); (pool == nil) != test.want {
				t.Errorf("by the transport: %t, want %t", pool == nil, test.want)
			}
		})
	}
}
