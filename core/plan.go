package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	// bucketsAtOnce is how many buckets are looked at or changed at a time.
	bucketsAtOnce = 8
	// reconcileLimit bounds Plan and Apply where the caller's context does not.
	reconcileLimit = time.Minute
)

// Difference is one way in which a bucket is not what it is declared to be.
type Difference struct {
	// Bucket and Aspect say where.
	Bucket string `json:"bucket"`
	Aspect Aspect `json:"aspect"`
	// Have and Want are what is there and what is declared, in the words of the
	// declaration, or nil.
	Have any `json:"have"`
	Want any `json:"want"`
	// Message says it to people.
	Message string `json:"message"`
	// Unsupported: the server does not implement it, so Apply will not try.
	Unsupported bool `json:"unsupported,omitempty"`
	// Refused: it is foreign, declared to be refused, and Apply reports it as an
	// error.
	Refused bool `json:"refused,omitempty"`
}

// Plan is what Apply will change, and what it cannot. It is valid for the Store
// that made it and for a short while: others may change buckets too. The zero
// value plans nothing. As JSON it is its differences.
type Plan struct {
	// Differences are all that was found, by bucket.
	Differences []Difference `json:"differences"`

	store   *Store
	buckets []bucketPlan
}

type bucketPlan struct {
	bucket *Bucket
	steps  []step
}

// step is one request that mends one or more differences. Without do it mends
// nothing.
type step struct {
	differences []Difference
	do          func(context.Context) error
	creates     bool
}

// Changes says whether Apply would change anything.
func (p Plan) Changes() bool {
	for _, d := range p.Differences {
		if !d.Unsupported && !d.Refused {
			return true
		}
	}
	return false
}

// Err reports what Apply cannot mend although it should: foreign statements that
// are declared to be refused (ErrConfig), and aspects that are declared to be
// required and not implemented by the server (ErrUnsupported). nil if there is
// nothing of the kind.
func (p Plan) Err() error {
	var errs []error
	for _, b := range p.buckets {
		for _, s := range b.steps {
			for _, d := range s.differences {
				errs = append(errs, b.bucket.verdict(d))
			}
		}
	}
	return errors.Join(errs...)
}

// verdict returns the error a difference is by itself, if it is one.
func (b *Bucket) verdict(d Difference) error {
	switch {
	case d.Refused:
		return &Error{Kind: ErrConfig, Op: "check policy", Bucket: b.name, Detail: d.Message, Advice: "remove the statement, or declare it by a hook of Policy, or declare foreign statements to be kept"}
	case d.Unsupported && b.declared.requires(d.Aspect):
		return &Error{Kind: ErrUnsupported, Op: "check " + d.Aspect.phrase(), Bucket: b.name, Detail: d.Message, Advice: "use a server that implements it, or take it out of Required"}
	}
	return nil
}

// String lists the differences, one a line.
func (p Plan) String() string {
	var b strings.Builder
	for _, d := range p.Differences {
		fmt.Fprintf(&b, "%s: %s: %s\n", d.Bucket, d.Aspect.phrase(), d.Message)
	}
	return b.String()
}

// Plan reads what the declared buckets are and compares it with what they are
// declared to be. It changes nothing. A bucket costs one read for existence and
// access together, and one for each other aspect that is declared. The Plan
// holds what could be found out; the error joins those of all buckets.
//
// It takes a minute at most, less where ctx ends before.
func (s *Store) Plan(ctx context.Context) (Plan, error) {
	if err := s.Faults(); err != nil {
		return Plan{store: s}, err
	}
	return s.plan(ctx, s.Buckets())
}

func (s *Store) plan(ctx context.Context, buckets []*Bucket) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileLimit)
	defer cancel()
	p := Plan{store: s, buckets: make([]bucketPlan, len(buckets))}
	err := eachOf(buckets, func(i int, b *Bucket) error {
		steps, err := b.plan(ctx)
		p.buckets[i] = bucketPlan{b, steps}
		return err
	})
	p.Differences = []Difference{} // "[]" in JSON, not "null"
	for _, b := range p.buckets {
		for _, s := range b.steps {
			p.Differences = append(p.Differences, s.differences...)
		}
	}
	return p, err
}

// eachOf calls do for all buckets, some at once, and joins the errors. Where
// storage cannot be reached for one bucket, those that have not begun are spared
// the wait, and all count as one error; so do refused credentials.
func eachOf(buckets []*Bucket, do func(i int, b *Bucket) error) error {
	errs := make([]error, len(buckets))
	slots := make(chan struct{}, bucketsAtOnce)
	var down atomic.Pointer[Error]
	var wait sync.WaitGroup
	for i, b := range buckets {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if down.Load() != nil {
				return
			}
			errs[i] = do(i, b)
			var failed *Error
			if errors.As(errs[i], &failed) && failed.concernsAll() {
				down.CompareAndSwap(nil, failed)
			}
		})
	}
	wait.Wait()
	if failed := down.Load(); failed != nil {
		if len(buckets) == 1 {
			return failed
		}
		all := *failed
		all.Bucket, all.Detail = "", fmt.Sprintf("%d buckets need it", len(buckets))
		return &all
	}
	return errors.Join(errs...)
}

