package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// logged is a logger and what it has written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) to(c *core.Config) { c.Logger = slog.New(slog.NewTextHandler(l, nil)) }

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within 20 s", what)
		case <-tick.C:
		}
	}
}

func TestInTheBackgroundStorageMayComeLater(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{})
	var log logged
	store := openStoreOn(t, s, s.Endpoint, log.to, func(c *core.Config) { c.PublicBuckets, c.Attempts = []string{"late-bucket"}, 1 })
	s.Kill()
	if err := store.Ready(); err != nil {
		t.Errorf("a store that nothing starts is not ready: %v", err)
	}
	hook := store.Startup(core.StartupConfig{Mode: core.Background, MaxWait: 50 * time.Millisecond})
	began := time.Now()
	if err := hook.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Start took %s, want to be back at once", took)
	}
	wantKind(t, "ready while the server is down", store.Ready(), core.ErrUnavailable)
	if status := core.ProblemOf(store.Ready()).Status; status != http.StatusServiceUnavailable {
		t.Errorf("a route answers %d for that, want 503", status)
	}
	eventually(t, "a failed try is logged", func() bool { return strings.Contains(log.String(), "tried again") && hook.Err() != nil })
	s.Restart()
	eventually(t, "ready by itself", func() bool { return hook.Ready() == nil })
	if err := errors.Join(store.Check(t.Context()).Err(), hook.Err(), hook.Stop(t.Context())); err != nil {
		t.Errorf("once ready: %v", err)
	}
}

func TestStopEndsTheBackground(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	for what, endpoint := range map[string]string{"between two tries": "127.0.0.1:1", "within a try": s3test.BlackHole(t)} {
		store := openStoreOn(t, s, endpoint, func(c *core.Config) { c.PrivateBuckets = []string{"some-bucket"} })
		hook := store.Startup(core.StartupConfig{Mode: core.Background})
		for range 2 { // the second start finds it under way
			if err := hook.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if err := errors.Join(hook.Stop(t.Context()), hook.Stop(t.Context())); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: stopping took %s", what, took)
		}
		wantKind(t, what+", ready after the stop", store.Ready(), core.ErrUnavailable)
	}
}

func TestStartsEndsAndRunsAsLifeCyclesWant(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	store.Field(core.FieldConfig{Name: "file", Bucket: bucket})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- store.Startup(core.StartupConfig{Mode: core.Background}).Run(ctx) }()
	eventually(t, "ready", func() bool { return store.Ready() == nil })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run ended with %v, want nil", err)
	}
	store.Field(core.FieldConfig{Name: "", Bucket: bucket})
	for _, mode := range []core.StartupMode{core.Require, core.Background, core.CheckOnly, core.Off} {
		wantKind(t, "a faulty declaration", store.Startup(core.StartupConfig{Mode: mode}).Run(t.Context()), core.ErrConfig)
	}
}

func TestACheckReportsDriftAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 1)
	var log logged
	store := openStoreOn(t, s, recorder.Endpoint(), log.to, func(c *core.Config) { c.PublicBuckets = names })
	hook := store.Startup(core.StartupConfig{Mode: core.CheckOnly})
	if err := hook.Start(t.Context()); err != nil {
		t.Fatalf("a start that only checks fails: %v", err)
	}
	var drift *core.DriftError
	if !errors.As(hook.Err(), &drift) || len(drift.Plan.Differences) != 2 {
		t.Errorf("the drift is %v, want a missing bucket that is to be public", hook.Err())
	}
	wantKind(t, "drift", hook.Err(), core.ErrConfig)
	if !strings.Contains(log.String(), names[0]) || !strings.Contains(log.String(), "aspect=existence") {
		t.Errorf("the log is %s", log.String())
	}
	if n := writes(recorder); n != 0 {
		t.Errorf("%d requests were made that write", n)
	}
	settle(t, store)
	if err := errors.Join(hook.Start(t.Context()), hook.Err()); err != nil {
		t.Errorf("without drift: %v", err)
	}
	down := openStoreOn(t, s, "127.0.0.1:1", func(c *core.Config) { c.PublicBuckets = names })
	hook = down.Startup(core.StartupConfig{Mode: core.CheckOnly})
	if err := hook.Start(t.Context()); err != nil {
		t.Errorf("a check of a server that is down stops the app: %v", err)
	}
	wantKind(t, "down", hook.Err(), core.ErrUnavailable)
}

func TestARequiredStartSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 12)
	for _, c := range []struct {
		name   string
		change func(*core.Config)
		kind   core.Kind
		says   string
	}{
		{"server down", func(c *core.Config) { c.Endpoint = "127.0.0.1:1" }, core.ErrUnavailable, "127.0.0.1:1 runs and is reachable"},
		{"no such host", func(c *core.Config) { c.Endpoint = "storage.invalid:9000" }, core.ErrUnavailable, "cannot be resolved"},
		{"no answer", func(c *core.Config) { c.Endpoint = s3test.BlackHole(t) }, core.ErrUnavailable, "12 buckets need it"},
		{"wrong secret", func(c *core.Config) { c.SecretKey = "this is not the secret" }, core.ErrCredentials, "check the access key"},
		{"wrong key", func(c *core.Config) { c.AccessKey = "nobody-we-know" }, core.ErrCredentials, "check the access key"},
		{"wrong region", func(c *core.Config) { c.Region = "eu-central-1" }, core.ErrCredentials, "which is us-east-1"},
		{"HTTPS asked of HTTP", func(c *core.Config) { c.UseHTTPS = true }, core.ErrUnavailable, "UseHTTPS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PrivateBuckets, c.Timeout = names, time.Second }, c.change)
			began := time.Now()
			err := store.Startup(core.StartupConfig{Timeout: 5 * time.Second}).Start(t.Context())
			wantKind(t, "start", err, c.kind)
			if text := err.Error(); !strings.Contains(text, c.says) || strings.Count(text, "\n") > 3 {
				t.Errorf("the error is %v, want %q in it, once", err, c.says)
			}
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("it took %s", took)
			}
			wantKind(t, "ready after a failed start", store.Ready(), core.ErrUnavailable)
		})
	}
}

// restricted returns credentials that allow only some actions, where the server
// can make such; the embedded engine has one account, so a recorder refuses the
// others in its place.
func restricted(t *testing.T, s *s3test.Server, recorder *s3test.Recorder, actions ...string) func(*core.Config) {
	t.Helper()
	if s.Engine != s3test.MinIO {
		recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && r.URL.Query().Has("policy") {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			return true
		})
		return func(*core.Config) {}
	}
	given, err := credentials.NewSTSAssumeRole(s.URL(), credentials.STSAssumeRoleOptions{
		AccessKey: s.AccessKey, SecretKey: s.SecretKey, Location: s.Region,
		Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":["arn:aws:s3:::*"]}]}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	value, err := given.GetWithContext(s.Client(t).CredContext())
	if err != nil {
		t.Fatal(err)
	}
	return func(c *core.Config) {
		c.Credentials = credentials.NewStaticV4(value.AccessKeyID, value.SecretAccessKey, value.SessionToken)
	}
}

func TestO8AUserWhoMayNotCreateIsToldWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, name := s.Recorder(t), bucketNames(t, s, 1)[0]
	store := openStoreOn(t, s, recorder.Endpoint(), restricted(t, s, recorder, "s3:GetBucketPolicy"), func(c *core.Config) { c.PublicBuckets = []string{name} })
	err := store.Startup(core.StartupConfig{}).Start(t.Context())
	wantKind(t, "start", err, core.ErrDenied)
	var refused *core.PermissionError
	if !errors.As(err, &refused) || refused.Action != "s3:CreateBucket" {
		t.Errorf("the error is %v, want s3:CreateBucket", err)
	}
	if h := store.Check(t.Context()); s.Engine == s3test.MinIO && h.Buckets[0].Action != "s3:ListBucket" {
		t.Errorf("the check says %+v, want s3:ListBucket", h.Buckets[0])
	}
}

func TestEightDeclarationsInFullAtOnce(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 3)
	declare := func() *core.Store {
		store := openStoreOn(t, s, recorder.Endpoint())
		for _, name := range names {
			config, _ := everything(s, name)
			store.Declare(config)
		}
		return store
	}
	var all sync.WaitGroup
	for range 8 {
		store := declare()
		all.Go(func() {
			if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
				t.Errorf("one of eight starts: %v", err)
			}
		})
	}
	all.Wait()
	last := declare()
	settle(t, last) // finds out what the server lacks
	wantSettled(t, last, recorder)
}

