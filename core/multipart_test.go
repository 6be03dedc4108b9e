package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// The requests of an upload, told apart by what S3 tells them by.
func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && !r.URL.Query().Has("partNumber") && r.ContentLength > 0
}

func isReserve(r *http.Request) bool {
	return r.Method == http.MethodPut && !r.URL.Query().Has("partNumber") && r.ContentLength == 0
}
func isPart(r *http.Request) bool { return r.URL.Query().Has("partNumber") }
func isCreate(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}

func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

// losingAnswers passes on the requests that match, has the server carry them
// out, and breaks the connection instead of answering; the first times ones.
func losingAnswers(s *s3test.Server, times int64, match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var lost atomic.Int64
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if !match(r) || lost.Add(1) > times {
			return false
		}
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host, out.Host = "", "http", s.Endpoint, r.Host
		response, err := http.DefaultTransport.RoundTrip(out)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		panic(http.ErrAbortHandler)
	}
}

// answering answers the first times requests that match with a status and, where
// it is given, an S3 error code.
func answering(status int, code string, times int64, match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var answered atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !match(r) || answered.Add(1) > times {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if code != "" {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants it</Message></Error>", code)
		}
		return true
	}
}

const always = 1 << 30

// wantLeft checks what a test left in its bucket, and that no upload is open.
func wantLeft(t *testing.T, bucket string, want ...string) {
	t.Helper()
	objects, uploads := s3test.Leftovers(t, s3test.Start(t), bucket)
	if !slices.Equal(objects, want) && len(objects)+len(want) > 0 {
		t.Errorf("the bucket holds %q, want %q", objects, want)
	}
	if len(uploads) > 0 {
		t.Errorf("open multipart uploads are left: %q", uploads)
	}
}

func TestALostAnswerNeitherLosesNorDoublesAFile(t *testing.T) {
	t.Parallel()
	small, large := random(1, 1000), random(2, 5<<20+5000)
	for _, c := range []struct {
		name    string
		content []byte
		match   func(*http.Request) bool
	}{
		{"the PUT of a small file", small, isPut},
		{"the reservation of a name", large, isReserve},
		{"the start of a multipart upload", large, isCreate},
		{"a part", large, isPart},
		{"the completion", large, isComplete},
	} {
		for where, uploadTo := range map[string]core.UploadTo{"a random name": core.RandomName, "a kept name": core.KeepName} {
			if where == "a random name" && c.name == "the reservation of a name" {
				continue // there is none
			}
			t.Run(c.name+" under "+where, func(t *testing.T) {
				t.Parallel()
				recorder, store, bucket := recorded(t)
				field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: uploadTo, MaxSize: core.GiB})
				recorder.Intercept(losingAnswers(s3test.Start(t), 1, c.match))
				o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(c.content), Name: "a.bin"})
				if err != nil {
					t.Fatalf("one lost answer: %v", err)
				}
				if where == "a kept name" && o.Key.String() != "a.bin" {
					t.Errorf("the key is %q: the upload took its own object for another's", o.Key)
				}
				if !bytes.Equal(mustRead(t, field.Bucket(), o.Key, core.OpenOptions{}), c.content) {
					t.Error("the object does not hold the content")
				}
				stored, err := field.Bucket().Stat(t.Context(), o.Key)
				if err != nil || stored.ETag != o.ETag || o.ETag == "" || o.Modified.IsZero() || o.Size != stored.Size {
					t.Errorf("Save says %+v, stored is %+v, %v", o, stored, err)
				}
				wantLeft(t, bucket, o.Key.String())

				recorder.Intercept(losingAnswers(s3test.Start(t), always, c.match))
				_, err = field.Save(t.Context(), core.Upload{Body: bytes.NewReader(c.content), Name: "other.bin"})
				wantKind(t, "every answer lost", err, core.ErrUnavailable)
				wantLeft(t, bucket, o.Key.String())
			})
		}
	}
}

