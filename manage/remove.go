package manage

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/filefield/filefield/core"
)

// removesAtOnce is how many objects are removed at a time.
const removesAtOnce = 16

// removeResult is an object that was removed, in JSON; with --dry-run one that
// would be.
type removeResult struct {
	Bucket  string `json:"bucket"`
	Key     string `json:"key"`
	Size    int64  `json:"size"`
	Removed bool   `json:"removed"`
}

// rmFlags are what rm is told.
type rmFlags struct{ recursive, yes, dry bool }

func (c *commands) rmCommand() *cobra.Command {
	f := &rmFlags{}
	cmd := &cobra.Command{
		Use:   "rm BUCKET/KEY...",
		Short: "remove objects",
		Long: "Remove objects, after asking. Where there is nobody to ask, --yes is needed.\n\n" +
			"With --recursive, an address is a folder and all below it goes: the folder's\n" +
			"address has to be typed again. BUCKET/ is all that is in a bucket; the bucket\n" +
			"itself stays. In a versioned bucket earlier versions stay too.",
		Args:              arguments(cobra.MinimumNArgs(1)),
		ValidArgsFunction: c.completeAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.recursive {
				return c.removeFolders(cmd, args, f)
			}
			places, err := c.objectPlaces(cmd, args)
			if err != nil {
				return err
			}
			return c.removeObjects(cmd, places, f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.recursive, "recursive", "r", false, "everything in a folder")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&f.dry, "dry-run", false, "only say what would be removed")
	return cmd
}

// removeObjects removes single objects. One that does not exist is a failure,
// before any is removed: it is a mistyped key more often than not.
func (c *commands) removeObjects(cmd *cobra.Command, places []place, f *rmFlags) error {
	objects := make([]core.Object, len(places))
	for i, p := range places {
		o, err := p.in.Stat(cmd.Context(), p.object)
		if err != nil {
			return err
		}
		objects[i] = o
	}
	question := "Remove " + count(len(objects), "object") + "?"
	if len(objects) == 1 {
		question = "Remove " + shown(places[0].String()) + " (" + shownSize(objects[0].Size) + ")?"
	}
	if err := c.confirm(cmd, f, question+" [y/N] ", agreed); err != nil {
		return err
	}
	out := results(cmd)
	for i, p := range places {
		if !f.dry {
			if err := p.in.Delete(cmd.Context(), p.object); err != nil {
				return out.end(err)
			}
		}
		_ = writeRemoved(out, objects[i], f)
	}
	return out.end(nil)
}

func writeRemoved(out *output, o core.Object, f *rmFlags) error {
	if out.json {
		return out.value(removeResult{Bucket: o.Bucket, Key: o.Key.String(), Size: o.Size, Removed: !f.dry})
	}
	word := "removed"
	if f.dry {
		word = "would remove"
	}
	return out.row(word, shown(o.Bucket+"/"+o.Key.String()), shownSize(o.Size))
}

// removeFolders removes all below the addresses.
func (c *commands) removeFolders(cmd *cobra.Command, args []string, f *rmFlags) error {
	places := make([]place, 0, len(args))
	for _, text := range args {
		p, err := c.place(cmd, text)
		if err != nil {
			return err
		}
		if p.key == "" && !strings.HasSuffix(text, "/") && !f.dry {
			return usageError(cmd, "%q is a whole bucket: write %q for all that is in it", text, text+"/")
		}
		places = append(places, p)
	}
	for _, p := range places {
		if err := c.removeFolder(cmd, p, f); err != nil {
			return err
		}
	}
	return nil
}

func (c *commands) removeFolder(cmd *cobra.Command, p place, f *rmFlags) error {
	objects, bytes, err := c.measure(cmd, p)
	if err != nil {
		return err
	}
	if objects == 0 {
		return &core.Error{Kind: core.ErrNotFound, Op: "remove", Bucket: p.bucket, Key: p.prefix()}
	}
	address := p.bucket + "/" + p.prefix()
	question := count(objects, "object") + " (" + shownSize(bytes) + ") below " + shown(address) + ". Type that address to remove them: "
	if err := c.confirm(cmd, f, question, func(answer string) bool { return answer == address }); err != nil {
		return err
	}
	out := results(cmd)
	bar := c.progress(cmd, "Removing "+shown(address), inObjects, int64(objects))
	err = c.removeBelow(cmd.Context(), p, f, func(o core.Object) error {
		bar.add(1)
		if !out.json && !f.dry {
			return nil // one line at the end says it
		}
		return writeRemoved(out, o, f)
	})
	bar.end(err)
	if !out.json && !f.dry && err == nil {
		_ = out.line("removed " + count(objects, "object") + " below " + shown(address))
	}
	return out.end(err)
}

// measure counts what a folder holds.
func (c *commands) measure(cmd *cobra.Command, p place) (objects int, bytes int64, err error) {
	bar := c.progress(cmd, "Listing "+shown(p.String()), inObjects, -1)
	for o, err := range p.in.Walk(cmd.Context(), p.prefix()) {
		if err != nil {
			bar.end(err)
			return 0, 0, err
		}
		objects++
		bytes += o.Size
		bar.add(1)
	}
	bar.end(nil)
	return objects, bytes, nil
}

// removeBelow removes the objects as they are listed, several at once, and tells
// of each that is gone, one at a time. The first failure ends it.
func (c *commands) removeBelow(ctx context.Context, p place, f *rmFlags, gone func(core.Object) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(removesAtOnce)
	removed := make(chan core.Object)
	var told error
	var stopped atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for o := range removed {
			if told == nil {
				told = gone(o)
				stopped.Store(told != nil)
			}
		}
	}()
	var failed error
	for o, err := range p.in.Walk(ctx, p.prefix()) {
		if err != nil {
			failed = err
			break
		}
		if stopped.Load() {
			break
		}
		group.Go(func() error {
			if !f.dry {
				if err := p.in.Delete(ctx, o.Key); err != nil {
					return err
				}
			}
			removed <- o
			return nil
		})
	}
	err := group.Wait()
	close(removed)
	<-done
	if err == nil {
		err = failed // of the listing, which another failure ends too
	}
	return errors.Join(err, told)
}

// confirm asks, unless --yes or --dry-run spares it. Where standard input is no
// terminal there is nobody to ask.
func (c *commands) confirm(cmd *cobra.Command, f *rmFlags, question string, yes func(answer string) bool) error {
	if f.yes || f.dry {
		return nil
	}
	in := cmd.InOrStdin()
	if !terminal(in) || !terminal(cmd.ErrOrStderr()) {
		return usageError(cmd, "nobody can be asked here: give --yes")
	}
	if _, err := io.WriteString(cmd.ErrOrStderr(), question); err != nil {
		return err
	}
	if c.answers == nil { // one for all questions: a read that is left behind would take the next answer
		content, _ := interruptible(cmd.Context(), in)
		c.answers = bufio.NewReader(content)
	}
	answer, err := c.answers.ReadString('\n')
	switch {
	case err != nil && err != io.EOF:
		return err
	case !yes(strings.TrimSpace(answer)):
		return errors.New("not confirmed: nothing was removed")
	}
	return nil
}
