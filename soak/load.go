package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	smallest = 1 << 10
	largest  = 64 << 20
	// perWorker is how many bytes a worker keeps in storage before it deletes.
	perWorker = 192 << 20
	// opTimeout bounds one request of a client.
	opTimeout = 2 * time.Minute
)

// load sends requests to the app's processes and notes what came of them.
type load struct {
	apps    []*appProcess
	client  *http.Client
	journal *journal
	tally   *tally
	largest int64
	turn    atomic.Uint64
	// patience is how long a file may be not found while nodes come back.
	patience time.Duration

	// wholeness counts the times that the cluster ceased to be whole or became it
	// again; while it is odd, a node is away.
	wholeness atomic.Int64
}

func newLoad(apps []*appProcess, t *tally, largest int64) *load {
	return &load{
		apps: apps, journal: &journal{entries: map[string]*entry{}}, tally: t, largest: largest, patience: 3 * time.Minute,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
}

// worker is one client, with files of its own, so that it knows what they are.
type worker struct {
	*load
	ctx   context.Context //nolint:containedctx // of its requests, which outlast the load
	rand  *rand.Rand
	name  string
	count int
	files []held
	bytes int64
}

// held is a file whose state is certain.
type held struct {
	id string
	state
}

// run has n workers send until running ends. Their last requests are finished
// under ctx.
func (l *load) run(ctx, running context.Context, n int, seed uint64) {
	var all sync.WaitGroup
	for i := range n {
		w := &worker{load: l, ctx: ctx, rand: rand.New(rand.NewPCG(seed, uint64(i))), name: fmt.Sprintf("w%d", i)}
		all.Go(func() {
			for running.Err() == nil {
				w.step()
			}
		})
	}
	all.Wait()
}

// step does one thing of the mix.
func (w *worker) step() {
	p := w.rand.Float64()
	switch {
	case w.bytes > perWorker:
		w.remove()
	case len(w.files) == 0 || p < 0.35:
		w.upload()
	case p < 0.5:
		w.replace()
	case p < 0.6:
		w.remove()
	default:
		w.download()
	}
}

// size is uniform in the logarithm: as many of 1 to 2 KiB as of 32 to 64 MiB.
func (w *worker) size() int64 {
	return int64(smallest * math.Exp(w.rand.Float64()*math.Log(float64(w.largest)/smallest)))
}

// content makes the bytes that a name and a size stand for.
func content(name string, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8(sha256.Sum256([]byte(name))), size)
}

func stateOf(name string, size int64) state {
	h := sha256.New()
	_, _ = io.Copy(h, content(name, size)) // neither fails
	s := state{size: size}
	h.Sum(s.sum[:0])
	return s
}

func (w *worker) fresh() (name string, size int64, s state) {
	w.count++
	name, size = fmt.Sprintf("%s-%d", w.name, w.count), w.size()
	return name, size, stateOf(name, size)
}

func (w *worker) upload() {
	name, size, s := w.fresh()
	switch w.change("upload", http.MethodPost, "/files", name, form(name, name, size), http.StatusCreated) {
	case acknowledged:
		w.journal.acknowledged(name, s)
		w.tally.add("upload", "bytes", size)
		w.files, w.bytes = append(w.files, held{name, s}), w.bytes+size
	case lost:
		w.journal.unknown(name, s)
	}
}

func (w *worker) replace() {
	i := w.rand.IntN(len(w.files))
	f := &w.files[i]
	name, size, s := w.fresh()
	switch w.change("replace", http.MethodPut, "/files/"+f.id, f.id, form("", name, size), http.StatusNoContent) {
	case acknowledged:
		w.journal.acknowledged(f.id, s)
		w.tally.add("replace", "bytes", size)
		w.bytes += size - f.size
		f.state = s
	case lost:
		w.journal.unknown(f.id, s)
		w.forget(i)
	}
}

func (w *worker) remove() {
	i := w.rand.IntN(len(w.files))
	f := w.files[i]
	switch w.change("delete", http.MethodDelete, "/files/"+f.id, f.id, nil, http.StatusNoContent) {
	case acknowledged:
		w.journal.acknowledged(f.id, state{})
		w.forget(i)
	case lost:
		w.journal.unknown(f.id, state{})
		w.forget(i)
	}
}

func (w *worker) forget(i int) {
	w.bytes -= w.files[i].size
	w.files[i] = w.files[len(w.files)-1]
	w.files = w.files[:len(w.files)-1]
}

