package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
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

// Several storages of one file, each with its own buckets; what they share stands at
// the file's top.
func ExampleConfigsFromFile() {
	const content = `
MINIO_ENDPOINT: minio.internal:9000
MINIO_ACCESS_KEY: app
MINIO_SECRET_KEY: ${STORAGE_SECRET}
SECRET_KEY: 32 random bytes, from a secret store
STORAGES:
  default: {OPTIONS: {MINIO_DEFAULT_BUCKET: documents}}
  media: {OPTIONS: {MINIO_PUBLIC_BUCKETS: [avatars]}}
`
	path := filepath.Join(os.TempDir(), "filefield-example.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		log.Fatal(err)
	}
	defer os.Remove(path)
	if err := os.Setenv("STORAGE_SECRET", "secret"); err != nil {
		log.Fatal(err)
	}

	stores, err := core.ConfigsFromFile(path).Open()
	if err != nil {
		log.Fatal(err) // all faults of the file, with their lines
	}
	contract := stores["default"].Field(core.FieldConfig{Name: "contract"})
	avatar := stores["media"].Field(core.FieldConfig{Name: "avatar", Bucket: "avatars"})
	fmt.Println(contract.Bucket().Name(), contract.Bucket().Public())
	fmt.Println(avatar.Bucket().Name(), avatar.Bucket().Public())
	// Output:
	// documents false
	// avatars true
}

// Storages by a prefix: media lies on the same server, unless MEDIA_MINIO_ENDPOINT
// says otherwise.
func ExampleConfigFromEnvPrefix() {
	documents := core.MustOpen(core.ConfigFromEnv())           // MINIO_ENDPOINT, MINIO_DEFAULT_BUCKET, …
	media := core.MustOpen(core.ConfigFromEnvPrefix("MEDIA_")) // MEDIA_MINIO_DEFAULT_BUCKET, …
	fmt.Println(documents.Endpoint(), media.Endpoint())
}

// A file that a browser sends to the bucket itself: what it needs for that, and what
// happens when its token comes back with a form.
func ExampleField_BeginDirect() {
	store := core.MustOpen(core.Config{Endpoint: "storage.example:9000", AccessKey: "access", SecretKey: "secret", SigningKeys: []core.Secret{"32 or more random characters ..."}})
	photos := store.Field(core.FieldConfig{Name: "photo", Bucket: "photos", Accept: core.Images})
	ctx := core.WithSubject(context.Background(), "ann")

	ticket, err := photos.BeginDirect(ctx, core.DirectUpload{Name: "cat.png", Type: "image/png", Size: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ticket.Method, ticket.Headers["Content-Type"], ticket.Headers["If-None-Match"])

	token, err := photos.Verify(ticket.Token) // Uploads and Bind do this, and claim
	fmt.Println(token.Object.Name, token.Pending, err)
	// Output:
	// PUT image/png *
	// cat.png true <nil>
}
