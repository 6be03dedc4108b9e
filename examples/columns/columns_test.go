package columns

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	_ "modernc.org/sqlite" // the driver

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m) }

// names are as the reference writes them: below a date, with what people call
// their files, composed and decomposed.
var names = []string{
	"2026-11-22/cat.png",
	"2026-11-22/Übersicht Straße (1).png",     // NFC, as Windows and Linux send it
	"2026-11-22/U\u0308bersicht Straße 2.png", // NFD, as macOS sends it
	"2026-11-22/100% sure + one#2?.png",
	"2026-11-22/名前 😀.png",
	"uploads/a b/c\u00a0d.png",
	`2026-11-22/[draft] "a".png`,
	`2026-11-22/back\slash.png`,
}

// The fields are of one column: as it is, and as it is to become.
var fields struct{ key, document *core.Field }

type (
	byKey      struct{}
	byDocument struct{}
)

func (byKey) FileField() *core.Field      { return fields.key }
func (byDocument) FileField() *core.Field { return fields.document }

// reference is a table and a bucket as django-minio-backend leaves them.
type reference struct {
	db     *sql.DB
	server *s3test.Server
	bucket string
	image  []byte
}

func TestATableAndABucketOfDjango(t *testing.T) {
	server := s3test.Start(t)
	r := reference{server: server, bucket: server.Bucket(t)}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	store, err := core.Open(core.Config{
		Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: core.Secret(server.SecretKey), Region: server.Region,
		SigningKeys: []core.Secret{"the signing key of these tests"}, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	fields.key = store.Field(core.FieldConfig{Model: "old", Name: "photo", Bucket: r.bucket, UploadTo: core.ISODatePrefix, Column: core.ColumnKey, MaxKeyLength: 100})
	fields.document = store.Field(core.FieldConfig{Model: "new", Name: "photo", Bucket: r.bucket, UploadTo: core.ISODatePrefix})
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 3))); err != nil {
		t.Fatal(err)
	}
	r.image = b.Bytes()

	t.Run("is read, shown, written, replaced and deleted as it is", r.takenOver)
	t.Run("is migrated to documents and back", r.migrated)
	t.Run("is migrated beside traffic", r.beside)
	t.Run("is migrated further after a run that broke off", r.resumed)
	t.Run("keeps rows that cannot be migrated", r.kept)
	t.Run("keeps lists in order", r.lists)
}

// table makes Django's table, with a row and an object for each key.
func (r *reference) table(t *testing.T, keys ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "django.sqlite3")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r.db = db
	r.exec(t, `CREATE TABLE "gallery_photo" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "photo" varchar(100) NULL)`)
	for _, key := range keys {
		r.exec(t, `INSERT INTO gallery_photo (photo) VALUES (?)`, key)
		_, err := r.server.Client(t).PutObject(t.Context(), r.bucket, key, bytes.NewReader(r.image), int64(len(r.image)), minio.PutObjectOptions{ContentType: "image/png"})
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	r.exec(t, `INSERT INTO gallery_photo (photo) VALUES (NULL), ('')`) // Django's two ways of no file
}

