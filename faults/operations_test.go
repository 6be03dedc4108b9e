package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/sweep"
)

// operation is what an app does with its files, from a known beginning.
type operation struct {
	name string
	// field is what the operation's field has of its own.
	field core.FieldConfig
	// bucket is what is declared of a bucket of the cell's own, that does not exist
	// yet: the operation's object. nil: it is about files.
	bucket *core.BucketConfig
	// stored are files that are there before, by their name below the field's prefix.
	stored map[string]string
	// begin prepares what else is needed, with storage that works.
	begin func(c *cell)
	// run is the operation itself.
	run func(ctx context.Context, c *cell) error
	// leaves returns what is in the bucket after a success, as state does.
	leaves func(c *cell) map[string]string
	// final says that an error does not undo the operation: it may have been done,
	// or half of it, and what stays is the sweep's.
	final bool
	// passes says that it hands a content on as it comes: one that breaks off is an
	// error.
	passes bool
}

// Contents of a few KiB, longer than the head of a request or an answer.
var (
	small = strings.Repeat("The new content. Line by line.\n", 200)
	old   = strings.Repeat("The old content. Line by line.\n", 200)
)

// long is a file of two parts.
var long = func() string {
	b := make([]byte, 5*core.MiB+1000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return string(b)
}()

func operations() []operation {
	own := core.FieldConfig{UploadTo: core.KeepName}
	withOld := map[string]string{"a.txt": old}
	return []operation{
		{name: "save small", run: saving(small), leaves: saved(small)},
		{name: "save small under its own name", field: own, run: saving(small), leaves: named("a.txt", small)},
		{name: "save small beside a taken name", field: own, stored: withOld, run: saving(small), leaves: saved(small)},
		{name: "save multipart", run: saving(long), leaves: saved(long)},
		{name: "save multipart under its own name", field: own, run: saving(long), leaves: named("a.txt", long)},
		{name: "save and roll back", final: true, run: rolledBack, leaves: saved("")},
		{name: "replace", field: own, stored: withOld, final: true, run: replacing, leaves: named("a.txt", small)},
		{name: "replace at once", field: own, stored: withOld, final: true, run: replacingAtOnce, leaves: named("a.txt", small)},
		{name: "delete", field: own, stored: withOld, final: true, run: deleting, leaves: named("", "")},
		{name: "delete at a commit", field: own, stored: withOld, final: true, run: deletingAtCommit, leaves: named("", "")},
		{name: "claim a PUT", begin: sent(core.DirectPut), run: claiming, leaves: claimed},
		{name: "claim a POST", begin: sent(core.DirectPost), run: claiming, leaves: claimed},
		{name: "claim a PUT under a ledger", begin: underLedger(sent(core.DirectPut)), run: claiming, leaves: unmarked},
		{name: "claim a kept file", begin: kept, run: claiming, leaves: saved(small)},
		{name: "complete a direct upload in parts", begin: sentInParts, final: true, run: completing, leaves: completed},
		{name: "reconcile", bucket: &core.BucketConfig{Public: true, Tags: map[string]string{"team": "a"}}, final: true, run: reconciling, leaves: reconciled},
		{name: "sweep", field: own, stored: map[string]string{"a.txt": old, "orphan.txt": old}, final: true, run: sweeping, leaves: named("a.txt", old)},
		{name: "list", field: own, stored: map[string]string{"a.txt": old, "b.txt": old, "c.txt": old}, run: listing, leaves: (*cell).before},
		{name: "look", field: own, stored: withOld, run: looking, leaves: named("a.txt", old)},
		{name: "read", field: own, stored: withOld, passes: true, run: reading(core.OpenOptions{}, old), leaves: named("a.txt", old)},
		{name: "read a range", field: own, stored: withOld, passes: true, run: reading(core.OpenOptions{Offset: 1000, Length: 4000}, old[1000:5000]), leaves: named("a.txt", old)},
		{name: "serve", field: own, stored: withOld, passes: true, run: serving("", old), leaves: named("a.txt", old)},
		{name: "serve a range", field: own, stored: withOld, passes: true, run: serving("bytes=1000-4999", old[1000:5000]), leaves: named("a.txt", old)},
	}
}

func saving(content string) func(context.Context, *cell) error {
	return func(ctx context.Context, c *cell) (err error) {
		c.object, err = c.field.Save(ctx, core.Upload{Body: strings.NewReader(content), Name: "a.txt"})
		return err
	}
}

// saved is what was there before, and the object that was returned.
func saved(content string) func(c *cell) map[string]string {
	return func(c *cell) map[string]string {
		want := c.before()
		for key := range want {
			if strings.HasSuffix(key, pendingMark) {
				delete(want, key) // the kept file's
			}
		}
		if content != "" {
			want[c.object.Key.String()] = content
		}
		return want
	}
}

// named is one file of that name alone.
func named(name, content string) func(c *cell) map[string]string {
	return func(c *cell) map[string]string {
		if name == "" {
			return map[string]string{}
		}
		return map[string]string{c.prefix + "/" + name: content}
	}
}

func (c *cell) key(name string) core.Key {
	key, err := core.ParseKey(c.prefix + "/" + name)
	if err != nil {
		panic(err) // of a name in this file
	}
	return key
}

func rolledBack(ctx context.Context, c *cell) error {
	ctx, txn := core.Begin(ctx)
	err := saving(small)(ctx, c)
	return errors.Join(err, txn.Rollback(context.WithoutCancel(ctx)))
}

func replacing(ctx context.Context, c *cell) error {
	ctx, txn := core.Begin(ctx)
	defer txn.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // the error that led to it is told
	_, err := c.field.Save(ctx, core.Upload{Body: strings.NewReader(small), Name: "a.txt", Replace: true})
	if err != nil {
		return err
	}
	return txn.Commit(ctx)
}

func replacingAtOnce(ctx context.Context, c *cell) error {
	_, err := c.field.Save(ctx, core.Upload{Body: strings.NewReader(small), Name: "a.txt", Replace: true})
	return err
}

func deleting(ctx context.Context, c *cell) error { return c.field.Delete(ctx, c.key("a.txt")) }

func deletingAtCommit(ctx context.Context, c *cell) error {
	ctx, txn := core.Begin(ctx)
	if err := c.field.Delete(ctx, c.key("a.txt")); err != nil {
		return err
	}
	return txn.Commit(ctx)
}

// sent begins a direct upload and does the browser's part.
func sent(method core.DirectMethod) func(c *cell) {
	return func(c *cell) {
		ticket, err := c.healthy.BeginDirect(c.under(c.t.Context()), core.DirectUpload{Name: "a.txt", Type: "text/plain", Size: int64(len(small)), Method: method})
		if err != nil {
			c.t.Fatal(err)
		}
		if method == core.DirectPost {
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			for name, value := range ticket.Fields {
				_ = form.WriteField(name, value) // a buffer takes everything
			}
			file, _ := form.CreateFormFile("file", "a.txt")
			_, _ = io.WriteString(file, small)
			_ = form.Close()
			c.browse(http.MethodPost, ticket.URL, body.String(), map[string]string{"Content-Type": form.FormDataContentType()})
		} else {
			c.browse(http.MethodPut, ticket.URL, small, ticket.Headers)
		}
		c.token = ticket.Token
	}
}

func sentInParts(c *cell) {
	ticket, err := c.healthy.BeginDirect(c.t.Context(), core.DirectUpload{Name: "a.txt", Type: "text/plain", Size: int64(len(small)), Method: core.DirectMultipart})
	var token core.Token
	var links []string
	if err == nil {
		token, err = c.healthy.DirectToken(c.t.Context(), ticket.Token)
	}
	if err == nil {
		links, err = c.healthy.SignParts(c.t.Context(), token, []int{1})
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.browse(http.MethodPut, links[0], small, nil)
	c.token = ticket.Token
}

// browse does what a browser does.
func (c *cell) browse(method, to, content string, headers map[string]string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, to, strings.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	answer, err := (&http.Client{Transport: c.ordinary}).Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode >= 300 {
		c.t.Fatalf("%s is answered %s", method, answer.Status)
	}
}

// kept saves a file and keeps it without a row.
func kept(c *cell) {
	ctx, txn := core.Begin(c.t.Context())
	object, err := c.healthy.Save(ctx, core.Upload{Body: strings.NewReader(small), Name: "a.txt"})
	if err == nil {
		c.token, err = c.healthy.Keep(ctx, object)
	}
	if err = errors.Join(err, txn.Rollback(ctx)); err != nil {
		c.t.Fatal(err)
	}
}

func claiming(ctx context.Context, c *cell) error {
	token, err := c.field.Verify(c.token)
	if err != nil {
		return err
	}
	ctx, txn := core.Begin(c.under(ctx))
	c.object, err = c.field.ClaimObject(ctx, token)
	if err != nil {
		return errors.Join(err, txn.Rollback(context.WithoutCancel(ctx)))
	}
	c.kept = true // the row is stored: whatever follows, the file stays
	return txn.Commit(ctx)
}

// unmarked is the file, without the mark: its claim is in the ledger.
func unmarked(c *cell) map[string]string {
	if claims, _ := c.ledger.holds(); claims != 1 {
		c.t.Errorf("the ledger has %d claims, want 1", claims)
	}
	return map[string]string{c.object.Key.String(): small}
}

// claimed is the file, without the mark, and the marker that ends its token.
func claimed(c *cell) map[string]string {
	want := map[string]string{c.object.Key.String(): small}
	for key := range c.state() {
		if strings.Contains(key, ".filefield-claim-") {
			want[key] = ""
		}
	}
	return want
}

func completing(ctx context.Context, c *cell) error {
	token, err := c.field.DirectToken(ctx, c.token)
	if err != nil {
		return err
	}
	_, c.object, err = c.field.CompleteDirect(ctx, token, nil)
	return err
}

func completed(c *cell) map[string]string {
	return map[string]string{c.object.Key.String() + pendingMark: small}
}

// reconciling makes the bucket what it is declared to be.
func reconciling(ctx context.Context, c *cell) error {
	store := c.field.Store()
	plan, err := store.Plan(ctx)
	if err != nil {
		return err
	}
	_, err = store.Apply(ctx, plan)
	return err
}

func reconciled(*cell) map[string]string {
	return map[string]string{"bucket": "there", "policy": "anyone may read", "tags": "team=a"}
}

// settings returns what the bucket is.
func (c *cell) settings() map[string]string {
	c.t.Helper()
	settings := map[string]string{}
	there, err := c.admin.BucketExists(c.t.Context(), c.bucket)
	if err != nil {
		c.t.Fatal(err)
	}
	if !there {
		return settings
	}
	settings["bucket"] = "there"
	policy, err := c.admin.GetBucketPolicy(c.t.Context(), c.bucket)
	if err != nil {
		c.t.Fatal(err)
	}
	if strings.Contains(policy, "s3:GetObject") {
		settings["policy"] = "anyone may read"
	}
	set, err := c.admin.GetBucketTagging(c.t.Context(), c.bucket)
	if err == nil {
		settings["tags"] = set.String()
	} else if minio.ToErrorResponse(err).Code != "NoSuchTagSet" {
		c.t.Fatal(err)
	}
	return settings
}

// sweeping is a sweep that finds the cell's orphan.
func sweeping(ctx context.Context, c *cell) error {
	return c.sweep(ctx, c.field, c.prefix+"/a.txt")
}

func (c *cell) sweep(ctx context.Context, field *core.Field, rows ...string) error {
	refer := sweep.Source{
		Name: "rows",
		Keys: func(context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				for _, key := range slices.Sorted(slices.Values(rows)) {
					if !yield(key, nil) {
						return
					}
				}
			}
		},
		Sorted: true,
	}
	_, err := sweep.Run(ctx, sweep.Config{
		Bucket: field.Bucket(), Fields: []*core.Field{field}, Prefix: c.prefix + "/", References: []sweep.Source{refer},
		Action: sweep.Delete, MaxShare: 1, Now: func() time.Time { return time.Now().Add(48 * time.Hour) },
	})
	return err
}

func listing(ctx context.Context, c *cell) error {
	n := 0
	for _, err := range c.field.Bucket().WalkFrom(ctx, core.WalkOptions{Prefix: c.prefix + "/", Page: 2}) {
		if err != nil {
			return err
		}
		n++
	}
	if n != len(c.initial) {
		c.t.Errorf("%d files are listed, want %d", n, len(c.initial))
	}
	return nil
}

func looking(ctx context.Context, c *cell) error {
	b, key := c.field.Bucket(), c.key("a.txt")
	if o, err := b.Stat(ctx, key); err != nil {
		return err
	} else if o.Size != int64(len(old)) {
		c.t.Errorf("its size is %d", o.Size)
	}
	there, err := b.Exists(ctx, key)
	if err == nil && !there {
		c.t.Error("a file that is there is said not to exist")
	}
	return err
}

func reading(part core.OpenOptions, want string) func(context.Context, *cell) error {
	return func(ctx context.Context, c *cell) error {
		file, err := c.field.Open(ctx, c.key("a.txt"), part)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(file)
		_ = file.Close()
		if err == nil && string(content) != want {
			c.t.Errorf("it reads %.40q without an error", content)
		}
		return err
	}
}

// serving asks an app for the file or a part of it, over a connection. An answer
// that is refused or cut off is errServed.
func serving(part, want string) func(context.Context, *cell) error {
	return func(ctx context.Context, c *cell) error {
		object := core.Object{Bucket: c.field.Bucket().Name(), Key: c.key("a.txt"), Name: "a.txt", Size: int64(len(old))}
		app := httptest.NewUnstartedServer(nethttp.Handle(nethttp.Files(c.field, func(*http.Request) (core.Object, error) { return object, nil }, nethttp.Anyone)))
		app.Config.ErrorLog = discarded()
		app.Start()
		defer app.Close()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, app.URL, http.NoBody)
		if err != nil {
			return err
		}
		status := http.StatusOK
		if part != "" {
			r.Header.Set("Range", part)
			status = http.StatusPartialContent
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Do(r)
		if err != nil {
			return errServed
		}
		content, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		switch {
		case answer.StatusCode == http.StatusServiceUnavailable:
			if cached := answer.Header.Get("Cache-Control"); cached != "" && !strings.Contains(cached, "no-store") {
				c.t.Errorf("a failure is served with Cache-Control: %s", cached)
			}
			return errServed
		case answer.StatusCode != status:
			c.t.Errorf("it is served with %s: %.300s", answer.Status, content)
		case err != nil: // cut off, and seen to be
			return errServed
		case string(content) != want:
			c.t.Errorf("%.40q is served as if it were all", content)
		}
		return nil
	}
}

// errServed is a failure of which a client sees no more than that.
var errServed = errors.New("served: 503, or cut off")
