package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// report renders a diagnosis for a failed test.
func report(d core.Diagnosis) string {
	text, _ := json.MarshalIndent(d, "", " ")
	return string(text)
}

// finding returns the findings of a check, of the status if one is given.
func finding(d core.Diagnosis, check string, status core.FindingStatus) []core.Finding {
	var all []core.Finding
	for _, f := range d.Findings {
		if f.Check == check && (status == "" || f.Status == status) {
			all = append(all, f)
		}
	}
	return all
}

// failedActions are the actions that a diagnosis says are missing.
func failedActions(d core.Diagnosis) []string {
	var all []string
	for _, f := range d.Findings {
		if f.Status == core.FindingFailed && f.Action != "" {
			all = append(all, f.Action)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// wantClean checks that a bucket holds nothing: no object, version, mark or upload.
func wantClean(t testing.TB, s *s3test.Server, bucket string) {
	t.Helper()
	client := s.Client(t)
	for o := range client.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		t.Errorf("left behind in %s: %s, version %s, mark %t", bucket, o.Key, o.VersionID, o.IsDeleteMarker)
	}
	for u := range client.ListIncompleteUploads(t.Context(), bucket, "", true) {
		t.Errorf("left behind in %s: upload %s", bucket, u.Key)
	}
}

// declareKinds declares buckets of every kind that permissions differ for, with
// names that exist or not, and returns the names.
func declareKinds(t *testing.T, s *s3test.Server, endpoint string, names []string, change ...func(*core.Config)) *core.Store {
	t.Helper()
	store := openStoreOn(t, s, endpoint, append([]func(*core.Config){func(c *core.Config) { c.Attempts = 1 }}, change...)...)
	full, _ := everything(s, names[0])
	if s.Engine == s3test.Embedded { // it has no answer to tell a refusal from what it lacks
		full.Quota = 0
	}
	store.Declare(full)
	store.Declare(core.BucketConfig{Name: names[1]})
	store.Declare(core.BucketConfig{Name: names[2], ObjectLock: true, Retention: core.DefaultRetention{Mode: minio.Governance, Days: 1}})
	store.Declare(core.BucketConfig{Name: names[3], ObjectLock: true})
	store.Field(core.FieldConfig{Name: "cover", Bucket: names[0], UploadTo: core.Prefix("covers", nil), KeyPrefix: "covers/"})
	store.Field(core.FieldConfig{Name: "document", Bucket: names[1]})
	return store
}

func TestADiagnosisOfWhatIsWellFindsNothingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	for _, scope := range []core.IAMScope{core.IAMRun, core.IAMCheck, core.IAMSetup} {
		names := bucketNames(t, s, 4)
		settle(t, declareKinds(t, s, s.Endpoint, names))
		recorder := s.Recorder(t)
		store := declareKinds(t, s, recorder.Endpoint(), names)
		before := policyOf(t, s, names[0])
		enforce(recorder, mustPolicy(t, store, scope))
		d := store.Diagnose(t.Context(), core.DiagnoseOptions{Scope: scope})
		if !d.OK || len(failedActions(d)) > 0 {
			t.Errorf("scope %d: %s", scope, report(d))
		}
		for _, f := range finding(d, "presigned_url", "") {
			if f.Status != core.FindingOK {
				t.Errorf("scope %d: %+v", scope, f)
			}
		}
		for _, name := range names {
			wantClean(t, s, name)
		}
		if after := policyOf(t, s, names[0]); after != before {
			t.Errorf("scope %d: the policy was %s and is %s", scope, before, after)
		}
		if plan, err := store.Plan(t.Context()); scope > core.IAMRun && (err != nil || plan.Changes()) {
			t.Errorf("scope %d: after the diagnosis something differs: %s %v", scope, plan, err)
		}
	}
}

func policyOf(t testing.TB, s *s3test.Server, bucket string) string {
	t.Helper()
	policy, err := s.Client(t).GetBucketPolicy(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestADiagnosisNamesTheActionThatIsMissing(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 4)
	settle(t, declareKinds(t, s, s.Endpoint, names))
	for _, action := range mustPolicy(t, declareKinds(t, s, s.Endpoint, names), core.IAMSetup).actions() {
		t.Run(strings.ReplaceAll(action, ":", "_"), func(t *testing.T) {
			t.Parallel()
			recorder := s.Recorder(t)
			store := declareKinds(t, s, recorder.Endpoint(), names)
			full := mustPolicy(t, store, core.IAMSetup)
			enforce(recorder, full.without(action))
			d := store.Diagnose(t.Context(), core.DiagnoseOptions{Scope: core.IAMSetup})
			switch got := failedActions(d); {
			case action == "s3:DeleteObjectVersion": // Diagnose alone has use for it
				if len(got) > 0 {
					t.Errorf("failed: %v", got)
				}
			case d.OK || !slices.Equal(got, []string{action}):
				t.Errorf("the actions said to be missing are %v, want %s alone: %s", got, action, report(d))
			}
		})
	}
}

func TestADiagnosisSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	secure := s3test.StartOwn(t, s3test.Options{TLS: true})
	for _, c := range []struct {
		name   string
		change func(*core.Config)
		check  string
		says   string // in the detail
		advice string
	}{
		{"down", func(c *core.Config) { c.Endpoint = "127.0.0.1:1" }, "connection", "nothing answers at 127.0.0.1:1", "runs"},
		{"silent", func(c *core.Config) { c.Endpoint = s3test.BlackHole(t) }, "connection", "gives no useful answer", "overloaded"},
		{"no address", func(c *core.Config) { c.Endpoint = "storage.invalid:9000" }, "dns", "storage.invalid has no address", "endpoint"},
		{"an unknown authority", func(c *core.Config) { c.Endpoint, c.UseHTTPS = secure.Endpoint, true }, "tls", "unknown authority", "MINIO_CA_FILE"},
		{"HTTPS asked of HTTP", func(c *core.Config) { c.UseHTTPS = true }, "tls", "plain HTTP", "UseHTTPS"},
		{"HTTP asked of HTTPS", func(c *core.Config) { c.Endpoint = secure.Endpoint }, "tls", "speaks HTTPS", "MINIO_USE_HTTPS"},
		{"wrong secret", func(c *core.Config) { c.SecretKey = theSecret }, "credentials", "SignatureDoesNotMatch", "secret key"},
		{"wrong key", func(c *core.Config) { c.AccessKey, c.SecretKey = "nobody-we-know", theSecret }, "credentials", "refuses the credentials", "access key"},
		{"no credentials", func(c *core.Config) {
			c.Credentials = credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
		}, "credentials", "no credentials", "MINIO_ACCESS_KEY"},
		{"another region", func(c *core.Config) { c.Region = "eu-west-1" }, "region", "eu-west-1", "to us-east-1"},
		{"clock behind", both(skewed(s, -time.Hour), func(c *core.Config) { c.Now = func() time.Time { return time.Now().Add(-time.Hour) } }), "clock", "ahead of this machine", "NTP"},
		{"missing", func(c *core.Config) { c.PrivateBuckets = []string{"there-is-no-such-bucket"} }, "bucket", "does not exist", "at its start"},
		{"external endpoint down", func(c *core.Config) { no := false; c.ExternalEndpoint, c.ExternalUseHTTPS = "127.0.0.1:1", &no }, "external", "nothing answers", "runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bucket := s.Bucket(t)
			store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PrivateBuckets, c.Timeout, c.Attempts = []string{bucket}, time.Second, 1 }, c.change)
			began := time.Now()
			d := store.Diagnose(t.Context(), core.DiagnoseOptions{Timeout: 5 * time.Second})
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("it took %s", took)
			}
			failed := finding(d, c.check, core.FindingFailed)
			if d.OK || len(failed) != 1 || !strings.Contains(failed[0].Detail, c.says) || !strings.Contains(failed[0].Advice, c.advice) {
				t.Errorf("want one failed %q that says %q and advises %q: %s", c.check, c.says, c.advice, report(d))
			}
			for _, f := range d.Findings {
				if f.Status == core.FindingFailed && f.Check != c.check {
					t.Errorf("failed too: %+v", f)
				}
				if (f.Status == core.FindingFailed || f.Status == core.FindingWarning) && f.Advice == "" {
					t.Errorf("no advice: %+v", f)
				}
			}
			for _, secret := range []string{s.SecretKey, s.AccessKey, theSecret, "nobody-we-know", "Signature=", "a key for tests"} {
				if strings.Contains(report(d), secret) {
					t.Errorf("it tells of %q: %s", secret, report(d))
				}
			}
			wantClean(t, s, bucket)
		})
	}
}

