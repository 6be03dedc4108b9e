package core_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func isHead(r *http.Request) bool { return r.Method == http.MethodHead }

func isListUploads(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("uploads")
}

// either asks the first and, if it has not answered, the second.
func either(first, second func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool { return first(w, r) || second(w, r) }
}

func TestAnUploadThatCannotBeLookedUpIsNotStoredASecondTime(t *testing.T) {
	t.Parallel()
	small, large := random(1, 1000), random(2, 5<<20+5000)
	for _, c := range []struct {
		name    string
		content []byte
		match   func(*http.Request) bool
	}{
		{"the PUT of a small file", small, isPut},
		{"the reservation of a name", large, isReserve},
		{"the completion", large, isComplete},
	} {
		t.Run(c.name+" is not answered, nor is the first question for it", func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: core.KeepName, MaxSize: core.GiB})
			recorder.Intercept(either(
				losingAnswers(s3test.Start(t), 1, c.match), answering(http.StatusServiceUnavailable, "", 1, isHead),
			))
			o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(c.content), Name: "a.bin"})
			if err != nil {
				t.Fatal(err)
			}
			if o.Key.String() != "a.bin" || !bytes.Equal(mustRead(t, field.Bucket(), o.Key, core.OpenOptions{}), c.content) {
				t.Errorf("%q does not hold the content, or is not the name asked for", o.Key)
			}
			wantLeft(t, bucket, "a.bin")
		})
		t.Run(c.name+" is not answered, nor is any question for it", func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: core.KeepName, MaxSize: core.GiB})
			recorder.Intercept(either(
				losingAnswers(s3test.Start(t), 1, c.match), answering(http.StatusServiceUnavailable, "", always, isHead),
			))
			_, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(c.content), Name: "a.bin"})
			if err != nil || c.name != "the completion" { // some servers answer it a second time
				wantKind(t, "the save", err, core.ErrUnavailable)
			}
			wantLeft(t, bucket, "a.bin") // which only a sweep can remove
			if n := recorder.Count(http.MethodHead); n > 2*3 {
				t.Errorf("it was asked for %d times, want 3, and 3 to clean up", n)
			}
		})
	}
}

func TestAnUploadIsEndedThatWasStartedWithoutAnAnswerAndNotListedAtOnce(t *testing.T) {
	t.Parallel()
	for name, uploadTo := range map[string]core.UploadTo{"under a random name": core.RandomName, "under a kept name": core.KeepName} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, store, bucket := recorded(t)
			field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: uploadTo, MaxSize: core.GiB})
			recorder.Intercept(either(
				losingAnswers(s3test.Start(t), 1, isCreate), answering(http.StatusServiceUnavailable, "SlowDown", 1, isListUploads),
			))
			o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(random(2, 5<<20+5000)), Name: "a.bin"})
			if err != nil {
				t.Fatal(err)
			}
			wantLeft(t, bucket, o.Key.String())
		})
	}
}
