package databases_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/sqltxn"
)

// sentDirectly sends a file straight to the bucket under a ledger, as a browser
// does, and returns its token.
func sentDirectly(ctx context.Context, t testing.TB, book *ledger.Ledger, content string) string {
	t.Helper()
	ticket, err := media.Avatars().BeginDirect(book.Context(ctx), core.DirectUpload{Name: "a.txt", Type: "text/plain", Size: int64(len(content))})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, ticket.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range ticket.Headers {
		r.Header.Set(name, value)
	}
	if got := answered(t, r, nil); got != http.StatusOK {
		t.Fatalf("the upload is answered %d, want 200", got)
	}
	return ticket.Token
}

// claimed claims a token's file in a request of its own.
func claimed(ctx context.Context, book *ledger.Ledger, token string) (context.Context, *core.Txn, fieldtype.File[media.Avatar], error) {
	request, txn := core.Begin(book.Context(ctx))
	var file fieldtype.File[media.Avatar]
	err := file.UnmarshalParam(token)
	if err == nil {
		err = file.Claim(request)
	}
	return request, txn, file, err
}

// noted counts the claims in the database.
func noted(t testing.TB, d *dbtest.Database) (n int) {
	t.Helper()
	if err := d.SQL.QueryRowContext(context.WithoutCancel(t.Context()), "SELECT COUNT(*) FROM filefield_claims").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestADirectUploadIsClaimedOnceInTheLedger(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		token := sentDirectly(ctx, t, book, "content")
		for range 2 { // a rollback has it wait again
			_, txn, _, err := claimed(ctx, book, token)
			if err != nil {
				t.Fatalf("a claim: %v", err)
			}
			if _, _, _, err := claimed(ctx, book, token); !errors.Is(err, core.ErrToken) {
				t.Errorf("a claim meanwhile: %v, want ErrToken", err)
			}
			if err := txn.Rollback(ctx); err != nil {
				t.Fatal(err)
			}
			wantEntries(t, tb.d)
		}
		request, _, file, err := claimed(ctx, book, token)
		if err != nil {
			t.Fatal(err)
		}
		p := profile{Name: "row", Avatar: file}
		err = tb.run(request, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error { return r.create(ctx, &p) })
		if err != nil {
			t.Fatal(err)
		}
		wantEntries(t, tb.d, "committed")
		tb.wantRow(ctx, t, folder, p) // and no marker beside it
		if _, _, _, err := claimed(ctx, book, token); !errors.Is(err, core.ErrToken) {
			t.Errorf("a second claim: %v, want ErrToken", err)
		}
		short, err := ledger.New(ledger.Config{DB: tb.d.SQL, Dialect: ledgerDialect(tb.d.Kind), Grace: time.Second, Now: func() time.Time { return time.Now().Add(23 * time.Hour) }})
		if err == nil {
			_, err = short.Recover(ctx, openStore(t))
		}
		if n := noted(t, tb.d); n != 1 || err != nil {
			t.Errorf("while the token lives %d claims are noted, %v; want 1, whatever the grace period", n, err)
		}
		if n := recoverAll(t, tb.d, openStore(t)); n != 0 || noted(t, tb.d) != 0 {
			t.Errorf("recovery removed %d objects and left %d claims, want none", n, noted(t, tb.d))
		}
		tb.wantRow(ctx, t, folder, p)
	})
}

func TestOfManyClaimsAtOnceTheDatabaseLetsOneHaveTheUpload(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		token := sentDirectly(ctx, t, book, "content")
		var won atomic.Int32
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				request, txn, file, err := claimed(ctx, book, token)
				switch {
				case err == nil:
					won.Add(1)
					err = tb.run(request, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error {
						return r.create(ctx, &profile{Name: "row", Avatar: file})
					})
				case errors.Is(err, core.ErrToken):
					err = txn.Rollback(ctx)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if won.Load() != 1 {
			t.Errorf("%d claims succeeded, want 1", won.Load())
		}
		if got := left(t, folder); len(got) != 1 {
			t.Errorf("the bucket holds %q, want the file", got)
		}
		wantEntries(t, tb.d, "committed")
	})
}

func TestOfSeveralProcessesOneHasTheUpload(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		c := claiming(tb, s3test.Start(t), folder, sentDirectly(ctx, t, book, "content"))
		c.Step = "never"
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() { runCrash(t, c) })
		}
		wait.Wait()
		wantProfiles(ctx, t, tb, 1)
		if got := left(t, folder); len(got) != 1 {
			t.Errorf("the bucket holds %q, want the file", got)
		}
	})
}

