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

// overHTTP2 serves the app's handler over HTTP/2, with these settings or net/http's.
func overHTTP2(t *testing.T, a *app, settings *http.HTTP2Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(a.Config.Handler)
	s.EnableHTTP2 = true
	s.Config.HTTP2 = settings
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestUploadsOfOneHTTP2ConnectionDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	for got := range manyOverHTTP2(t, nethttp.HTTP2()) {
		want := http.StatusCreated
		if got.tooLarge {
			want = http.StatusRequestEntityTooLarge
		}
		if got.status != want {
			t.Errorf("too large %t: the answer is %d %s, want %d", got.tooLarge, got.status, got.text, want)
		}
	}
}

// With net/http's settings those that wait fill the connection's window. No client is
// told that it was too slow, since none was.
func TestUploadsThatHoldEachOtherUpOverHTTP2AreRefusedAsTooMany(t *testing.T) {
	t.Parallel()
	for got := range manyOverHTTP2(t, nil) {
		switch {
		case got.status == http.StatusServiceUnavailable:
			if got.retryAfter == "" {
				t.Error("an answer 503 has no Retry-After")
			}
		case got.tooLarge && got.status == http.StatusRequestEntityTooLarge:
		case !got.tooLarge && got.status == http.StatusCreated:
		default:
			t.Errorf("too large %t: the answer is %d %s", got.tooLarge, got.status, got.text)
		}
	}
}

// answerOverHTTP2 is what one of many uploads was told.
type answerOverHTTP2 struct {
	tooLarge   bool // its file
	status     int
	retryAfter string
	text       string
}

// manyOverHTTP2 sends more through one connection at once than there is memory for, and
// returns the answers. It checks that stored is what was answered 201, and nothing else.
func manyOverHTTP2(t *testing.T, settings *http.HTTP2Config) <-chan answerOverHTTP2 {
	t.Helper()
	const files, tooLarge = 20, 4
	a := newApp(t, appConfig{
		field: func(c *core.FieldConfig) { c.MaxSize = 8 * core.MiB },
		http:  nethttp.Config{Limits: nethttp.Limits{Idle: 5 * time.Minute}}, // the memory has its own patience
	})
	s := overHTTP2(t, a, settings)
	answers := make(chan answerOverHTTP2, files+tooLarge)
	var stored atomic.Int32
	var wait sync.WaitGroup
	send := func(size int64, tooLarge bool) {
		form := newBody().file("file", "a.bin", make([]byte, size))
		_ = form.w.Close()
		wait.Go(func() {
			got := askOverHTTP2(t, s, form)
			got.tooLarge = tooLarge
			if got.status == http.StatusCreated {
				stored.Add(1)
			}
			answers <- got
		})
	}
	for n := range files {
		send(int64(1000+n*300_000), false)
	}
	for range tooLarge {
		send(9*core.MiB, true)
	}
	wait.Wait()
	close(answers)
	waitFor(t, "the handlers", func() bool { return a.inFlight.Load() == 0 })
	if objects, uploads := s3test.Leftovers(t, a.engine, a.bucket); len(objects) != int(stored.Load()) || len(uploads) > 0 {
		t.Errorf("the bucket holds %d objects and the open uploads %q, want the %d that were answered 201", len(objects), uploads, stored.Load())
	}
	return answers
}

func askOverHTTP2(t *testing.T, s *httptest.Server, b *body) answerOverHTTP2 {
	res, err := s.Client().Post(s.URL, b.w.FormDataContentType(), bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Error(err)
		return answerOverHTTP2{}
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.ProtoMajor != 2 {
		t.Errorf("the answer is %s, want HTTP/2", res.Proto)
	}
	return answerOverHTTP2{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After"), text: string(text)}
}

func TestARefusalLeavesAnHTTP2ConnectionOpen(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	s := overHTTP2(t, a, nil)
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
		s := overHTTP2(t, a, nil)
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
