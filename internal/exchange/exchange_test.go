//go:build linux

package exchange

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counted is a Pool that counts the connections it makes.
type counted struct {
	*Pool
	dials atomic.Int32
}

func newPool(t testing.TB) *counted {
	t.Helper()
	c := &counted{}
	c.Pool = &Pool{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c.dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	t.Cleanup(c.CloseIdle)
	return c
}

// put makes a request whose body may be in parts.
func put(base string, parts ...string) (*http.Request, net.Buffers) {
	u, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	r := &http.Request{Method: http.MethodPut, URL: u, Host: u.Host, Header: http.Header{}}
	var body net.Buffers
	for _, part := range parts {
		body = append(body, []byte(part))
		r.ContentLength += int64(len(part))
	}
	return r, body
}

// send makes a request and reads its answer.
func (c *counted) send(ctx context.Context, base string, parts ...string) (status int, text string, err error) {
	r, body := put(base, parts...)
	answer, err := c.Do(ctx, r, body, nil)
	if err != nil {
		return 0, "", err
	}
	got, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(got), errors.Join(err, answer.Body.Close())
}

// serve speaks for a server, on every connection it gets.
func serve(t *testing.T, speak func(c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer c.Close()
				speak(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() { l.Close(); talks.Wait() })
	return "http://" + l.Addr().String() + "/"
}

// hear reads a request with its body.
func hear(r *bufio.Reader) error {
	request, err := http.ReadRequest(r)
	if err == nil {
		_, err = io.Copy(io.Discard, request.Body)
	}
	return err
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Host, body)
}

func TestRequestsGoOutAsTheyAreByOneConnection(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	pool := newPool(t)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, parts := range [][]string{{"one"}, nil, {"in ", "several", " parts"}, {strings.Repeat("x", MaxBody)}} {
		status, text, err := pool.send(t.Context(), server.URL+"/a%2Fb/c?x=1&y", parts...)
		want := fmt.Sprintf("PUT /a%%2Fb/c?x=1&y %s %s", host, strings.Join(parts, ""))
		if err != nil || status != http.StatusOK || text != want {
			t.Errorf("the server heard %.80q, %d, %v; want %.80q", text, status, err, want)
		}
	}
	if n := pool.dials.Load(); n != 1 {
		t.Errorf("there were %d connections, want 1", n)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(echo))
	defer server.Close()
	pool := newPool(t)
	if _, _, err := pool.send(t.Context(), server.URL); err == nil {
		t.Error("a server was trusted whose certificate nobody vouches for")
	} else if certificate := new(tls.CertificateVerificationError); !errors.As(err, &certificate) {
		t.Errorf("the error is %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	pool.TLS, pool.HandshakeTimeout = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, time.Minute
	pool.dials.Store(0)
	for _, body := range []string{"short", strings.Repeat("long", 10_000)} {
		if _, text, err := pool.send(t.Context(), server.URL, body); err != nil || !strings.HasSuffix(text, body) {
			t.Errorf("the server heard %.80q, %v", text, err)
		}
		time.Sleep(5 * time.Millisecond) // what the server says of its session has been read
	}
	if n := pool.dials.Load(); n != 1 {
		t.Errorf("there were %d connections, want 1", n)
	}
}

func TestAHandshakeThatDoesNotEndIsGivenUp(t *testing.T) {
	t.Parallel()
	address := serve(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	pool := newPool(t)
	pool.HandshakeTimeout = 50 * time.Millisecond
	_, _, err := pool.send(t.Context(), "https"+strings.TrimPrefix(address, "http"))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "TLS handshake with 127.0.0.1") {
		t.Errorf("the error is %v", err)
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	pool := newPool(t)
	pool.MaxIdle = 3
	var work sync.WaitGroup
	for i := range 16 {
		work.Go(func() {
			for j := range 50 {
				body := fmt.Sprint(i, " and ", j)
				if _, text, err := pool.send(t.Context(), server.URL, body); err != nil || !strings.HasSuffix(text, " "+body) {
					t.Errorf("the server heard %q, %v; want %q", text, err, body)
				}
			}
		})
	}
	work.Wait()
	if n := len(pool.idle[target{"http", strings.TrimPrefix(server.URL, "http://")}]); n > 3 {
		t.Errorf("%d connections are kept, want 3", n)
	}
}

// TestNoPoolIsLargerThanAllowed counts across hosts.
func TestNoPoolIsLargerThanAllowed(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	pool.MaxIdleTotal = 2
	for range 3 {
		server := httptest.NewServer(http.HandlerFunc(echo))
		defer server.Close()
		if _, _, err := pool.send(t.Context(), server.URL); err != nil {
			t.Fatal(err)
		}
	}
	if len(pool.idle) != 2 || pool.total != 2 {
		t.Errorf("%d hosts have %d connections, want 2", len(pool.idle), pool.total)
	}
}

// TestWhatIsSaidAfterAnAnswerIsNoAnswerToTheNextRequest has servers that say more than
// they were asked for, at once or later, and at the end of what TLS holds for itself.
func TestWhatIsSaidAfterAnAnswerIsNoAnswerToTheNextRequest(t *testing.T) {
	t.Parallel()
	const other = "HTTP/1.1 200 OK\r\nX-Other: 1\r\nContent-Length: 0\r\n\r\n"
	long := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: "
	long += strings.Repeat("x", readBuffer-len(long)-len("\r\n\r\n")) + "\r\n\r\n"
	for name, speak := range map[string]func(net.Conn){
		"behind an answer that fills the buffer": func(c net.Conn) { _, _ = io.WriteString(c, long+other) },
		"a moment later": func(c net.Conn) {
			_, _ = io.WriteString(c, long)
			time.Sleep(time.Millisecond)
			_, _ = io.WriteString(c, other)
		},
		"a farewell without an end": func(c net.Conn) {
			_, _ = io.WriteString(c, long)
			if secure, ok := c.(*tls.Conn); ok {
				_ = secure.CloseWrite()
			}
		},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, with TLS %t", name, secure), func(t *testing.T) {
				t.Parallel()
				said := make(chan struct{}, 3)
				address := serve(t, func(c net.Conn, r *bufio.Reader) {
					if secure {
						c = tls.Server(peeked{c, r}, certificate())
						r = bufio.NewReader(c)
					}
					for hear(r) == nil { // it is the client that closes
						speak(c)
						said <- struct{}{}
					}
				})
				pool := newPool(t)
				if secure {
					address = "https" + strings.TrimPrefix(address, "http")
					pool.TLS = &tls.Config{InsecureSkipVerify: true}
				}
				for range 3 {
					r, body := put(address, "body")
					answer, err := pool.Do(t.Context(), r, body, nil)
					if err != nil {
						t.Fatal(err)
					}
					answer.Body.Close()
					if answer.Header.Get("X-Other") != "" {
						t.Fatal("the answer is another's")
					}
					<-said // what is said even later, nobody can tell from the next answer
				}
			})
		}
	}
}

// peeked is a connection of which something has been read already.
type peeked struct {
	net.Conn
	r io.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

func certificate() *tls.Config {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	return &tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
}

func TestAConnectionIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"that the server closes":               "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"of HTTP/1.0":                          "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"that has more to read":                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
		"whose answer's length nobody said":    "HTTP/1.1 200 OK\r\n\r\n",
		"whose answer ends in its middle":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		"whose answer is chunked and is ended": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(c net.Conn, r *bufio.Reader) {
				if hear(r) == nil {
					_, _ = io.WriteString(c, answer)
				}
			})
			pool := newPool(t)
			for range 2 {
				if status, _, err := pool.send(t.Context(), address, "body"); status != http.StatusOK && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the answer is %d, %v", status, err)
				}
			}
			if n := pool.dials.Load(); n != 2 {
				t.Errorf("there were %d connections, want 2", n)
			}
		})
	}
}

