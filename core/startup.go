package core

import (
	"context"
	"errors"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/minio/minio-go/v7"
)

// formatSize renders a limit for people: "10 MiB".
func formatSize(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// StartupConfig says what a Startup does. The zero value is the default:
// Require, where the configuration's CheckOnStart allows it.
type StartupConfig struct {
	// Mode says what a failure means.
	Mode StartupMode
}

// StartupMode says what a Startup does about its buckets.
type StartupMode uint8

const (
	// Require creates what is missing and fails the start if that fails.
	Require StartupMode = iota
	// Off only checks the declarations, without any request.
	Off
)

// Startup brings the declared buckets into being when an app starts. Start and
// Stop have the shape life cycles expect (fx.Hook, oklog/run, errgroup).
type Startup struct {
	store *Store
	mode  StartupMode
}

// Startup returns the store's start-up hook.
func (s *Store) Startup(config StartupConfig) *Startup {
	mode := config.Mode
	if c := s.config.CheckOnStart; c != nil && !*c {
		mode = Off
	}
	return &Startup{store: s, mode: mode}
}

// Start reports faulty declarations, then creates the declared buckets that do
// not exist and lets anyone read the objects of the public ones; objects only,
// never the listing. What is right already is not written again. All buckets
// are tried, several at once; errors are joined.
func (h *Startup) Start(ctx context.Context) error {
	if err := h.store.Faults(); err != nil {
		return err
	}
	if h.mode == Off {
		return nil
	}
	return h.store.eachBucket(ctx, (*Bucket).ensure)
}

// Stop ends what Start began. There is nothing to end: it returns nil.
func (h *Startup) Stop(context.Context) error { return nil }

// Check asks storage, with the app's credentials, whether every declared bucket
// is there: what a readiness probe needs to know. nil means yes; else the errors
// of all buckets, joined. It ends within the configured time limit.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	return s.eachBucket(ctx, (*Bucket).check)
}

func (s *Store) eachBucket(ctx context.Context, do func(*Bucket, context.Context) error) error {
	buckets := s.Buckets()
	errs := make([]error, len(buckets))
	slots := make(chan struct{}, 8)
	var wait sync.WaitGroup
	for i, b := range buckets {
		slots <- struct{}{}
		wait.Go(func() {
			errs[i] = do(b, ctx)
			<-slots
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (b *Bucket) check(ctx context.Context) error {
	exists, err := b.exists(ctx)
	if err == nil && !exists {
		return &Error{Kind: ErrBucketMissing, Op: "check bucket", Bucket: b.name, Advice: "create it, or let Startup do so"}
	}
	return err
}

func (b *Bucket) exists(ctx context.Context) (exists bool, err error) {
	err = b.store.retry(ctx, b.at("check bucket", Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		exists, err = b.store.internal.BucketExists(ctx, b.name)
		return err
	})
	if kind := KindOf(err); exists || (err != nil && kind != ErrNotFound && kind != ErrDenied) {
		return exists, err
	}
	// The answer to a HEAD has no body to say whether the bucket or the user is
	// unknown; to a listing it has.
	for _, err := range b.walk(ctx, "", false) {
		if KindOf(err) == ErrBucketMissing {
			return false, nil
		}
		return err == nil, err
	}
	return err == nil, err
}

func (b *Bucket) ensure(ctx context.Context) error {
	exists, err := b.exists(ctx)
	if err != nil {
		return err
	}
	if !exists {
		if err := b.create(ctx); err != nil {
			return err
		}
	}
	if b.public {
		return b.publish(ctx)
	}
	return nil
}

func (b *Bucket) create(ctx context.Context) error {
	return b.store.retry(ctx, b.at("create bucket", Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		err := b.store.internal.MakeBucket(ctx, b.name, minio.MakeBucketOptions{Region: b.store.config.Region})
		var r minio.ErrorResponse
		if errors.As(err, &r) && r.Code == "BucketAlreadyOwnedByYou" {
			return nil // another process was quicker
		}
		return err
	})
}
