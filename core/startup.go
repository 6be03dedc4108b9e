package core

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/dustin/go-humanize"
)

// formatSize renders a limit for people: "10 MiB".
func formatSize(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

const (
	defaultStartTimeout = 30 * time.Second
	defaultRetryWait    = 500 * time.Millisecond
	defaultMaxWait      = 30 * time.Second
)

// StartupConfig says what a Startup does. The zero value is the default:
// Require, where the configuration's CheckOnStart allows it.
type StartupConfig struct {
	// Mode says what a failure means.
	Mode StartupMode
	// Timeout bounds one try to bring the buckets into being. Default 30 seconds.
	Timeout time.Duration
	// MaxWait is the longest time between two tries in the background. The first
	// waits half a second, or MaxWait if that is less; each next one is twice as
	// long, give or take a half, so that many processes do not come at once.
	// Default 30 seconds.
	MaxWait time.Duration
}

// StartupMode says what a Startup does about its buckets.
type StartupMode uint8

const (
	// Require brings the declared buckets into being and fails the start if that
	// fails.
	Require StartupMode = iota
	// Background lets the start go on at once and tries until it succeeds. Until
	// then Ready reports ErrUnavailable, for routes that need storage to answer
	// 503.
	Background
	// CheckOnly changes nothing. What differs from the declarations, or could not
	// be found out, is logged as a warning and kept for Err; the start goes on.
	CheckOnly
	// Off only checks the declarations, without any request.
	Off
)

// Startup brings the declared buckets into being when an app starts. Start and
// Stop have the shape life cycles expect (fx.Hook), Run that of errgroup and
// oklog/run, and nethttp.OnServe that of http.Server. Safe for concurrent use.
type Startup struct {
	store  *Store
	config StartupConfig

	mu   sync.Mutex
	stop context.CancelFunc // of the background, or nil
	done chan struct{}      // closed when the background has ended
	err  error
}

// Startup returns the store's start-up hook.
func (s *Store) Startup(config StartupConfig) *Startup {
	if c := s.config.CheckOnStart; c != nil && !*c {
		config.Mode = Off
	}
	setDefault(&config.Timeout, defaultStartTimeout)
	setDefault(&config.MaxWait, defaultMaxWait)
	return &Startup{store: s, config: config}
}

// Start reports faulty declarations, whatever the mode; then it does what the
// mode says. Bringing buckets into being is Plan and Apply: what is missing is
// created, what differs is corrected, what is right is not written again. All
// buckets are tried, several at once; errors are joined, but for those that all
// buckets share.
func (h *Startup) Start(ctx context.Context) error {
	if err := h.store.Faults(); err != nil {
		return h.finish(err)
	}
	switch h.config.Mode {
	case Off:
		return h.finish(nil)
	case CheckOnly:
		h.check(ctx)
		return nil
	case Background:
		h.background(ctx)
		return nil
	default:
		return h.finish(h.once(ctx))
	}
}

// once makes one try.
func (h *Startup) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.config.Timeout)
	defer cancel()
	return h.store.reconcile(ctx, h.store.Buckets())
}

// mostLooks bounds how often a start looks whether what it changed has stayed so.
const mostLooks = 6

// reconcile makes the buckets what they are declared to be. What it changed it
// looks at again: servers keep all settings of a bucket in one place, and MinIO
// loses some where several processes write them at once. Who wrote last looks
// last, so that in the end all is as declared.
func (s *Store) reconcile(ctx context.Context, buckets []*Bucket) error {
	var errs []error
	for look := range mostLooks {
		plan, err := s.plan(ctx, buckets)
		report, failed := s.Apply(ctx, plan)
		s.tell(ctx, report, look)
		errs = append(errs, err, failed)
		if buckets = s.changedIn(report, failing(err, failed)); len(buckets) == 0 {
			return errors.Join(errs...)
		}
		if look > 0 && !pause(ctx, time.Duration(look)*rand.N(20*time.Millisecond)) { //nolint:gosec // to be out of step with others, not secret
			return errors.Join(errs...)
		}
	}
	// Nobody's fault: as when two versions of an app start that declare one bucket
	// differently. The last to start decides.
	s.config.Logger.WarnContext(ctx, "buckets are changed by someone else at the same time", "bucket", buckets[0].name)
	return errors.Join(errs...)
}

// tell logs what an Apply did.
func (s *Store) tell(ctx context.Context, report Report, look int) {
	for _, d := range report.Unsupported {
		if look == 0 {
			s.config.Logger.WarnContext(ctx, "the storage does not implement what a bucket is declared to have", "bucket", d.Bucket, "aspect", string(d.Aspect))
		}
	}
	for _, d := range report.Done {
		s.config.Logger.InfoContext(ctx, "a bucket was corrected", "bucket", d.Bucket, "aspect", string(d.Aspect), "difference", d.Message)
	}
}

