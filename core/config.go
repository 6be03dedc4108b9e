package core

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"golang.org/x/net/http/httpproxy"

	"github.com/filefield/filefield/internal/exchange"
)

// Sizes in bytes, for limits that read well: 5 * core.MiB.
const (
	KiB int64 = 1 << 10
	MiB int64 = 1 << 20
	GiB int64 = 1 << 30
	TiB int64 = 1 << 40
)

const (
	defaultRegion        = "us-east-1"
	maxURLExpiry         = 7 * 24 * time.Hour // the limit of signature version 4
	defaultTimeout       = 5 * time.Second
	defaultFinishTimeout = time.Minute
	defaultAttempts      = 3
	defaultMemory        = 64 * MiB
	defaultMemoryWait    = 30 * time.Second
	defaultTokenExpiry   = 24 * time.Hour
	defaultConnections   = 64
	minSecretKeyBytes    = 16
)

// Config says where the storage is and how to use it. Its zero value has
// faults: Endpoint and credentials are required. It holds no state; Open copies
// it, so changing it afterwards has no effect on a Store.
//
// Field comments name the environment variable ConfigFromEnv reads: the names
// of django-minio-backend and Django, so that a deployment keeps its settings.
type Config struct {
	// Endpoint is the storage's host or host:port, without a scheme, as this
	// process reaches it. Required. MINIO_ENDPOINT.
	Endpoint string
	// UseHTTPS makes this process talk TLS to Endpoint. Without it, and unless
	// Endpoint is this machine, Open logs a warning and Diagnose reports one: nothing
	// is refused, since storage on a private network often has no certificate.
	// MINIO_USE_HTTPS.
	UseHTTPS bool
	// AccessKey and SecretKey are the static credentials. Required unless
	// Credentials or CredentialChain is set. MINIO_ACCESS_KEY, MINIO_SECRET_KEY.
	AccessKey string
	SecretKey Secret
	// CredentialChain takes credentials from where minio-go finds them: the
	// AWS_* and MINIO_* environment, the AWS and mc files, and instance roles.
	// MINIO_CREDENTIAL_CHAIN.
	CredentialChain bool
	// Credentials overrides all of the above with any minio-go provider (STS,
	// IAM, rotating files).
	Credentials *credentials.Credentials `json:"-"`
	// Region is what signatures name. Default us-east-1. It is always set, so
	// that no request is ever spent on asking for it. MINIO_REGION.
	Region string

	// ExternalEndpoint is the host under which browsers reach the storage, where
	// it differs from Endpoint. It appears in URLs and their signatures, and no
	// request is ever sent to it, but by Diagnose. MINIO_EXTERNAL_ENDPOINT.
	ExternalEndpoint string
	// ExternalUseHTTPS is the scheme of ExternalEndpoint. Required with it.
	// MINIO_EXTERNAL_ENDPOINT_USE_HTTPS.
	ExternalUseHTTPS *bool
	// URLExpiry is how long presigned URLs live at least (see URLWindow): 1 second
	// to 7 days. Default 7 days less the window, so that a URL's whole life is the
	// reference's. MINIO_URL_EXPIRY_HOURS (hours, or a Go duration).
	URLExpiry time.Duration
	// URLWindow is how long presigned URLs of an object stay the same, so that
	// browsers and CDNs can cache what they lead to; their life is longer by it, up
	// to 7 days. Default: a quarter of the expiry, at most 1 hour; NoWindow: none.
	// FILEFIELD_URL_WINDOW (a Go duration).
	URLWindow time.Duration
	// URLCache is how many presigned URLs are kept in memory for their window.
	// Default 4096, some 3 MiB; negative: none. FILEFIELD_URL_CACHE.
	URLCache int
	// Addressing is how a bucket is named: in the path, or before the host.
	// Default: as the endpoint's kind wants it. FILEFIELD_ADDRESSING ("path",
	// "virtual-host").
	Addressing Addressing

	// PrivateBuckets and PublicBuckets declare buckets and who may read their
	// objects. A bucket named by a field and in neither list is private.
	// MINIO_PRIVATE_BUCKETS, MINIO_PUBLIC_BUCKETS (comma separated).
	PrivateBuckets []string
	PublicBuckets  []string
	// DefaultBucket is the bucket of fields that name none. MINIO_DEFAULT_BUCKET.
	DefaultBucket string
	// StaticBucket is the bucket of the app's static files, public by that (see the
	// package static). MINIO_STATIC_FILES_BUCKET.
	StaticBucket string
	// PolicyHooks add statements to the policies of buckets, which they declare. They
	// are for configurations that are read; code declares a BucketConfig's Policy.
	// MINIO_POLICY_HOOKS ([["bucket", {policy}], …] in JSON).
	PolicyHooks []BucketPolicy
	// CheckOnStart makes Startup create and correct the declared buckets.
	// nil means true. MINIO_CONSISTENCY_CHECK_ON_START.
	CheckOnStart *bool
	// CheckOnSave makes a save into a declared bucket that does not exist create
	// it, with all that is declared of it, and go on. It costs no request while
	// the bucket is there. MINIO_BUCKET_CHECK_ON_SAVE.
	CheckOnSave bool

	// SigningKeys authenticate file tokens. The first one signs, all are
	// accepted, so a key is rotated by putting the new one in front. At least 16
	// bytes each. None: a random key for this process, and a warning, since
	// tokens then end with the process and other instances refuse them.
	// SECRET_KEY and SECRET_KEY_FALLBACKS (comma separated).
	SigningKeys []Secret
	// TokenExpiry is how long a token fills its field. Default 24 hours.
	// FILEFIELD_TOKEN_EXPIRY (a Go duration).
	TokenExpiry time.Duration

	// Timeout is how long storage may make no progress on a request (no byte
	// taken, no byte given, no answer) before it counts as unavailable; the last
	// fifth of it is for tidying up. A slow but moving transfer is never cut.
	// Default 5 seconds. FILEFIELD_TIMEOUT.
	Timeout time.Duration
	// FinishTimeout is the same for the two requests where a server may rightly
	// think for long: completing a multipart upload and copying an object.
	// Default 1 minute. FILEFIELD_FINISH_TIMEOUT.
	FinishTimeout time.Duration
	// Attempts is how often a request is tried where trying again is safe and
	// may help, with backoff in between. Default 3; 1 turns retries off.
	// FILEFIELD_ATTEMPTS.
	Attempts int
	// Memory bounds the bytes all uploads of the Store buffer together; when it
	// is used up, clients wait. Default 64 MiB, at least 8 MiB. An upload whose
	// parts are larger than that may exceed it by one part.
	//
	// An upload gets memory for a whole part, or waits; every other time the one that
	// came last is next. A part of it all is for files of up to 64 KiB, and those of up
	// to 512 KiB go past larger ones. Uploads that others wait for make way: those that
	// take more than 4 seconds for 64 KiB are interrupted (Upload.Interrupt), those that
	// take more than 40 for a part have three quarters of the memory at most, and where
	// nothing was stored for 4 seconds, of those that have stored nothing and wait for
	// more, half are refused with ErrUnavailable for others to begin. So a new upload is
	// served within seconds, whatever thousands of others have sent before they
	// stopped. While nobody waits, none is ended.
	//
	// On Linux this memory lies outside Go's heap: GOMEMLIMIT does not count it, so
	// what a container may have is Memory and GOMEMLIMIT together.
	// FILEFIELD_MEMORY.
	Memory int64
	// MemoryWait is how long an upload may wait for room in Memory, for each of
	// its parts, before it is refused with ErrUnavailable. Default 30 seconds. FILEFIELD_MEMORY_WAIT.
	MemoryWait time.Duration

	// PartSize is the size of parts where neither the save nor the field says one
	// (ObjectOptions.PartSize): 5 MiB to 5 GiB. Default: as there.
	// MINIO_MULTIPART_PART_SIZE.
	PartSize int64

	// CAFile is a PEM file of certificates to trust besides the system's.
	// MINIO_CA_FILE.
	CAFile string
	// Transport carries every request to storage. Default: a pooled transport
	// made for this Store, beside which small objects have connections of their own.
	// CAFile is not applied to a given Transport.
	Transport http.RoundTripper `json:"-"`

	// Logger receives what the library does by itself, as clean-up that failed, and
	// what is amiss: missing signing keys, plain HTTP. Default: nothing is logged.
	Logger *slog.Logger `json:"-"`
	// Now is the clock. Default time.Now.
	Now func() time.Time `json:"-"`

	// faults found while the configuration was read, reported by Open with the rest.
	faults []error
	// warnings found then, logged by Open.
	warnings []string
	// alias is the storage's among several, for faults.
	alias string
}

