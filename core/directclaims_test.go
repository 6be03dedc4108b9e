package core_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
)

// register is a ledger in memory, with the claims of direct uploads.
type register struct {
	notes
	claimed  map[core.Key]string // the ids of the claims that were noted
	claiming func(core.Claim) error
}

func (r *register) Claim(_ context.Context, c core.Claim) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed[c.Key] != "" {
		return &core.Error{Kind: core.ErrPrecondition}
	}
	if r.claimed == nil {
		r.claimed = map[core.Key]string{}
	}
	r.claimed[c.Key] = c.ID
	if r.claiming != nil {
		return r.claiming(c)
	}
	return nil
}

func (r *register) Release(_ context.Context, c core.Claim) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed[c.Key] == c.ID {
		delete(r.claimed, c.Key)
	}
	return nil
}

// claimForm is how an app decides who takes a direct upload.
type claimForm string

const (
	byMarker claimForm = "a marker"
	byLedger claimForm = "a ledger"
)

var claimForms = []claimForm{byMarker, byLedger}

// directly is newDirectly in this form.
func (f claimForm) directly(t testing.TB, change func(*core.FieldConfig), config ...func(*core.Config)) *directly {
	t.Helper()
	d := newDirectly(t, change, config...)
	if f == byLedger {
		d.register = &register{}
	}
	return d
}

// saves is how many requests of a claim this form saves.
func (f claimForm) saves() int {
	if f == byLedger {
		return 1
	}
	return 0
}

// under is the context of a request to this app.
func (d *directly) under(ctx context.Context) context.Context {
	if d.register == nil {
		return ctx
	}
	return core.WithJournal(ctx, d.register)
}

func (d *directly) BeginDirect(ctx context.Context, in core.DirectUpload) (core.Ticket, error) {
	return d.Field.BeginDirect(d.under(ctx), in)
}

func (d *directly) CompleteDirect(ctx context.Context, t core.Token, parts []core.DirectPart) (string, core.Object, error) {
	return d.Field.CompleteDirect(d.under(ctx), t, parts)
}

func (d *directly) AbortDirect(ctx context.Context, t core.Token) error {
	return d.Field.AbortDirect(d.under(ctx), t)
}

func (d *directly) ClaimObject(ctx context.Context, t core.Token) (core.Object, error) {
	return d.Field.ClaimObject(d.under(ctx), t)
}

// inEachForm runs a test with both.
func inEachForm(t *testing.T, test func(t *testing.T, form claimForm)) {
	t.Helper()
	t.Parallel()
	for _, form := range claimForms {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			test(t, form)
		})
	}
}

func TestAnUploadIsClaimedAsItWasBegun(t *testing.T) {
	t.Parallel()
	d := byLedger.directly(t, nil)
	ledger := d.register
	d.register = nil
	old := d.sent(t.Context(), t, asked("a.txt", "text/plain", "x"), "x") // begun before the app had a ledger
	d.register = ledger
	d.mustClaim(t, old)
	if len(ledger.claimed) != 0 {
		t.Errorf("the ledger has %v, want nothing of an upload with a marker", ledger.claimed)
	}
	_, err := d.claim(t.Context(), t, old)
	wantKind(t, "its second claim", err, core.ErrToken)

	token := d.sent(t.Context(), t, asked("a.txt", "text/plain", "x"), "x")
	before := d.files(t)
	d.register = nil
	_, err = d.claim(t.Context(), t, token)
	wantKind(t, "a claim where the ledger is missing", err, core.ErrConfig)
	wantKind(t, "its end there", d.AbortDirect(t.Context(), token), core.ErrConfig)
	if got := d.files(t); len(got) != len(before) || d.tags(t, token.Object.Key.String())["filefield"] != "pending" {
		t.Errorf("the bucket holds %q, want %q as before", got, before)
	}
	d.register = ledger
	d.mustClaim(t, token)
}

func TestADatabaseThatFailsLeavesTheUploadAsItWas(t *testing.T) {
	t.Parallel()
	down := &core.Error{Kind: core.ErrUnavailable, Err: errors.New("the database is down")}
	for name, breaking := range map[string]func(*register){
		"the claim is noted, and its answer lost": func(r *register) { r.claiming = func(core.Claim) error { return down } },
		"the file cannot be noted":                func(r *register) { r.refuse = func(core.Written) error { return down } },
	} {
		for _, method := range singles {
			t.Run(name+": "+string(method), func(t *testing.T) {
				t.Parallel()
				d := byLedger.directly(t, nil)
				in := asked("a.txt", "text/plain", "x")
				in.Method = method
				token := d.sent(t.Context(), t, in, "x")
				before := d.files(t)
				breaking(d.register)
				_, err := d.claim(t.Context(), t, token)
				wantKind(t, "the claim", err, core.ErrUnavailable)
				wantLeft(t, d.bucket, before...)
				if got := d.tags(t, before[0]); got["filefield"] != "pending" {
					t.Errorf("its tags are %v, want the mark", got)
				}
				d.register.claiming, d.register.refuse = nil, nil
				d.mustClaim(t, token)
			})
		}
	}
}

func TestWhatIsBeingClaimedDoesNotExpire(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		d := form.directly(t, nil)
		token := d.sent(t.Context(), t, asked("a.png", "image/png", smallPNG), smallPNG)
		looking, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		d.recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if isUnmark(r) {
				once.Do(func() { close(looking); <-goOn })
			}
			return false
		})
		claimed := make(chan error)
		go func() {
			ctx, txn := core.Begin(t.Context())
			_, err := d.ClaimObject(ctx, token)
			claimed <- errors.Join(err, txn.Commit(ctx))
		}()
		<-looking
		removed, err := d.Bucket().RemovePending(d.under(t.Context()), token.Object.Key)
		if removed || err != nil {
			t.Errorf("it is removed: %t, %v", removed, err)
		}
		close(goOn)
		if err := <-claimed; err != nil {
			t.Errorf("the claim is %v", err)
		}
		if got := d.files(t); len(got) != 1 {
			t.Errorf("the bucket holds %q, want the file", got)
		}
	})
}
