package core_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// settle makes the store's buckets what they are declared to be.
func settle(t testing.TB, store *core.Store) core.Report {
	t.Helper()
	plan, err := store.Plan(t.Context())
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	report, err := store.Apply(t.Context(), plan)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return report
}

// wantSettled checks that nothing is left to do, and that finding out wrote nothing.
func wantSettled(t testing.TB, store *core.Store, recorder *s3test.Recorder) {
	t.Helper()
	recorder.Reset()
	plan, err := store.Plan(t.Context())
	if err != nil || plan.Changes() || plan.Err() != nil {
		t.Errorf("a second plan is\n%s%v, %v; want no changes", plan, err, plan.Err())
	}
	if _, err := store.Apply(t.Context(), plan); err != nil {
		t.Errorf("a second apply: %v", err)
	}
	if n := writes(recorder); n != 0 {
		t.Errorf("the second run made %d requests that write: %+v", n, recorder.Requests())
	}
}

// aspects returns the aspects of differences, each once.
func aspects(list []core.Difference) []core.Aspect {
	set := map[core.Aspect]bool{}
	for _, d := range list {
		set[d.Aspect] = true
	}
	return slices.Sorted(maps.Keys(set))
}

func TestFiftyBucketsFromNothingAndAgain(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 50)
	declare := func() *core.Store {
		store := openStoreOn(t, s, recorder.Endpoint())
		for i, name := range names {
			store.Declare(core.BucketConfig{Name: name, Public: i%2 == 0, Versioning: core.VersioningOn})
		}
		return store
	}
	recorder.Reset()
	if report := settle(t, declare()); len(report.Done) != 50+25+50 {
		t.Errorf("%d differences were mended, want 50 buckets, 25 public and 50 with versions: %+v", len(report.Done), report.Done)
	}
	if n := recorder.Count(""); n != 50+50+25+50 {
		t.Errorf("the first run made %d requests, want 50 reads and 125 writes", n)
	}
	again := declare() // a new process, which remembers nothing
	recorder.Reset()
	if err := again.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := writes(recorder); n != 0 {
		t.Errorf("the second run made %d requests that write", n)
	}
	reads := map[string]int{}
	for _, r := range recorder.Requests() {
		reads[r.Path]++
	}
	for path, n := range reads {
		if n > 2 {
			t.Errorf("%s was read %d times, want one time for existence and access and one for versioning", path, n)
		}
	}
	if len(reads) != 50 {
		t.Errorf("%d buckets were read, want 50", len(reads))
	}
}

func TestAPlanIsJSONWithoutNull(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	name := bucketNames(t, s, 1)[0]
	store := openStoreOn(t, s, s.Endpoint)
	store.Declare(core.BucketConfig{Name: name, Public: true})
	plan, err := store.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"differences":[` +
		`{"bucket":"` + name + `","aspect":"existence","have":"missing","want":"present","message":"the bucket does not exist: it is to be created"},` +
		`{"bucket":"` + name + `","aspect":"access","have":"private","want":"public","message":"the bucket is to be public, but not everyone may read its objects"}]}`
	if string(got) != want {
		t.Errorf("the plan is\n%s, want\n%s", got, want)
	}
	report := settle(t, store)
	again, err := store.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err = json.Marshal(struct {
		core.Plan
		Unsupported []core.Difference
	}{again, report.Unsupported})
	if err != nil || string(got) != `{"differences":[],"Unsupported":[]}` {
		t.Errorf("an empty plan and report are %s, %v", got, err)
	}
	other := openStoreOn(t, s, s.Endpoint)
	_, err = other.Apply(t.Context(), plan)
	wantKind(t, "a plan of another store", err, core.ErrConfig)
}

// everything declares all aspects, and says which of them the server lacks.
func everything(s *s3test.Server, name string) (config core.BucketConfig, lacking []core.Aspect) {
	config = core.BucketConfig{
		Name: name, Public: true,
		Policy: []core.PolicyHook{func(bucket string) (string, error) {
			return `{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + bucket + `/secret/*"}`, nil
		}},
		CORS:       []core.CORSRule{{Origins: []string{"https://app.example.org"}, Methods: []string{"PUT", "GET"}, Headers: []string{"Content-Type"}, Expose: []string{"ETag"}, MaxAge: 10 * time.Minute}},
		Lifecycle:  core.Lifecycle{PendingDays: 2, ExpireDays: map[string]int{"tmp/": 1, "a & <b>/": 3}, AbortUploadsDays: 2},
		Versioning: core.VersioningOn,
		Encryption: core.DefaultEncryption{Algorithm: "AES256"},
		Tags:       map[string]string{"team": "a b", "app": "x"},
		Quota:      5 * core.GiB,
	}
	if s.Engine == s3test.MinIO {
		return config, []core.Aspect{core.AspectAbortUploads, core.AspectCORS}
	}
	return config, []core.Aspect{core.AspectAbortUploads, core.AspectEncryption, core.AspectLifecycle, core.AspectQuota}
}

func TestO8EveryAspectIsAppliedOnceAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, name := s.Recorder(t), bucketNames(t, s, 1)[0]
	config, lacking := everything(s, name)
	store := openStoreOn(t, s, recorder.Endpoint())
	store.Declare(config)
	report := settle(t, store)
	if got := aspects(report.Unsupported); !slices.Equal(got, lacking) {
		t.Errorf("unsupported are %v, want %v", got, lacking)
	}
	wantSettled(t, store, recorder)
	fresh := openStoreOn(t, s, recorder.Endpoint()) // as another process, which has yet to find out what the server lacks
	fresh.Declare(config)
	wantSettled(t, fresh, recorder)
	for _, r := range recorder.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s?%s", r.Method, r.Path, r.RawQuery)
		}
	}
	changed := config
	changed.Tags = map[string]string{"team": "b"}
	changed.Versioning = core.VersioningOff
	changed.CORS = []core.CORSRule{}
	changed.Lifecycle = core.Lifecycle{PendingDays: 3}
	changed.Policy, changed.Quota, changed.Encryption = nil, core.NoQuota, core.DefaultEncryption{Algorithm: "aws:kms", KeyID: "s3test"}
	second := openStoreOn(t, s, recorder.Endpoint())
	second.Declare(changed)
	var want []core.Aspect
	for _, a := range []core.Aspect{core.AspectCORS, core.AspectEncryption, core.AspectLifecycle, core.AspectPolicy, core.AspectQuota, core.AspectTags, core.AspectVersioning} {
		if !slices.Contains(lacking, a) {
			want = append(want, a)
		}
	}
	if got := aspects(settle(t, second).Done); !slices.Equal(got, want) {
		t.Errorf("after the change %v were mended, want %v", got, want)
	}
	wantSettled(t, second, recorder)
	tags, err := s.Client(t).GetBucketTagging(t.Context(), name)
	if err != nil || tags.ToMap()["team"] != "b" || tags.ToMap()["app"] != "x" {
		t.Errorf("the tags are %v, %v; want the declared one changed and the other kept", tags, err)
	}
}

func TestWhatIsRequiredMustBeSupported(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	name := bucketNames(t, s, 1)[0]
	config, lacking := everything(s, name)
	config.Required = append([]core.Aspect{core.AspectTags}, lacking...)
	store := openStoreOn(t, s, s.Endpoint)
	store.Declare(config)
	err := store.Startup(core.StartupConfig{}).Start(t.Context())
	wantKind(t, "start", err, core.ErrUnsupported)
	for _, a := range lacking {
		if !strings.Contains(err.Error(), "("+strings.ReplaceAll(string(a), "_", " ")+")") {
			t.Errorf("%s is not named: %v", a, err)
		}
	}
	if strings.Contains(err.Error(), "check tags") {
		t.Errorf("tags are supported, and reported: %v", err)
	}
}