func TestADiagnosisSeesWhatStrangersMayDo(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	for _, c := range []struct {
		name, policy string
		public       bool
		says         string
	}{
		{"a private bucket opened", "s3:GetObject", false, "anyone may read its objects"},
		{"a private bucket that lists", "s3:ListBucket", false, "anyone may list"},
		{"a public bucket that is closed", "", true, "answered with 403"},
		{"a public bucket that lists", "s3:ListBucket", true, "anyone may list"},
	} {
		bucket := s.Bucket(t)
		if c.policy != "" {
			resource := map[bool]string{true: "", false: "/*"}[c.policy == "s3:ListBucket"]
			must(t, "open", s.Client(t).SetBucketPolicy(t.Context(), bucket, allow(bucket, c.policy, resource)))
		}
		store := openStoreOn(t, s, s.Endpoint)
		store.Declare(core.BucketConfig{Name: bucket, Public: c.public})
		d := store.Diagnose(t.Context(), core.DiagnoseOptions{})
		seen := ""
		for _, f := range finding(d, "public_access", core.FindingFailed) {
			seen += f.Detail + "\n"
		}
		if d.OK || !strings.Contains(seen, c.says) {
			t.Errorf("%s: want %q: %s", c.name, c.says, report(d))
		}
		wantClean(t, s, bucket)
		settle(t, store)
		if d := store.Diagnose(t.Context(), core.DiagnoseOptions{}); !d.OK {
			t.Errorf("%s, corrected: %s", c.name, report(d))
		}
	}
}

