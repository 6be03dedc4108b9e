package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// batchSize is how many objects are asked for again together, right before they
// are touched.
const batchSize = 50

// candidate is an object without a reference and what is known about it.
type candidate struct {
	core.Object           // as it was listed
	key         string    // the one it had; of one in quarantine by prefix not the Object's
	kind        Kind      //
	since       time.Time // in quarantine
	over        bool      // its quarantine is
	referred    bool      // it is in quarantine by prefix, and a row refers to it
	superseded  bool      // so it is, but another object has taken its place
}

func (c candidate) finding(outcome Outcome, why string) Finding {
	return Finding{
		Kind: c.kind, Outcome: outcome, Key: c.key, Size: c.Size, ETag: c.ETag, Modified: c.Modified, Since: c.since, Why: why,
	}
}

// settle decides about the window's objects, holds what is to be done against the
// caps, and does it.
func (r *run) settle(ctx context.Context, w *window) error {
	due, err := r.judge(ctx, w)
	if err != nil {
		return err
	}
	if err := r.reportMissing(ctx, w.missing); err != nil { // first: a run that goes on looks behind its checkpoint
		return err
	}
	return r.act(ctx, w, due)
}

// judge looks at every candidate, reports those with which nothing is to be done,
// and returns the others.
func (r *run) judge(ctx context.Context, w *window) (due []candidate, err error) {
	deletes := int64(0)
	take := func(c candidate, found bool) error {
		if !found {
			return nil
		}
		r.count(c)
		if !r.isDue(c) {
			return r.leave(c)
		}
		due = append(due, c)
		if c.capped() {
			deletes++
		}
		return r.exceeds(deletes) // before any of them is touched
	}
	orphan := func(h uint64) bool { return h&oldBit != 0 && !w.main.marked(h) }
	for o, err := range w.main.wanted(ctx, r.list, "", orphan) {
		if err != nil {
			return nil, err
		}
		c, found, err := r.candidate(ctx, o)
		if err != nil {
			return nil, err
		}
		if err := take(c, found); err != nil {
			return nil, err
		}
		r.progress("judge", c.key)
	}
	everything := func(uint64) bool { return true }
	for o, err := range w.jail.wanted(ctx, r.list, QuarantinePrefix, everything) {
		if err != nil {
			return nil, err
		}
		c, err := r.inmate(ctx, w, o)
		if err != nil {
			return nil, err
		}
		if err := take(c, true); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(due, func(a, b candidate) int { return strings.Compare(a.key, b.key) })
	return due, nil
}

// candidate looks at an object without a reference. It is not found if it is gone
// or another than was listed.
func (r *run) candidate(ctx context.Context, o core.Object) (c candidate, found bool, err error) {
	c = candidate{Object: o, key: o.Key.String(), kind: Orphan}
	if o.Key.IsLock() {
		c.kind = Pending
		return c, true, nil
	}
	if !r.scope.owns(c.key) {
		known, err := r.stat(ctx, o.Key)
		switch {
		case core.KindOf(err) == core.ErrNotFound:
			return c, false, nil
		case core.KindOf(err) == core.ErrUnsupported: // it is encrypted with a key we do not have
			c.kind = Foreign
			return c, true, nil
		case err != nil:
			return c, false, err
		case !known.SavedHere():
			c.kind = Foreign
			return c, true, nil
		}
	}
	tags, err := r.Bucket.Tags(ctx, o.Key)
	switch {
	case core.KindOf(err) == core.ErrNotFound:
		return c, false, nil
	case core.KindOf(err) == core.ErrUnsupported:
		return c, true, nil // a storage without tags: nothing there is pending, nor in quarantine by tag
	case err != nil:
		return c, false, err
	}
	if core.IsPending(tags) {
		c.kind = Pending
		return c, true, nil
	}
	if since, err := time.Parse(time.RFC3339, tags[QuarantineTag]); err == nil && r.now.Sub(since) <= 2*r.QuarantineFor {
		c.kind, c.since, c.over = Quarantined, since, r.now.Sub(since) >= r.QuarantineFor
	}
	return c, true, nil
}

// inmate is an object in quarantine by prefix. A row may refer to it again, unless
// what it refers to is another that has taken its place.
func (r *run) inmate(ctx context.Context, w *window, o core.Object) (candidate, error) {
	c := candidate{Object: o, key: strings.TrimPrefix(o.Key.String(), QuarantinePrefix), kind: Quarantined, since: o.Modified}
	c.over = r.now.Sub(c.since) >= r.QuarantineFor
	if !w.jail.marked(w.jail.hash(c.key)) {
		return c, nil
	}
	key, err := core.ParseKey(c.key)
	if err != nil {
		return c, nil //nolint:nilerr // nothing can be there
	}
	c.superseded, err = r.Bucket.Exists(ctx, key)
	c.referred = !c.superseded
	return c, err
}

// count enters a candidate in the report.
func (r *run) count(c candidate) {
	switch {
	case c.kind == Foreign:
		r.report.Foreign++
	case c.kind == Pending:
		r.report.Pending++
	case !c.referred:
		r.report.Orphans++
		r.report.OrphanBytes += c.Size
	}
}

// isDue says whether there is something to be done.
func (r *run) isDue(c candidate) bool {
	switch {
	case r.Action == DryRun || c.kind == Foreign:
		return false
	case c.referred:
		return true
	case c.kind == Pending:
		return r.Action >= Purge
	case c.kind == Quarantined:
		return r.Action == Delete || (r.Action == Purge && c.over)
	}
	return true
}

// leave reports what nothing is done with.
func (r *run) leave(c candidate) error {
	switch {
	case c.kind == Foreign:
		return r.found(c.finding(Reported, "this library has not written it"))
	case c.referred:
		return r.found(c.finding(Reported, "a row refers to it"))
	case c.kind == Quarantined && r.Action != DryRun && c.over:
		r.report.Waiting++
		return r.found(c.finding(Kept, "its quarantine is over, and a purge deletes it"))
	case c.kind == Quarantined && r.Action != DryRun:
		r.report.Waiting++
		return r.found(c.finding(Kept, "its quarantine is not over"))
	case c.kind == Pending && r.Action != DryRun:
		return r.found(c.finding(Kept, "it is pending"))
	}
	return r.found(c.finding(Reported, ""))
}

// capped says whether the caps count it: not what is restored, and not what had
// been marked to go.
func (c candidate) capped() bool { return !c.referred && c.kind != Pending }

// exceeds says whether so many more objects would exceed a cap.
func (r *run) exceeds(more int64) error {
	total, all := r.report.Isolated+r.report.Deleted+more, r.report.Listed+r.report.InQuarantine
	share, few := r.MaxShare, int64(0)
	if share == 0 {
		share, few = defaultMaxShare, fewDeletes
	}
	e := &core.Error{
		Kind: core.ErrPrecondition, Op: "sweep", Bucket: r.Bucket.Name(),
		Advice: "see by a dry run whether they are right, then raise the cap; nothing of these was touched",
	}
	switch {
	case total > int64(r.MaxDeletes):
		e.Detail = fmt.Sprintf("%d objects or more are to go, the most is %d", total, r.MaxDeletes)
		return e
	case total > few && float64(total) > share*float64(all):
		e.Detail = fmt.Sprintf("%d or more of %d objects are to go, the most is a share of %g", total, all, share)
		return e
	}
	return nil
}

// act does what is due, a batch at a time. Each object is asked for again first.
// Wherever it ends, the last checkpoint is behind what has been done.
func (r *run) act(ctx context.Context, w *window, due []candidate) error {
	for batch := range slices.Chunk(due, batchSize) {
		done, err := r.batch(ctx, batch)
		if done != "" {
			r.progress("act", done)
			if failed := r.checkpointWithin(w, done); failed != nil {
				return errors.Join(err, failed)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// batch deals with some objects and returns the last key that is done with.
func (r *run) batch(ctx context.Context, batch []candidate) (done string, err error) {
	referred, err := r.refersNow(ctx, batch)
	if err != nil {
		return "", err
	}
	for _, c := range batch {
		if err := context.Cause(ctx); err != nil {
			return done, &core.Error{Kind: core.ErrCanceled, Op: "sweep", Bucket: r.Bucket.Name(), Err: err}
		}
		f, err := r.one(ctx, c, referred[c.key])
		if err != nil {
			return done, err
		}
		done = c.key
		if err := r.found(f); err != nil {
			return done, err
		}
	}
	return done, nil
}

// refersNow asks every source that can be asked which of the objects are referred
// to.
func (r *run) refersNow(ctx context.Context, batch []candidate) (map[string]bool, error) {
	keys := make([]string, len(batch))
	for i, c := range batch {
		keys[i] = c.key
	}
	referred := map[string]bool{}
	for _, f := range r.feeds {
		if f.source.Refers == nil {
			continue
		}
		found, err := f.source.Refers(ctx, keys)
		if err != nil {
			return nil, r.readError(ctx, f.source, err)
		}
		for _, key := range found {
			referred[key] = true
		}
	}
	return referred, nil
}

// one does what is due to one object.
func (r *run) one(ctx context.Context, c candidate, referred bool) (Finding, error) {
	switch {
	case c.referred:
		return r.settled(c, Restored, r.release(ctx, c.key))
	case referred && !c.superseded:
		r.report.Kept++
		return c.finding(Kept, "a row refers to it again"), nil
	case c.kind == Pending && !c.Key.IsLock():
		removed, err := r.Bucket.RemovePending(ctx, c.Key)
		if err == nil && !removed {
			err = &core.Error{Kind: core.ErrPrecondition, Op: "expire", Bucket: r.Bucket.Name(), Key: c.key}
		}
		return r.settled(c, Deleted, err)
	case c.kind != Orphan || r.Action == Delete:
		return r.settled(c, Deleted, r.Bucket.DeleteUnchanged(ctx, c.Object))
	}
	return r.settled(c, Isolated, r.isolate(ctx, c))
}

// settled counts what was done, or why it was not.
func (r *run) settled(c candidate, outcome Outcome, err error) (Finding, error) {
	switch core.KindOf(err) {
	case core.ErrPrecondition, core.ErrNotFound:
		r.report.Kept++
		return c.finding(Kept, "it has been changed or removed meanwhile"), nil
	case core.ErrTaken:
		r.report.Kept++
		return c.finding(Kept, "its key is taken"), nil
	case core.ErrName:
		r.report.Kept++
		return c.finding(Kept, "its key cannot be used for that"), nil
	}
	switch {
	case err != nil:
		return Finding{}, err
	case outcome == Restored:
		r.report.Restored++
	case outcome == Isolated:
		r.report.Isolated++
	case c.kind != Pending:
		r.report.Deleted++
		r.report.DeletedBytes += c.Size
	}
	return c.finding(outcome, ""), nil
}

func (r *run) found(f Finding) error {
	if r.Found == nil {
		return nil
	}
	return r.Found(f)
}

// reportMissing reports the references without an object that still are some.
func (r *run) reportMissing(ctx context.Context, missing []absent) error {
	for batch := range slices.Chunk(missing, batchSize) {
		still, err := r.refersStill(ctx, batch)
		if err != nil {
			return err
		}
		for _, a := range batch {
			if !still[a] {
				continue
			}
			r.report.Missing++
			if err := r.found(Finding{Kind: Missing, Outcome: Reported, Key: a.key, Source: a.source}); err != nil {
				return err
			}
		}
	}
	return nil
}

// refersStill asks each source for its own keys again, where it can be asked.
func (r *run) refersStill(ctx context.Context, batch []absent) (map[absent]bool, error) {
	still := map[absent]bool{}
	for _, f := range r.feeds {
		var keys []string
		for _, a := range batch {
			if a.source == f.source.Name && !slices.Contains(keys, a.key) {
				keys = append(keys, a.key)
			}
		}
		if f.source.Refers != nil && len(keys) > 0 {
			var err error
			if keys, err = f.source.Refers(ctx, keys); err != nil {
				return nil, r.readError(ctx, f.source, err)
			}
		}
		for _, key := range keys {
			still[absent{key, f.source.Name}] = true
		}
	}
	return still, nil
}

// uploads reports the multipart uploads that have been under way for longer than
// MinAge, and aborts them where deleting is meant.
func (r *run) uploads(ctx context.Context) error {
	for u, err := range r.Bucket.IncompleteUploads(ctx) {
		if core.KindOf(err) == core.ErrUnsupported || core.KindOf(err) == core.ErrDenied {
			r.notes("incomplete uploads could not be listed: " + err.Error())
			return nil
		}
		if err != nil {
			return err
		}
		inScope := slices.ContainsFunc(r.scope.listed, func(p string) bool { return strings.HasPrefix(u.Key.String(), p) })
		if !inScope || !u.Started.Before(r.report.CutOff) {
			continue
		}
		r.report.Uploads++
		f := Finding{Kind: Upload, Outcome: Reported, Key: u.Key.String(), UploadID: u.ID, Modified: u.Started}
		if r.Action >= Purge {
			if err := r.Bucket.AbortUpload(ctx, u); err != nil {
				return err
			}
			r.report.Aborted++
			f.Outcome = Deleted
		}
		if err := r.found(f); err != nil {
			return err
		}
	}
	return nil
}