func TestAnIdleConnectionThatTheServerClosedIsNotUsed(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 2)
	address := serve(t, func(c net.Conn, r *bufio.Reader) {
		if hear(r) == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		c.Close()
		closed <- struct{}{}
	})
	pool := newPool(t)
	for range 2 {
		if status, _, err := pool.send(t.Context(), address, "body"); err != nil || status != http.StatusOK {
			t.Fatalf("the answer is %d, %v", status, err)
		}
		<-closed
	}
	if n := pool.dials.Load(); n != 2 {
		t.Errorf("there were %d connections, want 2", n)
	}
}

// age has the idle connections be so for longer.
func (c *counted) age(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range c.idle {
		for _, one := range list {
			one.since = one.since.Add(-by)
		}
	}
}

func TestAConnectionThatWasIdleWhileTheMachineSleptIsNotUsed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	pool := newPool(t)
	for n, by := range []time.Duration{0, time.Hour, -time.Hour} {
		pool.age(by)
		if _, _, err := pool.send(t.Context(), server.URL); err != nil || int(pool.dials.Load()) != n+1 {
			t.Errorf("%s later there were %d connections, want %d: %v", by, pool.dials.Load(), n+1, err)
		}
	}
}

func TestAConnectionInUseIsClosedAfterCloseIdle(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			pool.CloseIdle()
		}
		echo(w, r)
	}))
	defer server.Close()
	for path, want := range map[string]int{"/close": 0, "/": 1} {
		if _, _, err := pool.send(t.Context(), server.URL+path); err != nil || pool.total != want {
			t.Errorf("after %s there are %d connections, want %d: %v", path, pool.total, want, err)
		}
		pool.CloseIdle()
	}
}