// claiming is a process that claims a token's file for a row.
func claiming(tb table, s *s3test.Server, folder, token string) crash {
	return crash{
		Kind: tb.d.Kind, Driver: tb.d.Driver, DSN: tb.d.DSN, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Region: s.Region,
		Folder: folder, Ledger: true, Op: "claim", Token: token,
	}
}

func wantProfiles(ctx context.Context, t *testing.T, tb table, want int) {
	t.Helper()
	var n int
	if err := tb.d.SQL.QueryRowContext(ctx, "SELECT COUNT(*) FROM profiles").Scan(&n); err != nil || n != want {
		t.Errorf("there are %d rows, %v; want %d", n, err, want)
	}
}

func TestAProcessThatDiesInAClaimEndsItsToken(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			openStore(t)
			d := dbtest.Open(t, kind)
			tb, book := table{d, openSQL(t, d)}, openLedger(t, d, 0)
			rows := 0
			for _, step := range []string{"before the unmarking", "unmarked", "claimed", "the row is written", "committed"} {
				t.Run(step, func(t *testing.T) {
					ctx, folder := folder(t)
					c := claiming(tb, s3test.Start(t), folder, sentDirectly(ctx, t, book, "content"))
					c.Step = step
					runCrash(t, c)
					if _, _, _, err := claimed(ctx, book, c.Token); !errors.Is(err, core.ErrToken) {
						t.Errorf("another claim: %v, want ErrToken", err)
					}
					recoverCrashed(t, d)
					there := 0
					if step == "committed" {
						rows++
						there = 1
					}
					wantProfiles(ctx, t, tb, rows)
					if got := left(t, folder); len(got) != there {
						t.Errorf("the bucket holds %q, want %d files", got, there)
					}
					recoverAll(t, d, openStore(t))
					if n := noted(t, d); n != 0 {
						t.Errorf("%d claims are left, want none once their tokens have long expired", n)
					}
				})
			}
		})
	}
}

// A ledger of an earlier version has no table of claims: Migrate adds it.
func TestAnEarlierLedgerGetsItsClaims(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, _ string) {
		request, _, file := uploaded(ctx, t, book, "content")
		mustExec(t, tb.d.SQL, "DROP TABLE filefield_claims")
		token := sentDirectly(ctx, t, book, "content")
		if _, _, _, err := claimed(ctx, book, token); !errors.Is(err, core.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "Migrate") {
			t.Errorf("a claim without the table: %v, want ErrUnavailable with what to do", err)
		}
		if err := book.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := claimed(ctx, book, token); err != nil {
			t.Errorf("a claim after it: %v", err)
		}
		err := tb.run(request, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error {
			return r.create(ctx, &profile{Name: "row", Avatar: file})
		})
		if err != nil {
			t.Errorf("the row of a file from before: %v", err)
		}
	})
}

