package fieldtype_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// The fields on a running server, set by TestOnStorage before anything uses them.
var liveFields struct{ document, key, public *core.Field }

type (
	live       struct{}
	liveKey    struct{}
	livePublic struct{}
)

func (live) FileField() *core.Field       { return liveFields.document }
func (liveKey) FileField() *core.Field    { return liveFields.key }
func (livePublic) FileField() *core.Field { return liveFields.public }

// bench is what a test of a running server works on.
type bench struct {
	server         *s3test.Server
	bucket, public string
}

func TestOnStorage(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	b := bench{server: server, bucket: server.Bucket(t), public: server.Bucket(t)}
	b.publish(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections) // the server's end would wait for them
	store, err := core.Open(core.Config{
		Transport: transport,
		Endpoint:  server.Endpoint, AccessKey: server.AccessKey, SecretKey: core.Secret(server.SecretKey), Region: server.Region,
		PublicBuckets: []string{b.public}, SigningKeys: []core.Secret{signingKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	liveFields.document = store.Field(core.FieldConfig{Name: "file", Bucket: b.bucket, UploadTo: core.Prefix("docs", nil), MaxFiles: 3})
	liveFields.key = store.Field(core.FieldConfig{Name: "key", Bucket: b.bucket, Column: core.ColumnKey})
	liveFields.public = store.Field(core.FieldConfig{Name: "public", Bucket: b.public})

	t.Run("a saved file is opened", b.open)
	t.Run("a missing file is not found", b.missing)
	t.Run("a browser gets a private file by its URL only", b.privateURL)
	t.Run("a browser gets a public file", b.publicURL)
	t.Run("a download has the sender's name", b.download)
	t.Run("stat fills in what a bare key does not say", b.stat)
	t.Run("a deleted file is gone", b.delete)
	t.Run("under a transaction a file goes with the commit", b.deleteInTxn)
	t.Run("a rollback keeps a deleted file", b.deleteRolledBack)
	t.Run("several files go together", b.deleteSeveral)
	t.Run("a file goes from a form to a row and a response", b.upload)
}

// publish lets anyone read the public bucket, as Startup would.
func (b bench) publish(t *testing.T) {
	t.Helper()
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + b.public + `/*"]}]}`
	if err := b.server.Client(t).SetBucketPolicy(t.Context(), b.public, policy); err != nil {
		t.Fatal(err)
	}
}

func mustSave[S fieldtype.Spec](t *testing.T, name string, content []byte) fieldtype.File[S] {
	t.Helper()
	var s S
	o, err := s.FileField().Save(t.Context(), core.Upload{Body: bytes.NewReader(content), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return fieldtype.Of[S](o)
}

func (b bench) exists(t *testing.T, key core.Key) bool {
	t.Helper()
	_, err := b.server.Client(t).StatObject(t.Context(), b.bucket, key.String(), minio.StatObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).StatusCode != http.StatusNotFound {
		t.Fatal(err)
	}
	return err == nil
}

func mustOpen[S fieldtype.Spec](t *testing.T, f fieldtype.File[S]) string {
	t.Helper()
	open, err := f.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	content, err := io.ReadAll(open)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// get fetches a URL as a browser does: without any credentials.
func get(t *testing.T, url string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

func smallPNG(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 3))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (b bench) open(t *testing.T) {
	t.Parallel()
	f := mustSave[live](t, "hello.txt", []byte("hello, world"))
	mustEqual(t, "content", mustOpen(t, f), "hello, world")

	var fromRow fieldtype.File[live]
	mustScan(t, &fromRow, mustValue(t, f))
	mustEqual(t, "content of the row's file", mustOpen(t, fromRow), "hello, world")

	var fromForm fieldtype.File[live]
	mustToken(t, &fromForm, f.Token(t.Context()))
	mustEqual(t, "content of the token's file", mustOpen(t, fromForm), "hello, world")
}

func (b bench) missing(t *testing.T) {
	t.Parallel()
	f := fieldtype.Of[live](bare(t, b.bucket, "nowhere.txt"))
	_, err := f.Open(t.Context())
	mustKind(t, "Open", err, core.ErrNotFound)
	mustKind(t, "Stat", f.Stat(t.Context()), core.ErrNotFound)
	mustEqual(t, "the file after that", f.Object(), bare(t, b.bucket, "nowhere.txt"))

	var none fieldtype.File[live]
	_, err = none.Open(t.Context())
	mustKind(t, "Open of no file", err, core.ErrNotFound)
	mustKind(t, "Stat of no file", none.Stat(t.Context()), core.ErrNotFound)
	if err := none.Delete(t.Context()); err != nil {
		t.Errorf("Delete of no file: %v", err)
	}
}

func (b bench) privateURL(t *testing.T) {
	t.Parallel()
	f := mustSave[live](t, "hello.txt", []byte("hello, world"))
	u, err := f.URL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status, _, body := get(t, u)
	if status != http.StatusOK || body != "hello, world" {
		t.Errorf("the URL gives %d %q, want 200 and the content", status, body)
	}
	plain, _, _ := strings.Cut(u, "?")
	if status, _, body := get(t, plain); status != http.StatusForbidden || strings.Contains(body, "hello") {
		t.Errorf("without its signature the URL gives %d %q, want 403", status, body)
	}
}

func (b bench) publicURL(t *testing.T) {
	t.Parallel()
	f := mustSave[livePublic](t, "hello.txt", []byte("hello, world"))
	u, err := f.URL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(u, "?") {
		t.Errorf("the URL of a public file is signed: %s", u)
	}
	if status, _, body := get(t, u); status != http.StatusOK || body != "hello, world" {
		t.Errorf("the URL gives %d %q, want 200 and the content", status, body)
	}
}

func (b bench) download(t *testing.T) {
	t.Parallel()
	f := mustSave[live](t, "grüße.txt", []byte("hello, world"))
	u, err := f.DownloadURL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status, header, body := get(t, u)
	if status != http.StatusOK || body != "hello, world" {
		t.Errorf("the URL gives %d %q, want 200 and the content", status, body)
	}
	mustEqual(t, "Content-Disposition", header.Get("Content-Disposition"), core.ContentDisposition(core.Attachment, "grüße.txt"))
}

func (b bench) stat(t *testing.T) {
	t.Parallel()
	content := smallPNG(t)
	saved := mustSave[liveKey](t, "cat.png", content)
	var f fieldtype.File[liveKey]
	mustScan(t, &f, mustValue(t, saved))
	mustEqual(t, "size before", f.Size(), int64(0))
	if err := f.Stat(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "after",
		[]any{f.Key(), f.Name(), f.Size(), f.Type(), f.Width(), f.Height(), f.Object().ETag},
		[]any{saved.Key(), "cat.png", int64(len(content)), "image/png", 4, 3, saved.Object().ETag})

	// An object some other program stored has no name of its own.
	key := mustKey(t, "foreign/7f3a.txt")
	if _, err := b.server.Client(t).PutObject(t.Context(), b.bucket, key.String(), strings.NewReader("hello"), 5, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	foreign := fieldtype.Of[live](core.Object{Key: key, Name: "letter.txt", Size: 5, Width: 7, Height: 5, Orientation: 6})
	if err := foreign.Stat(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "a foreign object", []any{foreign.Name(), foreign.Size(), foreign.Object().Bucket, foreign.Width()}, []any{"letter.txt", int64(5), b.bucket, 5})
}

func (b bench) delete(t *testing.T) {
	t.Parallel()
	f := mustSave[live](t, "hello.txt", []byte("hello, world"))
	key := f.Key()
	if err := f.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !f.IsZero() {
		t.Errorf("the deleted file stays: %+v", f.Object())
	}
	if b.exists(t, key) {
		t.Errorf("%s is still there", key)
	}
}

func (b bench) deleteInTxn(t *testing.T) {
	t.Parallel()
	f := mustSave[live](t, "hello.txt", []byte("hello, world"))
	key := f.Key()
	ctx, txn := core.Begin(t.Context())
	if err := f.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if !f.IsZero() {
		t.Errorf("the deleted file stays: %+v", f.Object())
	}
	if !b.exists(t, key) {
		t.Errorf("%s is gone before the commit", key)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.exists(t, key) {
		t.Errorf("%s is still there after the commit", key)
	}
	again := fieldtype.Of[live](core.Object{Key: key})
	mustKind(t, "Delete under the ended transaction", again.Delete(ctx), core.ErrTxnDone)
	if again.IsZero() {
		t.Error("the file that could not be deleted is forgotten")
	}
}

func (b bench) deleteRolledBack(t *testing.T) {
	t.Parallel()
	f := mustSave[live](t, "hello.txt", []byte("hello, world"))
	key := f.Key()
	ctx, txn := core.Begin(t.Context())
	if err := f.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !b.exists(t, key) {
		t.Errorf("%s is gone after the rollback", key)
	}
}

func (b bench) deleteSeveral(t *testing.T) {
	t.Parallel()
	first, second := mustSave[live](t, "1.txt", []byte("1")), mustSave[live](t, "2.txt", []byte("2"))
	l := fieldtype.Files[live]{first, {}, second}
	ctx, txn := core.Begin(t.Context())
	if err := l.Delete(ctx); err != nil || len(l) != 0 {
		t.Fatalf("got error %v and %d files left, want neither", err, len(l))
	}
	if !b.exists(t, first.Key()) || !b.exists(t, second.Key()) {
		t.Error("files are gone before the commit")
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.exists(t, first.Key()) || b.exists(t, second.Key()) {
		t.Error("files are still there after the commit")
	}

	l = fieldtype.Files[live]{first, second}
	mustKind(t, "Delete under the ended transaction", l.Delete(ctx), core.ErrTxnDone)
	mustEqual(t, "the files that could not be deleted", l, fieldtype.Files[live]{first, second})
}

// upload goes the whole way: a browser's form, the bound struct, the column, the
// response, and back as the token of a form shown again.
func (b bench) upload(t *testing.T) {
	t.Parallel()
	type form struct {
		Title string               `form:"title"`
		File  fieldtype.File[live] `form:"file"`
	}
	var row any
	var hidden string
	handler := nethttp.Uploads(liveFields.document)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var f form
		if err := nethttp.Bind(r, &f); err != nil {
			nethttp.WriteError(w, r, err)
			return
		}
		row, hidden = mustValue(t, f.File), f.File.Token(r.Context())
		_, _ = io.WriteString(w, mustJSON(t, f.File))
	}))
	send := func(write func(*multipart.Writer) error) *httptest.ResponseRecorder {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		if err := write(w); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", &body).WithContext(t.Context())
		r.Header.Set("Content-Type", w.FormDataContentType())
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK {
			t.Fatalf("got %d %s", answer.Code, answer.Body)
		}
		return answer
	}

	answer := send(func(w *multipart.Writer) error {
		part, err := w.CreateFormFile("file", "cat.png")
		if err == nil {
			_, err = part.Write(smallPNG(t))
		}
		return err
	})
	var stored fieldtype.File[live]
	mustScan(t, &stored, row)
	mustEqual(t, "the row", []any{stored.Name(), stored.Type(), stored.Width(), stored.Height()}, []any{"cat.png", "image/png", 4, 3})
	mustEqual(t, "its content", mustOpen(t, stored), string(smallPNG(t)))
	if !strings.HasPrefix(answer.Body.String(), `{"name":"cat.png","type":"image/png","size":`) {
		t.Errorf("the response is %s", answer.Body)
	}

	send(func(w *multipart.Writer) error { return w.WriteField("file", hidden) })
	var again fieldtype.File[live]
	mustScan(t, &again, row)
	mustEqual(t, "the file of the form sent again", again, stored)
}