func (w *worker) download() {
	f := w.files[w.rand.IntN(len(w.files))]
	wholeness := w.wholeness.Load()
	got, status, cause, err := w.fetch(w.ctx, w.app(), f.id)
	whole := wholeness%2 == 0 && w.wholeness.Load() == wholeness
	switch {
	case isDial(err):
		w.tally.add("download", "app down", 1)
		w.rest()
	case err != nil:
		w.tally.add("download", "cut", 1)
	case status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		w.refused("download", cause)
	case status == http.StatusNotFound && !whole:
		w.comesBack(f)
	case status != http.StatusOK:
		w.tally.violation(fmt.Sprintf("%d for a file that is there", status), "download of %s: %d (%s)", f.id, status, cause)
	case got != f.state:
		w.tally.violation("wrong content", "download of %s: %d bytes, sum %x; want %d bytes, sum %x", f.id, got.size, got.sum, f.size, f.sum)
	default:
		w.tally.add("download", "good", 1)
		w.tally.add("download", "bytes", f.size)
	}
}

// comesBack sees that a file which was not found while a node was away is there
// once the cluster is whole. MinIO answers so when the node it asks does not see the
// other nodes yet.
func (w *worker) comesBack(f held) {
	ctx, cancel := context.WithTimeoutCause(w.ctx, w.patience, errors.New("it stays so"))
	defer cancel()
	err := poll(ctx, time.Second, func() error {
		got, status, cause, err := w.fetch(w.ctx, w.app(), f.id)
		switch {
		case err != nil:
			return err
		case status != http.StatusOK:
			return fmt.Errorf("%d (%s)", status, cause)
		case got != f.state:
			return fmt.Errorf("%d bytes, sum %x", got.size, got.sum)
		}
		return nil
	})
	if err != nil {
		w.tally.violation("lost or changed", "download of %s: 404 while a node was away; then %v", f.id, err)
		return
	}
	w.tally.add("download", "404 at first", 1)
}

// fetch reads a file. An error means that there was no whole answer.
func (l *load) fetch(ctx context.Context, a *appProcess, id string) (got state, status int, cause string, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url("/files/"+id), http.NoBody)
	if err != nil {
		return got, 0, "", err
	}
	resp, err := l.client.Do(r)
	if err != nil {
		return got, 0, "", err
	}
	defer resp.Body.Close()
	h := sha256.New()
	got.size, err = io.Copy(h, resp.Body)
	h.Sum(got.sum[:0])
	return got, resp.StatusCode, resp.Header.Get("X-Cause"), err
}

// outcome is what a client knows of a change it asked for.
type outcome uint8

const (
	acknowledged outcome = iota
	// unchanged: it was refused, or never sent.
	unchanged
	// lost: there was no answer.
	lost
)

// body is a form with its exact length.
type body struct {
	io.Reader
	length      int64
	contentType string
}

// form is a form with an id, if there is one, and the file that name stands for.
func form(id, name string, size int64) *body {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if id != "" {
		_ = w.WriteField("id", id) // a Buffer takes everything
	}
	_, _ = w.CreateFormFile("file", name+".bin")
	head := bytes.Clone(b.Bytes())
	_ = w.Close()
	tail := b.Bytes()[len(head):]
	return &body{
		Reader: io.MultiReader(bytes.NewReader(head), content(name, size), bytes.NewReader(tail)),
		length: int64(len(head)) + size + int64(len(tail)), contentType: w.FormDataContentType(),
	}
}

// change asks for one change and says what is known of it afterwards.
func (w *worker) change(op, method, path, id string, b *body, want int) outcome {
	ctx, cancel := context.WithTimeout(w.ctx, opTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.app().url(path), http.NoBody)
	if err != nil {
		w.tally.violation("no request", "%s: %v", op, err)
		return unchanged
	}
	if b != nil {
		r.Body, r.ContentLength = io.NopCloser(b), b.length
		r.Header.Set("Content-Type", b.contentType)
	}
	resp, err := w.client.Do(r)
	if isDial(err) {
		w.tally.add(op, "app down", 1)
		w.rest()
		return unchanged
	}
	if err != nil {
		w.tally.add(op, "answer lost", 1)
		return lost
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the status is all that counts
	switch resp.StatusCode {
	case want:
		w.tally.add(op, "good", 1)
		return acknowledged
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		w.refused(op, resp.Header.Get("X-Cause"))
		return unchanged
	}
	w.tally.violation(fmt.Sprintf("%d for a change", resp.StatusCode), "%s of %s: %d (%s), want %d or 503", op, id, resp.StatusCode, resp.Header.Get("X-Cause"), want)
	return lost
}

func (w *worker) refused(op, cause string) {
	w.tally.add(op, "503", 1)
	w.tally.cause(op, cause)
	w.rest()
}

// rest keeps a client from asking again at once.
func (w *worker) rest() {
	select {
	case <-w.ctx.Done():
	case <-time.After(200 * time.Millisecond):
	}
}

// app returns the processes in turn.
func (l *load) app() *appProcess { return l.apps[l.turn.Add(1)%uint64(len(l.apps))] }

// isDial says whether the request never reached the app.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
