package manage

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// planResult is what init --plan found in one storage.
type planResult struct {
	Storage     string            `json:"storage"`
	Changes     bool              `json:"changes"`
	Differences []core.Difference `json:"differences"`
	Error       string            `json:"error,omitempty"`
}

// applyResult is what init did in one storage.
type applyResult struct {
	Storage     string            `json:"storage"`
	OK          bool              `json:"ok"`
	Buckets     []bucketResult    `json:"buckets"`
	Done        []core.Difference `json:"done"`
	Unsupported []core.Difference `json:"unsupported"`
	Error       string            `json:"error,omitempty"`
}

// bucketResult is a declared bucket.
type bucketResult struct {
	Storage string `json:"storage,omitempty"`
	Bucket  string `json:"bucket"`
	Access  string `json:"access"`
}

func accessOf(b *core.Bucket) string {
	if b.Public() {
		return "public"
	}
	return "private"
}

func bucketsOf(s Storage) []bucketResult {
	declared := s.Store.Buckets()
	out := make([]bucketResult, 0, len(declared))
	for _, b := range declared {
		out = append(out, bucketResult{Bucket: b.Name(), Access: accessOf(b)})
	}
	return out
}

func (c *commands) initCommand() *cobra.Command {
	var planned, silenced bool
	cmd := &cobra.Command{
		Use:     "init",
		Aliases: []string{"initialize_buckets"},
		Short:   "make the declared buckets what they are declared to be",
		Long: "Make the declared buckets of all storages what they are declared to be: what is\n" +
			"missing is created, what differs is corrected. Nothing is ever deleted, and what\n" +
			"is right already is not written.\n\n" +
			"With --plan nothing is changed, and the exit code is 3 where init would change\n" +
			"something.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.quiet = c.quiet || silenced
			storages, err := c.selected(cmd)
			if err != nil {
				return err
			}
			if planned {
				return c.plan(cmd, storages)
			}
			return c.init(cmd, storages, silenced)
		},
	}
	cmd.Flags().BoolVar(&planned, "plan", false, "only say what would change")
	cmd.Flags().BoolVar(&silenced, "silenced", false, "print nothing but errors, as django-minio-backend's command")
	return cmd
}

// plan prints what init would do.
func (c *commands) plan(cmd *cobra.Command, storages []Storage) error {
	out := results(cmd)
	var failures error
	changes := false
	for _, s := range storages {
		p, err := c.planned(cmd, s)
		err = errors.Join(err, p.Err())
		changes = changes || p.Changes()
		failures = errors.Join(failures, err)
		if out.json {
			r := planResult{Storage: s.Name, Changes: p.Changes(), Differences: p.Differences}
			if r.Differences == nil {
				r.Differences = []core.Difference{} // "[]", not "null"
			}
			if err != nil {
				r.Error = err.Error()
			}
			_ = out.value(r)
			continue
		}
		for _, d := range p.Differences {
			_ = out.row(out.mark(planWord(d)), d.Bucket, string(d.Aspect), plain(d.Message))
		}
		if len(p.Differences) == 0 && err == nil {
			_ = out.row(out.mark("ok"), s.Name+": "+count(len(s.Store.Buckets()), "bucket")+" as declared")
		}
	}
	if failures == nil && changes {
		failures = exitError{ExitChanges}
	}
	return out.end(failures)
}

func planWord(d core.Difference) string {
	switch {
	case d.Refused:
		return "refused"
	case d.Unsupported:
		return "unsupported"
	}
	return "change"
}

func (c *commands) planned(cmd *cobra.Command, s Storage) (core.Plan, error) {
	var p core.Plan
	err := c.waiting(cmd, "Comparing", s, func(ctx context.Context) (err error) {
		p, err = s.Store.Plan(ctx)
		return err
	})
	return p, err
}

// waiting shows that something goes on for all buckets of a storage.
func (c *commands) waiting(cmd *cobra.Command, doing string, s Storage, work func(context.Context) error) error {
	n := int64(len(s.Store.Buckets()))
	p := c.progress(cmd, doing+" "+count(int(n), "bucket")+" of "+s.Name, inBuckets, -1)
	err := work(cmd.Context())
	if err == nil {
		p.at(n)
	}
	p.end(err)
	return err
}

// init makes the buckets so.
func (c *commands) init(cmd *cobra.Command, storages []Storage, silenced bool) error { //nolint:revive // the reference's --silenced is a flag
	out := results(cmd)
	var failures error
	for _, s := range storages {
		var report core.Report
		plan, err := c.planned(cmd, s)
		err = errors.Join(err, c.waiting(cmd, "Making", s, func(ctx context.Context) (err error) {
			report, err = s.Store.Apply(ctx, plan)
			return err
		}))
		failures = errors.Join(failures, err)
		if silenced {
			continue
		}
		if out.json {
			r := applyResult{Storage: s.Name, OK: err == nil, Buckets: bucketsOf(s), Done: report.Done, Unsupported: report.Unsupported}
			if err != nil {
				r.Error = err.Error()
			}
			_ = out.value(r)
			continue
		}
		for _, d := range report.Done {
			_ = out.row(out.mark("done"), d.Bucket, string(d.Aspect), plain(d.Message))
		}
		for _, d := range report.Unsupported {
			_ = out.row(out.mark("unsupported"), d.Bucket, string(d.Aspect), plain(d.Message))
		}
		if err == nil {
			_ = out.align()
			for _, b := range bucketsOf(s) {
				_ = out.row(out.mark("ok"), b.Bucket, b.Access)
			}
		}
	}
	return out.end(failures)
}

// healthResult is whether one storage can be used.
type healthResult struct {
	Storage string `json:"storage"`
	core.Health
}

func (c *commands) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Aliases: []string{"is_minio_available"},
		Short:   "say whether the declared buckets can be used",
		Long: "Say whether every declared bucket of all storages is there and can be used with\n" +
			"the app's credentials, how long storage took to answer, and why not. The exit\n" +
			"code is 1 where one cannot be used.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			storages, err := c.selected(cmd)
			if err != nil {
				return err
			}
			return c.check(cmd, storages)
		},
	}
}

func (c *commands) check(cmd *cobra.Command, storages []Storage) error {
	out := results(cmd)
	var failures error
	for _, s := range storages {
		var h core.Health
		err := c.waiting(cmd, "Checking", s, func(ctx context.Context) error {
			h = s.Store.Check(ctx)
			return h.Err()
		})
		if cmd.Context().Err() != nil {
			return out.end(context.Cause(cmd.Context()))
		}
		if err != nil {
			failures = exitError{ExitFailed}
		}
		if out.json {
			_ = out.value(healthResult{Storage: s.Name, Health: h})
			continue
		}
		for _, b := range h.Buckets {
			if b.OK {
				_ = out.row(out.mark("ok"), b.Bucket, accessOf(s.Store.Bucket(b.Bucket)), b.Latency.Duration().Round(time.Millisecond/10).String())
				continue
			}
			_ = out.row(out.mark("failed"), b.Bucket, string(b.Reason), plain(b.Detail))
		}
		if len(h.Buckets) == 0 {
			_ = out.row(out.mark("ok"), s.Name+": no bucket is declared")
		}
	}
	return out.end(failures)
}

// count renders "1 bucket", "2 buckets".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
