package manage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/filefield/filefield/sweep"
)

// orphanCleaner is the reference's name for sweep. Called so, it acts unless
// --dry-run is given, as there; by quarantine first.
const orphanCleaner = "clean_orphaned_minio_files"

// databaseVariable holds a database's URL, where --database-env names no other.
const databaseVariable = "DATABASE_URL"

// actions are what sweep is told to do.
var actions = map[string]sweep.Action{
	"dry-run": sweep.DryRun, "quarantine": sweep.Quarantine, "purge": sweep.Purge, "delete": sweep.Delete,
}

// findingResult is one finding, in JSON.
type findingResult struct {
	Result  string `json:"result"` // "finding"
	Storage string `json:"storage"`
	Bucket  string `json:"bucket"`
	sweep.Finding
}

// reportResult is the end of the sweep of a bucket, in JSON.
type reportResult struct {
	Result  string `json:"result"` // "report"
	Storage string `json:"storage"`
	sweep.Report
}

// sweepFlags are what sweep is told.
type sweepFlags struct {
	given *pflag.FlagSet

	action                string
	dry, missing, yes     bool
	restore               bool
	references, end       string
	columns               []string
	database              string
	keysOnly, sorted      bool
	owned                 []string
	prefix                string
	minAge, quarantineFor time.Duration
	maxDeletes            int
	maxShare              float64
	byPrefix              bool
	checkpoint            string
	storage               Storage
	openDatabase          DatabaseOpener
	closers               []func() error
}

// DatabaseOpener opens the database of a URL, and says how its SQL is written.
type DatabaseOpener func(ctx context.Context, url string) (*sql.DB, sweep.Dialect, error)

func (c *commands) sweepCommand() *cobra.Command {
	f := &sweepFlags{openDatabase: c.config.Database}
	cmd := &cobra.Command{
		Use:     "sweep [BUCKET...]",
		Aliases: []string{orphanCleaner},
		Short:   "find objects that no row refers to, and remove them where told to",
		Long: "Find the objects of buckets that no row refers to, beside live traffic, and by\n" +
			"--action put them into quarantine or remove them. By default nothing is changed.\n" +
			"Without BUCKET, all that the app knows the references of.\n\n" +
			"References come from the app, or from --references: one value a line, a key or\n" +
			"what the file's column holds. Objects are the app's if they lie where one of its\n" +
			"fields puts them and were written by this library, or lie below --owned.",
		ValidArgsFunction: c.completeAddress,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := f.prepare(cmd, args); err != nil {
				return err
			}
			if f.storage, err = c.one(cmd); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.close()) }()
			return c.sweep(cmd, args, f)
		},
	}
	f.declare(cmd.Flags())
	return cmd
}

func (f *sweepFlags) declare(flags *pflag.FlagSet) {
	f.given = flags
	flags.StringVar(&f.action, "action", "dry-run", "`WHAT` to do with orphans: dry-run, quarantine, purge or delete")
	flags.BoolVar(&f.dry, "dry-run", false, "change nothing")
	flags.BoolVar(&f.restore, "restore", false, "take objects out of quarantine, in place of a sweep")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask before --action delete")
	flags.BoolVar(&f.missing, "check-missing", false, "also find references whose object is missing; they are a failure")
	flags.StringVar(&f.references, "references", "", "a `FILE` of references, one a line; - is standard input")
	flags.StringVar(&f.end, "end", "", "the `TEXT` of the last line of --references, without which it counts as cut off")
	if f.openDatabase != nil {
		flags.StringArrayVar(&f.columns, "column", nil, "a `TABLE.COLUMN` that refers to files; may be repeated")
		flags.StringVar(&f.database, "database-env", databaseVariable, "the environment `VARIABLE` with the database's URL")
		flags.BoolVar(&f.keysOnly, "keys-only", false, "the columns hold bare keys, which an index can look up")
		flags.BoolVar(&f.sorted, "sorted", false, "the columns have an index in the order of bytes; needs --keys-only")
	}
	flags.StringArrayVar(&f.owned, "owned", nil, "a `PREFIX` below which every object is the app's; \"\" is the whole bucket")
	flags.StringVar(&f.prefix, "prefix", "", "only keys that begin with this `PREFIX`: a shard")
	flags.DurationVar(&f.minAge, "min-age", 0, "how old an orphan must be (default 24h, or as long as tokens live)")
	flags.DurationVar(&f.quarantineFor, "quarantine-for", 0, "how long purge leaves an object in quarantine (default 168h)")
	flags.IntVar(&f.maxDeletes, "max-deletes", 0, "how many objects a run may touch (default 10000)")
	flags.Float64Var(&f.maxShare, "max-share", 0, "which `SHARE` of the listed objects it may touch (default 0.1)")
	flags.BoolVar(&f.byPrefix, "by-prefix", false, "quarantine moves objects, where it would tag them")
	flags.StringVar(&f.checkpoint, "checkpoint", "", "a `FILE` that says where an interrupted run goes on")
}