// BucketPolicy adds the statements of a policy to a bucket's.
type BucketPolicy struct {
	// Bucket is the bucket's name. It is declared by that: private, unless something
	// else makes it public.
	Bucket string
	// Document is JSON as a PolicyHook returns it.
	Document string
}

// Warnings returns what a configuration that was read says without effect, and
// names that nobody knows; Open logs them. The slice is the caller's.
func (c Config) Warnings() []string { return slices.Clone(c.warnings) }

// Format writes what fmt's %+v would, whatever the verb: with others fmt prints
// what pointers point to, and asks no methods there, so that secrets would show.
func (c Config) Format(f fmt.State, _ rune) {
	type fields Config
	_, _ = fmt.Fprintf(f, "%+v", fields(c))
}

// withDefaults returns a copy that shares nothing with c and has every default filled in.
func (c Config) withDefaults() Config {
	c.PrivateBuckets = slices.Clone(c.PrivateBuckets)
	c.PublicBuckets = slices.Clone(c.PublicBuckets)
	c.SigningKeys = slices.Clone(c.SigningKeys)
	c.PolicyHooks = slices.Clone(c.PolicyHooks)
	setDefault(&c.Region, defaultRegion)
	if c.URLExpiry == 0 {
		c.URLExpiry = defaultURLExpiry(c.URLWindow)
	}
	setDefault(&c.URLCache, defaultURLCache)
	setDefault(&c.TokenExpiry, defaultTokenExpiry)
	setDefault(&c.Timeout, defaultTimeout)
	setDefault(&c.FinishTimeout, defaultFinishTimeout)
	setDefault(&c.Attempts, defaultAttempts)
	setDefault(&c.Memory, defaultMemory)
	setDefault(&c.MemoryWait, defaultMemoryWait)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// defaultURLExpiry is what a window leaves of the longest life.
func defaultURLExpiry(window time.Duration) time.Duration {
	switch {
	case window < 0:
		return maxURLExpiry
	case window == 0:
		return maxURLExpiry - maxDefaultWindow
	default:
		return maxURLExpiry - window
	}
}

// Validate reports every fault of the configuration at once, as one error of
// kind ErrConfig whose chain holds each fault; nil when there is none. It uses
// no network. Open calls it.
func (c Config) Validate() error {
	faults := slices.Clone(c.faults)
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	c.endpointFaults(fault)
	c.bucketFaults(fault)
	if c.Credentials == nil && !c.CredentialChain {
		if c.AccessKey == "" {
			fault("AccessKey is missing: set MINIO_ACCESS_KEY, or choose CredentialChain or Credentials")
		}
		if c.SecretKey == "" {
			fault("SecretKey is missing: set MINIO_SECRET_KEY, or choose CredentialChain or Credentials")
		}
	}
	if c.URLExpiry < 0 || c.URLExpiry > maxURLExpiry || (c.URLExpiry > 0 && c.URLExpiry < time.Second) {
		fault("URLExpiry is %s: it must lie between 1s and 168h (7 days), the most a signature allows", c.URLExpiry)
	}
	if c.URLWindow > 0 && max(c.URLExpiry, time.Second)+c.URLWindow > maxURLExpiry {
		fault("URLExpiry and URLWindow are %s together: it must be at most 168h (7 days), the most a signature allows", c.URLExpiry+c.URLWindow)
	}
	if a := c.Addressing; a != AddressingAuto && a != AddressingPath && a != AddressingVirtualHost {
		fault("Addressing is %q: choose path or virtual-host, or leave it out", a)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"TokenExpiry", c.TokenExpiry}, {"Timeout", c.Timeout}, {"FinishTimeout", c.FinishTimeout}, {"MemoryWait", c.MemoryWait}} {
		if d.value < 0 {
			fault("%s is %s: a duration must not be negative", d.name, d.value)
		}
	}
	if c.Attempts < 0 {
		fault("Attempts is %d: it must be 1 or more, or 0 for the default", c.Attempts)
	}
	if c.Memory < 0 || (c.Memory > 0 && c.Memory < 8*MiB) {
		fault("Memory is %d bytes: it must be at least 8 MiB, room for one part and the next", c.Memory)
	}
	if c.PartSize != 0 && (c.PartSize < minPartSize || c.PartSize > maxPartSize) {
		fault("PartSize is %d bytes: it must lie between 5 MiB and 5 GiB", c.PartSize)
	}
	for i, key := range c.SigningKeys {
		if len(key) < minSecretKeyBytes {
			fault("SigningKeys[%d] has %d bytes: it needs at least %d, best 32 random ones", i, len(key), minSecretKeyBytes)
		}
	}
	if c.CAFile != "" && c.Transport == nil {
		if _, err := readCertificates(c.CAFile); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	op := "configuration"
	if c.alias != "" {
		op = fmt.Sprintf("configuration of the storage %q", c.alias)
	}
	return &Error{
		Kind: ErrConfig, Op: op, Err: errors.Join(faults...),
		Advice: fmt.Sprintf("%d to mend, all listed here", len(faults)),
	}
}

func (c Config) endpointFaults(fault func(string, ...any)) {
	if c.Endpoint == "" {
		fault("Endpoint is missing: set MINIO_ENDPOINT to the storage's host:port")
	} else if err := checkHost(c.Endpoint); err != nil {
		fault("Endpoint %q: %w", withoutUser(c.Endpoint), err)
	}
	switch {
	case c.ExternalEndpoint == "" && c.ExternalUseHTTPS != nil:
		fault("ExternalUseHTTPS is set without ExternalEndpoint: set MINIO_EXTERNAL_ENDPOINT or drop the flag")
	case c.ExternalEndpoint != "" && c.ExternalUseHTTPS == nil:
		fault("ExternalEndpoint %q has no scheme: set MINIO_EXTERNAL_ENDPOINT_USE_HTTPS to true or false", withoutUser(c.ExternalEndpoint))
	}
	if c.ExternalEndpoint != "" {
		if err := checkHost(c.ExternalEndpoint); err != nil {
			fault("ExternalEndpoint %q: %w", withoutUser(c.ExternalEndpoint), err)
		}
	}
}

func (c Config) bucketFaults(fault func(string, ...any)) {
	for _, name := range c.PublicBuckets {
		if slices.Contains(c.PrivateBuckets, name) {
			fault("bucket %q is declared both private and public: choose one", name)
		}
	}
	public := slices.Contains(c.PublicBuckets, c.StaticBucket)
	switch {
	case c.StaticBucket == "" || public:
	case slices.Contains(c.PrivateBuckets, c.StaticBucket):
		fault("bucket %q is declared private and is the StaticBucket, which is public: choose one", c.StaticBucket)
	case c.StaticBucket == c.DefaultBucket:
		fault("bucket %q is both DefaultBucket, which is private, and StaticBucket, which is public: choose two, or list it in PublicBuckets", c.StaticBucket)
	}
	names := slices.Concat(c.PrivateBuckets, c.PublicBuckets)
	for _, name := range []string{c.DefaultBucket, c.StaticBucket} {
		if name != "" {
			names = append(names, name)
		}
	}
	for _, hook := range c.PolicyHooks {
		names = append(names, hook.Bucket)
		if _, err := parseHook(hook.Document); err != nil {
			fault("the policy hook of bucket %q: %w", hook.Bucket, err)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := checkBucketName(name); err != nil {
			fault("bucket %q: %w", name, err)
		}
	}
}

// withoutUser hides the credentials that people put before a host.
func withoutUser(endpoint string) string {
	if at := strings.LastIndexByte(endpoint, '@'); at >= 0 {
		return "…" + endpoint[at:]
	}
	return endpoint
}

// checkHost accepts host, host:port and [ip6]:port, nothing else: a scheme, a
// path or credentials in an endpoint would change what signatures cover.
func checkHost(endpoint string) error {
	if strings.Contains(endpoint, "://") {
		return errors.New("give the host and port only; the scheme is the HTTPS flag's")
	}
	u, err := url.Parse("//" + endpoint)
	if err != nil || u.Host != endpoint || u.Hostname() == "" {
		return errors.New("not of the form host or host:port")
	}
	if strings.ContainsFunc(endpoint, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return errors.New("write it in ASCII, as browsers send it and signatures cover it: xn--…")
	}
	if host := u.Hostname(); !s3utils.IsValidIP(host) && !s3utils.IsValidDomain(host) {
		return errors.New("neither a host name nor an IP address")
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("port %q is not a port number", port)
		}
	}
	return nil
}

func checkBucketName(name string) error {
	if err := s3utils.CheckValidBucketNameStrict(name); err != nil {
		return errors.New("not a valid bucket name: 3 to 63 of a-z, 0-9, '-' and '.', starting and ending with a letter or digit")
	}
	return nil
}

func readCertificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("CAFile: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CAFile %s holds no PEM certificate", file)
	}
	return pool, nil
}

