package variant_test

import (
	"context"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/variant"
)

func TestFiftyWhoAskAtOnceHaveItMadeOnce(t *testing.T) {
	t.Parallel()
	var record *s3test.Recorder
	store, bucket := openStore(t, func(s *s3test.Server) string {
		record = s.Recorder(t)
		return record.Endpoint()
	})
	codec := &countingCodec{}
	field := photos(t, store, bucket, variant.New(variant.Config{Codec: codec}), core.Variant{Name: "thumb", Width: 10})
	o := save(t, field, asPNG(t, mosaic(300, 300)))
	before := record.Count("PUT")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := field.MakeVariants(t.Context(), o, "thumb"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := codec.decodings(); n != 1 {
		t.Errorf("it was decoded %d times", n)
	}
	if n := record.Count("PUT") - before; n != 1 {
		t.Errorf("it was stored %d times", n)
	}
	for _, r := range record.Requests() {
		if r.Method == "PUT" && r.Header.Get("If-None-Match") != "*" {
			t.Errorf("%s was written over what may be there", r.Path)
		}
	}
}

func TestInstancesThatMakeTheSameEndWithOneObject(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	first := photos(t, store, bucket, variant.New(standard), core.Variant{Name: "thumb", Width: 10})
	o := save(t, first, asPNG(t, mosaic(300, 300)))
	var all sync.WaitGroup
	for range 4 {
		other, err := core.Open(core.Config{
			Endpoint: s3test.Start(t).Endpoint, AccessKey: s3test.Start(t).AccessKey, SecretKey: core.Secret(s3test.Start(t).SecretKey), Region: s3test.Start(t).Region,
			SigningKeys: []core.Secret{"a key for tests, long enough"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(other.CloseIdleConnections)
		field := photos(t, other, bucket, variant.New(standard), core.Variant{Name: "thumb", Width: 10})
		all.Go(func() {
			if err := field.MakeVariants(t.Context(), o, "thumb"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	read(t, first, o, "thumb")
	n := 0
	for range first.Bucket().Walk(t.Context(), "") {
		n++
	}
	if n != 2 {
		t.Errorf("the bucket holds %d objects, want the file and its variant", n)
	}
}

func TestWhoLeavesDoesNotEndTheWorkOfOthers(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	codec := &countingCodec{wait: make(chan struct{}), entered: make(chan struct{}, 10)}
	field := photos(t, store, bucket, variant.New(variant.Config{Codec: codec}), core.Variant{Name: "thumb", Width: 10})
	o := save(t, field, asPNG(t, mosaic(300, 300)))
	ctx, leave := context.WithCancelCause(t.Context())
	left := make(chan error, 1)
	go func() { left <- field.MakeVariants(ctx, o, "thumb") }()
	<-codec.entered
	stayed := make(chan error, 1)
	go func() { stayed <- field.MakeVariants(t.Context(), o, "thumb") }()
	leave(errCanceledByTest)
	if err := <-left; core.KindOf(err) != core.ErrCanceled {
		t.Errorf("who left gets %v", err)
	}
	close(codec.wait)
	if err := <-stayed; err != nil {
		t.Errorf("who stayed gets %v", err)
	}
	read(t, field, o, "thumb")
}

// uploaded declares a field whose variant is made on upload, by a pool.
func uploaded(t testing.TB, store *core.Store, bucket string, codec variant.Codec, pool *variant.Pool) *core.Field {
	t.Helper()
	field := store.Field(core.FieldConfig{
		Name: "photo", Model: t.Name(), Bucket: bucket, VariantMaker: variant.New(variant.Config{Codec: codec}), VariantWorker: pool,
		Variants: []core.Variant{{Name: "thumb", Width: 10}},
	})
	if err := field.Fault(); err != nil {
		t.Fatal(err)
	}
	return field
}

func TestAPoolMakesVariantsInTheBackgroundAndFinishesBeforeItStops(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	codec := &countingCodec{wait: make(chan struct{})}
	pool := variant.NewPool(variant.PoolConfig{Workers: 2})
	field := uploaded(t, store, bucket, codec, pool)
	for range 2 { // it may be started again
		if err := pool.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, txn := core.Begin(t.Context())
	var objects []core.Object
	for i := range 5 {
		o, err := field.Save(ctx, core.Upload{Body: readerOf(asPNG(t, mosaic(20+i, 20)))})
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	if err := txn.Commit(t.Context()); err != nil { // waits for nothing: the codec is held
		t.Fatal(err)
	}
	close(codec.wait)
	if err := pool.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		read(t, field, o, "thumb")
	}
	if err := pool.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	o := save(t, field, asPNG(t, mosaic(40, 20))) // it does not run: who saves does it
	read(t, field, o, "thumb")
}

func TestAPoolThatMayNotFinishGivesUp(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	codec := &countingCodec{wait: make(chan struct{})}
	pool := variant.NewPool(variant.PoolConfig{Workers: 1, Queue: 10})
	field := uploaded(t, store, bucket, codec, pool)
	if err := pool.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		save(t, field, asPNG(t, mosaic(20+i, 20)))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCanceledByTest)
	if err := pool.Stop(ctx); core.KindOf(err) != core.ErrCanceled {
		t.Errorf("the stop that had no time is %v", err)
	}
	close(codec.wait)
}

func TestAFullPoolHasWhoBringsAJobDoIt(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, direct)
	pool := variant.NewPool(variant.PoolConfig{Workers: 1, Queue: 1})
	field := uploaded(t, store, bucket, variant.Standard{}, pool)
	if err := pool.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var objects []core.Object
	for i := range 8 {
		all.Go(func() {
			o := save(t, field, asPNG(t, mosaic(200+i, 200)))
			mu.Lock()
			defer mu.Unlock()
			objects = append(objects, o)
		})
	}
	all.Wait()
	if err := pool.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		read(t, field, o, "thumb")
	}
}