// prepare settles what the reference's name and its flags mean.
func (f *sweepFlags) prepare(cmd *cobra.Command, args []string) error {
	if _, known := actions[f.action]; !known {
		return usageError(cmd, "--action is dry-run, quarantine, purge or delete, not %q", f.action)
	}
	if f.dry && f.given.Changed("action") && f.action != "dry-run" {
		return usageError(cmd, "--dry-run and --action %s exclude each other", f.action)
	}
	if cmd.CalledAs() == orphanCleaner && !f.given.Changed("action") && !f.dry {
		f.action = "purge"
	}
	if f.checkpoint != "" && len(args) != 1 {
		return usageError(cmd, "--checkpoint is of one bucket: name it")
	}
	if f.restore && (f.given.Changed("action") || f.references != "" || len(f.columns) > 0) {
		return usageError(cmd, "--restore needs no references and takes no --action")
	}
	return nil
}

func (f *sweepFlags) close() error {
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// sweep sweeps the buckets in turn.
func (c *commands) sweep(cmd *cobra.Command, args []string, f *sweepFlags) error {
	if f.restore {
		return c.restore(cmd, args, f)
	}
	configs, err := f.configs(cmd, args)
	if err != nil {
		return err
	}
	if f.action == "delete" {
		names := make([]string, len(configs))
		for i, config := range configs {
			names[i] = config.Bucket.Name()
		}
		question := "Delete orphans of " + strings.Join(names, ", ") + " for good, without quarantine? [y/N] "
		if err := c.confirm(cmd, &rmFlags{yes: f.yes}, question, agreed); err != nil {
			return err
		}
	}
	out := results(cmd)
	var failures error
	for _, config := range configs {
		report, err := c.sweepBucket(cmd, out, config, f)
		if report.Missing > 0 && err == nil {
			err = exitError{ExitFailed}
		}
		failures = errors.Join(failures, err)
		if cmd.Context().Err() != nil {
			break
		}
	}
	return out.end(failures)
}

func agreed(answer string) bool {
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}

// configs returns what to sweep: what the app says, changed by the flags.
func (f *sweepFlags) configs(cmd *cobra.Command, buckets []string) ([]sweep.Config, error) {
	known := map[string]sweep.Config{}
	all := make([]string, 0, len(f.storage.Sweeps))
	for _, s := range f.storage.Sweeps {
		if s.Bucket == nil {
			return nil, configError(errors.New("one of Storage.Sweeps has no Bucket"))
		}
		known[s.Bucket.Name()] = s
		all = append(all, s.Bucket.Name())
	}
	given, err := f.sources(cmd)
	if err != nil {
		return nil, err
	}
	switch {
	case len(buckets) == 0 && len(given) > 0:
		return nil, usageError(cmd, "say which bucket the references belong to")
	case len(buckets) == 0:
		buckets = all
	case len(buckets) > 1 && f.references != "":
		return nil, usageError(cmd, "--references belong to one bucket, not to %d", len(buckets))
	}
	if len(buckets) == 0 {
		return nil, usageError(cmd, "nothing is known that refers to objects: give --references and a bucket")
	}
	out := make([]sweep.Config, 0, len(buckets))
	for _, name := range buckets {
		name = strings.TrimSuffix(name, "/")
		config, ok := known[name]
		if !ok {
			config.Bucket = f.storage.Store.Bucket(name)
		}
		config.References = append(config.References[:len(config.References):len(config.References)], given...)
		if len(config.References) == 0 {
			return nil, usageError(cmd, "nothing is known that refers to the objects of %s: give --references", name)
		}
		out = append(out, f.over(config))
	}
	return out, nil
}

// over puts what the flags say in place of what the app did.
func (f *sweepFlags) over(config sweep.Config) sweep.Config {
	config.Action = actions[f.action]
	config.CheckMissing = config.CheckMissing || f.missing
	config.Owned = append(config.Owned[:len(config.Owned):len(config.Owned)], f.owned...)
	if f.prefix != "" {
		config.Prefix = f.prefix
	}
	if f.given.Changed("min-age") {
		config.MinAge = f.minAge
	}
	if f.given.Changed("quarantine-for") {
		config.QuarantineFor = f.quarantineFor
	}
	if f.given.Changed("max-deletes") {
		config.MaxDeletes = f.maxDeletes
	}
	if f.given.Changed("max-share") {
		config.MaxShare = f.maxShare
	}
	if f.byPrefix {
		config.Isolation = sweep.ByPrefix
	}
	return config
}

// sources opens the references that the flags name.
func (f *sweepFlags) sources(cmd *cobra.Command) ([]sweep.Source, error) {
	var out []sweep.Source
	if f.references != "" {
		in, err := source(cmd.Context(), cmd.InOrStdin(), f.references)
		if err != nil {
			return nil, err
		}
		f.closers = append(f.closers, func() error { in.close(); return nil })
		name := f.references
		if name == standardStream {
			name = "standard input"
		}
		out = append(out, sweep.Lines(name, in.content, f.end))
	}
	if len(f.columns) == 0 {
		return out, nil
	}
	url := os.Getenv(f.database)
	if url == "" {
		return nil, configError(fmt.Errorf("--column needs the database's URL in the environment: set %s", f.database))
	}
	db, dialect, err := f.openDatabase(cmd.Context(), url)
	if err != nil {
		return nil, configError(fmt.Errorf("the database of %s: %w", f.database, err))
	}
	f.closers = append(f.closers, db.Close)
	for _, column := range f.columns {
		out = append(out, sweep.SQL(db, sweep.SQLColumn{Column: column, Dialect: dialect, KeysOnly: f.keysOnly, Sorted: f.sorted}))
	}
	return out, nil
}

// sweepBucket sweeps one bucket and prints what it found.
func (c *commands) sweepBucket(cmd *cobra.Command, out *output, config sweep.Config, f *sweepFlags) (sweep.Report, error) {
	name := config.Bucket.Name()
	config.Found = func(found sweep.Finding) error { return f.found(out, name, found) }
	phases := &phases{commands: c, cmd: cmd, bucket: name}
	config.Progress = phases.tell
	if f.checkpoint != "" {
		if err := f.resume(&config); err != nil {
			return sweep.Report{}, err
		}
		config.Checkpoint = func(at sweep.Checkpoint) error { return writeCheckpoint(f.checkpoint, at) }
	}
	report, err := sweep.Run(cmd.Context(), config)
	phases.end(err)
	if err == nil && f.checkpoint != "" {
		err = ignoreMissing(os.Remove(f.checkpoint))
	}
	if out.json {
		_ = out.value(reportResult{Result: "report", Storage: f.storage.Name, Report: report})
		return report, err
	}
	_ = out.align()
	writeReport(out, name, report)
	return report, err
}

func (f *sweepFlags) found(out *output, bucket string, found sweep.Finding) error {
	if out.json {
		return out.value(findingResult{Result: "finding", Storage: f.storage.Name, Bucket: bucket, Finding: found})
	}
	return out.row(string(found.Outcome), string(found.Kind), shown(bucket+"/"+found.Key), shownSize(found.Size), plain(found.Source+found.Why))
}

func writeReport(out *output, bucket string, r sweep.Report) {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	_ = out.line(fmt.Sprintf("%s: %s listed, %s references, %s orphans (%s), %s foreign, %s pending, %s missing, %s old uploads",
		bucket, number(r.Listed), number(r.References), number(r.Orphans), shownSize(r.OrphanBytes), number(r.Foreign),
		number(r.Pending), number(r.Missing), number(r.Uploads)))
	if r.Action != sweep.DryRun {
		_ = out.line(fmt.Sprintf("%s: %s put into quarantine, %s deleted (%s), %s restored, %s waiting, %s kept",
			bucket, number(r.Isolated), number(r.Deleted), shownSize(r.DeletedBytes), number(r.Restored), number(r.Waiting), number(r.Kept)))
	}
	for _, note := range r.Notes {
		_ = out.line(bucket + ": " + plain(note))
	}
}

// phases shows the phases of a run, one bar after the other.
type phases struct {
	*commands
	cmd    *cobra.Command
	bucket string
	phase  string
	bar    *progress
}

func (p *phases) tell(at sweep.Progress) {
	doing, in, done := "Listing", inObjects, at.Report.Listed
	switch at.Phase {
	case "references":
		doing, in, done = "Reading references of", inReferences, at.Report.References
	case "judge":
		doing = "Judging"
	case "act":
		doing, done = "Clearing", at.Report.Isolated+at.Report.Deleted+at.Report.Restored
	case "uploads":
		doing, in, done = "Looking for old uploads in", inUploads, at.Report.Uploads
	}
	if at.Phase != p.phase {
		p.bar.end(nil)
		p.phase, p.bar = at.Phase, p.progress(p.cmd, doing+" "+p.bucket, in, -1)
		p.bar.named(at.Phase)
	}
	p.bar.at(done)
}

func (p *phases) end(err error) { p.bar.end(err) }

// maxCheckpoint bounds what is read of a checkpoint, in bytes.
const maxCheckpoint = 1 << 20

// resume reads where an interrupted run goes on; a file that is not there means
// from the start.
func (f *sweepFlags) resume(config *sweep.Config) error {
	in, err := os.Open(f.checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	var at sweep.Checkpoint
	if err := json.NewDecoder(io.LimitReader(in, maxCheckpoint)).Decode(&at); err != nil {
		return configError(fmt.Errorf("%s is no checkpoint: %w", f.checkpoint, err))
	}
	config.Resume = &at
	return nil
}

// writeCheckpoint replaces the file at once, so that it is never half written.
func writeCheckpoint(file string, at sweep.Checkpoint) error {
	w := &fetch{file: file, replace: true}
	return w.write(func(to io.Writer) error { return json.NewEncoder(to).Encode(at) })
}

// restore takes objects out of quarantine.
func (c *commands) restore(cmd *cobra.Command, buckets []string, f *sweepFlags) error {
	if len(buckets) == 0 {
		return usageError(cmd, "say which buckets' quarantine to empty")
	}
	out := results(cmd)
	for _, name := range buckets {
		name = strings.TrimSuffix(name, "/")
		isolation := sweep.ByTag
		if f.byPrefix {
			isolation = sweep.ByPrefix
		}
		bar := c.progress(cmd, "Restoring "+name, inObjects, -1)
		_, err := sweep.Restore(cmd.Context(), sweep.RestoreConfig{
			Bucket: f.storage.Store.Bucket(name), Isolation: isolation, Prefix: f.prefix,
			Found: func(found sweep.Finding) error {
				bar.add(1)
				return f.found(out, name, found)
			},
		})
		bar.end(err)
		if err != nil {
			return out.end(err)
		}
	}
	return out.end(nil)
}
