package exchange

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// MaxBody is the longest body: what the buffers of a connection hold by Linux's defaults,
// so that it can be written although nobody reads it, as where it is refused by its head.
// Where they hold less, such an answer is not heard before ctx ends.
const MaxBody = 64 << 10

// Pool makes requests, and keeps the connections they went by for others. Dial is
// required. Safe for concurrent use; not to be copied after its first use.
type Pool struct {
	// Dial opens a connection. Its error is Do's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for https. A ServerName that is empty is the request's host. Default: the
	// zero configuration.
	TLS *tls.Config
	// HandshakeTimeout bounds TLS handshakes. Default: ctx alone.
	HandshakeTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request. Default 1 minute.
	IdleTimeout time.Duration
	// MaxIdle is how many are kept for a host. Default 64.
	MaxIdle int
	// MaxIdleTotal is how many are kept for all hosts. Default 256.
	MaxIdleTotal int

	mu      sync.Mutex
	idle    map[target][]*conn // the longest unused first
	total   int                // in idle
	closing bool               // since CloseIdle nobody has asked for a connection
	timer   *time.Timer        // of the idle ones, nil: none is set
}

const (
	defaultIdleTimeout  = time.Minute
	defaultMaxIdle      = 64
	defaultMaxIdleTotal = 256
)

// target is where connections go.
type target struct{ scheme, host string }

// address is the target's for Dial.
func (to target) address() string {
	port := (&url.URL{Host: to.host}).Port()
	switch {
	case port != "":
	case to.scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(to.name(), port)
}

// name is the target's, without a port.
func (to target) name() string { return (&url.URL{Host: to.host}).Hostname() }

// Do makes a request by its Method, URL, Host, Header and ContentLength, with body,
// which is of that length and is not used any more when Do returns. ctx bounds it all,
// with the reading of the answer's Body, which has to be closed; read to its end, its
// connection is used again. moved, if not nil, is called when there is a connection, and
// when all has been written. A connection that breaks is an error, and whether the
// request was carried out then nobody knows: it is never made again by itself. Nothing
// is sent for a ctx that has ended before.
func (p *Pool) Do(ctx context.Context, r *http.Request, body net.Buffers, moved func()) (*http.Response, error) {
	if err := check(r, body); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c, err := p.conn(ctx, target{r.URL.Scheme, r.URL.Host})
	if err != nil {
		return nil, err
	}
	if moved == nil {
		moved = func() {}
	}
	return c.do(ctx, r, body, moved)
}

// conn returns a connection that no other request uses.
func (p *Pool) conn(ctx context.Context, to target) (*conn, error) {
	for {
		c := p.take(to)
		if c == nil {
			return p.dial(ctx, to)
		}
		if !c.old(p.idleTimeout()) && c.usable() {
			return c, nil
		}
		c.close()
	}
}

// take returns the connection used last: of those that are left over, most can time out.
func (p *Pool) take(to target) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = false
	list := p.idle[to]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	p.idle[to] = list[:len(list)-1]
	p.total--
	return c
}

// put keeps a connection for another request.
func (p *Pool) put(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[c.to]
	if p.closing || len(list) >= cmp.Or(p.MaxIdle, defaultMaxIdle) || p.total >= cmp.Or(p.MaxIdleTotal, defaultMaxIdleTotal) {
		c.close()
		return
	}
	if p.idle == nil {
		p.idle = map[target][]*conn{}
	}
	p.idle[c.to] = append(list, c)
	p.total++
	if p.timer == nil {
		p.timer = time.AfterFunc(p.idleTimeout(), p.closeOld)
	}
}

func (p *Pool) idleTimeout() time.Duration {
	return cmp.Or(p.IdleTimeout, defaultIdleTimeout)
}

// closeOld closes what has been idle for too long, and comes again for the rest.
func (p *Pool) closeOld() {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := time.Now().Add(-p.idleTimeout())
	if p.timer != nil { // CloseIdle may have been here, and put after it, while this waited
		p.timer.Stop()
		p.timer = nil
	}
	var next time.Time
	for to, list := range p.idle {
		old := 0
		for old < len(list) && !list[old].since.After(limit) {
			list[old].close()
			old++
		}
		p.total -= old
		list = append(list[:0], list[old:]...)
		clear(list[len(list) : len(list)+old])
		if len(list) == 0 {
			delete(p.idle, to)
			continue
		}
		p.idle[to] = list
		if next.IsZero() || list[0].since.Before(next) {
			next = list[0].since
		}
	}
	if !next.IsZero() {
		p.timer = time.AfterFunc(time.Until(next.Add(p.idleTimeout())), p.closeOld)
	}
}

// CloseIdle closes the connections that no request uses, and those of requests under way
// when they have ended, unless others have been made since. The Pool stays usable.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	for _, list := range p.idle {
		for _, c := range list {
			c.close()
		}
	}
	clear(p.idle)
	p.total, p.closing = 0, true
}

func (p *Pool) dial(ctx context.Context, to target) (*conn, error) {
	raw, err := p.Dial(ctx, "tcp", to.address())
	if err != nil {
		return nil, err
	}
	if to.scheme != "https" {
		return newConn(p, to, raw, raw), nil
	}
	secure, err := p.handshake(ctx, to, raw)
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", to.host, err)
	}
	return newConn(p, to, secure, raw), nil
}

func (p *Pool) handshake(ctx context.Context, to target, raw net.Conn) (*tls.Conn, error) {
	if p.HandshakeTimeout > 0 {
		limited, cancel := context.WithTimeout(ctx, p.HandshakeTimeout)
		defer cancel()
		ctx = limited
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.TLS != nil {
		config = p.TLS.Clone()
	}
	config.NextProtos = nil // HTTP/1.1 is what is spoken without
	if config.ServerName == "" {
		config.ServerName = to.name()
	}
	secure := tls.Client(raw, config)
	return secure, secure.HandshakeContext(ctx)
}
