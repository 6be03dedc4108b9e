package faults

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// span says how long a fault lasts.
type span uint8

const (
	// once: the request that is hit, and none after it; the Store tries again.
	once span = iota
	// unaided: the same with a Store that tries nothing again.
	unaided
	// lasting: the request that is hit and all that follow, until the operation has
	// ended.
	lasting
)

func (s span) String() string { return [...]string{"once", "without another try", "from then on"}[s] }

// attempts is how often the Store tries.
const attempts = 2

// places is how many cells work at once. Most of one's time is spent on waiting for
// another try.
const places = 48

// pendingMark follows the key of an object that has the mark in a cell's state.
const pendingMark = " (pending)"

// seen is a request of an operation.
type seen struct {
	what string // method, path and query
	hit  bool
}

// injector lets requests pass, but for those that the fault is to hit.
type injector struct {
	ordinary http.RoundTripper
	fault    *fault
	at       int // the first that is hit, from 1; 0: none
	span     span
	// working has a place for each cell that works. One whose requests stall gives
	// its place up meanwhile.
	working chan struct{}

	mu      sync.Mutex
	seen    []seen
	spent   bool // the fault has happened once
	stalled int
}

func (in *injector) RoundTrip(r *http.Request) (*http.Response, error) {
	in.mu.Lock()
	n := len(in.seen) + 1
	hit := in.fault != nil && (n == in.at || in.span == lasting && n > in.at) && (in.fault.hits == nil || in.fault.hits(r))
	in.seen = append(in.seen, seen{r.Method + " " + r.URL.RequestURI(), hit})
	in.spent = in.spent || hit
	in.mu.Unlock()
	switch {
	case !hit:
		return in.ordinary.RoundTrip(r)
	case in.fault.stalls:
		in.stall(1)
		defer in.stall(-1)
	}
	return in.fault.via(r, in.ordinary)
}

// stall counts the requests that stall: with the first the cell's place is given
// up, and after the last it is waited for.
func (in *injector) stall(more int) {
	in.mu.Lock()
	before := in.stalled
	in.stalled += more
	after := in.stalled
	in.mu.Unlock()
	switch {
	case before == 0:
		<-in.working
	case after == 0:
		in.working <- struct{}{}
	}
}

func (in *injector) requests() []seen {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.seen)
}

// matrix is what all cells share.
type matrix struct {
	server   *s3test.Server
	admin    *minio.Client
	ordinary *http.Transport
	working  chan struct{}

	mu    sync.Mutex
	tally map[string]map[string]int // by fault and outcome
	cells int
}

// cell is one operation with one fault at one request.
type cell struct {
	*matrix
	t       *testing.T
	op      operation
	prefix  string
	bucket  string
	in      *injector
	field   *core.Field // its requests are hit
	healthy *core.Field // the same one, whose requests are not

	initial map[string]string
	token   string
	object  core.Object
	kept    bool // a row has the object
	ledger  *register
}