func TestObjectLockIsMadeWithTheBucket(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 1)
	store := openStoreOn(t, s, recorder.Endpoint())
	store.Declare(core.BucketConfig{Name: names[0], ObjectLock: true, Versioning: core.VersioningOn, Retention: core.DefaultRetention{Mode: minio.Governance, Days: 2}})
	settle(t, store)
	wantSettled(t, store, recorder)
	if n := recorder.Count(http.MethodGet); n != 2 {
		t.Errorf("a look at it makes %d requests, want 2", n)
	}
	mode, days, unit, err := s.Client(t).GetBucketObjectLockConfig(t.Context(), names[0])
	if err != nil || *mode != minio.Governance || *days != 2 || *unit != minio.Days {
		t.Errorf("the lock is %v %v %v, %v", mode, days, unit, err)
	}

	late := openStoreOn(t, s, recorder.Endpoint()) // a bucket that is there without a lock
	late.Declare(core.BucketConfig{Name: s.Bucket(t), ObjectLock: true})
	report := settle(t, late)
	done, lacking := aspects(report.Done), aspects(report.Unsupported)
	want := core.AspectObjectLock
	if s.Engine == s3test.MinIO && !slices.Contains(lacking, want) || s.Engine == s3test.Embedded && !slices.Contains(done, want) {
		t.Errorf("locking a bucket late: done %v, unsupported %v", done, lacking)
	}
	wantSettled(t, late, recorder)
	again := openStoreOn(t, s, recorder.Endpoint())
	again.Declare(core.BucketConfig{Name: late.Buckets()[0].Name(), ObjectLock: true})
	wantSettled(t, again, recorder)
}

// A server that neither says that it lacks CORS nor keeps any is known by name;
// what is required is tried all the same.
func TestCORSIsNotSentToAServerKnownToLackIt(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 2)
	rules := []core.CORSRule{{Origins: []string{"https://app.example.org"}, Methods: []string{"PUT"}}}
	for _, required := range [][]core.Aspect{nil, {core.AspectCORS}} {
		store := openStoreOn(t, s, recorder.Endpoint())
		for _, name := range names {
			store.Declare(core.BucketConfig{Name: name, CORS: rules, Required: required})
		}
		recorder.Reset()
		err := store.Startup(core.StartupConfig{}).Start(t.Context())
		sent := 0
		for _, r := range recorder.Requests() {
			if r.Method == http.MethodPut && strings.HasPrefix(r.RawQuery, "cors") {
				sent++
			}
		}
		switch {
		case s.Engine != s3test.MinIO:
			must(t, "start", err)
		case required == nil && (err != nil || sent > 0):
			t.Errorf("a start sent %d refused writes: %v", sent, err)
		case required != nil && sent == 0:
			t.Error("required rules were not tried")
		case required != nil:
			wantKind(t, "start with CORS required", err, core.ErrUnsupported)
		}
	}
}

func TestAPolicyWrittenSinceThePlanIsNotLost(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	open := allow(bucket, "s3:GetObject", "/*")
	deny := strings.Replace(allow(bucket, "s3:GetObject", "/secret/*"), "Allow", "Deny", 1)
	statement := func(policy string) string {
		return strings.TrimSuffix(strings.TrimPrefix(policy, `{"Version":"2012-10-17","Statement":[`), "]}")
	}
	both := `{"Version":"2012-10-17","Statement":[` + statement(open) + "," + statement(deny) + "]}"
	recorder := s.Recorder(t)
	store := openStoreOn(t, s, recorder.Endpoint())
	store.Declare(core.BucketConfig{Name: bucket})
	for _, c := range []struct {
		name, planned, since string
		denied               bool
		writes               int
	}{
		{"a denial added", open, both, true, 1},
		{"closed by another", open, deny, true, 0},
		{"taken away by another", open, "", false, 0},
		{"nothing since", open, open, false, 1},
	} {
		must(t, "set", s.Client(t).SetBucketPolicy(t.Context(), bucket, c.planned))
		plan, err := store.Plan(t.Context())
		must(t, "plan", err)
		must(t, "set", s.Client(t).SetBucketPolicy(t.Context(), bucket, c.since))
		recorder.Reset()
		_, err = store.Apply(t.Context(), plan)
		must(t, "apply", err)
		policy, err := s.Client(t).GetBucketPolicy(t.Context(), bucket)
		if err != nil || strings.Contains(policy, "Allow") || strings.Contains(policy, "Deny") != c.denied {
			t.Errorf("%s: the policy is %s, %v; want nobody let in, and the denial there: %t", c.name, policy, err, c.denied)
		}
		if n := writes(recorder); n != c.writes {
			t.Errorf("%s: %d requests that write, want %d", c.name, n, c.writes)
		}
	}
}

