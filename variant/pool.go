package variant

import (
	"context"
	"runtime"
	"sync"

	"github.com/filefield/filefield/core"
)

const defaultQueue = 1000

// PoolConfig shapes a Pool. The zero value is good for most.
type PoolConfig struct {
	// Workers is how many jobs run at a time. Default: as many as there are
	// processors.
	Workers int
	// Queue is how many jobs wait at most; who brings one more does it himself.
	// Default 1000.
	Queue int
}

// Pool makes variants in the background of this process: a core.VariantWorker. What
// waits in it is lost with the process; an app that cannot have that plugs a queue
// of its own. Start and Stop fit lifecycle hooks (fx.Hook), as those of
// core.Startup do. A Pool that is not running, or full, has whoever brings a job do
// it. Safe for concurrent use.
type Pool struct {
	workers int
	jobs    chan core.VariantJob

	mu  sync.RWMutex // jobs are put in while it is held for reading
	run *run         // nil while it is not running
}

// run is the time between a Start and its Stop.
type run struct {
	stopping chan struct{}
	cancel   context.CancelFunc
	workers  sync.WaitGroup
}

// NewPool returns a Pool that is not running.
func NewPool(config PoolConfig) *Pool {
	if config.Workers <= 0 {
		config.Workers = runtime.GOMAXPROCS(0)
	}
	if config.Queue <= 0 {
		config.Queue = defaultQueue
	}
	return &Pool{workers: config.Workers, jobs: make(chan core.VariantJob, config.Queue)}
}

// Start starts the workers. They end with Stop, not with ctx, which is that of
// starting. A Pool that is running stays as it is. It never fails.
func (p *Pool) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		return nil
	}
	r := &run{stopping: make(chan struct{})}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.run = r
	for range p.workers {
		r.workers.Go(func() { p.work(ctx, r.stopping) })
	}
	return nil
}

// work does jobs until it is told to stop, and then those that are left.
func (p *Pool) work(ctx context.Context, stopping <-chan struct{}) {
	for {
		select {
		case job := <-p.jobs:
			_ = job.Do(ctx) // logged
			continue
		case <-stopping:
		}
		select {
		case job := <-p.jobs:
			_ = job.Do(ctx)
		default:
			return
		}
	}
}

// Enqueue takes a job. It never refuses one.
func (p *Pool) Enqueue(ctx context.Context, job core.VariantJob) error {
	if !p.take(job) {
		_ = job.Do(ctx) // logged
	}
	return nil
}

func (p *Pool) take(job core.VariantJob) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.run == nil {
		return false
	}
	select {
	case p.jobs <- job:
		return true
	default:
		return false
	}
}

// Stop takes no more jobs and waits for those there are. When ctx ends before they
// are done, they are given up, which is logged for each, and it returns
// core.ErrCanceled. It may be started again.
func (p *Pool) Stop(ctx context.Context) error {
	p.mu.Lock()
	r := p.run
	p.run = nil
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	defer r.cancel()
	close(r.stopping)
	done := make(chan struct{})
	go func() { r.workers.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	r.cancel()
	<-done
	return &core.Error{Kind: core.ErrCanceled, Op: "stop variant pool", Err: context.Cause(ctx), Detail: "not all variants were made"}
}