// open returns the cell's field on a Store with that transport.
func (m *matrix) open(t *testing.T, c *cell, way http.RoundTripper, tries int) *core.Field {
	t.Helper()
	limit := time.Minute // only what stalls waits for it
	if way == http.RoundTripper(c.in) && c.in.fault != nil && c.in.fault.stalls {
		limit = 4 * time.Second
	}
	store, err := core.Open(core.Config{
		Endpoint: m.server.Endpoint, AccessKey: m.server.AccessKey, SecretKey: core.Secret(m.server.SecretKey), Region: m.server.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"}, Transport: way, Attempts: tries,
		Timeout: limit, FinishTimeout: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.op.bucket != nil {
		declared := *c.op.bucket
		declared.Name = c.bucket
		store.Declare(declared)
	}
	config := c.op.field
	config.Name, config.Bucket, config.KeyPrefix, config.MaxSize = "file", c.bucket, c.prefix+"/", 20*core.MiB
	config.UploadTo = core.Prefix(c.prefix, config.UploadTo)
	field := store.Field(config)
	if err := store.Faults(); err != nil {
		t.Fatal(err)
	}
	return field
}

func (m *matrix) cell(t *testing.T, op operation, bucket, prefix string, in *injector) *cell {
	t.Helper()
	c := &cell{matrix: m, t: t, op: op, bucket: bucket, prefix: prefix, in: in}
	if op.bucket != nil {
		c.bucket = "faults-" + strings.ToLower(rand.Text())
		t.Cleanup(func() { _ = m.admin.RemoveBucket(context.WithoutCancel(t.Context()), c.bucket) }) // it may never have been made
	}
	in.ordinary = m.ordinary
	tries := attempts
	if in.span == unaided {
		tries = 1
	}
	c.field, c.healthy = m.open(t, c, in, tries), m.open(t, c, m.ordinary, attempts)
	for name, content := range op.stored {
		if _, err := c.healthy.Save(t.Context(), core.Upload{Body: strings.NewReader(content), Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if op.begin != nil {
		op.begin(c)
	}
	if op.begin != nil || len(op.stored) > 0 {
		c.initial = c.state()
	}
	return c
}

func (c *cell) before() map[string]string {
	before := map[string]string{}
	maps.Copy(before, c.initial)
	return before
}

// state returns the contents of the cell's objects by key, with the mark of those
// that have it; of an operation on the bucket, its settings.
func (c *cell) state() map[string]string {
	c.t.Helper()
	if c.op.bucket != nil {
		return c.settings()
	}
	state := map[string]string{}
	for o := range c.admin.ListObjectsIter(c.t.Context(), c.bucket, minio.ListObjectsOptions{Prefix: c.prefix + "/", Recursive: true}) {
		if o.Err != nil {
			c.t.Fatal(o.Err)
		}
		key, content, err := c.look(o.Key)
		if minio.ToErrorResponse(err).Code == "NoSuchKey" {
			continue // the server was still busy with its removal
		}
		if err != nil {
			c.t.Fatal(err)
		}
		state[key] = content
	}
	return state
}

// look returns an object's content, and its key with the mark if it has that.
func (c *cell) look(key string) (marked, content string, err error) {
	tags, err := c.admin.GetObjectTagging(c.t.Context(), c.bucket, key, minio.GetObjectTaggingOptions{})
	if err != nil {
		return "", "", err
	}
	object, err := c.admin.GetObject(c.t.Context(), c.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return "", "", err
	}
	all, err := io.ReadAll(object)
	_ = object.Close()
	if core.IsPending(tags.ToMap()) && !strings.Contains(key, ".filefield-claim-") {
		key += pendingMark
	}
	return key, string(all), err
}

// uploads returns the cell's multipart uploads that are open.
func (c *cell) uploads() (open []string) {
	c.t.Helper()
	if c.op.bucket != nil {
		return nil
	}
	for u, err := range c.healthy.Bucket().IncompleteUploads(c.t.Context()) {
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.HasPrefix(u.Key.String(), c.prefix+"/") {
			open = append(open, u.Key.String())
		}
	}
	return open
}

func short(state map[string]string) string {
	var lines []string
	for key, content := range state {
		lines = append(lines, fmt.Sprintf("%s: %d bytes %.20q", key, len(content), content))
	}
	slices.Sort(lines)
	return "[" + strings.Join(lines, "; ") + "]"
}

// TestFaults is the matrix: each operation, with each fault at each of its requests.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	m := &matrix{
		server: s, admin: s.Client(t), ordinary: dialling(t, nil), working: make(chan struct{}, places),
		tally: map[string]map[string]int{},
	}
	m.ordinary.MaxIdleConnsPerHost = 64
	faults := allFaults(t, s)
	t.Run("operations", func(t *testing.T) {
		var all sync.WaitGroup
		for _, op := range operations() {
			// Not by t.Parallel, which would count those that wait.
			all.Go(func() { t.Run(op.name, func(t *testing.T) { m.operation(t, op, faults) }) })
		}
		all.Wait()
	})
	m.report(t, faults)
}

// operation counts the operation's requests and then breaks each of them.
func (m *matrix) operation(t *testing.T, op operation, faults []fault) {
	bucket := m.server.Bucket(t)
	plain := m.cell(t, op, bucket, "plain", &injector{})
	if err := op.run(t.Context(), plain); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	if got, want := plain.state(), op.leaves(plain); !maps.Equal(got, want) {
		t.Fatalf("without a fault the bucket holds %s, want %s", short(got), short(want))
	}
	requests := len(plain.in.requests())
	var all sync.WaitGroup
	defer all.Wait()
	for in, prefix := range injectors(faults, requests) {
		in.working = m.working
		m.working <- struct{}{}
		all.Go(func() {
			defer func() { <-m.working }()
			t.Run(fmt.Sprintf("%s at request %d %s", in.fault.name, in.at, in.span), func(t *testing.T) {
				m.one(t, op, bucket, prefix, requests, in)
			})
		})
	}
}

// injectors yields one of each kind for an operation, and a name of its own. Those
// that stall come first: they wait while the others work.
func injectors(faults []fault, requests int) iter.Seq2[*injector, string] {
	return func(yield func(*injector, string) bool) {
		for _, stalls := range []bool{true, false} {
			for i := range faults {
				f := &faults[i]
				if f.stalls != stalls {
					continue
				}
				for _, span := range []span{once, unaided, lasting} {
					if span != once && f.kinds == nil || span == unaided && !f.again {
						continue // the same as once
					}
					for at := 1; at <= requests; at++ {
						if !yield(&injector{fault: f, at: at, span: span}, fmt.Sprintf("c%d-%d-%d", i, span, at)) {
							return
						}
					}
				}
			}
		}
	}
}

// one runs a cell and holds it against the rules.
func (m *matrix) one(t *testing.T, op operation, bucket, prefix string, requests int, in *injector) {
	c := m.cell(t, op, bucket, prefix, in)
	err := op.run(t.Context(), c)
	if !in.spent {
		return // the request is not of those it can happen to
	}
	c.checkError(err)
	c.checkRequests(requests)
	outcome := c.checkState(err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells++
	if m.tally[in.fault.name] == nil {
		m.tally[in.fault.name] = map[string]int{}
	}
	m.tally[in.fault.name][outcome]++
	if t.Failed() {
		for _, r := range in.requests() {
			t.Logf("%v %s", map[bool]string{true: "hit ", false: "    "}[r.hit], r.what)
		}
		t.Logf("the error is %v", err)
	}
}

// checkError: what is reported is the fault, and never something else.
func (c *cell) checkError(err error) {
	c.t.Helper()
	f := c.in.fault
	for _, never := range []core.Kind{core.ErrNotFound, core.ErrTaken, core.ErrPrecondition, core.ErrBucketMissing, core.ErrToken, core.ErrCanceled} {
		if errors.Is(err, never) {
			c.t.Errorf("the fault is reported as %q: %v", never, err)
		}
	}
	if status := core.KindOf(err).Status(); err != nil && !errors.Is(err, errServed) && status < 500 {
		c.t.Errorf("the error is answered with %d, as if it were the client's: %v", status, err)
	}
	switch {
	case err == nil:
	case f.kinds == nil:
		c.t.Errorf("the error is %v, want none", err)
	case f.again && c.in.span == once && !(f.midway && c.op.passes):
		c.t.Errorf("another try would have helped, and the error is %v", err)
	case !errors.Is(err, errServed) && !slices.ContainsFunc(f.kinds, func(k core.Kind) bool { return errors.Is(err, k) }):
		c.t.Errorf("the error is %v (%s), want %v", err, core.KindOf(err).Code(), f.kinds)
	}
}

// checkRequests: tries are counted, and none follows where it cannot help.
func (c *cell) checkRequests(requests int) {
	c.t.Helper()
	all := c.in.requests()
	f := c.in.fault
	most := 1
	if f.again && c.in.span != unaided {
		most = attempts
	}
	row, last := 0, ""
	for _, r := range all {
		switch {
		case !r.hit:
			row = 0
		case r.what == last:
			row++
		default:
			row = 1
		}
		last = r.what
		if row > 2*most { // the operation's own, and its clean-up's
			c.t.Errorf("%s was tried %d times in a row, want %d at most", r.what, row, most)
		}
	}
	// Each request may be repeated, and cleaning up takes a few.
	if bound := requests*attempts + 6*attempts; len(all) > bound {
		c.t.Errorf("%d requests were made, want %d at most", len(all), bound)
	}
}

// checkState: all is as before or as after, and nothing else is there; where
// storage stayed away, what is there besides is the sweep's.
func (c *cell) checkState(err error) (outcome string) {
	c.t.Helper()
	got, open := c.state(), c.uploads()
	if err == nil || c.kept {
		outcome = "survived"
		if err != nil {
			outcome = "told, and done"
		}
		want := c.op.leaves(c)
		c.checkExactly(got, want, open, err != nil || c.in.span == lasting)
		return outcome
	}
	if c.op.bucket != nil {
		c.checkRepeated()
	}
	switch {
	case len(open) == 0 && maps.Equal(got, c.initial):
		c.checkLedger()
		return "told, and undone"
	case c.op.bucket != nil && maps.Equal(got, c.op.leaves(c)):
		return "told, and done"
	case c.op.bucket != nil:
		return "told, and left to a sweep or another start"
	}
	return c.checkSwept(got, open)
}

// checkLedger: others can claim what was not. Where the clean-up could not be done
// either, the ledger's worker has to know of the file.
func (c *cell) checkLedger() {
	c.t.Helper()
	if c.ledger == nil {
		return
	}
	claims, pending := c.ledger.holds()
	if claims > 0 || pending > 0 && c.in.span != lasting && !c.in.fault.stalls {
		c.t.Errorf("everything is as before, but the ledger has %d claims and %d files without rows", claims, pending)
	}
}

// checkRepeated does the operation again, with storage that works, and wants it to
// end well.
func (c *cell) checkRepeated() {
	c.t.Helper()
	again := *c
	again.field = c.healthy
	if err := c.op.run(c.t.Context(), &again); err != nil {
		c.t.Errorf("done again, it fails: %v", err)
	}
	if got, want := c.state(), c.op.leaves(c); !maps.Equal(got, want) {
		c.t.Errorf("done again, it leaves %s, want %s", short(got), short(want))
	}
}

func (c *cell) checkExactly(got, want map[string]string, open []string, swept bool) {
	c.t.Helper()
	if maps.Equal(got, want) && (len(open) == 0) {
		return
	}
	if swept {
		for key, content := range want {
			if have, ok := got[key]; !ok || have != content {
				c.t.Errorf("%s has been lost or changed; there is %s", key, short(got))
			}
		}
		c.checkGone(want)
		return
	}
	c.t.Errorf("the bucket holds %s and the open uploads %q, want %s and none", short(got), open, short(want))
}

// checkSwept is for an operation that failed and left something.
func (c *cell) checkSwept(got map[string]string, open []string) string {
	c.t.Helper()
	if !c.op.final && c.in.span != lasting && !c.in.fault.stalls {
		c.t.Errorf("left behind: objects %s and uploads %q, want %s and none", short(got), open, short(c.initial))
	}
	rows := map[string]string{}
	for key, content := range c.initial {
		if strings.HasSuffix(key, pendingMark) {
			continue // nobody has it yet
		}
		have, there := got[key]
		switch {
		case there && (have == content || c.op.final && have == c.op.leaves(c)[key]):
			rows[key] = have
		case c.op.final && !there && !maps.Equal(c.op.leaves(c), c.initial) && c.op.leaves(c)[key] == "":
		default:
			c.t.Errorf("%s has been lost or changed; there is %s", key, short(got))
		}
	}
	if maps.Equal(rows, got) && len(open) == 0 {
		return "told, and done"
	}
	c.checkGone(rows)
	return "told, and left to a sweep or another start"
}

// checkGone sweeps, and wants the rows' objects alone to be left.
func (c *cell) checkGone(rows map[string]string) {
	c.t.Helper()
	if err := c.sweep(c.t.Context(), c.healthy, slices.Collect(maps.Keys(rows))...); err != nil {
		c.t.Errorf("the sweep: %v", err)
	}
	if got, open := c.state(), c.uploads(); !maps.Equal(got, rows) || len(open) > 0 {
		c.t.Errorf("after the sweep there are %s and the uploads %q, want %s and none", short(got), open, short(rows))
	}
}

// report prints the figures of docs/reliability.md.
func (m *matrix) report(t *testing.T, faults []fault) {
	outcomes := []string{"survived", "told, and undone", "told, and done", "told, and left to a sweep or another start"}
	var b strings.Builder
	fmt.Fprintf(&b, "%d cells on %s\n| fault | %s |\n|---|--:|--:|--:|--:|\n", m.cells, m.server.Engine, strings.Join(outcomes, " | "))
	total := map[string]int{}
	for _, f := range faults {
		fmt.Fprintf(&b, "| %s |", f.name)
		for _, o := range outcomes {
			fmt.Fprintf(&b, " %d |", m.tally[f.name][o])
			total[o] += m.tally[f.name][o]
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "| all |")
	for _, o := range outcomes {
		fmt.Fprintf(&b, " %d |", total[o])
	}
	t.Log(b.String())
	if m.cells == 0 {
		t.Error("no fault has happened")
	}
}
