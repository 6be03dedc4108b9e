package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/soak/app"
)

// checked is what was found at the end.
type checked struct {
	compared, bytes int64 // files read back
	gone            int64 // deleted ones that are
	unsettled       int64 // whose answer was lost, and are one of what they may be
	happened        int64 // of those, changes that had happened
	leftovers       int   // objects without a row, before the ledger and the sweep
	opened          int   // multipart uploads open before them
	remains         int   // of ended ones on half of the drives, at the end
	removed         int64 // by the ledger and the sweep
	rows, objects   int
	lists           int // of the bucket until they had all rows' objects
}

// verify holds everything against the journal, once the cluster is whole:
//
//   - every file is what was acknowledged: content by its SHA-256, or 404;
//   - one whose last change was not answered is as before it or as after it;
//   - the rows are those files' and no others;
//   - after the ledger's recovery and a sweep, the bucket has the rows' objects and
//     no others, and no multipart upload is open;
//   - the app's processes hold no more goroutines and descriptors than at the start.
func (s *soak) verify(ctx context.Context) error {
	began := time.Now()
	if err := s.cluster.waitWhole(ctx, 2*time.Minute); err != nil {
		return err
	}
	s.repaired = time.Since(began)
	s.progress("the load has ended after %s; verifying %d files", s.loaded.Round(time.Second), len(s.load.journal.ids()))
	if err := s.tidy(ctx); err != nil {
		return err
	}
	rows, err := s.rows(ctx)
	if err != nil {
		return err
	}
	s.progress("the ledger has recovered, a sweep is done; reading back")
	present := s.compare(ctx)
	s.progress("all is read back; listing the bucket")
	s.checked.rows = len(rows)
	for id := range rows {
		if !present[id] {
			s.tally.violation("a row without a file", "a row of %s, which is not there by the journal", id)
		}
	}
	if err := s.matchObjects(ctx, rows); err != nil {
		return err
	}
	var open int
	if open, s.checked.remains, err = s.cluster.openUploads(); err != nil {
		return err
	}
	if open > 0 {
		s.tally.violation("an open multipart upload", "%d multipart uploads are open", open)
	}
	s.progress("waiting until the app holds no more than at the start")
	return s.backToBase(ctx)
}

// matchObjects holds the bucket's list against the rows. MinIO's lists may lack
// objects for a while after nodes have come back: a row counts as one that points
// at nothing when its object is in none of a minute's lists, and an object as one
// without a row when none of a minute's sweeps has taken it.
func (s *soak) matchObjects(ctx context.Context, rows map[string]app.Row) error {
	var wrong []violation
	patience, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the list stays so"))
	defer cancel()
	err := poll(patience, 5*time.Second, func() error {
		objects, err := s.objects(patience)
		if err != nil {
			return err
		}
		s.checked.lists++
		s.checked.objects = len(objects)
		if wrong = mismatches(rows, objects); len(wrong) == 0 {
			return nil
		}
		return errors.Join(fmt.Errorf("%d rows and objects do not match", len(wrong)), s.lastSweep(ctx))
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && len(wrong) == 0 {
		s.tally.violation("no list of the bucket", "%v", err)
	}
	for _, v := range wrong {
		s.tally.violation(v.kind, "%s", v.text)
	}
	return nil
}

// mismatches says what rows lack and what objects have too many. It empties objects.
func mismatches(rows map[string]app.Row, objects map[string]int64) (wrong []violation) {
	for id, row := range rows {
		if size, ok := objects[row.Key]; !ok || size != row.Size {
			wrong = append(wrong, violation{kind: "a row without its object", text: fmt.Sprintf("the row of %s has %s of %d bytes; the bucket has %d, %t", id, row.Key, row.Size, size, ok)})
		}
		delete(objects, row.Key)
	}
	for key := range objects {
		wrong = append(wrong, violation{kind: "an object without a row", text: key})
	}
	return wrong
}

// tidy has the ledger and a sweep do what they do when the grace period is over.
func (s *soak) tidy(ctx context.Context) error {
	rows, err := s.rows(ctx)
	if err != nil {
		return err
	}
	objects, err := s.objects(ctx)
	if err != nil {
		return err
	}
	s.checked.leftovers = len(objects) - len(rows)
	if s.checked.opened, _, err = s.cluster.openUploads(); err != nil {
		return err
	}
	var recovered app.Recovered
	patience, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("the ledger's recovery does not end"))
	defer cancel()
	err = poll(patience, 2*time.Second, func() error {
		err := s.ask(ctx, s.apps[0], http.MethodPost, "/recover?ahead=1h", &recovered)
		s.checked.removed += int64(recovered.Report.Removed)
		if err == nil && recovered.Error != "" {
			err = errors.New(recovered.Error)
		}
		return err
	})
	if err != nil {
		s.tally.violation("the ledger's recovery", "%v", err)
	}
	return s.lastSweep(ctx)
}

// lastSweep sweeps what is without a row, however young. No upload may be under way.
func (s *soak) lastSweep(ctx context.Context) error {
	var swept app.Swept
	if err := s.ask(ctx, s.apps[0], http.MethodPost, "/sweep?ahead=25h", &swept); err != nil {
		return err
	}
	s.judge("the last sweep", swept)
	if swept.Error != "" {
		s.tally.violation("a sweep failed", "the last sweep, of a whole cluster: %s", swept.Error)
	}
	s.checked.removed += swept.Report.Deleted
	return nil
}

func (s *soak) rows(ctx context.Context) (map[string]app.Row, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.apps[0].url("/rows"), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.load.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	rows := map[string]app.Row{}
	for lines := json.NewDecoder(resp.Body); ; {
		var row app.Row
		switch err := lines.Decode(&row); {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, fmt.Errorf("read the rows: %w", err)
		}
		rows[row.ID] = row
	}
}

// objects lists the bucket, past the app and the balancer.
func (s *soak) objects(ctx context.Context) (map[string]int64, error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := minio.New(s.cluster.nodes[0].addr, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: region, Transport: transport,
	})
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for last, more := "", true; more; { // MinIO may say of any page that it is the last
		more = false
		for o := range client.ListObjectsIter(ctx, app.Bucket, minio.ListObjectsOptions{Recursive: true, StartAfter: last}) {
			if o.Err != nil {
				return nil, fmt.Errorf("list the bucket: %w", o.Err)
			}
			found[o.Key] = o.Size
			last, more = o.Key, true
		}
	}
	if err := ctx.Err(); err != nil { // the list ends without an error then
		return nil, fmt.Errorf("list the bucket: %w", err)
	}
	return found, nil
}

