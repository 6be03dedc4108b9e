package core_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
)

// clock is a time that a test sets.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// endOf reads when a presigned URL ends.
func endOf(t testing.TB, link string) time.Time {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("20060102T150405Z", u.Query().Get("X-Amz-Date"))
	if err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	seconds, err := strconv.Atoi(u.Query().Get("X-Amz-Expires"))
	if err != nil || seconds > 7*24*3600 {
		t.Fatalf("%s: %v", link, err)
	}
	return at.Add(time.Duration(seconds) * time.Second)
}

func storeAt(t testing.TB, c *clock, change ...func(*core.Config)) *core.Store {
	t.Helper()
	config := core.Config{
		Endpoint: "127.0.0.1:1", AccessKey: "access", SecretKey: "secret", SigningKeys: []core.Secret{"a key for tests, long enough"}, Now: c.Now,
	}
	for _, do := range change {
		do(&config)
	}
	store, err := core.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestS10AURLStaysTheSameForItsWindowAndKeepsItsPromise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		config          func(*core.Config)
		options         core.URLOptions
		promise, window time.Duration
	}{
		{"by default", func(*core.Config) {}, core.URLOptions{}, 167 * time.Hour, time.Hour},
		{"with an expiry", func(*core.Config) {}, core.URLOptions{Expiry: time.Hour}, time.Hour, 15 * time.Minute},
		{"with a short expiry", func(*core.Config) {}, core.URLOptions{Expiry: 10 * time.Second}, 10 * time.Second, 2 * time.Second},
		{"with a window of its own", func(*core.Config) {}, core.URLOptions{Expiry: time.Minute, Window: 24 * time.Hour}, time.Minute, 24 * time.Hour},
		{"with a configured window", func(c *core.Config) { c.URLWindow = 30 * time.Minute }, core.URLOptions{Expiry: time.Minute}, time.Minute, 30 * time.Minute},
		{"with a configured window and the expiry left", func(c *core.Config) { c.URLWindow = 12 * time.Hour }, core.URLOptions{}, 156 * time.Hour, 12 * time.Hour},
		{"with nearly the longest expiry", func(*core.Config) {}, core.URLOptions{Expiry: 168*time.Hour - time.Minute}, 168*time.Hour - time.Minute, time.Minute},
		{"for a subject", func(*core.Config) {}, core.URLOptions{Expiry: time.Hour, Subject: "42"}, time.Hour, 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clock := &clock{time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)}
			stores := []*core.Store{storeAt(t, clock, c.config), storeAt(t, clock, c.config, func(c *core.Config) { c.URLCache = -1 })}
			key := mustKey(t, "2026-03-01/cat.png")
			changes, last, changed := 0, "", time.Time{}
			step := c.window / 20
			for range 100 {
				link := mustURL(t, stores[0].Bucket("photos"), key, c.options)
				if other := mustURL(t, stores[1].Bucket("photos"), key, c.options); other != link {
					t.Fatalf("another instance makes %s, this one %s", other, link)
				}
				if left := endOf(t, link).Sub(clock.now); left < c.promise || left > c.promise+c.window {
					t.Errorf("%s are left, want %s to %s", left, c.promise, c.promise+c.window)
				}
				if link != last {
					if changes > 1 && clock.now.Sub(changed) < c.window-step {
						t.Errorf("the URL changed after %s, want %s", clock.now.Sub(changed), c.window)
					}
					changes, last, changed = changes+1, link, clock.now
				}
				clock.now = clock.now.Add(step)
			}
			if changes < 5 || changes > 6 {
				t.Errorf("in five windows there were %d URLs", changes)
			}
		})
	}
}

