package sweep

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// Run sweeps a bucket. The report is valid with an error too: it says what had
// been done when the run ended, and Stopped why.
//
// Errors: ErrConfig for faults of the configuration, all together; ErrPrecondition
// if a cap would be exceeded, before anything beyond it is done; ErrCanceled;
// whatever a source, Found or Checkpoint return; otherwise the storage's kinds.
// Several runs may go on at once.
func Run(ctx context.Context, config Config) (Report, error) {
	r, err := newRun(ctx, config)
	if err != nil {
		return Report{Action: config.Action, Stopped: err.Error()}, err
	}
	defer r.close()
	if err := r.sweep(ctx); err != nil {
		r.report.Stopped = err.Error()
		return r.report, err
	}
	return r.report, nil
}

// run is one Run.
type run struct {
	Config
	scope  scope
	list   lister // the bucket's, or a test's
	seed   maphash.Seed
	whole  bool // all of the bucket is one window
	feeds  []*feed
	now    time.Time // on the storage's clock, when the run began
	report Report
}

func newRun(ctx context.Context, config Config) (*run, error) {
	if config.Bucket == nil {
		return nil, configError(errors.New("the Bucket is missing"))
	}
	c := config.withDefaults()
	faults := c.faults()
	if core.TxnFrom(ctx) != nil {
		faults = append(faults, errors.New("the context has a file transaction, which would put off what the run does: hand in another"))
	}
	if len(faults) > 0 {
		return nil, configError(faults...)
	}
	s, err := newScope(c)
	if err != nil {
		return nil, err
	}
	r := &run{Config: c, scope: s, list: c.Bucket.WalkFrom, seed: maphash.MakeSeed()}
	if c.Resume != nil {
		r.report = c.Resume.Report
		r.report.Stopped = ""
	}
	for _, source := range c.References {
		r.feeds = append(r.feeds, &feed{source: source})
		r.whole = r.whole || !source.ordered()
	}
	return r, nil
}

func (r *run) close() {
	for _, f := range r.feeds {
		f.close()
	}
}

func (r *run) sweep(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	after := ""
	if r.Resume != nil {
		after = r.Resume.After
	}
	for {
		w, err := r.look(ctx, after)
		if err != nil {
			return err
		}
		if err := r.refer(ctx, w); err != nil {
			return err
		}
		if err := r.settle(ctx, w); err != nil {
			return err
		}
		if w.upto == "" {
			break
		}
		after = w.upto
		if err := r.checkpoint(after); err != nil {
			return err
		}
	}
	if err := r.uploads(ctx); err != nil {
		return err
	}
	r.note()
	return nil
}

// begin asks storage for its time, which also says whether it and the bucket are
// there.
func (r *run) begin(ctx context.Context) error {
	now, err := r.Bucket.Clock(ctx)
	if err != nil {
		return err
	}
	if r.Now != nil {
		now = r.Now().UTC()
	}
	r.now = now
	r.report.Bucket, r.report.Prefixes, r.report.Action = r.Bucket.Name(), r.scope.listed, r.Action
	r.report.Started = now
	// To the second, as objects' times are: one that is written from now on is
	// never older than that.
	r.report.CutOff = now.Add(-r.MinAge).Truncate(time.Second)
	versioning, err := r.Bucket.Versioning(ctx)
	if core.KindOf(err) == core.ErrDenied {
		r.notes("the credentials may not ask whether the bucket keeps versions")
		return nil
	}
	r.report.Versioned = versioning == core.VersioningOn
	return err
}

// window is a stretch of the bucket, in the order of keys.
type window struct {
	after, upto string   // upto "" is the end
	main        index    // what is in its place
	jail        index    // what is in quarantine by prefix, by the keys it had
	missing     []absent // what is referred to and was not found
	known       map[absent]bool
	before      Report // when it began
}

// absent is a reference whose object does not exist.
type absent struct{ key, source string }

// has says whether a key lies in the window.
func (w *window) has(key string) bool {
	return key > w.after && (w.upto == "" || key <= w.upto)
}

