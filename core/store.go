package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/internal/exchange"
)

// Store is one S3 storage: its connection, its buckets and its fields. Fields
// are declared on it while the program starts; after that it only changes in
// its connection pool and its upload memory. It starts no goroutine, but for a
// Startup in the background, and needs no Close. Safe for concurrent use.
type Store struct {
	config    Config
	internal  minio.Core        // carries the traffic
	transport http.RoundTripper // under internal
	exchanges *exchange.Pool    // for small requests, or nil: they take transport
	presigner *presigner        // signs URLs and the Store's own requests, sends nothing
	// otherService: requests are signed for another service than S3's own.
	otherService bool
	urls         *urlCache

	memory *memory
	// decoding has one place: for who decodes an image.
	decoding chan struct{}

	keys   keyring
	madeUp bool                     // the signing key, since none is configured
	lacks  lacking                  // what the server does not implement
	ready  atomic.Pointer[notReady] // nil where storage may be used

	mu      sync.Mutex
	buckets map[string]*Bucket
	fields  map[string]*Field
	faults  []error
}

// Open makes a Store of a configuration. It uses no network. All faults of the
// configuration are reported at once as one error of kind ErrConfig.
func Open(config Config) (*Store, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	c := config.withDefaults()
	for _, warning := range c.warnings {
		c.Logger.Warn("configuration: " + warning)
	}
	if len(c.SigningKeys) == 0 {
		c.SigningKeys = []Secret{randomSecret()}
		c.Logger.Warn("no signing key is configured: file tokens end with this process and are refused by other instances",
			"advice", "set SECRET_KEY to 32 or more random characters")
	}
	if !c.UseHTTPS && !isLoopback(c.Endpoint) {
		c.Logger.Warn("storage is used over plain HTTP: who is on the network can read files and signed requests, and change them",
			"endpoint", c.Endpoint, "advice", "set UseHTTPS (MINIO_USE_HTTPS), unless all who are on that network may do that")
	}
	s := &Store{
		config: c, madeUp: len(config.SigningKeys) == 0, memory: newMemory(c.Memory, c.MemoryWait), decoding: make(chan struct{}, 1),
		buckets: map[string]*Bucket{}, fields: map[string]*Field{},
	}
	if err := s.connect(); err != nil {
		return nil, &Error{Kind: ErrConfig, Op: "open store", Err: err}
	}
	for _, name := range c.PrivateBuckets {
		s.declare(name, false)
	}
	for _, name := range c.PublicBuckets {
		s.declare(name, true)
	}
	if name := c.StaticBucket; name != "" && s.buckets[name] == nil {
		s.declare(name, true)
	}
	if name := c.DefaultBucket; name != "" && s.buckets[name] == nil {
		s.declare(name, false)
	}
	for _, hook := range c.PolicyHooks {
		b := s.buckets[hook.Bucket]
		if b == nil {
			b = s.declare(hook.Bucket, false)
		}
		b.declared.Policy = append(b.declared.Policy, PolicyDocument(hook.Document))
	}
	return s, nil
}

// MustOpen is Open for a package-level variable: it panics with the whole list
// of faults.
func MustOpen(config Config) *Store {
	s, err := Open(config)
	if err != nil {
		panic(err)
	}
	return s
}

func (s *Store) connect() error {
	c := s.config
	keys, err := newKeyring(c.SigningKeys)
	if err != nil {
		return err
	}
	transport, err := c.transport()
	if err != nil {
		return err
	}
	options := minio.Options{
		Creds: c.credentials(), Secure: c.UseHTTPS, Transport: transport,
		BucketLookup: c.Addressing.lookup(),
		Region:       c.Region, // set, so that no request asks for a bucket's location
		// The Store retries by itself: it knows what is safe to repeat, and each
		// try reads its part through a reader of its own.
		MaxRetries: 1,
	}
	internal, err := minio.New(c.Endpoint, &options)
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", c.Endpoint, err)
	}
	s.keys, s.internal, s.transport, s.exchanges = keys, minio.Core{Client: internal}, transport, c.exchanges(transport)
	s.otherService = isOtherService(*internal.EndpointURL())
	if s.presigner, err = newPresigner(c, internal, options.Creds); err != nil {
		return fmt.Errorf("external endpoint %s: %w", c.ExternalEndpoint, err)
	}
	s.urls = newURLCache(c.URLCache)
	// Printing a Store must not show them, and fmt asks no methods of the values
	// of unexported fields.
	s.config.SecretKey, s.config.SigningKeys, s.config.Credentials = "", nil, nil
	return nil
}

func (s *Store) declare(name string, public bool) *Bucket {
	b := &Bucket{store: s, name: name, public: public}
	s.buckets[name] = b
	return b
}

// Bucket returns the bucket of that name: a declared one with its access, or a
// private one.
func (s *Store) Bucket(name string) *Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buckets[name]; ok {
		return b
	}
	return &Bucket{store: s, name: name}
}

// Buckets returns the declared buckets, sorted by name: those of Declare and of
// the configuration, the default one, and those that fields name.
func (s *Store) Buckets() []*Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Bucket, 0, len(s.buckets))
	for _, b := range s.buckets {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *Bucket) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return out
}

// Fields returns the declared fields, sorted by bucket, model and name.
func (s *Store) Fields() []*Field {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.fields), func(a, b *Field) int {
		return cmp.Or(cmp.Compare(a.config.Bucket, b.config.Bucket), cmp.Compare(a.config.Model, b.config.Model), cmp.Compare(a.config.Name, b.config.Name))
	})
}

// TokenExpiry returns how long the Store's tokens live: a file may still find its
// row for that long.
func (s *Store) TokenExpiry() time.Duration { return s.config.TokenExpiry }

// Faults reports every fault in the declarations of fields and buckets at once, as one error
// of kind ErrConfig, or nil. Startup calls it, so that a faulty declaration
// stops a program before any traffic; a faulty field also refuses every use.
func (s *Store) Faults() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return nil
	}
	return &Error{Kind: ErrConfig, Op: "declarations", Err: errors.Join(s.faults...)}
}

// StaticBucket returns the name of the configuration's bucket for static files,
// or "".
func (s *Store) StaticBucket() string { return s.config.StaticBucket }

// Endpoint returns the host:port the Store talks to, for log lines.
func (s *Store) Endpoint() string { return s.config.Endpoint }

// Format writes which Store it is, whatever the verb: its fields are nobody's
// business, and some are secret.
func (s *Store) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "Store(%s)", s.config.Endpoint)
}

// CloseIdleConnections closes the connections to storage that no request uses,
// as when a program ends: a server that shuts down may wait for them. The Store
// stays usable. A Transport of the app's own must have such a method.
func (s *Store) CloseIdleConnections() {
	if s.exchanges != nil {
		s.exchanges.CloseIdle()
	}
	if t, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// warn logs what went wrong in work that no caller waits for.
func (s *Store) warn(ctx context.Context, message string, err error) {
	s.config.Logger.WarnContext(ctx, message, "error", err)
}
