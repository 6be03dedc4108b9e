package core

import (
	"context"
	"errors"
)

// Report says what Apply did.
type Report struct {
	// Done are the differences that are mended.
	Done []Difference `json:"done"`
	// Unsupported are those that stay, since the server does not implement what
	// they are about.
	Unsupported []Difference `json:"unsupported"`
}

// Apply makes what the Plan says, and nothing else: what a Plan does not list is
// not touched, no bucket is ever deleted, and no object. Buckets are worked on
// several at once, each in the order that is needed; what fails in one stops
// neither the others nor its own other aspects, unless the bucket itself could
// not be made. The error joins all failures, and Plan.Err's.
//
// Other processes may apply the same declarations at the same time. It takes a
// minute at most, less where ctx ends before.
func (s *Store) Apply(ctx context.Context, p Plan) (Report, error) {
	report := Report{Done: []Difference{}, Unsupported: []Difference{}} // "[]" in JSON, not "null"
	if p.store != s && len(p.buckets) > 0 {
		return report, &Error{Kind: ErrConfig, Op: "apply plan", Detail: "the plan was made by another Store"}
	}
	ctx, cancel := context.WithTimeout(ctx, reconcileLimit)
	defer cancel()
	buckets, work := make([]*Bucket, 0, len(p.buckets)), make([]bucketPlan, 0, len(p.buckets))
	for _, b := range p.buckets {
		if len(b.steps) > 0 {
			buckets, work = append(buckets, b.bucket), append(work, b)
		}
	}
	reports := make([]Report, len(work))
	err := eachOf(buckets, func(i int, b *Bucket) (err error) {
		reports[i], err = b.apply(ctx, work[i].steps)
		return err
	})
	for _, r := range reports {
		report.Done = append(report.Done, r.Done...)
		report.Unsupported = append(report.Unsupported, r.Unsupported...)
	}
	return report, err
}

// apply makes the steps of one bucket.
func (b *Bucket) apply(ctx context.Context, steps []step) (Report, error) {
	var report Report
	var errs []error
	for i, s := range steps {
		err := b.try(ctx, s)
		switch {
		case errors.Is(err, errMadeMeanwhile):
			// What it now is was not looked at yet.
			report.Done = append(report.Done, s.differences...)
			again, err := b.plan(ctx)
			if err == nil {
				var rest Report
				rest, err = b.apply(ctx, again)
				report.Done = append(report.Done, rest.Done...)
				report.Unsupported = append(report.Unsupported, rest.Unsupported...)
			}
			return report, errors.Join(append(errs, err)...)
		case err != nil:
			errs = append(errs, err)
			if s.creates {
				return report, errors.Join(errs...)
			}
		default:
			b.record(&report, &errs, steps[i])
		}
	}
	return report, errors.Join(errs...)
}

// try makes one step. What the server turns out not to implement becomes a
// difference that says so.
func (b *Bucket) try(ctx context.Context, s step) error {
	if s.do == nil {
		return nil
	}
	err := s.do(ctx)
	if !notImplemented(err) {
		return err
	}
	for i := range s.differences {
		d := &s.differences[i]
		if !errors.Is(err, errHereOnly) {
			b.store.lacks.add(d.Aspect)
		}
		b.store.lacks.addFor(b, d.Aspect)
		d.Unsupported = true
		d.Message = "this server does not implement it (" + d.Aspect.phrase() + "): " + d.Message
	}
	return nil
}

func (b *Bucket) record(report *Report, errs *[]error, s step) {
	for _, d := range s.differences {
		switch {
		case d.Unsupported:
			report.Unsupported = append(report.Unsupported, d)
		case !d.Refused:
			report.Done = append(report.Done, d)
		}
		if err := b.verdict(d); err != nil {
			*errs = append(*errs, err)
		}
	}
}