func (c Config) transport() (http.RoundTripper, error) {
	if c.Transport != nil {
		return c.Transport, nil
	}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialWire(c.dialer().DialContext),
		TLSHandshakeTimeout: c.Timeout,
		MaxIdleConns:        4 * defaultConnections,
		MaxIdleConnsPerHost: defaultConnections,
		IdleConnTimeout:     idleConnection,
		WriteBufferSize:     int(16 * KiB), // a small file goes out with its request; larger ones go past it
		ReadBufferSize:      int(16 * KiB), // larger reads, as of files, go past it
		// An object stored with Content-Encoding: gzip must arrive as stored.
		DisableCompression: true,
		// Small records at a connection's beginning help browsers render early; a file
		// they only cut into more writes.
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true},
	}
	if c.CAFile != "" {
		pool, err := readCertificates(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}

// idleConnection is how long a connection to storage is kept without a request.
const idleConnection = time.Minute

func (c Config) dialer() *net.Dialer {
	return &net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}
}

// exchanges returns what small requests go by, beside the transport that was made for
// all others. Where that is the app's own, or there may be a proxy, or exchange cannot
// look at its connections, it is nil: they go by the transport too.
func (c Config) exchanges(transport http.RoundTripper) *exchange.Pool {
	own, ok := transport.(*http.Transport)
	if !ok || !exchange.Supported || c.Transport != nil || c.proxied() {
		return nil
	}
	return &exchange.Pool{
		Dial: c.dialer().DialContext, TLS: own.TLSClientConfig, HandshakeTimeout: own.TLSHandshakeTimeout,
		IdleTimeout: idleConnection, MaxIdle: defaultConnections, MaxIdleTotal: 4 * defaultConnections,
	}
}

// proxied says whether http.ProxyFromEnvironment may name a proxy.
func (c Config) proxied() bool {
	named := httpproxy.FromEnvironment()
	if c.UseHTTPS {
		return named.HTTPSProxy != ""
	}
	return named.HTTPProxy != ""
}

func (c Config) credentials() *credentials.Credentials {
	switch {
	case c.Credentials != nil:
		return c.Credentials
	case c.CredentialChain:
		return credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.EnvMinio{},
			&credentials.FileAWSCredentials{}, &credentials.FileMinioClient{},
			&credentials.IAM{},
		})
	default:
		return credentials.NewStaticV4(c.AccessKey, string(c.SecretKey), "")
	}
}
