package manage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// standardStream is how commands call standard input and output.
const standardStream = "-"

// putFlags are what put is told about the objects it stores.
type putFlags struct {
	replace         bool
	name, mediaType string
	cacheControl    string
	metadata, tags  []string
	parts           int
	upload          core.Upload // made of them
}

func (c *commands) putCommand() *cobra.Command {
	f := &putFlags{}
	cmd := &cobra.Command{
		Use:   "put FILE... BUCKET/KEY",
		Short: "store files, or what standard input brings",
		Long: "Store files of any size. FILE \"-\" is standard input. An address that ends in \"/\"\n" +
			"or is a bucket alone takes the files' own names. Content types come from the\n" +
			"content. A taken key gets an alternative, unless --replace is given: the key that\n" +
			"was used is in the result.",
		Args:              arguments(cobra.MinimumNArgs(2)),
		ValidArgsFunction: c.completePut,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.prepare(cmd); err != nil {
				return err
			}
			return c.put(cmd, args[:len(args)-1], args[len(args)-1], f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.replace, "replace", false, "overwrite an object of this key, atomically")
	flags.StringVar(&f.name, "name", "", "the file `NAME` browsers save it under (default: the file's own)")
	flags.StringVar(&f.mediaType, "type", "", "the media `TYPE` (default: by content)")
	flags.StringVar(&f.cacheControl, "cache-control", "", "the Cache-Control `HEADER` it is served with")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "`NAME=VALUE` to keep with it; may be repeated")
	flags.StringArrayVar(&f.tags, "tag", nil, "`NAME=VALUE` tag of the object; may be repeated")
	flags.IntVar(&f.parts, "parallel", 4, "how many parts of a long file are sent at once")
	return cmd
}

// prepare makes an Upload of the flags, without its content.
func (f *putFlags) prepare(cmd *cobra.Command) error {
	metadata, err := pairs("metadata", f.metadata)
	if err != nil {
		return usageError(cmd, "%w", err)
	}
	tags, err := pairs("tag", f.tags)
	if err != nil {
		return usageError(cmd, "%w", err)
	}
	if f.parts < 1 {
		return usageError(cmd, "--parallel is %d: it must be 1 or more", f.parts)
	}
	f.upload = core.Upload{Name: f.name, Type: f.mediaType, Replace: f.replace, Options: core.ObjectOptions{
		Metadata: metadata, Tags: tags, CacheControl: f.cacheControl, ParallelParts: f.parts,
	}}
	return nil
}

// put stores the files in turn. The first that fails ends it.
func (c *commands) put(cmd *cobra.Command, files []string, to string, f *putFlags) error {
	p, err := c.place(cmd, to)
	if err != nil {
		return err
	}
	for _, file := range files {
		switch {
		case file == standardStream && p.folder():
			return usageError(cmd, "standard input has no name: give the key it is to have, not %q", to)
		case file == "":
			return usageError(cmd, "a file has no name")
		}
	}
	if len(files) > 1 && !p.folder() {
		return usageError(cmd, "%d files cannot have one key: end the address in \"/\"", len(files))
	}
	out := results(cmd)
	for _, file := range files {
		o, err := c.store(cmd, file, p, f.upload)
		if err != nil {
			return out.end(err)
		}
		if out.json {
			_ = out.value(resultOf(o))
		} else {
			_ = out.row(shown(o.Bucket+"/"+o.Key.String()), shownSize(o.Size), o.Type)
		}
		if err := out.flush(); err != nil { // each as soon as it is there
			return err
		}
	}
	return out.end(nil)
}

// store stores one file.
func (c *commands) store(cmd *cobra.Command, file string, p place, upload core.Upload) (core.Object, error) {
	ctx := cmd.Context()
	in, err := source(ctx, cmd.InOrStdin(), file)
	if err != nil {
		return core.Object{}, err
	}
	defer in.close()
	name := p.key
	if p.folder() {
		name = p.key + filepath.Base(file)
	}
	if upload.Name == "" && file != standardStream {
		upload.Name = filepath.Base(file)
	}
	bar := c.progress(cmd, shown(name), inBytes, in.size)
	upload.Body, upload.Limit = in.content, max(in.size, 0)
	upload.Options.Progress = bar.at
	o, err := p.in.Save(ctx, name, upload)
	bar.end(err)
	if err != nil && core.KindOf(err) == core.ErrTooLarge && in.size >= 0 {
		err = fmt.Errorf("%s grew while it was read: %w", file, err)
	}
	return o, err
}

// input is a file or standard input.
type input struct {
	content io.Reader
	size    int64 // -1 where nobody knows
	close   func()
}

// source opens a file, or standard input.
func source(ctx context.Context, stdin io.Reader, file string) (input, error) {
	if file == standardStream {
		content, stop := interruptible(ctx, stdin)
		return input{content: content, size: -1, close: stop}, nil
	}
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		return input{}, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New(file + " is a folder")
	}
	if err != nil {
		return input{}, errors.Join(err, f.Close())
	}
	in := input{content: f, size: -1, close: func() { _ = f.Close() }}
	if info.Mode().IsRegular() {
		in.size = info.Size()
		return in, nil
	}
	content, stop := interruptible(ctx, f) // a FIFO may never bring anything
	in.content, in.close = content, func() { stop(); _ = f.Close() }
	return in, nil
}

// interruptible returns a reader of from that fails when ctx ends, although a
// read of a pipe or terminal that nobody writes to cannot be ended. Such a read
// is left behind: it ends with the program, or with what it then gets.
func interruptible(ctx context.Context, from io.Reader) (content io.Reader, stop func()) {
	r, w := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{from}, make([]byte, 256<<10))
		_ = w.CloseWithError(err)
	}()
	release := context.AfterFunc(ctx, func() { _ = w.CloseWithError(context.Cause(ctx)) })
	return r, func() {
		release()
		_ = r.Close()
	}
}
