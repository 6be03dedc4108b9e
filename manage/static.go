package manage

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/static"
)

// staticStorage is the storage of static files, as Django names it.
const staticStorage = "staticfiles"

// publishResult is what was published to one bucket, in JSON.
type publishResult struct {
	Storage string `json:"storage"`
	Bucket  string `json:"bucket"`
	static.Report
	Error string `json:"error,omitempty"`
}

// staticFlags are what collectstatic is told.
type staticFlags struct {
	options   static.PublishOptions
	config    static.Config
	encodings []string
}

func (c *commands) collectstaticCommand() *cobra.Command {
	f := &staticFlags{}
	cmd := &cobra.Command{
		Use:   "collectstatic [FOLDER...]",
		Short: "publish static files to their public bucket",
		Long: "Publish static files to their public bucket: with hashed names, so that browsers\n" +
			"may keep them for ever, and only what is not there yet. Nothing is deleted.\n\n" +
			"Without FOLDER it publishes the app's own sets. With folders, their files, of\n" +
			"which the first of one name counts, to --bucket; by default the configuration's\n" +
			"static bucket. The bucket is made by init.",
		RunE: func(cmd *cobra.Command, folders []string) error {
			sets, err := c.staticSets(cmd, folders, f)
			if err != nil {
				return err
			}
			return c.publish(cmd, sets, f.options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.options.DryRun, "dry-run", false, "only say what would be published")
	flags.BoolVar(&f.options.Rewrite, "rewrite", false, "publish every file again")
	flags.IntVar(&f.options.Parallel, "parallel", 8, "how many files are published at once")
	flags.StringVar(&f.config.Bucket, "bucket", "", "the public bucket's `NAME`")
	flags.StringVar(&f.config.Prefix, "prefix", "", "a `FOLDER` in the bucket")
	flags.StringSliceVar(&f.config.Exclude, "exclude", nil, "a `PATTERN` of files that are not published; may be repeated")
	flags.StringSliceVar(&f.config.Unhashed, "unhashed", nil, "a `PATTERN` of files that keep their names; may be repeated")
	flags.StringSliceVar(&f.config.AllowMissing, "allow-missing", nil, "a `PATTERN` of files that may be referred to without being there; may be repeated")
	flags.StringSliceVar(&f.encodings, "encoding", nil, "store variants in this `CODING` too: br, zstd, gzip; may be repeated")
	return cmd
}

// staticSet is one set of files to publish.
type staticSet struct {
	storage string
	files   *static.Files
}

// staticSets returns what to publish: the app's sets, or the folders' files.
func (c *commands) staticSets(cmd *cobra.Command, folders []string, f *staticFlags) ([]staticSet, error) {
	if f.options.Parallel < 1 {
		return nil, usageError(cmd, "--parallel is %d: it must be 1 or more", f.options.Parallel)
	}
	storages, err := c.selected(cmd)
	if err != nil {
		return nil, err
	}
	if len(folders) > 0 {
		return folderSet(cmd, storages, folders, f)
	}
	for _, name := range []string{"bucket", "prefix", "exclude", "unhashed", "allow-missing", "encoding"} {
		if cmd.Flags().Changed(name) {
			return nil, usageError(cmd, "--%s is about folders, and none is given", name)
		}
	}
	var sets []staticSet
	for _, s := range storages {
		for _, files := range s.Static {
			sets = append(sets, staticSet{s.Name, files})
		}
	}
	if len(sets) == 0 {
		return nil, usageError(cmd, "there are no static files: give a folder")
	}
	return sets, nil
}

// folderSet makes a set of folders: in the storage that --storage names, in the
// one for static files, or else in the first.
func folderSet(cmd *cobra.Command, storages []Storage, folders []string, f *staticFlags) ([]staticSet, error) {
	in := storages[0]
	for _, s := range storages {
		if s.Name == staticStorage {
			in = s
		}
	}
	for _, name := range folders {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, usageError(cmd, "%s is no folder", name)
		}
		f.config.Sources = append(f.config.Sources, os.DirFS(name))
	}
	for _, e := range f.encodings {
		f.config.Encodings = append(f.config.Encodings, static.Encoding(e))
	}
	files, err := static.New(in.Store, f.config)
	return []staticSet{{in.Name, files}}, err
}

func (c *commands) publish(cmd *cobra.Command, sets []staticSet, options static.PublishOptions) error {
	out := results(cmd)
	var failures error
	for _, set := range sets {
		bucket := set.files.Bucket().Name()
		var bar *progress
		options.Progress = func(at static.Progress) {
			if bar == nil {
				bar = c.progress(cmd, "Publishing to "+bucket, inFiles, int64(at.Total))
			}
			bar.at(int64(at.Done))
		}
		report, err := set.files.Publish(cmd.Context(), options)
		bar.end(err)
		failures = errors.Join(failures, err)
		if out.json {
			r := publishResult{Storage: set.storage, Bucket: bucket, Report: report}
			if r.Uploaded == nil {
				r.Uploaded = []static.Item{} // "[]", not "null"
			}
			if err != nil {
				r.Error = err.Error()
			}
			_ = out.value(r)
			continue
		}
		word := "published"
		if options.DryRun {
			word = "would publish"
		}
		for _, item := range report.Uploaded {
			_ = out.row(word, shown(bucket+"/"+item.Key), shownSize(item.Size), item.Type)
		}
		_ = out.align()
		_ = out.line(bucket + ": " + count(len(report.Uploaded), "object") + " " + word + " (" + shownSize(report.UploadedBytes) + "), " +
			count(report.Unchanged, "object") + " unchanged")
	}
	return out.end(failures)
}
