package databases_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/sqltxn"
	"github.com/filefield/filefield/sweep"
)

// crashVar has the test binary be the process that is killed: see runChild.
const crashVar = "FILEFIELD_TEST_CRASH"

// crash is what a child process does, and at which step it kills itself.
type crash struct {
	Kind                                   dbtest.Kind
	Driver, DSN                            string
	Endpoint, AccessKey, SecretKey, Region string
	Folder                                 string
	Ledger                                 bool

	Op   string // create, replace, overwrite, delete, claim
	Step string
	Size int64
	ID   int64
	// Token is of the direct upload that is claimed.
	Token string
	// Key is what is overwritten.
	Key string
}

const (
	small = 1000
	large = 11 << 20 // three parts
)

// step is a moment to die at.
type step struct {
	name string
	size int64
	// leftover is how many objects without a row there are without a ledger.
	leftover int
}

// steps lists the moments of an operation, in their order.
func steps(op string) []step {
	saving := []step{
		{"before the save", small, 0},
		{"before the request", small, 0},
		{"during the request", small, 0},
		{"the request is answered", small, 1},
		{"a part is on its way", large, 0},
		{"a part is answered", large, 0},
		{"before the parts become an object", large, 0},
		{"the parts are an object", large, 1},
		{"saved", small, 1},
		{"saved", large, 1},
		{"the row is written", small, 1},
	}
	switch op {
	case "create":
		return append(saving, step{"committed", small, 0}, step{"never", small, 0})
	case "replace":
		return append(saving, step{"committed", small, 1}, step{"before the deletion", small, 1}, step{"deleted", small, 0}, step{"never", large, 0})
	default:
		return []step{{"the row is written", small, 0}, {"committed", small, 1}, {"before the deletion", small, 1}, {"deleted", small, 0}, {"never", small, 0}}
	}
}

// TestO1AKilledProcess is the crash matrix.
func TestO1AKilledProcess(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		for _, with := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, ledger %t", kind, with), func(t *testing.T) {
				t.Parallel()
				openStore(t)
				d := dbtest.Open(t, kind)
				tb := table{d, openSQL(t, d)}
				openLedger(t, d, 0)
				for _, op := range []string{"create", "replace", "delete"} {
					for _, s := range steps(op) {
						t.Run(fmt.Sprintf("%s, %s, %d", op, s.name, s.size), func(t *testing.T) {
							ctx, name := folder(t)
							testCrash(ctx, t, tb, crash{Op: op, Step: s.name, Size: s.size, Ledger: with, Folder: name}, s.leftover)
						})
					}
				}
			})
		}
	}
}

func testCrash(ctx context.Context, t *testing.T, tb table, c crash, leftover int) {
	s := s3test.Start(t)
	live := tb.created(ctx, t, c.Folder+" stays")
	var p profile
	if c.Op != "create" {
		p = profile{Name: c.Folder}
		tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
			p.Avatar = avatar(ctx, t, "old content")
			return r.create(ctx, &p)
		})
	}
	c.ID, c.Kind, c.Driver, c.DSN = p.ID, tb.d.Kind, tb.d.Driver, tb.d.DSN
	c.Endpoint, c.AccessKey, c.SecretKey, c.Region = s.Endpoint, s.AccessKey, s.SecretKey, s.Region
	runCrash(t, c)
	if c.Ledger {
		recoverCrashed(t, tb.d)
	}

	var referenced []string
	tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
		list, err := r.list(ctx)
		for _, p := range list {
			if p.Name == c.Folder || p.ID == live.ID {
				referenced = append(referenced, keys(p)...)
			}
		}
		return err
	})
	if files, want := len(referenced), wantRows(c)+len(keys(live)); files != want {
		t.Errorf("the rows have %d files, want %d", files, want)
	}
	there := left(t, c.Folder)
	for _, key := range referenced {
		if !slices.Contains(there, key) {
			t.Errorf("a row points at %s, which does not exist", key)
		}
	}
	if c.Ledger {
		leftover = 0
		if uploads := unfinished(t, s, c.Folder); len(uploads) > 0 {
			t.Errorf("parts are left of %q", uploads)
		}
	}
	if n := len(there) - len(referenced); n != leftover {
		t.Errorf("%d objects have no row, want %d: %q, rows have %q", n, leftover, there, referenced)
	}
	if !c.Ledger {
		if deleted := sweepCrashed(t, tb.d, c.Folder); deleted != int64(leftover) {
			t.Errorf("the sweep deleted %d objects, want %d", deleted, leftover)
		}
	}
	wantLeft(t, c.Folder, referenced...)
	if c.Size == small { // MinIO shows no unfinished uploads, and ends them itself
		return
	}
	if uploads := unfinished(t, s, c.Folder); len(uploads) > 0 && os.Getenv("FILEFIELD_TEST_ENGINE") != "minio" {
		t.Errorf("parts are left of %q", uploads)
	}
}

