package core_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// allow is a policy with one statement for anyone.
func allow(bucket, action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"` + action + `","Resource":"arn:aws:s3:::` + bucket + resource + `"}]}`
}

func TestAPrivateBucketOpenedByHandIsClosed(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	for name, foreign := range map[string]core.ForeignStatements{"keep": core.KeepForeign, "remove": core.RemoveForeign, "refuse": core.RefuseForeign} {
		bucket := s.Bucket(t)
		recorder := s.Recorder(t)
		store := openStoreOn(t, s, recorder.Endpoint())
		save(t, store.Declare(core.BucketConfig{Name: bucket, Foreign: foreign}), "a.txt", "content")
		for what, policy := range map[string]string{
			"reading": allow(bucket, "s3:GetObject", "/*"), "everything": allow(bucket, "s3:*", "/*"), "listing": allow(bucket, "s3:ListBucket", ""),
		} {
			if err := s.Client(t).SetBucketPolicy(t.Context(), bucket, policy); err != nil {
				t.Fatal(err)
			}
			plan, err := store.Plan(t.Context())
			if err != nil || len(plan.Differences) != 1 || plan.Differences[0].Aspect != core.AspectAccess || plan.Err() != nil {
				t.Errorf("%s, opened for %s: the plan is %s, %v, %v", name, what, plan, err, plan.Err())
			}
			if _, err := store.Apply(t.Context(), plan); err != nil {
				t.Fatal(err)
			}
			for _, url := range []string{s.URL() + "/" + bucket + "/a.txt", s.URL() + "/" + bucket} {
				if got, body := anonymous(t, http.MethodGet, url); got != http.StatusForbidden {
					t.Errorf("%s, opened for %s and closed again: a stranger gets %d, want 403; %.200s", name, what, got, body)
				}
			}
			wantSettled(t, store, recorder)
		}
	}
}

func TestAPublicBucketClosedByHandIsOpenedAndNoMore(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, bucket := s.Recorder(t), s.Bucket(t)
	store := openStoreOn(t, s, recorder.Endpoint())
	save(t, store.Declare(core.BucketConfig{Name: bucket, Public: true}), "a.txt", "content")
	settle(t, store)
	url := s.URL() + "/" + bucket
	for what, policy := range map[string]string{
		"nothing": "", "listing": allow(bucket, "s3:ListBucket", ""), "writing": allow(bucket, "s3:PutObject", "/*"),
	} {
		if err := s.Client(t).SetBucketPolicy(t.Context(), bucket, policy); err != nil {
			t.Fatal(err)
		}
		settle(t, store)
		for _, c := range []struct {
			method, url string
			want        int
		}{
			{http.MethodGet, url + "/a.txt", 200},
			{http.MethodGet, url, 403},
			{http.MethodPut, url + "/b.txt", 403},
			{http.MethodDelete, url + "/a.txt", 403},
		} {
			if got, _ := anonymous(t, c.method, c.url); got != c.want {
				t.Errorf("after a policy for %s: %s %s is %d to a stranger, want %d", what, c.method, c.url, got, c.want)
			}
		}
		wantSettled(t, store, recorder)
	}
	private := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PrivateBuckets = []string{bucket} })
	settle(t, private)
	if got, _ := anonymous(t, http.MethodGet, url+"/a.txt"); got != 403 {
		t.Errorf("declared private now, an object of it is %d to a stranger, want 403", got)
	}
	wantSettled(t, private, recorder)
}

func TestAChangedHookIsApplied(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, bucket := s.Recorder(t), s.Bucket(t)
	for _, prefix := range []string{"a", "b"} {
		store := openStoreOn(t, s, recorder.Endpoint())
		b := store.Declare(core.BucketConfig{Name: bucket, Policy: []core.PolicyHook{func(bucket string) (string, error) {
			return allow(bucket, "s3:GetObject", "/"+prefix+"/*"), nil
		}}})
		save(t, b, prefix+"/file.txt", "content")
		settle(t, store)
		wantSettled(t, store, recorder)
		for _, other := range []string{"a", "b"} {
			want := http.StatusForbidden
			if other == prefix {
				want = http.StatusOK
			}
			if got, _ := anonymous(t, http.MethodGet, s.URL()+"/"+bucket+"/"+other+"/file.txt"); got != want {
				t.Errorf("the hook opens %s, and %s is %d to a stranger, want %d", prefix, other, got, want)
			}
		}
	}
}

func TestAForeignStatementIsKeptRemovedOrRefused(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, bucket := s.Recorder(t), s.Bucket(t)
	deny := strings.Replace(allow(bucket, "s3:GetObject", "/secret/*"), "Allow", "Deny", 1)
	for _, c := range []struct {
		name    string
		foreign core.ForeignStatements
		remains bool
		kind    core.Kind
	}{
		{"kept", core.KeepForeign, true, 0},
		{"refused", core.RefuseForeign, true, core.ErrConfig},
		{"removed", core.RemoveForeign, false, 0},
	} {
		if err := s.Client(t).SetBucketPolicy(t.Context(), bucket, deny); err != nil {
			t.Fatal(err)
		}
		store := openStoreOn(t, s, recorder.Endpoint())
		store.Declare(core.BucketConfig{Name: bucket, Public: true, Foreign: c.foreign})
		wantKind(t, c.name, store.Startup(core.StartupConfig{}).Start(t.Context()), c.kind)
		policy, err := s.Client(t).GetBucketPolicy(t.Context(), bucket)
		if err != nil || strings.Contains(policy, "Deny") != c.remains || !strings.Contains(policy, "Allow") {
			t.Errorf("%s: the policy is %s, %v; want the denial in it: %t, and public reading", c.name, policy, err, c.remains)
		}
		recorder.Reset()
		_ = store.Startup(core.StartupConfig{}).Start(t.Context())
		if n := writes(recorder); n != 0 {
			t.Errorf("%s: a second start made %d requests that write", c.name, n)
		}
	}
}
