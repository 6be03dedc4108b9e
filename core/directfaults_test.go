package core_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// The requests of a claim.
func isMarker(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, ".filefield-claim-")
}

func isLook(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.RawQuery == ""
}

func isUnmark(r *http.Request) bool {
	return r.Method == http.MethodDelete && r.URL.Query().Has("tagging")
}

func isCopy(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" }

// claimSteps are the steps of a claim, each with an upload that takes it.
var claimSteps = []struct {
	name   string
	form   claimForm
	method core.DirectMethod
	typ    string
	match  func(*http.Request) bool
}{
	{"the marker of a PUT", byMarker, core.DirectPut, "image/png", isMarker},
	{"the look at a PUT", byMarker, core.DirectPut, "image/png", isLook},
	{"the unmarking of a PUT", byMarker, core.DirectPut, "image/png", isUnmark},
	{"the copy of a PUT of another type", byMarker, core.DirectPut, "", isCopy},
	{"the marker of a POST", byMarker, core.DirectPost, "image/png", isMarker},
	{"the look at a POST", byMarker, core.DirectPost, "image/png", isLook},
	{"the copy of a POST", byMarker, core.DirectPost, "image/png", isCopy},
	{"the look at a PUT, with a ledger", byLedger, core.DirectPut, "image/png", isLook},
	{"the unmarking of a PUT, with a ledger", byLedger, core.DirectPut, "image/png", isUnmark},
	{"the copy of a PUT of another type, with a ledger", byLedger, core.DirectPut, "", isCopy},
	{"the look at a POST, with a ledger", byLedger, core.DirectPost, "image/png", isLook},
	{"the copy of a POST, with a ledger", byLedger, core.DirectPost, "image/png", isCopy},
}

func TestAClaimThatFailsHalfwayLeavesTheUploadAsItWas(t *testing.T) {
	t.Parallel()
	for _, step := range claimSteps {
		for fault, breaking := range map[string]func(match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool{
			"its answer is lost": func(match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
				return losingAnswers(s3test.Start(t), always, match)
			},
			"storage is down": func(match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
				return answering(http.StatusServiceUnavailable, "", always, match)
			},
		} {
			t.Run(step.name+": "+fault, func(t *testing.T) {
				t.Parallel()
				d := step.form.directly(t, nil, func(c *core.Config) { c.Attempts = 2 })
				in := asked("a", step.typ, smallPNG)
				in.Method = step.method
				token := d.sent(t.Context(), t, in, smallPNG)
				before, _ := s3test.Leftovers(t, s3test.Start(t), d.bucket)
				d.recorder.Intercept(breaking(step.match))
				_, err := d.claim(t.Context(), t, token)
				wantKind(t, "the claim", err, core.ErrUnavailable)
				d.recorder.Intercept(nil)
				wantLeft(t, d.bucket, before...)
				if got := d.tags(t, before[0]); got["filefield"] != "pending" {
					t.Errorf("its tags are %v, want the mark", got)
				}
				if d.register != nil && (len(d.register.claimed) > 0 || len(d.register.gone) < len(d.register.writing)) {
					t.Errorf("the ledger has %v, and %v of which %v is gone; want nothing", d.register.claimed, d.register.writing, d.register.gone)
				}
				if o := d.mustClaim(t, token); o.Width != 3 {
					t.Errorf("the next claim gives %+v", o)
				}
			})
		}
	}
}

func TestAnAnswerThatIsLostOnceDoesNotFailAClaim(t *testing.T) {
	t.Parallel()
	for _, step := range claimSteps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			d := step.form.directly(t, nil)
			in := asked("a", step.typ, smallPNG)
			in.Method = step.method
			token := d.sent(t.Context(), t, in, smallPNG)
			d.recorder.Intercept(losingAnswers(s3test.Start(t), 1, step.match))
			o := d.mustClaim(t, token)
			if got := d.files(t); !slices.Equal(got, []string{o.Key.String()}) || len(d.tags(t, got[0])) != 0 {
				t.Errorf("the bucket holds %q, want the file without a mark", got)
			}
		})
	}
}