func TestADiagnosisThatOnlyReadsWritesNothing(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 4)
	settle(t, declareKinds(t, s, s.Endpoint, names))
	recorder := s.Recorder(t)
	store := declareKinds(t, s, recorder.Endpoint(), names)
	d := store.Diagnose(t.Context(), core.DiagnoseOptions{ReadOnly: true, Scope: core.IAMSetup})
	if !d.OK {
		t.Error(report(d))
	}
	for _, r := range recorder.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
			t.Errorf("%s %s?%s was sent", r.Method, r.Path, r.RawQuery)
		}
	}
}

// Whichever request fails, nothing stays behind but what could not be removed.
func TestADiagnosisLeavesNothingWhateverFails(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket, versioned := s.Bucket(t), s.Bucket(t)
	recorder := s.Recorder(t)
	declare := func() *core.Store {
		store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.Attempts = 1 })
		store.Declare(core.BucketConfig{Name: bucket})
		store.Declare(core.BucketConfig{Name: versioned, Versioning: core.VersioningOn})
		store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
		return store
	}
	settle(t, declare())
	recorder.Reset()
	declare().Diagnose(t.Context(), core.DiagnoseOptions{})
	total := recorder.Count("")
	if total < 30 {
		t.Fatalf("a diagnosis makes %d requests, want more", total)
	}
	for i := range total {
		var count atomic.Int64
		recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if count.Add(1)-1 != int64(i) || r.Method == http.MethodDelete {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		})
		declare().Diagnose(t.Context(), core.DiagnoseOptions{})
	}
	wantClean(t, s, bucket)
	wantClean(t, s, versioned)
}

func TestADiagnosisThatIsCutShortLeavesNothing(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	recorder := s.Recorder(t)
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PrivateBuckets, c.Attempts = []string{bucket}, 1 })
	ctx, cancel := context.WithCancel(t.Context())
	recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && r.URL.Query().Has("tagging") {
			cancel()
		}
		return false
	})
	if d := store.Diagnose(ctx, core.DiagnoseOptions{}); d.OK {
		t.Errorf("a diagnosis that is cut short found everything well: %s", report(d))
	}
	wantClean(t, s, bucket)
}