func TestURLsWithoutAWindowHaveTheirExactExpiry(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	store := storeAt(t, clock)
	for name, options := range map[string]core.URLOptions{
		"NoWindow":           {Expiry: time.Hour, Window: core.NoWindow},
		"PUT":                {Expiry: time.Hour, Method: http.MethodPut},
		"PUT with a window":  {Expiry: time.Hour, Method: http.MethodPut, Window: time.Hour},
		"the longest expiry": {Expiry: 7 * 24 * time.Hour},
	} {
		link := mustURL(t, store.Bucket("photos"), mustKey(t, "a"), options)
		if got := endOf(t, link).Sub(clock.now); got != options.Expiry {
			t.Errorf("%s: it ends in %s, want %s", name, got, options.Expiry)
		}
	}
}

func TestURLsOfManyObjectsDoNotChangeAtOnce(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b := storeAt(t, clock).Bucket("photos")
	ends := map[time.Time]int{}
	for i := range 1000 {
		ends[endOf(t, mustURL(t, b, mustKey(t, "photo-"+strconv.Itoa(i)), core.URLOptions{Expiry: time.Hour}))]++
	}
	for end, n := range ends {
		if n > 20 {
			t.Errorf("%d of 1,000 URLs end at %s", n, end)
		}
	}
}