// refusing answers requests of one method as a server does that refuses them.
func refusing(t *testing.T, s *s3test.Server, method string, status int, code string) func(*core.Config) {
	r := s.Recorder(t)
	r.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method {
			return false
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<Error><Code>" + code + "</Code></Error>"))
		return true
	})
	return func(c *core.Config) { c.Endpoint = r.Endpoint() }
}

func TestEveryModeMeetsEveryFaultAsItSays(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 1)
	for name, c := range map[string]struct {
		change  func(*core.Config)
		kind    core.Kind // of what stands in the way
		checked core.Kind // of what a check alone finds
		says    string
	}{
		"the server down":             {func(c *core.Config) { c.Endpoint = "127.0.0.1:1" }, core.ErrUnavailable, core.ErrUnavailable, "runs and is reachable"},
		"wrong keys":                  {func(c *core.Config) { c.SecretKey = "this is not the secret" }, core.ErrCredentials, core.ErrCredentials, "check the access key"},
		"no permission to create":     {refusing(t, s, http.MethodPut, http.StatusForbidden, "AccessDenied"), core.ErrDenied, core.ErrConfig, "s3:CreateBucket"},
		"another's, said when made":   {refusing(t, s, http.MethodPut, http.StatusConflict, "BucketAlreadyExists"), core.ErrDenied, core.ErrConfig, "belongs to someone else"},
		"another's, as AWS says it":   {refusing(t, s, http.MethodGet, http.StatusForbidden, "AccessDenied"), core.ErrDenied, core.ErrDenied, "choose another name"},
		"a name that is not possible": {func(*core.Config) {}, core.ErrConfig, core.ErrConfig, "Not A Bucket"},
	} {
		for _, mode := range []core.StartupMode{core.Require, core.Background, core.CheckOnly, core.Off} {
			store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PrivateBuckets, c.Attempts = names, 1 }, c.change)
			if strings.HasPrefix(name, "a name") {
				store.Declare(core.BucketConfig{Name: "Not A Bucket"})
			}
			hook := store.Startup(core.StartupConfig{Mode: mode, MaxWait: 10 * time.Millisecond})
			err := hook.Start(t.Context())
			switch faulty := strings.HasPrefix(name, "a name"); {
			case faulty, mode == core.Require:
				wantKind(t, name, err, c.kind)
				wantKind(t, name+", ready", store.Ready(), core.ErrUnavailable)
				if !strings.Contains(fmt.Sprint(err), c.says) {
					t.Errorf("%s, mode %d: the error is %v, want %q in it", name, mode, err, c.says)
				}
			case mode == core.Background:
				must(t, name, err)
				eventually(t, "a failed try", func() bool { return hook.Err() != nil })
				wantKind(t, name+", in the background", hook.Err(), c.kind)
				wantKind(t, name+", ready", store.Ready(), core.ErrUnavailable)
			case mode == core.CheckOnly:
				must(t, name, err)
				wantKind(t, name+", checked", hook.Err(), c.checked)
			default:
				must(t, name, errors.Join(err, hook.Err(), store.Ready()))
			}
			must(t, name+", stop", hook.Stop(t.Context()))
		}
	}
}

func TestABucketThatAUserHasNothingToDoWithIsSaid(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	if s.Engine != s3test.MinIO {
		return // it has one account
	}
	mine, others := bucketNames(t, s, 1)[0], s.Bucket(t)
	declared := func(c *core.Config) { c.PrivateBuckets = []string{mine} }
	access, secret := s.User(t, mustPolicy(t, openStoreOn(t, s, s.Endpoint, declared), core.IAMSetup).text(t))
	as := func(c *core.Config) { c.AccessKey, c.SecretKey = access, core.Secret(secret) }
	must(t, "start with its own", openStoreOn(t, s, s.Endpoint, declared, as).Startup(core.StartupConfig{}).Start(t.Context()))
	err := openStoreOn(t, s, s.Endpoint, as, func(c *core.Config) { c.PrivateBuckets = []string{others} }).Startup(core.StartupConfig{}).Start(t.Context())
	wantKind(t, "start with another's", err, core.ErrDenied)
	if !strings.Contains(err.Error(), "s3:GetBucketPolicy") || !strings.Contains(err.Error(), "choose another name") {
		t.Errorf("the error is %v", err)
	}
}
