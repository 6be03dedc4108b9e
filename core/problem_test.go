package core_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

// kinds is every kind there is.
func kinds() []core.Kind {
	var all []core.Kind
	for k := core.ErrNotFound; k <= core.ErrQuota; k++ {
		all = append(all, k)
	}
	return all
}

func TestEveryKindHasACodeATitleAndAStatus(t *testing.T) {
	t.Parallel()
	codes := map[string]core.Kind{}
	for _, k := range kinds() {
		if k.Code() == "" || k.Title() == "" || k.Error() != strings.ToLower(k.Title()) || k.Status() < 300 || k.Status() > 599 {
			t.Errorf("kind %d is %q, %q, %d", k, k.Code(), k.Title(), k.Status())
		}
		if other, taken := codes[k.Code()]; taken {
			t.Errorf("kinds %d and %d have the code %s", k, other, k.Code())
		}
		codes[k.Code()] = k
	}
	for _, k := range []core.Kind{0, core.ErrQuota + 1, 255} {
		if k.Code() != "internal" || k.Status() != http.StatusInternalServerError {
			t.Errorf("the unknown kind %d is %s, %d", k, k.Code(), k.Status())
		}
	}
}

func TestTheKindOfAnError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	e := &core.Error{Kind: core.ErrTooLarge, Op: "save", Err: cause}
	for name, c := range map[string]struct {
		err  error
		want core.Kind
	}{
		"nil": {nil, 0}, "foreign": {cause, 0}, "itself": {e, core.ErrTooLarge}, "wrapped": {fmt.Errorf("more: %w", e), core.ErrTooLarge},
		"joined": {errors.Join(cause, e), core.ErrTooLarge}, "the kind alone": {core.ErrSlow, core.ErrSlow}, "a form's": {core.Invalid{}, core.ErrInvalid},
	} {
		if got := core.KindOf(c.err); got != c.want {
			t.Errorf("%s: the kind is %s, want %s", name, got.Code(), c.want.Code())
		}
	}
	if !errors.Is(e, core.ErrTooLarge) || !errors.Is(e, cause) || errors.Is(e, core.ErrTooMany) {
		t.Error("errors.Is does not see kind and cause, and those alone")
	}
	var found *core.Error
	if !errors.As(fmt.Errorf("more: %w", e), &found) || found != e {
		t.Error("errors.As does not find the error")
	}
}

func TestAnErrorSaysWhatWasAttemptedOnWhat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  core.Error
		want string
	}{
		{core.Error{Kind: core.ErrNotFound, Op: "open", Bucket: "docs", Key: "a b.txt"}, `open docs/"a b.txt": not found`},
		{core.Error{Kind: core.ErrBucketMissing, Op: "check bucket", Bucket: "docs", Advice: "create it"}, `check bucket docs: bucket does not exist (create it)`},
		{
			core.Error{Kind: core.ErrTooLarge, Op: "save", Field: "avatar", Detail: "larger than 5 MiB", Err: io.ErrUnexpectedEOF},
			`save (field avatar): too large: larger than 5 MiB: unexpected EOF`,
		},
		{core.Error{Kind: core.ErrConfig}, `configuration fault`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("the text is %q, want %q", got, c.want)
		}
	}
}

func TestWhatAClientSeesOfAnError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{
			"what the client did wrong, with the field", fmt.Errorf("handler: %w", &core.Error{Kind: core.ErrTooLarge, Op: "save", Field: "avatar", Bucket: "docs", Key: "k", Detail: "the file is larger than 5 MiB"}),
			`{"type":"urn:filefield:problem:too_large","title":"Too large","status":413,"detail":"the file is larger than 5 MiB","errors":[{"field":"avatar","code":"too_large","message":"the file is larger than 5 MiB"}]}`,
		},
		{
			"without a field", &core.Error{Kind: core.ErrMalformed, Detail: "the body broke off"},
			`{"type":"urn:filefield:problem:malformed","title":"Malformed request","status":400,"detail":"the body broke off"}`,
		},
		{
			"a field without a detail", &core.Error{Kind: core.ErrType, Field: "avatar"},
			`{"type":"urn:filefield:problem:type_not_accepted","title":"File type not accepted","status":415,"errors":[{"field":"avatar","code":"type_not_accepted","message":"File type not accepted"}]}`,
		},
		{
			"an outage", &core.Error{Kind: core.ErrUnavailable, Op: "save", Bucket: "docs", Key: "k", Detail: "hidden", Advice: "hidden", Err: errors.New("hidden: dial tcp 10.0.0.1:9000")},
			`{"type":"urn:filefield:problem:storage_unavailable","title":"Storage unavailable","status":503}`,
		},
		{
			"wrong credentials look like an outage, but for the type", &core.Error{Kind: core.ErrCredentials, Field: "avatar", Detail: "hidden"},
			`{"type":"urn:filefield:problem:storage_credentials","title":"Storage unavailable","status":503}`,
		},
		{
			"a fault of the configuration", &core.Error{Kind: core.ErrConfig, Detail: "hidden", Err: errors.New("hidden")},
			`{"type":"urn:filefield:problem:configuration","title":"Configuration fault","status":500}`,
		},
		{"a foreign error", errors.New("pq: password authentication failed for hidden"), `{"type":"urn:filefield:problem:internal","title":"Internal error","status":500}`},
		{"a kind alone", core.ErrNotFound, `{"type":"urn:filefield:problem:not_found","title":"Not found","status":404}`},
		{
			"a form", fmt.Errorf("bind: %w", core.Invalid{{Field: "name", Code: "required", Message: "This field is required."}}),
			`{"type":"urn:filefield:problem:invalid","title":"Invalid input","status":422,"detail":"The form has faults.","errors":[{"field":"name","code":"required","message":"This field is required."}]}`,
		},
		{"an error that decides itself", ownProblem{}, `{"type":"urn:own","title":"Own","status":418}`},
	} {
		got, err := json.Marshal(core.ProblemOf(c.err))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: a client sees\n%s, %v; want\n%s", c.name, got, err, c.want)
		}
	}
}

type ownProblem struct{}

func (ownProblem) Error() string { return "own" }

func (ownProblem) Problem() core.Problem {
	return core.Problem{Type: "urn:own", Title: "Own", Status: http.StatusTeapot}
}

func TestNoProblemNamesWhatIsInside(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		p := core.ProblemOf(&core.Error{Kind: k, Op: "inside", Bucket: "inside", Key: "inside", Advice: "inside", Err: errors.New("inside")})
		text, err := json.Marshal(p)
		if err != nil || strings.Contains(string(text), "inside") {
			t.Errorf("%s shows a client %s, %v", k.Code(), text, err)
		}
		if p.Status != k.Status() {
			t.Errorf("%s has the status %d, want %d", k.Code(), p.Status, k.Status())
		}
	}
}

func TestAnInvalidFormSaysAllItsFaults(t *testing.T) {
	t.Parallel()
	form := core.Invalid{{Field: "a", Code: "required", Message: "is required"}, {Field: "b", Code: "too_large", Message: "is too large"}}
	if got, want := form.Error(), "invalid form: a: is required; b: is too large"; got != want {
		t.Errorf("the text is %q, want %q", got, want)
	}
	if got := (core.Invalid{}).Error(); got != "invalid form" {
		t.Errorf("without faults the text is %q", got)
	}
}