func TestS10SubjectsHaveURLsOfTheirOwn(t *testing.T) {
	t.Parallel()
	store := storeAt(t, &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
	field := store.Field(core.FieldConfig{Name: "scan", Bucket: "scans", URLPerSubject: true})
	shared := store.Field(core.FieldConfig{Name: "logo", Bucket: "scans"})
	of := func(f *core.Field, subject string) string {
		t.Helper()
		link, err := f.URL(core.WithSubject(t.Context(), subject), mustKey(t, "a.png"), core.URLOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	anna, ben := of(field, "anna@example.org"), of(field, "ben@example.org")
	if anna == ben || anna != of(field, "anna@example.org") || strings.Contains(anna, "anna") {
		t.Errorf("Anna's is %s, Ben's %s", anna, ben)
	}
	if of(shared, "anna@example.org") != of(shared, "ben@example.org") {
		t.Error("a field that does not ask for it has URLs per subject")
	}
}

// provider gives credentials as they come.
type provider struct {
	values chan credentials.Value
	ended  func() bool
}

func (p *provider) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	v, ok := <-p.values
	if !ok {
		return v, errors.New("there are none")
	}
	return v, nil
}
func (p *provider) Retrieve() (credentials.Value, error) { return p.RetrieveWithCredContext(nil) }
func (p *provider) IsExpired() bool                      { return p.ended() }

func TestO12TemporaryCredentialsBoundAURL(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	values, rotate := make(chan credentials.Value, 2), false
	ends := clock.now.Add(20 * time.Minute)
	store := storeAt(t, clock, func(c *core.Config) {
		c.Credentials = credentials.New(&provider{values, func() bool { return rotate }})
	})
	b, key := store.Bucket("photos"), mustKey(t, "a.png")
	values <- credentials.Value{AccessKeyID: "first", SecretAccessKey: "s", SessionToken: "one", Expiration: ends}
	link := mustURL(t, b, key, core.URLOptions{Expiry: time.Hour})
	if got := endOf(t, link); !got.Equal(ends) || !strings.Contains(link, "X-Amz-Security-Token=one") {
		t.Errorf("the URL ends at %s, its credentials at %s: %s", got, ends, link)
	}
	clock.now = ends
	_, err := b.URL(t.Context(), key, core.URLOptions{Expiry: time.Hour})
	wantKind(t, "credentials that have ended", err, core.ErrConfig)

	rotate = true
	values <- credentials.Value{AccessKeyID: "second", SecretAccessKey: "s", Expiration: ends.Add(10 * time.Hour)}
	if link := mustURL(t, b, key, core.URLOptions{Expiry: time.Hour}); !strings.Contains(link, "Credential=second") || strings.Contains(link, "Token") {
		t.Errorf("after the rotation the URL is %s", link)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.URL(ctx, key, core.URLOptions{}) // the provider answers nobody
	wantKind(t, "a context that ended", err, core.ErrCanceled)
	close(values)
	_, err = b.URL(t.Context(), key, core.URLOptions{})
	if err == nil {
		t.Error("a URL was signed without credentials")
	}
}

func TestNoURLIsSilentlyUnsigned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*credentials.Credentials{
		"anonymous credentials":       credentials.NewStaticV4("", "", ""),
		"no credentials of version 4": credentials.NewStaticV2("access", "secret", ""),
	} {
		store := storeAt(t, &clock{time.Now()}, func(config *core.Config) { config.Credentials = c })
		link, err := store.Bucket("photos").URL(t.Context(), mustKey(t, "a.png"), core.URLOptions{})
		if !errors.Is(err, core.ErrConfig) || link != "" {
			t.Errorf("%s: got %q, %v", name, link, err)
		}
	}
}

func TestOptionsThatWouldBeUnsafeAreRefused(t *testing.T) {
	t.Parallel()
	store := storeAt(t, &clock{time.Now()}, func(c *core.Config) { c.PublicBuckets = []string{"public"} })
	for name, options := range map[string]core.URLOptions{
		"a method that deletes":       {Method: http.MethodDelete},
		"a type that browsers run":    {Type: "text/html"},
		"a script":                    {Type: "text/javascript"},
		"an image that holds scripts": {Type: "image/svg+xml"},
		"a type with parameters":      {Type: "text/plain; charset=utf-16"},
		"a type that is none":         {Type: "nonsense"},
		"a header in a type":          {Type: "image/png\r\nX-Evil: 1"},
		"inline without a type":       {Disposition: core.Inline},
		"inline of text":              {Disposition: core.Inline, Type: "text/plain"},
		"no disposition":              {Disposition: "form-data"},
		"a PUT of a version":          {Method: http.MethodPut, VersionID: "1"},
		"a PUT with a disposition":    {Method: http.MethodPut, Disposition: core.Attachment},
	} {
		for _, bucket := range []string{"private", "public"} {
			link, err := store.Bucket(bucket).URL(t.Context(), mustKey(t, "a"), options)
			if !errors.Is(err, core.ErrConfig) {
				t.Errorf("%s, in the %s bucket: got %q, %v", name, bucket, link, err)
			}
		}
	}
}

func TestAPublicBucketsURLIsSignedWhereItHasToBe(t *testing.T) {
	t.Parallel()
	store := storeAt(t, &clock{time.Now()}, func(c *core.Config) { c.PublicBuckets = []string{"public"} })
	b := store.Bucket("public")
	for name, c := range map[string]struct {
		options core.URLOptions
		signed  bool
	}{
		"plain":         {core.URLOptions{}, false},
		"a HEAD":        {core.URLOptions{Method: http.MethodHead}, false},
		"internal":      {core.URLOptions{Internal: true}, false},
		"an expiry":     {core.URLOptions{Expiry: time.Hour}, true},
		"a download":    {core.URLOptions{Disposition: core.Attachment}, true},
		"a type":        {core.URLOptions{Type: "image/png"}, true},
		"shown":         {core.URLOptions{Type: "image/png", Disposition: core.Inline}, true},
		"a version":     {core.URLOptions{VersionID: "1"}, true},
		"a subject":     {core.URLOptions{Subject: "1"}, true},
		"an upload":     {core.URLOptions{Method: http.MethodPut}, true},
		"only a window": {core.URLOptions{Window: time.Hour}, false},
		"only a name":   {core.URLOptions{Name: "a.txt"}, false},
	} {
		if link := mustURL(t, b, mustKey(t, "a"), c.options); strings.Contains(link, "X-Amz-Signature=") != c.signed {
			t.Errorf("%s: signed should be %t: %s", name, c.signed, link)
		}
	}
}

func TestBucketsAreNamedWhereTheEndpointWantsThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, endpoint string
		addressing     core.Addressing
		prefix         string
	}{
		{"in the path by default", "s3.example.org", core.AddressingAuto, "https://s3.example.org/BUCKET/"},
		{"before the host of AWS", "s3.amazonaws.com", core.AddressingAuto, "https://BUCKET.s3.dualstack.us-east-1.amazonaws.com/"},
		{"before the host as declared", "s3.example.org:8443", core.AddressingVirtualHost, "https://BUCKET.s3.example.org:8443/"},
		{"in AWS's path as declared", "s3.amazonaws.com", core.AddressingPath, "https://s3.dualstack.us-east-1.amazonaws.com/BUCKET/"},
	} {
		store := storeAt(t, &clock{time.Now()}, func(config *core.Config) {
			config.Endpoint, config.UseHTTPS, config.Addressing = c.endpoint, true, c.addressing
			config.PublicBuckets = []string{"public"}
		})
		for _, bucket := range []string{"private", "public"} {
			link := mustURL(t, store.Bucket(bucket), mustKey(t, "a b.png"), core.URLOptions{})
			if want := strings.Replace(c.prefix, "BUCKET", bucket, 1) + "a%20b.png"; !strings.HasPrefix(link, want) {
				t.Errorf("%s: the URL is %s, want it to start with %s", c.name, link, want)
			}
		}
	}
}