func TestALostAnswerToAReplacementIsRepeated(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]func(*http.Request) bool{"the PUT": isPut, "the completion": isComplete} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			content := random(3, 1000)
			if name == "the completion" {
				content = random(3, 5<<20+1)
			}
			b := store.Bucket(bucket)
			save(t, b, "a.bin", "old content")
			recorder.Intercept(losingAnswers(s3test.Start(t), 1, match))
			o, err := b.Save(t.Context(), "a.bin", core.Upload{Body: bytes.NewReader(content), Replace: true})
			if err != nil {
				t.Fatal(err)
			}
			if o.Key.String() != "a.bin" || !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
				t.Errorf("%s does not hold the new content", o.Key)
			}
			wantLeft(t, bucket, "a.bin")
		})
	}
}

func TestAFailingRequestIsRepeatedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	content := random(4, 11<<20)
	for name, match := range map[string]func(*http.Request) bool{
		"reserve": isReserve, "create": isCreate, "part": isPart, "complete": isComplete,
		"the second part": func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" },
		"the last part":   func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "3" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			b := store.Bucket(bucket)
			recorder.Intercept(answering(http.StatusServiceUnavailable, "SlowDown", 1, match))
			o, err := b.Save(t.Context(), "a.bin", core.Upload{Body: bytes.NewReader(content)})
			if err != nil {
				t.Fatalf("one 503: %v", err)
			}
			if o.Key.String() != "a.bin" || !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
				t.Errorf("%s does not hold the content", o.Key)
			}
			for status, kind := range map[int]core.Kind{503: core.ErrUnavailable, 500: core.ErrUnavailable, 403: core.ErrDenied, 501: core.ErrUnsupported} {
				recorder.Intercept(answering(status, "", always, match))
				_, err := b.Save(t.Context(), "b.bin", core.Upload{Body: bytes.NewReader(content)})
				wantKind(t, fmt.Sprint(status, " for ever"), err, kind)
			}
			wantLeft(t, bucket, "a.bin")
		})
	}
}

// A cluster that loses a node answers some requests as if the client were at fault:
// MinIO does not find parts that it has acknowledged, or says that its client has
// gone. Neither means that the storage cannot do what was asked.
func TestStorageThatLosesANodeIsUnavailable(t *testing.T) {
	t.Parallel()
	small, large := random(1, 1000), random(2, 5<<20+5000)
	for _, c := range []struct {
		name    string
		status  int
		code    string
		content []byte
		match   func(*http.Request) bool
	}{
		{"acknowledged parts are not found", 400, "InvalidPart", large, isComplete},
		{"the completion is said to be disconnected", 499, "ClientDisconnected", large, isComplete},
		{"a part is said to be disconnected", 499, "ClientDisconnected", large, isPart},
		{"the start of an upload is said to be disconnected", 499, "ClientDisconnected", large, isCreate},
		{"a PUT is said to be disconnected", 499, "ClientDisconnected", small, isPut},
		{"a PUT is answered with 499 and nothing else", 499, "", small, isPut},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			b := store.Bucket(bucket)
			recorder.Intercept(answering(c.status, c.code, 1, c.match))
			o, err := b.Save(t.Context(), "a.bin", core.Upload{Body: bytes.NewReader(c.content)})
			if err != nil {
				t.Fatalf("answered so once: %v", err)
			}
			if o.Key.String() != "a.bin" || !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), c.content) {
				t.Errorf("%s does not hold the content", o.Key)
			}
			recorder.Intercept(answering(c.status, c.code, always, c.match))
			_, err = b.Save(t.Context(), "b.bin", core.Upload{Body: bytes.NewReader(c.content)})
			wantKind(t, "answered so for ever", err, core.ErrUnavailable)
			wantLeft(t, bucket, "a.bin")
		})
	}
}

// flipping changes one byte of the bodies that match, as bad memory in a proxy
// would; TCP's checksum does not see it.
type flipping struct {
	match func(*http.Request) bool
	left  atomic.Int64
}

