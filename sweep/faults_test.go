package sweep_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

// cutter is a TCP proxy that cuts the connection in the middle of an answer.
type cutter struct {
	endpoint string
	left     atomic.Int64 // bytes of answers it still lets through; negative: all
}

func newCutter(t testing.TB, to string) *cutter {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{endpoint: l.Addr().String()}
	c.left.Store(-1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, server)
			mu.Unlock()
			wg.Go(func() { _, _ = io.Copy(server, client); server.Close() })
			wg.Go(func() { c.answer(client, server); client.Close(); server.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return c
}

func (c *cutter) answer(client, server net.Conn) {
	buffer := make([]byte, 1024)
	for {
		n, err := server.Read(buffer)
		if left := c.left.Load(); left >= 0 {
			n = int(min(int64(n), left))
			c.left.Add(-int64(n))
			if n == 0 {
				return
			}
		}
		if _, failed := client.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

func TestO6AListingThatIsCutOffStopsTheRun(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	proxy := newCutter(t, s.Endpoint)
	f := setUpOn(t, s, proxy.endpoint)
	names := make([]string, 30)
	for i := range names {
		names[i] = string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".txt"
	}
	f.save(t, names...)
	f.rows.add("files/" + names[0])
	for _, allowed := range []int64{0, 1, 1500, 4000} {
		c := f.config(sweep.Delete)
		now := c.Now
		c.Now = func() time.Time { proxy.left.Store(allowed); return now() } // the bucket answered; now comes the listing
		f.rows.onRead = func() { t.Errorf("cut after %d bytes: the rows were read", allowed) }
		report, _, err := run(t, c)
		proxy.left.Store(-1)
		wantKind(t, "cut off", err, core.ErrUnavailable)
		if report.Stopped == "" || report.Deleted > 0 {
			t.Errorf("cut after %d bytes: the report is %+v", allowed, report)
		}
	}
	if objects, _ := s3test.Leftovers(t, s, f.bucket.Name()); len(objects) != len(names) {
		t.Errorf("the bucket holds %d objects, want all %d", len(objects), len(names))
	}
}

func answer(status int, match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !match(r) {
			return false
		}
		w.WriteHeader(status)
		return true
	}
}

func isList(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }
func isHead(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/files/") && r.Method == http.MethodHead
}

func isGet(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/files/") && r.Method == http.MethodGet && !r.URL.Query().Has("tagging")
}
func isTags(r *http.Request) bool   { return r.URL.Query().Has("tagging") }
func isDelete(r *http.Request) bool { return r.Method == http.MethodDelete }

func TestAnErrorOfStorageStopsTheRunAndIsNeverAnAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		match func(*http.Request) bool
	}{
		{"the listing", isList},
		{"the listing again", func(r *http.Request) bool { return isList(r) && r.URL.Query().Get("max-keys") == "128" }},
		{"the metadata of a candidate", func(r *http.Request) bool { return isHead(r) || isGet(r) }},
		{"the tags of a candidate", isTags},
		{"the deletion", isDelete},
	} {
		for _, status := range []int{http.StatusForbidden, http.StatusServiceUnavailable, http.StatusInternalServerError} {
			t.Run(c.name+" "+http.StatusText(status), func(t *testing.T) {
				t.Parallel()
				s := s3test.Start(t)
				recorder := s.Recorder(t)
				f := setUpOn(t, s, recorder.Endpoint())
				f.save(t, "a.txt", "b.txt")
				f.rows.add("files/a.txt")
				recorder.Intercept(answer(status, c.match))
				report, _, err := run(t, f.config(sweep.Delete))
				want := core.ErrUnavailable
				if status == http.StatusForbidden {
					want = core.ErrDenied
				}
				wantKind(t, c.name, err, want)
				if report.Stopped == "" || report.Deleted > 0 {
					t.Errorf("the report is %+v", report)
				}
				f.wantObjects(t, "afterwards", "files/a.txt", "files/b.txt")
			})
		}
	}
}

func TestAnErrorOfStorageIsNotAMissingObject(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusBadGateway} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := s3test.Start(t)
			recorder := s.Recorder(t)
			f := setUpOn(t, s, recorder.Endpoint())
			f.rows.add("files/gone.txt")
			recorder.Intercept(answer(status, func(r *http.Request) bool { return isHead(r) || isGet(r) }))
			c := f.config(sweep.DryRun)
			c.CheckMissing = true
			report, found, err := run(t, c)
			if err == nil || report.Missing > 0 || len(found) > 0 {
				t.Errorf("found %v, missing %d, error %v; want an error and nothing missing", found, report.Missing, err)
			}
		})
	}
}