func TestConnectionsThatAreIdleForLongAreClosed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	pool := newPool(t)
	for range 2 {
		if _, _, err := pool.send(t.Context(), server.URL); err != nil {
			t.Fatal(err)
		}
	}
	pool.closeOld()
	if len(pool.idle) != 1 || pool.timer == nil {
		t.Errorf("%d hosts have idle connections, want one, for which a timer is set", len(pool.idle))
	}
	pool.age(2 * defaultIdleTimeout)
	pool.closeOld()
	if len(pool.idle) != 0 || pool.timer != nil {
		t.Errorf("%d hosts have idle connections, want none", len(pool.idle))
	}
	if _, _, err := pool.send(t.Context(), server.URL); err != nil || pool.dials.Load() != 2 {
		t.Errorf("after %d connections: %v", pool.dials.Load(), err)
	}
}

func TestAServerThatRefusesBeforeItHasReadIsHeard(t *testing.T) {
	t.Parallel()
	address := serve(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		}
		_, _ = io.Copy(io.Discard, r) // or what it did not read would take its answer back
	})
	status, text, err := newPool(t).send(t.Context(), address, strings.Repeat("x", MaxBody))
	if err != nil || status != http.StatusForbidden || text != "no" {
		t.Errorf("the answer is %d, %q, %v", status, text, err)
	}
}

func TestARequestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("the client has gone")
	for name, begin := range map[string]string{
		"before there is an answer": "", "in the head of the answer": "HTTP/1.1 200 OK\r\nConte", "in its body": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := make(chan struct{})
			address := serve(t, func(c net.Conn, r *bufio.Reader) {
				if hear(r) == nil {
					_, _ = io.WriteString(c, begin)
				}
				cancel(cause)
				_, _ = r.ReadByte() // until the connection is closed
				close(ended)
			})
			pool := newPool(t)
			if _, _, err := pool.send(ctx, address, "body"); !errors.Is(err, cause) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the error is %v, want the context's cause", err)
			}
			<-ended
			if len(pool.idle) != 0 {
				t.Error("its connection is kept")
			}
		})
	}
	if _, _, err := newPool(t).send(func() context.Context { ctx, cancel := context.WithCancel(t.Context()); cancel(); return ctx }(), "http://127.0.0.1:1"); err == nil {
		t.Error("a context that has ended made a request")
	}
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	t.Parallel()
	var heard atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		echo(w, r)
	}))
	defer server.Close()
	pool := newPool(t)
	if _, _, err := pool.send(t.Context(), server.URL); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for range 20 {
		if _, _, err := pool.send(ctx, server.URL); !errors.Is(err, cause) {
			t.Errorf("the error is %v", err)
		}
	}
	if _, _, err := pool.send(t.Context(), server.URL); err != nil || heard.Load() != 2 || pool.dials.Load() != 1 {
		t.Errorf("the server heard %d requests by %d connections, want 2 by 1: %v", heard.Load(), pool.dials.Load(), err)
	}
}

func TestMovedIsCalledWithTheConnectionAndAfterTheBody(t *testing.T) {
	t.Parallel()
	moved := 0
	address := serve(t, func(c net.Conn, r *bufio.Reader) {
		if hear(r) == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	r, body := put(address, "body")
	answer, err := newPool(t).Do(t.Context(), r, body, func() { moved++ })
	if err != nil || moved != 2 {
		t.Fatalf("it was called %d times, want 2: %v", moved, err)
	}
	answer.Body.Close()
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing": "", "no HTTP": "220 welcome to this mail server\r\n\r\n", "half a head": "HTTP/1.1 200 OK\r\nA: b\r\n",
		"a head without end": "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxHead), "another protocol": "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"promises alone": strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(c net.Conn, r *bufio.Reader) {
				if hear(r) == nil {
					_, _ = io.WriteString(c, answer)
				}
			})
			if status, _, err := newPool(t).send(t.Context(), address, "body"); err == nil {
				t.Errorf("the answer is %d, want an error", status)
			}
		})
	}
}