// cdn signs as a CDN's own scheme might.
type cdn struct{}

func (cdn) SignURL(ctx context.Context, raw string, expires time.Time) (string, error) {
	switch {
	case strings.Contains(raw, "forbidden"):
		return "", errors.New("the key is lost")
	case strings.Contains(raw, "unsigned"):
		return raw, nil
	case strings.Contains(raw, "empty"):
		return "", nil
	case strings.Contains(raw, "slow"):
		<-ctx.Done()
		return "", ctx.Err()
	}
	separator := "?"
	if strings.Contains(raw, "?") {
		separator = "&"
	}
	return raw + separator + "until=" + strconv.FormatInt(expires.Unix(), 10), nil
}

func TestABucketBehindACDNHasURLsThere(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	store := storeAt(t, clock)
	public := store.Declare(core.BucketConfig{Name: "public", Public: true, BaseURL: "https://cdn.example.org/media"})
	private := store.Declare(core.BucketConfig{Name: "private", BaseURL: "https://files.example.org", Signer: cdn{}})
	if err := store.Faults(); err != nil {
		t.Fatal(err)
	}
	key := mustKey(t, "a b/ü?x#y.png")
	const escaped = "a%20b/%C3%BC%3Fx%23y.png"
	if got := mustURL(t, public, key, core.URLOptions{}); got != "https://cdn.example.org/media/"+escaped {
		t.Errorf("the public URL is %s", got)
	}
	link := mustURL(t, private, key, core.URLOptions{Expiry: time.Hour, Disposition: core.Attachment, Name: "x.png"})
	if !strings.HasPrefix(link, "https://files.example.org/"+escaped+"?response-content-disposition=attachment%3B%20filename%3D%22x.png%22&until=") {
		t.Errorf("the private URL is %s", link)
	}
	clock.now = clock.now.Add(time.Second)
	if again := mustURL(t, private, key, core.URLOptions{Expiry: time.Hour, Disposition: core.Attachment, Name: "x.png"}); again != link {
		t.Errorf("a second later it is %s", again)
	}
	for _, what := range []string{"forbidden", "unsigned", "empty"} {
		_, err := private.URL(t.Context(), mustKey(t, what), core.URLOptions{})
		wantKind(t, "a signer that fails: "+what, err, core.ErrConfig)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	_, err := private.URL(ctx, mustKey(t, "slow"), core.URLOptions{})
	wantKind(t, "a signer whose caller has gone", err, core.ErrCanceled)
	for name, link := range map[string]string{
		"a public download": mustURL(t, public, key, core.URLOptions{Disposition: core.Attachment}),
		"an upload":         mustURL(t, private, key, core.URLOptions{Method: http.MethodPut}),
		"another server's":  mustURL(t, private, key, core.URLOptions{Internal: true}),
	} {
		if !strings.HasPrefix(link, "http://127.0.0.1:1/") || !strings.Contains(link, "X-Amz-Signature") {
			t.Errorf("%s is not signed for storage: %s", name, link)
		}
	}
	for name, c := range map[string]core.BucketConfig{
		"a private bucket without a signer": {Name: "a-bucket", BaseURL: "https://cdn.example.org"},
		"a signer without a URL":            {Name: "b-bucket", Signer: cdn{}},
		"a query":                           {Name: "c-bucket", Public: true, BaseURL: "https://cdn.example.org/?a=b"},
		"credentials":                       {Name: "d-bucket", Public: true, BaseURL: "https://user:secret@cdn.example.org/"},
		"no scheme":                         {Name: "e-bucket", Public: true, BaseURL: "//cdn.example.org/"},
		"a script":                          {Name: "f-bucket", Public: true, BaseURL: "javascript:alert(1)"},
	} {
		store := storeAt(t, clock)
		store.Declare(c)
		if err := store.Faults(); !errors.Is(err, core.ErrConfig) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the fault is %v", name, err)
		}
	}
}