func (f *flipping) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.match(r) && f.left.Add(-1) >= 0 {
		r = r.Clone(r.Context())
		r.Body = struct {
			io.Reader
			io.Closer
		}{&flipped{from: r.Body}, r.Body}
	}
	return http.DefaultTransport.RoundTrip(r)
}

type flipped struct {
	from io.Reader
	done bool
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	if n > 0 && !f.done {
		p[n/2] ^= 1
		f.done = true
	}
	return n, err
}

func TestContentDamagedOnItsWayIsSentAgainOrRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size  int64
		match func(*http.Request) bool
	}{"a small file": {1000, isPut}, "a part": {5<<20 + 100, isPart}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			damage := &flipping{match: c.match}
			store, bucket := openStore(t, func(config *core.Config) { config.Transport = damage })
			b, content := store.Bucket(bucket), random(5, c.size)
			damage.left.Store(1)
			o, err := b.Save(t.Context(), "a.bin", core.Upload{Body: bytes.NewReader(content)})
			if err != nil {
				t.Fatalf("damaged once: %v", err)
			}
			if !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
				t.Error("the damage was stored")
			}
			damage.left.Store(always)
			_, err = b.Save(t.Context(), "b.bin", core.Upload{Body: bytes.NewReader(content)})
			wantKind(t, "damaged each time", err, core.ErrChecksum)
			wantLeft(t, bucket, "a.bin")
		})
	}
}

func TestPartsAreSentSideBySide(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b, content := store.Bucket(bucket), random(6, 26<<20)
	var now, most atomic.Int64
	var gather sync.WaitGroup
	gather.Add(3)
	recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !isPart(r) {
			return false
		}
		for n := now.Add(1); ; {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		if n := r.URL.Query().Get("partNumber"); n < "4" {
			gather.Done() // the first three wait for one another
			gather.Wait()
		}
		now.Add(-1)
		return false
	})
	o, err := b.Save(t.Context(), "a.bin", core.Upload{Body: bytes.NewReader(content), Options: core.ObjectOptions{ParallelParts: 4}})
	if err != nil {
		t.Fatal(err)
	}
	if n := most.Load(); n < 3 || n > 4 {
		t.Errorf("up to %d parts were under way at once, want 3 or 4", n)
	}
	if !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
		t.Error("the object does not hold the content in its order")
	}
	wantLeft(t, bucket, "a.bin")
}

// TestReadingRestsWhileNoPartMayBeSent holds the first part up, and looks at how much
// of the second is buffered.
func TestReadingRestsWhileNoPartMayBeSent(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b, content := store.Bucket(bucket), random(8, 12<<20)
	const rests = 17 << 19 // 5 MiB, and 3.5 of the next 5
	var read atomic.Int64
	var once sync.Once
	recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if isPart(r) {
			once.Do(func() {
				for end := time.Now().Add(10 * time.Second); read.Load() < rests && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(100 * time.Millisecond) // for more, were it read
				if n := read.Load(); n != rests {
					t.Errorf("%d bytes were read while the first part was on its way, want %d", n, rests)
				}
			})
		}
		return false
	})
	o, err := b.Save(t.Context(), "a.bin", core.Upload{Body: io.TeeReader(bytes.NewReader(content), counting{&read})})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
		t.Error("the object does not hold the content in its order")
	}
}

type counting struct{ n *atomic.Int64 }

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