func TestWhatWouldBeAnotherRequestIsNotSent(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	for name, change := range map[string]func(*http.Request){
		"a header's value":    func(r *http.Request) { r.Header.Set("A", "b\r\nC: d") },
		"a header's name":     func(r *http.Request) { r.Header["A: b\r\nC"] = []string{"d"} },
		"a host":              func(r *http.Request) { r.Host = "a\r\nB: c" },
		"no host":             func(r *http.Request) { r.Host = "" },
		"a method":            func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\n" },
		"a query":             func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1\r\nB: c" },
		"an opaque URL":       func(r *http.Request) { r.URL.Opaque = "//a" },
		"a scheme":            func(r *http.Request) { r.URL.Scheme = "HTTPS" },
		"an upgrade":          func(r *http.Request) { r.Header.Set("Upgrade", "h2c") },
		"another length":      func(r *http.Request) { r.ContentLength = 3 },
		"more than a body is": func(r *http.Request) { r.ContentLength = MaxBody + 1 },
	} {
		r, body := put("http://127.0.0.1:1/", "body")
		change(r)
		if r.ContentLength > MaxBody {
			body = net.Buffers{make([]byte, MaxBody+1)}
		}
		if _, err := pool.Do(t.Context(), r, body, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n := pool.dials.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"a.example": "a.example:80", "a.example:": "a.example:80", "a.example:9000": "a.example:9000", "[::1]": "[::1]:80", "[::1]:9000": "[::1]:9000",
	} {
		if got := (target{"http", host}).address(); got != want {
			t.Errorf("%s is %s, want %s", host, got, want)
		}
	}
	if got := (target{"https", "a.example"}).address(); got != "a.example:443" {
		t.Errorf("with TLS it is %s", got)
	}
}

func TestNothingIsLeftRunning(t *testing.T) { //nolint:paralleltest // it counts goroutines
	server := httptest.NewServer(http.HandlerFunc(echo))
	before := runtime.NumGoroutine()
	pool := newPool(t)
	if _, _, err := pool.send(t.Context(), server.URL, "body"); err != nil {
		t.Fatal(err)
	}
	server.Close()
	pool.CloseIdle()
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// FuzzHead holds what is written against what net/http's server reads of it.
func FuzzHead(f *testing.F) {
	f.Add("PUT", "/a b/ü", "x=1&y=%20", "h:80", "X-Amz-Meta-A", "value", "body")
	f.Add("GET", "", "", "h", "Content-Length", "7", "")
	f.Add("PUT", "//a", "?", "[::1]", "Host", "other", "b")
	f.Add("PUT", "/", "a b", "h", "A\r\nB", "c\nd", "GET / HTTP/1.1\r\n\r\n")
	f.Fuzz(func(t *testing.T, method, path, query, host, name, value, body string) {
		r := &http.Request{
			Method: method, URL: &url.URL{Scheme: "http", Host: host, Path: path, RawQuery: query}, Host: host,
			Header: http.Header{name: {value}}, ContentLength: int64(len(body)),
		}
		parts := net.Buffers{[]byte(body)}
		if check(r, parts) != nil || !strings.HasPrefix(path, "/") || method == http.MethodConnect {
			return
		}
		wire := append(appendHead(nil, r), body...)
		reader := bufio.NewReader(bytes.NewReader(wire))
		got, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatalf("%q is no request: %v", wire, err)
		}
		content, err := io.ReadAll(got.Body)
		if err != nil || string(content) != body || reader.Buffered() > 0 {
			t.Fatalf("%q has the body %q, %v", wire, content, err)
		}
		if got.Method != method || got.Host != host || got.RequestURI != r.URL.RequestURI() || len(got.Header) > 2 || got.ContentLength != int64(len(body)) {
			t.Errorf("%q is heard as %s %s of %s with %v", wire, got.Method, got.RequestURI, got.Host, got.Header)
		}
	})
}

func TestAConnectionIsLookedAtWithoutAllocating(t *testing.T) { //nolint:paralleltest // it counts allocations
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	pool := newPool(t)
	if _, _, err := pool.send(t.Context(), server.URL); err != nil {
		t.Fatal(err)
	}
	c := pool.take(target{"http", strings.TrimPrefix(server.URL, "http://")})
	defer c.close()
	usable := true
	if n := testing.AllocsPerRun(100, func() { usable = usable && c.usable() }); n != 0 || !usable {
		t.Errorf("it took %.0f allocations, want none; usable: %t", n, usable)
	}
}
