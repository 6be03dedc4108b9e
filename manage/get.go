package manage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// fileResult says where an object was put, in JSON.
type fileResult struct {
	objectResult
	File string `json:"file"`
	// Offset and Length are the range that was fetched.
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

func (c *commands) getCommand() *cobra.Command {
	var force bool
	var bytes, version string
	cmd := &cobra.Command{
		Use:   "get BUCKET/KEY [FILE]",
		Short: "fetch an object into a file, or to standard output",
		Long: "Fetch an object into a file: by default one named as the key's last part, in the\n" +
			"working directory. FILE may be a directory; \"-\" is standard output.\n\n" +
			"A file appears whole or not at all, and one that exists is not overwritten\n" +
			"without --force.",
		Args:              arguments(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: c.completeGet,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.objectPlace(cmd, args[0])
			if err != nil {
				return err
			}
			options := core.OpenOptions{VersionID: version}
			if bytes != "" {
				part, err := parseSpan(bytes)
				if err != nil {
					return usageError(cmd, "--range %q: %w", bytes, err)
				}
				options.Offset, options.Length = part.offset, part.length
			}
			if len(args) == 2 && args[1] == standardStream {
				return c.print(cmd, p, options)
			}
			g := &fetch{place: p, options: options, replace: force}
			if err := g.aim(args[1:]); err != nil {
				return err
			}
			return c.get(cmd, g)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&force, "force", "f", false, "overwrite a file that exists")
	flags.StringVar(&bytes, "range", "", "only these `BYTES`: 0-99, 100-, or -50 for the last 50")
	flags.StringVar(&version, "object-version", "", "the `ID` of a version of the object")
	return cmd
}

// fetch is one object on its way into a file.
type fetch struct {
	place   place
	options core.OpenOptions
	replace bool
	file    string
}

// aim decides the file.
func (g *fetch) aim(args []string) error {
	g.file = g.place.object.Base()
	if len(args) == 1 {
		g.file = args[0]
		if info, err := os.Stat(g.file); err == nil && info.IsDir() {
			g.file = filepath.Join(g.file, g.place.object.Base())
		}
	}
	if _, err := os.Lstat(g.file); err == nil && !g.replace {
		return g.taken() // before anything is fetched; the link below makes sure
	}
	return nil
}

func (g *fetch) taken() error {
	return fmt.Errorf("%s exists: give --force to overwrite it", g.file)
}

// print writes the object to standard output.
func (c *commands) print(cmd *cobra.Command, p place, options core.OpenOptions) error {
	w := cmd.OutOrStdout()
	f, err := p.in.Open(cmd.Context(), p.object, options)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var bar *progress
	if !terminal(w) { // a bar amid the content would spoil both
		bar = c.progress(cmd, shown(p.key), inBytes, f.Length)
	}
	err = transfer(cmd.Context(), standardOutput{w}, f, bar)
	bar.end(err)
	return err
}

// transfer copies what was asked for, and not less.
func transfer(ctx context.Context, to io.Writer, f *core.File, bar *progress) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, &counted{ctx: ctx, from: f, bar: bar}, make([]byte, 256<<10))
	if err == nil && n != f.Length {
		err = fmt.Errorf("%d bytes came of %d", n, f.Length)
	}
	return err
}

// counted tells a bar what is read.
type counted struct {
	ctx  context.Context
	from io.Reader
	bar  *progress
}

func (r *counted) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.from.Read(b)
	r.bar.add(int64(n))
	return n, err
}

// get writes the object to a file beside its place and then gives it its name.
func (c *commands) get(cmd *cobra.Command, g *fetch) error {
	f, err := g.place.in.Open(cmd.Context(), g.place.object, g.options)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	bar := c.progress(cmd, shown(g.place.key), inBytes, f.Length)
	err = g.write(func(w io.Writer) error { return transfer(cmd.Context(), w, f, bar) })
	bar.end(err)
	if err != nil {
		return err
	}
	out := results(cmd)
	if out.json {
		_ = out.value(fileResult{objectResult: resultOf(f.Object), File: g.file, Offset: f.Offset, Length: f.Length})
	} else {
		_ = out.row(shown(g.file), shownSize(f.Length), f.Type)
	}
	return out.end(nil)
}

// write makes the file: under another name first, so that it is never seen half
// written and nothing is left if this fails.
func (g *fetch) write(content func(io.Writer) error) (err error) {
	temporary := filepath.Join(filepath.Dir(g.file), "."+filepath.Base(g.file)+"."+rand.Text()[:8]+".part")
	if name := filepath.Base(temporary); len(name) > 255 {
		temporary = filepath.Join(filepath.Dir(g.file), ".filefield."+rand.Text()+".part")
	}
	w, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) //nolint:gosec // the user's umask decides
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(temporary))) }()
	if err = content(w); err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if g.replace {
		return os.Rename(temporary, g.file)
	}
	return g.name(temporary)
}

// name gives the file its name, unless something has it by now. Where the file
// system has no links, the name is taken by an empty file first.
func (g *fetch) name(temporary string) error {
	err := os.Link(temporary, g.file)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return g.taken()
	}
	w, err := os.OpenFile(g.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) //nolint:gosec // the user's umask decides
	switch {
	case errors.Is(err, fs.ErrExist):
		return g.taken()
	case err != nil:
		return err
	}
	return errors.Join(w.Close(), os.Rename(temporary, g.file))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
