package manage

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// rowsAtOnce is how many lines of a listing are put into columns together, so
// that a long one begins to show at once.
const rowsAtOnce = 1000

// folderResult is a folder in a listing, in JSON.
type folderResult struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
}

func (c *commands) lsCommand() *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use:   "ls [BUCKET[/FOLDER]]",
		Short: "list buckets, or what a bucket or folder holds",
		Long: "List what a bucket or folder holds, one level or with --recursive all of it.\n" +
			"Without an address, list the declared buckets.",
		Args:              arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: c.completeAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.listBuckets(cmd)
			}
			p, err := c.place(cmd, args[0])
			if err != nil {
				return err
			}
			return c.list(cmd, p, recursive)
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "everything below, not one level")
	return cmd
}

func (c *commands) listBuckets(cmd *cobra.Command) error {
	storages, err := c.selected(cmd)
	if err != nil {
		return err
	}
	out := results(cmd)
	for _, s := range storages {
		for _, b := range bucketsOf(s) {
			b.Storage = s.Name
			switch {
			case out.json:
				_ = out.value(b)
			case len(storages) > 1:
				_ = out.row(b.Bucket, b.Access, b.Storage)
			default:
				_ = out.row(b.Bucket, b.Access)
			}
		}
	}
	return out.end(nil)
}

// list prints what is at and below a place. What is neither an object nor a
// folder is not found; an empty bucket is no failure.
func (c *commands) list(cmd *cobra.Command, p place, recursive bool) error {
	l := &listing{out: results(cmd)}
	err := l.itself(cmd.Context(), p)
	switch {
	case err != nil:
	case recursive:
		err = l.below(cmd.Context(), p)
	default:
		err = l.oneLevel(cmd.Context(), p)
	}
	if err == nil && l.found == 0 && p.key != "" {
		err = &core.Error{Kind: core.ErrNotFound, Op: "list", Bucket: p.bucket, Key: p.key}
	}
	return l.out.end(err)
}

// listing prints entries as they come.
type listing struct {
	out   *output
	found int
}

// itself prints the object that the address names, if there is one.
func (l *listing) itself(ctx context.Context, p place) error {
	if p.object.IsZero() {
		return nil
	}
	o, err := p.in.Stat(ctx, p.object)
	if core.KindOf(err) == core.ErrNotFound {
		return nil // it may be a folder
	}
	if err != nil {
		return err
	}
	return l.object(o, p.key)
}

func (l *listing) below(ctx context.Context, p place) error {
	for o, err := range p.in.Walk(ctx, p.prefix()) {
		if err != nil {
			return err
		}
		if err := l.object(o, o.Key.String()); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) oneLevel(ctx context.Context, p place) error {
	for entry, err := range p.in.List(ctx, p.key) {
		switch {
		case err != nil:
			return err
		case !entry.Dir:
			err = l.object(entry.Object, entry.Name)
		case l.out.json:
			err = l.wrote(l.out.value(folderResult{Bucket: p.bucket, Prefix: p.prefix() + entry.Name + "/"}))
		default:
			err = l.wrote(l.out.row("", "", shown(entry.Name+"/")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) object(o core.Object, name string) error {
	if l.out.json {
		return l.wrote(l.out.value(listed(o)))
	}
	return l.wrote(l.out.row(shownTime(o.Modified), shownSize(o.Size), shown(name)))
}

func (l *listing) wrote(err error) error {
	if l.found++; err == nil && l.found%rowsAtOnce == 0 {
		err = l.out.flush()
	}
	return err
}

func (c *commands) statCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stat BUCKET/KEY...",
		Short: "say what storage knows about objects",
		Long: "Say what storage knows about objects: size, type, time, checksum, metadata.\n" +
			"Metadata whose name says that its value is secret is shown as [redacted].",
		Args:              arguments(cobra.MinimumNArgs(1)),
		ValidArgsFunction: c.completeAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			places, err := c.objectPlaces(cmd, args)
			if err != nil {
				return err
			}
			return c.stat(cmd, places)
		},
	}
}

// objectPlaces is objectPlace for several arguments.
func (c *commands) objectPlaces(cmd *cobra.Command, args []string) ([]place, error) {
	places := make([]place, 0, len(args))
	for _, text := range args {
		p, err := c.objectPlace(cmd, text)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	return places, nil
}

func (c *commands) stat(cmd *cobra.Command, places []place) error {
	out := results(cmd)
	var first error
	for i, p := range places {
		o, err := p.in.Stat(cmd.Context(), p.object)
		if err != nil && first == nil {
			first = err
		}
		switch {
		case err != nil && cmd.Context().Err() != nil:
			return out.end(err)
		case err != nil && len(places) > 1 && first != err: //nolint:errorlint // the very same is reported at the end
			c.notice(cmd, "%v", err)
		case err != nil:
		case out.json:
			_ = out.value(resultOf(o))
		default:
			if i > 0 {
				_ = out.align()
				_ = out.line("")
			}
			resultOf(o).write(out)
		}
	}
	return out.end(first)
}