func TestAClaimThatIsCancelledLeavesTheUploadAsItWas(t *testing.T) {
	t.Parallel()
	for _, step := range claimSteps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			d := step.form.directly(t, nil)
			in := asked("a", step.typ, smallPNG)
			in.Method = step.method
			token := d.sent(t.Context(), t, in, smallPNG)
			before, _ := s3test.Leftovers(t, s3test.Start(t), d.bucket)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var once sync.Once
			d.recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				cut := false
				if step.match(r) {
					once.Do(func() { cut = true; cancel() })
				}
				if isMarker(r) { // which is not given up
					return false
				}
				if cut {
					<-r.Context().Done() // the client has gone
				}
				return cut
			})
			inner, txn := core.Begin(ctx)
			_, err := d.ClaimObject(inner, token)
			wantKind(t, "the claim", err, core.ErrCanceled)
			if err := txn.Rollback(context.WithoutCancel(inner)); err != nil {
				t.Fatal(err)
			}
			d.recorder.Intercept(nil)
			wantLeft(t, d.bucket, before...)
			d.mustClaim(t, token)
		})
	}
}

func TestAnUploadInPartsIsCompletedAlthoughAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	for fault, times := range map[string]int64{"once": 1, "always": always} {
		d := newDirectly(t, func(c *core.FieldConfig) { c.MaxSize = 20 * core.MiB }, func(c *core.Config) { c.Attempts = 2 })
		content := string(random(5, 100))
		token := d.token(t, d.begin(t.Context(), t, core.DirectUpload{Name: "a.bin", Size: 100, Method: core.DirectMultipart}).Token)
		d.parts(t, token, content, 100, 1)
		d.recorder.Intercept(losingAnswers(s3test.Start(t), times, isComplete))
		text, _, err := d.CompleteDirect(t.Context(), token, nil)
		d.recorder.Intercept(nil)
		if times == always {
			if err != nil {
				wantKind(t, fault+": its end", err, core.ErrUnavailable)
			}
			text, _, err = d.CompleteDirect(t.Context(), token, nil)
		}
		if err != nil {
			t.Fatalf("lost %s: its end is %v", fault, err)
		}
		o := d.mustClaim(t, d.token(t, text))
		if got := string(mustRead(t, d.Bucket(), o.Key, core.OpenOptions{})); got != content {
			t.Errorf("lost %s: the content is another", fault)
		}
	}
}

func TestAnUploadInPartsIsCompletedAlthoughStorageMissesAPartOnce(t *testing.T) {
	t.Parallel()
	for fault, times := range map[string]int64{"once": 1, "always": always} {
		d := newDirectly(t, func(c *core.FieldConfig) { c.MaxSize = 20 * core.MiB }, func(c *core.Config) { c.Attempts = 2 })
		token := d.token(t, d.begin(t.Context(), t, core.DirectUpload{Name: "a.bin", Size: 100, Method: core.DirectMultipart}).Token)
		d.parts(t, token, string(random(5, 100)), 100, 1)
		d.recorder.Intercept(answering(http.StatusBadRequest, "InvalidPart", times, isComplete))
		text, _, err := d.CompleteDirect(t.Context(), token, nil)
		d.recorder.Intercept(nil)
		if times == always {
			wantKind(t, "missed "+fault, err, core.ErrUnavailable)
			text, _, err = d.CompleteDirect(t.Context(), token, nil)
		}
		if err != nil {
			t.Fatalf("missed %s: its end is %v", fault, err)
		}
		d.mustClaim(t, d.token(t, text))
	}
}