func TestAPresignedPUTAndHEADWork(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b, key := store.Bucket(bucket), mustKey(t, "a b+ü.txt")
	put := mustURL(t, b, key, core.URLOptions{Method: http.MethodPut, Expiry: time.Minute})
	if status, _ := request(t, http.MethodGet, put, ""); status != http.StatusForbidden {
		t.Errorf("a GET with a URL for PUT answers %d", status)
	}
	if status, _ := request(t, http.MethodPut, put, "content"); status != http.StatusOK {
		t.Fatalf("the PUT answers %d", status)
	}
	if status, header := request(t, http.MethodHead, mustURL(t, b, key, core.URLOptions{Method: http.MethodHead, Subject: "42"}), ""); status != http.StatusOK || header.Get("Content-Length") != "7" {
		t.Errorf("the HEAD answers %d, %s bytes", status, header.Get("Content-Length"))
	}
	inline := mustURL(t, b, key, core.URLOptions{Type: "image/png", Disposition: core.Inline, Name: "ü.png", Subject: "42"})
	if response, _ := fetch(t, inline); response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "image/png" || !strings.HasPrefix(response.Header.Get("Content-Disposition"), "inline") {
		t.Errorf("shown as %s, the answer is %d, %v", inline, response.StatusCode, response.Header)
	}
}

func TestAURLCostsFewAllocations(t *testing.T) { //nolint:paralleltest // others' allocations would count
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	store := storeAt(t, clock, func(c *core.Config) { c.PublicBuckets = []string{"public"} })
	key := mustKey(t, "2026-11-22/h5zl3x7qk2m4n6p8r0 ü.png")
	for name, c := range map[string]struct {
		bucket  string
		options core.URLOptions
		most    float64
	}{"public": {"public", core.URLOptions{}, 2}, "presigned": {"private", core.URLOptions{Window: core.NoWindow}, 5}, "kept": {"private", core.URLOptions{}, 0}} {
		b := store.Bucket(c.bucket)
		got := math.Inf(1)
		for range 20 { // the race detector has pools lose what they hold, now and then
			got = min(got, testing.AllocsPerRun(1, func() {
				clock.now = clock.now.Add(time.Second)
				mustURL(t, b, key, c.options)
			}))
		}
		if got > c.most {
			t.Errorf("a %s URL costs %.0f allocations, want at most %.0f", name, got, c.most)
		}
	}
}