func TestPartsHaveOneSizeAndTheChecksumOfTheWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		maxSize, limit, partSize, size int64
		want                           []int64
	}{
		"a bounded field":            {core.GiB, 0, 0, 11 << 20, []int64{5 << 20, 5 << 20, 1 << 20}},
		"a request of known length":  {core.Unlimited, 11 << 20, 0, 11 << 20, []int64{5 << 20, 5 << 20, 1 << 20}},
		"nothing known, small yet":   {core.Unlimited, 0, 0, 11 << 20, []int64{5 << 20, 5 << 20, 1 << 20}},
		"a size that was chosen":     {core.GiB, 0, 6 << 20, 13 << 20, []int64{6 << 20, 6 << 20, 1 << 20}},
		"a whole number of parts":    {core.GiB, 0, 0, 10 << 20, []int64{5 << 20, 5 << 20}},
		"one byte beyond one":        {core.GiB, 0, 0, 5<<20 + 1, []int64{5 << 20, 1}},
		"an end where reading rests": {core.GiB, 0, 0, 17 << 19, []int64{5 << 20, 7 << 19}},
		"an end beyond it":           {core.GiB, 0, 0, 17<<19 + 1, []int64{5 << 20, 7<<19 + 1}},
		"a field of 100 GiB's limit": {100 * core.GiB, 0, 0, 12 << 20, []int64{11 << 20, 1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			content := random(7, c.size)
			field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: c.maxSize})
			o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(content), Limit: c.limit, Options: core.ObjectOptions{PartSize: c.partSize}})
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, r := range recorder.Requests() {
				if r.Method != http.MethodPut || !strings.Contains(r.RawQuery, "partNumber") {
					continue
				}
				got = append(got, r.ContentLength)
				if r.Header.Get("X-Amz-Checksum-Crc32c") == "" {
					t.Errorf("part %d went without a checksum", len(got))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("the parts have %d bytes, want %d", got, c.want)
			}
			info, err := s3test.Start(t).Client(t).StatObject(t.Context(), bucket, o.Key.String(), minio.StatObjectOptions{Checksum: true})
			if err != nil || info.ChecksumCRC32C != o.CRC32C || o.CRC32C == "" {
				t.Errorf("the storage's checksum is %q, %v; Save says %q", info.ChecksumCRC32C, err, o.CRC32C)
			}
		})
	}
}

func TestAnUploadWithoutChecksumsSendsNone(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	b := store.Bucket(bucket)
	for name, size := range map[string]int64{"small": 100, "large": 5<<20 + 1} {
		content := random(8, size)
		o, err := b.Save(t.Context(), name, core.Upload{Body: bytes.NewReader(content), Options: core.ObjectOptions{Checksum: core.ChecksumNone}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(mustRead(t, b, o.Key, core.OpenOptions{}), content) {
			t.Errorf("%s: it does not hold the content", name)
		}
	}
	for _, r := range recorder.Requests() {
		for header := range r.Header {
			if r.Method != http.MethodGet && strings.HasPrefix(strings.ToLower(header), "x-amz-checksum") {
				t.Errorf("%s %s?%s has the header %s", r.Method, r.Path, r.RawQuery, header)
			}
		}
	}
}

func TestATakenKeyAtTheCompletionIsReportedAndKept(t *testing.T) {
	t.Parallel()
	for name, uploadTo := range map[string]core.UploadTo{
		// It draws a random name, and then does not use it.
		"a name that only looks random": func(n core.Naming) (string, error) { _ = n.Random(); return "fixed.bin", nil },
		"a kept name":                   func(core.Naming) (string, error) { return "fixed.bin", nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: uploadTo, MaxSize: core.GiB})
			other := store.Bucket(bucket)
			var once sync.Once
			recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if isComplete(r) {
					once.Do(func() {
						_, err := other.Save(context.WithoutCancel(t.Context()), "fixed.bin", core.Upload{Body: strings.NewReader("another's"), Replace: true})
						if err != nil {
							t.Error(err)
						}
					})
				}
				return false
			})
			_, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(random(9, 5<<20+1)), Name: "x"})
			wantKind(t, "save", err, core.ErrTaken)
			if got := string(mustRead(t, other, mustKey(t, "fixed.bin"), core.OpenOptions{})); got != "another's" {
				t.Errorf("the key holds %.20q, want the other's content", got)
			}
			wantLeft(t, bucket, "fixed.bin")
		})
	}
}

