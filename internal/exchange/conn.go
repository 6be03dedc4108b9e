package exchange

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// readBuffer holds an answer's head, as S3 gives it, and most bodies of errors.
	readBuffer = 4 << 10
	// maxHead bounds an answer's head.
	maxHead = 1 << 20
	// maxInformational bounds the answers of 1xx before the one that counts.
	maxInformational = 8
	// record is what goes into one record of TLS: less than that is written at once.
	record = 16 << 10
)

// conn is a connection. One request at a time uses it.
type conn struct {
	net.Conn // what is written and read
	pool     *Pool
	to       target
	raw      net.Conn    // under TLS
	look     func() bool // at raw, made by its first use
	reader   *bufio.Reader
	left     int64 // that may be read before an answer's head has ended
	head     []byte
	since    time.Time // that it is idle
}

func newConn(p *Pool, to target, c, raw net.Conn) *conn {
	n := &conn{Conn: c, pool: p, to: to, raw: raw}
	n.reader = bufio.NewReaderSize(io.Reader(limited{n}), readBuffer)
	return n
}

// limited reads a connection, up to its limit.
type limited struct{ *conn }

var errHead = errors.New("the head of the answer is longer than 1 MiB")

func (l limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHead
	}
	n, err := l.Conn.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

func (c *conn) close() { _ = c.raw.Close() } // without TLS's farewell, which may block

// old says whether a connection has been idle for too long. It asks the time of day: the
// clock of Go's timers stands still while a machine sleeps, and the network's does not.
func (c *conn) old(most time.Duration) bool {
	idle := time.Now().Round(0).Sub(c.since.Round(0))
	return idle < 0 || idle > most
}

// quiet says whether nothing has been read that belongs to no answer. TLS may have read
// more than it has given: what it reads is looked at without waiting for anything.
func (c *conn) quiet() bool {
	if c.reader.Buffered() > 0 {
		return false
	}
	if _, secure := c.Conn.(*tls.Conn); !secure {
		return true
	}
	if err := c.raw.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return false
	}
	if _, err := c.reader.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	return c.raw.SetReadDeadline(time.Time{}) == nil
}

// check refuses what would be another request on the wire.
func check(r *http.Request, body net.Buffers) error {
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return fmt.Errorf("unsupported scheme %q", r.URL.Scheme)
	}
	if r.Host == "" || !httpguts.ValidHostHeader(r.Host) || !httpguts.ValidHeaderFieldName(r.Method) || r.URL.Opaque != "" {
		return fmt.Errorf("invalid method %q, host %q or URL", r.Method, r.Host)
	}
	if strings.ContainsFunc(r.URL.RawQuery, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return errors.New("invalid query")
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) || ofConnection(name) {
			return fmt.Errorf("invalid header name %q", name)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return fmt.Errorf("invalid value of the header %s", name) // which may be a secret
			}
		}
	}
	var size int64
	for _, part := range body {
		size += int64(len(part))
	}
	if size != r.ContentLength || size > MaxBody {
		return fmt.Errorf("the body has %d bytes, and %d were announced", size, r.ContentLength)
	}
	return nil
}

// do makes a request. The connection is closed after any failure.
func (c *conn) do(ctx context.Context, r *http.Request, body net.Buffers, moved func()) (*http.Response, error) {
	stop := context.AfterFunc(ctx, c.interrupt)
	moved()
	answer, err := c.exchange(r, body, moved)
	if err != nil {
		stop()
		c.close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	b := &answerBody{ReadCloser: answer.Body, conn: c, stop: stop, reusable: !answer.Close && !r.Close}
	if answer.Body == http.NoBody {
		b.ended = true
		return answer, b.Close()
	}
	answer.Body = b
	return answer, nil
}

// interrupt ends what is being written or read.
func (c *conn) interrupt() { _ = c.raw.SetDeadline(time.Unix(1, 0)) }

func (c *conn) exchange(r *http.Request, body net.Buffers, moved func()) (*http.Response, error) {
	written := c.write(r, body)
	if written == nil {
		moved()
	}
	// A server that refuses a request by its head may close before it has read the body.
	for range maxInformational + 1 {
		c.left = maxHead
		answer, err := http.ReadResponse(c.reader, r)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, cmp.Or(written, err)
		}
		if answer.StatusCode >= http.StatusOK {
			c.left = 1<<63 - 1
			answer.Close = answer.Close || written != nil
			return answer, nil
		}
		if answer.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("the server wants to speak another protocol")
		}
	}
	return nil, errors.New("the server has many informational answers and none that counts")
}

// write writes a request with one system call, or one for each record of TLS.
func (c *conn) write(r *http.Request, body net.Buffers) error {
	c.head = appendHead(c.head[:0], r)
	if _, secure := c.Conn.(*tls.Conn); secure && int64(len(c.head))+r.ContentLength <= record {
		for _, part := range body {
			c.head = append(c.head, part...)
		}
		body = nil
	}
	if len(body) == 0 {
		_, err := c.Conn.Write(c.head)
		return err
	}
	all := append(net.Buffers{c.head}, body...)
	_, err := all.WriteTo(c.Conn)
	return err
}

// appendHead appends the head of a request.
func appendHead(b []byte, r *http.Request) []byte {
	b = append(append(append(b, r.Method...), ' '), r.URL.RequestURI()...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), r.Host...)
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), r.ContentLength, 10)
	for name, values := range r.Header {
		if ofRequest(name) {
			continue
		}
		for _, value := range values {
			b = append(append(append(append(b, "\r\n"...), name...), ": "...), value...)
		}
	}
	return append(b, "\r\n\r\n"...)
}

// ofRequest says whether a header is sent by a field of the request.
func ofRequest(name string) bool {
	return strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length")
}

// ofConnection says whether a header is about the connection, which is not its user's.
func ofConnection(name string) bool {
	for _, own := range [...]string{"Connection", "Expect", "Trailer", "Transfer-Encoding", "Upgrade"} {
		if strings.EqualFold(name, own) {
			return true
		}
	}
	return false
}

// answerBody is an answer's, with which its request ends.
type answerBody struct {
	io.ReadCloser
	conn     *conn // nil: closed
	stop     func() bool
	reusable bool
	ended    bool
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended = err == io.EOF
		b.reusable = b.reusable && b.ended
	}
	return n, err
}

// Close gives the connection back, or ends it where there is more to read.
func (b *answerBody) Close() error {
	c := b.conn
	if c == nil {
		return nil
	}
	b.conn = nil
	if !b.stop() || !b.ended || !b.reusable || !c.quiet() {
		c.close()
		return nil
	}
	clear(c.head) // over TLS there is somebody's file in it
	c.pool.put(c)
	return nil
}