func TestADiagnosisAsUsersOfMinIO(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	if s.Engine != s3test.MinIO {
		return // it has one account; TestADiagnosisNamesTheActionThatIsMissing refuses in its place
	}
	names := bucketNames(t, s, 4)
	settle(t, declareKinds(t, s, s.Endpoint, names))
	as := func(policy iamDocument) *core.Store {
		access, secret := s.User(t, policy.text(t))
		return declareKinds(t, s, s.Endpoint, names, func(c *core.Config) { c.AccessKey, c.SecretKey = access, core.Secret(secret) })
	}
	for _, scope := range []core.IAMScope{core.IAMRun, core.IAMCheck, core.IAMSetup} {
		full := mustPolicy(t, declareKinds(t, s, s.Endpoint, names), scope)
		if d := as(full).Diagnose(t.Context(), core.DiagnoseOptions{Scope: scope}); !d.OK {
			t.Errorf("scope %d: %s", scope, report(d))
		}
		for _, action := range full.actions() {
			switch action {
			case "s3:GetObjectVersion", "s3:DeleteObjectVersion", // MinIO asks for GetObject and DeleteObject
				"s3:GetBucketObjectLockConfiguration", "s3:PutBucketCors":
				continue
			}
			t.Run(fmt.Sprintf("%d/%s", scope, strings.ReplaceAll(action, ":", "_")), func(t *testing.T) {
				t.Parallel()
				d := as(full.without(action)).Diagnose(t.Context(), core.DiagnoseOptions{Scope: scope})
				if got := failedActions(d); d.OK || !slices.Equal(got, []string{action}) {
					t.Errorf("the actions said to be missing are %v, want %s alone: %s", got, action, report(d))
				}
			})
		}
	}
}

// proxied returns a proxy before the server, which passes the Host header or not.
func proxied(t *testing.T, s *s3test.Server, keepHost bool) func(*core.Config) {
	target, err := url.Parse(s.URL())
	must(t, "parse", err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if keepHost {
			r.Out.Host = r.In.Host
		}
	}})
	t.Cleanup(proxy.Close)
	no := false
	return func(c *core.Config) {
		c.ExternalEndpoint, c.ExternalUseHTTPS = strings.TrimPrefix(proxy.URL, "http://"), &no
	}
}

func TestADiagnosisOpensTheURLsOfTheExternalEndpoint(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 2)
	declared := func(c *core.Config) { c.PrivateBuckets, c.PublicBuckets = names[:1], names[1:] }
	settle(t, openStoreOn(t, s, s.Endpoint, declared))
	good := openStoreOn(t, s, s.Endpoint, declared, proxied(t, s, true))
	d := good.Diagnose(t.Context(), core.DiagnoseOptions{})
	if len(finding(d, "presigned_url", core.FindingOK)) != 2 || !d.OK || len(finding(d, "public_access", core.FindingOK)) != 5 {
		t.Errorf("a proxy that passes all: want two URLs accepted, and of each bucket listing and reading, and the public URL: %s", report(d))
	}
	bad := openStoreOn(t, s, s.Endpoint, declared, proxied(t, s, false))
	d = bad.Diagnose(t.Context(), core.DiagnoseOptions{})
	failed := finding(d, "presigned_url", core.FindingFailed)
	if d.OK || len(failed) != 2 || !strings.Contains(failed[0].Detail, "status 403") || !strings.Contains(failed[0].Advice, "Host") {
		t.Errorf("a proxy that changes the Host: %s", report(d))
	}
	for _, name := range names {
		wantClean(t, s, name)
	}
}

func TestADiagnosisLooksAtTheCertificate(t *testing.T) {
	t.Parallel()
	secure := s3test.StartOwn(t, s3test.Options{TLS: true})
	bucket := secure.Bucket(t)
	later := func(d time.Duration) *core.Store {
		return openStoreOn(t, secure, secure.Endpoint, func(c *core.Config) {
			c.PrivateBuckets, c.UseHTTPS, c.CAFile = []string{bucket}, true, secure.CAFile
			c.Now = func() time.Time { return time.Now().Add(d) }
		})
	}
	store := later(0)
	d := store.Diagnose(t.Context(), core.DiagnoseOptions{})
	store.CloseIdleConnections()
	found := finding(d, "tls", "")
	if !d.OK || len(found) != 1 || !strings.Contains(found[0].Detail, "TLS 1.3, certificate until ") {
		t.Errorf("over TLS: %s", report(d))
	}
	aged := later(100 * 365 * 24 * time.Hour)
	d = aged.Diagnose(t.Context(), core.DiagnoseOptions{})
	aged.CloseIdleConnections()
	if found := finding(d, "tls", core.FindingWarning); len(found) != 1 || found[0].Advice != "renew the certificate" {
		t.Errorf("with a certificate that ends: %s", report(d))
	}
}
