package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/filefield/filefield/core"
)

// The whole way of a file: declared once, stored, and shown by a URL.
func Example() {
	ctx := context.Background()
	store := core.MustOpen(core.Config{
		Endpoint: "localhost:9000", AccessKey: "access", SecretKey: "secret",
		SigningKeys: []core.Secret{"32 random bytes, from a secret store"},
	})
	avatars := store.Field(core.FieldConfig{
		Name:     "avatar",
		Bucket:   "avatars",
		UploadTo: core.ISODatePrefix,
		MaxSize:  5 * core.MiB,
		Accept:   core.Images, // sniffed, not believed
	})
	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil {
		log.Fatal(err)
	}

	file, err := os.Open("cat.png")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	object, err := avatars.Save(ctx, core.Upload{Body: file, Name: "cat.png"})
	if errors.Is(err, core.ErrType) {
		log.Fatal("this is no image")
	}
	if err != nil {
		log.Fatal(err)
	}
	link, err := avatars.URL(ctx, object.Key, core.URLOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(object.Key, object.Width, object.Height, link)
}

// A configuration from the variables that django-minio-backend and Django read.
// All faults are reported at once.
func ExampleConfigFromEnv() {
	store, err := core.Open(core.ConfigFromEnv())
	if err != nil {
		log.Fatal(err) // endpoint is missing …, secret key is missing …
	}
	fmt.Println(store.Endpoint())
}

// exampleStore is a Store that examples ask nothing of the network.
func exampleStore() *core.Store {
	now := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	https := true
	return core.MustOpen(core.Config{
		Endpoint: "minio.internal:9000", AccessKey: "access", SecretKey: "secret",
		ExternalEndpoint: "files.example.org", ExternalUseHTTPS: &https,
		PublicBuckets: []string{"logos"},
		SigningKeys:   []core.Secret{"32 random bytes, from a secret store"},
		Now:           func() time.Time { return now },
	})
}

// The URL of a public object is plain, at the endpoint browsers use. None of it
// asks storage.
func ExampleBucket_URL() {
	key, err := core.ParseKey("2026/grüße & more?.png")
	if err != nil {
		log.Fatal(err)
	}
	link, err := exampleStore().Bucket("logos").URL(context.Background(), key, core.URLOptions{})
	fmt.Println(link, err)
	// Output: https://files.example.org/logos/2026/gr%C3%BC%C3%9Fe%20%26%20more%3F.png <nil>
}

// A token is what a stored file is in a form. It fills its own field and no
// other, until it expires.
func ExampleField_Sign() {
	store := exampleStore()
	avatars := store.Field(core.FieldConfig{Name: "avatar", Bucket: "avatars"})
	scans := store.Field(core.FieldConfig{Name: "scan", Bucket: "avatars"})
	key, err := core.ParseKey("2026/cat.png")
	if err != nil {
		log.Fatal(err)
	}

	token := avatars.Sign(core.Object{Bucket: "avatars", Key: key, Name: "cat.png", Size: 1234, Type: "image/png"}, "user 42")

	verified, err := avatars.Verify(token)
	fmt.Println(verified.Object.Name, verified.Object.Size, verified.Subject, verified.Expires, err)
	_, err = scans.Verify(token)
	fmt.Println(errors.Is(err, core.ErrToken))
	// Output:
	// cat.png 1234 user 42 2026-11-23 12:00:00 +0000 UTC <nil>
	// true
}

// Files saved under a transaction go again unless it commits.
func ExampleBegin() {
	store := core.MustOpen(core.ConfigFromEnv())
	avatars := store.Field(core.FieldConfig{Name: "avatar", Bucket: "avatars"})
	insert := func(context.Context, core.Object) error { return nil } // the app's row

	create := func(ctx context.Context, in core.Upload) error {
		ctx, txn := core.Begin(ctx)
		defer func() { _ = txn.Rollback(context.WithoutCancel(ctx)) }() // does nothing after Commit
		object, err := avatars.Save(ctx, in)
		if err != nil {
			return err
		}
		if err := insert(ctx, object); err != nil {
			return err
		}
		return txn.Commit(ctx)
	}
	_ = create
}

// A folder's entries, a page of them per request.
func ExampleBucket_List() {
	store := core.MustOpen(core.ConfigFromEnv())
	for entry, err := range store.Bucket("documents").List(context.Background(), "2026/11") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Name, entry.Dir, entry.Object.Size)
	}
}

// What a client may see of an error: its kind, and what was wrong with its own
// request. What is inside stays inside.
func ExampleProblemOf() {
	err := &core.Error{Kind: core.ErrTooLarge, Field: "avatar", Bucket: "inside", Detail: "the file is larger than 5 MiB"}
	problem := core.ProblemOf(fmt.Errorf("create profile: %w", err))
	fmt.Println(problem.Status == http.StatusRequestEntityTooLarge, problem.Title, problem.Errors)

	outage := core.ProblemOf(&core.Error{Kind: core.ErrUnavailable, Err: errors.New("dial tcp 10.0.0.7:9000")})
	fmt.Println(outage.Status, outage.Title, outage.Detail)
	// Output:
	// true Too large [{avatar too_large the file is larger than 5 MiB}]
	// 503 Storage unavailable
}
