package manage

import (
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	// eventsEvery is how often progress is told in JSON.
	eventsEvery = time.Second
	// drawEvery is how often a bar is drawn anew.
	drawEvery = 100 * time.Millisecond
)

// unit is what progress counts.
type unit string

const (
	inBytes   unit = "bytes"
	inObjects unit = "objects"
	inFiles   unit = "files"
	inBuckets unit = "buckets"

	inReferences unit = "references"
	inUploads    unit = "uploads"
)

// progress tells standard error how far a command is: as a bar on a terminal, as
// JSON lines otherwise, at most one a second and one at the end. A nil one tells
// nothing. Safe for concurrent use.
type progress struct {
	mu sync.Mutex

	drawing *mpb.Progress // and
	bar     *mpb.Bar      // or
	lines   io.Writer

	event      event
	began, due time.Time
	done       int64
	ended      bool
}

// progress begins to tell. total is what there is to do, or -1 where nobody knows.
func (c *commands) progress(cmd *cobra.Command, doing string, in unit, total int64) *progress {
	w := cmd.ErrOrStderr()
	now := time.Now()
	p := &progress{began: now, due: now.Add(eventsEvery)}
	switch {
	case c.quiet:
		return nil
	case terminal(w):
		p.draw(w, doing, in, total)
	case structured(cmd, w):
		p.lines = w
		p.event = event{Event: "progress", Command: cmd.Name(), Unit: string(in)}
		if total >= 0 {
			p.event.Total = &total
		}
	default:
		return nil
	}
	return p
}

// draw starts a bar, or where nobody knows how much there is to do, a spinner
// with a count.
func (p *progress) draw(w io.Writer, doing string, in unit, total int64) {
	p.drawing = mpb.New(mpb.WithOutput(w), mpb.WithWidth(32), mpb.WithRefreshRate(drawEvery))
	known := total > 0
	var count, speed, share decor.Decorator
	switch {
	case in == inBytes && known:
		count, speed = decor.CountersKibiByte("% .1f / % .1f"), decor.AverageSpeed(decor.SizeB1024(0), "% .1f")
	case in == inBytes:
		count, speed = decor.CurrentKibiByte("% .1f"), decor.AverageSpeed(decor.SizeB1024(0), "% .1f")
	case known:
		count = decor.CountersNoUnit("%d / %d " + string(in))
	default:
		count = decor.CurrentNoUnit("%d " + string(in))
	}
	style := mpb.BarFillerBuilder(mpb.SpinnerStyle())
	if known {
		style, share = mpb.BarStyle(), decor.Percentage(decor.WCSyncSpace)
	}
	p.bar = p.drawing.New(max(total, 0), style,
		mpb.PrependDecorators(decor.Name(doing+" ")),
		mpb.AppendDecorators(decor.Name(" "), share, decor.Name(" "), count, decor.Name(" "), speed),
	)
}

// named says which part of a command's work it is about.
func (p *progress) named(phase string) {
	if p != nil {
		p.event.Phase = phase
	}
}

// at says that so much is done.
func (p *progress) at(done int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show(done)
}

// add says that so much more is done.
func (p *progress) add(more int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show(p.done + more)
}

func (p *progress) show(done int64) {
	if p.ended {
		return
	}
	p.done = done
	if p.bar != nil {
		p.bar.SetCurrent(done) // beyond its total it only stays full
		return
	}
	if now := time.Now(); now.After(p.due) {
		p.due = now.Add(eventsEvery)
		p.tell(false)
	}
}

func (p *progress) tell(finished bool) {
	e := p.event
	e.Done, e.Finished = &p.done, &finished
	e.ElapsedMS = time.Since(p.began).Milliseconds()
	writeEvent(p.lines, e)
}

// end is the last that is told: what comes next on standard error starts on a
// line of its own. It may be called again.
func (p *progress) end(err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if p.bar == nil {
		p.tell(err == nil)
		return
	}
	if err == nil {
		p.bar.SetTotal(-1, true) // what it came to is all there was
	} else {
		p.bar.Abort(false) // it stays, as far as it came
	}
	p.drawing.Wait()
}
