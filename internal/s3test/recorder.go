package s3test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Request is one request a Recorder passed on.
type Request struct {
	// Method, Path and RawQuery are as the client sent them, the path in its
	// escaped form.
	Method, Path, RawQuery string
	// Header holds all headers but Authorization.
	Header http.Header
	// ContentLength is the announced length, or -1 for a chunked body.
	ContentLength int64
	// Status is the answer's, or 0 while there is none.
	Status int
}

// Recorder is a proxy in front of a server, which notes every request. Bodies
// stream through it, and Host passes unchanged, so that signatures made for the
// recorder's own address stay valid. Its methods may be called concurrently.
type Recorder struct {
	endpoint string

	mu        sync.Mutex
	requests  []*Request
	intercept func(http.ResponseWriter, *http.Request) bool
}

// Recorder starts a proxy that lives as long as the test. It speaks plain HTTP,
// also in front of a server with TLS.
func (s *Server) Recorder(t testing.TB) *Recorder {
	t.Helper()
	r := &Recorder{}
	tr, scheme, err := transport(s.certs)
	if err != nil {
		t.Fatalf("s3test: %v", err)
	}
	front := httptest.NewServer(r.handler(scheme, s.Endpoint, tr))
	t.Cleanup(func() {
		front.CloseClientConnections() // a client may still hang on one
		front.Close()
		tr.CloseIdleConnections()
	})
	r.endpoint = strings.TrimPrefix(front.URL, "http://")
	return r
}

// Endpoint returns the proxy's "127.0.0.1:port", to be used in place of the
// server's.
func (r *Recorder) Endpoint() string { return r.endpoint }

// Requests returns the requests so far, in the order of their arrival. A client
// that has an answer finds its status here.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Request, len(r.requests))
	for i, req := range r.requests {
		out[i] = *req
	}
	return out
}

// Count returns how many requests there were with a method, or, for "", at all.
func (r *Recorder) Count(method string) int {
	n := 0
	for _, req := range r.Requests() {
		if method == "" || req.Method == method {
			n++
		}
	}
	return n
}

// Reset forgets all requests.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

// Intercept has f see every request first. Where f returns true it has answered
// the request itself, as with an error a real server makes rarely; the request
// is recorded either way. A nil f ends it.
func (r *Recorder) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.intercept = f
}

func (r *Recorder) handler(scheme, endpoint string, tr http.RoundTripper) http.Handler {
	proxy := passThrough(scheme, endpoint, tr)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		noted, intercept := r.note(req)
		w = &statusWriter{ResponseWriter: w, note: func(status int) { r.setStatus(noted, status) }}
		if intercept == nil || !intercept(w, req) {
			proxy.ServeHTTP(w, req)
		}
	})
}

func (r *Recorder) note(req *http.Request) (*Request, func(http.ResponseWriter, *http.Request) bool) {
	h := req.Header.Clone()
	h.Del("Authorization")
	noted := &Request{
		Method: req.Method, Path: req.URL.EscapedPath(), RawQuery: req.URL.RawQuery,
		Header: h, ContentLength: req.ContentLength,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, noted)
	return noted, r.intercept
}

func (r *Recorder) setStatus(noted *Request, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	noted.Status = status
}

// statusWriter tells the status before the client can see it.
type statusWriter struct {
	http.ResponseWriter
	note func(status int)
}

func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 { // not 100 Continue and its like
		w.note(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach Flush.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// passThrough is a reverse proxy that changes nothing a signature covers and
// holds nothing back. Where the server cannot be reached it breaks the
// connection, as the server's own absence would.
func passThrough(scheme, endpoint string, tr http.RoundTripper) http.Handler {
	target := &url.URL{Scheme: scheme, Host: endpoint}
	return &httputil.ReverseProxy{
		Transport:     tr,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = target.Scheme, target.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			p.Out.Host = p.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}
