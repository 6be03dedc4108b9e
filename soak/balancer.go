package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// balancer is what stands between an app and a cluster: it hands connections to
// the nodes in turn, and passes over those that refuse them or say that they are
// not ready. It knows nothing of what goes over a connection, and repeats nothing.
type balancer struct {
	listener net.Listener
	backends []*backend
	next     atomic.Uint64
	all      sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	ended bool
}

type backend struct {
	addr string
	down atomic.Bool
}

func startBalancer(ctx context.Context, addrs []string) (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{listener: l, open: map[net.Conn]struct{}{}}
	for _, addr := range addrs {
		one := &backend{addr: addr}
		b.backends = append(b.backends, one)
		b.all.Go(func() { one.watch(ctx) })
	}
	b.all.Go(b.accept)
	context.AfterFunc(ctx, b.stop)
	return b, nil
}

func (b *balancer) addr() string { return b.listener.Addr().String() }

// watch asks a node how it is, twice a second.
func (n *backend) watch(ctx context.Context) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		status, _, err := get(ctx, client, "http://"+n.addr+"/minio/health/cluster")
		n.down.Store(err != nil || status != http.StatusOK)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.all.Go(func() { b.serve(client) })
	}
}

func (b *balancer) serve(client net.Conn) {
	defer client.Close()
	server := b.dial()
	if server == nil {
		return
	}
	defer server.Close()
	if !b.keep(client, server) {
		return
	}
	defer b.forget(client, server)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // whichever side ends, the other does
			client.Close()
			server.Close()
		})
	}
	both.Wait()
}

// dial connects to the next node that takes it; nil where none does.
func (b *balancer) dial() net.Conn {
	first := b.next.Add(1)
	for _, unready := range []bool{false, true} { // those that seem down are better than none
		for i := range b.backends {
			n := b.backends[(first+uint64(i))%uint64(len(b.backends))]
			if n.down.Load() != unready {
				continue
			}
			if c, err := net.DialTimeout("tcp", n.addr, time.Second); err == nil {
				return c
			}
			n.down.Store(true)
		}
	}
	return nil
}

func (b *balancer) keep(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		b.open[c] = struct{}{}
	}
	return !b.ended
}

func (b *balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.open, c)
	}
}

// stop ends all connections.
func (b *balancer) stop() {
	b.listener.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	for c := range b.open {
		c.Close()
	}
}