func TestAnEarlyRefusalEndsTheSending(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size  int64
		match func(*http.Request) bool
	}{"a small file": {1 << 20, isPut}, "a part": {26 << 20, isPart}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			b := store.Bucket(bucket)
			// Answers before the body was read: the client is still writing it.
			recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !c.match(r) {
					return false
				}
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusForbidden)
				return true
			})
			var all sync.WaitGroup
			for i := range 4 {
				all.Go(func() {
					body := bytes.NewReader(random(uint64(i), c.size))
					_, err := b.Save(t.Context(), fmt.Sprint(i), core.Upload{Body: body, Options: core.ObjectOptions{ParallelParts: 2}})
					if kind := core.KindOf(err); kind != core.ErrDenied && kind != core.ErrUnavailable {
						t.Errorf("the error is %v", err)
					}
				})
			}
			all.Wait()
			wantLeft(t, bucket)
		})
	}
}

func TestACancelledUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]func(*http.Request) bool{
		"while a small file is sent": isPut, "while a name is reserved": isReserve, "while the upload is started": isCreate,
		"while a part is sent": isPart, "while it is completed": isComplete,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			s := s3test.Start(t)
			ctx, cancel := context.WithCancel(t.Context())
			var once sync.Once
			lose := losingAnswers(s, always, match)
			recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if match(r) {
					// The server carries it out; only then the client goes away.
					r = r.WithContext(context.WithoutCancel(r.Context()))
					defer once.Do(cancel)
				}
				return lose(w, r)
			})
			size := int64(11 << 20)
			if name == "while a small file is sent" {
				size = 1000
			}
			_, err := store.Bucket(bucket).Save(ctx, "a.bin", core.Upload{Body: bytes.NewReader(random(10, size))})
			if kind := core.KindOf(err); kind != core.ErrCanceled && kind != core.ErrUnavailable {
				t.Errorf("the error is %v, want that it was canceled", err)
			}
			wantLeft(t, bucket)
		})
	}
}

func TestABodyThatBreaksOffInALaterPartLeavesNothing(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	gone := errors.New("the client went away")
	for _, size := range []int64{5 << 20, 5<<20 + 1, 10 << 20, 12 << 20} {
		for _, uploadTo := range []core.UploadTo{core.KeepName, core.RandomName} {
			field := store.Field(core.FieldConfig{Name: fmt.Sprint(size), Model: fmt.Sprintf("%p", uploadTo), Bucket: bucket, UploadTo: uploadTo, MaxSize: core.GiB})
			_, err := field.Save(t.Context(), core.Upload{Name: "a.bin", Body: io.MultiReader(bytes.NewReader(random(11, size)), failing{gone})})
			if !errors.Is(err, gone) || core.KindOf(err) != core.ErrMalformed {
				t.Errorf("after %d bytes: %v", size, err)
			}
		}
		_, err := b.Save(t.Context(), "b.bin", core.Upload{Body: bytes.NewReader(random(11, size)), Limit: size - 1})
		wantKind(t, "too long", err, core.ErrTooLarge)
	}
	wantLeft(t, bucket)
}

func TestAStalledStorageEndsAnUploadInTime(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t, func(c *core.Config) { c.Timeout, c.FinishTimeout = time.Second, 2*time.Second })
	for name, match := range map[string]func(*http.Request) bool{"put": isPut, "part": isPart, "complete": isComplete} {
		release := make(chan struct{})
		recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if !match(r) {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			<-release
			panic(http.ErrAbortHandler)
		})
		size := int64(11 << 20)
		if name == "put" {
			size = 1000
		}
		start := time.Now()
		_, err := store.Bucket(bucket).Save(t.Context(), name, core.Upload{Body: bytes.NewReader(random(12, size))})
		wantKind(t, name, err, core.ErrUnavailable)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: it took %s, the limits are a second and two", name, took)
		}
		close(release)
	}
	wantLeft(t, bucket)
}