// compare reads every file of the journal back, and returns those that are there.
func (s *soak) compare(ctx context.Context) (present map[string]bool) {
	present = map[string]bool{}
	var mu sync.Mutex
	ids := make(chan string)
	var all sync.WaitGroup
	for range s.config.Workers {
		all.Go(func() {
			for id := range ids {
				got, ok := s.readBack(ctx, id)
				mu.Lock()
				if ok && got != (state{}) {
					present[id] = true
				}
				s.count(s.load.journal.get(id), got, ok)
				mu.Unlock()
			}
		})
	}
	for _, id := range s.load.journal.ids() {
		ids <- id
	}
	close(ids)
	all.Wait()
	return present
}

// readBack reads one file and holds it against what it may be.
func (s *soak) readBack(ctx context.Context, id string) (got state, ok bool) {
	var status int
	var cause string
	patience, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("still no answer with a whole cluster"))
	defer cancel()
	err := poll(patience, time.Second, func() (err error) {
		got, status, cause, err = s.load.fetch(ctx, s.load.app(), id)
		if err == nil && status == http.StatusServiceUnavailable {
			s.tally.add("read back", "503", 1)
			err = errors.New(cause)
		}
		return err
	})
	want := s.load.journal.get(id).states
	switch {
	case err != nil:
		s.tally.violation("not readable", "reading %s back: %v", id, err)
		return got, false
	case status == http.StatusNotFound:
		got = state{}
	case status != http.StatusOK:
		s.tally.violation("not readable", "reading %s back: %d (%s)", id, status, cause)
		return got, false
	}
	if !slices.Contains(want, got) {
		s.tally.violation("lost or changed", "reading %s back: %d, %d bytes, sum %x (%s); want one of %x", id, status, got.size, got.sum, cause, want)
		return got, false
	}
	return got, true
}

func (s *soak) count(e *entry, got state, ok bool) {
	switch {
	case !ok:
	case len(e.states) > 1:
		s.checked.unsettled++
		if got == e.states[len(e.states)-1] {
			s.checked.happened++
		}
	case e.deleted:
		s.checked.gone++
	case got != state{}:
		s.checked.compared++
		s.checked.bytes += got.size
	}
}

// backToBase waits until the processes hold no more than they did at the start.
func (s *soak) backToBase(ctx context.Context) error {
	s.ends = make([]app.Stats, len(s.apps))
	for i, a := range s.apps {
		patience, cancel := context.WithTimeoutCause(ctx, 90*time.Second, errors.New("it stays so"))
		err := poll(patience, time.Second, func() error {
			if err := s.settled(ctx, a, &s.ends[i]); err != nil {
				return err
			}
			if is, was := s.ends[i], s.bases[i]; is.Goroutines > was.Goroutines || is.Descriptors > was.Descriptors {
				return fmt.Errorf("%s holds %d goroutines and %d descriptors; at the start it had %d and %d",
					a.name, is.Goroutines, is.Descriptors, was.Goroutines, was.Descriptors)
			}
			return nil
		})
		cancel()
		if err != nil {
			s.tally.violation("a leak", "%v", err)
		}
	}
	return ctx.Err()
}