func TestAClaimInsideATransactionOfSQLiteIsRefused(t *testing.T) {
	withLedger(t, func(t *testing.T, ctx context.Context, tb table, book *ledger.Ledger, folder string) {
		token := sentDirectly(ctx, t, book, "content")
		err := tb.run(ctx, sqltxn.Options{Ledger: book}, func(ctx context.Context, r rows) error {
			var file fieldtype.File[media.Avatar]
			if err := errors.Join(file.UnmarshalParam(token), file.Claim(ctx)); err != nil {
				return err
			}
			return r.create(ctx, &profile{Name: "row", Avatar: file})
		})
		if tb.d.Kind == dbtest.SQLite { // it has one writer
			if !errors.Is(err, core.ErrConfig) || noted(t, tb.d) != 0 {
				t.Errorf("the error is %v and %d claims are noted, want ErrConfig and none", err, noted(t, tb.d))
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		wantProfiles(ctx, t, tb, 1)
	})
}

// An app whose middleware is the ledger's, and whose browsers are stock Uppy's kind:
// they begin an upload, send it, perhaps complete it, and post its token.
func TestAnAppWithALedgerClaimsWithTwoRequestsAtMost(t *testing.T) {
	t.Parallel()
	for _, method := range []core.DirectMethod{core.DirectPut, core.DirectPost, core.DirectMultipart} {
		for _, completed := range []bool{false, true} {
			if method == core.DirectMultipart && !completed {
				continue // there is no file yet
			}
			t.Run(fmt.Sprintf("%s, completed %t", method, completed), func(t *testing.T) {
				t.Parallel()
				app := newDirectApp(t)
				ticket := app.ask(t, "/uploads/file", map[string]any{"name": "a.txt", "type": "text/plain", "size": 7, "method": method})
				app.send(t, ticket, "content")
				if completed {
					ticket = app.ask(t, "/uploads/file/complete", map[string]any{"token": ticket.Token})
				}
				app.recorder.Reset()
				form := url.Values{"file": {ticket.Token}}
				if got := app.post(t, "/rows", "application/x-www-form-urlencoded", form.Encode(), nil); got != http.StatusCreated {
					t.Fatalf("the form is answered %d, want 201", got)
				}
				want := 2
				if completed {
					want = 1
				}
				if method == core.DirectPost {
					want++ // what was posted goes after the commit
				}
				if got := app.recorder.Count(""); got != want {
					t.Errorf("the form made %d requests to storage, want %d: %v", got, want, app.recorder.Requests())
				}
				wantEntries(t, app.db, "committed")
				if got := app.post(t, "/rows", "application/x-www-form-urlencoded", form.Encode(), nil); got != http.StatusUnprocessableEntity {
					t.Errorf("the form, sent again, is answered %d, want 422", got)
				}
			})
		}
	}
}

type directApp struct {
	*httptest.Server
	recorder *s3test.Recorder
	db       *dbtest.Database
}

func newDirectApp(t *testing.T) directApp {
	t.Helper()
	s := s3test.Start(t)
	app := directApp{recorder: s.Recorder(t), db: dbtest.Open(t, dbtest.SQLite)}
	mustExec(t, app.db.SQL, "CREATE TABLE files (name TEXT NOT NULL)")
	store, err := newStore(app.recorder.Endpoint(), s)
	if err != nil {
		t.Fatal(err)
	}
	field := store.Field(core.FieldConfig{Name: "file", Bucket: s.Bucket(t)})
	book := openLedger(t, app.db, 0)
	mux := http.NewServeMux()
	direct := nethttp.Handle(nethttp.Direct(field, nethttp.Anyone, nethttp.DirectConfig{}))
	mux.Handle("/uploads/file", direct)
	mux.Handle("/uploads/file/", direct)
	mux.Handle("POST /rows", nethttp.Uploads(field)(nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
		token, err := field.Verify(r.PostFormValue("file"))
		if err != nil {
			return err
		}
		err = sqltxn.Run(r.Context(), app.db.SQL, sqltxn.Options{Ledger: book}, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO files (name) VALUES (?)", token.Object.Key.String())
			return err
		})
		if err == nil {
			w.WriteHeader(http.StatusCreated)
		}
		return err
	})))
	app.Server = httptest.NewServer(book.Middleware(nethttp.Middleware(mux)))
	t.Cleanup(app.Close)
	return app
}

// ask makes a request to the endpoint of direct uploads.
func (app directApp) ask(t *testing.T, path string, question map[string]any) (ticket core.Ticket) {
	t.Helper()
	text, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	if got := app.post(t, path, "application/json", string(text), &ticket); got >= 300 {
		t.Fatalf("%s is answered %d", path, got)
	}
	return ticket
}

func (app directApp) post(t *testing.T, path, mediaType, body string, answer any) (status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, app.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaType)
	return answered(t, r, answer)
}

// send does with a ticket what a browser does.
func (app directApp) send(t *testing.T, ticket core.Ticket, content string) {
	t.Helper()
	method, to, header := http.MethodPut, ticket.URL, ticket.Headers
	switch ticket.Method {
	case core.DirectMultipart:
		var part struct{ Parts []struct{ URL string } }
		text, err := json.Marshal(map[string]any{"token": ticket.Token, "numbers": []int{1}})
		if err != nil || app.post(t, "/uploads/file/parts", "application/json", string(text), &part) != http.StatusOK {
			t.Fatal("the part cannot be signed", err)
		}
		to = part.Parts[0].URL
	case core.DirectPost:
		var body strings.Builder
		form := multipart.NewWriter(&body)
		for name, value := range ticket.Fields {
			_ = form.WriteField(name, value) // a builder takes everything
		}
		file, _ := form.CreateFormFile("file", "a.txt")
		_, _ = io.WriteString(file, content)
		_ = form.Close()
		method, content, header = http.MethodPost, body.String(), map[string]string{"Content-Type": form.FormDataContentType()}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	if got := answered(t, r, nil); got >= 300 {
		t.Fatalf("%s is answered %d", method, got)
	}
}

// answered reads the answer to a request, as JSON into answer where there is one.
func answered(t testing.TB, r *http.Request, answer any) (status int) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && answer != nil && response.StatusCode < 300 {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, text, err)
	}
	if response.StatusCode >= 300 {
		t.Logf("%s %s: %d %s", r.Method, r.URL.Path, response.StatusCode, text)
	}
	return response.StatusCode
}