func TestTagsAndRulesOfOthersSetSinceThePlanAreNotLost(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	client := s.Client(t)
	store := openStoreOn(t, s, s.Endpoint)
	store.Declare(core.BucketConfig{Name: bucket, Tags: map[string]string{"team": "a"}, Lifecycle: core.Lifecycle{PendingDays: 1}})
	plan, err := store.Plan(t.Context())
	must(t, "plan", err)
	others, err := tags.NewTags(map[string]string{"cost": "b"}, false)
	must(t, "tags", err)
	must(t, "tag", client.SetBucketTagging(t.Context(), bucket, others))
	const rule = `<LifecycleConfiguration><Rule><ID>archive</ID><Status>Enabled</Status><Filter><Prefix>old/</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>`
	raw(t, s)(http.MethodPut, "/"+bucket+"?lifecycle=", rule)
	_, err = store.Apply(t.Context(), plan)
	must(t, "apply", err)
	got, err := client.GetBucketTagging(t.Context(), bucket)
	if err != nil || got.ToMap()["team"] != "a" || got.ToMap()["cost"] != "b" {
		t.Errorf("the tags are %v, %v; want the declared one and the other's", got, err)
	}
	if s.Engine != s3test.MinIO {
		return // no lifecycle
	}
	config, err := client.GetBucketLifecycle(t.Context(), bucket)
	if err != nil || len(config.Rules) != 2 {
		t.Errorf("the rules are %+v, %v; want the declared one and the other's", config, err)
	}
}

func TestSettingsOfOthersSurvive(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	name := s.Bucket(t)
	// What an operator has set by hand, in a form this library does not write.
	const rules = `<LifecycleConfiguration><Rule><ID>archive</ID><Status>Enabled</Status><Filter><And><Prefix>old/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter><Expiration><Days>30</Days></Expiration></Rule>` +
		`<Rule><ID>same</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>`
	client := raw(t, s)
	if status := client(http.MethodPut, "/"+name+"?lifecycle=", rules); status == http.StatusNotImplemented {
		if s.Engine == s3test.MinIO {
			t.Fatal("MinIO has no lifecycle")
		}
		return // nothing to keep
	} else if status != http.StatusOK {
		t.Fatalf("put: %d", status)
	}
	recorder := s.Recorder(t)
	store := openStoreOn(t, s, recorder.Endpoint())
	store.Declare(core.BucketConfig{Name: name, Lifecycle: core.Lifecycle{PendingDays: 1, ExpireDays: map[string]int{"tmp/": 1}}})
	settle(t, store)
	wantSettled(t, store, recorder)
	config, err := s.Client(t).GetBucketLifecycle(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range config.Rules {
		ids = append(ids, r.ID)
	}
	if want := []string{"archive", "same", "filefield-pending"}; !slices.Equal(ids, want) {
		t.Errorf("the rules are %q, want %q", ids, want)
	}
}

// raw returns a function that makes signed requests as they stand.
func raw(t *testing.T, s *s3test.Server) func(method, path, body string) int {
	t.Helper()
	return func(method, path, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC()
		r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		sum := md5.Sum([]byte(body))
		r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		r.Header.Set("Authorization", "SignedHeaders=host;x-amz-content-sha256;x-amz-date,")
		r.Host = s.Endpoint
		signV4(r, s, now)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
}

func TestARefusedReadNamesTheAction(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, name := s.Recorder(t), s.Bucket(t)
	for _, c := range []struct{ query, action string }{
		{"policy", "s3:GetBucketPolicy"},
		{"tagging", "s3:GetBucketTagging"},
		{"versioning", "s3:GetBucketVersioning"},
		{"cors", "s3:GetBucketCors"},
		{"lifecycle", "s3:GetLifecycleConfiguration"},
		{"encryption", "s3:GetEncryptionConfiguration"},
	} {
		store := openStoreOn(t, s, recorder.Endpoint())
		config, _ := everything(s, name)
		config.Quota = 0
		store.Declare(config)
		recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has(c.query) {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			return true
		})
		_, err := store.Plan(t.Context())
		wantKind(t, c.query, err, core.ErrDenied)
		var refused *core.PermissionError
		if !errors.As(err, &refused) || refused.Action != c.action || !strings.Contains(err.Error(), "allow "+c.action) {
			t.Errorf("%s refused: %v, want the action %s", c.query, err, c.action)
		}
	}
}

func TestAServerWithoutPoliciesIsUsedAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 2)
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("policy") {
			return false
		}
		w.WriteHeader(http.StatusNotImplemented)
		return true
	})
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PrivateBuckets, c.PublicBuckets = names[:1], names[1:] })
	report := settle(t, store)
	if len(report.Done) != 2 || len(report.Unsupported) != 1 || report.Unsupported[0].Bucket != names[1] || report.Unsupported[0].Aspect != core.AspectAccess {
		t.Errorf("the report is %+v, want two buckets made and public access unsupported", report)
	}
	wantSettled(t, store, recorder)
	strict := openStoreOn(t, s, recorder.Endpoint())
	strict.Declare(core.BucketConfig{Name: names[1], Public: true, Required: []core.Aspect{core.AspectAccess}})
	wantKind(t, "required", strict.Startup(core.StartupConfig{}).Start(t.Context()), core.ErrUnsupported)
}

