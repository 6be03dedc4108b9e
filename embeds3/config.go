package embeds3

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
)

// Defaults of Config.
const (
	// DefaultAddr is a free port of the loopback interface.
	DefaultAddr = "127.0.0.1:0"
	// DefaultRegion is the region S3 clients assume when told nothing.
	DefaultRegion = "us-east-1"
	// DefaultAccessKey is the name of the only account. It is fixed, while its
	// secret is random, because buckets remember their owner by this name: a new
	// name at every start would make them someone else's.
	DefaultAccessKey = "embeds3"
)

// Config says how an engine is to run. The zero value is useful: a temporary
// folder, a free loopback port, a random secret.
type Config struct {
	// Dir is the folder that holds buckets and objects; it is made when missing
	// and kept by Close. Empty means a temporary folder, which Close removes.
	// One engine at a time may use a folder.
	Dir string
	// Addr is the "host:port" to listen on; DefaultAddr when empty. Port 0 means
	// a free port. Hosts other than loopback ones are refused unless AllowRemote
	// is set.
	Addr string
	// AllowRemote permits an Addr that other machines can reach. The engine
	// speaks plain HTTP and is made for development: leave this off unless the
	// network is yours, as inside a container.
	AllowRemote bool
	// AccessKey names the account; DefaultAccessKey when empty.
	AccessKey string
	// SecretKey signs requests; a random one is made at every start when empty.
	SecretKey string
	// Region is the region requests are signed for; DefaultRegion when empty.
	Region string
	// Buckets are made at the start where they do not exist yet.
	Buckets []string
}

// String describes the configuration without its secret.
func (c Config) String() string {
	return fmt.Sprintf("embeds3.Config{Dir: %q, Addr: %q, AccessKey: %q, Region: %q}", c.Dir, c.Addr, c.AccessKey, c.Region)
}

// Format writes what String returns, whatever the verb: others print the fields,
// and so the secret.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue describes the configuration to log/slog without its secret.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("dir", c.Dir),
		slog.String("addr", c.Addr),
		slog.String("access_key", c.AccessKey),
		slog.String("region", c.Region),
	)
}

func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	if c.AccessKey == "" {
		c.AccessKey = DefaultAccessKey
	}
	if c.SecretKey == "" {
		c.SecretKey = rand.Text()
	}
	return c
}

func (c Config) validate() error {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("embeds3: Addr %q is not \"host:port\", as in %q: %w", c.Addr, DefaultAddr, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("embeds3: Addr %q: the port must be a number from 0 to 65535, 0 for a free one", c.Addr)
	}
	if !c.AllowRemote && !isLoopback(host) {
		return fmt.Errorf("embeds3: Addr %q can be reached from other machines: use %q, or set AllowRemote if that is wanted", c.Addr, DefaultAddr)
	}
	for _, b := range c.Buckets {
		if !isBucketName(b) {
			return fmt.Errorf("embeds3: %q is not a bucket name: use 3 to 63 lower-case letters, digits, dots and hyphens", b)
		}
	}
	if len(c.SecretKey) < 8 {
		return errors.New("embeds3: SecretKey must have at least 8 characters; leave it empty for a random one")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// isBucketName accepts what becomes a folder's name safely. The finer rules of
// S3 names are the engine's to apply when a client makes a bucket.
func isBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		inner := i > 0 && i < len(name)-1 && (c == '-' || c == '.' && name[i-1] != '.')
		if !alnum && !inner {
			return false
		}
	}
	return true
}
