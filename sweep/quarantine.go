package sweep

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// isolate puts an object into quarantine, if it still is the one that was listed.
func (r *run) isolate(ctx context.Context, c candidate) error {
	same, err := r.Bucket.Unchanged(ctx, c.Object)
	if err != nil {
		return err
	}
	if !same {
		return &core.Error{Kind: core.ErrPrecondition, Op: "quarantine", Bucket: r.Bucket.Name(), Key: c.key}
	}
	if r.Isolation == ByPrefix {
		to, err := core.ParseKey(QuarantinePrefix + c.key)
		if err != nil {
			return err
		}
		_, err = r.Bucket.Move(ctx, c.Key, r.Bucket, to, core.Replace)
		return err
	}
	tags, err := r.Bucket.Tags(ctx, c.Key)
	if err != nil {
		return err
	}
	tags[QuarantineTag] = r.now.Format(time.RFC3339)
	return r.Bucket.SetTags(ctx, c.Key, tags)
}

// release takes an object out of quarantine by prefix.
func (r *run) release(ctx context.Context, key string) error { return release(ctx, r.Bucket, key) }

func release(ctx context.Context, b *core.Bucket, text string) error {
	key, err := core.ParseKey(text)
	if err != nil {
		return err
	}
	from, err := core.ParseKey(QuarantinePrefix + text)
	if err != nil {
		return err
	}
	_, err = b.Move(ctx, from, b, key, core.KeepExisting)
	return err
}

// RestoreConfig says what to take out of quarantine.
type RestoreConfig struct {
	// Bucket is required.
	Bucket *core.Bucket
	// Isolation is that of the runs.
	Isolation Isolation
	// Prefix bounds it to keys that begin with it. Default: none.
	Prefix string
	// Keys are the objects' keys, as the runs reported them. Default: all in
	// quarantine; ByTag asks for the tags of every object below Prefix then.
	Keys iter.Seq[string]
	// Found, if set, is told what became of each. An error ends it.
	Found func(Finding) error
}

// Restore takes objects out of quarantine, and returns how many. One that is not
// in quarantine is passed over; one whose key is taken by another stays. It does
// not touch what a run has deleted. Errors: ErrConfig, and the storage's kinds.
func Restore(ctx context.Context, c RestoreConfig) (restored int, err error) {
	if c.Bucket == nil {
		return 0, configError(errors.New("the Bucket is missing"))
	}
	if core.TxnFrom(ctx) != nil {
		return 0, configError(errors.New("the context has a file transaction: hand in another"))
	}
	for key, err := range c.keys(ctx) {
		if err != nil {
			return restored, err
		}
		f := Finding{Kind: Quarantined, Outcome: Restored, Key: key}
		done, err := c.restore(ctx, key)
		switch {
		case core.KindOf(err) == core.ErrTaken:
			f.Outcome, f.Why = Kept, "its key is taken"
		case err != nil:
			return restored, err
		case !done:
			continue
		default:
			restored++
		}
		if c.Found == nil {
			continue
		}
		if err := c.Found(f); err != nil {
			return restored, err
		}
	}
	return restored, nil
}

// keys yields the keys to look at.
func (c RestoreConfig) keys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if c.Keys != nil {
			for key := range c.Keys {
				if strings.HasPrefix(key, c.Prefix) && !yield(key, nil) {
					return
				}
			}
			return
		}
		from := c.Prefix
		if c.Isolation == ByPrefix {
			from = QuarantinePrefix + c.Prefix
		}
		for o, err := range c.Bucket.Walk(ctx, from) {
			key := o.Key.String()
			if c.Isolation == ByPrefix {
				key = strings.TrimPrefix(key, QuarantinePrefix)
			}
			if !yield(key, err) {
				return
			}
		}
	}
}

// restore takes one object out, and says whether it was in.
func (c RestoreConfig) restore(ctx context.Context, text string) (done bool, err error) {
	if c.Isolation == ByPrefix {
		err := release(ctx, c.Bucket, text)
		if core.KindOf(err) == core.ErrNotFound {
			return false, nil
		}
		return err == nil, err
	}
	key, err := core.ParseKey(text)
	if err != nil {
		return false, err
	}
	tags, err := c.Bucket.Tags(ctx, key)
	if core.KindOf(err) == core.ErrNotFound || (err == nil && tags[QuarantineTag] == "") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	delete(tags, QuarantineTag)
	return true, c.Bucket.SetTags(ctx, key, tags)
}