func TestD9TheBucketAnswersPagesOfTheDeclaredOriginsAlone(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, bucket := openStore(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, Direct: core.DirectConfig{Origins: []string{"https://app.example.org"}}})
	store.Declare(core.BucketConfig{Name: bucket, CORS: []core.CORSRule{{Origins: []string{"https://read.example.org"}, Methods: []string{"GET"}}}})
	report := settle(t, store)
	if s.Engine == s3test.MinIO { // it has no CORS per bucket, and says so
		if got := aspects(report.Unsupported); !slices.Contains(got, core.AspectCORS) {
			t.Errorf("unsupported are %v, want CORS among them", got)
		}
		return
	}
	ticket, err := field.BeginDirect(t.Context(), core.DirectUpload{Name: "a.txt", Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		origin, method string
		allowed        bool
	}{
		{"https://app.example.org", "PUT", true},
		{"https://app.example.org", "POST", true},
		{"https://app.example.org", "DELETE", false},
		{"https://evil.example", "PUT", false},
		{"http://app.example.org", "PUT", false},
		{"https://app.example.org.evil.example", "PUT", false},
		{"null", "PUT", false},
		{"https://read.example.org", "PUT", false},
		{"https://read.example.org", "GET", true},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, ticket.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", row.origin)
		r.Header.Set("Access-Control-Request-Method", row.method)
		if row.method == "PUT" {
			var names []string
			for name := range ticket.Headers {
				names = append(names, strings.ToLower(name))
			}
			slices.Sort(names)
			r.Header.Set("Access-Control-Request-Headers", strings.Join(names, ","))
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		got := response.Header.Get("Access-Control-Allow-Origin")
		if allowed := got == row.origin; allowed != row.allowed {
			t.Errorf("%s from %s: the preflight is answered %d with the origin %q, want it allowed: %t", row.method, row.origin, response.StatusCode, got, row.allowed)
		}
	}
}

func TestFaultyDirectDeclarationsAreReported(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]core.DirectConfig{
		"Direct.Expiry is 25h":     {Expiry: 25 * 60 * 60 * 1e9},
		"Direct.PartSize is 1":     {PartSize: 1},
		"Direct.MultipartOver is ": {MultipartOver: core.TiB},
		"more than one *":          {Origins: []string{"*.*"}},
	} {
		store := offlineStore(t)
		field := store.Field(core.FieldConfig{Name: "file", Bucket: "photos", Direct: c})
		if err := store.Faults(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the faults are %v, want %q among them", err, want)
		}
		_, err := field.BeginDirect(t.Context(), core.DirectUpload{Name: "a", Size: 1})
		wantKind(t, "its use", err, core.ErrConfig)
	}
}

// BenchmarkSignParts signs an upload of 10,000 parts in batches of 100.
func BenchmarkSignParts(b *testing.B) {
	field := benchField(b)
	store := field.Store()
	field = store.Field(core.FieldConfig{Name: "long", Bucket: "bench", MaxSize: core.TiB, Direct: core.DirectConfig{PartSize: 10 * core.MiB}})
	ticket, err := field.BeginDirect(b.Context(), core.DirectUpload{Name: "a.bin", Size: 10_000 * 10 * core.MiB})
	if err != nil || ticket.Parts != 10_000 {
		b.Fatal(ticket, err)
	}
	b.ReportAllocs()
	numbers := make([]int, 100)
	for first := 0; b.Loop(); first = (first + 100) % 10_000 {
		for i := range numbers {
			numbers[i] = first + i + 1
		}
		token, err := field.DirectToken(b.Context(), ticket.Token) // as every request has to
		if err == nil {
			_, err = field.SignParts(b.Context(), token, numbers)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBeginDirect signs the upload of a file in one piece.
func BenchmarkBeginDirect(b *testing.B) {
	field := benchField(b)
	for _, method := range singles {
		b.Run(fmt.Sprint(method), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := field.BeginDirect(b.Context(), core.DirectUpload{Name: "cat.png", Type: "image/png", Size: 1000, Method: method}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
