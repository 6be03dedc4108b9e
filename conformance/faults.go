package conformance

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

func cuts(t *testing.T, s *suite) {
	t.Run("U1 at every byte of a small body", func(t *testing.T) {
		a := s.app(t, options{})
		whole := titlePart + filePart("the content of a file") + titlePart + "--B--"
		a.post(t, formType, strings.NewReader(whole)).want(t, http.StatusCreated, 0)
		if err := a.file.Delete(t.Context(), a.stored(t).Key); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < len(whole); n++ {
			res := a.post(t, formType, strings.NewReader(whole[:n]))
			if res.status != http.StatusBadRequest || !strings.HasSuffix(res.problem.Type, core.ErrMalformed.Code()) {
				t.Errorf("the first %d of %d bytes, to %q: the answer is %d (%s), want 400", n, len(whole), whole[max(0, n-20):n], res.status, res.body)
			}
		}
		a.unseen(t)
		a.holds(t, 0)
	})
	whole := filePart(strings.Repeat("x", 11<<20)) + "--B--\r\n" // three parts in storage
	for name, n := range map[string]int{
		"U1 in the middle of a long file": 7 << 20, "U1 right behind its content": len(whole) - len("\r\n--B--\r\n"),
		"U1 behind a line end": len(whole) - len("--B--\r\n"), "U1 inside the final boundary": len(whole) - len("--\r\n"),
		"U1 before the final boundary's last dash": len(whole) - len("-\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			a := s.app(t, options{file: core.FieldConfig{MaxSize: 20 << 20}})
			a.post(t, formType, strings.NewReader(whole[:n])).want(t, http.StatusBadRequest, core.ErrMalformed)
			a.unseen(t)
			a.holds(t, 0)
		})
	}
}

// sendPart opens a connection, announces a file of size bytes and sends a share
// of it.
func (a *app) sendPart(t testing.TB, size int64, share float64) net.Conn {
	t.Helper()
	conn := a.dial(t)
	head := strings.TrimSuffix(filePart(""), "\r\n")
	total := int64(len(head)) + size + int64(len("\r\n--B--\r\n"))
	if _, err := io.WriteString(conn, a.head(formType, fmt.Sprint(total), nil)+head); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 64<<10)
	for left := int64(float64(size) * share); left > 0; left -= int64(len(chunk)) {
		if _, err := conn.Write(chunk[:min(left, int64(len(chunk)))]); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func clients(t *testing.T, s *suite) {
	large := core.FieldConfig{MaxSize: core.GiB}
	idle := nethttp.Config{Limits: nethttp.Limits{Idle: 300 * time.Millisecond}}
	for _, share := range []float64{0.01, 0.5, 0.99} {
		t.Run(fmt.Sprintf("U12 one that goes after %g %% of 16 MiB", share*100), func(t *testing.T) {
			t.Parallel()
			a := s.app(t, options{file: large})
			conn := a.sendPart(t, 16<<20, share)
			waitFor(t, "the upload to begin", func() bool { return a.inFlight.Load() == 1 })
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			a.settles(t, 0)
			a.unseen(t)
		})
	}
	t.Run("U11 one that only ends its side", func(t *testing.T) {
		t.Parallel()
		a := s.app(t, options{file: large})
		conn := a.sendPart(t, 16<<20, 0.5)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		a.settles(t, 0)
		a.unseen(t)
	})
	t.Run("U11 one that stalls", func(t *testing.T) {
		t.Parallel()
		a := s.app(t, options{file: large, http: idle})
		res := answerOn(t, a.sendPart(t, 16<<20, 0.5))
		res.want(t, http.StatusRequestTimeout, core.ErrSlow)
		a.settles(t, 0)
	})
	for name, c := range map[string]struct {
		limits nethttp.Limits
		chunk  int // sent now and then, each well within the time
	}{
		"U11 one that drips":                        {idle.Limits, 1},
		"U11 one that moves, for too long in all":   {nethttp.Limits{Total: 300 * time.Millisecond}, 16 << 10},
		"U11 one that moves, where nothing is idle": {nethttp.Limits{Idle: -1, Total: 300 * time.Millisecond}, 16 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.app(t, options{file: large, http: nethttp.Config{Limits: c.limits}})
			drips(t, a, make([]byte, c.chunk))
		})
	}
	t.Run("U11 one that stalls in a text", func(t *testing.T) {
		t.Parallel()
		a := s.app(t, options{http: idle})
		conn := a.dial(t)
		if _, err := io.WriteString(conn, a.head(formType, "1000", nil)+filePart("stored already")+titlePart[:len(titlePart)-3]); err != nil {
			t.Fatal(err)
		}
		res := answerOn(t, conn)
		res.want(t, http.StatusRequestTimeout, core.ErrSlow)
		a.settles(t, 0)
	})
	withhold(t, s, idle)
	t.Run("U12 one that goes while its row is stored", func(t *testing.T) { t.Parallel(); gone(t, s) })
}

