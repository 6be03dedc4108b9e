package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestARollbackLeavesWhatAnotherHasPutInItsPlace(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn := core.Begin(t.Context())
	o, err := b.Save(ctx, "report.txt", core.Upload{Body: strings.NewReader("mine")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Save(t.Context(), "report.txt", core.Upload{Body: strings.NewReader("theirs"), Replace: true}); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(mustRead(t, b, o.Key, core.OpenOptions{})); got != "theirs" {
		t.Errorf("the object holds %q, want %q", got, "theirs")
	}
}

func TestAReplacementOfNothingIsInPlaceBeforeTheCommit(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	ctx, txn := core.Begin(t.Context())
	o, err := b.Save(ctx, "new.txt", core.Upload{Body: strings.NewReader("content"), Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(mustRead(t, b, o.Key, core.OpenOptions{})); o.Key.String() != "new.txt" || got != "content" {
		t.Errorf("%s holds %q, want new.txt with its content: a row may point at it", o.Key, got)
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(objects) > 0 {
		t.Errorf("after the rollback the bucket holds %q", objects)
	}
}

func TestANestedTransactionThatCannotCommitCanStillRollBack(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	outerCtx, outer := core.Begin(t.Context())
	ctx, inner := core.Begin(outerCtx)
	if _, err := store.Bucket(bucket).Save(ctx, "a.txt", core.Upload{Body: strings.NewReader("a")}); err != nil {
		t.Fatal(err)
	}
	if err := outer.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := inner.Commit(t.Context()); !errors.Is(err, core.ErrTxnDone) {
		t.Errorf("Commit = %v, want ErrTxnDone", err)
	}
	if err := inner.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(objects) > 0 {
		t.Errorf("the bucket holds %q, want nothing", objects)
	}
}

func TestACallersDeadlineIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store := openStoreOn(t, s, s3test.BlackHole(t))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := store.Bucket("some-bucket").Save(ctx, "a.txt", core.Upload{Body: strings.NewReader("a")})
	if !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("the error is %v (%s), want ErrUnavailable", err, core.KindOf(err).Code())
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAFieldsEncryptionKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	field := offlineStore(t).Field(core.FieldConfig{Name: "file", Bucket: "photos", Options: core.ObjectOptions{Metadata: map[string]string{"x": "sesame"}}})
	if text := fmt.Sprintf("%v %+v %#v %s", field, field, field, struct{ F *core.Field }{field}); strings.Contains(text, "sesame") {
		t.Errorf("printing shows the options: %s", text)
	}
}

func TestAPanicInTheMiddleLeavesNothing(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	for _, size := range []int64{1000, 6 << 20, 12 << 20} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes: the panic was swallowed", size)
				}
			}()
			_, _ = store.Bucket(bucket).Save(t.Context(), "a.bin", core.Upload{
				Body: bytes.NewReader(random(1, size)),
				Options: core.ObjectOptions{Progress: func(read int64) {
					if read == size {
						panic("the app's fault")
					}
				}},
			})
		}()
	}
	objects, uploads := s3test.Leftovers(t, s3test.Start(t), bucket)
	if len(objects)+len(uploads) > 0 {
		t.Errorf("left behind: objects %q, multipart uploads %q", objects, uploads)
	}
}

func TestAnObjectOfATryWhoseAnswerWasLostGoesWithTheFailure(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket, recorder := s.Bucket(t), s.Recorder(t)
	var puts atomic.Int32
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		if puts.Add(1) > 1 { // every further try is refused for good
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		r = r.Clone(r.Context())
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", s.Endpoint
		res, err := (&http.Client{}).Do(r) // the server stores it, and nobody is told
		if err != nil {
			t.Error(err)
			return false
		}
		res.Body.Close()
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	_, err := openStoreOn(t, s, recorder.Endpoint()).Bucket(bucket).Save(t.Context(), "a.txt", core.Upload{Body: strings.NewReader("a")})
	if !errors.Is(err, core.ErrDenied) || puts.Load() != 2 {
		t.Errorf("after %d tries the error is %v, want ErrDenied after 2", puts.Load(), err)
	}
	if objects, _ := s3test.Leftovers(t, s, bucket); len(objects) > 0 {
		t.Errorf("the bucket holds %q, want nothing", objects)
	}
}