// TestAKilledReplacementUnderTheSameKey has the object be what the row says of it,
// whatever the moment.
func TestAKilledReplacementUnderTheSameKey(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			store, s := openStore(t), s3test.Start(t)
			d := dbtest.Open(t, kind)
			tb := table{d, openSQL(t, d)}
			openLedger(t, d, 0)
			for _, name := range []string{
				"before the request", "during the request", "the request is answered", "saved", "the row is written",
				"committed", "before the copy", "copied", "before the deletion", "deleted", "never",
			} {
				for _, size := range []int64{small, large} {
					if size == large && name == "during the request" {
						continue // which is a part's
					}
					t.Run(fmt.Sprintf("%s, %d", name, size), func(t *testing.T) {
						ctx, folder := folder(t)
						p := profile{Name: folder}
						tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
							p.Avatar = avatar(ctx, t, "old content")
							return r.create(ctx, &p)
						})
						runCrash(t, crash{
							Op: "overwrite", Step: name, Size: size, Ledger: true, Folder: folder, ID: p.ID, Key: p.Avatar.Key().String(),
							Kind: d.Kind, Driver: d.Driver, DSN: d.DSN,
							Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Region: s.Region,
						})
						recoverCrashed(t, d)
						if n := replacements(t, d); n != 0 {
							t.Errorf("%d replacements are left", n)
						}
						wantLeft(t, folder, p.Avatar.Key().String())
						stored, err := store.Bucket(bucketName).Stat(ctx, p.Avatar.Key())
						if err != nil {
							t.Fatal(err)
						}
						tb.inTxn(ctx, t, func(ctx context.Context, r rows) error {
							list, err := r.list(ctx)
							for _, row := range list {
								if row.ID == p.ID && row.Avatar.Object().Size != stored.Size {
									t.Errorf("the row says it has %d bytes, and it has %d", row.Avatar.Object().Size, stored.Size)
								}
							}
							return err
						})
						if uploads := unfinished(t, s, folder); len(uploads) > 0 {
							t.Errorf("parts are left of %q", uploads)
						}
					})
				}
			}
		})
	}
}

// sweepCrashed sweeps a test's folder after the grace period.
func sweepCrashed(t *testing.T, d *dbtest.Database, folder string) (deleted int64) {
	t.Helper()
	dialect := map[dbtest.Kind]sweep.Dialect{dbtest.SQLite: sweep.SQLite, dbtest.PostgreSQL: sweep.Postgres, dbtest.MariaDB: sweep.MySQL}[d.Kind]
	config := sweep.Config{
		Bucket: openStore(t).Bucket(bucketName), Prefix: folder + "/",
		Action: sweep.Delete, MaxShare: 1, CheckMissing: true,
	}
	for _, column := range []string{"profiles.avatar", "profiles.extra"} {
		config.References = append(config.References, sweep.SQL(d.SQL, sweep.SQLColumn{Column: column, Dialect: dialect}))
	}
	for _, ahead := range []time.Duration{0, 25 * time.Hour, 50 * time.Hour} {
		config.Now = func() time.Time { return time.Now().Add(ahead) }
		report, err := sweep.Run(t.Context(), config)
		switch {
		case err != nil:
			t.Fatalf("the sweep after %s: %v", ahead, err)
		case report.Deleted > 0 && ahead == 0:
			t.Errorf("%d objects were deleted within the grace period", report.Deleted)
		case report.Deleted > 0 && ahead == 50*time.Hour:
			t.Errorf("a second sweep deleted %d objects more", report.Deleted)
		case report.Missing > 0:
			t.Errorf("%d rows point at nothing", report.Missing)
		}
		deleted += report.Deleted
	}
	return deleted
}

// wantRows says how many rows with a file there are afterwards.
func wantRows(c crash) int {
	after := slices.Contains([]string{"committed", "before the deletion", "deleted", "never"}, c.Step)
	if (c.Op == "create") == after || c.Op == "replace" {
		return 1
	}
	return 0
}

func unfinished(t *testing.T, s *s3test.Server, folder string) (list []string) {
	t.Helper()
	_, uploads := s3test.Leftovers(t, s, bucketName)
	for _, u := range uploads {
		if strings.HasPrefix(u, folder+"/") {
			list = append(list, u)
		}
	}
	return list
}

// runCrash runs the child and sees that it died where it was to die.
func runCrash(t *testing.T, c crash) {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), crashVar+"="+string(spec))
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case c.Step == "never" && err == nil:
	case c.Step != "never" && errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL: //nolint:forcetypeassert // on Unix
	default:
		t.Fatalf("the child ended with %v:\n%s", err, out)
	}
}

// recoverCrashed runs workers until nothing is left to do. The database may need
// a moment to notice that its client died, and a worker passes over what that had
// locked.
func recoverCrashed(t *testing.T, d *dbtest.Database) {
	t.Helper()
	for tries := range 200 {
		l := openLedger(t, d, time.Duration(tries+1)*25*time.Hour)
		if _, err := l.Recover(t.Context(), openStore(t)); err != nil {
			t.Fatalf("recovery: %v", err)
		}
		if len(entries(t, d)) == 0 {
			return
		}
	}
	t.Errorf("the ledger still has %q", entries(t, d))
}

// The child.