// changedIn returns the buckets that an Apply changed, but for those that failed.
func (s *Store) changedIn(report Report, failed map[string]bool) []*Bucket {
	names := map[string]bool{}
	for _, d := range report.Done {
		names[d.Bucket] = !failed[d.Bucket]
	}
	return slices.DeleteFunc(s.Buckets(), func(b *Bucket) bool { return !names[b.name] })
}

// failing returns the buckets that errors are about.
func failing(errs ...error) map[string]bool {
	names := map[string]bool{}
	for _, err := range errs {
		within(err, func(one error) {
			if e, ok := one.(*Error); ok { //nolint:errorlint // each error of the tree is visited
				names[e.Bucket] = true
			}
		})
	}
	return names
}

// pause waits, and says whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// DriftError is what Err reports after a start that only checks: buckets are not
// what they are declared to be. It is of kind ErrConfig.
type DriftError struct {
	// Plan is what differs.
	Plan Plan
}

// Error lists the differences.
func (e *DriftError) Error() string {
	return fmt.Sprintf("buckets are not as declared:\n%s", e.Plan)
}

// Unwrap returns ErrConfig.
func (e *DriftError) Unwrap() error { return ErrConfig }

// check looks, reports, and changes nothing.
func (h *Startup) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, h.config.Timeout)
	defer cancel()
	plan, err := h.store.plan(ctx, h.store.Buckets())
	for _, d := range plan.Differences {
		h.store.config.Logger.WarnContext(ctx, "a bucket is not as declared", "bucket", d.Bucket, "aspect", string(d.Aspect), "difference", d.Message)
	}
	if err != nil {
		h.store.warn(ctx, "what a bucket is could not be found out", err)
	}
	errs := []error{err}
	if plan.Changes() || plan.Err() != nil {
		errs = append(errs, &DriftError{plan})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = errors.Join(errs...)
}

// background tries until it succeeds or Stop is called. The caller's context is
// the start's, which is over long before.
func (h *Startup) background(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != nil {
		return // it is under way
	}
	h.err = nil
	h.store.ready.Store(&notReady{})
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	h.done = make(chan struct{})
	go h.keepTrying(ctx, h.done)
}

func (h *Startup) keepTrying(ctx context.Context, done chan struct{}) {
	defer close(done)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := h.once(ctx)
		if err != nil && ctx.Err() == nil {
			h.store.warn(ctx, "storage is not ready yet; it is tried again", err)
			h.mu.Lock()
			h.err = err
			h.mu.Unlock()
			h.store.ready.Store(&notReady{cause: err})
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: min(defaultRetryWait, h.config.MaxWait), RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: h.config.MaxWait,
	}), backoff.WithMaxElapsedTime(0))
	if err == nil {
		_ = h.finish(nil)
	}
}

// finish keeps the outcome and tells the Store.
func (h *Startup) finish(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	if err == nil {
		h.store.ready.Store(nil)
	} else {
		h.store.ready.Store(&notReady{cause: err})
	}
	return err
}

// Err returns what the last try failed with, or nil: in the background the reason
// why storage is not ready yet, after CheckOnly a DriftError or what could not be
// found out.
func (h *Startup) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Ready is the Store's Ready.
func (h *Startup) Ready() error { return h.store.Ready() }

// Stop ends what Start began: the tries in the background, if they still go on.
// It waits for the one under way to end, but no longer than ctx. The app may be
// started again afterwards.
func (h *Startup) Stop(ctx context.Context) error {
	h.mu.Lock()
	stop, done := h.stop, h.done
	h.stop, h.done = nil, nil
	h.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &Error{Kind: ErrCanceled, Op: "stop", Err: context.Cause(ctx), Detail: "a try in the background did not end in time"}
	}
}

// Run is Start, and Stop when ctx ends: for errgroup.Group.Go and oklog/run's
// Group.Add. It returns Start's error, or nil.
func (h *Startup) Run(ctx context.Context) error {
	if err := h.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.store.config.Timeout)
	defer cancel()
	return h.Stop(ctx)
}

// notReady says why storage is not to be used yet.
type notReady struct{ cause error }

// Ready returns nil where storage may be used, and an error of kind
// ErrUnavailable while a Startup in the background has not succeeded yet, or one
// has failed: what a route that needs storage answers 503 for. It costs no
// request and no lock. A Store without a Startup is ready.
func (s *Store) Ready() error {
	state := s.ready.Load()
	if state == nil {
		return nil
	}
	// Its cause is told as text: its own kind is not this error's.
	e := &Error{Kind: ErrUnavailable, Op: "start up", Detail: "storage is not ready yet"}
	if state.cause != nil {
		e.Err = errors.New(state.cause.Error())
	}
	return e
}