// concernsAll says whether an error about one bucket holds for every other: the
// server gave no answer, or refuses the credentials.
func (e *Error) concernsAll() bool {
	switch e.Kind {
	case ErrCredentials, ErrClockSkew:
		return true
	case ErrUnavailable:
		var answered minio.ErrorResponse
		return !errors.As(e.Err, &answered)
	}
	return false
}

// inspection is what a Plan knows of a bucket when it looks at an aspect.
type inspection struct {
	bucket *Bucket
	// missing: the bucket is not there, so nothing is read.
	missing bool
	// server is what the server calls itself.
	server string
	// again: it looks once more right before it writes, for a Plan made earlier.
	again bool
}

// inspector compares one aspect.
type inspector struct {
	aspect   Aspect
	declared func(BucketConfig) bool
	steps    func(*inspection, context.Context) ([]step, error)
}

// inspectors are in the order in which Apply has to change things: versions
// before locks.
func inspectors() []inspector {
	return []inspector{
		{AspectVersioning, func(c BucketConfig) bool { return c.Versioning != "" && !c.ObjectLock }, (*inspection).versioning},
		{AspectObjectLock, func(c BucketConfig) bool { return c.ObjectLock }, (*inspection).objectLock},
		{AspectEncryption, func(c BucketConfig) bool { return c.Encryption.Algorithm != "" }, (*inspection).encryption},
		{AspectCORS, func(c BucketConfig) bool { return c.CORS != nil }, (*inspection).cors},
		{AspectLifecycle, func(c BucketConfig) bool { return !c.Lifecycle.isZero() }, (*inspection).lifecycle},
		{AspectTags, func(c BucketConfig) bool { return len(c.Tags) > 0 }, (*inspection).tags},
		{AspectQuota, func(c BucketConfig) bool { return c.Quota != 0 }, (*inspection).quota},
	}
}

// plan compares one bucket.
func (b *Bucket) plan(ctx context.Context) ([]step, error) {
	in := &inspection{bucket: b}
	steps, err := in.existenceAndAccess(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, i := range inspectors() {
		declared := b.declared
		declared.CORS = b.corsRules()
		if !i.declared(declared) {
			continue
		}
		var some []step
		err := errNotImplemented
		if !b.store.lacks.has(b, i.aspect) {
			some, err = i.steps(in, ctx)
		}
		switch {
		case notImplemented(err):
			steps = append(steps, in.unsupported(i.aspect))
			if i.aspect == AspectLifecycle && b.declared.Lifecycle.AbortUploadsDays > 0 {
				steps = append(steps, in.unsupported(AspectAbortUploads)) // a part of it
			}
		case err != nil:
			errs = append(errs, err)
		default:
			steps = append(steps, some...)
		}
	}
	return steps, errors.Join(errs...)
}

// read reads one of the bucket's settings; nil where there is none, which the
// server says by the error absent.
func (in *inspection) read(ctx context.Context, name, absent string) ([]byte, error) {
	if in.missing {
		return nil, nil
	}
	answer, err := in.bucket.ask(ctx, "read "+name, bucketRequest{method: http.MethodGet, query: setting(name)})
	if err != nil {
		if codeOf(err) == absent {
			return nil, nil
		}
		return nil, err
	}
	return answer.body, nil
}

// write returns what writes one of the bucket's settings; an empty body takes it
// away.
func (in *inspection) write(name string, body []byte) func(context.Context) error {
	r := bucketRequest{method: http.MethodPut, query: setting(name), body: body}
	if len(body) == 0 {
		r.method = http.MethodDelete
	}
	return func(ctx context.Context) error {
		_, err := in.bucket.ask(ctx, "set "+name, r)
		return err
	}
}

// afresh returns what writes a setting that others have a part in: it compares
// once more, since the Plan may be old, and writes what is to be by then. A bucket
// just made has nothing of others'.
func (in *inspection) afresh(a Aspect, compare func(*inspection, context.Context) ([]step, error), write func(context.Context) error) func(context.Context) error {
	if in.missing || in.again {
		return write
	}
	return func(ctx context.Context) error {
		steps, err := compare(&inspection{bucket: in.bucket, server: in.server, again: true}, ctx)
		for _, s := range steps {
			if s.do != nil && s.differences[0].Aspect == a {
				return s.do(ctx)
			}
		}
		return err
	}
}

func (in *inspection) difference(a Aspect, have, want any, message string, args ...any) Difference {
	return Difference{Bucket: in.bucket.name, Aspect: a, Have: have, Want: want, Message: fmt.Sprintf(message, args...)}
}

// unsupported is the step for what the server does not implement.
func (in *inspection) unsupported(a Aspect) step {
	return step{differences: []Difference{{
		Bucket: in.bucket.name, Aspect: a, Want: "declared", Unsupported: true,
		Message: "this server does not implement it (" + a.phrase() + ")",
	}}}
}

// lacking remembers what a server turned out not to implement, so that it is not
// asked again. Safe for concurrent use.
type lacking struct {
	known sync.Map // of Aspect, and of [2]string{bucket, aspect} where it is one bucket's
}

func (l *lacking) has(b *Bucket, a Aspect) bool {
	_, all := l.known.Load(a)
	_, one := l.known.Load([2]string{b.name, string(a)})
	return all || one
}

func (l *lacking) add(a Aspect) { l.known.Store(a, true) }

func (l *lacking) addFor(b *Bucket, a Aspect) { l.known.Store([2]string{b.name, string(a)}, true) }