// runChild is the process that is killed, where the environment says so.
func runChild() bool {
	text := os.Getenv(crashVar)
	if text == "" {
		return false
	}
	var c crash
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run(media.WithFolder(context.Background(), c.Folder))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// at is a moment of the child: it dies here if this is the step.
func (c crash) at(step string) {
	if c.Step == step {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (c crash) run(ctx context.Context) error {
	db, err := sql.Open(c.Driver, c.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := core.Open(core.Config{
		Endpoint: c.Endpoint, AccessKey: c.AccessKey, SecretKey: core.Secret(c.SecretKey), Region: c.Region,
		SigningKeys: []core.Secret{"the signing key of these tests"}, Transport: c,
	})
	if err != nil {
		return err
	}
	media.Declare(store, bucketName)
	options := sqltxn.Options{TidyFailed: func(_ context.Context, err error) { fmt.Fprintln(os.Stderr, "tidy:", err) }}
	if c.Ledger {
		if options.Ledger, err = ledger.New(ledger.Config{DB: db, Dialect: ledgerDialect(c.Kind)}); err != nil {
			return err
		}
		ctx = options.Ledger.Context(ctx)
	}
	request, txn := core.Begin(ctx)
	defer txn.Rollback(ctx) //nolint:errcheck // seen by what is left
	var file fieldtype.File[media.Avatar]
	switch c.Op {
	case "delete":
	case "claim":
		if err := errors.Join(file.UnmarshalParam(c.Token), file.Claim(request)); errors.Is(err, core.ErrToken) {
			return nil // another process has it
		} else if err != nil {
			return err
		}
		c.at("claimed")
	case "overwrite":
		o, err := store.Bucket(bucketName).Save(request, c.Key, core.Upload{Body: io.LimitReader(letters{}, c.Size), Replace: true})
		if err != nil {
			return err
		}
		file = fieldtype.Of[media.Avatar](o)
		c.at("saved")
	default:
		c.at("before the save")
		o, err := media.Avatars().Save(request, core.Upload{Body: io.LimitReader(letters{}, c.Size), Name: "new.txt"})
		if err != nil {
			return err
		}
		file = fieldtype.Of[media.Avatar](o)
		c.at("saved")
	}
	return sqltxn.Over(request, c.conn(db), options, func(ctx context.Context, tx *sql.Tx) error {
		r := sqlRows{tx, c.Kind}
		var err error
		switch c.Op {
		case "create", "claim":
			err = r.create(ctx, &profile{Name: c.Folder, Avatar: file})
		case "replace", "overwrite":
			err = r.update(ctx, &profile{ID: c.ID, Name: c.Folder, Avatar: file})
		case "delete":
			err = r.delete(ctx, c.ID)
		}
		c.at("the row is written")
		return err
	})
}

// conn is database/sql's, with a moment right after the commit.
func (c crash) conn(db *sql.DB) sqltxn.Conn[*sql.Tx] {
	return sqltxn.Conn[*sql.Tx]{
		Owner: db,
		Begin: func(ctx context.Context) (*sql.Tx, error) { return db.BeginTx(ctx, nil) },
		Commit: func(_ context.Context, tx *sql.Tx) error {
			err := tx.Commit()
			c.at("committed")
			return err
		},
		Rollback: func(_ context.Context, tx *sql.Tx) error { return tx.Rollback() },
		Exec: func(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
			result, err := tx.ExecContext(ctx, query, args...)
			if err != nil {
				return 0, err
			}
			return result.RowsAffected()
		},
	}
}

// RoundTrip carries the child's requests to storage, with moments around them.
func (c crash) RoundTrip(r *http.Request) (*http.Response, error) {
	part := r.URL.Query().Get("partNumber")
	switch {
	case r.Header.Get("X-Amz-Copy-Source") != "":
		c.at("before the copy")
		defer c.at("copied")
	case r.Method == http.MethodPut && part == "":
		c.at("before the request")
		if c.Step == "during the request" {
			r.Body = dying{r.Body, c, new(int)}
		}
		defer c.at("the request is answered")
	case r.Method == http.MethodPut:
		if part == "2" {
			c.at("a part is on its way")
		}
		defer c.at("a part is answered")
	case r.Method == http.MethodPost && r.URL.Query().Has("uploadId"):
		c.at("before the parts become an object")
		defer c.at("the parts are an object")
	case r.Method == http.MethodDelete && r.URL.Query().Has("tagging"):
		c.at("before the unmarking")
		defer c.at("unmarked")
	case r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId"):
		c.at("before the deletion")
		defer c.at("deleted")
	}
	return transport.RoundTrip(r)
}

var transport = &http.Transport{}

// dying is a body whose process dies when half of it is on its way.
type dying struct {
	io.ReadCloser
	c    crash
	read *int
}

func (d dying) Read(p []byte) (int, error) {
	if *d.read >= small/2 {
		d.c.at("during the request")
	}
	n, err := d.ReadCloser.Read(p[:min(len(p), small/2)])
	*d.read += n
	return n, err
}

// letters is text without end.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a' + byte(i%26)
	}
	return len(p), nil
}