// TestAnOrphanThatASmallPageLacksIsFound has an orphan that pages leave out unless
// they are full ones, as MinIO's do of what only some of its drives have.
func TestAnOrphanThatASmallPageLacksIsFound(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder := s.Recorder(t)
	f := setUpOn(t, s, recorder.Endpoint())
	f.save(t, "a.txt", "b.txt", "c.txt")
	f.rows.add("files/a.txt", "files/c.txt")
	var small atomic.Int64
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !isList(r) || r.URL.Query().Get("max-keys") != "128" {
			return false
		}
		small.Add(1)
		_, _ = io.WriteString(w, `<ListBucketResult><Name>`+f.bucket.Name()+`</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>
			<Contents><Key>files/c.txt</Key><LastModified>2006-01-02T15:04:05.000Z</LastModified><ETag>"0"</ETag><Size>7</Size></Contents></ListBucketResult>`)
		return true
	})
	report, found := mustRun(t, f.config(sweep.Delete))
	wantOutcomes(t, found, map[string]string{"files/b.txt": "orphan deleted"})
	if report.Deleted != 1 || small.Load() != 1 {
		t.Errorf("after %d small pages, the report is %+v", small.Load(), report)
	}
	f.wantObjects(t, "afterwards", "files/a.txt", "files/c.txt")
}

func TestStorageThatDoesNotAnswerStopsTheRun(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: s3test.BlackHole(t), AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"}, Timeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{server: s, store: store, rows: newTable("files/a.txt")}
	f.field = store.Field(core.FieldConfig{Name: "file", Bucket: "some-bucket"})
	f.bucket = f.field.Bucket()
	report, _, err := run(t, f.config(sweep.Delete))
	wantKind(t, "no answer", err, core.ErrUnavailable)
	if report.Stopped == "" {
		t.Errorf("the report is %+v", report)
	}
}

func TestO6AWrongBucketStopsTheRun(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	c := f.config(sweep.Delete)
	c.Bucket = f.store.Bucket("there-is-no-such-bucket")
	c.Owned = []string{""}
	_, _, err := run(t, c)
	wantKind(t, "no bucket", err, core.ErrBucketMissing)
}

func TestACancelledRunDeletesNothingMore(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "b.txt", "c.txt")
	ctx, cancel := context.WithCancel(t.Context())
	c := f.config(sweep.Delete)
	c.Found = func(sweep.Finding) error { cancel(); return nil } // after the first
	report, err := sweep.Run(ctx, c)
	wantKind(t, "cancelled", err, core.ErrCanceled)
	if report.Deleted != 1 || report.Stopped == "" {
		t.Errorf("the report is %+v, want one deleted object and why it stopped", report)
	}
	f.wantObjects(t, "afterwards", "files/b.txt", "files/c.txt")
}

func TestAFindingThatCannotBeWrittenStopsTheRun(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "b.txt", "c.txt")
	full := errors.New("the disk is full")
	c := f.config(sweep.Delete)
	c.Found = func(sweep.Finding) error { return full }
	report, err := sweep.Run(t.Context(), c)
	if !errors.Is(err, full) || report.Deleted != 1 {
		t.Errorf("the run ended with %v after %d deletions; want the finding's error after one", err, report.Deleted)
	}
}

func TestMissingObjectsAreReported(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt", "young.txt")
	f.put(t, "old-place/b.txt") // outside what the field makes now
	f.rows.add("files/a.txt", "files/gone.txt", "old-place/b.txt", "old-place/gone.txt", "/not/a/key")
	c := f.config(sweep.DryRun)
	c.CheckMissing = true
	twice := c.References[0].Keys
	c.References[0].Keys = func(ctx context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for key, err := range twice(ctx) { // two rows may refer to one object
				again := func() bool { return yield(key, err) }
				if !yield(key, err) || !again() {
					return
				}
			}
		}
	}
	f.rows.onRead = func() {
		f.save(t, "new.txt") // after the listing, as an upload in the meantime
		f.rows.add("files/new.txt", "files/young.txt", "files/row-gone.txt")
	}
	refers := c.References[0].Refers
	c.References[0].Refers = func(ctx context.Context, keys []string) ([]string, error) {
		f.rows.remove("files/row-gone.txt") // the row went meanwhile
		return refers(ctx, keys)
	}
	report, found := mustRun(t, c)
	wantOutcomes(t, found, map[string]string{
		"files/gone.txt": "missing reported", "old-place/gone.txt": "missing reported", "/not/a/key": "missing reported",
	})
	if report.Missing != 3 || found["files/gone.txt"].Source != "rows" {
		t.Errorf("the report is %+v, the finding %+v", report, found["files/gone.txt"])
	}
}