func TestBrowsersAreToldToKeepWhatAStableURLLeadsTo(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	plain := store.Field(core.FieldConfig{Name: "plain", Bucket: bucket, URLExpiry: time.Hour})
	declared := store.Field(core.FieldConfig{Name: "declared", Bucket: bucket, Options: core.ObjectOptions{CacheControl: "private, max-age=86400, immutable"}})
	for name, c := range map[string]struct {
		field   *core.Field
		options core.URLOptions
		want    string
	}{
		"for the window":              {plain, core.URLOptions{}, "private, max-age=900"},
		"for the window of the call":  {plain, core.URLOptions{Window: time.Minute}, "private, max-age=60"},
		"for a subject":               {plain, core.URLOptions{Subject: "42"}, "private, max-age=900"},
		"for a download":              {plain, core.URLOptions{Disposition: core.Attachment}, "private, max-age=900"},
		"not without a window":        {plain, core.URLOptions{Window: core.NoWindow}, ""},
		"as declared for all of them": {declared, core.URLOptions{}, "private, max-age=86400, immutable"},
	} {
		o, err := c.field.Save(t.Context(), core.Upload{Body: strings.NewReader(name), Name: "a.txt"})
		if err != nil {
			t.Fatal(err)
		}
		link, err := c.field.URL(t.Context(), o.Key, c.options)
		if err != nil {
			t.Fatal(err)
		}
		if response, body := fetch(t, link); response.Header.Get("Cache-Control") != c.want || body != name {
			t.Errorf("%s: Cache-Control is %q, want %q", name, response.Header.Get("Cache-Control"), c.want)
		}
		// The bucket's own URL of the same object is another one.
		own := mustURL(t, store.Bucket(bucket), o.Key, c.options)
		if strings.Contains(own, "cache-control") {
			t.Errorf("%s: a bucket, which knows no field, has the URL %s", name, own)
		}
		if again, err := c.field.URL(t.Context(), o.Key, c.options); err != nil || strings.Contains(again, "cache-control") != strings.Contains(link, "cache-control") {
			t.Errorf("%s: after that, the field's is %s, %v", name, again, err)
		}
	}
}

func TestAnExpiryOfHalfSecondsIsKept(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	link := mustURL(t, storeAt(t, clock).Bucket("photos"), mustKey(t, "a"), core.URLOptions{Expiry: 1500 * time.Millisecond, Window: core.NoWindow})
	if left := endOf(t, link).Sub(clock.now); left != 2*time.Second {
		t.Errorf("an expiry of 1.5 s leaves %s, want 2 s", left)
	}
}

func TestAClockThatJumpsBackGivesTheURLOfThen(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b, key := storeAt(t, clock).Bucket("photos"), mustKey(t, "a")
	first := mustURL(t, b, key, core.URLOptions{})
	clock.now = clock.now.Add(48 * time.Hour)
	if mustURL(t, b, key, core.URLOptions{}) == first {
		t.Error("two days later the URL is the same")
	}
	clock.now = clock.now.Add(-48 * time.Hour)
	if got := mustURL(t, b, key, core.URLOptions{}); got != first {
		t.Errorf("back then the URL is %s, was %s", got, first)
	}
}

// Of 32 goroutines, each sees the URLs that one alone sees, while the cache is
// far too small for them.
func TestURLsAreTheSameForManyAtOnce(t *testing.T) {
	t.Parallel()
	clock := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b := storeAt(t, clock, func(c *core.Config) { c.URLCache = 16 }).Bucket("photos")
	alone := storeAt(t, clock, func(c *core.Config) { c.URLCache = -1 }).Bucket("photos")
	var keys []core.Key
	var want []string
	for i := range 50 {
		keys = append(keys, mustKey(t, strings.Repeat(strings.Repeat("k", 249)+"/", 4)+strconv.Itoa(i))) // nearly the longest
		want = append(want, mustURL(t, alone, keys[i], core.URLOptions{}))
	}
	var wait sync.WaitGroup
	for worker := range 32 {
		wait.Go(func() {
			for i := range 500 {
				n := (i*7 + worker) % len(keys)
				if got, err := b.URL(t.Context(), keys[n], core.URLOptions{}); err != nil || got != want[n] {
					t.Errorf("got %s, %v; want %s", got, err, want[n])
					return
				}
			}
		})
	}
	wait.Wait()
}
