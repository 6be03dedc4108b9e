package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// fault is one way in which a request can go wrong.
type fault struct {
	name string
	// kinds are those that its error may be of. None: it fails nothing.
	kinds []core.Kind
	// again says that another try is safe and may help.
	again bool
	// stalls says that only the Store's time limit ends it.
	stalls bool
	// midway says that it breaks off a content, of which some has been read.
	midway bool
	// hits says which requests it can happen to. nil: all.
	hits func(*http.Request) bool
	// via is the way a request takes that it happens to. ordinary is the others'.
	via func(r *http.Request, ordinary http.RoundTripper) (*http.Response, error)
}

// allFaults are the faults of the matrix. What makes them ends with the test.
func allFaults(t *testing.T, s *s3test.Server) []fault {
	t.Helper()
	down := []core.Kind{core.ErrUnavailable}
	wire := func(name string, toxics ...string) fault {
		return fault{name: name, kinds: down, again: true, via: through(toxicWay(t, s, toxics...))}
	}
	some := func(hits func(*http.Request) bool, f fault) fault { f.hits = hits; return f }
	midway := func(f fault) fault { f.midway = true; return f }
	harmless := func(f fault) fault { f.kinds = nil; return f }
	stalling := func(f fault) fault { f.again, f.stalls = false, true; return f }
	return []fault{
		harmless(wire("latency of 20 ms", `{"type":"latency","stream":"upstream","attributes":{"latency":10}}`, `{"type":"latency","stream":"downstream","attributes":{"latency":10}}`)),
		harmless(wire("a slow request", `{"type":"bandwidth","stream":"upstream","attributes":{"rate":20000}}`)),
		harmless(wire("a slow answer", `{"type":"bandwidth","stream":"downstream","attributes":{"rate":20}}`)),
		wire("a request cut in its head", `{"type":"limit_data","stream":"upstream","attributes":{"bytes":100}}`),
		some(withContent, wire("a request cut in its body", `{"type":"limit_data","stream":"upstream","attributes":{"bytes":3000}}`)),
		wire("an answer cut in its head", `{"type":"limit_data","stream":"downstream","attributes":{"bytes":60}}`),
		{name: "an answer cut in its body", kinds: down, again: true, hits: answeredWithText, via: halving},
		midway(some(forContent, wire("a content cut in its middle", `{"type":"limit_data","stream":"downstream","attributes":{"bytes":3000}}`))),
		wire("a reset before the request arrives", `{"type":"reset_peer","stream":"upstream","attributes":{"timeout":0}}`),
		wire("a reset in place of the answer", `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`),
		stalling(wire("a half-open connection that takes nothing", `{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`)),
		stalling(wire("a half-open connection that gives nothing", `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)),
		{name: "500", kinds: down, again: true, via: answered(http.StatusInternalServerError, "InternalError")},
		{name: "503 SlowDown", kinds: down, again: true, via: answered(http.StatusServiceUnavailable, "SlowDown")},
		{name: "403", kinds: []core.Kind{core.ErrDenied}, via: answered(http.StatusForbidden, "AccessDenied")},
		{name: "expired credentials", kinds: []core.Kind{core.ErrCredentials}, hits: withText, via: answered(http.StatusForbidden, "ExpiredToken")},
		{name: "clock skew", kinds: []core.Kind{core.ErrClockSkew}, hits: withText, via: answered(http.StatusForbidden, "RequestTimeTooSkewed")},
		{name: "a lost answer", kinds: down, again: true, via: losing},
		{name: "504 for what was done", kinds: down, again: true, via: mislaid},
		{name: "wrong checksum", kinds: []core.Kind{core.ErrChecksum}, again: true, hits: withContent, via: damaging},
		{name: "DNS failure", kinds: down, again: true, via: through(dialling(t, nameless))},
		{name: "TLS failure", kinds: down, again: true, via: untrusted(t)},
	}
}

func through(way http.RoundTripper) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(r *http.Request, _ http.RoundTripper) (*http.Response, error) { return way.RoundTrip(r) }
}

// toxicWay returns a way to the server through a toxiproxy that has the toxics.
// Each request has a connection, and with it the toxics, of its own.
func toxicWay(t *testing.T, s *s3test.Server, toxics ...string) *http.Transport {
	t.Helper()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), t.Name(), "127.0.0.1:0", s.Endpoint)
	for _, toxic := range toxics {
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return dialling(t, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, proxy.Listen)
	})
}

// dialling returns a way that begins with a dial of the test's own, for each request.
// It does not announce that: the server would close the connection by itself.
func dialling(t *testing.T, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	way := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: -1, DisableCompression: true}
	t.Cleanup(way.CloseIdleConnections)
	return way
}

// nameless dials as if no name server could be reached.
func nameless(ctx context.Context, network, _ string) (net.Conn, error) {
	dialer := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, syscall.ENETUNREACH
	}}}
	return dialer.DialContext(ctx, network, "storage.invalid:9000")
}

// untrusted sends requests to a server whose certificate nobody has signed.
func untrusted(t *testing.T) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = discarded()
	server.StartTLS()
	t.Cleanup(server.Close)
	way := dialling(t, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	})
	return func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme = "https"
		return way.RoundTrip(r)
	}
}

// answered answers in the server's place; the request does not reach it.
func answered(status int, code string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		if r.Body != nil {
			_, err := io.Copy(io.Discard, r.Body)
			if err = errors.Join(err, r.Body.Close()); err != nil {
				return nil, err
			}
		}
		return answerTo(r, status, code), nil
	}
}

func answerTo(r *http.Request, status int, code string) *http.Response {
	body := fmt.Sprintf(`<?xml version="1.0"?><Error><Code>%s</Code><Message>made for a test</Message></Error>`, code)
	if r.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

// losing has the server do what it is asked to, and loses its answer.
func losing(r *http.Request, ordinary http.RoundTripper) (*http.Response, error) {
	if err := done(r, ordinary); err != nil {
		return nil, err
	}
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// mislaid is losing, behind a proxy that answers for a server it has given up.
func mislaid(r *http.Request, ordinary http.RoundTripper) (*http.Response, error) {
	if err := done(r, ordinary); err != nil {
		return nil, err
	}
	return answerTo(r, http.StatusGatewayTimeout, "GatewayTimeout"), nil
}

func done(r *http.Request, ordinary http.RoundTripper) error {
	answer, err := ordinary.RoundTrip(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

// damaging changes the first byte on its way.
func damaging(r *http.Request, ordinary http.RoundTripper) (*http.Response, error) {
	r = r.Clone(r.Context())
	first := make([]byte, 1)
	if _, err := io.ReadFull(r.Body, first); err != nil {
		return nil, err
	}
	first[0] ^= 1
	r.GetBody = nil
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), r.Body), r.Body}
	return ordinary.RoundTrip(r)
}

// halving loses the second half of the answer's body.
func halving(r *http.Request, ordinary http.RoundTripper) (*http.Response, error) {
	answer, err := ordinary.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	return answer, nil
}

// answeredWithText says whether a success is told by a document.
func answeredWithText(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.RawQuery != "" || r.Method == http.MethodPost || r.Header.Get("X-Amz-Copy-Source") != ""
}

// forContent says whether a file's content is asked for.
func forContent(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.RawQuery == "" }

// withText says whether the answer can say more than its status.
func withText(r *http.Request) bool { return r.Method != http.MethodHead }

// withContent says whether a file's content is sent.
func withContent(r *http.Request) bool {
	return r.Method == http.MethodPut && r.ContentLength > 4000 && (r.URL.RawQuery == "" || r.URL.Query().Has("partNumber"))
}

func discarded() *log.Logger { return log.New(io.Discard, "", 0) }