// withhold keeps the last bytes of a request, and has it answered all the same, and the
// connection ended.
func withhold(t *testing.T, s *suite, idle nethttp.Config) {
	t.Run("U11 one that withholds what is behind its form", func(t *testing.T) {
		t.Parallel()
		a := s.app(t, options{http: idle})
		conn := a.dial(t)
		text := oneFile() + "\r\n"
		if _, err := io.WriteString(conn, a.head(formType, fmt.Sprint(len(text)+10), nil)+text); err != nil {
			t.Fatal(err)
		}
		answerOn(t, conn).want(t, http.StatusCreated, 0) // its file is whole
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection stays: %v", err)
		}
		a.settles(t, 1)
	})
	t.Run("U11 one that withholds the rest of what is refused", func(t *testing.T) {
		t.Parallel()
		a := s.app(t, options{http: idle})
		conn := a.dial(t)
		if _, err := io.WriteString(conn, a.head("video/mp4", "1000", nil)); err != nil {
			t.Fatal(err)
		}
		answerOn(t, conn).want(t, http.StatusUnsupportedMediaType, core.ErrType)
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection stays: %v", err)
		}
		a.settles(t, 0)
	})
}

// drips sends half a file, and then a chunk every 20 ms, until the app answers
// that this takes too long.
func drips(t *testing.T, a *app, chunk []byte) {
	conn := a.sendPart(t, 16<<20, 0.5)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_, _ = conn.Write(chunk) // the answer closes it
			}
		}
	}()
	res := answerOn(t, conn)
	close(stop)
	<-stopped
	res.want(t, http.StatusRequestTimeout, core.ErrSlow)
	a.settles(t, 0)
}

func gone(t *testing.T, s *suite) {
	entered := make(chan struct{})
	a := s.app(t, options{handler: func(_ *app, c Call, _ *form) error {
		close(entered)
		<-c.Request().Context().Done() // the row is stored meanwhile
		return c.Answer(http.StatusCreated, nil)
	}})
	conn := a.dial(t)
	text := oneFile() + "\r\n"
	if _, err := io.WriteString(conn, a.head(formType, fmt.Sprint(len(text)), nil)+text); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	object := a.stored(t)
	waitFor(t, "the request to end", func() bool { return a.inFlight.Load() == 0 })
	if !a.exists(t, object.Key) {
		t.Error("the object of a stored row is gone: the row points at nothing")
	}
}

func storage(t *testing.T, s *suite) {
	for _, c := range []struct {
		name   string
		change func(*testing.T, *core.Config)
		kind   core.Kind
	}{
		{"O7 it hangs up", func(t *testing.T, c *core.Config) { c.Endpoint = hangingUp(t) }, core.ErrUnavailable},
		{"O7 it swallows everything", func(t *testing.T, c *core.Config) {
			c.Endpoint, c.Timeout = s3test.BlackHole(t), 250*time.Millisecond
		}, core.ErrUnavailable},
		{"O7 it does not accept the secret", func(_ *testing.T, c *core.Config) { c.SecretKey = "wrong-secret" }, core.ErrCredentials},
	} {
		for size, content := range map[string]string{"a small file": "x", "a long file": strings.Repeat("x", 6<<20)} {
			t.Run(c.name+", "+size, func(t *testing.T) {
				t.Parallel()
				var endpoint string
				a := s.app(t, options{store: func(config *core.Config) {
					config.Attempts, config.Transport = 1, nil
					c.change(t, config)
					endpoint = config.Endpoint
				}})
				contentType, text := newBody().upload("file", "secret-name.txt", content).done()
				res := a.sendRaw(t, contentType, nil, text)
				res.want(t, http.StatusServiceUnavailable, c.kind)
				if res.header.Get("Retry-After") == "" {
					t.Errorf("the headers are %v, want Retry-After", res.header)
				}
				for _, secret := range []string{endpoint, s.engine.AccessKey, "wrong-secret", "secret-name", a.prefix} {
					if strings.Contains(res.body, secret) {
						t.Errorf("the answer %s tells of %q", res.body, secret)
					}
				}
				a.unseen(t)
			})
		}
	}
}

// hangingUp is a storage that closes every connection at once. A port where
// nobody listens could be somebody's in a moment.
func hangingUp(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