// look lists the next window.
func (r *run) look(ctx context.Context, after string) (*window, error) {
	w := &window{after: after, before: r.report, known: map[absent]bool{}, main: index{seed: r.seed}, jail: index{seed: r.seed}}
	for _, prefix := range r.scope.listed {
		if after > prefix && !strings.HasPrefix(after, prefix) {
			continue // it lies before
		}
		for o, err := range r.list(ctx, core.WalkOptions{Prefix: prefix, After: after}) {
			if err != nil {
				return nil, err
			}
			key := o.Key.String()
			if strings.HasPrefix(key, QuarantinePrefix) {
				continue
			}
			if !r.whole && w.main.count == r.Window {
				w.upto = w.main.groups[len(w.main.groups)-1].last
				break
			}
			if err := w.main.add(prefix, after, key, o, r.age(o, r.report.CutOff)); err != nil {
				return nil, err
			}
			if w.main.count%1000 == 0 {
				r.progress("list", key)
			}
		}
		if w.upto != "" {
			break
		}
	}
	w.main.seal()
	if r.Isolation == ByPrefix {
		if err := r.lookInside(ctx, w); err != nil {
			return nil, err
		}
	}
	w.jail.seal()
	return w, nil
}

// age counts an object and returns the mark of one that is old enough.
func (r *run) age(o core.Object, before time.Time) uint64 {
	r.report.Listed++
	if o.Modified.Before(before) {
		return oldBit
	}
	r.report.Young++
	return 0
}

// lookInside lists what of the window is in quarantine.
func (r *run) lookInside(ctx context.Context, w *window) error {
	for _, prefix := range r.scope.listed {
		for o, err := range r.list(ctx, core.WalkOptions{Prefix: QuarantinePrefix + prefix, After: join(QuarantinePrefix, w.after)}) {
			if err != nil {
				return err
			}
			key := strings.TrimPrefix(o.Key.String(), QuarantinePrefix)
			if !w.has(key) {
				break
			}
			r.report.InQuarantine++
			if err := w.jail.add(prefix, w.after, key, o, oldBit); err != nil {
				return err
			}
		}
	}
	return nil
}

