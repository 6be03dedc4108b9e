package embeds3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// ErrRunning reports that an engine runs in this process already. The engine
// underneath keeps its settings in package variables, so there can be one at a
// time. Share it, close it first, or run the program
// github.com/filefield/filefield/embeds3/cmd/embeds3 as often as needed.
var ErrRunning = errors.New("embeds3: an engine is already running in this process: share it, close it first, or run cmd/embeds3 as a process of its own")

// running guards the engine's package variables, which is why it has to be one
// itself.
var running atomic.Bool //nolint:gochecknoglobals // the engine has such globals itself: one per process

const (
	// maxConnections and maxRequests leave room for a load test on one machine.
	maxConnections = 16384
	maxRequests    = 8192
	// maxParts is the limit of S3.
	maxParts = 10000
	// portAttempts bounds the search for a free port: between choosing one and
	// listening on it another process may take it.
	portAttempts = 16
)

// Server is a running engine. Its methods may be called concurrently, also
// after it has stopped. Make one with Start.
type Server struct {
	cfg      Config
	endpoint string
	cancel   context.CancelFunc
	done     chan struct{}
	err      error // valid once done is closed
}

// Start runs an S3 engine inside this process and returns when it answers, which
// takes some milliseconds. It runs until Close is called or ctx ends, whichever
// comes first.
//
// A second Start while one engine runs fails with ErrRunning.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("embeds3: start: %w", err)
	}
	if !running.CompareAndSwap(false, true) {
		return nil, ErrRunning
	}
	s, err := start(ctx, cfg)
	if err != nil {
		running.Store(false)
		return nil, err
	}
	return s, nil
}

func start(ctx context.Context, cfg Config) (*Server, error) {
	st, err := openStorage(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, done: make(chan struct{})}
	var attemptErr error
	for range portAttempts {
		var engine *engine
		if engine, attemptErr = listen(ctx, cfg, st); attemptErr == nil {
			s.endpoint, s.cancel = engine.addr, engine.cancel
			go s.supervise(engine, st)
			return s, nil
		}
		if !errors.Is(attemptErr, errPortRace) {
			break
		}
	}
	return nil, errors.Join(attemptErr, st.remove())
}

// supervise outlives Start: it waits for the engine's end, whatever caused it,
// and cleans up, so that a context's end leaves no folder behind either.
func (s *Server) supervise(e *engine, st storage) {
	err := <-e.ended
	e.cancel()
	s.err = errors.Join(err, st.remove())
	running.Store(false)
	close(s.done)
}

// Endpoint returns "host:port", as S3 clients want it. The scheme is http.
func (s *Server) Endpoint() string { return s.endpoint }

// AccessKey returns the name of the only account.
func (s *Server) AccessKey() string { return s.cfg.AccessKey }

// SecretKey returns the account's secret.
func (s *Server) SecretKey() string { return s.cfg.SecretKey }

// Region returns the region requests are to be signed for.
func (s *Server) Region() string { return s.cfg.Region }

// Done is closed when the engine has stopped and cleaned up.
func (s *Server) Done() <-chan struct{} { return s.done }

// Close stops the engine, waits until requests under way have ended (10 s at
// most) and removes a temporary folder. Further calls wait likewise and return
// the same error.
func (s *Server) Close() error {
	s.cancel()
	<-s.done
	return s.err
}

// String describes the server without its secret.
func (s *Server) String() string {
	return fmt.Sprintf("embeds3 at http://%s (access key %s, region %s)", s.endpoint, s.cfg.AccessKey, s.cfg.Region)
}

// Format writes what String returns, whatever the verb: others print the fields,
// and so the secret.
func (s *Server) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue describes the server to log/slog without its secret.
func (s *Server) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("endpoint", s.endpoint),
		slog.String("access_key", s.cfg.AccessKey),
		slog.String("region", s.cfg.Region),
	)
}

// engine is one attempt to run the gateway.
type engine struct {
	addr   string
	cancel context.CancelFunc
	ended  chan error
}

// startTimeout is how long the engine may take to answer its first request.
const startTimeout = 10 * time.Second

// errPortRace reports that a port that was free a moment ago no longer is.
var errPortRace = errors.New("embeds3: every free port found was taken by someone else before it could be used; start again")

func listen(ctx context.Context, cfg Config, st storage) (*engine, error) {
	addr, err := freeAddr(cfg.Addr)
	if err != nil {
		return nil, err
	}
	be, err := st.backend()
	if err != nil {
		return nil, err
	}
	owner := auth.Account{Access: cfg.AccessKey, Secret: cfg.SecretKey, Role: auth.RoleAdmin}
	if err := makeBuckets(ctx, be, owner, cfg.Buckets); err != nil {
		be.Shutdown()
		return nil, err
	}

	// The gateway must not be told to stop before it serves: it would then go on
	// listening for ever. So it runs on a context of its own, which ends with the
	// caller's only once a request has been answered.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e := &engine{addr: addr, cancel: cancel, ended: make(chan error, 1)}
	ready := make(chan struct{})
	var once sync.Once
	gw := &embedgw.Config{
		RootUserAccess:    cfg.AccessKey,
		RootUserSecret:    cfg.SecretKey,
		IAMService:        auth.NewIAMServiceSingle(owner), // given, because making one prints a line
		Region:            cfg.Region,
		Ports:             []string{addr},
		MaxConnections:    maxConnections,
		MaxRequests:       maxRequests,
		MultipartMaxParts: maxParts,
		KeepAlive:         true,
		Quiet:             true,
		S3Options:         []s3api.Option{s3api.WithOnListen(func() { once.Do(func() { close(ready) }) })},
	}
	go func() { e.ended <- embedgw.RunVersityGW(run, be, gw) }()

	select {
	case <-ready:
		if err := answers(run, addr); err != nil {
			cancel()
			return nil, errors.Join(err, <-e.ended)
		}
		context.AfterFunc(ctx, cancel)
		return e, nil
	case err := <-e.ended:
		cancel()
		return nil, startError(ctx, cfg, addr, err)
	}
}

// answers waits until the engine answers a request, whatever the answer is.
func answers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", http.NoBody)
		if err != nil {
			return fmt.Errorf("embeds3: start: %w", err)
		}
		response, err := client.Do(r)
		if err == nil {
			return response.Body.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("embeds3: the engine at %s does not answer: %w", addr, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// startError tells a caller's cancellation, a lost race for a free port and
// everything else apart.
func startError(ctx context.Context, cfg Config, addr string, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("embeds3: start: %w", context.Cause(ctx))
	case strings.Contains(err.Error(), "already running"):
		// Somebody runs the gateway underneath without this package.
		return ErrRunning
	case strings.HasSuffix(cfg.Addr, ":0") && strings.Contains(err.Error(), "in use"):
		return errPortRace
	default:
		return fmt.Errorf("embeds3: listen on %s: %w (is the port in use? Port 0 picks a free one)", addr, err)
	}
}

// freeAddr resolves port 0 to a free port, because the gateway takes its port as
// text and does not tell which one it got. A fixed port is tried as well, for
// an error in plain words.
func freeAddr(addr string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("embeds3: listen on %s: %w (another program, perhaps an engine left running, uses the port; port 0 picks a free one)", addr, err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// makeBuckets makes the buckets of Config.Buckets through the backend, before
// anything listens.
func makeBuckets(ctx context.Context, be backend.Backend, owner auth.Account, names []string) error {
	for _, name := range names {
		if err := makeBucket(ctx, be, owner, name); err != nil {
			return fmt.Errorf("embeds3: make bucket %q: %w", name, err)
		}
	}
	return nil
}