func (r *reference) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := r.db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// column returns what the column holds, in order.
func (r *reference) column(t *testing.T) (values []string) {
	t.Helper()
	rows, err := r.db.QueryContext(t.Context(), `SELECT coalesce(photo, 'NULL') FROM gallery_photo ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

func (r *reference) exists(t *testing.T, key string) bool {
	t.Helper()
	_, err := r.server.Client(t).StatObject(t.Context(), r.bucket, key, minio.StatObjectOptions{})
	return err == nil
}

// keys are the names under a folder of the test's own, so that tests share a bucket.
func keysUnder(dir string) []string {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = dir + "/" + name
	}
	return keys
}

func (r reference) takenOver(t *testing.T) {
	keys := keysUnder("taken")
	r.table(t, keys...)
	for id, key := range keys {
		var photo fieldtype.Image[byKey]
		if err := r.db.QueryRowContext(t.Context(), `SELECT photo FROM gallery_photo WHERE id = ?`, id+1).Scan(&photo); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if photo.Key().String() != key || photo.Name() != key[strings.LastIndexByte(key, '/')+1:] {
			t.Errorf("%q is read as %q, %q", key, photo.Key(), photo.Name())
		}
		link, err := photo.URL(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := fetch(t, link); !bytes.Equal(got, r.image) {
			t.Errorf("%q: the URL gives %d bytes, want %d", key, len(got), len(r.image))
		}
		r.exec(t, `UPDATE gallery_photo SET photo = ? WHERE id = ?`, photo, id+1) // as an ORM saves a row
	}
	if got, want := r.column(t), append(keys, "NULL", ""); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after saving, the column holds\n     %q\nwant %q", got, want)
	}
	for id, key := range keys {
		var photo fieldtype.Image[byKey]
		if err := photo.Scan(key); err != nil {
			t.Fatal(err)
		}
		ctx, txn := core.Begin(t.Context())
		o, err := fields.key.Save(ctx, core.Upload{Body: bytes.NewReader(r.image), Name: "neu ä.png"})
		if err != nil {
			t.Fatal(err)
		}
		if err := photo.Delete(ctx); err != nil {
			t.Fatal(err)
		}
		r.exec(t, `UPDATE gallery_photo SET photo = ? WHERE id = ?`, fieldtype.Of[byKey](o), id+1)
		if !r.exists(t, key) {
			t.Errorf("%q is gone before the commit", key)
		}
		if err := txn.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r.exists(t, key) || !r.exists(t, o.Key.String()) || len(o.Key.String()) > 100 {
			t.Errorf("%q is to be replaced by %q", key, o.Key)
		}
	}
	if got := r.column(t)[0]; !strings.HasSuffix(got, ".png") || strings.HasPrefix(got, "{") {
		t.Errorf("a new row holds %q, want a key as Django reads it", got)
	}
}

func fetch(t *testing.T, link string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (r reference) migration(field *core.Field) fieldtype.ColumnMigration {
	return fieldtype.ColumnMigration{Field: field, Dialect: fieldtype.SQLite, Table: "gallery_photo", Column: "photo", Batch: 3, Parallel: 2}
}

func (r reference) migrate(t *testing.T, m fieldtype.ColumnMigration) fieldtype.MigrationReport {
	t.Helper()
	report, err := fieldtype.MigrateColumn(t.Context(), r.db, m)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (r reference) migrated(t *testing.T) {
	keys := keysUnder("migrated")
	r.table(t, keys...)
	before := r.column(t)
	m := r.migration(fields.document)
	m.Fill = fieldtype.FillHead
	if report := r.migrate(t, m); report.Converted != len(keys) || len(report.Refused)+len(report.Missing) > 0 {
		t.Fatalf("the first run: %+v", report)
	}
	for i, value := range r.column(t)[:len(keys)] {
		var photo fieldtype.Image[byDocument]
		if err := photo.Scan(value); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if photo.Key().String() != keys[i] || photo.Size() != int64(len(r.image)) || photo.Type() != "image/png" || photo.Width() != 4 || photo.Height() != 3 {
			t.Errorf("%q became %s", keys[i], value)
		}
		if _, err := fieldtype.Of[byKey](photo.Object()).Value(); err != nil {
			t.Error(err)
		}
	}
	if report := r.migrate(t, m); report.Converted != 0 || report.Kept != len(keys)+1 {
		t.Errorf("the second run: %+v, want nothing to do", report)
	}
	if report := r.migrate(t, r.migration(fields.key)); report.Converted != len(keys) {
		t.Errorf("back: %+v", report)
	}
	if got := r.column(t); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("there and back, the column holds\n     %q\nwant %q", got, before)
	}
}

// beside changes each row while it is being converted: what a writer wrote is never
// lost.
func (r reference) beside(t *testing.T) {
	r.table(t)
	const rows = 300
	for i := range rows {
		r.exec(t, `INSERT INTO gallery_photo (photo) VALUES (?)`, fmt.Sprintf("beside/%d.png", i))
	}
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := w; i < rows; i += 3 {
				if _, err := r.db.ExecContext(context.Background(), `UPDATE gallery_photo SET photo = ? WHERE photo LIKE ?`, fmt.Sprintf("beside/new-%d.png", i), fmt.Sprintf("%%beside/%d.png%%", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	m := r.migration(fields.document)
	m.Batch = 7
	report, err := fieldtype.MigrateColumn(t.Context(), r.db, m)
	writers.Wait()
	if err != nil || len(report.Refused) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	r.migrate(t, m) // what was written after it had been read
	all := strings.Join(r.column(t), "\n")
	for i := range rows {
		if want := fmt.Sprintf(`{"v":1,"key":"beside/new-%d.png","name":"new-%d.png","size":0}`, i, i); !strings.Contains(all, want) {
			t.Errorf("the write of row %d is lost", i)
		}
	}
}

func (r reference) resumed(t *testing.T) {
	keys := keysUnder("resumed")
	r.table(t, keys...)
	broken := errors.New("the run breaks off")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	m := r.migration(fields.document)
	m.Progress = func(fieldtype.MigrationReport) { cancel(broken) }
	report, err := fieldtype.MigrateColumn(ctx, r.db, m)
	if err == nil || report.Converted != m.Batch || report.Last == nil {
		t.Fatalf("a run that breaks off after a batch: %+v, %v", report, err)
	}
	m.Progress, m.After = nil, report.Last
	if rest := r.migrate(t, m); rest.Converted != len(keys)-m.Batch || rest.Kept != 1 {
		t.Errorf("the rest: %+v", rest)
	}
}

func (r reference) kept(t *testing.T) {
	r.table(t, "kept/here.png")
	strange := []string{"/etc/passwd", `{"v":1,"bucket":"elsewhere","key":"a"}`, "../a.png", `"quoted"`}
	for _, value := range append(strange, "kept/nowhere.png") {
		r.exec(t, `INSERT INTO gallery_photo (photo) VALUES (?)`, value)
	}
	m := r.migration(fields.document)
	m.Fill = fieldtype.FillStat
	report := r.migrate(t, m)
	if report.Converted != 1 || len(report.Refused) != len(strange) || len(report.Missing) != 1 {
		t.Errorf("the report is %+v", report)
	}
	if got, want := r.column(t)[3:], append(strange, "kept/nowhere.png"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the rows hold\n     %q\nwant %q", got, want)
	}
	for name, m := range map[string]fieldtype.ColumnMigration{
		"nothing":    {},
		"no dialect": {Field: fields.key, Table: "t", Column: "c"},
		"no column":  {Field: fields.key, Dialect: fieldtype.SQLite, Table: "t"},
		"a batch":    {Field: fields.key, Dialect: fieldtype.SQLite, Table: "t", Column: "c", Batch: -1},
	} {
		if _, err := fieldtype.MigrateColumn(t.Context(), r.db, m); core.KindOf(err) != core.ErrConfig {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
	m = r.migration(fields.document)
	m.Table = `no"table`
	if _, err := fieldtype.MigrateColumn(t.Context(), r.db, m); err == nil || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("a table that is not there: %v", err)
	}
}

func (r reference) lists(t *testing.T) {
	r.table(t)
	for _, list := range []string{`["lists/b.png","lists/ä.png"]`, `[]`, `["lists/c.png",{"v":1,"key":"lists/d.png","name":"d.png","size":5}]`} {
		r.exec(t, `INSERT INTO gallery_photo (photo) VALUES (?)`, list)
	}
	if report := r.migrate(t, r.migration(fields.document)); report.Converted != 2 || report.Kept != 2 {
		t.Errorf("the report is %+v", report)
	}
	if report := r.migrate(t, r.migration(fields.document)); report.Converted != 0 {
		t.Errorf("again: %+v", report)
	}
	r.migrate(t, r.migration(fields.key))
	if got, want := r.column(t)[2:], []string{`["lists/b.png","lists/ä.png"]`, `[]`, `["lists/c.png","lists/d.png"]`}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the lists are %q, want %q", got, want)
	}
}