// refer reads what is referred to in the window.
func (r *run) refer(ctx context.Context, w *window) error {
	for _, f := range r.feeds {
		for key, err := range f.within(ctx, w) {
			if err == nil {
				err = context.Cause(ctx) // not every source looks
			}
			if err != nil {
				return r.readError(ctx, f.source, err)
			}
			if err := r.reference(ctx, w, f.source, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) readError(ctx context.Context, s Source, err error) error {
	e := &core.Error{
		Kind: core.ErrUnavailable, Op: "read references of " + s.Name, Err: err,
		Advice: "the run ended here: what refers to an object is not known",
	}
	if kind := core.KindOf(err); kind != 0 {
		return fmt.Errorf("read references of %s: %w", s.Name, err)
	}
	if ctx.Err() != nil {
		e.Kind = core.ErrCanceled
	}
	return e
}

// reference takes one key that is referred to.
func (r *run) reference(ctx context.Context, w *window, source Source, key string) error {
	if key == "" || !w.has(key) || !strings.HasPrefix(key, r.Prefix) {
		return nil
	}
	r.report.References++
	if r.report.References%1000 == 0 {
		r.progress("references", "")
	}
	listed := w.main.mark(key)
	a := absent{key, source.Name}
	if w.jail.mark(key) || listed || !r.CheckMissing || source.Optional || w.known[a] {
		return nil
	}
	// It may be new, or lie where the run does not look. Only storage knows.
	missing, err := r.isMissing(ctx, key)
	if err != nil || !missing {
		return err
	}
	if r.report.Missing+int64(len(w.missing)) >= maxMissing {
		return &core.Error{
			Kind: core.ErrPrecondition, Op: "sweep", Bucket: r.Bucket.Name(), Detail: fmt.Sprintf("more than %d references have no object", maxMissing),
			Advice: "see whether the references belong to this bucket",
		}
	}
	w.missing, w.known[a] = append(w.missing, a), true
	return nil
}

// isMissing asks storage. A reference that cannot be a key has no object.
func (r *run) isMissing(ctx context.Context, text string) (bool, error) {
	key, err := core.ParseKey(text)
	if err != nil {
		return true, nil //nolint:nilerr // that is what it says
	}
	_, err = r.stat(ctx, key)
	if core.KindOf(err) == core.ErrNotFound {
		return true, nil
	}
	if core.KindOf(err) == core.ErrUnsupported {
		return false, nil // it is there, and wants the key it is encrypted with
	}
	return false, err
}

// stat is Bucket.Stat, with the key of a field that encrypts with one of its own.
func (r *run) stat(ctx context.Context, key core.Key) (core.Object, error) {
	for _, k := range r.scope.keyed {
		if strings.HasPrefix(key.String(), k.prefix) {
			o, err := k.field.Stat(ctx, key)
			// What is encrypted with another key, or not at all, is refused.
			if kind := core.KindOf(err); kind != core.ErrUnsupported && kind != core.ErrDenied {
				return o, err
			}
		}
	}
	return r.Bucket.Stat(ctx, key)
}

// feed reads a source window by window.
type feed struct {
	source Source
	next   func() (string, error, bool) // of a sorted source
	stop   func()
	last   string // the key it gave last
	ahead  bool   // last lies behind the window that was read
}

func (f *feed) close() {
	if f.stop != nil {
		f.stop()
	}
}

// within yields the source's keys in the window, and perhaps others.
func (f *feed) within(ctx context.Context, w *window) iter.Seq2[string, error] {
	switch {
	case f.source.Between != nil:
		return inOrder(f.source.Between(ctx, w.after, w.upto))
	case f.source.Sorted:
		if f.next == nil {
			f.next, f.stop = iter.Pull2(inOrder(f.source.Keys(ctx)))
		}
		return f.until(w.upto)
	}
	return f.source.Keys(ctx)
}

// until yields the keys up to upto. The first behind that waits for the next
// window.
func (f *feed) until(upto string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for {
			if !f.ahead {
				key, err, more := f.next()
				if !more {
					return
				}
				if err != nil {
					yield("", err)
					return
				}
				f.last, f.ahead = key, true
			}
			if upto != "" && f.last > upto {
				return
			}
			f.ahead = false
			if !yield(f.last, nil) {
				return
			}
		}
	}
}

// inOrder yields what keys does, and ends with an error where a key is not in the
// order of bytes: a database that sorts by a language's rules would leave out keys.
func inOrder(keys iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for key, err := range keys {
			if err == nil && key < last {
				err = &core.Error{
					Kind: core.ErrConfig, Op: "merge references", Err: fmt.Errorf("%q came behind %q", key, last),
					Detail: "the keys are not sorted by their bytes", Advice: "sort them so (COLLATE \"C\", LC_ALL=C), or do not say that they are sorted",
				}
			}
			if !yield(key, err) || err != nil {
				return
			}
			last = key
		}
	}
}

func (r *run) progress(phase, after string) {
	if r.Progress != nil {
		r.Progress(Progress{Phase: phase, Report: r.report, After: after})
	}
}

func (r *run) checkpoint(after string) error {
	if r.Checkpoint == nil {
		return nil
	}
	return r.Checkpoint(Checkpoint{Bucket: r.Bucket.Name(), Prefix: r.Prefix, Action: r.Action, After: after, Report: r.report})
}

// checkpointWithin is a checkpoint in the middle of a window. What is counted of
// its rest will be counted again.
func (r *run) checkpointWithin(w *window, after string) error {
	if r.Checkpoint == nil {
		return nil
	}
	now := r.report
	defer func() { r.report = now }()
	r.report = w.before
	r.report.Listed += w.main.upTo(after)
	r.report.Isolated, r.report.Restored, r.report.Kept = now.Isolated, now.Restored, now.Kept
	r.report.Deleted, r.report.DeletedBytes = now.Deleted, now.DeletedBytes
	return r.checkpoint(after)
}

func (r *run) notes(text string) {
	if !slices.Contains(r.report.Notes, text) {
		r.report.Notes = append(r.report.Notes, text)
	}
}

// note says for people what follows from the report.
func (r *run) note() {
	if r.report.Versioned && (r.report.Deleted > 0 || r.Action == DryRun) {
		r.notes("the bucket keeps versions: what is deleted leaves a delete marker and its versions, until a lifecycle rule removes them")
	}
	if r.Action == DryRun && r.exceeds(r.report.Orphans) != nil {
		r.notes("a run that acts on all these orphans would stop at its cap first: raise MaxDeletes or MaxShare when they are right")
	}
	if r.report.Listed > 0 && r.report.References == 0 {
		r.notes("nothing refers to anything here: see whether the references belong to this bucket")
	}
}
