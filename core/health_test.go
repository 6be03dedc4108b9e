package core_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestHealthSaysWhyABucketCannotBeUsed(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	secure := s3test.StartOwn(t, s3test.Options{TLS: true})
	recorder, bucket := s.Recorder(t), s.Bucket(t)
	answers := func(status int, header map[string]string, body string) func(*core.Config) {
		r := s.Recorder(t)
		r.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body)
			return true
		})
		return func(c *core.Config) { c.Endpoint = r.Endpoint() }
	}
	for _, c := range []struct {
		name   string
		change func(*core.Config)
		reason core.Reason
		says   string
		kind   core.Kind
	}{
		{"well", func(*core.Config) {}, "", "", 0},
		{"down", func(c *core.Config) { c.Endpoint = "127.0.0.1:1" }, core.ReasonUnreachable, "does not answer", core.ErrUnavailable},
		{"silent", func(c *core.Config) { c.Endpoint = s3test.BlackHole(t) }, core.ReasonUnreachable, "does not answer", core.ErrUnavailable},
		{"failing", answers(503, nil, ""), core.ReasonUnreachable, "status 503", core.ErrUnavailable},
		{"without an address", func(c *core.Config) { c.Endpoint = "storage.invalid:9000" }, core.ReasonDNS, "no address", core.ErrUnavailable},
		{"of an unknown authority", func(c *core.Config) { c.Endpoint, c.UseHTTPS = secure.Endpoint, true }, core.ReasonTLS, "no secure connection", core.ErrUnavailable},
		{"asked for HTTPS without having it", func(c *core.Config) { c.UseHTTPS = true }, core.ReasonTLS, "no secure connection", core.ErrUnavailable},
		{"wrong secret", func(c *core.Config) { c.SecretKey = "this is not the secret" }, core.ReasonCredentials, "refuses the credentials", core.ErrCredentials},
		{"wrong key", func(c *core.Config) { c.AccessKey = "nobody-we-know" }, core.ReasonCredentials, "refuses the credentials", core.ErrCredentials},
		{"no bucket", func(c *core.Config) { c.PrivateBuckets = []string{"there-is-no-such-bucket"} }, core.ReasonMissing, "does not exist", core.ErrBucketMissing},
		{"no permission", answers(403, nil, ""), core.ReasonPermission, "s3:ListBucket", core.ErrDenied},
		{"behind", both(skewed(s, -time.Hour), func(c *core.Config) { c.Now = func() time.Time { return time.Now().Add(-time.Hour) } }), core.ReasonClock, "ahead of this machine's", core.ErrClockSkew},
		{"another region", func(c *core.Config) { c.Region = "eu-west-1" }, core.ReasonRegion, "another region", core.ErrCredentials},
		{"another region, with a redirect", answers(301, map[string]string{"X-Amz-Bucket-Region": "eu-west-1"}, ""), core.ReasonRegion, "another region", core.ErrCredentials},
		{"refused otherwise", answers(418, nil, "a teapot"), core.ReasonOther, "refuses the request", core.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PrivateBuckets, c.Timeout, c.Attempts = []string{bucket}, time.Second, 1 }, c.change)
			began := time.Now()
			h := store.Check(t.Context())
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %s with a limit of a second", took)
			}
			b := h.Buckets[0]
			if h.OK != (c.reason == "") || b.OK != h.OK || b.Reason != c.reason || !strings.Contains(b.Detail, c.says) {
				t.Errorf("health is %+v, want reason %q and %q", h, c.reason, c.says)
			}
			wantKind(t, "its error", h.Err(), c.kind)
			if off := b.ClockOffset.Duration(); c.reason == core.ReasonClock && (off < 59*time.Minute || off > 61*time.Minute) || c.reason == "" && off != 0 {
				t.Errorf("the clock offset is %s", off)
			}
			if c.reason == core.ReasonRegion && b.Region == "" {
				t.Errorf("the storage's region is not told: %+v", b)
			}
			text, err := json.Marshal(h)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"127.0.0.1", "storage.invalid", s.AccessKey, s.SecretKey, "this is not", "nobody-we-know", "teapot"} {
				if strings.Contains(string(text), secret) {
					t.Errorf("the JSON tells of %q: %s", secret, text)
				}
			}
		})
	}
}

func both(a, b func(*core.Config)) func(*core.Config) { return func(c *core.Config) { a(c); b(c) } }

func TestPlainHTTPToAnHTTPSServerIsSaid(t *testing.T) {
	t.Parallel()
	secure := s3test.StartOwn(t, s3test.Options{TLS: true})
	store := openStoreOn(t, secure, secure.Endpoint, func(c *core.Config) { c.PrivateBuckets, c.Attempts = []string{"some-bucket"}, 1 })
	if h := store.Check(t.Context()); h.Buckets[0].Reason != core.ReasonTLS {
		t.Errorf("health is %+v, %v; want %s", h, h.Err(), core.ReasonTLS)
	}
	trusting := openStoreOn(t, secure, secure.Endpoint, func(c *core.Config) {
		c.PrivateBuckets, c.UseHTTPS, c.CAFile = []string{secure.Bucket(t)}, true, secure.CAFile
	})
	if h := trusting.Check(t.Context()); !h.OK {
		t.Errorf("with its authority trusted: %v", h.Err())
	}
	trusting.CloseIdleConnections()
}

func TestHealthCountsItsRequestsAndSpeaksOfEveryBucket(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	recorder, names := s.Recorder(t), bucketNames(t, s, 10)
	store := openStoreOn(t, s, recorder.Endpoint(), func(c *core.Config) { c.PrivateBuckets = names })
	settle(t, store)
	recorder.Reset()
	h := store.Check(t.Context())
	if n := recorder.Count(http.MethodHead); !h.OK || n != 10 || recorder.Count("") != 10 {
		t.Errorf("health of ten buckets is %t after %d requests, want true after ten HEAD", h.OK, recorder.Count(""))
	}
	if _, found := h.Worst(); found || h.Took <= 0 || h.Buckets[3].Latency <= 0 || h.Buckets[3].Bucket != names[3] {
		t.Errorf("health is %+v", h)
	}
	down := openStoreOn(t, s, "127.0.0.1:1", func(c *core.Config) { c.PrivateBuckets, c.Attempts = names, 1 })
	h = down.Check(t.Context())
	for i, b := range h.Buckets {
		if b.OK || b.Bucket != names[i] || b.Reason != core.ReasonUnreachable {
			t.Errorf("bucket %d of a server that is down is %+v", i, b)
		}
	}
	if (core.Health{}).Err() == nil {
		t.Error("the zero value is healthy")
	}
}
