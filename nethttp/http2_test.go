package nethttp_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// overHTTP2 serves the app's handler over HTTP/2.
func overHTTP2(t *testing.T, a *app) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(a.Config.Handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestUploadsOfOneHTTP2ConnectionDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{field: func(c *core.FieldConfig) { c.MaxSize = 8 * core.MiB }})
	s := overHTTP2(t, a)
	var wait sync.WaitGroup
	for n := range 20 {
		form := newBody().file("file", "a.bin", bytes.Repeat([]byte{byte(n)}, 1000+n*300_000))
		_ = form.w.Close()
		tooLarge := newBody().file("file", "a.bin", make([]byte, 9*core.MiB))
		_ = tooLarge.w.Close()
		wait.Go(func() { wantHTTP2(t, s, form, http.StatusCreated) })
		if n%5 == 0 {
			wait.Go(func() { wantHTTP2(t, s, tooLarge, http.StatusRequestEntityTooLarge) })
		}
	}
	wait.Wait()
	if objects, uploads := s3test.Leftovers(t, a.engine, a.bucket); len(objects) != 20 || len(uploads) > 0 {
		t.Errorf("the bucket holds %d objects and the open uploads %q, want 20 objects", len(objects), uploads)
	}
}

func wantHTTP2(t *testing.T, s *httptest.Server, b *body, status int) {
	res, err := s.Client().Post(s.URL, b.w.FormDataContentType(), bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode != status || res.ProtoMajor != 2 {
		t.Errorf("the answer is %s %s, want %d over HTTP/2", res.Proto, res.Status, status)
	}
}

func TestARefusalLeavesAnHTTP2ConnectionOpen(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	s := overHTTP2(t, a)
	var made atomic.Int32
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if !c.Reused {
			made.Add(1)
		}
	}})
	for range 5 {
		form := newBody().file("file", "a.txt", nil)
		_ = form.w.Close()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(form.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", form.w.FormDataContentType())
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("the answer is %s, want 422", res.Status)
		}
	}
	if made.Load() != 1 {
		t.Errorf("5 refused forms took %d connections, want 1", made.Load())
	}
}

func TestAnHTTP2StreamThatStallsOrEndsLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, stalls := range []bool{true, false} {
		a := newApp(t, appConfig{http: nethttp.Config{Limits: nethttp.Limits{Idle: 200 * time.Millisecond}}})
		s := overHTTP2(t, a)
		form := newBody().file("file", "a.bin", make([]byte, 6*core.MiB))
		reader, writer := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, reader)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", form.w.FormDataContentType())
		go func() {
			_, _ = writer.Write(form.Bytes()[:5_500_000])
			if !stalls {
				cancel()
			}
		}()
		res, err := s.Client().Do(r)
		switch {
		case stalls && err != nil:
			t.Errorf("a stream that stalls ends with %v, want an answer", err)
		case stalls && res.StatusCode != http.StatusRequestTimeout:
			t.Errorf("a stream that stalls is answered %d, want 408", res.StatusCode)
		}
		if res != nil {
			res.Body.Close()
		}
		_ = writer.Close()
		waitFor(t, "the handler", func() bool { return a.inFlight.Load() == 0 }) // of a stream that was reset, closing does not
		s.Close()
		if objects, uploads := s3test.Leftovers(t, a.engine, a.bucket); len(objects)+len(uploads) > 0 {
			t.Errorf("stalls %t: left behind are the objects %q and the open uploads %q, want none", stalls, objects, uploads)
		}
	}
}