func TestOneBucketThatFailsStopsNoOther(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 5)
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PublicBuckets = names })
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/"+names[2]) {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	err := store.Startup(core.StartupConfig{}).Start(t.Context())
	wantKind(t, "start", err, core.ErrDenied)
	if text := err.Error(); strings.Count(text, "create bucket") != 1 || !strings.Contains(text, names[2]) || !strings.Contains(text, "s3:CreateBucket") {
		t.Errorf("the error is %v, want one about %s and s3:CreateBucket", err, names[2])
	}
	for i, name := range names {
		if ok, err := s.Client(t).BucketExists(t.Context(), name); ok == (i == 2) || err != nil {
			t.Errorf("bucket %d exists: %t, %v", i, ok, err)
		}
	}
}

func TestAConflictIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, name := s.Recorder(t), bucketNames(t, s, 1)[0]
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PublicBuckets, c.Attempts = []string{name}, 1 })
	tries := 0
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || r.URL.RawQuery != "" {
			return false
		}
		if tries++; tries > 2 {
			return false
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprint(w, "<Error><Code>OperationAborted</Code><Message>in progress</Message></Error>")
		return true
	})
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tries != 3 {
		t.Errorf("the bucket was asked for %d times, want 3", tries)
	}
}

func TestO8ANameThatBelongsToAnotherIsSaid(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, name := s.Recorder(t), bucketNames(t, s, 1)[0]
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PrivateBuckets = []string{name} })
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprint(w, "<Error><Code>BucketAlreadyExists</Code><Message>taken</Message></Error>")
		return true
	})
	err := store.Startup(core.StartupConfig{}).Start(t.Context())
	wantKind(t, "start", err, core.ErrDenied)
	if !strings.Contains(err.Error(), "belongs to someone else") || !strings.Contains(err.Error(), "choose another name") {
		t.Errorf("the error is %v", err)
	}
}

func TestAPlanEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store := openStoreOn(t, s, s3test.BlackHole(t), func(c *core.Config) { c.PrivateBuckets = bucketNames(t, s, 20) })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := store.Plan(ctx)
	wantKind(t, "plan", err, core.ErrUnavailable)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s with a deadline of 200ms", took)
	}
	if n := strings.Count(err.Error(), "\n"); n > 3 || !strings.Contains(err.Error(), "20 buckets") {
		t.Errorf("twenty buckets without an answer are reported as %v, want one error", err)
	}
}
