package tusupload_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/tusupload"
)

// busy is a Locker whose locks are never free.
type busy struct{ names chan string }

func (b busy) NewLock(name string) (handler.Lock, error)    { b.names <- name; return b, nil }
func (b busy) Lock(_ context.Context, release func()) error { release(); return handler.ErrLockTimeout }
func (b busy) Unlock() error                                { return nil }

func TestAnUploadThatIsNotFreedIsLocked(t *testing.T) {
	t.Parallel()
	field := newField(t, func(_ *core.Config, f *core.FieldConfig) {
		f.UploadTo = func(core.Naming) (string, error) { return "clips/sea", nil }
	})
	locker := busy{make(chan string, 1)}
	base := serveWith(t, field, tusupload.Config{Locker: locker})
	at := begin(t, base, 10)
	wantStatus(t, "a piece", patch(t, base+at, 0, make([]byte, 10)), http.StatusLocked)
	if got, want := <-locker.names, field.Bucket().Name()+"/clips/sea"; !strings.HasPrefix(got, want) {
		t.Errorf("the lock is of %q, want %s and the file's name", got, want)
	}
}

func TestTimeThatStorageTakesIsNotTheClients(t *testing.T) {
	t.Parallel()
	recorder := s3test.Start(t).Recorder(t)
	field := newField(t, func(c *core.Config, _ *core.FieldConfig) { c.Endpoint = recorder.Endpoint() })
	base := serveWith(t, field, tusupload.Config{Idle: idle})
	content := noise(6 << 20)
	at := begin(t, base, len(content))
	recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.URL.Query().Get("partNumber") == "1" {
			<-time.After(2 * idle) // longer than a client may take
		}
		return false
	})
	last := patch(t, base+at, 0, content)
	wantStatus(t, "a piece whose part is sent slowly", last, 204)
	if last.Header.Get(tusupload.TokenHeader) == "" {
		t.Error("it comes without a token")
	}
}
