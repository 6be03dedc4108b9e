package tusupload_test

import (
	"hash/crc32"
	"io"
	"net/http"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/tusupload"
)

// Not parallel: the heap is the whole program's.
func TestMemoryDoesNotDependOnTheFile(t *testing.T) { //nolint:paralleltest // see above
	field := newField(t, func(c *core.Config, f *core.FieldConfig) {
		c.Memory, f.MaxSize, f.Direct.PartSize = 32*core.MiB, core.GiB, 5*core.MiB
	})
	base := serve(t, field)
	const limit = 64 << 20 // twice the budget, as the collector has it
	peak := peakHeap(t)
	var uploads sync.WaitGroup
	for _, size := range []int64{300 << 20, 12 << 20, 12 << 20, 12 << 20} {
		to := base + begin(t, base, int(size))
		uploads.Go(func() { stream(t, field, to, size) })
	}
	uploads.Wait()
	if got := peak(); got > limit {
		t.Errorf("the heap grew to %d MiB for uploads of 336 MiB, want at most %d MiB", got>>20, limit>>20)
	} else {
		t.Logf("the heap grew to %d MiB", got>>20)
	}
}

// stream sends size bytes as they are made, and looks at the file.
func stream(t *testing.T, field *core.Field, to string, size int64) {
	sent := crc32.NewIEEE()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, to, io.TeeReader(&endless{piece: noise(65521), size: size}, sent))
	if err != nil {
		t.Error(err)
		return
	}
	r.ContentLength = size
	r.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Content-Type": {"application/offset+octet-stream"}, "Upload-Offset": {"0"}}
	response, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	token, err := field.Verify(response.Header.Get(tusupload.TokenHeader))
	if response.StatusCode != 204 || err != nil {
		t.Errorf("%d bytes are answered %d, %v", size, response.StatusCode, err)
		return
	}
	file, err := field.Bucket().Open(t.Context(), token.Object.Key, core.OpenOptions{})
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	stored := crc32.NewIEEE()
	if n, err := io.Copy(stored, file); n != size || err != nil || stored.Sum32() != sent.Sum32() {
		t.Errorf("the file has %d bytes, checksum %x, %v; want %d, %x", n, stored.Sum32(), err, size, sent.Sum32())
	}
}

// endless is content that nobody holds: a piece whose length is prime, over and over,
// so that no two parts begin alike.
type endless struct {
	piece []byte
	at    int64
	size  int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) && e.at < e.size {
		from := e.piece[e.at%int64(len(e.piece)):]
		part := copy(p[n:], from[:min(int64(len(from)), e.size-e.at)])
		n, e.at = n+part, e.at+int64(part)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// peakHeap looks at the heap until it is asked for the most it has held.
func peakHeap(t *testing.T) func() uint64 {
	t.Helper()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var most uint64
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-done:
				peak <- most
				return
			}
		}
	}()
	return func() uint64 { close(done); return <-peak }
}
