package tusupload_test

import (
	"context"
	"encoding/base64"
	"iter"
	"net/http"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
	"github.com/filefield/filefield/tusupload"
)

// stages are how far an upload of 6 MiB, in parts of 5, can have come.
func stages() map[string]func(t *testing.T, to string, content []byte) {
	return map[string]func(t *testing.T, to string, content []byte){
		"begun":         func(*testing.T, string, []byte) {},
		"within a part": func(t *testing.T, to string, content []byte) { patch(t, to, 0, content[:100]) },
		"parts and a rest": func(t *testing.T, to string, content []byte) {
			wantStatus(t, "a piece", patch(t, to, 0, content[:6_000_000]), 204)
		},
		"a piece with a wrong checksum": func(t *testing.T, to string, content []byte) {
			wrong := "md5 " + base64.StdEncoding.EncodeToString(make([]byte, 16))
			wantStatus(t, "a piece", patch(t, to, 0, content[:6_000_000], "Upload-Checksum", wrong), 460)
		},
		"whole": func(t *testing.T, to string, content []byte) {
			wantStatus(t, "all of it", patch(t, to, 0, content), 204)
		},
	}
}

func TestATerminatedUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	content := noise(6 << 20)
	for name, bring := range stages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field := newField(t)
			base := serve(t, field)
			to := base + begin(t, base, len(content))
			bring(t, to, content)
			wantStatus(t, "the termination", do(t, http.MethodDelete, to, nil), 204)
			wantStatus(t, "a HEAD after it", do(t, http.MethodHead, to, nil), 404)
			wantStatus(t, "a piece after it", patch(t, to, 0, content[:10]), 404)
			objects, uploads := s3test.Leftovers(t, s3test.Start(t), field.Bucket().Name())
			if len(uploads) > 0 {
				t.Errorf("uploads are still open: %q", uploads)
			}
			// What ends the token for good is empty, and goes when the token has expired.
			for _, text := range objects {
				key, err := core.ParseKey(text)
				if err != nil || !key.IsLock() || len(read(t, field, key)) > 0 {
					t.Errorf("%s is still there", text)
				}
			}
			sweepAll(t, field)
			wantEmpty(t, field)
		})
	}
}

func TestAnUploadThatNobodyFinishesIsSweptAway(t *testing.T) {
	t.Parallel()
	content := noise(6 << 20)
	for name, bring := range stages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field := newField(t)
			base := serve(t, field)
			to := base + begin(t, base, len(content))
			bring(t, to, content)
			sweepAll(t, field)
			wantEmpty(t, field)
		})
	}
}

func TestWhatWasRefusedAtItsEndIsSweptAway(t *testing.T) {
	t.Parallel()
	field := newField(t, func(_ *core.Config, f *core.FieldConfig) { f.Accept = core.Images })
	base := serve(t, field)
	content := noise(6 << 20)
	to := base + begin(t, base, len(content))
	wantStatus(t, "a piece", patch(t, to, 0, content[:100]), 204)
	refused := patch(t, to, 100, content[100:])
	wantStatus(t, "the last piece", refused, 415)
	if token := refused.Header.Get(tusupload.TokenHeader); token != "" {
		t.Errorf("it comes with a token, %q", token)
	}
	sweepAll(t, field)
	wantEmpty(t, field)
}

// sweepAll does what an app's cron does, when all tokens have expired.
func sweepAll(t *testing.T, field *core.Field) {
	t.Helper()
	_, err := sweep.Run(t.Context(), sweep.Config{
		Bucket: field.Bucket(), Action: sweep.Purge, Now: func() time.Time { return time.Now().Add(25 * time.Hour) },
		References: []sweep.Source{{Name: "no rows", Keys: func(context.Context) iter.Seq2[string, error] {
			return func(func(string, error) bool) {}
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantEmpty(t *testing.T, field *core.Field) {
	t.Helper()
	objects, uploads := s3test.Leftovers(t, s3test.Start(t), field.Bucket().Name())
	if len(objects) > 0 || len(uploads) > 0 {
		t.Errorf("the bucket has %q and the open uploads %q, want nothing", objects, uploads)
	}
}
