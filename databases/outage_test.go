package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sqltxn"
	"github.com/filefield/filefield/sweep"
)

// outage is a way to storage that can be down.
type outage struct{ down atomic.Bool }

func (o *outage) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.down.Load() {
		return nil, errors.New("no route to storage")
	}
	return transport.RoundTrip(r)
}

type outageFile struct{}

var outageField *core.Field

func (outageFile) FileField() *core.Field { return outageField }

// TestStorageThatIsDownAtTheCommit has a row replaced, deleted and rolled back while
// no object can be removed.
func TestStorageThatIsDownAtTheCommit(t *testing.T) { //nolint:paralleltest // the field is the package's
	s := s3test.Start(t)
	way := &outage{}
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"the signing key of these tests"}, Transport: way, Attempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	outageField = store.Field(core.FieldConfig{Name: "file", Bucket: s.Bucket(t)})
	for _, kind := range dbtest.Kinds() {
		for name, with := range map[string]bool{"with a ledger": true, "without a ledger": false} {
			t.Run(string(kind)+", "+name, func(t *testing.T) { //nolint:paralleltest // see above
				testOutage(t, way, store, dbtest.Open(t, kind), with)
			})
		}
	}
}

func testOutage(t *testing.T, way *outage, store *core.Store, d *dbtest.Database, with bool) {
	mustExec(t, d.SQL, "CREATE TABLE files (id INTEGER PRIMARY KEY, file TEXT)")
	book := openLedger(t, d, 0)
	ctx, failures := t.Context(), 0
	options := sqltxn.Options{TidyFailed: func(context.Context, error) { failures++ }}
	if with {
		options.Ledger, ctx = book, book.Context(ctx)
	}
	run := func(down bool, query string, old *fieldtype.File[outageFile], fails error, args ...any) fieldtype.File[outageFile] {
		t.Helper()
		request, txn := core.Begin(ctx) // the file is stored before, as SQLite's ledger wants it
		o, err := outageField.Save(request, core.Upload{Body: strings.NewReader("content")})
		if err != nil {
			t.Fatal(err)
		}
		file := fieldtype.Of[outageFile](o)
		err = sqltxn.Run(request, d.SQL, options, func(ctx context.Context, tx *sql.Tx) error {
			args := args
			if strings.Contains(query, "?") {
				args = append([]any{file}, args...)
			}
			_, err := tx.ExecContext(ctx, d.Kind.Placeholders(query), args...)
			way.down.Store(down)
			if old != nil {
				err = errors.Join(err, old.Delete(ctx))
			}
			return errors.Join(err, fails)
		})
		if !errors.Is(err, fails) || (err == nil) != (fails == nil) {
			t.Errorf("%s: %v, want %v", query, err, fails)
		}
		_ = txn.Rollback(context.WithoutCancel(ctx)) // without effect on what is committed
		way.down.Store(false)
		return file
	}
	first := run(false, "INSERT INTO files (id, file) VALUES (1, ?)", nil, nil)
	old := first
	second := run(true, "UPDATE files SET file = ? WHERE id = 1", &old, nil)
	if failures != 1 {
		t.Errorf("%d failures were told after a replacement, want 1", failures)
	}
	run(true, "UPDATE files SET file = ? WHERE id = 1", nil, errWanted)
	wantOutageObjects(t, "before recovery", 3)

	if with {
		for i := range 3 {
			if _, err := openLedger(t, d, time.Duration(i+1)*25*time.Hour).Recover(t.Context(), store); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		dialect := map[dbtest.Kind]sweep.Dialect{dbtest.SQLite: sweep.SQLite, dbtest.PostgreSQL: sweep.Postgres, dbtest.MariaDB: sweep.MySQL}[d.Kind]
		report, err := sweep.Run(t.Context(), sweep.Config{
			Bucket: outageField.Bucket(), Action: sweep.Delete, MaxShare: 1, CheckMissing: true,
			References: []sweep.Source{sweep.SQL(d.SQL, sweep.SQLColumn{Column: "files.file", Dialect: dialect})},
			Now:        func() time.Time { return time.Now().Add(25 * time.Hour) },
		})
		if err != nil || report.Deleted != 2 || report.Missing != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	wantOutageObjects(t, "after recovery", 1)
	if err := second.Stat(t.Context()); err != nil {
		t.Errorf("the row's file: %v", err)
	}
	if err := outageField.Delete(t.Context(), second.Key()); err != nil { // for the next case
		t.Error(err)
	}
}

func wantOutageObjects(t *testing.T, when string, want int) {
	t.Helper()
	n := 0
	for _, err := range outageField.Bucket().Walk(t.Context(), "") {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != want {
		t.Errorf("%s there are %d objects, want %d", when, n, want)
	}
}
